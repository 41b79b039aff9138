// Ctrl-C: long work ends in order, with nothing half-written; other work, and work that is interrupted
// again, ends at once.

import { addAbortSignal } from "node:stream";
import type { Readable } from "node:stream";

/** The user interrupted it. */
export class InterruptedError extends Error {
  override readonly name = "InterruptedError";
  readonly code = "ERR_INTERRUPTED";

  constructor() {
    super("interrupted");
  }
}

/** What is under way and can end in order. */
const works = new Set<AbortController>();

/** Work that ends by itself when its signal is aborted; disposing it says that it has ended. */
export class Interruptible implements Disposable {
  readonly #controller = new AbortController();

  constructor() {
    works.add(this.#controller);
  }

  /** Aborted with an {@link InterruptedError}. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    works.delete(this.#controller);
  }
}

/** @returns whether there is work that ends now, and was not told before */
export function interrupt(): boolean {
  const told = [...works].filter(({ signal }) => !signal.aborted);
  for (const work of told) work.abort(new InterruptedError());
  return told.length > 0;
}

/** What a stream has, until it is interrupted. @throws {InterruptedError} */
export async function* chunksOf(
  stream: Readable,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  addAbortSignal(signal, stream);
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
