// The name of a file system, while it is mounted (FS_IOC_GETFSLABEL).

import { FS_IOC_GETFSLABEL, FS_IOC_SETFSLABEL, FSLABEL_MAX } from "../abi/constants/ioctl.ts";
import { cString } from "../abi/struct.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { ioctlOn } from "./target.ts";
import type { Target } from "./target.ts";

/**
 * The label; empty if there is none.
 *
 * @param target where it is mounted, or a file on it
 * @throws {SystemError} ENOTTY where the file system tells none: vfat, exfat, ntfs3…
 */
export async function getLabel(process: Process, target: Target): Promise<string> {
  const bytes = new Uint8Array(FSLABEL_MAX);
  await ioctlOn(process, target, FS_IOC_GETFSLABEL, bytes);
  return cString(bytes);
}

/**
 * Change the label, or take it away with "". In UTF-8, ext2, ext3 and ext4 have room for 16 bytes,
 * XFS for 12, Btrfs and F2FS for 255.
 *
 * @throws {InvalidOptionError} if it is too long, or has a NUL character
 * @throws {SystemError} ENOTTY where the file system cannot, EROFS, EPERM…
 */
export async function setLabel(process: Process, target: Target, label: string): Promise<void> {
  const text = new TextEncoder().encode(label);
  if (label.includes("\0")) throw new InvalidOptionError("label", "it has a NUL character");
  // One byte is the end's.
  if (text.length >= FSLABEL_MAX) throw tooLong(label, text.length);
  const bytes = new Uint8Array(FSLABEL_MAX);
  bytes.set(text);
  try {
    await ioctlOn(process, target, FS_IOC_SETFSLABEL, bytes);
  } catch (error) {
    if (error instanceof SystemError && error.code === "EINVAL") throw tooLong(label, text.length);
    throw error;
  }
}

const tooLong = (label: string, bytes: number) =>
  new InvalidOptionError("label", `"${label}" has ${bytes} bytes, more than the file system takes`);
