// The compressed blocks of a zstd frame (RFC 8878, section 3.1.1.3).
//
// Invariants: the last #known bytes before #to in #window are what was decompressed last, as far back
// as matches may reach; #from to #to is what is to be given out.

import {
  BackwardBits,
  decodeHuffman,
  fseTable,
  readFse,
  readHuffman,
  singleTable,
} from "./entropy.ts";
import type { FseTable, HuffmanTable } from "./entropy.ts";
import { CorruptError } from "./input.ts";

/** The most that a block decompresses to. */
export const MAX_BLOCK_BYTES = 1 << 17;

/** Lengths and offsets have codes, each with a first value and extra bits. */
interface Kind {
  readonly bases: readonly number[];
  readonly extra: readonly number[];
  readonly limits: { readonly log: number; readonly symbols: number };
  readonly predefined: FseTable;
}

/** The first values, each code covering as many as its extra bits can tell. */
function basesOf(first: number, extra: readonly number[]): number[] {
  let next = first;
  return extra.map((bits) => {
    const base = next;
    next += 2 ** bits;
    return base;
  });
}

const LITERAL_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12,
  13, 14, 15, 16,
];
const MATCH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
  1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const OFFSET_EXTRA = Array.from({ length: 32 }, (_, n) => n);

/** Section 3.1.1.3.2.2. */
const LITERAL_LENGTHS: Kind = {
  bases: basesOf(0, LITERAL_EXTRA),
  extra: LITERAL_EXTRA,
  limits: { log: 9, symbols: 36 },
  predefined: fseTable(
    [
      4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1,
      1, -1, -1, -1, -1,
    ],
    6,
  ),
};
const MATCH_LENGTHS: Kind = {
  bases: basesOf(3, MATCH_EXTRA),
  extra: MATCH_EXTRA,
  limits: { log: 9, symbols: 53 },
  predefined: fseTable(
    [
      1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    6,
  ),
};
const OFFSETS: Kind = {
  bases: OFFSET_EXTRA.map((bits) => 2 ** bits),
  extra: OFFSET_EXTRA,
  limits: { log: 8, symbols: 32 },
  predefined: fseTable(
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
    5,
  ),
};

/** A code while it is read. */
class Reader {
  readonly #kind: Kind;
  readonly #table: FseTable;
  readonly #stream: BackwardBits;
  #state: number;

  constructor(kind: Kind, table: FseTable, stream: BackwardBits) {
    this.#kind = kind;
    this.#table = table;
    this.#stream = stream;
    this.#state = stream.read(table.log);
  }

  value(): number {
    const symbol = this.#table.symbols[this.#state];
    return this.#kind.bases[symbol] + this.#stream.read(this.#kind.extra[symbol]);
  }

  advance(): void {
    const state = this.#state;
    this.#state = this.#table.bases[state] + this.#stream.read(this.#table.bits[state]);
  }
}

/** A frame's decoder: what its blocks have in common. */
export class ZstdBlocks {
  readonly #windowBytes: number;
  readonly #window: Uint8Array;
  readonly #literals = new Uint8Array(MAX_BLOCK_BYTES);
  #from = 0;
  #to = 0;
  #known = 0;
  // The last three offsets.
  #first = 1;
  #second = 4;
  #third = 8;
  #huffman: HuffmanTable | null = null;
  readonly #tables = new Map<Kind, FseTable>();

  /**
   * @param windowBytes how far back matches may reach
   * @param totalBytes how much there will be at most, if that is known
   */
  constructor(windowBytes: number, totalBytes: number) {
    this.#windowBytes = windowBytes;
    const room = windowBytes + Math.max(16 * MAX_BLOCK_BYTES, windowBytes >> 1);
    this.#window = new Uint8Array(Math.min(room, totalBytes + MAX_BLOCK_BYTES));
  }

  /** Take bytes that are not compressed. @returns them, as a view valid until the next block */
  copy(bytes: Uint8Array): Uint8Array {
    this.#makeRoom(bytes.length);
    this.#window.set(bytes, this.#to);
    this.#to += bytes.length;
    return this.#giveOut();
  }

  /** The same byte again and again. */
  repeat(byte: number, count: number): Uint8Array {
    this.#makeRoom(count);
    this.#window.fill(byte, this.#to, this.#to + count);
    this.#to += count;
    return this.#giveOut();
  }

  /**
   * Decompress the block from `start` to `end`; a few bytes behind it are looked at.
   *
   * @returns its content, as a view valid until the next block
   * @throws {CorruptError}
   */
  decode(bytes: Uint8Array, start: number, end: number): Uint8Array {
    this.#makeRoom(MAX_BLOCK_BYTES);
    const [literals, at] = this.#readLiterals(bytes, start, end);
    if (at >= end) throw new CorruptError("a block without sequences");
    const first = bytes[at];
    const [count, next] =
      first < 128
        ? [first, at + 1]
        : first < 255
          ? [((first - 128) << 8) + bytes[at + 1], at + 2]
          : [bytes[at + 1] + (bytes[at + 2] << 8) + 0x7f00, at + 3];
    let used = 0;
    if (count > 0) used = this.#sequences(bytes, next, end, count, literals);
    else if (next !== end) throw new CorruptError("a block larger than its content");
    this.#literal(literals, used, literals.length);
    return this.#giveOut();
  }

  #makeRoom(length: number): void {
    if (this.#to + length > this.#window.length) {
      const kept = Math.min(this.#known, this.#windowBytes);
      this.#window.copyWithin(0, this.#to - kept, this.#to);
      this.#to = kept;
      if (kept + length > this.#window.length) throw new CorruptError("more than its header tells");
    }
    this.#from = this.#to;
  }

  #giveOut(): Uint8Array {
    const bytes = this.#window.subarray(this.#from, this.#to);
    this.#known = Math.min(this.#windowBytes, this.#known + bytes.length);
    return bytes;
  }

  /** @returns the literals, and where their section ends */
  #readLiterals(bytes: Uint8Array, start: number, end: number): [Uint8Array, number] {
    const first = bytes[start];
    const type = first & 3;
    const format = (first >> 2) & 3;
    if (type >= 2) return this.#readPacked(bytes, start, end, type === 3);
    const headerBytes = format === 1 ? 2 : format === 3 ? 3 : 1;
    const header = first | (bytes[start + 1] << 8) | (bytes[start + 2] << 16);
    const length = headerBytes === 1 ? first >> 3 : (header & (2 ** (8 * headerBytes) - 1)) >> 4;
    const at = start + headerBytes;
    const next = at + (type === 0 ? length : 1);
    if (next > end || length > MAX_BLOCK_BYTES)
      throw new CorruptError("literals beyond their block");
    if (type === 0) return [bytes.subarray(at, next), next];
    return [this.#literals.subarray(0, length).fill(bytes[at]), next];
  }

  #readPacked(bytes: Uint8Array, start: number, end: number, again: boolean): [Uint8Array, number] {
    const format = (bytes[start] >> 2) & 3;
    const bits = [10, 10, 14, 18][format];
    const header = [0, 1, 2, 3, 4].reduce((sum, i) => sum + bytes[start + i] * 2 ** (8 * i), 0);
    const length = Math.floor(header / 16) % 2 ** bits;
    const packed = Math.floor(header / 2 ** (4 + bits)) % 2 ** bits;
    let at = start + ((4 + 2 * bits + 7) >> 3);
    const next = at + packed;
    if (next > end || length > MAX_BLOCK_BYTES)
      throw new CorruptError("literals beyond their block");
    if (!again) [this.#huffman, at] = readHuffman(bytes, at, next);
    const table = this.#huffman;
    if (!table) throw new CorruptError("a table again, before the first");
    const literals = this.#literals.subarray(0, length);
    if (format === 0) {
      decodeHuffman(table, new BackwardBits(bytes, at, next), literals);
      return [literals, next];
    }
    // Four streams, of which the first three tell their sizes.
    const quarter = (length + 3) >> 2;
    let from = at + 6;
    for (let n = 0; n < 4; n++) {
      const size = bytes[at + 2 * n] | (bytes[at + 2 * n + 1] << 8);
      const to = n < 3 ? from + size : next;
      if (to > next) throw new CorruptError("literals beyond their block");
      const part = literals.subarray(n * quarter, n < 3 ? (n + 1) * quarter : length);
      decodeHuffman(table, new BackwardBits(bytes, from, to), part);
      from = to;
    }
    return [literals, next];
  }

  /** @returns the kind's table, and where its description ends */
  #readTable(
    kind: Kind,
    mode: number,
    bytes: Uint8Array,
    at: number,
    end: number,
  ): [FseTable, number] {
    let table: FseTable | undefined = kind.predefined;
    let next = at;
    if (mode === 1) {
      if (at >= end || bytes[at] >= kind.limits.symbols)
        throw new CorruptError("an unknown symbol");
      table = singleTable(bytes[next++]);
    } else if (mode === 2) [table, next] = readFse(bytes, at, end, kind.limits);
    else if (mode === 3) table = this.#tables.get(kind);
    if (!table) throw new CorruptError("a table again, before the first");
    this.#tables.set(kind, table);
    return [table, next];
  }

  /** @returns how many of the literals are used */
  #sequences(
    bytes: Uint8Array,
    start: number,
    end: number,
    count: number,
    literals: Uint8Array,
  ): number {
    const modes = bytes[start];
    if (start >= end || modes & 3) throw new CorruptError("unknown modes");
    const [lengths, a] = this.#readTable(LITERAL_LENGTHS, modes >> 6, bytes, start + 1, end);
    const [offsets, b] = this.#readTable(OFFSETS, (modes >> 4) & 3, bytes, a, end);
    const [matches, c] = this.#readTable(MATCH_LENGTHS, (modes >> 2) & 3, bytes, b, end);
    const stream = new BackwardBits(bytes, c, end);
    const length = new Reader(LITERAL_LENGTHS, lengths, stream);
    const offset = new Reader(OFFSETS, offsets, stream);
    const match = new Reader(MATCH_LENGTHS, matches, stream);
    let used = 0;
    for (let left = count; left > 0; left--) {
      const offsetValue = offset.value();
      const matchLength = match.value();
      const literalLength = length.value();
      if (left > 1) {
        length.advance();
        match.advance();
        offset.advance();
      }
      if (stream.left < 0) throw new CorruptError("sequences that end too early");
      if (used + literalLength > literals.length) throw new CorruptError("too few literals");
      this.#literal(literals, used, used + literalLength);
      used += literalLength;
      this.#match(this.#offset(offsetValue, literalLength === 0), matchLength);
    }
    if (stream.left !== 0) throw new CorruptError("sequences that do not end where they should");
    return used;
  }

  /** Small values are offsets that were used before (section 3.1.1.5). */
  #offset(value: number, noLiterals: boolean): number {
    const which = value - (noLiterals ? 0 : 1);
    const first = this.#first;
    let offset = value - 3;
    if (value <= 3) {
      if (which === 0) return first;
      offset = which === 1 ? this.#second : which === 2 ? this.#third : first - 1;
    }
    if (value > 3 || which > 1) this.#third = this.#second;
    this.#second = first;
    this.#first = offset;
    return offset;
  }

  #literal(literals: Uint8Array, start: number, end: number): void {
    const window = this.#window;
    const to = this.#to;
    if (to - this.#from + end - start > MAX_BLOCK_BYTES)
      throw new CorruptError("a block that is too large");
    // A call costs more than a short loop.
    if (end - start > 32) window.set(literals.subarray(start, end), to);
    else for (let i = start; i < end; i++) window[to + i - start] = literals[i];
    this.#to += end - start;
  }

  #match(distance: number, length: number): void {
    const to = this.#to;
    const done = to - this.#from;
    if (distance < 1 || distance > Math.min(this.#windowBytes, this.#known + done))
      throw new CorruptError("an offset beyond the start");
    if (done + length > MAX_BLOCK_BYTES) throw new CorruptError("a block that is too large");
    const window = this.#window;
    // A call costs more than a short loop.
    if (length > 32 && distance >= length)
      window.copyWithin(to, to - distance, to - distance + length);
    else for (let i = to; i < to + length; i++) window[i] = window[i - distance];
    this.#to += length;
  }
}
