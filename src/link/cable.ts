// A cable: what goes in at one end comes out at the other, at once and uncopied.
//
// Both ends have a carrier when both are plugged in and switched on. Who has no room lets the other wait:
// nothing is lost on a cable.

import type { Frame } from "./frame.ts";
import { Jack } from "./link.ts";
import type { JackOwner } from "./link.ts";

export class Cable implements JackOwner {
  readonly a: Jack = new Jack(this, "a");
  readonly b: Jack = new Jack(this, "b");

  /** For its ports. */
  forward(frame: Frame, from: Jack): boolean {
    return this.#other(from).deliver(frame, from);
  }

  /** For its ports. */
  changed(jack: Jack): void {
    this.#other(jack).refresh();
    jack.refresh();
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
