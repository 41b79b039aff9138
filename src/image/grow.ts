// A disk gets larger while a volume of it is mounted, and the volume with it.

import { DiskError } from "../disk/errors.ts";
import { partition } from "../format/partition-table.ts";
import type { BlockDevice } from "../fs/block-device.ts";
import type { PartitionTable, TableEntry } from "../fs/partitions.ts";
import { deviceResized, ResizeError, resizePartition } from "../fs/resize.ts";
import type { Process } from "../syscall/process.ts";

/** Partitions begin and end at multiples of this, and a table's copy has room behind the last. */
const ALIGNMENT_BYTES = 1 << 20;

export interface Growth {
  /** Of the disk; not less than it has. */
  readonly diskBytes: number;
  /** Of the partition; default: all that is behind it. */
  readonly partitionBytes?: number;
}

/** The disk that a partition of so many bytes, and a table's copy behind it, take. */
export function diskFor(startBytes: number, partitionBytes: number): number {
  return Math.ceil((startBytes + partitionBytes) / ALIGNMENT_BYTES + 1) * ALIGNMENT_BYTES;
}

/**
 * Make a disk larger, and a partition of it, which has to be the one that ends last. What is checked is
 * checked first: an error leaves the disk as it was.
 *
 * @param number the partition's; 0: the whole disk
 * @throws {ResizeError} if the partition cannot grow
 * @throws {DiskError} if the disk cannot be written, or cannot get another size; ENOSPC…
 */
export async function growVolume(
  process: Process,
  device: BlockDevice,
  number: number,
  { diskBytes, partitionBytes }: Growth,
): Promise<void> {
  const { disk } = device;
  const entries = number ? await checkedEntries(device, number) : null;
  if (device.readOnly || disk.readOnly)
    throw new DiskError("EROFS", "can only be read, so it keeps its size");
  const bytes = Math.ceil(diskBytes / disk.blockSizeBytes) * disk.blockSizeBytes;
  if (bytes > disk.sizeBytes) {
    if (!disk.resize) throw new DiskError("EINVAL", "is of a kind that cannot get another size");
    await disk.resize(bytes);
    await deviceResized(process, device);
  }
  if (!entries) return;
  const size = partitionBytes ?? "rest";
  const { partitions } = await partition(disk, {
    table: entries.type,
    ...(entries.id !== undefined && { id: entries.id }),
    alignmentBytes: ALIGNMENT_BYTES,
    keepBootCode: true,
    partitions: entries.entries.map((entry) =>
      specOf(entry, entry.number === number ? size : entry.sizeBytes),
    ),
  });
  await disk.flush();
  const grown = partitions[entries.entries.findIndex((entry) => entry.number === number)];
  await resizePartition(process, device, number, grown.sizeBytes);
}

/** A table that can be written again with a larger last partition. */
async function checkedEntries(device: BlockDevice, number: number): Promise<PartitionTable> {
  const table = await device.table();
  const problem = (text: string) => new ResizeError("partition", device.path, text);
  if (!table) throw problem("has no partition table any more");
  const { entries, type } = table;
  const last = entries.reduce((a, b) => (a.startBytes > b.startBytes ? a : b));
  if (number !== last.number)
    throw problem(`volume ${number} cannot grow: ${last.number} is after it`);
  if (type === "mbr" && entries.some((entry) => entry.number > 4))
    throw problem("has logical partitions, whose table cannot be changed yet");
  if (!entries.every((entry, i) => entry.number === i + 1))
    throw problem("has gaps in its partitions' numbers: it cannot be changed yet");
  return table;
}

function specOf(entry: TableEntry, sizeBytes: number | "rest") {
  return {
    startBytes: entry.startBytes,
    sizeBytes,
    type: entry.typeId,
    bootable: entry.bootable,
    ...(entry.name !== undefined && { name: entry.name }),
    ...(entry.uuid !== undefined && { uuid: entry.uuid }),
  };
}
