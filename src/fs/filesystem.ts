// Which file system a file is on.

import { AT_EMPTY_PATH } from "../abi/constants/fcntl.ts";
import {
  MNT_ID_REQ_SIZE_VER1,
  STATMOUNT_FS_TYPE,
  STATMOUNT_SB_BASIC,
} from "../abi/constants/mount.ts";
import { STATX_MNT_ID_UNIQUE } from "../abi/constants/stat.ts";
import { cString } from "../abi/struct.ts";
import { MntIdReq, Statfs64, Statmount, Statx } from "../abi/structs/fs.ts";
import { SECTOR_BYTES } from "../disk/disk.ts";
import type { Process } from "../syscall/process.ts";
import { readText } from "./files.ts";

/** A file system that is mounted. */
export interface FilesystemFacts {
  /** As in /proc/filesystems. */
  readonly type: string;
  /** Of its device; not a real one where there is none, or several. */
  readonly major: number;
  readonly minor: number;
}

/** Room for the name of a type behind the structure. */
const NAME_BYTES = 64;

/** The file system that an open file is on (statmount(2)). */
export async function filesystemOf(process: Process, fd: number): Promise<FilesystemFacts> {
  const status = Statx.alloc();
  await process.statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE, status.bytes);
  const request = MntIdReq.alloc();
  request.size = MNT_ID_REQ_SIZE_VER1;
  request.mnt_id = status.stx_mnt_id;
  request.param = BigInt(STATMOUNT_SB_BASIC | STATMOUNT_FS_TYPE);
  const bytes = new Uint8Array(Statmount.size + NAME_BYTES);
  await process.statmount(request.bytes, bytes, bytes.length, 0);
  const found = Statmount.from(bytes);
  return {
    type: cString(bytes.subarray(Statmount.offsets.str + found.fs_type)),
    major: found.sb_dev_major,
    minor: found.sb_dev_minor,
  };
}

/** The unit in which an open file's file system counts, in bytes. */
export async function blockBytesOf(process: Process, fd: number): Promise<number> {
  const raw = Statfs64.alloc();
  await process.fstatfs64(fd, Statfs64.size, raw.bytes);
  return raw.f_frsize || raw.f_bsize;
}

/** How large a block device is now, in bytes. @throws {SystemError} ENOENT if there is no such */
export async function deviceBytes(
  process: Process,
  device: { readonly major: number; readonly minor: number },
): Promise<number> {
  const sectors = await readText(process, `/sys/dev/block/${device.major}:${device.minor}/size`);
  // sysfs counts in these, whatever the device's own blocks are.
  return Number(sectors) * SECTOR_BYTES;
}
