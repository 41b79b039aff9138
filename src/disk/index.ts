// Disks: where a block device's bytes are.
export { BlobDisk } from "./blob-disk.ts";
export type { BlobDiskOptions } from "./blob-disk.ts";
export { MAX_BLOCK_BYTES, SECTOR_BYTES } from "./disk.ts";
export type { Disk } from "./disk.ts";
export { DiskError } from "./errors.ts";
export type { DiskErrorCode } from "./errors.ts";
export { MemoryDisk } from "./memory-disk.ts";
export type { MemoryDiskOptions } from "./memory-disk.ts";
