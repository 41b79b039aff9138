// What the tests of operations on mounted file systems share: images in files, which the native
// tools make, and look at afterwards.

import { join } from "node:path";

import { AT_FDCWD, O_CREAT, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { attachDisk, mount } from "../src/fs/index.ts";
import type { BlockDevice, MountOptions } from "../src/fs/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { emptyImage, run } from "./images/native.ts";

interface Native {
  readonly mib: number;
  readonly make: readonly [command: string, ...args: string[]];
  /** Fails if the file system is not as it has to be. */
  readonly check: readonly [command: string, ...args: string[]];
}

const NATIVE = {
  ext2: { mib: 16, make: ["mke2fs", "-q", "-F", "-t", "ext2"], check: ["e2fsck", "-fn"] },
  ext3: { mib: 16, make: ["mke2fs", "-q", "-F", "-t", "ext3"], check: ["e2fsck", "-fn"] },
  ext4: { mib: 32, make: ["mke2fs", "-q", "-F", "-t", "ext4"], check: ["e2fsck", "-fn"] },
  xfs: { mib: 320, make: ["mkfs.xfs", "-q"], check: ["xfs_repair", "-n"] },
  btrfs: { mib: 128, make: ["mkfs.btrfs", "-q"], check: ["btrfs", "check", "--readonly"] },
  f2fs: { mib: 96, make: ["mkfs.f2fs", "-q"], check: ["fsck.f2fs", "--dry-run"] },
  vfat: { mib: 16, make: ["mkfs.vfat"], check: ["fsck.vfat", "-n"] },
} as const satisfies Readonly<Record<string, Native>>;

export type NativeType = keyof typeof NATIVE;

/** An image in a file. @param options of mkfs */
export function makeImage(folder: string, type: NativeType, ...options: string[]): string {
  const { mib, make } = NATIVE[type];
  const [command, ...args] = make;
  const path = emptyImage(
    join(folder, `${type}-${options.join("").replaceAll(/\W/g, "")}.img`),
    mib,
  );
  run(command, ...args, ...options, path);
  return path;
}

/** Let the native checker look at an image. @throws if it finds anything */
export function checkImage(path: string, type: NativeType): void {
  const [command, ...args] = NATIVE[type].check;
  const said = run(command, ...args, path);
  // fsck.f2fs tells it, and ends well.
  if (said.includes("[Fail]")) throw new Error(said);
}

/** An image that is mounted; disposing it unmounts, and checks the image. */
export interface MountedImage extends AsyncDisposable {
  readonly path: string;
  readonly disk: FileDisk;
  readonly device: BlockDevice;
  /** The directory. */
  readonly target: string;
}

/** Mount an image. */
export async function mountImage(
  kernel: Kernel,
  path: string,
  type: NativeType,
  options: Partial<MountOptions> = {},
): Promise<MountedImage> {
  const disk = new FileDisk(path);
  const device = await attachDisk(kernel, disk);
  const mounted = await mount(kernel, { source: device.path, type, ...options });
  return {
    path,
    disk,
    device,
    target: mounted.target,
    async [Symbol.asyncDispose]() {
      await mounted.unmount();
      await device.detach();
      disk.close();
      checkImage(path, type);
    },
  };
}

/** What is written at once: it is copied into the kernel's memory, of which there is little. */
const WRITE_BYTES = 1 << 20;

/** Create or replace a file. */
export async function writeFile(process: Process, path: string, bytes: Uint8Array): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_CREAT | O_RDWR, 0o644);
  try {
    await process.ftruncate64(fd, 0);
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + WRITE_BYTES);
      at += await process.write(fd, part, part.length);
    }
  } finally {
    await process.close(fd);
  }
}
