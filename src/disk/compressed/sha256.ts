// SHA-256 (FIPS 180-4), of bytes that come one part after the other: WebCrypto wants them all at once.

const BLOCK_BYTES = 64;

/** The first bits behind the point of a root of each of the first primes. */
function constants(count: number, root: (prime: number) => number): Int32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++)
    if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return Int32Array.from(primes, (prime) => (root(prime) % 1) * 4294967296);
}

const START = constants(8, Math.sqrt);
const ROUNDS = constants(64, Math.cbrt);

const rotate = (value: number, bits: number): number => (value >>> bits) | (value << (32 - bits));

export class Sha256 {
  readonly #state = START.slice();
  readonly #words = new Int32Array(64);
  readonly #rest = new Uint8Array(BLOCK_BYTES);
  #total = 0;

  add(bytes: Uint8Array): void {
    const kept = this.#total % BLOCK_BYTES;
    this.#total += bytes.length;
    let at = 0;
    if (kept) {
      at = Math.min(bytes.length, BLOCK_BYTES - kept);
      this.#rest.set(bytes.subarray(0, at), kept);
      if (kept + at < BLOCK_BYTES) return;
      this.#block(this.#rest, 0);
    }
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) this.#block(bytes, at);
    this.#rest.set(bytes.subarray(at));
  }

  /** The hash; nothing can be added any more. */
  digest(): Uint8Array {
    const total = this.#total;
    const padding = new Uint8Array(((119 - (total % BLOCK_BYTES)) % BLOCK_BYTES) + 9);
    const view = new DataView(padding.buffer);
    padding[0] = 0x80;
    view.setUint32(padding.length - 8, Math.floor(total / 536870912));
    view.setUint32(padding.length - 4, (total * 8) % 4294967296);
    this.add(padding);
    const hash = new DataView(new ArrayBuffer(32));
    for (const [n, word] of this.#state.entries()) hash.setInt32(4 * n, word);
    return new Uint8Array(hash.buffer);
  }

  #block(bytes: Uint8Array, at: number): void {
    const w = this.#words;
    for (let i = 0; i < 16; i++) {
      const n = at + 4 * i;
      w[i] = (bytes[n] << 24) | (bytes[n + 1] << 16) | (bytes[n + 2] << 8) | bytes[n + 3];
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let i = 0; i < 64; i++) {
      const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
      const choice = (e & f) ^ (~e & g);
      const t1 = (h + s1 + choice + ROUNDS[i] + w[i]) | 0;
      const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + s0 + majority) | 0;
    }
    for (const [n, word] of [a, b, c, d, e, f, g, h].entries()) this.#state[n] += word;
  }
}
