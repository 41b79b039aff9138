// LZMA (the LZMA SDK's specification, lzma-specification.txt), in the chunks that LZMA2 makes of it.
//
// Invariants: the last #known bytes before #to in #window are what was decompressed last, as far back
// as matches may reach; #from to #to is what is to be given out. A chunk is decoded as a whole: its
// input is all there, and #window has room for its output.

import { CorruptError } from "./input.ts";

/** The most that a chunk decompresses to. */
export const MAX_CHUNK_BYTES = 1 << 21;

const STATES = 12;
const MAX_POSITION_STATES = 16;
const MIN_MATCH = 2;
const MODEL_BITS = 11;
const MOVE_BITS = 5;
const TOP = 1 << 24;
/** Distances up to here have their low bits in models of their own. */
const END_OF_MODELS = 14;
const ALIGN_BITS = 4;

// Where the models of each kind start.
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * MAX_POSITION_STATES;
const IS_REP0 = IS_REP + STATES;
const IS_REP1 = IS_REP0 + STATES;
const IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const SLOTS = IS_REP0_LONG + STATES * MAX_POSITION_STATES;
const SPECIAL = SLOTS + 4 * 64;
const ALIGN = SPECIAL + 128;
const MATCH_LENGTH = ALIGN + (1 << ALIGN_BITS);
/** Of a length: two choices, low and middle for each position, and high. */
const LENGTH_MODELS = 2 + 2 * MAX_POSITION_STATES * 8 + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_MODELS;
const LITERALS = REP_LENGTH + LENGTH_MODELS;
const MAX_LITERAL_BITS = 4;

export class Lzma {
  readonly #models = new Uint16Array(LITERALS + (0x300 << MAX_LITERAL_BITS));
  readonly #dictionaryBytes: number;
  #window: Uint8Array;
  #from = 0;
  #to = 0;
  #known = 0;
  /** Bytes since the dictionary was reset: what the position bits are of. */
  #total = 0;

  // Properties.
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;

  // State of the decoder.
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;

  // State of the range decoder.
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #range = 0;
  #code = 0;

  /**
   * @param dictionaryBytes how far back matches may reach
   * @param totalBytes how much there will be at most, if that is known
   */
  constructor(dictionaryBytes: number, totalBytes: number) {
    this.#dictionaryBytes = dictionaryBytes;
    // What is kept moves to the front now and then: seldom enough if there is room.
    const room = dictionaryBytes + Math.max(2 * MAX_CHUNK_BYTES, dictionaryBytes >> 1);
    this.#window = new Uint8Array(Math.min(room, totalBytes + MAX_CHUNK_BYTES));
  }

  resetDictionary(): void {
    this.#known = 0;
    this.#total = 0;
  }

  /** @throws {CorruptError} */
  setProperties(byte: number): void {
    const literalContextBits = byte % 9;
    const rest = Math.floor(byte / 9);
    const literalPositionBits = rest % 5;
    const positionBits = Math.floor(rest / 5);
    if (positionBits > 4 || literalContextBits + literalPositionBits > MAX_LITERAL_BITS)
      throw new CorruptError(`properties ${byte}`);
    this.#literalContextBits = literalContextBits;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << positionBits) - 1;
  }

  resetState(): void {
    this.#models.fill(1 << (MODEL_BITS - 1));
    this.#state = 0;
    this.#rep0 = this.#rep1 = this.#rep2 = this.#rep3 = 0;
  }

  /** Take bytes that are not compressed. @returns them, as a view valid until the next chunk */
  copy(bytes: Uint8Array): Uint8Array {
    this.#makeRoom(bytes.length);
    this.#window.set(bytes, this.#to);
    this.#to += bytes.length;
    return this.#giveOut();
  }

  /**
   * Decompress a chunk.
   *
   * @returns so many bytes, as a view valid until the next chunk
   * @throws {CorruptError}
   */
  decode(bytes: Uint8Array, length: number): Uint8Array {
    this.#makeRoom(length);
    this.#bytes = bytes;
    this.#at = 5;
    this.#range = 0xffffffff;
    this.#code = ((bytes[1] << 24) | (bytes[2] << 16) | (bytes[3] << 8) | bytes[4]) >>> 0;
    if (bytes.length < 5 || bytes[0] !== 0) throw new CorruptError("a chunk that starts wrongly");
    const end = this.#from + length;
    while (this.#to < end) {
      this.#symbol(end);
      if (this.#at > bytes.length) throw new CorruptError("a chunk that is too short");
    }
    this.#normalize();
    if (this.#at !== bytes.length || this.#code !== 0)
      throw new CorruptError("a chunk that does not end where it should");
    return this.#giveOut();
  }

  #makeRoom(length: number): void {
    this.#from = this.#to;
    if (this.#to + length <= this.#window.length) return;
    const kept = Math.min(this.#known, this.#dictionaryBytes);
    if (kept + length > this.#window.length) throw new CorruptError("more than its header tells");
    this.#window.copyWithin(0, this.#to - kept, this.#to);
    this.#from = this.#to = kept;
  }

  #giveOut(): Uint8Array {
    const bytes = this.#window.subarray(this.#from, this.#to);
    this.#known = Math.min(this.#dictionaryBytes, this.#known + bytes.length);
    this.#total += bytes.length;
    return bytes;
  }

  #normalize(): void {
    if (this.#range >= TOP) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | this.#bytes[this.#at++]) >>> 0;
  }

  #bit(model: number): number {
    if (this.#range < TOP) {
      this.#range = (this.#range << 8) >>> 0;
      this.#code = ((this.#code << 8) | this.#bytes[this.#at++]) >>> 0;
    }
    const models = this.#models;
    const probability = models[model];
    const bound = (this.#range >>> MODEL_BITS) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      models[model] = probability + (((1 << MODEL_BITS) - probability) >> MOVE_BITS);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    models[model] = probability - (probability >> MOVE_BITS);
    return 1;
  }

  /**
   * Bits of a tree, the highest first, from one node to the row that starts at another. As #bit(), with
   * all state at hand: most of the time is spent here.
   */
  #walk(tree: number, from: number, row: number): number {
    const models = this.#models;
    const bytes = this.#bytes;
    let range = this.#range;
    let code = this.#code;
    let at = this.#at;
    let node = from;
    while (node < row) {
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | bytes[at++]) >>> 0;
      }
      const probability = models[tree + node];
      const bound = (range >>> MODEL_BITS) * probability;
      if (code < bound) {
        range = bound;
        models[tree + node] = probability + (((1 << MODEL_BITS) - probability) >> MOVE_BITS);
        node <<= 1;
      } else {
        range -= bound;
        code -= bound;
        models[tree + node] = probability - (probability >> MOVE_BITS);
        node = (node << 1) | 1;
      }
    }
    this.#range = range;
    this.#code = code;
    this.#at = at;
    return node;
  }

