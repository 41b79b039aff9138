// The resize inode: a file whose blocks are those reserved for more group descriptors, so that the
// kernel can grow the file system while it is mounted.
//
// It has a single pointer, to a block of pointers to the reserved blocks of group 0. Each of those
// has, as long as it has no descriptors, the numbers of its copies in other groups.

import { Record } from "../record.ts";
import { groupStart, hasSuperblock } from "./geometry.ts";
import { addInode, DIRECT_BLOCKS } from "./inode.ts";
import type { ExtVolume } from "./volume.ts";

const RESIZE_INODE = 7;
const S_IFREG = 0o100000;
const DOUBLE_INDIRECT = DIRECT_BLOCKS + 1;

export function addResizeInode(volume: ExtVolume): void {
  const { geometry } = volume;
  const { blockBytes, descriptorBlocks, reservedDescriptorBlocks } = geometry;
  const perBlock = blockBytes / 4;
  const copies: number[] = [];
  for (let group = 1; group < geometry.groups; group++)
    if (hasSuperblock(geometry, group)) copies.push(group * geometry.blocksPerGroup);

  const top = new Record(blockBytes);
  const lists = new Record(blockBytes * reservedDescriptorBlocks);
  const first = groupStart(geometry, 0) + 1 + descriptorBlocks;
  for (let i = 0; i < reservedDescriptorBlocks; i++) {
    top.u32(4 * ((descriptorBlocks + i) % perBlock), first + i);
    for (const [n, distance] of copies.entries())
      lists.u32(i * blockBytes + 4 * n, first + i + distance);
  }
  volume.writeBlocks(first, lists.bytes);
  const block = volume.allocateBlock();
  volume.writeBlocks(block, top.bytes);
  const pointers = new Record(60).u32(4 * DOUBLE_INDIRECT, block).bytes;
  const blocks = 1 + reservedDescriptorBlocks * (1 + copies.length);
  addInode(volume, RESIZE_INODE, {
    mode: S_IFREG | 0o600,
    links: 1,
    sizeBytes: (DIRECT_BLOCKS + perBlock + perBlock * perBlock) * blockBytes,
    mapping: { flags: 0, pointers, blocks },
  });
}
