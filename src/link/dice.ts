// Chance that repeats: the same decisions for the same seed.

import { InvalidOptionError } from "../machine/errors.ts";
import { seededRandom } from "../machine/random.ts";
import type { Random } from "../machine/random.ts";

export class Dice {
  readonly #random: Random;
  readonly #word = new Uint8Array(4);
  readonly #view = new DataView(this.#word.buffer);

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** Evenly from 0 up to, not including, 1. */
  next(): number {
    this.#random(this.#word);
    return this.#view.getUint32(0) / 2 ** 32;
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** Whether what has this probability happens. What cannot happen costs no random number. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }
}

/** @throws {InvalidOptionError} if it is not from 0 to 1 */
export function checkProbability(option: string, value: number): number {
  if (!(value >= 0 && value <= 1))
    throw new InvalidOptionError(option, `${value}: a probability is 0 to 1`);
  return value;
}
