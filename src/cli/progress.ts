// How far long work is: a line on the terminal that is written over; elsewhere a line now and then.

import { Interruptible } from "./interrupt.ts";
import { formatBytes } from "./output.ts";

/** Work shorter than this shows nothing. */
const QUIET_MS = 500;
const INTERVAL_MS = 100;
/** Where lines cannot be written over. */
const LOG_INTERVAL_MS = 1000;
const CLEAR_LINE = "\r\x1b[2K";

/** E.g. `1:05 left`. */
function formatLeft(seconds: number): string {
  if (!Number.isFinite(seconds)) return "";
  const whole = Math.ceil(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = hours ? `${hours}:${two(minutes)}` : String(minutes);
  return `, ${clock}:${two(whole % 60)} left`;
}

export class Progress implements Disposable {
  readonly #shown: boolean;
  readonly #work = new Interruptible();
  readonly #startMs = performance.now();
  #lastMs = this.#startMs + QUIET_MS - INTERVAL_MS;
  #bytes = 0;
  #visible = false;
  /** How much there is to do, if it is known. */
  totalBytes = 0;

  constructor(shown: boolean) {
    this.#shown = shown;
  }

  get shown(): boolean {
    return this.#shown;
  }

  /** Aborted when the user interrupts it. */
  get signal(): AbortSignal {
    return this.#work.signal;
  }

  /** So much more is done. @throws {InterruptedError} */
  add(bytes: number): void {
    this.signal.throwIfAborted();
    this.#bytes += bytes;
    const now = performance.now();
    const { isTTY, columns } = process.stderr;
    if (!this.#shown || now - this.#lastMs < (isTTY ? INTERVAL_MS : LOG_INTERVAL_MS)) return;
    this.#lastMs = now;
    if (isTTY) process.stderr.write(CLEAR_LINE + this.#line(now).slice(0, (columns || 80) - 1));
    else process.stderr.write(`${this.#line(now)}\n`);
    this.#visible = isTTY;
  }

  #line(now: number): string {
    const rate = this.#bytes / ((now - this.#startMs) / 1000);
    const speed = `${formatBytes(rate)}/s`;
    const done = formatBytes(this.#bytes);
    if (!this.totalBytes) return `${done}, ${speed}`;
    const percent = Math.min(100, Math.floor((100 * this.#bytes) / this.totalBytes));
    const left = Math.max(0, this.totalBytes - this.#bytes) / rate;
    return `${percent}%  ${done} of ${formatBytes(this.totalBytes)}, ${speed}${formatLeft(left)}`;
  }

  /** Make room for another line. */
  clear(): void {
    if (this.#visible) process.stderr.write(CLEAR_LINE);
    this.#visible = false;
  }

  [Symbol.dispose](): void {
    this.#work[Symbol.dispose]();
    this.clear();
    if (this.#shown && !process.stderr.isTTY && this.#bytes)
      process.stderr.write(`${this.#line(performance.now())}\n`);
  }
}
