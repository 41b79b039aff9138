// What goes by the host's own network although the program's does not: links, and what they stand on.
//
// Invariant: nothing that is made on the host's side holds the program. What the program waits for it
// waits for at a socket of the kernel's, which does.

import { AsyncLocalStorage } from "node:async_hooks";
import { ChildProcess } from "node:child_process";

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

/** Programs and intervals of the host's side hold nobody. Its sockets are seen to where they are made. */
export function releaseHostSide(): void {
  replace(
    ChildProcess.prototype,
    "spawn",
    (original) =>
      function spawn(this: unknown, ...args: unknown[]) {
        const result = original.apply(this, args);
        if (isOnHost()) {
          const child = this as ChildProcess;
          child.unref();
          for (const pipe of child.stdio ?? [])
            if (pipe && "unref" in pipe) (pipe as { unref(): void }).unref();
        }
        return result;
      },
  );
  replace(
    globalThis,
    "setInterval",
    (original) =>
      function setInterval(this: unknown, ...args: unknown[]) {
        const timer = original.apply(this, args) as NodeJS.Timeout;
        return isOnHost() ? timer.unref() : timer;
      },
  );
}
