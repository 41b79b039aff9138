// How long one waits for an application that may go on at once.

type Later = (callback: () => void) => void;

/** How often the application's own queue is let go first. */
const TICKS = 4;

// What Node's streams do next is in a queue of its own, behind that of the promises.
const { process } = globalThis as { process?: { nextTick?: Later } };
const later: Later = process?.nextTick ?? queueMicrotask;

/** Calls back when the application had its chance to go on, though before the event loop turns. */
export class Grace {
  readonly #ended: () => void;
  #left = 0;
  #counting = false;

  constructor(ended: () => void) {
    this.#ended = ended;
  }

  /** It begins, or begins anew. */
  begin(): void {
    this.#left = TICKS;
    if (this.#counting) return;
    this.#counting = true;
    later(this.#count);
  }

  /** It is over, and nobody is called. */
  cancel(): void {
    this.#left = 0;
  }

  readonly #count = (): void => {
    if (this.#left > 1) {
      this.#left--;
      later(this.#count);
      return;
    }
    this.#counting = false;
    if (!this.#left) return;
    this.#left = 0;
    this.#ended();
  };
}
