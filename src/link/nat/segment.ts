// Segments of TCP (RFC 9293), read and made.

import { IPPROTO_TCP } from "../../abi/constants/in.ts";
import { Tcphdr } from "../../abi/structs/socket.ts";
import { Frame } from "../frame.ts";
import { put16, put32, u16, u32 } from "./bytes.ts";
import { headers, leaveChecksum } from "./packet.ts";
import type { Packet, Route } from "./packet.ts";
import { lengthOf } from "./pieces.ts";
import type { Pieces } from "./pieces.ts";

const TCP = Tcphdr.offsets;
export const TCP_BYTES: number = Tcphdr.size;
/** Where a segment's flags are (section 3.1), and what they are. */
const FLAGS = 13;
export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;

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

export interface Segment extends SegmentHeader {
  readonly options: Uint8Array;
  readonly payload: Pieces;
  readonly payloadBytes: number;
}

/** @param rest what of the packet's payload is elsewhere */
export function readSegment({ payload: bytes }: Packet, rest: Pieces = []): Segment | null {
  const header = 4 * (bytes[FLAGS - 1] >> 4);
  if (bytes.length < TCP_BYTES || header < TCP_BYTES || header > bytes.length) return null;
  return {
    sourcePort: u16(bytes, TCP.source),
    targetPort: u16(bytes, TCP.dest),
    seq: u32(bytes, TCP.seq),
    ack: u32(bytes, TCP.ack_seq),
    flags: bytes[FLAGS],
    window: u16(bytes, TCP.window),
    options: bytes.subarray(TCP_BYTES, header),
    payload: [bytes.subarray(header), ...rest],
    payloadBytes: bytes.length - header + lengthOf(rest),
  };
}

const NO_OPTIONS = new Uint8Array(0);

/** A segment, whose checksum is left to be made. Its pieces are not copied. */
export function segmentFrame(route: Route, segment: SegmentHeader, pieces: Pieces): Frame {
  const { options = NO_OPTIONS } = segment;
  const header = TCP_BYTES + options.length;
  const length = header + lengthOf(pieces);
  const bytes = headers(route, IPPROTO_TCP, header, length);
  const at = bytes.length - header;
  put16(bytes, at + TCP.source, segment.sourcePort);
  put16(bytes, at + TCP.dest, segment.targetPort);
  put32(bytes, at + TCP.seq, segment.seq);
  put32(bytes, at + TCP.ack_seq, segment.ack);
  bytes[at + FLAGS - 1] = header << 2;
  bytes[at + FLAGS] = segment.flags;
  put16(bytes, at + TCP.window, segment.window);
  if (options.length) bytes.set(options, at + TCP_BYTES);
  const frame = Frame.of(bytes);
  for (const piece of pieces) frame.add(piece);
  leaveChecksum(frame, bytes, route, IPPROTO_TCP, TCP.check);
  frame.headerBytes = bytes.length;
  return frame;
}
