// Which blocks are in use, as runs: there are few, however large the disk is.
//
// Invariants: runs are in order, and neither overlap nor touch.

/** Blocks in a row. */
export interface Run {
  readonly start: number;
  readonly length: number;
}

export class BlockSet {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** The first run that ends after a block. */
  #find(block: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ends[middle] > block) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Blocks that are not in use come to use: it is a mistake if one is already. */
  add(start: number, length: number): void {
    if (length === 0) return;
    const end = start + length;
    const at = this.#find(start);
    if (at < this.#starts.length && this.#starts[at] < end)
      throw new RangeError(`blocks ${start} to ${end - 1} are in use`);
    const joinsBefore = at > 0 && this.#ends[at - 1] === start;
    const joinsAfter = at < this.#starts.length && this.#starts[at] === end;
    if (joinsBefore && joinsAfter) {
      this.#ends[at - 1] = this.#ends[at];
      this.#starts.splice(at, 1);
      this.#ends.splice(at, 1);
    } else if (joinsBefore) this.#ends[at - 1] = end;
    else if (joinsAfter) this.#starts[at] = start;
    else {
      this.#starts.splice(at, 0, start);
      this.#ends.splice(at, 0, end);
    }
  }

  /** The runs in use from one block to before another. */
  *used(from: number, to: number): Generator<Run> {
    for (let at = this.#find(from); at < this.#starts.length && this.#starts[at] < to; at++) {
      const start = Math.max(from, this.#starts[at]);
      yield { start, length: Math.min(to, this.#ends[at]) - start };
    }
  }

  /** The runs not in use. */
  *free(from: number, to: number): Generator<Run> {
    let next = from;
    for (const run of this.used(from, to)) {
      if (run.start > next) yield { start: next, length: run.start - next };
      next = run.start + run.length;
    }
    if (next < to) yield { start: next, length: to - next };
  }

  countUsed(from: number, to: number): number {
    let count = 0;
    for (const run of this.used(from, to)) count += run.length;
    return count;
  }
}
