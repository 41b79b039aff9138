// How long one waits for an application that may go on at once.

type Later = (callback: () => void) => void;

/** How often the application's own queue is let go first. */
const TICKS = 4;
/** After so many microtasks it is known whether others keep that queue from its turn. */
const MICROTASKS = 24;

// What Node's streams do next is in a queue of its own, which has its turn when no promise has.
const { process } = globalThis as { process?: { nextTick?: Later } };
const later: Later = process?.nextTick ?? queueMicrotask;
const settled = Promise.resolve();

/**
 * Calls back when the application had its chance to go on, though before the event loop turns. If
 * others make calls meanwhile, and do not pause, that chance is short: the queue might never have its
 * turn.
 */
export class Grace {
  readonly #ended: () => void;
  /** How many calls anybody has begun. */
  readonly #calls: () => number;
  /** Ticks that are left; 0 while there is no grace. */
  #left = 0;
  #ticking = false;
  /** Microtasks that are left, and the calls that were begun before. */
  #checks = 0;
  #before = 0;
  #checking = false;

  constructor(calls: () => number, ended: () => void) {
    this.#calls = calls;
    this.#ended = ended;
  }

  /** It begins, or begins anew. */
  begin(): void {
    this.#left = TICKS;
    if (!this.#ticking) {
      this.#ticking = true;
      later(this.#tick);
    }
    this.#before = this.#calls();
    this.#checks = MICROTASKS;
    if (this.#checking) return;
    this.#checking = true;
    void settled.then(this.#check);
  }

  /** It is over, and nobody is called. */
  cancel(): void {
    this.#left = this.#checks = 0;
  }

  #end(): void {
    this.cancel();
    this.#ended();
  }

  readonly #check = (): void => {
    if (this.#checks > 1) {
      this.#checks--;
      void settled.then(this.#check);
      return;
    }
    this.#checking = false;
    if (this.#checks && this.#calls() !== this.#before) this.#end();
  };

  readonly #tick = (): void => {
    if (this.#left > 1) {
      this.#left--;
      later(this.#tick);
      return;
    }
    this.#ticking = false;
    if (this.#left) this.#end();
  };
}
