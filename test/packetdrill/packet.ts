// IP packets as bytes: those that the kernel sends, and those that are made for it.
// Formats: RFC 791, 8200, 9293, 768, 792, 4443.

import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../src/abi/constants/in.ts";
import { IPPROTO_ICMPV6 } from "../../src/abi/constants/in6.ts";
import { addWords, finish } from "../../src/link/checksum.ts";
import { Mismatch } from "./errors.ts";
import { decodeOptions, encodeOptions, formatOptions } from "./tcp-options.ts";
import type { TcpOption } from "./tcp-options.ts";

/** By the letters of scripts: AE is the flag that was NS once (RFC 9768). */
export const TCP_FLAGS: ReadonlyMap<string, number> = new Map([
  ["F", 0x001],
  ["S", 0x002],
  ["R", 0x004],
  ["P", 0x008],
  [".", 0x010],
  ["U", 0x020],
  ["E", 0x040],
  ["W", 0x080],
  ["A", 0x100],
]);
export const FLAG_FIN = 0x001;
export const FLAG_SYN = 0x002;
export const FLAG_RST = 0x004;
export const FLAG_PSH = 0x008;
export const FLAG_ACK = 0x010;
export const FLAG_URG = 0x020;
export const FLAG_ECE = 0x040;
export const FLAG_CWR = 0x080;
export const FLAG_AE = 0x100;
/** As other programs call them. */
export const TCP_FLAG_NAMES = {
  FIN: FLAG_FIN,
  SYN: FLAG_SYN,
  RST: FLAG_RST,
  PSH: FLAG_PSH,
  ACK: FLAG_ACK,
  URG: FLAG_URG,
} as const;
/** The flags that are a counter with accurate ECN, as bits 0, 1 and 2. */
export const ACE_FLAGS = [FLAG_ECE, FLAG_CWR, FLAG_AE] as const;

export const ECN_MASK = 3;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const ICMP_HEADER_BYTES = 8;
const DONT_FRAGMENT = 0x4000;
const DEFAULT_TTL = 255;
/** Of a datagram that may have been segmented for the wire. */
export const MAX_PACKET_BYTES = 65535 + IPV6_HEADER_BYTES;

export interface IpHeader {
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly tos: number;
  readonly ttl: number;
  readonly flowLabel: number;
}

export interface TcpSegment {
  readonly protocol: "tcp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
  readonly payload: Uint8Array;
}

