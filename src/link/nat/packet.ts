// Packets of IPv4 (RFC 791) and IPv6 (RFC 8200), read and made.
//
// What is read comes from a guest that nobody trusts: what does not fit its own lengths and checksums is
// no packet.

import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../abi/constants/in.ts";
import {
  IPPROTO_DSTOPTS,
  IPPROTO_FRAGMENT,
  IPPROTO_HOPOPTS,
  IPPROTO_ICMPV6,
  IPPROTO_ROUTING,
} from "../../abi/constants/in6.ts";
import { ETH_ALEN, ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from "../../abi/constants/packet.ts";
import { Iphdr, Ipv6hdr, Udphdr } from "../../abi/structs/socket.ts";
import { addWords, finish } from "../checksum.ts";
import { Frame } from "../frame.ts";
import { IPV4_BYTES, IPV6_BYTES, addressAt, addressSum, isIpv6, putAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { put16, put32, u16, u32 } from "./bytes.ts";

const IP = Iphdr.offsets;
const IP6 = Ipv6hdr.offsets;
/** The bits of frag_off (RFC 791, section 3.1). */
const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const OFFSET_MASK = 0x1fff;
const FRAGMENT_UNIT = 8;
/** The fragment header (RFC 8200, section 4.5): next header, nothing, offset and flag, identification. */
const FRAGMENT_BYTES = 8;
const FRAGMENT6_OFFSET = 2;
const FRAGMENT6_ID = 4;
const MORE_FRAGMENTS6 = 1;
/** Headers between IPv6's own and the payload, at most. */
const MAX_EXTENSIONS = 8;
const EXTENSIONS: ReadonlySet<number> = new Set([
  IPPROTO_HOPOPTS,
  IPPROTO_ROUTING,
  IPPROTO_DSTOPTS,
]);
const TTL = 64;
export const MAX_PACKET_BYTES = 65535;

/** From whom to whom. */
export interface Route {
  readonly source: Address;
  readonly target: Address;
}

export interface Packet extends Route {
  /** IPPROTO_… of the payload. */
  readonly protocol: number;
  /** How many routers it may still pass. */
  readonly hops: number;
  readonly identification: number;
  /** In bytes; with `more`, it is a fragment. */
  readonly offset: number;
  readonly more: boolean;
  /** Header and payload, whether they are given or not. */
  readonly lengthBytes: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The packet itself, or its begin, for those who are told what became of it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** IP's header, without options and extensions. */
export const headerBytes = (address: Address): number =>
  isIpv6(address) ? Ipv6hdr.size : Iphdr.size;

/** The sum of what is not in a payload but counts (RFC 9293, section 3.1; RFC 8200, section 8.1). */
export const pseudoSum = ({ source, target }: Route, protocol: number, length: number): number =>
  addressSum(source) + addressSum(target) + protocol + length;

/**
 * @param frame its bytes, or its begin with all headers: then the payload that is given ends there, too
 * @param unsummed whether its checksum is still to be made, and so not wrong
 * @param frameBytes how long it is
 */
export function readPacket(
  frame: Uint8Array<ArrayBuffer>,
  unsummed: boolean,
  frameBytes: number = frame.length,
): Packet | null {
  const type = u16(frame, 2 * ETH_ALEN);
  const bytes = frame.subarray(ETH_HLEN);
  const most = frameBytes - ETH_HLEN;
  const packet =
    type === ETH_P_IP ? read4(bytes, most) : type === ETH_P_IPV6 ? read6(bytes, most) : null;
  if (!packet) return null;
  const whole = !packet.more && packet.offset === 0;
  return !whole || unsummed || isSound(packet) ? packet : null;
}

function read4(packet: Uint8Array<ArrayBuffer>, most: number): Packet | null {
  const header = 4 * (packet[0] & 15);
  if (packet.length < Iphdr.size || packet[0] >> 4 !== 4 || header < Iphdr.size) return null;
  const length = u16(packet, IP.tot_len);
  if (length < header || length > most || header > packet.length) return null;
  if (finish(addWords(0, packet, 0, header)) !== 0) return null;
  const fragment = u16(packet, IP.frag_off);
  return {
    source: addressAt(packet, IP.saddr, IPV4_BYTES),
    target: addressAt(packet, IP.daddr, IPV4_BYTES),
    protocol: packet[IP.protocol],
    hops: packet[IP.ttl],
    identification: u16(packet, IP.id),
    offset: FRAGMENT_UNIT * (fragment & OFFSET_MASK),
    more: (fragment & MORE_FRAGMENTS) !== 0,
    lengthBytes: length,
    payload: packet.subarray(header, length),
    bytes: packet,
  };
}

function read6(packet: Uint8Array<ArrayBuffer>, most: number): Packet | null {
  if (packet.length < Ipv6hdr.size || packet[0] >> 4 !== 6) return null;
  const length = Ipv6hdr.size + u16(packet, IP6.payload_len);
  if (length > most) return null;
  const end = Math.min(length, packet.length);
  let protocol = packet[IP6.nexthdr];
  let at: number = Ipv6hdr.size;
  let [identification, offset, more] = [0, 0, false];
  for (let count = 0; EXTENSIONS.has(protocol) || protocol === IPPROTO_FRAGMENT; count++) {
    // What follows in a later fragment is not a header.
    if (count === MAX_EXTENSIONS || offset > 0 || at + FRAGMENT_UNIT > end) return null;
    const fragmented = protocol === IPPROTO_FRAGMENT;
    if (fragmented) {
      const where = u16(packet, at + FRAGMENT6_OFFSET);
      identification = u32(packet, at + FRAGMENT6_ID);
      offset = where & ~(FRAGMENT_UNIT - 1);
      more = (where & MORE_FRAGMENTS6) !== 0;
    }
    protocol = packet[at];
    at += fragmented ? FRAGMENT_BYTES : 8 * (packet[at + 1] + 1);
    if (at > end) return null;
    if (fragmented) break;
  }
  return {
    source: addressAt(packet, IP6.saddr, IPV6_BYTES),
    target: addressAt(packet, IP6.daddr, IPV6_BYTES),
    protocol,
    hops: packet[IP6.hop_limit],
    identification,
    offset,
    more,
    lengthBytes: length,
    payload: packet.subarray(at, end),
    bytes: packet,
  };
}

/** Whether a packet, which is whole, has the checksum that it should have. */
export function isSound(packet: Packet): boolean {
  const { protocol, payload, source } = packet;
  if (protocol === IPPROTO_ICMP && !isIpv6(source))
    return finish(addWords(0, payload, 0, payload.length)) === 0;
  // IPv4 lets datagrams have none.
  if (protocol === IPPROTO_UDP && !isIpv6(source) && u16(payload, Udphdr.offsets.check) === 0)
    return true;
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP && protocol !== IPPROTO_ICMPV6)
    return true;
  const sum = pseudoSum(packet, protocol, payload.length);
  return finish(addWords(sum, payload, 0, payload.length)) === 0;
}

let identification = 0;

/**
 * Ethernet's header, whose addresses are left out, IP's, and room behind them.
 *
 * @param roomBytes of the payload, what is put in there @param payloadBytes what there will be
 */
export function headers(
  { source, target }: Route,
  protocol: number,
  roomBytes: number,
  payloadBytes: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ETH_HLEN + headerBytes(target) + roomBytes);
  if (isIpv6(target)) {
    put16(bytes, 2 * ETH_ALEN, ETH_P_IPV6);
    bytes[ETH_HLEN] = 0x60;
    put16(bytes, ETH_HLEN + IP6.payload_len, payloadBytes);
    bytes[ETH_HLEN + IP6.nexthdr] = protocol;
    bytes[ETH_HLEN + IP6.hop_limit] = TTL;
    putAddress(bytes, ETH_HLEN + IP6.saddr, source);
    putAddress(bytes, ETH_HLEN + IP6.daddr, target);
    return bytes;
  }
  put16(bytes, 2 * ETH_ALEN, ETH_P_IP);
  bytes[ETH_HLEN] = 0x45;
  put16(bytes, ETH_HLEN + IP.tot_len, Iphdr.size + payloadBytes);
  put16(bytes, ETH_HLEN + IP.id, (identification = (identification + 1) & 0xffff));
  put16(bytes, ETH_HLEN + IP.frag_off, DONT_FRAGMENT);
  bytes[ETH_HLEN + IP.ttl] = TTL;
  bytes[ETH_HLEN + IP.protocol] = protocol;
  putAddress(bytes, ETH_HLEN + IP.saddr, source);
  putAddress(bytes, ETH_HLEN + IP.daddr, target);
  sumHeader(bytes);
  return bytes;
}

function sumHeader(frame: Uint8Array): void {
  put16(frame, ETH_HLEN + IP.check, 0);
  put16(frame, ETH_HLEN + IP.check, finish(addWords(0, frame, ETH_HLEN, ETH_HLEN + Iphdr.size)));
}

/** A packet of one protocol whose checksum, if it has one, is in it. */
export function packetFrame(route: Route, protocol: number, payload: Uint8Array): Frame {
  const bytes = headers(route, protocol, payload.length, payload.length);
  bytes.set(payload, bytes.length - payload.length);
  return Frame.of(bytes);
}

/** A packet that is too long for the link, in parts. */
export function fragmentFrames(
  route: Route,
  protocol: number,
  payload: Uint8Array,
  mtu: number,
): Frame[] {
  const own = isIpv6(route.target) ? FRAGMENT_BYTES : 0;
  const room = mtu - headerBytes(route.target) - own;
  const size = Math.floor(room / FRAGMENT_UNIT) * FRAGMENT_UNIT;
  const id = (identification = (identification + 1) & 0xffff);
  const frames: Frame[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const part = payload.subarray(at, at + size);
    const more = at + size < payload.length;
    const bytes = headers(route, own ? IPPROTO_FRAGMENT : protocol, own, own + part.length);
    const header = bytes.length - own;
    if (own) {
      bytes[header] = protocol;
      put16(bytes, header + FRAGMENT6_OFFSET, at | (more ? MORE_FRAGMENTS6 : 0));
      put32(bytes, header + FRAGMENT6_ID, id);
    } else {
      put16(bytes, ETH_HLEN + IP.id, id);
      put16(bytes, ETH_HLEN + IP.frag_off, (more ? MORE_FRAGMENTS : 0) | (at / FRAGMENT_UNIT));
      sumHeader(bytes);
    }
    const frame = Frame.of(bytes);
    frame.add(part);
    frames.push(frame);
  }
  return frames;
}

/** Leave a checksum of a frame to be made: at an offset of its payload. */
export function leaveChecksum(
  frame: Frame,
  header: Uint8Array,
  route: Route,
  protocol: number,
  offset: number,
): void {
  const start = ETH_HLEN + headerBytes(route.target);
  const sum = pseudoSum(route, protocol, frame.lengthBytes - start);
  put16(header, start + offset, ~finish(sum) & 0xffff);
  frame.needsChecksum = true;
  frame.checksumStart = start;
  frame.checksumOffset = offset;
}
