// An emulated link: a cable with a rate, a delay and everything that goes wrong on the way.
//
// It takes its time from a clock, which can be the kernels' virtual one, and its chance from a seed: then
// every run is the same.

import { WallClock } from "../machine/clock.ts";
import type { Clock } from "../machine/clock.ts";
import { Dice } from "./dice.ts";
import type { Frame } from "./frame.ts";
import { Lane } from "./lane.ts";
import type { Impairments } from "./lane.ts";
import { Jack } from "./link.ts";
import type { JackOwner } from "./link.ts";

/** The impairments of both directions, unless one has its own. */
export interface EmulatedLinkOptions extends Impairments {
  /** Those from a to b, instead of all others. */
  readonly aToB?: Impairments;
  /** Those from b to a, instead of all others. */
  readonly bToA?: Impairments;
  /** The same decisions for the same seed. Default 1. */
  readonly seed?: number;
  /** What the rate and the delay are measured by: the kernels' clock. Default: the wall clock. */
  readonly clock?: Clock;
}

/** Different seeds for the directions. */
const OTHER_WAY = 0x5bd1e995;

export class EmulatedLink implements JackOwner {
  readonly a: Jack = new Jack(this, "a");
  readonly b: Jack = new Jack(this, "b");
  /** The way from a to b. */
  readonly aToB: Lane;
  /** The way from b to a. */
  readonly bToA: Lane;

  /** @throws {InvalidOptionError} */
  constructor(options: EmulatedLinkOptions = {}) {
    const { clock = new WallClock(), seed = 1 } = options;
    this.aToB = new Lane(this.b, clock, new Dice(seed), options.aToB ?? options);
    this.bToA = new Lane(this.a, clock, new Dice(seed ^ OTHER_WAY), options.bToA ?? options);
  }

  /** For its ports. */
  forward(frame: Frame, from: Jack): boolean {
    (from === this.a ? this.aToB : this.bToA).enter(frame);
    return true;
  }

  /** For its ports. */
  changed(jack: Jack): void {
    const other = this.#other(jack);
    other.refresh();
    jack.refresh();
    if (jack.up && other.up) return;
    this.aToB.clear();
    this.bToA.clear();
  }

  /** For its ports. */
  carries(jack: Jack): boolean {
    const other = this.#other(jack);
    return other.on && other.occupied;
  }

  #other(jack: Jack): Jack {
    return jack === this.a ? this.b : this.a;
  }
}
