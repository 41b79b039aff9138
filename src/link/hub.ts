// A hub: what comes in by one port goes out by all others, at once and uncopied. Who has no room misses it.
//
// Invariant: #passing is the frame that is being passed on, the innermost one if passing it led to others.

import { InvalidOptionError } from "../machine/errors.ts";
import type { Frame } from "./frame.ts";
import { Jack } from "./link.ts";
import type { JackOwner } from "./link.ts";

/** Ports that a hub or a switch can have. */
export const MAX_PORTS = 4096;

export class Hub implements JackOwner {
  readonly #ports = new Set<Jack>();
  #passing: Frame | null = null;
  #loops = 0;

  get ports(): ReadonlySet<Jack> {
    return this.#ports;
  }

  /** Frames that came back while they were passed on: there is a loop. */
  get loopedFrames(): number {
    return this.#loops;
  }

  /** A new port. @throws {InvalidOptionError} if there are {@link MAX_PORTS} */
  port(name = `port${this.#ports.size}`): Jack {
    if (this.#ports.size === MAX_PORTS)
      throw new InvalidOptionError("port", `there are ${MAX_PORTS} already`);
    const jack = new Jack(this, name);
    this.#ports.add(jack);
    return jack;
  }

  /** Take a port away: its station, if it has one, is left without a carrier. */
  remove(port: Jack): void {
    if (!this.#ports.delete(port)) return;
    port.on = false;
  }

  /** For its ports. */
  carries(jack: Jack): boolean {
    return this.#ports.has(jack);
  }

  /** For its ports. */
  forward(frame: Frame, from: Jack): boolean {
    if (frame === this.#passing) {
      this.#loops++;
      return true;
    }
    // A station may answer at once, so another frame may be on its way here.
    const before = this.#passing;
    this.#passing = frame;
    const taken = this.pass(frame, from);
    this.#passing = before;
    return taken;
  }

  /** Where a frame goes. False: it could go nowhere now, and `from` is told when it can. */
  protected pass(frame: Frame, from: Jack): boolean {
    for (const port of this.#ports) if (port !== from && port.up) port.deliver(frame);
    return true;
  }
}
