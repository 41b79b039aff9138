// From the configuration to a hijacked program, and to its end.

import { syncBuiltinESMExports } from "node:module";

import type { LinuxFs } from "../fs/facade/index.ts";
import type { Kernel } from "../kernel.ts";
import { InvalidOptionError, KernelPanicError } from "../machine/errors.ts";
import { Sockets } from "../net/facade/index.ts";
import type { Network } from "../net/index.ts";
import type { Context } from "../platform/node/sockets/context.ts";
import { makeDns } from "../platform/node/sockets/dns.ts";
import type { LinuxDns } from "../platform/node/sockets/dns.ts";
import { Holds } from "../platform/node/sockets/holds.ts";
import { Machine, tell } from "./boot.ts";
import { isChild, markChildren, ownConfig, refuseNetwork } from "./children.ts";
import { HijackConfigError } from "./config.ts";
import type { HijackConfig } from "./config.ts";
import { hijackDgram } from "./dgram.ts";
import { DnsRelay } from "./dns-relay.ts";
import { hijackDns } from "./dns.ts";
import { Ending } from "./ending.ts";
import { hijackFs } from "./fs.ts";
import { releaseHostSide } from "./host-side.ts";
import { Images } from "./images.ts";
import { NodeInternals } from "./native-stream.ts";
import { hijackNet } from "./net.ts";
import type { Stack } from "./stack.ts";

/** The kernel that a program runs on. */
export interface Hijack {
  readonly kernel: Kernel;
  /** Its network: addresses, routes, sockets. */
  readonly network: Network;
  /** The images' files, with what `node:fs` has no name for; null without images. */
  readonly fs: LinuxFs | null;
  /**
   * Let what was sent leave, and write back what was written: for a program that is about to call
   * process.exit().
   *
   * @throws {SystemError} if something could not be written
   */
  sync(): Promise<void>;
  /** End the kernel: images are unmounted, sockets fail. Done by itself when a program has nothing left to do. */
  end(): Promise<void>;
}

/** Node's default. */
const ATTEMPT_TIMEOUT_MS = 500;

/**
 * Hijack this program.
 *
 * @returns null in a thread or child process that has no kernel of its own
 * @throws {HijackConfigError} for what only the kernel finds wrong with the configuration
 * @throws {LinkError} @throws {DiskError} @throws {MountError} @throws {KernelPanicError} and whatever
 * else the kernel does not like of it
 */
export async function startHijack(config: HijackConfig): Promise<Hijack | null> {
  if (!isChild()) {
    markChildren();
    return hijack(config);
  }
  if (config.children === "own") return hijack(ownConfig(config));
  if (config.children === "refuse") {
    refuseNetwork(config);
    syncBuiltinESMExports();
  }
  return null;
}

async function hijack(config: HijackConfig): Promise<Hijack> {
  const node = new NodeInternals();
  releaseHostSide();
  const activity = { count: 0 };
  const { machine, images } = await boot(config);
  const { kernel, network } = machine;
  const sockets = new Sockets(await kernel.process());
  const dns = makeDns(sockets);
  const stack: Stack = {
    node,
    context: contextOf(sockets, dns),
    bypass: config.bypass,
    handles: new Set(),
    activity,
  };
  if (config.modules.has("net")) hijackNet(stack);
  if (config.modules.has("dgram")) hijackDgram(stack);
  if (config.modules.has("dns")) {
    const nameservers = async () => (await network.resolver.get()).nameservers;
    const relay = await DnsRelay.open(stack.context, nameservers);
    hijackDns(dns, relay, await nameservers());
  }
  if (images)
    hijackFs(images.fs, {
      prefixes: config.fs.map(({ prefix }) => prefix),
      used: () => activity.count++,
    });
  syncBuiltinESMExports();
  const ending = new Ending(machine, images, stack, config.lkl.dump);
  ending.listen();
  void kernel.stopped.then((why) => {
    if (!(why instanceof KernelPanicError)) return;
    tell(why.message);
    for (const handle of stack.handles) handle.fail(why);
  });
  return {
    kernel,
    network,
    fs: images?.fs ?? null,
    sync: () => ending.sync(),
    end: () => ending.end(),
  };
}

function contextOf(sockets: Sockets, dns: LinuxDns): Context {
  return {
    sockets,
    holds: new Holds(sockets),
    lookup: dns.lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
  };
}

/** What only the kernel finds wrong with a configuration is wrong with it all the same. */
async function boot(config: HijackConfig): Promise<{ machine: Machine; images: Images | null }> {
  try {
    const machine = await Machine.boot(config);
    if (!config.fs.length) return { machine, images: null };
    const failed = (error: unknown) => tell(`an image failed: ${String(error)}`);
    return { machine, images: await Images.open(machine.kernel, config.fs, failed) };
  } catch (error) {
    if (error instanceof InvalidOptionError)
      throw new HijackConfigError("configuration", error.message, error);
    throw error;
  }
}
