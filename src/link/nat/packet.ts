// Packets of IPv4, read and made.
//
// Addresses are numbers of 32 bits. What is read comes from a guest that nobody trusts: what does not fit
// its own lengths and checksums is no packet.

import { IPPROTO_TCP, IPPROTO_UDP } from "../../abi/constants/in.ts";
import { ETH_ALEN, ETH_HLEN, ETH_P_IP } from "../../abi/constants/packet.ts";
import { Iphdr, Tcphdr, Udphdr } from "../../abi/structs/socket.ts";
import { addWords, finish } from "../checksum.ts";
import { Frame } from "../frame.ts";

const IP = Iphdr.offsets;
const TCP = Tcphdr.offsets;
const UDP = Udphdr.offsets;
export const IP_BYTES: number = Iphdr.size;
export const UDP_BYTES: number = Udphdr.size;
export const TCP_BYTES: number = Tcphdr.size;
/** The bits of frag_off (RFC 791, section 3.1). */
const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const OFFSET_MASK = 0x1fff;
const FRAGMENT_UNIT = 8;
const TTL = 64;
/** Where a segment's flags are (RFC 9293, section 3.1). */
const TCP_FLAGS = 13;
const MAX_PACKET_BYTES = 65535;

export interface Packet {
  readonly source: number;
  readonly target: number;
  readonly protocol: number;
  readonly identification: number;
  /** In bytes; with `more`, it is a fragment. */
  readonly offset: number;
  readonly more: boolean;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** Header and the first bytes of the payload, for those who are told what became of it. */
  readonly begin: Uint8Array<ArrayBuffer>;
}

export const u16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];
export const u32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;

export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value & 0xffff);
}

export const formatIpv4 = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");

/** Undefined if it is none. */
export function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256))
    return undefined;
  return parts.reduce((address, part) => address * 256 + Number(part), 0);
}

/** The sum of what is not in a segment but counts (RFC 9293, section 3.1). */
function pseudoSum(source: number, target: number, protocol: number, length: number): number {
  return (
    (source >>> 16) + (source & 0xffff) + (target >>> 16) + (target & 0xffff) + protocol + length
  );
}

/** @param frame its bytes @param summed whether its checksum is still to be made, and so not wrong */
export function readPacket(frame: Uint8Array<ArrayBuffer>, summed: boolean): Packet | null {
  const packet = frame.subarray(ETH_HLEN);
  const header = 4 * (packet[0] & 15);
  if (packet.length < IP_BYTES || packet[0] >> 4 !== 4 || header < IP_BYTES) return null;
  const length = u16(packet, IP.tot_len);
  if (length < header || length > packet.length) return null;
  if (finish(addWords(0, packet, 0, header)) !== 0) return null;
  const fragment = u16(packet, IP.frag_off);
  const result = {
    source: u32(packet, IP.saddr),
    target: u32(packet, IP.daddr),
    protocol: packet[IP.protocol],
    identification: u16(packet, IP.id),
    offset: FRAGMENT_UNIT * (fragment & OFFSET_MASK),
    more: (fragment & MORE_FRAGMENTS) !== 0,
    payload: packet.subarray(header, length),
    begin: packet.slice(0, header + 8),
  };
  const whole = !result.more && result.offset === 0;
  return !whole || summed || isSound(result) ? result : null;
}

/** Whether a packet, which is whole, has the checksum that it should have. */
export function isSound({ protocol, payload, source, target }: Packet): boolean {
  if (protocol === IPPROTO_UDP && u16(payload, UDP.check) === 0) return true;
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return true;
  const sum = pseudoSum(source, target, protocol, payload.length);
  return finish(addWords(sum, payload, 0, payload.length)) === 0;
}

export interface Segment {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options: Uint8Array;
  readonly payload: Uint8Array<ArrayBuffer>;
}

export function readSegment({ payload: bytes }: Packet): Segment | null {
  const header = 4 * (bytes[TCP_FLAGS - 1] >> 4);
  if (bytes.length < TCP_BYTES || header < TCP_BYTES || header > bytes.length) return null;
  return {
    sourcePort: u16(bytes, TCP.source),
    targetPort: u16(bytes, TCP.dest),
    seq: u32(bytes, TCP.seq),
    ack: u32(bytes, TCP.ack_seq),
    flags: bytes[TCP_FLAGS],
    window: u16(bytes, TCP.window),
    options: bytes.subarray(TCP_BYTES, header),
    payload: bytes.subarray(header),
  };
}

export interface Datagram {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly payload: Uint8Array<ArrayBuffer>;
}

export function readDatagram({ payload: bytes }: Packet): Datagram | null {
  if (bytes.length < UDP_BYTES) return null;
  const length = u16(bytes, UDP.len);
  if (length < UDP_BYTES || length > bytes.length) return null;
  return {
    sourcePort: u16(bytes, UDP.source),
    targetPort: u16(bytes, UDP.dest),
    payload: bytes.subarray(UDP_BYTES, length),
  };
}

