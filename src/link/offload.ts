// What senders leave to be done, done: checksums, and segments of TCP and UDP cut to their size.
//
// Frames come from kernels that nobody trusts: what they say of themselves is checked against
// their length, and a frame that does not fit what it says is none.

import { IPPROTO_TCP, IPPROTO_UDP } from "../abi/constants/in.ts";
import {
  ETH_HLEN,
  ETH_P_8021AD,
  ETH_P_8021Q,
  ETH_P_IP,
  ETH_P_IPV6,
} from "../abi/constants/packet.ts";
import {
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
} from "../abi/constants/virtio.ts";
import { Iphdr, Ipv6hdr, Tcphdr, Udphdr } from "../abi/structs/socket.ts";
import { addWords, finish } from "./checksum.ts";
import { MIN_FRAME_BYTES } from "./frame.ts";
import type { Frame } from "./frame.ts";

const IP = Iphdr.offsets;
const IP6 = Ipv6hdr.offsets;
const TCP = Tcphdr.offsets;
const UDP = Udphdr.offsets;

/** A VLAN's tag: its type, and what is in it. */
const TAG_BYTES = 4;
const MAX_TAGS = 2;
/** Headers that are repeated in each part, at most; and the least payload of a part, as Linux has it. */
const MAX_HEADER_BYTES = 512;
const MIN_PART_BYTES = 8;
/** Where the flags of a segment are (RFC 9293, section 3.1), and some of them. */
const TCP_FLAGS = 13;
const FIN = 0x01;
const PSH = 0x08;
const CWR = 0x80;

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at] << 8) | bytes[at + 1];

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

/** Where the network's header begins, and of which protocol it is. */
function network(bytes: Uint8Array): { at: number; type: number } {
  let at = ETH_HLEN;
  let type = u16(bytes, at - 2);
  for (let tags = 0; tags < MAX_TAGS; tags++) {
    if ((type !== ETH_P_8021Q && type !== ETH_P_8021AD) || bytes.length < at + TAG_BYTES) break;
    at += TAG_BYTES;
    type = u16(bytes, at - 2);
  }
  return { at, type };
}

/**
 * The real frames that a frame stands for, in memory of their own: one, or those that it is to be cut
 * into. None if it contradicts itself.
 */
export function complete(frame: Frame): Uint8Array<ArrayBuffer>[] {
  const bytes = frame.bytes();
  if (bytes.length < MIN_FRAME_BYTES) return [];
  if (frame.gsoType !== VIRTIO_NET_HDR_GSO_NONE) return cut(bytes, frame);
  if (!frame.needsChecksum) return [bytes];
  const at = frame.checksumStart + frame.checksumOffset;
  if (at + 2 > bytes.length || frame.checksumStart < ETH_HLEN) return [];
  // The sum of the pseudo-header is where the checksum will be, and so a part of what is summed.
  const sum = addWords(0, bytes, frame.checksumStart, bytes.length);
  put16(bytes, at, checksumFor(frame.checksumOffset === UDP.check, sum));
  return [bytes];
}

/** UDP takes 0 for "none" (RFC 768), so it has the other form of 0; who reads TCP does not expect that. */
function checksumFor(udp: boolean, sum: number): number {
  return finish(sum) || (udp ? 0xffff : 0);
}

/** How the headers of what is cut are laid out: offsets from the start of the frame. */
interface Plan {
  readonly ip: number;
  readonly version: 4 | 6;
  readonly transport: number;
  readonly tcp: boolean;
  /** Where the payload begins. */
  readonly payload: number;
}

function plan(bytes: Uint8Array, frame: Frame): Plan | null {
  const type = frame.gsoType & ~VIRTIO_NET_HDR_GSO_ECN;
  const tcp = type === VIRTIO_NET_HDR_GSO_TCPV4 || type === VIRTIO_NET_HDR_GSO_TCPV6;
  if (!tcp && type !== VIRTIO_NET_HDR_GSO_UDP_L4) return null;
  const { at: ip, type: protocol } = network(bytes);
  const version = protocol === ETH_P_IP ? 4 : protocol === ETH_P_IPV6 ? 6 : 0;
  if (version === 0 || (tcp && (version === 4) !== (type === VIRTIO_NET_HDR_GSO_TCPV4)))
    return null;
  const least = ip + (version === 4 ? Iphdr.size : Ipv6hdr.size);
  const transport = frame.checksumStart;
  const smallest = tcp ? Tcphdr.size : Udphdr.size;
  if (!frame.needsChecksum || transport < least || transport + smallest > bytes.length) return null;
  if (version === 4 && ip + 4 * (bytes[ip] & 15) !== transport) return null;
  const payload = transport + (tcp ? 4 * (bytes[transport + 12] >> 4) : Udphdr.size);
  if (payload < transport + smallest || payload > Math.min(bytes.length, MAX_HEADER_BYTES))
    return null;
  return { ip, version, transport, tcp, payload };
}

/** Cut a segment, as the network's own segmentation does (Documentation/networking/segmentation-offloads.rst). */
function cut(bytes: Uint8Array, frame: Frame): Uint8Array<ArrayBuffer>[] {
  const layout = plan(bytes, frame);
  if (!layout || frame.gsoSize === 0) return [];
  const { payload } = layout;
  const size = Math.max(frame.gsoSize, MIN_PART_BYTES);
  const count = Math.max(1, Math.ceil((bytes.length - payload) / size));
  const all = new Uint8Array(count * payload + bytes.length - payload);
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    const from = payload + index * size;
    const to = Math.min(from + size, bytes.length);
    const part = all.subarray(at, (at += payload + to - from));
    part.set(bytes.subarray(0, payload));
    part.set(bytes.subarray(from, to), payload);
    amend(part, layout, index, index === count - 1, index * size);
    parts.push(part);
  }
  return parts;
}

/** Make the headers of a part its own. */
function amend(part: Uint8Array, layout: Plan, index: number, last: boolean, offset: number): void {
  const { ip, version, transport, tcp } = layout;
  if (version === 4) {
    put16(part, ip + IP.tot_len, part.length - ip);
    put16(part, ip + IP.id, u16(part, ip + IP.id) + index);
    put16(part, ip + IP.check, 0);
    put16(part, ip + IP.check, finish(addWords(0, part, ip, transport)));
  } else put16(part, ip + IP6.payload_len, part.length - ip - Ipv6hdr.size);
  if (tcp) {
    const seq = transport + TCP.seq;
    const next = u16(part, seq) * 0x10000 + u16(part, seq + 2) + offset;
    put16(part, seq, next / 0x10000);
    put16(part, seq + 2, next);
    if (!last) part[transport + TCP_FLAGS] &= ~(FIN | PSH);
    if (index > 0) part[transport + TCP_FLAGS] &= ~CWR;
  } else put16(part, transport + UDP.len, part.length - transport);
  const check = transport + (tcp ? TCP.check : UDP.check);
  put16(part, check, 0);
  const addresses = version === 4 ? ip + IP.saddr : ip + IP6.saddr;
  const length = part.length - transport;
  let sum = (tcp ? IPPROTO_TCP : IPPROTO_UDP) + (length >> 16) + (length & 0xffff);
  sum = addWords(sum, part, addresses, addresses + (version === 4 ? 8 : 32));
  put16(part, check, checksumFor(!tcp, addWords(sum, part, transport, part.length)));
}
