// The packets of a script: those that it gives to the kernel, and those that the kernel has to send.
//
// Invariants: packets of the kernel's are looked at in their order, each once. #current is the socket that
// the script speaks of: the one that was made last, by a call or by a packet.

import type { Config } from "./config.ts";
import { Endpoint } from "./endpoint.ts";
import { Mismatch } from "./errors.ts";
import { icmpMessage, icmpNumbers } from "./icmp.ts";
import { FLAG_ACK, FLAG_CWR, FLAG_SYN, decode, encode, format, formatSegment } from "./packet.ts";
import type { IpHeader, Packet, TcpSegment } from "./packet.ts";
import { isSynOnly } from "./parser.ts";
import type { EventTime, IcmpSpec, PacketEvent, TcpSpec, UdpSpec } from "./script.ts";
import { timestampOf, withTimestamp } from "./tcp-options.ts";
import { rangeOf, seconds } from "./timeline.ts";
import type { Timeline } from "./timeline.ts";
import type { Tun } from "./tun.ts";
import { check, verifyContinues, verifyIp, verifyPayload, verifyTcp } from "./verify.ts";

const SECOND = 1e9;
/** How long a packet is waited for that comes at any time, and one that is late. */
const PATIENCE_NS = 300 * SECOND;
const LATE_NS = 5 * SECOND;
const FIRST_REMOTE_PORT = 33000;
const UDP_HEADER_BYTES = 8;

/** Addresses as they are in packets. */
export interface Addresses {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
}

export class Wire {
  readonly #tun: Tun;
  readonly #time: Timeline;
  readonly #config: Config;
  readonly #addresses: Addresses;
  readonly #trace: (line: string) => void;
  #current: Endpoint | undefined;
  /** Connections that a packet began, and that are not accepted yet. */
  readonly #passive: Endpoint[] = [];
  #nextRemotePort = FIRST_REMOTE_PORT;
  /** How many packets went either way. */
  packets = 0;

  constructor(
    tun: Tun,
    time: Timeline,
    config: Config,
    addresses: Addresses,
    trace: (line: string) => void,
  ) {
    this.#tun = tun;
    this.#time = time;
    this.#config = config;
    this.#addresses = addresses;
    this.#trace = trace;
  }

  /** The socket that the script speaks of. */
  get current(): Endpoint | undefined {
    return this.#current;
  }

  /** A socket was made: the script speaks of it from now on. */
  created(endpoint: Endpoint): void {
    this.#current = endpoint;
  }

  /** A socket is to connect. @param address as the kernel has it, maybe one of IPv4 mapped to IPv6 */
  connecting(endpoint: Endpoint, address: Uint8Array, port: number): void {
    if (endpoint.protocol === "tcp" && endpoint.state !== "new") return;
    endpoint.state = "connecting";
    endpoint.live.remote = address.slice(-this.#addresses.remote.length);
    endpoint.live.remotePort = port;
  }

  /** The connection that is accepted, from this port; undefined if no packet of the script began it. */
  accepted(port: number): Endpoint | undefined {
    const index = this.#passive.findIndex(({ live }) => live.remotePort === port);
    return index < 0 ? undefined : this.#passive.splice(index, 1)[0];
  }

  // --- Sockets -----------------------------------------------------------------------------------

  /** The socket that a packet of the script is of. @throws {Mismatch} if there is none */
  #endpointFor({ packet, direction }: PacketEvent): Endpoint {
    const current = this.#current;
    if (packet.protocol === "tcp") {
      if (direction === "inbound" && (!current || current.state === "listening"))
        return this.#passiveEndpoint(packet);
      if (direction === "outbound" && isSynOnly(packet) && current?.state === "connecting") {
        current.state = "syn-sent";
        current.expectLocalIsn(packet.sequence);
      }
    }
    const fits = packet.protocol === "icmp" || current?.protocol === packet.protocol;
    if (!current || !(fits || "ports" in packet))
      throw new Mismatch("no matching socket for script packet");
    return current;
  }

