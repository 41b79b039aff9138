// Choices that repeat with a seed.

import { seededRandom } from "../../../src/index.ts";

export class Chooser {
  readonly #random;
  readonly #word = new Uint32Array(1);
  readonly #bytes = new Uint8Array(this.#word.buffer);

  constructor(seed: number) {
    // Seeds in a row give the same bytes, one apart.
    this.#random = seededRandom(Math.imul(seed + 1, 0x85ebca6b));
  }

  /** From 0 to before `limit`. */
  below(limit: number): number {
    this.#random(this.#bytes);
    return this.#word[0] % limit;
  }

  /** From `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in so many times. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }
}
