// Whether a timer keeps the program running until it fires.

/** Node's timers can stop holding the process; a page's are numbers, and hold nothing. */
export function setHold(timer: unknown, holds: boolean): void {
  if (typeof timer !== "object" || timer === null || !("unref" in timer)) return;
  const timeout = timer as { ref(): void; unref(): void };
  if (holds) timeout.ref();
  else timeout.unref();
}
