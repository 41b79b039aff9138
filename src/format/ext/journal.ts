// The journal: a file in which only the first block is written, which says that it is empty.
//
// Layout: journal_superblock_s of include/linux/jbd2.h. The kernel turns on checksums in it at the
// first mount, where the file system has some.

import { Record } from "../record.ts";
import { groupStart } from "./geometry.ts";
import { addInode, mapBlocks } from "./inode.ts";
import type { ExtVolume } from "./volume.ts";

export const JOURNAL_INODE = 8;
/** The kernel mounts no smaller one (JBD2_MIN_JOURNAL_BLOCKS). */
export const LEAST_JOURNAL_BLOCKS = 1024;
/** The most that mke2fs makes. */
export const MOST_JOURNAL_BLOCKS = 10240000;

const MAGIC = 0xc03b3998;
const SUPERBLOCK_V2 = 4;
const SUPERBLOCK_BYTES = 1024;
const S_IFREG = 0o100000;

/** File systems with less blocks than `below` get so many: mke2fs's sizes. */
const DEFAULT_SIZES: readonly { readonly below: number; readonly blocks: number }[] = [
  { below: 2 ** 11, blocks: 0 },
  { below: 2 ** 15, blocks: 2 ** 10 },
  { below: 2 ** 18, blocks: 2 ** 12 },
  { below: 2 ** 19, blocks: 2 ** 13 },
  { below: 2 ** 22, blocks: 2 ** 14 },
  { below: 2 ** 23, blocks: 2 ** 15 },
  { below: 2 ** 24, blocks: 2 ** 16 },
  { below: 2 ** 25, blocks: 2 ** 17 },
  { below: Infinity, blocks: 2 ** 18 },
];

/** How large a journal is if nothing is said; 0 if there is no room for one. */
export function defaultJournalBlocks(blocks: number): number {
  return DEFAULT_SIZES.find(({ below }) => blocks < below)?.blocks ?? 0;
}

/** What the superblock keeps a copy of. */
export interface Journal {
  readonly pointers: Uint8Array;
  readonly sizeBytes: number;
}

/**
 * Make the journal, in the middle of the disk.
 *
 * @param sequence the number of its first transaction: a random one, so that old blocks where the
 *   journal is now, which are not zeroed, are not taken for its own
 */
export function addJournal(volume: ExtVolume, blocks: number, sequence: number): Journal {
  const { geometry } = volume;
  const sizeBytes = blocks * geometry.blockBytes;
  const runs = volume.allocateRuns(blocks, groupStart(geometry, Math.floor(geometry.groups / 2)));
  const superblock = new Record(SUPERBLOCK_BYTES)
    .u32be(0x00, MAGIC)
    .u32be(0x04, SUPERBLOCK_V2)
    .u32be(0x0c, geometry.blockBytes)
    .u32be(0x10, blocks)
    .u32be(0x14, 1)
    .u32be(0x18, sequence)
    .uuid(0x30, volume.uuid)
    .u32be(0x40, 1);
  const first = new Uint8Array(geometry.blockBytes);
  first.set(superblock.bytes);
  volume.writeBlocks(runs[0].start, first);
  const mapping = mapBlocks(volume, JOURNAL_INODE, runs);
  addInode(volume, JOURNAL_INODE, { mode: S_IFREG | 0o600, links: 1, sizeBytes, mapping });
  return { pointers: mapping.pointers, sizeBytes };
}