export interface UdpDatagram {
  readonly protocol: "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

export interface IcmpMessage {
  readonly protocol: "icmp";
  readonly type: number;
  readonly code: number;
  /** The four bytes behind the checksum. */
  readonly rest: number;
  readonly payload: Uint8Array;
}

export interface Packet {
  readonly ip: IpHeader;
  readonly body: TcpSegment | UdpDatagram | IcmpMessage;
}

const isV4 = ({ source }: IpHeader) => source.length === 4;

function encodeTcp(segment: TcpSegment): Uint8Array {
  const options = encodeOptions(segment.options);
  const header = TCP_HEADER_BYTES + options.length;
  const bytes = new Uint8Array(header + segment.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, segment.sourcePort);
  view.setUint16(2, segment.destinationPort);
  view.setUint32(4, segment.sequence);
  view.setUint32(8, segment.acknowledgment);
  view.setUint16(12, ((header / 4) << 12) | segment.flags);
  view.setUint16(14, segment.window);
  view.setUint16(18, segment.urgent);
  bytes.set(options, TCP_HEADER_BYTES);
  bytes.set(segment.payload, header);
  return bytes;
}

function encodeUdp(datagram: UdpDatagram): Uint8Array {
  const bytes = new Uint8Array(UDP_HEADER_BYTES + datagram.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, datagram.sourcePort);
  view.setUint16(2, datagram.destinationPort);
  view.setUint16(4, bytes.length);
  bytes.set(datagram.payload, UDP_HEADER_BYTES);
  return bytes;
}

function encodeIcmp(message: IcmpMessage): Uint8Array {
  const bytes = new Uint8Array(ICMP_HEADER_BYTES + message.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, message.type);
  view.setUint8(1, message.code);
  view.setUint32(4, message.rest);
  bytes.set(message.payload, ICMP_HEADER_BYTES);
  return bytes;
}

/** The sum of the header that is only thought of (RFC 9293, section 3.1; RFC 8200, section 8.1). */
function pseudoSum(ip: IpHeader, protocol: number, length: number): number {
  const addresses = addWords(0, ip.source, 0, ip.source.length);
  return addWords(addresses, ip.destination, 0, ip.destination.length) + protocol + length;
}

function protocolOf(ip: IpHeader, body: Packet["body"]): number {
  if (body.protocol === "tcp") return IPPROTO_TCP;
  if (body.protocol === "udp") return IPPROTO_UDP;
  return isV4(ip) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
}

/** An IP header, with the checksum that it has in version 4. */
function encodeIp(ip: IpHeader, protocol: number, length: number): Uint8Array {
  if (isV4(ip)) {
    const bytes = new Uint8Array(IPV4_HEADER_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 0x4500 | ip.tos);
    view.setUint16(2, IPV4_HEADER_BYTES + length);
    view.setUint16(6, DONT_FRAGMENT);
    view.setUint8(8, ip.ttl || DEFAULT_TTL);
    view.setUint8(9, protocol);
    bytes.set(ip.source, 12);
    bytes.set(ip.destination, 16);
    view.setUint16(10, finish(addWords(0, bytes, 0, bytes.length)));
    return bytes;
  }
  const bytes = new Uint8Array(IPV6_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, (6 << 28) | (ip.tos << 20) | ip.flowLabel);
  view.setUint16(4, length);
  view.setUint8(6, protocol);
  view.setUint8(7, ip.ttl || DEFAULT_TTL);
  bytes.set(ip.source, 8);
  bytes.set(ip.destination, 24);
  return bytes;
}

/** A packet's bytes, with checksums. */
export function encode({ ip, body }: Packet): Uint8Array {
  const protocol = protocolOf(ip, body);
  let bytes: Uint8Array;
  let checksumAt: number;
  if (body.protocol === "tcp") {
    bytes = encodeTcp(body);
    checksumAt = 16;
  } else if (body.protocol === "udp") {
    bytes = encodeUdp(body);
    checksumAt = 6;
  } else {
    bytes = encodeIcmp(body);
    checksumAt = 2;
  }
  const pseudo = protocol === IPPROTO_ICMP ? 0 : pseudoSum(ip, protocol, bytes.length);
  const sum = finish(addWords(pseudo, bytes, 0, bytes.length));
  new DataView(bytes.buffer).setUint16(
    checksumAt,
    sum === 0 && protocol === IPPROTO_UDP ? 0xffff : sum,
  );
  const header = encodeIp(ip, protocol, bytes.length);
  const packet = new Uint8Array(header.length + bytes.length);
  packet.set(header);
  packet.set(bytes, header.length);
  return packet;
}

function decodeIp(bytes: Uint8Array): { ip: IpHeader; protocol: number; rest: Uint8Array } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = bytes[0] >> 4;
  if (version === 4 && bytes.length >= IPV4_HEADER_BYTES) {
    const header = (bytes[0] & 15) * 4;
    if (finish(addWords(0, bytes, 0, header)) !== 0) throw new Mismatch("bad outbound IP checksum");
    return {
      ip: {
        source: bytes.slice(12, 16),
        destination: bytes.slice(16, 20),
        tos: bytes[1],
        ttl: bytes[8],
        flowLabel: 0,
      },
      protocol: bytes[9],
      rest: bytes.subarray(header, view.getUint16(2)),
    };
  }
  if (version === 6 && bytes.length >= IPV6_HEADER_BYTES)
    return {
      ip: {
        source: bytes.slice(8, 24),
        destination: bytes.slice(24, 40),
        tos: (view.getUint16(0) >> 4) & 0xff,
        ttl: bytes[7],
        flowLabel: view.getUint32(0) & 0xfffff,
      },
      protocol: bytes[6],
      rest: bytes.subarray(IPV6_HEADER_BYTES, IPV6_HEADER_BYTES + view.getUint16(4)),
    };
  throw new Mismatch(`a packet of ${bytes.length} bytes with IP version ${version}`);
}

