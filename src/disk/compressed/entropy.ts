// The two entropy codes of zstd (RFC 8878, sections 4.1 and 4.2): FSE and Huffman codes.

import { CorruptError } from "./input.ts";

/** Bits that are read from the last to the first: those of a stream that ends with a 1 as a mark. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** How many bits are left; below 0 if more were read, as zeroes. */
  left: number;

  /** The bytes from `start` to `end`; a few behind them are looked at. */
  constructor(bytes: Uint8Array, start: number, end: number) {
    const last = end > start ? bytes[end - 1] : 0;
    if (last === 0) throw new CorruptError("a bit stream without an end");
    this.#bytes = bytes;
    this.#start = start;
    this.left = (end - start) * 8 - (Math.clz32(last) - 24) - 1;
  }

  /** The next bits, at most 24, the first of them highest. */
  peek(count: number): number {
    const at = this.left - count;
    if (at < 0) return this.left <= 0 ? 0 : this.#at(0, this.left) << -at;
    return this.#at(at, count);
  }

  /** At most 32. */
  read(count: number): number {
    if (count > 24) {
      const high = this.read(count - 16);
      return high * 65536 + this.read(16);
    }
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  #at(bit: number, count: number): number {
    const bytes = this.#bytes;
    const i = this.#start + (bit >> 3);
    const word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    return (word >>> (bit & 7)) & ((1 << count) - 1);
  }
}

/** What each state of an FSE code stands for, and how to get to the next. */
export interface FseTable {
  readonly log: number;
  readonly symbols: Uint8Array;
  /** The next state is the base plus so many bits. */
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** @param counts how many states each symbol has; −1 for one whose probability is less than 1 */
export function fseTable(counts: ArrayLike<number>, log: number): FseTable {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const next = new Uint16Array(counts.length);
  let high = size - 1;
  for (let symbol = 0; symbol < counts.length; symbol++) {
    next[symbol] = Math.abs(counts[symbol]);
    if (counts[symbol] === -1) symbols[high--] = symbol;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let place = 0;
  for (let symbol = 0; symbol < counts.length; symbol++)
    for (let i = 0; i < counts[symbol]; i++) {
      symbols[place] = symbol;
      do place = (place + step) & (size - 1);
      while (place > high);
    }
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let state = 0; state < size; state++) {
    const n = next[symbols[state]]++;
    bits[state] = log - (31 - Math.clz32(n));
    bases[state] = (n << bits[state]) - size;
  }
  return { log, symbols, bits, bases };
}

/** A code of one symbol, which takes no bits. */
export function singleTable(symbol: number): FseTable {
  return {
    log: 0,
    symbols: Uint8Array.of(symbol),
    bits: new Uint8Array(1),
    bases: new Uint16Array(1),
  };
}

/**
 * The table that is described at a place.
 *
 * @returns the table, and where its description ends
 */
export function readFse(
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: { readonly log: number; readonly symbols: number },
): [FseTable, number] {
  let bit = start * 8;
  const read = (count: number): number => {
    const i = bit >> 3;
    const word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    const value = (word >>> (bit & 7)) & ((1 << count) - 1);
    bit += count;
    return value;
  };
  const log = read(4) + 5;
  if (log > limits.log) throw new CorruptError(`a table of 2^${log} states`);
  const counts: number[] = [];
  let left = 1 << log;
  while (left > 0) {
    if (counts.length >= limits.symbols || bit > end * 8)
      throw new CorruptError("a table of too many symbols");
    // Values up to left + 1; the small ones take a bit less.
    const width = 32 - Math.clz32(left + 1);
    const spare = (1 << width) - 2 - left;
    let value = read(width - 1);
    if (value >= spare) {
      value |= read(1) << (width - 1);
      if (value >= 1 << (width - 1)) value -= spare;
    }
    const count = value - 1;
    counts.push(count);
    left -= Math.abs(count);
    if (count !== 0) continue;
    for (let more = 3; more === 3;) {
      more = read(2);
      for (let i = 0; i < more; i++) counts.push(0);
      if (counts.length > limits.symbols) throw new CorruptError("a table of too many symbols");
    }
  }
  const next = (bit + 7) >> 3;
  if (left < 0 || next > end) throw new CorruptError("a table that does not add up");
  return [fseTable(counts, log), next];
}

const MAX_HUFFMAN_BITS = 11;

/** For all that the next `bits` bits can be: a symbol, and how many of them are its code. */
export interface HuffmanTable {
  readonly bits: number;
  readonly symbols: Uint8Array;
  readonly lengths: Uint8Array;
}

/** Weights that are themselves compressed, by two states in turn. */
function readWeights(bytes: Uint8Array, start: number, end: number): number[] {
  const [table, at] = readFse(bytes, start, end, { log: 6, symbols: 255 });
  const stream = new BackwardBits(bytes, at, end);
  const states = [stream.read(table.log), stream.read(table.log)];
  const weights: number[] = [];
  for (let n = 0; ; n ^= 1) {
    const state = states[n];
    weights.push(table.symbols[state]);
    if (weights.length > 254) throw new CorruptError("too many weights");
    states[n] = table.bases[state] + stream.read(table.bits[state]);
    if (stream.left < 0) {
      weights.push(table.symbols[states[n ^ 1]]);
      return weights;
    }
  }
}

/** @returns the table that is described at a place, and where its description ends */
export function readHuffman(bytes: Uint8Array, start: number, end: number): [HuffmanTable, number] {
  const header = start < end ? bytes[start] : 0;
  const count = header - 127;
  const next = start + 1 + (header < 128 ? header : (count + 1) >> 1);
  if (next > end) throw new CorruptError("a table beyond its block");
  const weights =
    header < 128
      ? readWeights(bytes, start + 1, next)
      : Array.from({ length: count }, (_, i) => {
          const byte = bytes[start + 1 + (i >> 1)];
          return i & 1 ? byte & 15 : byte >> 4;
        });
  return [huffmanTable(weights), next];
}

function huffmanTable(weights: number[]): HuffmanTable {
  let sum = 0;
  for (const weight of weights) sum += weight ? 2 ** (weight - 1) : 0;
  const bits = sum ? 32 - Math.clz32(sum) : 0;
  const size = 1 << bits;
  // The last weight is what is missing.
  const missing = size - sum;
  if (!sum || bits > MAX_HUFFMAN_BITS || missing & (missing - 1))
    throw new CorruptError("weights that do not add up");
  weights.push(32 - Math.clz32(missing));
  const symbols = new Uint8Array(size);
  const lengths = new Uint8Array(size);
  let at = 0;
  for (let weight = 1; weight <= bits; weight++)
    for (const [symbol, one] of weights.entries()) {
      if (one !== weight) continue;
      const next = at + (1 << (weight - 1));
      symbols.fill(symbol, at, next);
      lengths.fill(bits + 1 - weight, at, next);
      at = next;
    }
  return { bits, symbols, lengths };
}

/** Decompress a stream of literals to all of `into`. */
export function decodeHuffman(table: HuffmanTable, stream: BackwardBits, into: Uint8Array): void {
  const { bits, symbols, lengths } = table;
  for (let i = 0; i < into.length; i++) {
    const entry = stream.peek(bits);
    into[i] = symbols[entry];
    stream.left -= lengths[entry];
  }
  if (stream.left !== 0) throw new CorruptError("literals that do not end where they should");
}
