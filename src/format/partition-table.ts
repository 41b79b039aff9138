// Partition tables are written here: GPT, and MBR with logical partitions.
//
// Layouts: GPT is from the UEFI specification 2.10, chapter 5; MBR, which no standard defines, is as
// block/partitions/msdos.c of the kernel and fdisk have it.

import type { Disk } from "../disk/disk.ts";
import { systemRandom } from "../machine/random.ts";
import type { Random } from "../machine/random.ts";
import { MkfsError } from "./errors.ts";
import { planGpt } from "./gpt.ts";
import { ImageWriter } from "./image-writer.ts";
import { planMbr } from "./mbr.ts";
import type { MadePartition, MadeTable, PartitionSpec, TableRequest } from "./partition-request.ts";

export interface PartitionOptions {
  table: "gpt" | "mbr";
  /** In the order of their numbers, at most 128. Of MBR, the fourth and later ones of more than four are logical. */
  partitions: readonly PartitionSpec[];
  /** The disk's GUID, or of MBR its signature of 8 hexadecimal digits. Default: a random one. */
  id?: string;
  /** Where partitions begin that have no startBytes: at multiples of this. Default: 1 MiB. */
  alignmentBytes?: number;
  /** Where identifiers come from. Default: the engine's. */
  random?: Random;
  /**
   * Leave the boot loader as it is: the first 440 bytes, and what is between the table and the first
   * partition. Default: false.
   */
  keepBootCode?: boolean;
}

const MAX_PARTITIONS = 128;
const DEFAULT_ALIGNMENT_BYTES = 1 << 20;
/** What a BIOS runs; the disk's signature and the table follow it. */
const BOOT_CODE_BYTES = 440;

/**
 * Write a partition table. What is around the partitions, up to a MiB at each end of the disk, becomes
 * zeroes, so that no older table is there; what is in them stays as it is: what was there before may
 * be found there again.
 *
 * @throws {MkfsError} EINVAL (options, overlaps), ENOSPC (no room), EFBIG (more than MBR can count),
 *   EROFS; nothing was written. EIO: the disk failed.
 */
export async function partition(disk: Disk, options: PartitionOptions): Promise<MadeTable> {
  const { random = systemRandom, partitions: specs, id } = options;
  if (disk.readOnly)
    throw new MkfsError("EROFS", "this disk is read-only: open it for writing to partition it", {
      syscall: "partition",
    });
  if (specs.length > MAX_PARTITIONS)
    throw new MkfsError("EINVAL", `${specs.length} are more than ${MAX_PARTITIONS}`, {
      syscall: "partition",
      option: "partitions",
    });
  const blockBytes = disk.blockSizeBytes;
  const alignmentBytes = options.alignmentBytes ?? DEFAULT_ALIGNMENT_BYTES;
  if (!Number.isSafeInteger(alignmentBytes) || alignmentBytes <= 0 || alignmentBytes % blockBytes)
    throw new MkfsError(
      "EINVAL",
      `${alignmentBytes} is no multiple of the disk's blocks of ${blockBytes}`,
      { syscall: "partition", option: "alignmentBytes" },
    );
  const image = new ImageWriter(disk.sizeBytes);
  const request = { image, blockBytes, alignment: alignmentBytes / blockBytes, random, specs, id };
  const made = tableOf(options.table, request);
  zeroAfter(image, made.partitions);
  if (!options.keepBootCode) zeroBefore(image, made.partitions);
  const first = new Uint8Array(blockBytes);
  if (options.keepBootCode) await disk.read(first, 0);
  await image.apply(disk);
  if (options.keepBootCode) await putBootCode(disk, first.subarray(0, BOOT_CODE_BYTES));
  return made;
}

function tableOf(table: PartitionOptions["table"], request: TableRequest): MadeTable {
  switch (table) {
    case "gpt":
      return planGpt(request);
    case "mbr":
      return planMbr(request);
    default:
      throw new MkfsError("EINVAL", `${String(table)} is neither "gpt" nor "mbr"`, {
        syscall: "partition",
        option: "table",
      });
  }
}

/** No table, volume manager or RAID shall be seen that was there before. */
function zeroBefore(image: ImageWriter, partitions: readonly MadePartition[]): void {
  const starts = partitions.map(({ startBytes }) => startBytes);
  image.zero(0, Math.min(DEFAULT_ALIGNMENT_BYTES, image.sizeBytes, ...starts));
}

/** The same at the disk's end. */
function zeroAfter(image: ImageWriter, partitions: readonly MadePartition[]): void {
  const ends = partitions.map(({ startBytes, sizeBytes }) => startBytes + sizeBytes);
  const tail = Math.max(0, image.sizeBytes - DEFAULT_ALIGNMENT_BYTES, ...ends);
  image.zero(tail, image.sizeBytes - tail);
}

async function putBootCode(disk: Disk, code: Uint8Array): Promise<void> {
  const block = new Uint8Array(disk.blockSizeBytes);
  await disk.read(block, 0);
  block.set(code);
  await disk.write(block, 0);
  await disk.flush();
}
