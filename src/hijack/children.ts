// Threads and child processes of a hijacked program, which load the hijack as well: `--import` is theirs,
// too. A kernel is one thread's, so none of them can have the program's own.

import cluster from "node:cluster";
import dgram from "node:dgram";
import dns from "node:dns";
import { Server, Socket } from "node:net";
import process from "node:process";
import { isMainThread } from "node:worker_threads";

import { PARENT_VARIABLE } from "./config.ts";
import type { HijackConfig } from "./config.ts";
import { NodeInternals } from "./native-stream.ts";
import { isOwn } from "./net.ts";
import { replace } from "./replace.ts";

/** A thread or child process has no network. */
export class HijackChildError extends Error {
  override readonly name = "HijackChildError";
  readonly code = "ERR_HIJACK_CHILD";

  constructor() {
    super(
      `liblinux/hijack: ${isMainThread ? "a child process" : "a thread"} cannot have the kernel of its ` +
        'parent: give it one of its own (children: "own"), or the host\'s network (children: "host")',
    );
  }
}

/** Whether this is no program that was started with the hijack, but a part of one. */
export function isChild(): boolean {
  const parent = process.env[PARENT_VARIABLE];
  return !isMainThread || (parent !== undefined && parent !== String(process.pid));
}

/** Whether there will be a kernel in this thread. */
export function hasKernel({ children }: HijackConfig): boolean {
  return !isChild() || children === "own";
}

/** Those that are started from now on know that they are children. */
export function markChildren(): void {
  process.env[PARENT_VARIABLE] = String(process.pid);
}

/** A kernel of its own has what does not belong to the parent's: no images, no ports of the host's. */
export function ownConfig(config: HijackConfig): HijackConfig {
  return {
    ...config,
    fs: [],
    capture: undefined,
    interfaces: config.interfaces.map((one) => ({ ...one, forwards: [] })),
  };
}

/** The names of an object's properties, and of what it inherits from. */
function namesOf(target: object): string[] {
  const names: string[] = [];
  for (
    let at: object | null = target;
    at && at !== Object.prototype;
    at = Reflect.getPrototypeOf(at)
  )
    names.push(...Object.getOwnPropertyNames(at));
  return names;
}

/** What would go to the kernel throws {@link HijackChildError}. */
export function refuseNetwork({ bypass, modules }: HijackConfig): void {
  const node = new NodeInternals();
  const refuse = () => {
    throw new HijackChildError();
  };
  if (modules.has("net")) {
    replace(
      Socket.prototype,
      "connect",
      (original) =>
        function connect(this: unknown, ...args: unknown[]) {
          const [{ path, host = "localhost", port }] = node.connectArguments(args);
          if (path || bypass.has(host, Number(port))) return original.apply(this, args);
          return refuse();
        },
    );
    replace(
      Server.prototype,
      "listen",
      (original) =>
        function listen(this: unknown, ...args: unknown[]) {
          // It would be its primary that listens.
          if (cluster.isWorker && !isOwn(args[0])) refuse();
          return original.apply(this, args);
        },
    );
    replace(
      Server.prototype,
      "_listen2",
      (original) =>
        function listen2(this: unknown, ...args: unknown[]) {
          const [address, port] = args as [string | null, number | null];
          const isPort = typeof port === "number" && port >= 0;
          if (!isPort || bypass.has(address ?? "*", port)) return original.apply(this, args);
          return refuse();
        },
    );
  }
  if (modules.has("dgram")) replace(dgram, "createSocket", () => refuse);
  if (modules.has("dns")) {
    const { Resolver, promises } = dns;
    for (const target of [dns, promises, Resolver.prototype, promises.Resolver.prototype])
      for (const name of namesOf(target))
        if (/^(lookup|resolve|reverse)/.test(name)) replace(target, name, () => refuse);
  }
}
