// .zst files (RFC 8878): frames one after another.

import type { Format, Piece } from "./format.ts";
import { CorruptError, Input } from "./input.ts";
import type { ByteSource } from "./input.ts";
import { Xxh64 } from "./xxh64.ts";
import { MAX_BLOCK_BYTES, ZstdBlocks } from "./zstd-block.ts";

const MAGIC = 0xfd2fb528;
/** Of frames to leave out: the last four bits may be any. */
const SKIPPABLE_MAGIC = 0x184d2a50;
/** The longest header of a frame, magic number included. */
const MAX_HEADER_BYTES = 18;
const MIN_HEADER_BYTES = 6;
/** The most memory for what matches reach back to: that of `zstd --ultra -22` is 128 MiB. */
const MAX_WINDOW_BYTES = 256 << 20;

const RAW = 0;
const RLE = 1;
const COMPRESSED = 2;

/** A piece's detail: a frame by itself, or all frames. */
const ONE_FRAME = 1;
const ALL_FRAMES = 0;

interface Header {
  readonly bytes: number;
  readonly windowBytes: number;
  /** What it decompresses to; Infinity if it does not tell. */
  readonly contentBytes: number;
  readonly checksum: boolean;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const isSkippable = (magic: number) => (magic & ~15) === SKIPPABLE_MAGIC;

function cutShort(): CorruptError {
  return new CorruptError("the file ends too early: it was cut short");
}

/** Section 3.1.1.1. */
function parseHeader(bytes: Uint8Array): Header {
  const view = viewOf(bytes);
  if (bytes.length < MIN_HEADER_BYTES) throw cutShort();
  if (view.getUint32(0, true) !== MAGIC) throw new CorruptError("what follows is not zstd");
  const descriptor = bytes[4];
  if (descriptor & 8) throw new CorruptError("a frame with unknown flags");
  const single = (descriptor & 32) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
  const sizeFlag = descriptor >> 6;
  const sizeBytes = sizeFlag ? 1 << sizeFlag : single ? 1 : 0;
  const dictionaryAt = single ? 5 : 6;
  const sizeAt = dictionaryAt + dictionaryBytes;
  const length = sizeAt + sizeBytes;
  if (bytes.length < length) throw cutShort();
  if (bytes.subarray(dictionaryAt, sizeAt).some((byte) => byte !== 0))
    throw new CorruptError("a frame that needs a dictionary: unpack it with zstd");
  let contentBytes = Infinity;
  if (sizeBytes === 1) contentBytes = bytes[sizeAt];
  else if (sizeBytes === 2) contentBytes = view.getUint16(sizeAt, true) + 256;
  else if (sizeBytes === 4) contentBytes = view.getUint32(sizeAt, true);
  else if (sizeBytes === 8) contentBytes = Number(view.getBigUint64(sizeAt, true));
  const base = 2 ** (10 + (bytes[5] >> 3));
  const windowBytes = single ? contentBytes : base + (base / 8) * (bytes[5] & 7);
  return { bytes: length, windowBytes, contentBytes, checksum: (descriptor & 4) !== 0 };
}

interface Block {
  readonly last: boolean;
  readonly type: number;
  /** In the file, or of RLE in the image. */
  readonly size: number;
}

function parseBlock([first, second, third]: Uint8Array): Block {
  const header = first | (second << 8) | (third << 16);
  return { last: (header & 1) === 1, type: (header >> 1) & 3, size: header >> 3 };
}

/** Where the frame ends whose blocks start at a place. */
async function endOfFrame(source: ByteSource, start: number, checksum: boolean): Promise<number> {
  let at = start;
  for (let last = false; !last;) {
    const bytes = await source.read(at, 3);
    if (bytes.length < 3) throw cutShort();
    const block = parseBlock(bytes);
    at += 3 + (block.type === RLE ? 1 : block.size);
    ({ last } = block);
  }
  at += checksum ? 4 : 0;
  if (at > source.sizeBytes) throw cutShort();
  return at;
}

/** One piece a frame, if all frames tell their sizes. */
async function index(source: ByteSource, sizeBytes?: number): Promise<Piece[]> {
  const all = { position: 0, start: 0, detail: ALL_FRAMES };
  // It takes a look at every block.
  if (sizeBytes !== undefined) return [{ ...all, length: sizeBytes }];
  const pieces: Piece[] = [];
  let start = 0;
  for (let at = 0; at < source.sizeBytes;) {
    const bytes = await source.read(at, MAX_HEADER_BYTES);
    if (bytes.length >= 8 && isSkippable(viewOf(bytes).getUint32(0, true))) {
      at += 8 + viewOf(bytes).getUint32(4, true);
      continue;
    }
    if (at > 0 && (await new Input(source, at).onlyZeroesLeft())) break;
    const header = parseHeader(bytes);
    const { contentBytes: length } = header;
    if (length === Infinity) return [{ ...all, length }];
    pieces.push({ position: at, start, length, detail: ONE_FRAME });
    start += length;
    at = await endOfFrame(source, at + header.bytes, header.checksum);
  }
  return pieces;
}

async function skipFrame(input: Input): Promise<void> {
  const header = await input.take(8);
  for (let left = viewOf(header).getUint32(4, true); left > 0;) {
    await input.need(1);
    const length = Math.min(left, input.end - input.at);
    input.at += length;
    left -= length;
  }
}

async function* decodeFrame(input: Input): AsyncGenerator<Uint8Array, void> {
  const there = await input.fill(MAX_HEADER_BYTES);
  const start = input.bytes.subarray(input.at, input.at + there);
  if (there >= 8 && isSkippable(viewOf(start).getUint32(0, true))) {
    await skipFrame(input);
    return;
  }
  const header = parseHeader(start);
  const { windowBytes, contentBytes } = header;
  const useful = Math.min(windowBytes, contentBytes);
  if (useful > MAX_WINDOW_BYTES)
    throw new CorruptError(
      `it takes a window of ${windowBytes} bytes, and ${MAX_WINDOW_BYTES} are allowed: unpack it with zstd`,
    );
  input.at += header.bytes;
  const hash = header.checksum ? new Xxh64() : null;
  const blocks = new ZstdBlocks(useful, contentBytes);
  let done = 0;
  for (let last = false; !last;) {
    const block = parseBlock(await input.take(3));
    const bytes = await decodeBlock(input, block, blocks);
    ({ last } = block);
    hash?.add(bytes);
    done += bytes.length;
    if (done > contentBytes) throw new CorruptError("a frame larger than it tells");
    if (bytes.length) yield bytes;
  }
  if (contentBytes !== Infinity && done !== contentBytes)
    throw new CorruptError("a frame smaller than it tells");
  if (hash && viewOf(await input.take(4)).getUint32(0, true) !== hash.low)
    throw new CorruptError("its checksum is another");
}

async function decodeBlock(input: Input, block: Block, blocks: ZstdBlocks): Promise<Uint8Array> {
  const { type, size } = block;
  if (size > MAX_BLOCK_BYTES) throw new CorruptError("a block that is too large");
  if (type === RAW) return blocks.copy(await input.take(size));
  if (type === RLE) return blocks.repeat((await input.take(1))[0], size);
  if (type !== COMPRESSED) throw new CorruptError("a block of unknown type");
  await input.take(size);
  return blocks.decode(input.bytes, input.at - size, input.at);
}

export const zstd: Format = {
  name: "zstd",
  matches(start) {
    if (start.length < 4) return false;
    const magic = viewOf(start).getUint32(0, true);
    return magic === MAGIC || isSkippable(magic);
  },
  index,
  async *decode(input, { detail }) {
    do yield* decodeFrame(input);
    while (detail === ALL_FRAMES && !(await input.onlyZeroesLeft()));
  },
};
