// Btrfs on several devices.

import { BTRFS_IOC_SCAN_DEV } from "../abi/constants/btrfs.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from "../abi/constants/fcntl.ts";
import { BtrfsIoctlVolArgs } from "../abi/structs/btrfs.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";

/**
 * Make known that these block devices hold parts of btrfs file systems, as `btrfs device scan`
 * does: mounting one of them then finds the others. A kernel without btrfs ignores it.
 *
 * @throws {SystemError} e.g. EINVAL for what is no btrfs
 */
export async function scanBtrfs(process: Process, devices: readonly string[]): Promise<void> {
  let control: number;
  try {
    control = await process.openat(AT_FDCWD, "/dev/btrfs-control", O_RDWR | O_CLOEXEC, 0);
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENOENT") return;
    throw error;
  }
  try {
    for (const device of devices) {
      const args = BtrfsIoctlVolArgs.alloc();
      args.name.set(new TextEncoder().encode(device));
      await process.ioctl(control, BTRFS_IOC_SCAN_DEV, args.bytes);
    }
  } finally {
    await process.close(control);
  }
}
