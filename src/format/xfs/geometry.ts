// How the space of a new XFS is divided: into allocation groups, one of which has the log.
//
// Block numbers within a group are the group's; those of the file system have the group's number in
// their upper bits.

import { tooSmall } from "../errors.ts";
import type { Target } from "../formatter.ts";

export const BLOCK_BYTES = 4096;
export const SMALL_SECTOR_BYTES = 512;
export const INODE_BYTES = 512;
export const INODES_PER_BLOCK = BLOCK_BYTES / INODE_BYTES;
/** XFS_INODES_PER_CHUNK: inodes come by so many. */
export const CHUNK_INODES = 64;
export const CHUNK_BLOCKS = CHUNK_INODES / INODES_PER_BLOCK;

const MIB = 1 << 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

/** What mkfs.xfs takes at least: smaller disks have a smaller log and fewer groups. */
const SMALL_DISK_BYTES = 300 * MIB;
/** XFS_MIN_AG_BYTES of the kernel's fs/xfs/libxfs/xfs_fs.h */
const LEAST_GROUP_BYTES = 16 * MIB;
/** XFS_AG_MAX_BLOCKS: a block less than 1 TiB. */
const MOST_GROUP_BLOCKS = TIB / BLOCK_BYTES - 1;
const GROUPS = 4;
const GROUPS_OF_SMALL = 2;
/** Groups of so much are too large for four of them. */
const MANY_GROUPS_BYTES = 4 * TIB;

/**
 * The kernel demands from 12 to 18 MiB, the more the larger the groups (xfs_log_calc_minimum_size());
 * these are enough for the groups that go with them.
 */
const LOG_BYTES = 64 * MIB;
const LOG_BYTES_OF_SMALL = 13 * MIB;
const MOST_LOG_BYTES = 2 * GIB - 10 * MIB;
/** Large file systems have a log of one part in so many. */
const LOG_RATIO = 2048;

/** Where what every group has is, in blocks of the group. */
export interface GroupLayout {
  /** Superblock and headers: so many blocks from the start. */
  readonly headerBlocks: number;
  readonly byNumber: number;
  readonly byLength: number;
  readonly inodes: number;
  readonly freeInodes: number;
  /** 0 if there is no reverse mapping. */
  readonly reverse: number;
  readonly references: number;
  /** What is free starts here, or the log. */
  readonly firstFree: number;
  /** Blocks kept for trees to grow. */
  readonly reservedBlocks: number;
}

export interface Geometry extends GroupLayout {
  readonly sectorBytes: number;
  readonly blocks: number;
  readonly groups: number;
  readonly groupBlocks: number;
  readonly groupBits: number;
  readonly logGroup: number;
  readonly logBlocks: number;
  /** Records of the log have a multiple of it: more than a sector only where sectors are large. */
  readonly logUnitBytes: number;
  /** The first block of the only chunk of inodes, in group 0. */
  readonly inodeBlock: number;
}

/** Four sectors of headers, then the trees' roots, one after the other. */
function layOut(sectorBytes: number, reverseMapping: boolean): GroupLayout {
  const headerBlocks = Math.ceil((4 * sectorBytes) / BLOCK_BYTES);
  const references = headerBlocks + (reverseMapping ? 5 : 4);
  return {
    headerBlocks,
    byNumber: headerBlocks,
    byLength: headerBlocks + 1,
    inodes: headerBlocks + 2,
    freeInodes: headerBlocks + 3,
    reverse: reverseMapping ? headerBlocks + 4 : 0,
    references,
    firstFree: references + 1,
    // xfs_alloc_min_freelist(): for each tree of free space, and that of owners, a new root and leaf.
    reservedBlocks: reverseMapping ? 6 : 4,
  };
}

function groupBlocksOf(blocks: number): number {
  const bytes = blocks * BLOCK_BYTES;
  if (bytes >= MANY_GROUPS_BYTES) return MOST_GROUP_BLOCKS;
  return Math.ceil(blocks / (bytes < GROUPS * LEAST_GROUP_BYTES ? GROUPS_OF_SMALL : GROUPS));
}

function logBlocksOf(blocks: number): number {
  const bytes = blocks * BLOCK_BYTES;
  if (bytes < SMALL_DISK_BYTES) return LOG_BYTES_OF_SMALL / BLOCK_BYTES;
  const share = Math.floor(blocks / LOG_RATIO);
  return Math.min(Math.max(share, LOG_BYTES / BLOCK_BYTES), MOST_LOG_BYTES / BLOCK_BYTES);
}

/** @throws {MkfsError} ENOSPC */
export function planGroups(target: Target, reverseMapping: boolean): Geometry {
  const leastBytes = GROUPS_OF_SMALL * LEAST_GROUP_BYTES;
  if (target.sizeBytes < leastBytes) throw tooSmall("xfs", target.sizeBytes, leastBytes);
  let blocks = Math.floor(target.sizeBytes / BLOCK_BYTES);
  const groupBlocks = groupBlocksOf(blocks);
  // The last group may be smaller than the others, but too small a rest is left over.
  const rest = blocks % groupBlocks;
  if (blocks > GROUPS * groupBlocks && rest < LEAST_GROUP_BYTES / BLOCK_BYTES) blocks -= rest;
  const groups = Math.ceil(blocks / groupBlocks);
  const layout = layOut(target.blockSizeBytes, reverseMapping);
  const after = layout.firstFree + layout.reservedBlocks;
  return {
    ...layout,
    sectorBytes: target.blockSizeBytes,
    blocks,
    groups,
    groupBlocks,
    groupBits: Math.ceil(Math.log2(groupBlocks)),
    logGroup: Math.floor(groups / 2),
    logBlocks: logBlocksOf(blocks),
    logUnitBytes: target.blockSizeBytes > SMALL_SECTOR_BYTES ? BLOCK_BYTES : SMALL_SECTOR_BYTES,
    inodeBlock: Math.ceil(after / CHUNK_BLOCKS) * CHUNK_BLOCKS,
  };
}

/** How many blocks a group has. */
export function blocksOfGroup({ groups, groupBlocks, blocks }: Geometry, group: number): number {
  return group < groups - 1 ? groupBlocks : blocks - group * groupBlocks;
}

/** A block's number in the file system. */
export function fileSystemBlock({ groupBits }: Geometry, group: number, block: number): number {
  return group * 2 ** groupBits + block;
}

/** Where a group's block is, in bytes. */
export function offsetOf({ groupBlocks }: Geometry, group: number, block: number): number {
  return (group * groupBlocks + block) * BLOCK_BYTES;
}