  /** A connection that the script's first packet makes. */
  #passiveEndpoint({ sequence }: TcpSpec): Endpoint {
    const endpoint = new Endpoint("tcp", {
      ...this.#addresses,
      localPort: this.#config.bindPort,
      remotePort: this.#nextRemotePort++,
    });
    endpoint.state = "syn-received";
    endpoint.learnRemoteIsn(sequence);
    this.#current = endpoint;
    this.#passive.push(endpoint);
    return endpoint;
  }

  // --- To the kernel -------------------------------------------------------------------------------

  /** Give the kernel a packet. @throws {Mismatch} if it cannot be what the script says */
  async inbound(event: PacketEvent): Promise<void> {
    const endpoint = this.#endpointFor(event);
    const { live } = endpoint;
    const { tos, ttl = 0, flowLabel = 0 } = event.ip;
    const ip: IpHeader = {
      source: live.remote.length ? live.remote : this.#addresses.remote,
      destination: live.local.length ? live.local : this.#addresses.local,
      tos: typeof tos === "object" ? tos.value : 0,
      ttl,
      flowLabel,
    };
    const packet: Packet = { ip, body: this.#inboundBody(event.packet, endpoint, ip) };
    this.packets++;
    this.#trace(`${seconds(this.#time.nowNs)} < ${format(packet)}`);
    await this.#time.settle(this.#tun.inject(encode(packet), this.#config.mss));
    await this.#time.idle();
  }

  #inboundBody(spec: PacketEvent["packet"], endpoint: Endpoint, ip: IpHeader): Packet["body"] {
    if (spec.protocol === "icmp") return icmpMessage(spec, ip, echoed(spec, endpoint, ip));
    if (spec.protocol === "udp") {
      const { live } = endpoint;
      return {
        protocol: "udp",
        sourcePort: spec.ports?.source || live.remotePort || this.#config.connectPort,
        destinationPort: spec.ports?.destination || live.localPort || this.#config.bindPort,
        payload: new Uint8Array(spec.payloadBytes),
      };
    }
    const { flags, sequence } = spec;
    if (endpoint.state === "synack-sent" && flags & FLAG_ACK) endpoint.state = "synack-acked";
    if (endpoint.state === "syn-sent" && flags & FLAG_SYN && flags & FLAG_ACK) {
      endpoint.state = "syn-acked";
      endpoint.learnRemoteIsn(sequence);
    }
    return endpoint.inbound(spec, this.#config.scaleEchoes);
  }

  // --- From the kernel -----------------------------------------------------------------------------

  /** The next packet that the kernel sends from a socket. @throws {Mismatch} if none comes */
  async #sniff(endpoint: Endpoint, limitNs: number): Promise<{ packet: Packet; atNs: number }> {
    await this.#time.idle();
    for (;;) {
      const next = this.#tun.sniffed.shift();
      if (next) {
        const atNs = this.#time.since(next.timeNs);
        const packet = decode(next.bytes);
        if (packet && (endpoint.sends(packet) || endpoint.begins(packet))) {
          this.#trace(`${seconds(atNs)} > ${format(packet)}`);
          this.packets++;
          return { packet, atNs };
        }
        if (packet) this.#trace(`${seconds(atNs)} > (of another socket) ${format(packet)}`);
      } else if (this.#time.nowNs >= limitNs) throw new Mismatch("Timed out waiting for packet");
      else await this.#time.passToTimer(limitNs);
    }
  }

  /** Wait for a packet of the kernel's. @throws {Mismatch} if it is another one than the script's */
  async outbound(event: PacketEvent, time: EventTime, due: number): Promise<void> {
    const endpoint = this.#endpointFor(event);
    const spec = event.packet;
    const late = rangeOf(time) + this.#time.toleranceNs(due) + LATE_NS;
    const limitNs = due + (time.kind === "any" ? PATIENCE_NS : late);
    const { packet, atNs } = await this.#sniff(endpoint, limitNs);
    let actual = packet;
    try {
      if (spec.protocol === "tcp") {
        const segment = await this.#whole(spec, endpoint, packet, limitNs);
        const body = scripted(spec, endpoint, segment);
        actual = { ...packet, body };
        this.#verifyTcp(event, spec, endpoint, packet.ip, body);
      } else verifyOther(spec, packet);
      verifyIp(event.ip, packet.ip);
      this.#time.check("outbound packet", time, due, atNs);
    } catch (error) {
      if (!(error instanceof Mismatch)) throw error;
      const wanted = `script packet: ${seconds(due).padStart(9)} ${formatSpec(spec)}`;
      const got = `actual packet: ${seconds(atNs).padStart(9)} ${format(actual)}`;
      throw new Mismatch(`${error.message}\n${wanted}\n${got}`, { cause: error });
    }
  }

  #verifyTcp(
    { ip: { flowLabel } }: PacketEvent,
    spec: TcpSpec,
    endpoint: Endpoint,
    ip: IpHeader,
    actual: TcpSegment,
  ): void {
    const { timestampTickNs, toleranceNs } = this.#config;
    verifyTcp(spec, actual, timestampTickNs ? toleranceNs / timestampTickNs : undefined);
    if (flowLabel !== undefined && ip.source.length === 16) endpoint.checkFlowLabel(flowLabel, ip);
  }

  /** The segment, or what several come to if the script has them as one. @throws {Mismatch} */
  async #whole(
    spec: TcpSpec,
    endpoint: Endpoint,
    first: Packet,
    limitNs: number,
  ): Promise<TcpSegment> {
    const parts = [segmentIn(first)];
    let length = parts[0].payload.length;
    while (length > 0 && length < spec.payloadBytes && !this.#config.strictSegments) {
      const next = segmentIn((await this.#sniff(endpoint, limitNs)).packet);
      verifyContinues(parts.at(-1)!, next);
      parts.push(next);
      length += next.payload.length;
    }
    const payload = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      payload.set(part.payload, at);
      at += part.payload.length;
    }
    // As packetdrill puts them together: the last one's header, but for where the first one begins.
    const last = parts.at(-1)!;
    const flags = (last.flags & ~FLAG_CWR) | (parts[0].flags & FLAG_CWR);
    return { ...last, sequence: parts[0].sequence, payload, flags };
  }
}

