// DEFLATE (RFC 1951), decompressed piece by piece.
//
// The runtimes' own DecompressionStream does not tell where a stream ends in its input, so what follows
// it (further members of a gzip file, padding) could not be found.
//
// Invariants: the low #count bits of #hold are those that were taken from the input and not used yet.
// Of #window, the WINDOW_BYTES before #from are what was given out last, and #from to #to is what is
// to be given out.

import { CorruptError, SLACK_BYTES } from "./input.ts";
import type { Input } from "./input.ts";

/** How far back matches reach. */
const WINDOW_BYTES = 32768;
/** What is given out at once. */
const OUT_BYTES = 131072;
const MAX_MATCH = 258;
/** More than any symbol with its extra bits takes. */
const AHEAD_BYTES = 16;
/** More than a block's header takes: 320 lengths of up to 14 bits. */
const HEADER_BYTES = 1024;

const MAX_CODE_BITS = 15;
/** Codes of so many bits are looked up at once. */
const FAST_BITS = 10;

/** Section 3.2.5. */
const LENGTH_EXTRA = [
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
const DISTANCE_EXTRA = Array.from({ length: 30 }, (_, n) => Math.max(0, (n >> 1) - 1));
/** Section 3.2.7. */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** The first value of each code, each covering as many values as its extra bits can tell. */
function basesOf(extra: readonly number[], first: number): Uint16Array {
  let next = first;
  return Uint16Array.from(extra, (bits) => {
    const base = next;
    next += 1 << bits;
    return base;
  });
}

const LENGTH_BASE = basesOf(LENGTH_EXTRA, 3);
// The greatest length has a code of its own, though the code before could tell it too.
LENGTH_BASE[28] = MAX_MATCH;
const DISTANCE_BASE = basesOf(DISTANCE_EXTRA, 1);

/** A prefix code. */
class Code {
  /** For each FAST_BITS bits: symbol << 4 | length of its code; 0 if that is longer. */
  readonly fast = new Uint16Array(1 << FAST_BITS);
  /** How many codes have each length. */
  readonly counts = new Uint16Array(MAX_CODE_BITS + 1);
  /** The symbols in order of their codes. */
  readonly symbols: Uint16Array;

  constructor(lengths: Uint8Array, what: string) {
    const { counts, fast } = this;
    for (const length of lengths) counts[length]++;
    counts[0] = 0;
    let left = 1;
    const next = new Uint16Array(MAX_CODE_BITS + 2);
    const codes = new Uint16Array(MAX_CODE_BITS + 2);
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      left = (left << 1) - counts[length];
      if (left < 0) throw new CorruptError(`too many codes of ${length} bits for ${what}`);
      next[length + 1] = next[length] + counts[length];
      codes[length + 1] = (codes[length] + counts[length]) << 1;
    }
    this.symbols = new Uint16Array(lengths.length);
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol];
      if (!length) continue;
      this.symbols[next[length]++] = symbol;
      const code = codes[length]++;
      if (length > FAST_BITS) continue;
      // Codes come with their first bit lowest.
      let reversed = 0;
      for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit);
      for (let i = reversed; i < 1 << FAST_BITS; i += 1 << length) fast[i] = (symbol << 4) | length;
    }
  }

  /** The symbol of a long code. @returns like an entry of `fast` */
  slow(hold: number): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      code |= (hold >>> (length - 1)) & 1;
      const count = this.counts[length];
      if (code - first < count) return (this.symbols[index + code - first] << 4) | length;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new CorruptError("bits that are no code");
  }
}

function fixedCodes(): [Code, Code] {
  const lengths = new Uint8Array(288)
    .fill(8, 0, 144)
    .fill(9, 144, 256)
    .fill(7, 256, 280)
    .fill(8, 280);
  return [new Code(lengths, "lengths"), new Code(new Uint8Array(30).fill(5), "distances")];
}

let fixed: [Code, Code] | null = null;

export class Inflate {
  readonly #input: Input;
  readonly #window = new Uint8Array(WINDOW_BYTES + OUT_BYTES + MAX_MATCH);
  #from = WINDOW_BYTES;
  #to = WINDOW_BYTES;
  /** How much of what is before #to may be referred to. */
  #known = 0;
  #hold = 0;
  #count = 0;

  constructor(input: Input) {
    this.#input = input;
  }

  /** Decompress one stream; the input is behind its last byte then. Parts are valid until the next. */
  async *decode(): AsyncGenerator<Uint8Array, void> {
    for (let last = 0; !last;) {
      await this.#input.fill(HEADER_BYTES);
      last = this.#bits(1);
      const type = this.#bits(2);
      if (type === 0) yield* this.#stored();
      else if (type === 1) yield* this.#coded(...(fixed ??= fixedCodes()));
      else if (type === 2) yield* this.#coded(...this.#readCodes());
      else throw new CorruptError("a block of unknown type");
    }
    yield* this.#giveOut();
    // Whole bytes that were taken ahead go back.
    this.#input.at -= this.#count >> 3;
    this.#count = 0;
    this.#hold = 0;
    this.#checkInput();
  }

