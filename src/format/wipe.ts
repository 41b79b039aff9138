// What an earlier user of a disk left where a recogniser would look: superblocks, labels of volume
// managers, and partition tables at both ends.

import type { ImageWriter } from "./image-writer.ts";

/** LVM, LUKS, RAID, ZFS, UDF, ISO 9660, GPT, swap … all have what they are known by in these. */
const END_BYTES = 1 << 20;
/** Second headers of LUKS 2 and copies of btrfs's superblock are where nothing else is. */
const LONE_OFFSETS = [2 ** 21, 2 ** 22, 2 ** 26, 2 ** 38];
const LONE_BYTES = 4096;

/** Let no signature survive that udev, blkid or the kernel would know. */
export function wipe(image: ImageWriter): void {
  const { sizeBytes } = image;
  image.zero(0, Math.min(sizeBytes, END_BYTES));
  image.zero(Math.max(0, sizeBytes - END_BYTES), Math.min(sizeBytes, END_BYTES));
  for (const offset of LONE_OFFSETS)
    if (offset + LONE_BYTES <= sizeBytes) image.zero(offset, LONE_BYTES);
}
