// Space of a file: taken before it is written to, given back, shifted (fallocate(2)).

import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  O_WRONLY,
} from "../abi/constants/fcntl.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import { checkBytes } from "./range.ts";
import type { ByteRange } from "./range.ts";
import { withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

const MODES = {
  /** Take space for what has none, which then reads as zeroes. */
  allocate: 0,
  /** Give space back: the range becomes a hole, and the file stays as long as it is. */
  punchHole: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  /** Make it read as zeroes, with its space. */
  zeroRange: FALLOC_FL_ZERO_RANGE,
  /** Take the range out of the file, which becomes shorter. In whole blocks. */
  collapseRange: FALLOC_FL_COLLAPSE_RANGE,
  /** Put a hole in, which makes the file longer. In whole blocks. */
  insertRange: FALLOC_FL_INSERT_RANGE,
  /** Give it space of its own, where it shares that of another file. */
  unshareRange: FALLOC_FL_UNSHARE_RANGE,
} as const satisfies Readonly<Record<string, number>>;

/** What is done with a range: fallocate(2) says which file systems do which. */
export type FallocateMode = keyof typeof MODES;

export interface FallocateOptions {
  /** With "allocate" and "zeroRange": the file stays as long as it is. Default false. */
  readonly keepSize?: boolean;
}

/**
 * Allocate, free or shift a range of a file.
 *
 * @param range of one byte at least
 * @throws {InvalidOptionError} for a mode that is none, or a range out of range
 * @throws {SystemError} EOPNOTSUPP where the file system cannot, ENOSPC, EINVAL for parts of blocks…
 */
export async function fallocate(
  process: Process,
  target: Target,
  mode: FallocateMode,
  range: ByteRange,
  options: FallocateOptions = {},
): Promise<void> {
  if (!Object.hasOwn(MODES, mode))
    throw new InvalidOptionError(
      "mode",
      `"${mode}": it is one of ${Object.keys(MODES).join(", ")}`,
    );
  const flags = MODES[mode] | (options.keepSize ? FALLOC_FL_KEEP_SIZE : 0);
  const offset = checkBytes("offsetBytes", range.offsetBytes);
  const length = checkBytes("lengthBytes", range.lengthBytes);
  if (!length) throw new InvalidOptionError("lengthBytes", "0: it is one byte at least");
  await withDescriptor(
    process,
    target,
    (fd) => process.fallocate(fd, flags, offset, length),
    O_WRONLY,
  );
}
