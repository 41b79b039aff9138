// Datagrams of UDP (RFC 768), read and made.

import { IPPROTO_UDP } from "../../abi/constants/in.ts";
import { Udphdr } from "../../abi/structs/socket.ts";
import { addWords, finish } from "../checksum.ts";
import { Frame } from "../frame.ts";
import { put16, u16 } from "./bytes.ts";
import {
  MAX_PACKET_BYTES,
  fragmentFrames,
  headerBytes,
  headers,
  leaveChecksum,
  pseudoSum,
} from "./packet.ts";
import type { Packet, Route } from "./packet.ts";

const UDP = Udphdr.offsets;
const UDP_BYTES: number = Udphdr.size;

export interface Ports {
  readonly sourcePort: number;
  readonly targetPort: number;
}

export interface Datagram extends Ports {
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

/**
 * A datagram: a frame, or several if it is longer than what a packet may have. None if no packet is so
 * long. The payload is not copied.
 */
export function datagramFrames(
  route: Route,
  ports: Ports,
  payload: Uint8Array,
  mtu: number,
): Frame[] {
  const length = UDP_BYTES + payload.length;
  const fill = (bytes: Uint8Array, at: number) => {
    put16(bytes, at + UDP.source, ports.sourcePort);
    put16(bytes, at + UDP.dest, ports.targetPort);
    put16(bytes, at + UDP.len, length);
  };
  if (headerBytes(route.target) + length <= mtu) {
    const bytes = headers(route, IPPROTO_UDP, UDP_BYTES, length);
    fill(bytes, bytes.length - UDP_BYTES);
    const frame = Frame.of(bytes);
    frame.add(payload);
    leaveChecksum(frame, bytes, route, IPPROTO_UDP, UDP.check);
    return [frame];
  }
  if (headerBytes(route.target) + length > MAX_PACKET_BYTES) return [];
  const udp = new Uint8Array(length);
  fill(udp, 0);
  udp.set(payload, UDP_BYTES);
  const sum = pseudoSum(route, IPPROTO_UDP, length);
  put16(udp, UDP.check, finish(addWords(sum, udp, 0, length)) || 0xffff);
  return fragmentFrames(route, IPPROTO_UDP, udp, mtu);
}
