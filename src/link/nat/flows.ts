// Datagrams of guests: each port of a guest has a port of the host's, as long as it is used.
//
// Invariant: #flows has at most MAX_FLOWS entries, the one that was used least recently first; a flow that
// is taken out is closed.

import type { HostDatagrams, HostSockets } from "./sockets.ts";

/** Ports of guests that can be in use at once. */
export const MAX_FLOWS = 4096;
const IDLE_MS = 120_000;
const LOOK_MS = 10_000;

interface Flow {
  readonly socket: HostDatagrams;
  usedMs: number;
}

/** A datagram for a guest, from an address of the host's world. */
export type Deliver = (
  guest: number,
  guestPort: number,
  bytes: Uint8Array,
  address: string,
  port: number,
) => void;

export class Flows {
  readonly #sockets: HostSockets;
  readonly #deliver: Deliver;
  readonly #flows = new Map<string, Flow>();
  /** Those that the application has opened: they stay. */
  readonly #forwards = new Map<string, HostDatagrams>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(sockets: HostSockets, deliver: Deliver) {
    this.#sockets = sockets;
    this.#deliver = deliver;
  }

  get count(): number {
    return this.#flows.size;
  }

  /** A datagram from a guest. */
  send(guest: number, guestPort: number, bytes: Uint8Array, address: string, port: number): void {
    const key = `${guest}:${guestPort}`;
    const forward = this.#forwards.get(key);
    if (forward) return forward.send(bytes, address, port);
    const flow = this.#flows.get(key) ?? {
      socket: this.#sockets.datagrams((answer, from, fromPort) => {
        flow.usedMs = performance.now();
        this.#deliver(guest, guestPort, answer, from, fromPort);
      }),
      usedMs: 0,
    };
    flow.usedMs = performance.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    for (const [oldest] of this.#flows) {
      if (this.#flows.size <= MAX_FLOWS) break;
      this.#end(oldest);
    }
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    flow.socket.send(bytes, address, port);
  }

  /** What comes to a port of the host goes to a guest's. Returns the port, and how to end it. */
  async forward(
    address: string,
    port: number,
    guest: number,
    guestPort: number,
  ): Promise<{ port: number; close: () => void }> {
    const key = `${guest}:${guestPort}`;
    const socket = await this.#sockets.listenDatagrams(address, port, (bytes, from, fromPort) =>
      this.#deliver(guest, guestPort, bytes, from, fromPort),
    );
    this.#end(key);
    this.#forwards.get(key)?.close();
    this.#forwards.set(key, socket);
    return {
      port: socket.port,
      close: () => {
        socket.close();
        if (this.#forwards.get(key) === socket) this.#forwards.delete(key);
      },
    };
  }

  close(): void {
    for (const key of this.#flows.keys()) this.#end(key);
    for (const socket of this.#forwards.values()) socket.close();
    this.#forwards.clear();
    clearInterval(this.#timer);
  }

  #look(): void {
    const since = performance.now() - IDLE_MS;
    for (const [key, { usedMs }] of this.#flows) if (usedMs < since) this.#end(key);
    if (this.#flows.size) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #end(key: string): void {
    this.#flows.get(key)?.socket.close();
    this.#flows.delete(key);
  }
}
