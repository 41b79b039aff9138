// An empty HFS Plus volume, after Apple's technical note TN1150, for which there is no native tool.

const BLOCK = 4096;
const HEADER = 1024;
const NODE = 4096;
const NAME = "liblinux";
/** As many as one block of the bitmap can tell of. */
const MAX_BLOCKS = 8 * BLOCK;
/** Where the files of the volume itself are: blocks, and how many. */
const BITMAP = { start: 1, count: 1 };
const EXTENTS = { start: 2, count: 4 };
const CATALOG = { start: 6, count: 32 };
/** Seconds since 1904. */
const DATE = 3_700_000_000;
const ROOT_PARENT = 1;
const ROOT = 2;
const FIRST_FREE_ID = 16;
const HEADER_NODE = 1;
const LEAF_NODE = 255;
const HEADER_RECORD = 14;
const USER_RECORD = 120;
const MAP_RECORD = 248;

/** Writes numbers one after the other, the most significant byte first. */
class Writer {
  readonly #view: DataView;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset);
    this.at = at;
  }

  u8(...values: number[]): this {
    for (const value of values) this.#view.setUint8(this.at++, value);
    return this;
  }

  u16(...values: number[]): this {
    for (const value of values) {
      this.#view.setUint16(this.at, value);
      this.at += 2;
    }
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) {
      this.#view.setUint32(this.at, value);
      this.at += 4;
    }
    return this;
  }

  skip(bytes: number): this {
    this.at += bytes;
    return this;
  }

  name(text: string): this {
    return this.u16(text.length, ...Array.from(text, (one) => one.charCodeAt(0)));
  }
}

function fork(writer: Writer, place: { start: number; count: number }): void {
  const bytes = place.count * BLOCK;
  writer.u32(0, bytes, bytes, place.count, place.start, place.count).skip(7 * 8);
}

function volumeHeader(bytes: Uint8Array, at: number): void {
  const blocks = bytes.length / BLOCK;
  const used = 2 + BITMAP.count + EXTENTS.count + CATALOG.count;
  const writer = new Writer(bytes, at);
  // Signature, version, attributes (it was unmounted), who mounted it, no journal.
  writer.u16(0x482b, 4).u32(0x100, 0x31302e30, 0);
  writer.u32(DATE, DATE, 0, DATE);
  // Files, folders, blocks, clumps.
  writer.u32(0, 0, BLOCK, blocks, blocks - used, 0, BLOCK, BLOCK);
  writer.u32(FIRST_FREE_ID, 1, 0, 1).skip(32);
  fork(writer, BITMAP);
  fork(writer, EXTENTS);
  fork(writer, CATALOG);
}

/** Offsets of records, and of what is free behind them, from the end of a node. */
function offsets(bytes: Uint8Array, node: number, list: readonly number[]): void {
  for (const [i, offset] of list.entries())
    new Writer(bytes, node + NODE - 2 * (i + 1)).u16(offset);
}

interface Tree {
  readonly start: number;
  readonly count: number;
  readonly maxKeyBytes: number;
  /** Records in the one leaf; none: there is no leaf. */
  readonly records: number;
  readonly attributes: number;
}

function treeHeader(bytes: Uint8Array, tree: Tree): void {
  const node = tree.start * BLOCK;
  const leaf = tree.records ? 1 : 0;
  new Writer(bytes, node + 8).u8(HEADER_NODE, 0).u16(3);
  const writer = new Writer(bytes, node + HEADER_RECORD);
  writer.u16(leaf).u32(leaf, tree.records, leaf, leaf).u16(NODE, tree.maxKeyBytes);
  writer
    .u32(tree.count, tree.count - 1 - leaf)
    .u16(0)
    .u32(BLOCK);
  // Kind of tree, how keys compare (letters of both cases are one).
  writer.u8(0, leaf ? 0xcf : 0).u32(tree.attributes);
  bytes[node + MAP_RECORD] = leaf ? 0xc0 : 0x80;
  offsets(bytes, node, [HEADER_RECORD, USER_RECORD, MAP_RECORD, NODE - 8]);
}

/** The root folder, and where its name is. */
function catalogLeaf(bytes: Uint8Array): void {
  const node = CATALOG.start * BLOCK + NODE;
  new Writer(bytes, node + 8).u8(LEAF_NODE, 1).u16(2);
  const writer = new Writer(bytes, node + HEADER_RECORD);
  writer
    .u16(6 + 2 * NAME.length)
    .u32(ROOT_PARENT)
    .name(NAME);
  // A folder: nothing in it, its dates, its owner and mode.
  writer.u16(1, 0).u32(0, ROOT, DATE, DATE, DATE, DATE, 0);
  writer
    .u32(0, 0)
    .u8(0, 0)
    .u16(0o40755)
    .u32(0)
    .skip(32 + 8);
  const thread = writer.at - node;
  writer.u16(6).u32(ROOT).u16(0);
  writer.u16(3, 0).u32(ROOT_PARENT).name(NAME);
  offsets(bytes, node, [HEADER_RECORD, thread, writer.at - node]);
}

/** @param sizeBytes whole blocks of 4 KiB, at most 128 MiB */
export function emptyHfsPlus(sizeBytes = 4 << 20): Uint8Array<ArrayBuffer> {
  const blocks = sizeBytes / BLOCK;
  if (!Number.isInteger(blocks) || blocks > MAX_BLOCKS) throw new RangeError(`${sizeBytes} bytes`);
  const bytes = new Uint8Array(sizeBytes);
  volumeHeader(bytes, HEADER);
  volumeHeader(bytes, bytes.length - HEADER);
  const bitmap = BITMAP.start * BLOCK;
  const used = [0, blocks - 1];
  for (const { start, count } of [BITMAP, EXTENTS, CATALOG])
    for (let i = 0; i < count; i++) used.push(start + i);
  for (const block of used) bytes[bitmap + (block >> 3)] |= 0x80 >> (block & 7);
  treeHeader(bytes, { ...EXTENTS, maxKeyBytes: 10, records: 0, attributes: 2 });
  treeHeader(bytes, { ...CATALOG, maxKeyBytes: 516, records: 2, attributes: 6 });
  catalogLeaf(bytes);
  return bytes;
}
