// Calls that one thread makes one right behind the other.

/** One call: its number, and its words as the kernel takes them. To be set anew for each call. */
export class CallWords {
  nr = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
  e = 0;
  f = 0;

  /** @returns itself */
  set(nr: number, a: number, b: number, c: number, d: number, e: number, f: number): this {
    this.nr = nr;
    this.a = a;
    this.b = b;
    this.c = c;
    this.d = d;
    this.e = e;
    this.f = f;
    return this;
  }
}

/**
 * What decides about the calls. Its methods run between two calls on the thread's own way through the
 * kernel: they settle promises, rather than call the application.
 */
export interface Series {
  /**
   * The next call, or null if there is none.
   *
   * @param result of the last call, a negative errno included; before the first one 0
   */
  next(result: number): CallWords | null;
  /** There will be no next call, or no first one, as the process or the kernel has ended. */
  failed(why: Error): void;
}
