// The blocks of a capture file (draft-ietf-opsawg-pcapng), little-endian, with nanoseconds.

const BLOCK_SECTION = 0x0a0d0d0a;
const BLOCK_INTERFACE = 1;
const BLOCK_NAMES = 4;
const BLOCK_STATISTICS = 5;
const BLOCK_PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const LINKTYPE_ETHERNET = 1;

const OPT_END = 0;
const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;
const NRB_IPV4 = 1;

/** Timestamps count 10^-9 seconds. */
const RESOLUTION = 9;
const INBOUND = 1;
const OUTBOUND = 2;
/** Options have lengths of 16 bits. */
const MAX_TEXT_BYTES = 65532;

const encoder = new TextEncoder();
const align = (length: number): number => (length + 3) & ~3;

type Value = string | Uint8Array | number | bigint;
type Option = readonly [code: number, value: Value | undefined];

function bytesOf(value: Value): Uint8Array {
  if (typeof value === "string") return encoder.encode(value).subarray(0, MAX_TEXT_BYTES);
  if (typeof value === "number") return new Uint8Array(Uint32Array.of(value).buffer);
  if (typeof value === "bigint") return new Uint8Array(BigUint64Array.of(value).buffer);
  return value;
}

/** A block: type, length, a fixed part, data, options, length. */
function block(
  type: number,
  fixed: readonly number[],
  data: readonly Uint8Array[],
  dataBytes: number,
  options: readonly Option[],
): Uint8Array<ArrayBuffer> {
  const given = options.flatMap(([code, value]) =>
    value === undefined ? [] : [{ code, bytes: bytesOf(value) }],
  );
  const optionBytes = given.reduce((sum, { bytes }) => sum + 4 + align(bytes.length), 0);
  const length = 12 + 4 * fixed.length + align(dataBytes) + (given.length ? optionBytes + 4 : 0);
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  let at = 8;
  for (const word of fixed) {
    view.setUint32(at, word, true);
    at += 4;
  }
  const end = at + dataBytes;
  for (const bytes of data) {
    const part = bytes.subarray(0, end - at);
    out.set(part, at);
    at += part.length;
  }
  at = align(end);
  for (const { code, bytes } of given) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, bytes.length, true);
    out.set(bytes, at + 4);
    at += 4 + align(bytes.length);
  }
  if (given.length) view.setUint32(at, OPT_END, true);
  view.setUint32(length - 4, length, true);
  return out;
}

const timestamp = (ns: bigint): [high: number, low: number] => [
  Number(ns >> 32n),
  Number(ns & 0xffffffffn),
];

/** How a file begins. */
export function sectionBlock(comment?: string): Uint8Array<ArrayBuffer> {
  // Version 1.0; of a length that is not told.
  return block(BLOCK_SECTION, [BYTE_ORDER, 1, 0xffffffff, 0xffffffff], [], 0, [
    [OPT_COMMENT, comment],
    [SHB_USERAPPL, "liblinux"],
  ]);
}

/** An interface, numbered in the order of their blocks. */
export function interfaceBlock(
  name: string,
  snapBytes: number,
  comment?: string,
): Uint8Array<ArrayBuffer> {
  return block(BLOCK_INTERFACE, [LINKTYPE_ETHERNET, snapBytes], [], 0, [
    [OPT_COMMENT, comment],
    [IF_NAME, name],
    [IF_DESCRIPTION, name],
    [IF_TSRESOL, Uint8Array.of(RESOLUTION)],
  ]);
}

/** Names of IPv4 addresses, each of four bytes. */
export function namesBlock(
  names: Iterable<readonly [address: Uint8Array, name: string]>,
): Uint8Array<ArrayBuffer> {
  const records: Uint8Array[] = [];
  let total = 4;
  for (const [address, name] of names) {
    const text = encoder.encode(name).subarray(0, MAX_TEXT_BYTES - 8);
    const record = new Uint8Array(4 + align(address.length + text.length + 1));
    const view = new DataView(record.buffer);
    view.setUint16(0, NRB_IPV4, true);
    view.setUint16(2, address.length + text.length + 1, true);
    record.set(address, 4);
    record.set(text, 4 + address.length);
    records.push(record);
    total += record.length;
  }
  records.push(new Uint8Array(4));
  return block(BLOCK_NAMES, [], records, total, []);
}

export interface Packet {
  /** Which interface it passed. */
  readonly interface: number;
  /** Since 1970, in nanoseconds. */
  readonly timeNs: bigint;
  readonly inbound: boolean;
  /** Its bytes, in turn; what is beyond `capturedBytes` is left out. */
  readonly pieces: readonly Uint8Array[];
  readonly capturedBytes: number;
  readonly lengthBytes: number;
  readonly comment?: string | undefined;
}

export function packetBlock(packet: Packet): Uint8Array<ArrayBuffer> {
  return block(
    BLOCK_PACKET,
    [packet.interface, ...timestamp(packet.timeNs), packet.capturedBytes, packet.lengthBytes],
    packet.pieces,
    packet.capturedBytes,
    [
      [OPT_COMMENT, packet.comment],
      [EPB_FLAGS, packet.inbound ? INBOUND : OUTBOUND],
    ],
  );
}

/** How many frames passed an interface, and how many of them are missing in the file. */
export function statisticsBlock(
  number: number,
  timeNs: bigint,
  frames: number,
  dropped: number,
): Uint8Array<ArrayBuffer> {
  return block(BLOCK_STATISTICS, [number, ...timestamp(timeNs)], [], 0, [
    [ISB_IFRECV, BigInt(frames)],
    [ISB_IFDROP, BigInt(dropped)],
  ]);
}
