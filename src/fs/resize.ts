// The size of a file system while it is mounted, and of the partition below it.

import { BTRFS_IOC_RESIZE } from "../abi/constants/btrfs.ts";
import { EXT4_IOC_RESIZE_FS } from "../abi/constants/ext4.ts";
import { F2FS_IOC_RESIZE_FS } from "../abi/constants/f2fs.ts";
import { BLKPG_RESIZE_PARTITION } from "../abi/constants/ioctl.ts";
import { XFS_IOC_FSGEOMETRY, XFS_IOC_FSGROWFSDATA } from "../abi/constants/xfs.ts";
import { viewOf } from "../abi/struct.ts";
import { BtrfsIoctlVolArgs } from "../abi/structs/btrfs.ts";
import { XfsFsopGeom, XfsGrowfsData } from "../abi/structs/xfs.ts";
import { SECTOR_BYTES } from "../disk/disk.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { DeviceNotFoundError } from "./block-device.ts";
import type { BlockDevice } from "./block-device.ts";
import { readText } from "./files.ts";
import { blockBytesOf, deviceBytes, filesystemOf } from "./filesystem.ts";
import type { FilesystemFacts } from "./filesystem.ts";
import { changePartition } from "./partition-devices.ts";
import { checkBytes } from "./range.ts";
import { pathOf, withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/** A file system cannot get that size while it is mounted. */
export class ResizeError extends Error {
  override readonly name = "ResizeError";
  readonly code = "ERR_CANNOT_RESIZE";
  /** As in /proc/filesystems, or the driver's name. */
  readonly type: string;
  readonly path: string | undefined;

  constructor(type: string, path: string | undefined, problem: string, cause?: unknown) {
    super(problem, cause === undefined ? undefined : { cause });
    this.type = type;
    this.path = path;
  }
}

/** What is asked for, of which file system. */
interface Request {
  readonly process: Process;
  readonly fd: number;
  readonly facts: FilesystemFacts;
  readonly path: string | undefined;
  readonly size: number | "device";
}

type Resizer = (request: Request) => Promise<void>;

const RESIZERS: Readonly<Record<string, Resizer>> = {
  ext2: resizeExt,
  ext3: resizeExt,
  ext4: resizeExt,
  xfs: resizeXfs,
  btrfs: resizeBtrfs,
  f2fs: resizeF2fs,
};

/**
 * Give a file system another size while it is mounted. Ext2, ext3, ext4 and XFS grow; Btrfs grows and
 * shrinks, down to 256 MiB; F2FS shrinks. The size is rounded down to whole blocks, and may end up
 * some blocks smaller where the rest could not hold anything.
 *
 * @param target where it is mounted, or a file on it
 * @param size in bytes, or "device": all that the device below has. After a {@link Disk} got another
 *   size, await {@link deviceResized}; a partition grows by {@link resizePartition}.
 *   Of a Btrfs on several devices it is the first device's part.
 * @throws {ResizeError} if it cannot get that size, or none at all
 * @throws {SystemError} ENOSPC if what is in it does not fit, EROFS, EPERM…
 */
export async function resize(
  process: Process,
  target: Target,
  size: number | "device",
): Promise<void> {
  if (size !== "device") checkBytes("size", size);
  await withDescriptor(process, target, async (fd) => {
    const facts = await filesystemOf(process, fd);
    const path = pathOf(target);
    const resizer = Object.hasOwn(RESIZERS, facts.type) ? RESIZERS[facts.type] : undefined;
    if (!resizer)
      throw new ResizeError(facts.type, path, `${facts.type} cannot be resized while mounted`);
    await resizer({ process, fd, facts, path, size });
  });
}

/** How many blocks were asked for; an error says so if the device has not that many. */
async function blocksOf(request: Request, blockBytes: number): Promise<bigint> {
  const { process, facts, size } = request;
  const available = await deviceBytes(process, facts);
  const wanted = size === "device" ? available : size;
  if (wanted > available) throw tooLarge(request, available);
  return BigInt(Math.floor(wanted / blockBytes));
}

function tooLarge({ facts, path, size }: Request, availableBytes: number): ResizeError {
  return new ResizeError(
    facts.type,
    path,
    `${size} bytes are more than the ${availableBytes} of the device: enlarge that first`,
  );
}

/** The kernel says only EINVAL to a size that it does not like. */
async function explained(
  { facts, path }: Request,
  problem: string,
  work: Promise<unknown>,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EINVAL")) throw error;
    throw new ResizeError(facts.type, path, problem, error);
  }
}

