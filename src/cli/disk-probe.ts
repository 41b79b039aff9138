// What a disk has, looked at without a kernel.

import type { Disk } from "../disk/disk.ts";
import { SliceDisk } from "../disk/slice-disk.ts";
import type { ReadAt } from "../fs/files.ts";
import { readPartitionTable } from "../fs/partitions.ts";
import type { PartitionTable } from "../fs/partitions.ts";
import { PlaceError } from "./errors.ts";

/** Reads any bytes, though the disk has blocks; what is beyond its end is left out. */
export function readerOf(disk: Disk): ReadAt {
  return async (offsetBytes, lengthBytes) => {
    const block = disk.blockSizeBytes;
    const end = Math.min(offsetBytes + lengthBytes, disk.sizeBytes);
    if (!(offsetBytes >= 0 && offsetBytes < end)) return new Uint8Array(0);
    const first = Math.floor(offsetBytes / block) * block;
    const bytes = new Uint8Array(Math.ceil((end - first) / block) * block);
    await disk.read(bytes, first);
    return bytes.subarray(offsetBytes - first, end - first);
  };
}

export function tableOf(disk: Disk): Promise<PartitionTable | null> {
  return readPartitionTable(readerOf(disk), disk.sizeBytes, disk.blockSizeBytes);
}

/** The part of a disk that a volume is; the whole for none, and for 0. */
export async function sliceOf(disk: Disk, volume: number | null, name: string): Promise<Disk> {
  const table = await tableOf(disk);
  if (!volume) return disk;
  const entry = table?.entries.find(({ number }) => number === volume);
  if (!entry) {
    const numbers = table?.entries.map(({ number }) => number).join(", ") ?? "no partition table";
    throw new PlaceError(name, `has no volume ${volume}; it has ${numbers}`);
  }
  return new SliceDisk(disk, { offsetBytes: entry.startBytes, lengthBytes: entry.sizeBytes });
}
