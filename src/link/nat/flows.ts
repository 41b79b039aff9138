// Datagrams of guests: each port of a guest has a port of the host's, as long as it is used: one for each
// version of IP that it talks to, and for its questions about names, whose answers look as if they came from
// elsewhere.
//
// Invariant: #flows has at most MAX_FLOWS entries, the one that was used least recently first; a flow that
// is taken out is closed.

import { setHold } from "../../machine/hold.ts";
import type { End, Place } from "./plan.ts";
import type { HostDatagrams, HostFailure, HostSockets } from "./sockets.ts";

/** Ports of guests that can be in use at once. */
export const MAX_FLOWS = 4096;
const IDLE_MS = 120_000;
const LOOK_MS = 10_000;

interface Flow {
  readonly socket: HostDatagrams;
  usedMs: number;
}

/** What datagrams are about. */
export type Purpose = "data" | "names";

/** A datagram for a guest, from somewhere in the host's world. */
export type Deliver = (guest: End, bytes: Uint8Array, from: Place, purpose: Purpose) => void;

/** By what a guest's port is found that sends to, or is sent to from, such places. */
const keyOf = ({ address, port }: End, place: Place, purpose: Purpose): string =>
  `${address}${String.fromCharCode(port)}${versionOf(place)}${purpose}`;

const versionOf = ({ address }: Place): 4 | 6 => (address.includes(":") ? 6 : 4);

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

  /** A datagram from a guest; `failed` if it does not leave. */
  send(
    guest: End,
    bytes: Uint8Array,
    to: Place,
    purpose: Purpose,
    failed: (why: HostFailure) => void,
  ): void {
    const key = keyOf(guest, to, purpose);
    const forward = this.#forwards.get(key);
    if (forward) return forward.send(bytes, to.address, to.port, failed);
    const flow = this.#flows.get(key) ?? {
      socket: this.#sockets.datagrams(versionOf(to), (answer, address, port) => {
        flow.usedMs = performance.now();
        this.#deliver(guest, answer, { address, port }, purpose);
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
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.#look(), LOOK_MS);
      setHold(this.#timer, false);
    }
    flow.socket.send(bytes, to.address, to.port, failed);
  }

  /** What comes to a port of the host goes to a guest's. Returns the port, and how to end it. */
  async forward(from: Place, guest: End): Promise<{ port: number; close: () => void }> {
    // What the guest sends from there leaves by the same port, if that is for such addresses.
    const key = keyOf(guest, from, "data");
    const { address, port } = from;
    const socket = await this.#sockets.listenDatagrams(address, port, (bytes, address, port) =>
      this.#deliver(guest, bytes, { address, port }, "data"),
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
