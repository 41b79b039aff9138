// node:net, node:dgram and dns.lookup() on the sockets of a process of the kernel.

import { Sockets } from "../../../net/facade/index.ts";
import type { SocketsOptions } from "../../../net/facade/index.ts";
import type { Process } from "../../../syscall/process.ts";
import type { Context } from "./context.ts";
import { makeDgram } from "./dgram.ts";
import type { LinuxDgram } from "./dgram.ts";
import { makeDns } from "./dns.ts";
import type { LinuxDns } from "./dns.ts";
import { Holds } from "./holds.ts";
import { makeNet } from "./net.ts";
import type { LinuxNet } from "./net.ts";

export type { LinuxDgram } from "./dgram.ts";
export type { LinuxDns } from "./dns.ts";
export type { LinuxNet } from "./net.ts";

/** Node's default. */
const ATTEMPT_TIMEOUT_MS = 500;

/** Node's modules for the network, as a process of the kernel has them. */
export interface NodeSockets extends AsyncDisposable {
  readonly net: LinuxNet;
  readonly dgram: LinuxDgram;
  readonly dns: LinuxDns;
  /** What they stand on, with what Node's modules have no name for. */
  readonly sockets: Sockets;
}

/**
 * Objects with the shape of `node:net`, `node:dgram` and `node:dns`, whose sockets are those of a
 * process of the kernel. Sockets are streams of `node:stream`, so `node:http`, `node:tls` and what
 * stands on them take them as they are. Nothing is known of a socket before the kernel answers: a
 * server has its address from "listening" on. Dispose of it: every socket that is open fails then, and
 * is closed.
 */
export function createSockets(process: Process, options: SocketsOptions = {}): NodeSockets {
  const sockets = new Sockets(process, options);
  const holds = new Holds(sockets);
  const dns = makeDns(sockets);
  const context: Context = {
    sockets,
    holds,
    lookup: dns.lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
  };
  return {
    net: makeNet(context),
    dgram: makeDgram(context),
    dns,
    sockets,
    [Symbol.asyncDispose]: async () => {
      await sockets[Symbol.asyncDispose]();
      holds.end();
    },
  };
}
