// From the configuration to a hijacked program, and to its end.

import { syncBuiltinESMExports } from "node:module";

import type { Kernel } from "../kernel.ts";
import { KernelPanicError } from "../machine/errors.ts";
import { Sockets } from "../net/facade/index.ts";
import type { Network } from "../net/index.ts";
import type { Context } from "../platform/node/sockets/context.ts";
import { makeDns } from "../platform/node/sockets/dns.ts";
import { Holds } from "../platform/node/sockets/holds.ts";
import { Machine, tell } from "./boot.ts";
import { readConfig } from "./config.ts";
import { hijackDgram, hijackDns } from "./datagrams.ts";
import { releaseHostSide } from "./host-side.ts";
import { NodeInternals } from "./native-stream.ts";
import { hijackNet } from "./net.ts";
import type { Stack } from "./stack.ts";

/** The kernel that a program runs on. */
export interface Hijack {
  readonly kernel: Kernel;
  /** Its network: addresses, routes, sockets. */
  readonly network: Network;
}

/** Node's default. */
const ATTEMPT_TIMEOUT_MS = 500;

export async function startHijack(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Hijack | null> {
  const config = readConfig(environment);
  const node = new NodeInternals();
  releaseHostSide();
  const machine = await Machine.boot(config);
  const { kernel, network } = machine;
  const sockets = new Sockets(await kernel.process());
  const dns = makeDns(sockets);
  const context: Context = {
    sockets,
    holds: new Holds(sockets),
    lookup: dns.lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
  };
  const stack: Stack = { node, context, bypass: config.bypass, handles: new Set() };
  if (config.modules.has("net")) hijackNet(stack);
  if (config.modules.has("dgram")) hijackDgram(stack);
  if (config.modules.has("dns")) hijackDns(dns);
  syncBuiltinESMExports();
  void kernel.stopped.then((why) => {
    if (!(why instanceof KernelPanicError)) return;
    tell(why.message);
    for (const handle of stack.handles) handle.fail(why);
  });
  return { kernel, network };
}