  #bits(n: number): number {
    const { bytes } = this.#input;
    while (this.#count < n) {
      this.#hold |= bytes[this.#input.at++] << this.#count;
      this.#count += 8;
    }
    const value = this.#hold & ((1 << n) - 1);
    this.#hold >>>= n;
    this.#count -= n;
    return value;
  }

  /** @throws {CorruptError} if more was used than there is */
  #checkInput(): void {
    const { at, end } = this.#input;
    if (at - (this.#count >> 3) > end)
      throw new CorruptError("the file ends too early: it was cut short");
  }

  async *#stored(): AsyncGenerator<Uint8Array, void> {
    const input = this.#input;
    input.at -= this.#count >> 3;
    this.#count = 0;
    this.#hold = 0;
    const header = await input.take(4);
    let left = header[0] | (header[1] << 8);
    if ((left ^ 0xffff) !== (header[2] | (header[3] << 8)))
      throw new CorruptError("a stored block whose length is not confirmed");
    while (left > 0) {
      await input.need(1);
      const room = WINDOW_BYTES + OUT_BYTES - this.#to;
      const length = Math.min(left, room, input.end - input.at);
      this.#window.set(input.bytes.subarray(input.at, input.at + length), this.#to);
      input.at += length;
      left -= length;
      this.#to += length;
      if (length === room) yield* this.#giveOut();
    }
  }

  #readCodes(): [Code, Code] {
    const lengthCount = this.#bits(5) + 257;
    const distanceCount = this.#bits(5) + 1;
    const orderCount = this.#bits(4) + 4;
    if (lengthCount > 286 || distanceCount > 30)
      throw new CorruptError("more codes than there are symbols");
    const orders = new Uint8Array(LENGTH_ORDER.length);
    for (let i = 0; i < orderCount; i++) orders[LENGTH_ORDER[i]] = this.#bits(3);
    const code = new Code(orders, "code lengths");
    const lengths = new Uint8Array(lengthCount + distanceCount);
    for (let i = 0; i < lengths.length;) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) throw new CorruptError("a repeated length without a first");
      const value = symbol === 16 ? lengths[i - 1] : 0;
      const count =
        symbol === 16 ? 3 + this.#bits(2) : symbol === 17 ? 3 + this.#bits(3) : 11 + this.#bits(7);
      if (i + count > lengths.length) throw new CorruptError("more code lengths than codes");
      lengths.fill(value, i, (i += count));
    }
    this.#checkInput();
    if (!lengths[256]) throw new CorruptError("a block without an end");
    return [
      new Code(lengths.subarray(0, lengthCount), "lengths"),
      new Code(lengths.subarray(lengthCount), "distances"),
    ];
  }

  #symbol(code: Code): number {
    const { bytes } = this.#input;
    while (this.#count < MAX_CODE_BITS) {
      this.#hold |= bytes[this.#input.at++] << this.#count;
      this.#count += 8;
    }
    const entry = code.fast[this.#hold & ((1 << FAST_BITS) - 1)] || code.slow(this.#hold);
    this.#hold >>>= entry & 15;
    this.#count -= entry & 15;
    return entry >> 4;
  }

  async *#coded(lengths: Code, distances: Code): AsyncGenerator<Uint8Array, void> {
    const input = this.#input;
    for (;;) {
      await input.fill(HEADER_BYTES);
      const more = this.#run(lengths, distances);
      this.#checkInput();
      if (!more) return;
      if (this.#to >= WINDOW_BYTES + OUT_BYTES) yield* this.#giveOut();
    }
  }

  /** Decompress until input or room runs out. @returns false at the block's end */
  #run(lengths: Code, distances: Code): boolean {
    const input = this.#input;
    const { bytes } = input;
    const window = this.#window;
    const mask = (1 << FAST_BITS) - 1;
    // At the file's end the zeroes behind it are looked at; #checkInput() tells if they were used.
    const stop = input.atEnd ? input.end + SLACK_BYTES - AHEAD_BYTES : input.end - AHEAD_BYTES;
    const full = WINDOW_BYTES + OUT_BYTES;
    let { at } = input;
    let hold = this.#hold;
    let count = this.#count;
    let to = this.#to;
    let more = true;
    while (to < full && at < stop) {
      for (; count <= 24; count += 8) hold |= bytes[at++] << count;
      let entry = lengths.fast[hold & mask] || lengths.slow(hold);
      hold >>>= entry & 15;
      count -= entry & 15;
      let symbol = entry >> 4;
      if (symbol < 256) {
        window[to++] = symbol;
        continue;
      }
      if (symbol === 256) {
        more = false;
        break;
      }
      symbol -= 257;
      if (symbol > 28) throw new CorruptError("an unknown length");
      const lengthBits = LENGTH_EXTRA[symbol];
      const length = LENGTH_BASE[symbol] + (hold & ((1 << lengthBits) - 1));
      hold >>>= lengthBits;
      count -= lengthBits;
      for (; count <= 24; count += 8) hold |= bytes[at++] << count;
      entry = distances.fast[hold & mask] || distances.slow(hold);
      hold >>>= entry & 15;
      count -= entry & 15;
      symbol = entry >> 4;
      if (symbol > 29) throw new CorruptError("an unknown distance");
      const distanceBits = DISTANCE_EXTRA[symbol];
      for (; count <= 24; count += 8) hold |= bytes[at++] << count;
      const distance = DISTANCE_BASE[symbol] + (hold & ((1 << distanceBits) - 1));
      hold >>>= distanceBits;
      count -= distanceBits;
      if (distance > this.#known + to - this.#from)
        throw new CorruptError("a distance beyond the start");
      // A call costs more than a short loop.
      if (length > 32 && distance >= length)
        window.copyWithin(to, to - distance, to - distance + length);
      else for (let i = to; i < to + length; i++) window[i] = window[i - distance];
      to += length;
    }
    input.at = at;
    this.#hold = hold;
    this.#count = count;
    this.#to = to;
    return more;
  }

  *#giveOut(): Generator<Uint8Array, void> {
    if (this.#to === this.#from) return;
    yield this.#window.subarray(this.#from, this.#to);
    this.#known = Math.min(WINDOW_BYTES, this.#known + this.#to - this.#from);
    this.#window.copyWithin(0, this.#to - WINDOW_BYTES, this.#to);
    this.#from = WINDOW_BYTES;
    this.#to = WINDOW_BYTES;
  }
}
