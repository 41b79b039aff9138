// .xz files (The .xz File Format, version 1.2): streams of blocks, each stream with an index of its
// blocks at its end.

import { Crc64, crc32 } from "./crc.ts";
import type { Format, Piece } from "./format.ts";
import { CorruptError } from "./input.ts";
import type { ByteSource, Input } from "./input.ts";
import { Lzma } from "./lzma.ts";
import { Sha256 } from "./sha256.ts";

const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC = [0x59, 0x5a];
const HEADER_BYTES = 12;
const MIN_BLOCK_BYTES = 8;
/** The most memory for what matches reach back to: that of `xz -9` is 64 MiB. */
const MAX_DICTIONARY_BYTES = 256 << 20;

const CHECK_CRC32 = 1;
const CHECK_CRC64 = 4;
const CHECK_SHA256 = 10;
/** By type; those between are not in use yet, but their sizes are. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

const FILTER_LZMA2 = 0x21;
const FILTERS: Record<number, string> = {
  3: "Delta",
  4: "x86",
  5: "PowerPC",
  6: "IA-64",
  7: "ARM",
  8: "ARM-Thumb",
  9: "SPARC",
  10: "ARM64",
  11: "RISC-V",
};

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Numbers of variable length (section 1.2), within bytes that are all there. */
class Numbers {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let scale = 1, i = 0; i < 9 && this.at < this.bytes.length; scale *= 128, i++) {
      const byte = this.bytes[this.at++];
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
    }
    throw new CorruptError("a number that does not end");
  }
}

/** The CRC-32 that the last four bytes are of those before. */
function checkSum(bytes: Uint8Array, what: string): void {
  const end = bytes.length - 4;
  if (crc32(bytes.subarray(0, end)) !== viewOf(bytes).getUint32(end, true))
    throw new CorruptError(`its ${what}'s checksum is another`);
}

/** @returns the type of the blocks' checks */
function checkFlags(first: number, second: number): number {
  if (first !== 0 || second > 15) throw new CorruptError("flags that are not known");
  return second;
}

interface Stream {
  /** Where it starts in the file. */
  readonly position: number;
  /** Of its blocks: bytes in the file without padding, and in the image. */
  readonly blocks: readonly (readonly [number, number])[];
  readonly check: number;
}

const padded = (bytes: number) => Math.ceil(bytes / 4) * 4;

/** The stream that ends at a place. */
async function readStream(source: ByteSource, end: number): Promise<Stream> {
  const none = () =>
    new CorruptError("there is no end of a stream where one should be: it was cut short");
  if (end < 2 * HEADER_BYTES) throw none();
  const footer = await source.read(end - HEADER_BYTES, HEADER_BYTES);
  if (footer[10] !== FOOTER_MAGIC[0] || footer[11] !== FOOTER_MAGIC[1]) throw none();
  if (crc32(footer.subarray(4, 10)) !== viewOf(footer).getUint32(0, true))
    throw new CorruptError("its footer's checksum is another");
  const check = checkFlags(footer[8], footer[9]);
  const indexBytes = (viewOf(footer).getUint32(4, true) + 1) * 4;
  const indexAt = end - HEADER_BYTES - indexBytes;
  if (indexAt < HEADER_BYTES) throw new CorruptError("an index larger than the file");
  const blocks = readIndex(await source.read(indexAt, indexBytes));
  const size = blocks.reduce((sum, [bytes]) => sum + padded(bytes), 0);
  const position = indexAt - size - HEADER_BYTES;
  if (position < 0) throw new CorruptError("an index of more blocks than the file has");
  const header = await source.read(position, HEADER_BYTES);
  if (!MAGIC.every((byte, i) => header[i] === byte))
    throw new CorruptError("there is no start of a stream where its index says");
  checkSum(header.slice(6), "header");
  if (checkFlags(header[6], header[7]) !== check)
    throw new CorruptError("a header and a footer that differ");
  return { position, blocks, check };
}

function readIndex(bytes: Uint8Array): [number, number][] {
  checkSum(bytes, "index");
  if (bytes[0] !== 0) throw new CorruptError("there is no index where the footer says");
  const numbers = new Numbers(bytes.subarray(0, -4), 1);
  const blocks: [number, number][] = [];
  for (let left = numbers.next(); left > 0; left--) {
    const block: [number, number] = [numbers.next(), numbers.next()];
    if (block[0] < MIN_BLOCK_BYTES) throw new CorruptError("an index with a block too small");
    blocks.push(block);
  }
  return blocks;
}

/** Streams may have zeroes behind them, four by four. @returns where those start */
async function skipPadding(source: ByteSource, end: number): Promise<number> {
  let at = end;
  while (at >= 4) {
    const from = Math.max(0, at - 65536);
    const bytes = await source.read(from, at - from);
    let left = bytes.length;
    while (
      left >= 4 &&
      !bytes[left - 1] &&
      !bytes[left - 2] &&
      !bytes[left - 3] &&
      !bytes[left - 4]
    )
      left -= 4;
    at = from + left;
    if (left >= 4) break;
  }
  return at;
}

async function index(source: ByteSource): Promise<Piece[]> {
  const streams: Stream[] = [];
  for (let end = source.sizeBytes; end > 0;) {
    end = await skipPadding(source, end);
    if (end === 0 && streams.length) throw new CorruptError("zeroes before its first stream");
    const stream = await readStream(source, end);
    streams.unshift(stream);
    end = stream.position;
  }
  const pieces: Piece[] = [];
  let start = 0;
  for (const { position, blocks, check } of streams) {
    let at = position + HEADER_BYTES;
    for (const [bytes, length] of blocks) {
      pieces.push({ position: at, start, length, detail: check });
      at += padded(bytes);
      start += length;
    }
  }
  return pieces;
}

