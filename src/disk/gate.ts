// Work that can go on at once, and work that needs to be alone.
//
// Invariants: while #closed is set, one piece of exclusive work waits for the #running shared ones,
// or is under way; nothing else starts.

export class Gate {
  #running = 0;
  #closed: Promise<void> | null = null;
  #whenIdle: (() => void) | null = null;

  /** Do work beside others of its kind. */
  async shared<T>(work: () => T | Promise<T>): Promise<T> {
    while (this.#closed) await this.#closed;
    this.#running++;
    try {
      return await work();
    } finally {
      if (--this.#running === 0) this.#whenIdle?.();
    }
  }

  /** Do work alone: after what is under way has ended, and before what comes later starts. */
  async exclusive<T>(work: () => T | Promise<T>): Promise<T> {
    while (this.#closed) await this.#closed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    try {
      if (this.#running) await new Promise<void>((idle) => (this.#whenIdle = idle));
      return await work();
    } finally {
      this.#closed = null;
      this.#whenIdle = null;
      resolve();
    }
  }
}
