// Errors of system calls, as Node shows them.

import { errnoCode, errnoMessage } from "../abi/errno.ts";

const MAX_ERRNO = 4095;

/** Whether a call's result is an error: every kernel function returns −errno. */
export const isError = (result: number): boolean => result < 0 && result >= -MAX_ERRNO;

/** A system call failed. Has the fields of a NodeJS.ErrnoException. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** E.g. `ENOENT`. */
  readonly code: string;
  /** Negative, e.g. −2. */
  readonly errno: number;
  /** The system call, as the kernel calls it. */
  readonly syscall: string;
  readonly path?: string;
  readonly dest?: string;

  /** @param errno negative */
  constructor(errno: number, syscall: string, path?: string, dest?: string) {
    const code = errnoCode(-errno) ?? `errno ${-errno}`;
    const names = [path, dest].filter((name) => name !== undefined).map((name) => `'${name}'`);
    const what = (errnoMessage(-errno) || "unknown error").toLowerCase();
    super(`${code}: ${what}, ${syscall}${names.length ? ` ${names.join(" -> ")}` : ""}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    if (path !== undefined) this.path = path;
    if (dest !== undefined) this.dest = dest;
  }
}

/** Something that was closed or disposed is used. */
export class DisposedError extends Error {
  override readonly name = "DisposedError";
  readonly code = "ERR_DISPOSED";
}

/** A buffer is too small for the length that is given with it. */
export class BufferSizeError extends RangeError {
  override readonly name = "BufferSizeError";
  readonly code = "ERR_OUT_OF_RANGE";
}