/** What is taken of the blocks' contents, to be compared at their ends. */
interface Check {
  add(bytes: Uint8Array): void;
  /** Whether it is what the file has. */
  agrees(stored: Uint8Array): boolean;
}

/** Types that are not in use yet are not checked. */
function makeCheck(type: number): Check {
  if (type === CHECK_CRC32) {
    let crc = 0;
    return {
      add: (bytes) => (crc = crc32(bytes, crc)),
      agrees: (stored) => viewOf(stored).getUint32(0, true) === crc,
    };
  }
  if (type === CHECK_CRC64) {
    const crc = new Crc64();
    return {
      add: (bytes) => crc.add(bytes),
      agrees(stored) {
        const [low, high] = crc.halves;
        const view = viewOf(stored);
        return view.getUint32(0, true) === low && view.getUint32(4, true) === high;
      },
    };
  }
  if (type === CHECK_SHA256) {
    const sha = new Sha256();
    return {
      add: (bytes) => sha.add(bytes),
      agrees: (stored) => sha.digest().every((byte, i) => byte === stored[i]),
    };
  }
  return { add: () => {}, agrees: () => true };
}

/** @returns the size of the dictionary */
async function readBlockHeader(input: Input): Promise<number> {
  await input.need(1);
  const length = (input.bytes[input.at] + 1) * 4;
  const header = (await input.take(length)).slice();
  checkSum(header, "block header");
  const flags = header[1];
  if (header[0] === 0 || flags & 0x3c) throw new CorruptError("a block header with unknown flags");
  const numbers = new Numbers(header.subarray(0, -4), 2);
  if (flags & 0x40) numbers.next();
  if (flags & 0x80) numbers.next();
  const filters: number[] = [];
  let dictionaryBytes = 0;
  for (let left = (flags & 3) + 1; left > 0; left--) {
    const id = numbers.next();
    const size = numbers.next();
    filters.push(id);
    dictionaryBytes = dictionaryOf(numbers.bytes[numbers.at]);
    numbers.at += size;
  }
  const [first] = filters;
  if (filters.length !== 1 || first !== FILTER_LZMA2)
    throw new CorruptError(
      `the filter ${FILTERS[first] ?? `0x${first.toString(16)}`}, which is not supported here: unpack it with xz`,
    );
  return dictionaryBytes;
}

function dictionaryOf(bits: number): number {
  const size = bits === 40 ? 0xffffffff : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  return size;
}

/** Section 5.3.1. */
async function* decodeLzma2(input: Input, lzma: Lzma): AsyncGenerator<Uint8Array, void> {
  let needsDictionary = true;
  let needsProperties = true;
  for (;;) {
    const [control] = await input.take(1);
    if (control === 0) return;
    if (control < 0x80) {
      if (control > 2 || (needsDictionary && control !== 1))
        throw new CorruptError(`a chunk of type ${control}`);
      if (control === 1) lzma.resetDictionary();
      needsDictionary = false;
      const [high, low] = await input.take(2);
      yield lzma.copy(await input.take(((high << 8) | low) + 1));
      continue;
    }
    const reset = (control >> 5) & 3;
    if ((needsDictionary && reset !== 3) || (needsProperties && reset < 2))
      throw new CorruptError("a first chunk that is not the first");
    const header = await input.take(reset >= 2 ? 5 : 4);
    const length = ((control & 31) << 16) + (header[0] << 8) + header[1] + 1;
    const packed = (header[2] << 8) + header[3] + 1;
    if (reset === 3) lzma.resetDictionary();
    if (reset >= 2) lzma.setProperties(header[4]);
    if (reset >= 1) lzma.resetState();
    needsDictionary = false;
    if (reset >= 2) needsProperties = false;
    yield lzma.decode(await input.take(packed), length);
  }
}

async function* decodeBlock(
  input: Input,
  { length, detail }: Piece,
): AsyncGenerator<Uint8Array, void> {
  const begin = input.position;
  const dictionaryBytes = await readBlockHeader(input);
  const useful = Math.min(dictionaryBytes, length);
  if (useful > MAX_DICTIONARY_BYTES)
    throw new CorruptError(
      `it takes a dictionary of ${dictionaryBytes} bytes, and ${MAX_DICTIONARY_BYTES} are allowed: unpack it with xz`,
    );
  const check = makeCheck(detail);
  let done = 0;
  for await (const bytes of decodeLzma2(input, new Lzma(useful, length))) {
    check.add(bytes);
    done += bytes.length;
    if (done > length) throw new CorruptError("a block larger than its index tells");
    yield bytes;
  }
  if (done !== length) throw new CorruptError("a block smaller than its index tells");
  const padding = await input.take(-(input.position - begin) & 3);
  if (padding.some((byte) => byte !== 0)) throw new CorruptError("a block with wrong padding");
  if (!check.agrees(await input.take(CHECK_BYTES[detail])))
    throw new CorruptError("a block whose checksum is another");
}

export const xz: Format = {
  name: "xz",
  matches: (start) => MAGIC.every((byte, i) => start[i] === byte),
  index,
  decode: decodeBlock,
};