/** @throws {Mismatch} if it is none of TCP */
function segmentIn({ body }: Packet): TcpSegment {
  if (body.protocol === "tcp") return body;
  throw new Mismatch(`expected: tcp header vs actual: ${body.protocol} header`);
}

/** A segment in the script's numbers. */
function scripted(spec: TcpSpec, endpoint: Endpoint, segment: TcpSegment): TcpSegment {
  const synAck = FLAG_SYN | FLAG_ACK;
  if (endpoint.state === "syn-received" && (spec.flags & synAck) === synAck) {
    endpoint.expectLocalIsn(spec.sequence);
    endpoint.learnLocalIsn(segment.sequence);
    endpoint.state = "synack-sent";
  }
  const mapped = endpoint.outbound(segment);
  const wanted = timestampOf(spec.options ?? []);
  const sent = timestampOf(mapped.options);
  if (!wanted || !sent) return mapped;
  const value = endpoint.scriptTimestamp(wanted.value, sent.value);
  return { ...mapped, options: withTimestamp(mapped.options, value, sent.echo) };
}

/** The packet that an ICMP message tells of: one from the kernel. */
function echoed({ echoed: about }: IcmpSpec, endpoint: Endpoint, ip: IpHeader): Packet | null {
  if (!about || about.protocol === "raw") return null;
  const sent = { ...ip, source: ip.destination, destination: ip.source, ttl: 0 };
  const ports = {
    sourcePort: endpoint.live.localPort,
    destinationPort: endpoint.live.remotePort,
    payload: new Uint8Array(0),
  };
  if (about.protocol === "udp") return { ip: sent, body: { protocol: "udp", ...ports } };
  return {
    ip: sent,
    body: {
      protocol: "tcp",
      ...ports,
      sequence: endpoint.liveSequence(about.sequence),
      acknowledgment: 0,
      flags: FLAG_ACK,
      window: 0,
      urgent: 0,
      options: [],
    },
  };
}

/** @throws {Mismatch} */
function verifyOther(spec: UdpSpec | IcmpSpec, { ip, body }: Packet): void {
  if (spec.protocol !== body.protocol)
    throw new Mismatch(`expected: ${spec.protocol} header vs actual: ${body.protocol} header`);
  if (spec.protocol === "udp" && body.protocol === "udp") {
    check("udp_len", UDP_HEADER_BYTES + spec.payloadBytes, UDP_HEADER_BYTES + body.payload.length);
    verifyPayload(body.payload);
  }
  if (spec.protocol === "icmp" && body.protocol === "icmp") {
    const { type, code } = icmpNumbers(spec, ip.source.length === 4);
    check("icmp_type", type, body.type);
    check("icmp_code", code, body.code);
  }
}

/** The packet that a script expects, as it says it. */
function formatSpec(packet: PacketEvent["packet"]): string {
  if (packet.protocol === "udp") return `udp (${packet.payloadBytes})`;
  if (packet.protocol === "icmp") return `icmp ${packet.type} ${packet.code ?? ""}`.trimEnd();
  return formatSegment(packet);
}
