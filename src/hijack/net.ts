// node:net on the kernel: its classes stay as they are, with handles of ours below them. So all that is
// made of them (node:http, node:https, node:http2, node:tls, fetch, what inherits from net.Socket) is
// on the kernel as well, whatever it has kept of the module.

import cluster from "node:cluster";
import { Server, Socket, connect as nodeConnect } from "node:net";
import process from "node:process";
import tls from "node:tls";
import type { ConnectionOptions } from "node:tls";

import { Candidates } from "./candidates.ts";
import { isOnHost } from "./host-side.ts";
import { handleOf, putHandle } from "./native-stream.ts";
import type { ConnectOptions } from "./native-stream.ts";
import { replace } from "./replace.ts";
import type { Method } from "./replace.ts";
import { ServerHandle } from "./server-handle.ts";
import type { Stack } from "./stack.ts";
import { StreamHandle } from "./stream-handle.ts";

/** What a program that is a worker of node:cluster may not do. */
export class ClusterError extends Error {
  override readonly name = "ClusterError";
  readonly code = "ERR_HIJACK_CLUSTER";

  constructor() {
    super(
      "liblinux/hijack: a worker of node:cluster would listen on the host, at its primary; " +
        "listen({ exclusive: true }), or run one process",
    );
  }
}

/** Whether the kernel's network is meant. */
function isKernels(stack: Stack, options: ConnectOptions): boolean {
  if (options.path || isOnHost()) return false;
  const { host = "localhost", port } = options;
  // What is no name node:net refuses.
  return typeof host !== "string" || !stack.bypass.has(host, Number(port));
}

export function hijackNet(stack: Stack): void {
  hijackSockets(stack);
  hijackServers(stack);
  hijackTls(stack);
}

function hijackSockets(stack: Stack): void {
  replace(
    Socket.prototype,
    "connect",
    (original) =>
      function connect(this: unknown, ...args: unknown[]) {
        const socket = this as Socket;
        const [options, callback] = stack.node.connectArguments(args);
        // A handle that is there already is a descriptor of the host's, or TLS's.
        if ((handleOf(socket) && !socket.destroyed) || !isKernels(stack, options))
          return original.apply(this, args);
        const candidates = new Candidates(socket, options);
        const handle = new StreamHandle(stack, candidates);
        stack.node.setHandle(socket, handle.native);
        return original.call(this, candidates.connectOptions, callback);
      },
  );
  replace(
    Socket.prototype,
    "resetAndDestroy",
    (original) =>
      function resetAndDestroy(this: unknown, ...args: unknown[]) {
        const socket = this as Socket;
        if (!(handleOf(socket) instanceof stack.node.Stream)) return original.apply(this, args);
        if (socket.connecting) {
          socket.once("connect", () => socket.resetAndDestroy());
          return socket;
        }
        Reflect.set(socket, "resetAndClosing", true);
        return socket.destroy();
      },
  );
}

/** Whether a worker's listen() is no affair of its primary's, or none of the network's. */
export function isOwn(options: unknown): boolean {
  if (typeof options === "string") return Number.isNaN(Number(options));
  if (typeof options !== "object" || options === null) return false;
  return Reflect.get(options, "exclusive") === true || Reflect.get(options, "path") !== undefined;
}

function hijackServers(stack: Stack): void {
  replace(
    Server.prototype,
    "listen",
    (original) =>
      function listen(this: unknown, ...args: unknown[]) {
        if (cluster.isWorker && !isOnHost() && !isOwn(args[0])) throw new ClusterError();
        return original.apply(this, args);
      },
  );
  // What node:net calls when it knows where to listen: left as it is for those that wrap it.
  replace(
    Server.prototype,
    "_listen2",
    (original) =>
      function listen2(this: unknown, ...args: unknown[]) {
        const server = this as Server;
        const [address, port, , backlog, fd, flags] = args as [
          string | null,
          number | null,
          unknown,
          number | undefined,
          number | undefined,
          number | undefined,
        ];
        const isPort = typeof port === "number" && port >= 0 && typeof fd !== "number";
        if (isOnHost() || handleOf(server) || !isPort || stack.bypass.has(address ?? "*", port))
          return original.apply(this, args);
        const handle = new ServerHandle(
          stack,
          { address, port, backlog, flags },
          {
            listening: () => void (handleOf(server) === handle && original.apply(server, args)),
            failed: (error) => {
              if (handleOf(server) === handle) putHandle(server, null);
              process.nextTick(() => server.emit("error", error));
            },
          },
        );
        putHandle(server, handle);
        return undefined;
      },
  );
}

function hijackTls(stack: Stack): void {
  replace(
    tls,
    "connect",
    (original) =>
      function connect(this: unknown, ...args: unknown[]) {
        const [given, callback] = stack.node.connectArguments(args);
        // As node:tls: those of TLS may come behind a port and a host.
        const more = args.slice(1, 3).find((arg) => typeof arg === "object" && arg !== null);
        const options = Object.assign(given, more) as ConnectOptions & ConnectionOptions;
        if (options.socket || !isKernels(stack, options)) return original.apply(this, args);
        return connectSecurely(original, options, callback);
      },
  );
}

/** TLS is told of the socket below it: one that it makes itself has a handle of the host's. */
function connectSecurely(
  original: Method,
  options: ConnectionOptions,
  callback: (() => void) | null,
): unknown {
  const {
    timeout,
    onread: _onread,
    ...below
  } = options as ConnectionOptions & {
    onread?: unknown;
  };
  const socket = nodeConnect(below as never);
  try {
    const secure = original.call(tls, { ...options, socket }, callback ?? undefined) as Socket;
    if (timeout) secure.setTimeout(timeout);
    for (const event of ["lookup", "ready"])
      socket.on(event, (...values) => secure.emit(event, ...values));
    return secure;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
