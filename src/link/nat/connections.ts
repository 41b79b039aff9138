// The TCP connections of guests.
//
// Invariants: a connection is in #connections from its first segment until it is forgotten; there are at
// most MAX_CONNECTIONS. A timer runs while there are any.

import { setHold } from "../../machine/hold.ts";
import type { Frame } from "../frame.ts";
import type { Address } from "./address.ts";
import { Blocks } from "./blocks.ts";
import { quote } from "./icmp.ts";
import type { Packet } from "./packet.ts";
import type { Pieces } from "./pieces.ts";
import type { End } from "./plan.ts";
import { ACK, RST, SYN, readSegment, segmentFrame } from "./segment.ts";
import type { Segment } from "./segment.ts";
import type { HostFailure, HostStream, StreamListener } from "./sockets.ts";
import { TcpConnection } from "./tcp.ts";
import type { TcpHost } from "./tcp.ts";

/** TCP connections that there can be at once; further ones are refused. */
export const MAX_CONNECTIONS = 16_384;

/** What the connections need of the NAT. */
export interface ConnectionsHost {
  /** Bytes of a packet that fits the link. */
  readonly mtu: number;
  /** How often a guest that is silent is asked whether it is there. */
  readonly keepAliveMs: number;
  /** How to connect to where a guest wants to; null: it cannot, or may not. */
  wayTo(target: End): ((listener: StreamListener) => HostStream) | null;
  /** Bring a frame to a guest. False: better wait for {@link Connections.room}. */
  deliver(frame: Frame, guest: Address): boolean;
  /** Tell a guest why what it sent did not arrive. False: that is not told so. */
  unreachable(guest: Address, quoted: Uint8Array<ArrayBuffer>, why: HostFailure): boolean;
}

const keyOf = (guest: End, other: End): string =>
  guest.address + String.fromCharCode(guest.port) + other.address + String.fromCharCode(other.port);

export class Connections implements TcpHost {
  readonly blocks: Blocks = new Blocks();
  readonly #host: ConnectionsHost;
  readonly #connections = new Map<string, TcpConnection>();
  #unsettled = new Set<TcpConnection>();
  #keepAlive: ReturnType<typeof setInterval> | undefined;

  constructor(host: ConnectionsHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#connections.size;
  }

  /** A new connection between a guest and somewhere; null if there are too many. */
  open(
    guest: End,
    other: End,
    quoted: Uint8Array<ArrayBuffer> | null = null,
  ): TcpConnection | null {
    const key = keyOf(guest, other);
    if (this.#connections.has(key) || this.#connections.size >= MAX_CONNECTIONS) return null;
    const route = { source: other.address, target: guest.address };
    const ports = { port: other.port, guestPort: guest.port };
    const connection = new TcpConnection(this, key, route, ports, quoted);
    this.#connections.set(key, connection);
    if (this.#keepAlive === undefined) {
      this.#keepAlive = setInterval(() => {
        for (const one of this.#connections.values()) one.probe();
      }, this.#host.keepAliveMs);
      // The connections' own sockets hold a program, if anything does.
      setHold(this.#keepAlive, false);
    }
    return connection;
  }

  /**
   * A segment from a guest, valid until this returns. False: it is none.
   *
   * @param rest what of the packet's payload is elsewhere
   */
  receive(packet: Packet, rest: Pieces = []): boolean {
    const segment = readSegment(packet, rest);
    if (!segment) return false;
    const { flags, sourcePort, targetPort } = segment;
    const guest = { address: packet.source, port: sourcePort };
    const other = { address: packet.target, port: targetPort };
    const known = this.#connections.get(keyOf(guest, other));
    if (known) known.segment(segment);
    else if (!(flags & RST)) {
      const connect = flags & SYN && !(flags & ACK) ? this.#host.wayTo(other) : null;
      const connection = connect && this.open(guest, other, quote(packet));
      if (connection) connection.accept(segment, connect);
      else this.#refuse(packet, segment);
    }
    return true;
  }

  /** There is no such connection, and there will be none. */
  #refuse({ source, target }: Packet, segment: Segment): void {
    const { flags, seq, ack, payloadBytes, sourcePort, targetPort } = segment;
    const answer = {
      sourcePort: targetPort,
      targetPort: sourcePort,
      seq: flags & ACK ? ack : 0,
      ack: flags & ACK ? 0 : (seq + payloadBytes + (flags & SYN ? 1 : 0)) >>> 0,
      flags: flags & ACK ? RST : RST | ACK,
      window: 0,
    };
    this.deliver(segmentFrame({ source: target, target: source }, answer, []), source);
  }

  /** There is room for frames to guests again. */
  room(): void {
    for (const connection of this.#connections.values()) connection.room();
  }

  /** End all: both ends see a reset. */
  abort(): void {
    for (const connection of this.#connections.values()) connection.abort();
  }

  // --- For a connection ----------------------------------------------------------------------

  get mtu(): number {
    return this.#host.mtu;
  }

  deliver(frame: Frame, guest: Address): boolean {
    return this.#host.deliver(frame, guest);
  }

  unreachable(guest: Address, quoted: Uint8Array<ArrayBuffer>, why: HostFailure): boolean {
    return this.#host.unreachable(guest, quoted, why);
  }

  soon(connection: TcpConnection): void {
    if (this.#unsettled.size === 0) queueMicrotask(this.#settle);
    this.#unsettled.add(connection);
  }

  readonly #settle = (): void => {
    const unsettled = this.#unsettled;
    this.#unsettled = new Set();
    for (const connection of unsettled) connection.settle();
  };

  forget(connection: TcpConnection): void {
    this.#connections.delete(connection.key);
    if (this.#connections.size) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }
}
