// What goes wrong when a disk is formatted or partitioned.

import { errno } from "../abi/errno.ts";

/**
 * EINVAL: an option cannot be so. ENOSPC: the disk is too small. EFBIG: it is too large.
 * EROFS: it is read-only. EIO: a disk's operation failed, see `cause`.
 */
export type MkfsErrorCode = "EINVAL" | "ENOSPC" | "EFBIG" | "EROFS" | "EIO";

/** A disk was not formatted or partitioned. Unless the code is EIO, nothing was written. */
export class MkfsError extends Error {
  override readonly name = "MkfsError";
  readonly code: MkfsErrorCode;
  /** Negative, as Node's errors have it. */
  readonly errno: number;
  readonly syscall: "mkfs" | "partition";
  /** The option that is wrong, if it is one. */
  readonly option: string | undefined;

  /** @param problem a sentence that names what is wrong, and the cure */
  constructor(
    code: MkfsErrorCode,
    problem: string,
    more: { syscall?: "mkfs" | "partition"; option?: string; cause?: unknown } = {},
  ) {
    const { syscall = "mkfs", option, cause } = more;
    super(
      `${code}: ${option === undefined ? "" : `option "${option}": `}${problem}`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    this.errno = -errno[code];
    this.syscall = syscall;
    this.option = option;
  }
}

/** An option cannot have the value that it has. */
export function invalid(option: string, problem: string): MkfsError {
  return new MkfsError("EINVAL", problem, { option });
}

/** The disk has less bytes than this kind of file system needs. */
export function tooSmall(type: string, sizeBytes: number, leastBytes: number): MkfsError {
  return new MkfsError(
    "ENOSPC",
    `a disk of ${sizeBytes} bytes is too small for ${type}: it needs at least ${leastBytes}`,
  );
}

/** The disk has more bytes than this kind of file system can count. */
export function tooLarge(type: string, sizeBytes: number, mostBytes: number): MkfsError {
  return new MkfsError(
    "EFBIG",
    `a disk of ${sizeBytes} bytes is too large for ${type}: it takes at most ${mostBytes}; ` +
      `give a smaller sizeBytes, or use another type`,
  );
}
