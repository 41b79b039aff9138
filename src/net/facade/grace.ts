// How long one waits for an application that may go on at once.

type Later = (callback: () => void) => void;

/** How often the application's own queue is let go first. */
const TICKS = 4;

// What Node's streams do next is in a queue of its own, behind that of the promises.
const { process } = globalThis as { process?: { nextTick?: Later } };
const later: Later = process?.nextTick ?? queueMicrotask;

/** Call back when the application has had its chance to go on: before the event loop turns. */
export function grace(callback: () => void, ticks = TICKS): void {
  later(ticks > 1 ? () => grace(callback, ticks - 1) : callback);
}
