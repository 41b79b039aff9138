// Giving back to the device what a file system does not use (FITRIM, fstrim(8)).

import { FITRIM } from "../abi/constants/ioctl.ts";
import { FstrimRange } from "../abi/structs/fs.ts";
import type { Process } from "../syscall/process.ts";
import { checkBytes } from "./range.ts";
import type { ByteRange } from "./range.ts";
import { ioctlOn } from "./target.ts";
import type { Target } from "./target.ts";

/** Part of the file system's device; default: the whole. */
export interface TrimOptions extends Partial<ByteRange> {
  /** Leave free pieces that are shorter. Default 0: the file system's block. */
  readonly minimumBytes?: number;
}

const EVERYTHING = 2n ** 64n - 1n;

/**
 * Discard what is free of a file system.
 *
 * @returns how many bytes were discarded, in as far as the file system counts them: ext4 leaves out
 *   what it discarded before, and F2FS all that it gives back by itself, unless mounted `nodiscard`
 * @throws {SystemError} EOPNOTSUPP if the device or the file system cannot, EINVAL if the offset is
 *   beyond the end or the minimum more than the file system has in a piece
 */
export async function trim(
  process: Process,
  target: Target,
  options: TrimOptions = {},
): Promise<number> {
  const { offsetBytes = 0, lengthBytes, minimumBytes = 0 } = options;
  const range = FstrimRange.alloc();
  range.start = BigInt(checkBytes("offsetBytes", offsetBytes));
  range.len =
    lengthBytes === undefined ? EVERYTHING : BigInt(checkBytes("lengthBytes", lengthBytes));
  range.minlen = BigInt(checkBytes("minimumBytes", minimumBytes));
  await ioctlOn(process, target, FITRIM, range.bytes);
  return Number(range.len);
}
