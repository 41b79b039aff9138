// Ranges of bytes in a file or a device.

import { InvalidOptionError } from "../machine/errors.ts";

/** Zero or more bytes from an offset on. */
export interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** @throws {InvalidOptionError} unless it is a whole number of bytes, 0 or more, and exact */
export function checkBytes(option: string, bytes: number): number {
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw new InvalidOptionError(
      option,
      `${bytes}: it is a whole number of bytes, from 0 to ${Number.MAX_SAFE_INTEGER}`,
    );
  return bytes;
}
