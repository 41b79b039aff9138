// How many blocks, groups and inodes there are, and where superblocks and descriptors have their place.
//
// Layout: Documentation/filesystems/ext4 of the kernel.

import type { Features } from "./features.ts";

/** The first inode without a meaning of its own. It becomes lost+found. */
export const FIRST_FREE_INODE = 11;
/** Room for the reserved ones, and for what features need. */
const LEAST_INODES = 16;
/** A last group is left out unless it has so much more than its own structures: mke2fs's limit. */
const LEAST_USEFUL_BLOCKS = 50;
/** mke2fs reserves descriptors for growing to this many times the size. */
const GROWTH = 1024;
const MAX_U32 = 2 ** 32 - 1;

export interface Geometry {
  readonly blockBytes: number;
  readonly inodeBytes: number;
  readonly blocks: number;
  /** 1 if a block has 1024 bytes: then block 0 is for boot code alone. */
  readonly firstBlock: number;
  readonly blocksPerGroup: number;
  readonly groups: number;
  readonly inodesPerGroup: number;
  readonly inodeTableBlocks: number;
  readonly descriptorBytes: number;
  readonly descriptorBlocks: number;
  /** For descriptors of groups to come, after those that there are. */
  readonly reservedDescriptorBlocks: number;
  /** Descriptors are spread over the groups that they describe (meta_bg). */
  readonly spread: boolean;
  /** Every group has a superblock, not just some (no sparse_super). */
  readonly superblockInEachGroup: boolean;
  /** So many groups in a row have their bitmaps and inode tables in one place. */
  readonly groupsPerFlex: number;
}

export interface GeometryOptions {
  readonly blockBytes: number;
  readonly inodeBytes: number;
  /** A wish: what there is room for. */
  readonly inodes: number;
  readonly groupsPerFlex: number;
}

/**
 * The geometry for so many blocks, or for fewer if the last group would be of no use. The features
 * resize_inode and meta_bg are changed to what the size needs. Undefined if there are too few blocks.
 */
export function planGeometry(
  blocks: number,
  features: Features,
  options: GeometryOptions,
): Geometry | undefined {
  const { blockBytes, inodeBytes } = options;
  const firstBlock = blockBytes === 1024 ? 1 : 0;
  const blocksPerGroup = 8 * blockBytes;
  const groups = Math.ceil((blocks - firstBlock) / blocksPerGroup);
  if (groups < 1) return undefined;
  const descriptorBytes = features.has("64bit") ? 64 : 32;
  const perBlock = blockBytes / descriptorBytes;
  const descriptorBlocks = Math.ceil(groups / perBlock);
  const inodesPerGroup = inodesOfGroup(groups, options);
  let reservedDescriptorBlocks = reserve(blocks, firstBlock, blockBytes, perBlock);
  if (descriptorBlocks + reservedDescriptorBlocks > (blocksPerGroup * 3) / 4)
    features.replace("resize_inode", "meta_bg");
  if (blocks > MAX_U32) features.turnOff("resize_inode");
  if (!features.has("resize_inode")) reservedDescriptorBlocks = 0;
  const geometry: Geometry = {
    blockBytes,
    inodeBytes,
    blocks,
    firstBlock,
    blocksPerGroup,
    groups,
    inodesPerGroup,
    inodeTableBlocks: (inodesPerGroup * inodeBytes) / blockBytes,
    descriptorBytes,
    descriptorBlocks,
    reservedDescriptorBlocks,
    spread: features.has("meta_bg"),
    superblockInEachGroup: !features.has("sparse_super"),
    groupsPerFlex: features.has("flex_bg") ? options.groupsPerFlex : 1,
  };
  const last = groups - 1;
  const own = headerBlocks(geometry, last) + 2 + geometry.inodeTableBlocks;
  if (groupEnd(geometry, last) - groupStart(geometry, last) >= own + LEAST_USEFUL_BLOCKS)
    return geometry;
  if (groups === 1) return geometry;
  return planGeometry(groupStart(geometry, last), features, options);
}

/** As mke2fs rounds it: up to whole blocks of the table, then down to whole bytes of the bitmap. */
function inodesOfGroup(groups: number, options: GeometryOptions): number {
  const { blockBytes, inodeBytes } = options;
  const perBlock = blockBytes / inodeBytes;
  const wish = Math.min(8 * blockBytes, MAX_U32 / groups, options.inodes / groups);
  const whole = Math.ceil(wish / perBlock) * perBlock;
  return Math.max(LEAST_INODES, whole - (whole % 8), perBlock);
}

function reserve(blocks: number, firstBlock: number, blockBytes: number, perBlock: number): number {
  const most = Math.min(MAX_U32, blocks * GROWTH);
  const groups = Math.ceil((most - firstBlock) / (8 * blockBytes));
  const present = Math.ceil(Math.ceil((blocks - firstBlock) / (8 * blockBytes)) / perBlock);
  // The resize inode counts them in one block of numbers.
  return Math.min(Math.max(0, Math.ceil(groups / perBlock) - present), blockBytes / 4);
}

export function groupStart(geometry: Geometry, group: number): number {
  return geometry.firstBlock + group * geometry.blocksPerGroup;
}

/** The block after a group's last. */
export function groupEnd(geometry: Geometry, group: number): number {
  return Math.min(geometry.blocks, groupStart(geometry, group + 1));
}

/** Whether a group starts with a superblock: group 0 with the one in use, others with copies. */
export function hasSuperblock(geometry: Geometry, group: number): boolean {
  if (geometry.superblockInEachGroup || group <= 1) return true;
  return [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** The blocks of the descriptor table that a group has, by number, and where the first of them is. */
export function descriptorsIn(
  geometry: Geometry,
  group: number,
): { readonly first: number; readonly count: number; readonly at: number } {
  const superblock = hasSuperblock(geometry, group);
  const at = groupStart(geometry, group) + (superblock ? 1 : 0);
  if (!geometry.spread) return { first: 0, count: superblock ? geometry.descriptorBlocks : 0, at };
  // Each block is in the first, second and last of the groups that it describes.
  const perBlock = geometry.blockBytes / geometry.descriptorBytes;
  const place = group % perBlock;
  const present = place <= 1 || place === perBlock - 1;
  return { first: Math.floor(group / perBlock), count: present ? 1 : 0, at };
}

/** The blocks at a group's start that have superblock, descriptors, and the room for more of them. */
export function headerBlocks(geometry: Geometry, group: number): number {
  const superblock = hasSuperblock(geometry, group);
  const reserved = superblock ? geometry.reservedDescriptorBlocks : 0;
  return (superblock ? 1 : 0) + descriptorsIn(geometry, group).count + reserved;
}
