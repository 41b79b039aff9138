// A socket of the kernel's that a script knows, and how the script's numbers become the live ones.
//
// Scripts choose their own initial sequence numbers, ports and timestamps; the kernel chooses its own. In
// packets with SYN the sequence numbers of scripts are absolute, in all others relative to that one.

import { Mismatch } from "./errors.ts";
import { FLAG_ACK, FLAG_SYN } from "./packet.ts";
import type { IpHeader, Packet, TcpSegment } from "./packet.ts";
import type { TcpSpec } from "./script.ts";
import { shiftSack, timestampOf, withTimestamp } from "./tcp-options.ts";

export type EndpointState =
  | "new"
  | "listening"
  | "syn-received"
  | "synack-sent"
  | "synack-acked"
  | "connecting"
  | "syn-sent"
  | "syn-acked";

export type Protocol = "tcp" | "udp" | "icmp";

/** Where packets come from and go to. */
export interface Tuple {
  local: Uint8Array;
  localPort: number;
  remote: Uint8Array;
  remotePort: number;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

export class Endpoint {
  readonly protocol: Protocol;
  state: EndpointState = "new";
  /** The script's descriptor, once it has one. */
  scriptFd: number | undefined;
  readonly live: Tuple;
  #scriptLocalIsn = 0;
  #liveLocalIsn = 0;
  #remoteIsn = 0;
  /** Timestamps that the kernel sent: live by scripted. */
  readonly #timestamps = new Map<number, number>();
  #firstTimestamp: { readonly script: number; readonly live: number } | undefined;
  #flowLabel: { readonly script: number; readonly live: number } | undefined;

  constructor(protocol: Protocol, live: Tuple, scriptFd?: number) {
    this.protocol = protocol;
    this.live = live;
    this.scriptFd = scriptFd;
  }

  /** Whether a packet of the kernel's is this socket's. */
  sends({ ip, body }: Packet): boolean {
    const { local, localPort, remote, remotePort } = this.live;
    if (!sameBytes(ip.source, local) || !sameBytes(ip.destination, remote)) return false;
    if (body.protocol !== this.protocol) return false;
    if (body.protocol === "icmp") return true;
    return body.sourcePort === localPort && body.destinationPort === remotePort;
  }

  /** Whether a packet is the first of a connection that this socket makes; then it is its own. */
  begins({ ip, body }: Packet): boolean {
    const { remote, remotePort } = this.live;
    if (!sameBytes(ip.destination, remote) || body.protocol !== this.protocol) return false;
    if (body.protocol === "icmp") {
      if (this.state !== "connecting") return false;
    } else {
      if (body.destinationPort !== remotePort) return false;
      if (body.protocol === "udp" && this.state !== "connecting") return false;
      if (body.protocol === "tcp") {
        const syn = (body.flags & (FLAG_SYN | FLAG_ACK)) === FLAG_SYN;
        if (!syn || this.state !== "syn-sent") return false;
        this.#liveLocalIsn = body.sequence;
      }
      this.live.localPort = body.sourcePort;
    }
    this.live.local = ip.source;
    return true;
  }

  /** The script says that the kernel sends its SYN, or a SYN and ACK, with this sequence number. */
  expectLocalIsn(sequence: number): void {
    this.#scriptLocalIsn = sequence;
  }

  /** The kernel has sent it. */
  learnLocalIsn(sequence: number): void {
    this.#liveLocalIsn = sequence;
  }

  /** The script's own SYN: what it says is what is sent. */
  learnRemoteIsn(sequence: number): void {
    this.#remoteIsn = sequence;
  }

  #localOffset(syn: boolean): number {
    return syn ? this.#liveLocalIsn - this.#scriptLocalIsn : this.#liveLocalIsn;
  }

  #remoteOffset(syn: boolean): number {
    return syn ? 0 : this.#remoteIsn;
  }

  /** A sequence number of the kernel's, in a packet that tells of one of its packets. */
  liveSequence(sequence: number): number {
    return (sequence + this.#localOffset(false)) >>> 0;
  }

  /**
   * A segment of the script's, as the kernel is to get it.
   *
   * @param scaled echoes of timestamps that were not sent are reckoned
   * @throws {Mismatch} if it echoes a timestamp that the kernel has not sent
   */
  inbound(spec: TcpSpec, scaled: boolean): TcpSegment {
    const syn = (spec.flags & FLAG_SYN) !== 0;
    const local = this.#localOffset(syn);
    const ack = (spec.flags & FLAG_ACK) !== 0;
    let options = shiftSack(spec.options ?? [], local);
    const timestamp = timestampOf(options);
    if (timestamp && ack)
      options = withTimestamp(options, timestamp.value, this.#liveEcho(timestamp.echo, scaled));
    return {
      protocol: "tcp",
      sourcePort: spec.ports?.source || this.live.remotePort,
      destinationPort: spec.ports?.destination || this.live.localPort,
      sequence: (spec.sequence + this.#remoteOffset(syn)) >>> 0,
      acknowledgment: ack ? (spec.acknowledgment + local) >>> 0 : spec.acknowledgment,
      flags: spec.flags,
      window: spec.window ?? 0,
      urgent: spec.urgent,
      options,
      payload: new Uint8Array(spec.payloadBytes),
    };
  }

  #liveEcho(echo: number, scaled: boolean): number {
    const live = this.#timestamps.get(echo);
    if (live !== undefined) return live;
    const first = this.#firstTimestamp;
    if (scaled && first) return (echo - first.script + first.live) >>> 0;
    throw new Mismatch(
      `unable to infer live TS ecr for script TS ecr ${echo}; no matching or preceding outbound TS val`,
    );
  }

  /** A segment of the kernel's, with the script's sequence numbers. */
  outbound(segment: TcpSegment): TcpSegment {
    const syn = (segment.flags & FLAG_SYN) !== 0;
    const remote = this.#remoteOffset(syn);
    const ack = (segment.flags & FLAG_ACK) !== 0;
    return {
      ...segment,
      sequence: (segment.sequence - this.#localOffset(syn)) >>> 0,
      acknowledgment: ack ? (segment.acknowledgment - remote) >>> 0 : segment.acknowledgment,
      options: shiftSack(segment.options, -remote),
    };
  }

  /** Remember what the script calls a timestamp that the kernel sent; give it on the script's scale. */
  scriptTimestamp(script: number, live: number): number {
    this.#timestamps.set(script, live);
    this.#firstTimestamp ??= { script, live };
    return (this.#firstTimestamp.script + (live - this.#firstTimestamp.live)) >>> 0;
  }

  /** A flow label of a script stands for one of the kernel's. @throws {Mismatch} */
  checkFlowLabel(script: number, { flowLabel }: IpHeader): void {
    if (flowLabel === 0) throw new Mismatch("flowlabel unmarked in the live packet");
    const known = this.#flowLabel;
    if (known && script === known.script && flowLabel !== known.live)
      throw new Mismatch(
        `live packet field flowlabel: expected: 0x${known.live.toString(16)} vs ` +
          `actual: 0x${flowLabel.toString(16)}`,
      );
    if (known && script !== known.script && flowLabel === known.live)
      throw new Mismatch("expected a different flowlabel but got the same");
    this.#flowLabel = { script, live: flowLabel };
  }
}
