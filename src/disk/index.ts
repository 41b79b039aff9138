// Disks: where a block device's bytes are.
export { BlobDisk } from "./blob-disk.ts";
export type { BlobDiskOptions } from "./blob-disk.ts";
export { MAX_BLOCK_BYTES, SECTOR_BYTES } from "./disk.ts";
export type { Disk } from "./disk.ts";
export { DiskError } from "./errors.ts";
export type { DiskErrorCode } from "./errors.ts";
export { FaultDisk } from "./fault-disk.ts";
export type {
  DiskOperation,
  Fault,
  FaultableOperation,
  FaultDiskOptions,
  FaultEffect,
  InjectedFault,
} from "./fault-disk.ts";
export { MemoryDisk } from "./memory-disk.ts";
export type { MemoryDiskOptions } from "./memory-disk.ts";
export { SliceDisk } from "./slice-disk.ts";
export type { SliceDiskOptions } from "./slice-disk.ts";
export { RecorderDisk } from "./recorder-disk.ts";
export type {
  CrashState,
  CrashStateOptions,
  LogEntry,
  RecorderDiskOptions,
} from "./recorder-disk.ts";
export { OverlayDisk } from "./overlay-disk.ts";
export type { Change, OverlayDiskOptions } from "./overlay-disk.ts";
export { HTTP_CHUNK_BYTES, HttpDisk } from "./http-disk.ts";
export type { HttpDiskOptions } from "./http-disk.ts";
export { isCompressed, openCompressed } from "./compressed-disk.ts";
export type { CompressedDisk, CompressedDiskOptions } from "./compressed-disk.ts";
export type { CompressedSource, SourceDisk } from "./compressed/input.ts";