/** Between whom a packet goes. Ethernet's addresses are left out of frames: see neighbours.ts. */
export interface Route {
  readonly source: number;
  readonly target: number;
}

let identification = 0;

/** Ethernet's and IP's headers, and room for more behind them. */
function headers(
  route: Route,
  protocol: number,
  roomBytes: number,
  packetBytes: number,
  fragment = DONT_FRAGMENT,
  id = (identification = (identification + 1) & 0xffff),
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ETH_HLEN + IP_BYTES + roomBytes);
  put16(bytes, 2 * ETH_ALEN, ETH_P_IP);
  const ip = bytes.subarray(ETH_HLEN);
  ip[0] = 0x45;
  put16(ip, IP.tot_len, packetBytes);
  put16(ip, IP.id, id);
  put16(ip, IP.frag_off, fragment);
  ip[IP.ttl] = TTL;
  ip[IP.protocol] = protocol;
  put32(ip, IP.saddr, route.source);
  put32(ip, IP.daddr, route.target);
  put16(ip, IP.check, finish(addWords(0, ip, 0, IP_BYTES)));
  return bytes;
}

/** A packet of one protocol whose checksum, if it has one, is in it. */
export function packetFrame(route: Route, protocol: number, payload: Uint8Array): Frame {
  const bytes = headers(route, protocol, payload.length, IP_BYTES + payload.length);
  bytes.set(payload, ETH_HLEN + IP_BYTES);
  return Frame.of(bytes);
}

/** What a segment says, its payload aside. */
export interface SegmentHeader {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options?: Uint8Array;
}

/** A segment, whose checksum is left to be made. Its pieces are not copied. */
export function segmentFrame(
  route: Route,
  segment: SegmentHeader,
  pieces: readonly Uint8Array[],
): Frame {
  const { options = new Uint8Array(0) } = segment;
  const header = TCP_BYTES + options.length;
  const length = pieces.reduce((sum, piece) => sum + piece.length, header);
  const bytes = headers(route, IPPROTO_TCP, header, IP_BYTES + length);
  const tcp = bytes.subarray(ETH_HLEN + IP_BYTES);
  put16(tcp, TCP.source, segment.sourcePort);
  put16(tcp, TCP.dest, segment.targetPort);
  put32(tcp, TCP.seq, segment.seq);
  put32(tcp, TCP.ack_seq, segment.ack);
  tcp[TCP_FLAGS - 1] = header << 2;
  tcp[TCP_FLAGS] = segment.flags;
  put16(tcp, TCP.window, segment.window);
  tcp.set(options, TCP_BYTES);
  const frame = Frame.of(bytes);
  for (const piece of pieces) frame.add(piece);
  leaveChecksum(frame, tcp, TCP.check, pseudoSum(route.source, route.target, IPPROTO_TCP, length));
  frame.headerBytes = bytes.length;
  return frame;
}

function leaveChecksum(frame: Frame, header: Uint8Array, at: number, sum: number): void {
  put16(header, at, ~finish(sum) & 0xffff);
  frame.needsChecksum = true;
  frame.checksumStart = ETH_HLEN + IP_BYTES;
  frame.checksumOffset = at;
}

/** A datagram: a frame, or several if it is longer than what a packet may have. */
export function datagramFrames(
  route: Route,
  sourcePort: number,
  targetPort: number,
  payload: Uint8Array,
  mtu: number,
): Frame[] {
  const length = UDP_BYTES + payload.length;
  if (IP_BYTES + length > MAX_PACKET_BYTES) return [];
  const udp = new Uint8Array(length);
  put16(udp, UDP.source, sourcePort);
  put16(udp, UDP.dest, targetPort);
  put16(udp, UDP.len, length);
  udp.set(payload, UDP_BYTES);
  const sum = pseudoSum(route.source, route.target, IPPROTO_UDP, length);
  put16(udp, UDP.check, finish(addWords(sum, udp, 0, length)) || 0xffff);
  if (IP_BYTES + length <= mtu) return [packetFrame(route, IPPROTO_UDP, udp)];
  const size = Math.floor((mtu - IP_BYTES) / FRAGMENT_UNIT) * FRAGMENT_UNIT;
  const id = (identification = (identification + 1) & 0xffff);
  const frames: Frame[] = [];
  for (let at = 0; at < length; at += size) {
    const part = udp.subarray(at, at + size);
    const more = at + size < length ? MORE_FRAGMENTS : 0;
    const where = more | (at / FRAGMENT_UNIT);
    const frame = Frame.of(headers(route, IPPROTO_UDP, 0, IP_BYTES + part.length, where, id));
    frame.add(part);
    frames.push(frame);
  }
  return frames;
}
