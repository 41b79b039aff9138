// Errors as the command line tells them: one line that names what and why.

import { KernelPanicError } from "../machine/errors.ts";

/** The command line makes no sense. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  /** The verb that does not understand it; undefined if it is the verb that is wrong. */
  readonly verb: string | undefined;

  constructor(verb: string | undefined, problem: string) {
    super(`${problem} (try: liblinux help${verb === undefined ? "" : ` ${verb}`})`);
    this.verb = verb;
  }
}

/** Something failed at a place that the user named. */
export class PlaceError extends Error {
  override readonly name = "PlaceError";
  /** The message without the place. */
  readonly problem: string;

  constructor(place: string, problem: string, cause?: unknown) {
    super(`${place}: ${problem}`, cause === undefined ? undefined : { cause });
    this.problem = problem;
  }
}

/** Something failed, and the exit code says what. */
export class FailedError extends Error {
  override readonly name = "FailedError";
  readonly exitCode: number;

  constructor(problem: string, exitCode: number, cause?: unknown) {
    super(problem, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

/** What went wrong, without the names of calls and of the kernel's own paths. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // What went wrong first is the reason for what went wrong in tidying up.
  if (typeof SuppressedError === "function" && error instanceof SuppressedError)
    return describeError(error.suppressed);
  // A kernel panic has lines that would drown the reason.
  if (error instanceof KernelPanicError)
    return `the kernel crashed: ${error.reason} (liblinux boot --log debug shows its log)`;
  return error.message;
}

/** `ENOENT: no such file or directory` of a system call's error, the kernel's or Node's. */
export function withoutCall(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!("syscall" in error)) return describeError(error);
  return error.message.replace(/, [a-z_0-9]+( '.*)?$/s, "");
}

/** The error, said of a place. */
export function at(place: string, error: unknown): Error {
  if (error instanceof PlaceError || error instanceof UsageError) return error;
  if (!(error instanceof Error) || !("syscall" in error)) return error as Error;
  return new PlaceError(place, withoutCall(error), error);
}
