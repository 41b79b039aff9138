// How a kernel ends, and what is wrong with what it was given.

/** Where in the kernel it happened, innermost function first. */
export type Backtrace = readonly string[];

/**
 * The kernel crashed: it called panic(), hit a BUG, trapped, or ran out of
 * stack or memory. Every pending and later call of that kernel rejects with
 * this; other kernels and the application go on.
 */
export class KernelPanicError extends Error {
  override readonly name = "KernelPanicError";
  readonly code = "ERR_KERNEL_PANIC";
  /** What the kernel, or the engine, gave as the reason. */
  readonly reason: string;
  /** The last lines of the kernel's log, oldest first. */
  readonly logTail: readonly string[];
  readonly backtrace: Backtrace;

  constructor(reason: string, logTail: readonly string[], backtrace: Backtrace, cause?: unknown) {
    const trace = backtrace.slice(0, 12).map((name) => `\n    in ${name}`);
    const log = logTail.slice(-10).map((line) => `\n    ${line}`);
    super(
      `kernel panic: ${reason}${trace.join("")}${log.length ? `\n  log:${log.join("")}` : ""}`,
      cause === undefined ? undefined : { cause },
    );
    this.reason = reason;
    this.logTail = logTail;
    this.backtrace = backtrace;
  }
}

export type StopReason = "halted" | "restarted" | "disposed";

/** The kernel was told to stop, so the call cannot be made or will not return. */
export class KernelStoppedError extends Error {
  override readonly name = "KernelStoppedError";
  readonly code = "ERR_KERNEL_STOPPED";
  readonly how: StopReason;

  constructor(how: StopReason) {
    super(`this kernel was ${how}: boot another one`);
    this.how = how;
  }
}

/** An option of the library has a value that it cannot have. */
export class InvalidOptionError extends RangeError {
  override readonly name = "InvalidOptionError";
  readonly code = "ERR_INVALID_OPTION";
  readonly option: string;

  constructor(option: string, problem: string) {
    super(`option "${option}": ${problem}`);
    this.option = option;
  }
}

/** The bytes given as a kernel are none, or not one that this version can run. */
export class NotAKernelError extends TypeError {
  override readonly name = "NotAKernelError";
  readonly code = "ERR_NOT_A_KERNEL";
}
