// What the kernel knows of a file, and of a file system.

import type { Path } from "../abi/calls.ts";
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from "../abi/constants/fcntl.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  STATX_BASIC_STATS,
  STATX_BTIME,
} from "../abi/constants/stat.ts";
import { Statfs64, Statx } from "../abi/structs/fs.ts";
import type { StatxTimestamp } from "../abi/structs/fs.ts";
import type { Process } from "../syscall/process.ts";

/** What a directory's entry can be. */
export type FileType =
  | "file"
  | "directory"
  | "symlink"
  | "character device"
  | "block device"
  | "fifo"
  | "socket"
  | "unknown";

const TYPES: ReadonlyMap<number, FileType> = new Map([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character device"],
  [S_IFBLK, "block device"],
  [S_IFIFO, "fifo"],
  [S_IFSOCK, "socket"],
]);

/** The type among the bits of a mode. */
export function typeOfMode(mode: number): FileType {
  return TYPES.get(mode & S_IFMT) ?? "unknown";
}

export interface FileStatus {
  readonly type: FileType;
  /** Permissions, with set-user-ID, set-group-ID and sticky: 12 bits. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** What it takes on the disk. */
  readonly allocatedBytes: number;
  /** Unique within {@link filesystem}. */
  readonly inode: bigint;
  /** The device number of the file system it is on. */
  readonly filesystem: { readonly major: number; readonly minor: number };
  /** Of a device. */
  readonly device: { readonly major: number; readonly minor: number };
  /** Nanoseconds since 1970. */
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
  /** Undefined where the file system does not keep it. */
  readonly createdNs: bigint | undefined;
}

const timeOf = (time: StatxTimestamp) => time.tv_sec * 1_000_000_000n + BigInt(time.tv_nsec);

export interface StatOptions {
  /** Where the name starts from if it is relative: a directory's descriptor. */
  readonly at?: number;
  /** Of a symbolic link, the status of what it points to. Default true. */
  readonly follow?: boolean;
}

/** @throws {SystemError} e.g. ENOENT */
export async function stat(
  process: Process,
  path: Path,
  options: StatOptions = {},
): Promise<FileStatus> {
  const { at = AT_FDCWD, follow = true } = options;
  const raw = Statx.alloc();
  const flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
  await process.statx(at, path, flags, STATX_BASIC_STATS | STATX_BTIME, raw.bytes);
  return {
    type: typeOfMode(raw.stx_mode),
    mode: raw.stx_mode & 0o7777,
    links: raw.stx_nlink,
    uid: raw.stx_uid,
    gid: raw.stx_gid,
    sizeBytes: Number(raw.stx_size),
    allocatedBytes: Number(raw.stx_blocks) * 512,
    inode: raw.stx_ino,
    filesystem: { major: raw.stx_dev_major, minor: raw.stx_dev_minor },
    device: { major: raw.stx_rdev_major, minor: raw.stx_rdev_minor },
    accessedNs: timeOf(raw.stx_atime),
    modifiedNs: timeOf(raw.stx_mtime),
    changedNs: timeOf(raw.stx_ctime),
    createdNs: raw.stx_mask & STATX_BTIME ? timeOf(raw.stx_btime) : undefined,
  };
}

/** How full a file system is. */
export interface Usage {
  readonly totalBytes: number;
  readonly usedBytes: number;
  /** Free for users without rights: less than total − used where some is reserved. */
  readonly availableBytes: number;
  readonly blockBytes: number;
  /** Inodes; 0 where the file system has no fixed number of them. */
  readonly totalFiles: number;
  readonly usedFiles: number;
}

/** The usage of the file system that a path is on. */
export async function usage(process: Process, path: Path): Promise<Usage> {
  const raw = Statfs64.alloc();
  await process.statfs64(path, Statfs64.size, raw.bytes);
  const unit = raw.f_frsize || raw.f_bsize;
  return {
    totalBytes: Number(raw.f_blocks) * unit,
    usedBytes: Number(raw.f_blocks - raw.f_bfree) * unit,
    availableBytes: Number(raw.f_bavail) * unit,
    blockBytes: unit,
    totalFiles: Number(raw.f_files),
    usedFiles: Number(raw.f_files - raw.f_ffree),
  };
}
