// File systems are made here without a kernel: their structures are computed and written to a disk.

import type { Disk } from "../disk/disk.ts";
import { systemRandom } from "../machine/random.ts";
import { formatBtrfs } from "./btrfs/btrfs.ts";
import type { BtrfsOptions } from "./btrfs/btrfs.ts";
import { invalid, MkfsError } from "./errors.ts";
import { formatExfat } from "./exfat.ts";
import type { ExfatOptions } from "./exfat.ts";
import { formatExt } from "./ext4.ts";
import type { ExtOptions } from "./ext4.ts";
import { formatF2fs } from "./f2fs/f2fs.ts";
import type { F2fsOptions } from "./f2fs/f2fs.ts";
import type { CommonOptions, Formatted, Target } from "./formatter.ts";
import { ImageWriter } from "./image-writer.ts";
import { formatMinix } from "./minix.ts";
import type { MinixOptions } from "./minix.ts";
import { formatSwap } from "./swap.ts";
import type { SwapOptions } from "./swap.ts";
import { formatVfat } from "./vfat.ts";
import type { VfatOptions } from "./vfat.ts";
import { wipe } from "./wipe.ts";
import { formatXfs } from "./xfs/xfs.ts";
import type { XfsOptions } from "./xfs/xfs.ts";

/** What to make; `type` says which options there are. */
export type MkfsOptions =
  | BtrfsOptions
  | ExfatOptions
  | ExtOptions
  | F2fsOptions
  | MinixOptions
  | SwapOptions
  | VfatOptions
  | XfsOptions;

/**
 * Make a file system on a disk, or on a part of it. What was there is lost, though most of it is not
 * overwritten. Only metadata is written: 16 MiB for an ext4 of a TiB. The disk stays the caller's, and
 * must not be mounted.
 *
 * @throws {MkfsError} EINVAL (options), ENOSPC (too small), EFBIG (too large), EROFS; nothing was
 *   written. EIO: the disk failed.
 */
export async function mkfs(disk: Disk, options: MkfsOptions): Promise<Formatted> {
  if (disk.readOnly)
    throw new MkfsError("EROFS", "this disk is read-only: open it for writing to format it");
  const target = targetOf(disk, options);
  wipe(target.image);
  const formatted = format(target, options);
  await target.image.apply(disk, target.startBytes, options.zeroed);
  return formatted;
}

function format(target: Target, options: MkfsOptions): Formatted {
  switch (options.type) {
    case "btrfs":
      return formatBtrfs(target, options);
    case "exfat":
      return formatExfat(target, options);
    case "ext2":
    case "ext3":
    case "ext4":
      return formatExt(target, options);
    case "xfs":
      return formatXfs(target, options);
    case "f2fs":
      return formatF2fs(target, options);
    case "minix":
      return formatMinix(target, options);
    case "swap":
      return formatSwap(target, options);
    case "vfat":
      return formatVfat(target, options);
    // The compiler sees no other type, but a caller without types may have one.
    default:
      throw unknownType(options);
  }
}

function unknownType({ type }: { type?: unknown }): MkfsError {
  return invalid("type", `there is no formatter for ${JSON.stringify(type)}`);
}

function targetOf(disk: Disk, options: CommonOptions): Target {
  const unit = disk.blockSizeBytes;
  const { random = systemRandom } = options;
  const startBytes = options.startBytes ?? 0;
  if (!Number.isSafeInteger(startBytes) || startBytes < 0 || startBytes % unit)
    throw invalid("startBytes", `${startBytes} is no multiple of the disk's blocks of ${unit}`);
  const sizeBytes = options.sizeBytes ?? disk.sizeBytes - startBytes;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || sizeBytes % unit)
    throw invalid("sizeBytes", `${sizeBytes} is no multiple of the disk's blocks of ${unit}`);
  if (startBytes + sizeBytes > disk.sizeBytes)
    throw invalid(
      "sizeBytes",
      `${sizeBytes} bytes at ${startBytes} are beyond the disk's end at ${disk.sizeBytes}`,
    );
  const timeSeconds = Math.floor(options.timeSeconds ?? Date.now() / 1000);
  if (!(timeSeconds >= 0 && timeSeconds < 2 ** 34))
    throw invalid("timeSeconds", `${timeSeconds} is not in the years 1970 to 2514`);
  const image = new ImageWriter(sizeBytes);
  return { image, sizeBytes, blockSizeBytes: unit, startBytes, random, timeSeconds };
}