async function resizeExt(request: Request): Promise<void> {
  const { process, fd, facts } = request;
  const bytes = new Uint8Array(8);
  const blocks = await blocksOf(request, await blockBytesOf(process, fd));
  viewOf(bytes).setBigUint64(0, blocks, true);
  await explained(
    request,
    `${facts.type} can only grow while it is mounted: unmount it, and use resize2fs to shrink it`,
    process.ioctl(fd, EXT4_IOC_RESIZE_FS, bytes),
  );
}

async function resizeXfs(request: Request): Promise<void> {
  const { process, fd, facts, path } = request;
  const geometry = XfsFsopGeom.alloc();
  await process.ioctl(fd, XFS_IOC_FSGEOMETRY, geometry.bytes);
  const blocks = await blocksOf(request, geometry.blocksize);
  if (blocks < geometry.datablocks)
    throw new ResizeError(
      facts.type,
      path,
      `xfs can only grow: it has ${geometry.datablocks * BigInt(geometry.blocksize)} bytes`,
    );
  const growth = XfsGrowfsData.alloc();
  growth.newblocks = blocks;
  // How much of it may be inodes stays as it is.
  growth.imaxpct = geometry.imaxpct;
  await process.ioctl(fd, XFS_IOC_FSGROWFSDATA, growth.bytes);
}

/** The least that btrfs_ioctl_resize() takes. */
const BTRFS_LEAST_BYTES = 256 * 2 ** 20;

async function resizeBtrfs(request: Request): Promise<void> {
  const { process, fd, facts, path, size } = request;
  if (size !== "device" && size < BTRFS_LEAST_BYTES)
    throw new ResizeError(
      facts.type,
      path,
      `${size} bytes: btrfs takes ${BTRFS_LEAST_BYTES} bytes or more while it is mounted`,
    );
  const argument = BtrfsIoctlVolArgs.alloc();
  argument.name = new TextEncoder().encode(size === "device" ? "max" : String(size));
  try {
    await process.ioctl(fd, BTRFS_IOC_RESIZE, argument.bytes);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EFBIG")) throw error;
    const problem = `${size} bytes are more than the device has: enlarge that first`;
    throw new ResizeError(facts.type, path, problem, error);
  }
}

/** A section of F2FS, unless mkfs was told otherwise. */
const F2FS_SECTION_BYTES = 2 * 2 ** 20;

async function resizeF2fs(request: Request): Promise<void> {
  const { process, fd } = request;
  const bytes = new Uint8Array(8);
  const blockBytes = await blockBytesOf(process, fd);
  const sections = await blocksOf(request, F2FS_SECTION_BYTES);
  viewOf(bytes).setBigUint64(0, (sections * BigInt(F2FS_SECTION_BYTES)) / BigInt(blockBytes), true);
  await explained(
    request,
    "f2fs can only shrink while it is mounted, by whole sections: unmount it, and use resize.f2fs to enlarge it",
    process.ioctl(fd, F2FS_IOC_RESIZE_FS, bytes),
  );
}

/** How often it is looked whether the kernel has seen a new size: it does at once, or never. */
const MAX_LOOKS = 1000;

/**
 * Settles when the kernel has seen the size that a disk got, which is some moments after that.
 *
 * @throws {SystemError} ENOENT if the device is not there any more
 */
export async function deviceResized(process: Process, device: BlockDevice): Promise<void> {
  for (let look = 0; ; look++) {
    const bytes = Number(await readText(process, `/sys/block/${device.name}/size`)) * SECTOR_BYTES;
    if (bytes === device.sizeBytes) return;
    if (look === MAX_LOOKS)
      throw new ResizeError(
        "virtio_blk",
        device.path,
        `the disk has ${device.sizeBytes} bytes, and the kernel goes on with ${bytes}`,
      );
    await process.sched_yield();
  }
}

/**
 * Give a partition another size in the kernel, used or not. The table on the disk stays as it is:
 * whoever is to find the partition like that again has to write it there.
 *
 * @param number as in {@link BlockDevice.partitions}
 * @param sizeBytes a multiple of the disk's block
 * @throws {DeviceNotFoundError} if there is no such partition
 * @throws {SystemError} EBUSY where the next partition begins before, EINVAL beyond the disk's end
 */
export async function resizePartition(
  process: Process,
  device: BlockDevice,
  number: number,
  sizeBytes: number,
): Promise<void> {
  checkBytes("sizeBytes", sizeBytes);
  const partitions = await device.partitions();
  const found = partitions.find((partition) => partition.number === number);
  if (!found) {
    const numbers = partitions.map((partition) => partition.number).join(", ") || "none";
    throw new DeviceNotFoundError(`${device.path} has no partition ${number}; it has ${numbers}`);
  }
  const range = { number, startBytes: found.startBytes, sizeBytes };
  await changePartition(process, device.path, BLKPG_RESIZE_PARTITION, range);
}
