// A stream of bytes, taken in pieces of a given length.

import { TarError } from "./entry.ts";

export class BytesIn {
  readonly #source: AsyncIterator<Uint8Array>;
  /** What came, and was not taken yet. */
  #rest: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Whatever there is, at most so much; null at the end. */
  async some(mostBytes: number): Promise<Uint8Array | null> {
    while (!this.#rest.length) {
      const next = await this.#source.next();
      if (next.done) return null;
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, mostBytes);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  /** Exactly so much, in a buffer of its own; null if nothing is left. */
  async exactly(bytes: number): Promise<Uint8Array | null> {
    const whole = new Uint8Array(bytes);
    let done = 0;
    while (done < bytes) {
      const piece = await this.some(bytes - done);
      if (!piece && !done) return null;
      if (!piece) throw new TarError("the archive ends too early");
      whole.set(piece, done);
      done += piece.length;
    }
    return whole;
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0;) {
      const piece = await this.some(left);
      if (!piece) throw new TarError("the archive ends too early");
      left -= piece.length;
    }
  }

  /** Read to the end, so that who writes is not interrupted. @returns whether not all is zeroes */
  async drain(): Promise<boolean> {
    let found = this.#rest.some((byte) => byte !== 0);
    this.#rest = new Uint8Array();
    for (let next = await this.#source.next(); !next.done; next = await this.#source.next())
      found ||= next.value.some((byte) => byte !== 0);
    return found;
  }
}
