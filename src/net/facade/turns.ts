// One at a time, first come, first served.
//
// Invariants: whoever took the turn gives it, and then the first that waits has it: nobody slips in
// between.

export class Turns {
  #taken = false;
  #waiting: (() => void)[] = [];
  /** The first of those that wait; those before it had their turn. */
  #next = 0;

  /** Take the turn if it is free. @returns whether it was */
  take(): boolean {
    if (this.#taken) return false;
    return (this.#taken = true);
  }

  /** Settles when the turn is the caller's. */
  wait(): Promise<void> {
    if (this.take()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The turn is over. */
  give(): void {
    if (this.#next < this.#waiting.length) this.#waiting[this.#next++]();
    else if (this.#next) {
      this.#waiting = [];
      this.#next = 0;
      this.#taken = false;
    } else this.#taken = false;
  }
}
