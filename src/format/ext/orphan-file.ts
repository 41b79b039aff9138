// The orphan file: where the kernel notes inodes that are to be deleted after a crash, block by block
// instead of in one list.
//
// Layout: struct ext4_orphan_block_tail of fs/ext4/ext4.h.

import { crc32c } from "../checksum.ts";
import { Record } from "../record.ts";
import { addInode, mapBlocks } from "./inode.ts";
import type { ExtVolume } from "./volume.ts";

const MAGIC = 0x0b10ca04;
const TAIL_BYTES = 8;
const LEAST_BLOCKS = 32;
const MOST_BLOCKS = 512;
const S_IFREG = 0o100000;

/** @returns the inode's number */
export function addOrphanFile(volume: ExtVolume): number {
  const { blockBytes, blocks } = volume.geometry;
  const number = volume.takeInode();
  const count = Math.min(MOST_BLOCKS, Math.max(LEAST_BLOCKS, Math.floor(blocks / 4096)));
  const runs = volume.allocateRuns(count);
  for (const run of runs)
    for (let i = 0; i < run.length; i++) {
      const record = new Record(blockBytes).u32(blockBytes - TAIL_BYTES, MAGIC);
      if (volume.features.has("metadata_csum")) {
        const place = crc32c(volume.inodeSeed(number), new Record(8).u64(0, run.start + i).bytes);
        record.u32(blockBytes - 4, crc32c(place, record.part(0, blockBytes - TAIL_BYTES)));
      }
      volume.writeBlocks(run.start + i, record.bytes);
    }
  addInode(volume, number, {
    mode: S_IFREG | 0o600,
    links: 1,
    sizeBytes: count * blockBytes,
    mapping: mapBlocks(volume, number, runs),
  });
  return number;
}
