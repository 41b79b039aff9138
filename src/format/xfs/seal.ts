// Checksums of XFS: CRC-32C over all but themselves, little-endian in records that are big-endian.

import { crc32c } from "../checksum.ts";
import type { Record } from "../record.ts";

/** Sets the checksum of a whole record, whose field for it is still zeroes. */
export function seal(record: Record, at: number): Uint8Array<ArrayBuffer> {
  return record.u32(at, ~crc32c(~0, record.bytes) >>> 0).bytes;
}