function decodeTcp(rest: Uint8Array): TcpSegment {
  if (rest.length < TCP_HEADER_BYTES) throw new Mismatch(`a TCP segment of ${rest.length} bytes`);
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
  const header = (rest[12] >> 4) * 4;
  return {
    protocol: "tcp",
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    sequence: view.getUint32(4),
    acknowledgment: view.getUint32(8),
    flags: view.getUint16(12) & 0xfff,
    window: view.getUint16(14),
    urgent: view.getUint16(18),
    options: decodeOptions(rest.subarray(TCP_HEADER_BYTES, header)),
    payload: rest.slice(header),
  };
}

/** @returns undefined for a protocol that scripts do not speak of @throws {Mismatch} */
export function decode(bytes: Uint8Array): Packet | undefined {
  const { ip, protocol, rest } = decodeIp(bytes);
  const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
  if (protocol === IPPROTO_TCP) return { ip, body: decodeTcp(rest) };
  if (rest.length < UDP_HEADER_BYTES) return undefined;
  if (protocol === IPPROTO_UDP)
    return {
      ip,
      body: {
        protocol: "udp",
        sourcePort: view.getUint16(0),
        destinationPort: view.getUint16(2),
        payload: rest.slice(UDP_HEADER_BYTES),
      },
    };
  if (protocol !== IPPROTO_ICMP && protocol !== IPPROTO_ICMPV6) return undefined;
  return {
    ip,
    body: {
      protocol: "icmp",
      type: rest[0],
      code: rest[1],
      rest: view.getUint32(4),
      payload: rest.slice(ICMP_HEADER_BYTES),
    },
  };
}

/** "SEW.": in the order in which scripts mostly have them. */
function formatFlags(flags: number): string {
  const letters = Array.from("SFRPUEWA.").filter((letter) => flags & TCP_FLAGS.get(letter)!);
  return letters.join("") || "-";
}

/** What a segment says, where a script may leave something open. */
export interface SegmentWords {
  readonly flags: number;
  readonly sequence: number;
  readonly payloadBytes: number;
  readonly acknowledgment: number;
  readonly window: number | undefined;
  readonly urgent: number;
  readonly options: readonly TcpOption[] | null;
}

/** A segment as a script would say it. */
export function formatSegment(words: SegmentWords): string {
  const { flags, sequence, payloadBytes, window, options } = words;
  const end = (sequence + payloadBytes) >>> 0;
  const parts = [formatFlags(flags), `${sequence}:${end}(${payloadBytes})`];
  if (flags & FLAG_ACK) parts.push(`ack ${words.acknowledgment}`);
  if (window !== undefined) parts.push(`win ${window}`);
  if (flags & FLAG_URG) parts.push(`urg ${words.urgent}`);
  if (options === null) parts.push("<...>");
  else if (options.length) parts.push(`<${formatOptions(options)}>`);
  return parts.join(" ");
}

const ECN_NAMES = ["", "[ect1] ", "[ect0] ", "[ce] "] as const;

/** As a script would say it. */
export function format({ ip, body }: Packet): string {
  const ecn = ECN_NAMES[ip.tos & ECN_MASK];
  if (body.protocol === "udp") return `${ecn}udp (${body.payload.length})`;
  if (body.protocol === "icmp") return `${ecn}icmp type ${body.type} code ${body.code}`;
  return ecn + formatSegment({ ...body, payloadBytes: body.payload.length });
}
