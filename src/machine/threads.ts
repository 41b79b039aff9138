// The thread operations of the host contract, on JSPI stacks.
//
// Invariants: a task that is not running is either parked here, suspended in
// the CPU's own waits (idle, yield, user mode), or was never started. A stack
// that stays suspended is never collected by the engine, so a task that ends,
// and every task of a machine that ends, is unwound by rejecting what it
// waits on; kernel code has no handlers, so nothing of it runs meanwhile.

/** What a suspended stack is rejected with to free it. */
export const UNWIND = new Error("this stack was unwound");

interface Parked {
  resolve: () => void;
  reject: (why: Error) => void;
}

export class Threads {
  readonly #parked = new Map<number, Parked>();
  readonly #start: (task: number) => Promise<void>;
  readonly #ended: (why: unknown) => void;
  #dead = false;
  /** How often the kernel switched tasks. */
  switches = 0;

  /**
   * @param start runs a new task on a stack of its own
   * @param ended is told why a stack ended, unless it was unwound from here
   */
  constructor(start: (task: number) => Promise<void>, ended: (why: unknown) => void) {
    this.#start = start;
    this.#ended = ended;
  }

  /** Park `prev` until someone switches to it, and continue or start `next`. */
  readonly switch = (prev: number, next: number, dead: number): Promise<void> => {
    if (this.#dead) return Promise.reject(UNWIND);
    this.switches++;
    const parked = this.#parked.get(next);
    if (parked) {
      this.#parked.delete(next);
      parked.resolve();
    } else {
      // Not now: `prev` is still on its way out.
      queueMicrotask(() => this.run(() => this.#start(next)));
    }
    if (dead) return Promise.reject(UNWIND);
    return new Promise((resolve, reject) => this.#parked.set(prev, { resolve, reject }));
  };

  /** Run a stack, and report its end. */
  run(start: () => Promise<void>): void {
    if (this.#dead) return;
    start().then(
      () => this.#ended(new Error("a stack of the kernel returned")),
      (why: unknown) => {
        if (why !== UNWIND) this.#ended(why);
      },
    );
  }

  /** Free every parked stack. */
  unwind(): void {
    this.#dead = true;
    for (const { reject } of this.#parked.values()) reject(UNWIND);
    this.#parked.clear();
  }
}