  #tree(models: number, bits: number): number {
    return this.#walk(models, 1, 1 << bits) - (1 << bits);
  }

  /** Bits of a tree, the lowest first. */
  #reverseTree(models: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.#bit(models + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /** Bits that are as likely 0 as 1. */
  #direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#normalize();
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit) this.#code -= this.#range;
      value = (value << 1) | bit;
    }
    return value >>> 0;
  }

  /** A literal, or a match as far as `end` at most. */
  #symbol(end: number): void {
    const position = (this.#total + this.#to - this.#from) & this.#positionMask;
    const state = this.#state;
    if (!this.#bit(IS_MATCH + (state << 4) + position)) {
      this.#literal();
      return;
    }
    let length: number;
    if (!this.#bit(IS_REP + state)) {
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      length = this.#length(MATCH_LENGTH, position);
      this.#state = state < 7 ? 7 : 10;
      this.#rep0 = this.#distance(length);
    } else {
      length = this.#repeat(position);
      if (length === 0) {
        this.#state = state < 7 ? 9 : 11;
        length = 1;
      } else this.#state = state < 7 ? 8 : 11;
    }
    this.#copyMatch(length, end);
  }

  #literal(): void {
    const window = this.#window;
    const place = this.#total + this.#to - this.#from;
    const before = this.#reaches(1) ? window[this.#to - 1] : 0;
    const context =
      ((place & this.#literalPositionMask) << this.#literalContextBits) +
      (before >> (8 - this.#literalContextBits));
    const models = LITERALS + 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      if (!this.#reaches(this.#rep0 + 1)) throw new CorruptError("a distance beyond the start");
      let match = window[this.#to - this.#rep0 - 1];
      while (symbol < 0x100) {
        const expected = (match >> 7) & 1;
        match <<= 1;
        const bit = this.#bit(models + ((1 + expected) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (bit !== expected) break;
      }
    }
    window[this.#to++] = this.#walk(models, symbol, 0x100);
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  /** One of the last four distances. @returns the length; 0 for a single byte */
  #repeat(position: number): number {
    const state = this.#state;
    if (!this.#bit(IS_REP0 + state)) {
      if (!this.#bit(IS_REP0_LONG + (state << 4) + position)) return 0;
    } else {
      let distance = this.#rep1;
      if (this.#bit(IS_REP1 + state)) {
        distance = this.#rep2;
        if (this.#bit(IS_REP2 + state)) {
          distance = this.#rep3;
          this.#rep3 = this.#rep2;
        }
        this.#rep2 = this.#rep1;
      }
      this.#rep1 = this.#rep0;
      this.#rep0 = distance;
    }
    return this.#length(REP_LENGTH, position);
  }

  #length(models: number, position: number): number {
    const low = models + 2 + (position << 3);
    if (!this.#bit(models)) return MIN_MATCH + this.#tree(low, 3);
    if (!this.#bit(models + 1)) return MIN_MATCH + 8 + this.#tree(low + MAX_POSITION_STATES * 8, 3);
    return MIN_MATCH + 16 + this.#tree(models + 2 + 2 * MAX_POSITION_STATES * 8, 8);
  }

  #distance(length: number): number {
    const slots = SLOTS + (Math.min(length - MIN_MATCH, 3) << 6);
    const slot = this.#tree(slots, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << bits) >>> 0;
    if (slot < END_OF_MODELS) return base + this.#reverseTree(SPECIAL + base - slot, bits);
    const high = this.#direct(bits - ALIGN_BITS) * (1 << ALIGN_BITS);
    return base + high + this.#reverseTree(ALIGN, ALIGN_BITS);
  }

  /** Whether what was so many bytes before is known. */
  #reaches(distance: number): boolean {
    return distance <= Math.min(this.#dictionaryBytes, this.#known + this.#to - this.#from);
  }

  #copyMatch(length: number, end: number): void {
    const distance = this.#rep0 + 1;
    if (!this.#reaches(distance)) throw new CorruptError("a distance beyond the start");
    const to = this.#to;
    if (to + length > end) throw new CorruptError("a match beyond its chunk's end");
    const window = this.#window;
    // A call costs more than a short loop.
    if (length > 32 && distance >= length)
      window.copyWithin(to, to - distance, to - distance + length);
    else for (let i = to; i < to + length; i++) window[i] = window[i - distance];
    this.#to += length;
  }
}
