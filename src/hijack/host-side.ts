// What goes by the host's own network although the program's does not: links, and what they stand on.
//
// Invariant: nothing that is made on the host's side holds the program. What the program waits for it
// waits for at a socket of the kernel's, which does.

import { AsyncLocalStorage } from "node:async_hooks";
import { ChildProcess } from "node:child_process";
import dgram from "node:dgram";
import { syncBuiltinESMExports } from "node:module";
import { Server, Socket } from "node:net";

import type { Frame } from "../link/index.ts";
import type { Port, Station } from "../link/index.ts";
import { replace } from "./replace.ts";

const side = new AsyncLocalStorage<"host">();

/** Do something on the host's side: its sockets, and those of all that comes of it, are the host's. */
export function onHost<T>(action: () => T): T {
  return side.run("host", action);
}

/** Whether the code that runs was started by {@link onHost}. */
export function isOnHost(): boolean {
  return side.getStore() === "host";
}

/** A link's port: what a frame makes the link do is done on the host's side. */
export class HostPort implements Port {
  readonly #port: Port;

  constructor(port: Port) {
    this.#port = port;
  }

  get up(): boolean {
    return this.#port.up;
  }

  attach(station: Station): void {
    this.#port.attach(station);
  }

  detach(station: Station): void {
    this.#port.detach(station);
  }

  send(frame: Frame): boolean {
    return onHost(() => this.#port.send(frame));
  }

  ready(): void {
    onHost(() => this.#port.ready());
  }
}

/** What can hold a program, and can stop doing so. */
interface Holder {
  unref(): unknown;
}

function isHolder(value: unknown): value is Holder {
  return typeof value === "object" && value !== null && "unref" in value;
}

/** Let a function's result, or what it is called on, hold nobody if that is on the host's side. */
function release(
  target: object,
  name: string,
  held: (self: unknown, result: unknown) => unknown[],
) {
  replace(
    target,
    name,
    (original) =>
      function (this: unknown, ...args: unknown[]) {
        const result = original.apply(this, args);
        if (isOnHost())
          for (const holder of held(this, result)) if (isHolder(holder)) holder.unref();
        return result;
      },
  );
}

/** From now on, what is made on the host's side holds nobody. */
export function releaseHostSide(): void {
  release(ChildProcess.prototype, "spawn", (child) => [
    child,
    ...((child as ChildProcess).stdio ?? []),
  ]);
  release(globalThis, "setInterval", (_global, timer) => [timer]);
  release(Socket.prototype, "connect", (socket) => [socket]);
  release(dgram, "createSocket", (_dgram, socket) => [socket]);
  release(Server.prototype, "_listen2", (server) => {
    (server as Server).prependListener("connection", (socket: Socket) => socket.unref());
    return [server];
  });
  syncBuiltinESMExports();
}
