// The devices that the kernel makes of a disk's partitions, where it has to be told of them.

import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../abi/constants/fcntl.ts";
import { BLKPG, BLKPG_ADD_PARTITION } from "../abi/constants/ioctl.ts";
import { BlkpgIoctlArg, BlkpgPartition } from "../abi/structs/block.ts";
import type { Process } from "../syscall/process.ts";
import type { PartitionTable } from "./partitions.ts";

/** Where a partition is to be. */
export interface PartitionRange {
  readonly number: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

/**
 * Add, resize or delete the device of a partition; the table on the disk stays as it is.
 *
 * @param path of the whole disk, such as `/dev/vda`
 * @param operation BLKPG_ADD_PARTITION and its like (include/uapi/linux/blkpg.h)
 * @throws {SystemError} e.g. EBUSY if it overlaps another one
 */
export async function changePartition(
  process: Process,
  path: string,
  operation: number,
  range: PartitionRange,
): Promise<void> {
  // The structure points to another one, so both have to be in the kernel's memory.
  await using buffer = await process.buffer(BlkpgIoctlArg.size + BlkpgPartition.size);
  const argument = new BlkpgIoctlArg(buffer.view);
  argument.op = operation;
  argument.datalen = BlkpgPartition.size;
  argument.data = buffer.address + BlkpgIoctlArg.size;
  const partition = new BlkpgPartition(buffer.view, BlkpgIoctlArg.size);
  partition.start = BigInt(range.startBytes);
  partition.length = BigInt(range.sizeBytes);
  partition.pno = range.number;
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  try {
    await process.ioctl(fd, BLKPG, buffer);
  } finally {
    await process.close(fd);
  }
}

/** The kernel does not look at a GPT's copy where the first one is damaged: tell it what is there. */
export async function addFromBackup(
  process: Process,
  path: string,
  table: PartitionTable,
): Promise<void> {
  if (!table.fromBackup) return;
  for (const entry of table.entries)
    await changePartition(process, path, BLKPG_ADD_PARTITION, entry);
}
