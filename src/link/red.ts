// Random early detection: a queue that drops before it is full (Floyd and Jacobson, "Random Early
// Detection Gateways for Congestion Avoidance", 1993).

import { InvalidOptionError } from "../machine/errors.ts";
import { checkProbability } from "./dice.ts";
import type { Dice } from "./dice.ts";

export interface RedOptions {
  /** Below this average of queued bytes nothing is dropped. */
  readonly minBytes: number;
  /** From this average on everything is dropped. */
  readonly maxBytes: number;
  /** How likely a frame is dropped as the average comes near `maxBytes`. Default 0.1. */
  readonly probability?: number;
  /** How much the queue as it is counts in its average. Default 0.002. */
  readonly weight?: number;
}

const DEFAULT_PROBABILITY = 0.1;
const DEFAULT_WEIGHT = 0.002;

export class Red {
  readonly #minBytes: number;
  readonly #maxBytes: number;
  readonly #probability: number;
  readonly #weight: number;
  /** The average length of the queue, in bytes. */
  #average = 0;
  /** Frames that passed since the last one was dropped, while the average was between the limits. */
  #passed = 0;

  /** @throws {InvalidOptionError} */
  constructor(options: RedOptions) {
    const { minBytes, maxBytes, probability, weight = DEFAULT_WEIGHT } = options;
    if (!(minBytes >= 0 && maxBytes > minBytes))
      throw new InvalidOptionError("red", `from ${minBytes} to ${maxBytes} bytes is no range`);
    if (!(weight > 0 && weight <= 1))
      throw new InvalidOptionError("red.weight", `${weight}: it is above 0 and up to 1`);
    this.#minBytes = minBytes;
    this.#maxBytes = maxBytes;
    this.#probability = checkProbability("red.probability", probability ?? DEFAULT_PROBABILITY);
    this.#weight = weight;
  }

  /**
   * Whether a frame that comes to a queue of `queuedBytes` is to be dropped.
   *
   * @param idleFrames how many frames could have left while the queue was empty before
   */
  drops(queuedBytes: number, idleFrames: number, dice: Dice): boolean {
    if (idleFrames > 0) this.#average *= (1 - this.#weight) ** idleFrames;
    this.#average += this.#weight * (queuedBytes - this.#average);
    if (this.#average < this.#minBytes) {
      this.#passed = 0;
      return false;
    }
    if (this.#average < this.#maxBytes) {
      const base =
        (this.#probability * (this.#average - this.#minBytes)) / (this.#maxBytes - this.#minBytes);
      // So that drops come evenly, not in clusters.
      const chance = base / Math.max(1 - this.#passed++ * base, base);
      if (!dice.chance(chance)) return false;
    }
    this.#passed = 0;
    return true;
  }
}
