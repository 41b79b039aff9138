// XXH64 (the xxHash specification), of which zstd stores the low half. 64-bit numbers are two halves
// of 32 bits: BigInts would be many times slower.

const MASK = 0xffffffffffffffffn;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const P1_LOW = 0x85ebca87;
const P1_HIGH = 0x9e3779b1;
const P2_LOW = 0x27d4eb4f;
const P2_HIGH = 0xc2b2ae3d;

const STRIPE_BYTES = 32;

/** The high half of the product of two unsigned numbers. */
function productHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return a1 * b1 + (middle >>> 16) + (((middle & 0xffff) + a0 * b1) >>> 16);
}

const rotate = (value: bigint, bits: bigint): bigint =>
  ((value << bits) | (value >> (64n - bits))) & MASK;
const round = (value: bigint): bigint => (rotate((value * P2) & MASK, 31n) * P1) & MASK;

export class Xxh64 {
  /** Four lanes: low and high half. */
  readonly #lanes = new Uint32Array(8);
  readonly #rest = new Uint8Array(STRIPE_BYTES);
  #total = 0;

  constructor() {
    const start = [(P1 + P2) & MASK, P2, 0n, MASK + 1n - P1];
    for (const [n, lane] of start.entries()) {
      this.#lanes[2 * n] = Number(lane & 0xffffffffn);
      this.#lanes[2 * n + 1] = Number(lane >> 32n);
    }
  }

  add(bytes: Uint8Array): void {
    const kept = this.#total % STRIPE_BYTES;
    this.#total += bytes.length;
    let at = 0;
    if (kept) {
      at = Math.min(bytes.length, STRIPE_BYTES - kept);
      this.#rest.set(bytes.subarray(0, at), kept);
      if (kept + at < STRIPE_BYTES) return;
      this.#stripes(this.#rest, 0, STRIPE_BYTES);
    }
    const end = bytes.length - ((bytes.length - at) % STRIPE_BYTES);
    this.#stripes(bytes, at, end);
    this.#rest.set(bytes.subarray(end));
  }

  #stripes(bytes: Uint8Array, from: number, end: number): void {
    const lanes = this.#lanes;
    for (let at = from, lane = 0; at < end; at += 8, lane = (lane + 2) & 7) {
      const low = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      const high =
        bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
      // lane = rotate(lane + value * P2, 31) * P1
      const productLow = Math.imul(low, P2_LOW) >>> 0;
      const sumLow = lanes[lane] + productLow;
      const sumHigh =
        (lanes[lane + 1] +
          productHigh(low >>> 0, P2_LOW) +
          Math.imul(low, P2_HIGH) +
          Math.imul(high, P2_LOW) +
          (sumLow > 0xffffffff ? 1 : 0)) |
        0;
      const turnedLow = (sumLow << 31) | (sumHigh >>> 1);
      const turnedHigh = (sumHigh << 31) | ((sumLow >>> 0) >>> 1);
      lanes[lane] = Math.imul(turnedLow, P1_LOW);
      lanes[lane + 1] =
        productHigh(turnedLow >>> 0, P1_LOW) +
        Math.imul(turnedLow, P1_HIGH) +
        Math.imul(turnedHigh, P1_LOW);
    }
  }

  /** The low half, unsigned. */
  get low(): number {
    const view = new DataView(this.#rest.buffer);
    const left = this.#total % STRIPE_BYTES;
    let hash = P5;
    if (this.#total >= STRIPE_BYTES) {
      const lanes = [0, 2, 4, 6].map(
        (n) => (BigInt(this.#lanes[n + 1]) << 32n) | BigInt(this.#lanes[n]),
      );
      hash = [1n, 7n, 12n, 18n].reduce((sum, bits, n) => sum + rotate(lanes[n], bits), 0n) & MASK;
      for (const lane of lanes) hash = ((hash ^ round(lane)) * P1 + P4) & MASK;
    }
    hash = (hash + BigInt(this.#total)) & MASK;
    let at = 0;
    for (; at + 8 <= left; at += 8)
      hash = (rotate(hash ^ round(view.getBigUint64(at, true)), 27n) * P1 + P4) & MASK;
    if (at + 4 <= left) {
      const value = (BigInt(view.getUint32(at, true)) * P1) & MASK;
      hash = (rotate(hash ^ value, 23n) * P2 + P3) & MASK;
      at += 4;
    }
    for (; at < left; at++)
      hash = (rotate(hash ^ ((BigInt(this.#rest[at]) * P5) & MASK), 11n) * P1) & MASK;
    hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
    hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
    return Number((hash ^ (hash >> 32n)) & 0xffffffffn);
  }
}
