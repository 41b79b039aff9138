// An allocation group of XFS: its headers and the trees of its space, each a single block.
// Structures: the kernel's fs/xfs/libxfs/xfs_format.h.

import type { ImageWriter } from "../image-writer.ts";
import { Record } from "../record.ts";
import {
  BLOCK_BYTES,
  blocksOfGroup,
  CHUNK_BLOCKS,
  CHUNK_INODES,
  INODES_PER_BLOCK,
  offsetOf,
} from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import { USED_INODES } from "./inodes.ts";
import { seal } from "./seal.ts";

/** NULLAGBLOCK, NULLAGINO: no block, no inode. */
const NONE = 0xffff_ffff;
const VERSION = 1;
/** XFS_AGI_UNLINKED_BUCKETS */
const UNLINKED_BUCKETS = 64;
const DISK_SECTOR_BYTES = 512;

/** Who has blocks that no file has (XFS_RMAP_OWN_*). */
const OWNER = {
  headers: -3n,
  log: -4n,
  spaceTrees: -5n,
  inodeTrees: -6n,
  inodes: -7n,
  references: -8n,
} as const;

interface Run {
  readonly start: number;
  readonly length: number;
}

interface Owned extends Run {
  readonly owner: bigint;
}

/** What is where in one group. */
interface Space {
  readonly free: readonly Run[];
  /** In order. */
  readonly owned: readonly Owned[];
  readonly reserved: readonly number[];
}

/** From the start: headers, roots of trees, the log, blocks in reserve, inodes; the rest is free. */
function divide(geometry: Geometry, group: number): Space {
  const { byNumber, inodes, reverse, references, firstFree, reservedBlocks } = geometry;
  const owned: Owned[] = [
    { start: 0, length: byNumber, owner: OWNER.headers },
    { start: byNumber, length: 2, owner: OWNER.spaceTrees },
    { start: inodes, length: 2, owner: OWNER.inodeTrees },
    ...(reverse ? [{ start: reverse, length: 1, owner: OWNER.spaceTrees }] : []),
    { start: references, length: 1, owner: OWNER.references },
  ];
  const free: Run[] = [];
  let next = firstFree;
  const give = (length: number, owner: bigint) => {
    owned.push({ start: next, length, owner });
    next += length;
  };
  if (group === geometry.logGroup) give(geometry.logBlocks, OWNER.log);
  const reserved = Array.from({ length: reservedBlocks }, (_, i) => next + i);
  give(reservedBlocks, OWNER.spaceTrees);
  if (group === 0) {
    free.push({ start: next, length: geometry.inodeBlock - next });
    next = geometry.inodeBlock;
    give(CHUNK_BLOCKS, OWNER.inodes);
  }
  free.push({ start: next, length: blocksOfGroup(geometry, group) - next });
  return { owned, free: free.filter(({ length }) => length > 0), reserved };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** Blocks that are free for files: also those in reserve count. */
export function freeBlocks(geometry: Geometry, group: number): number {
  const { free, reserved } = divide(geometry, group);
  return sum(free.map(({ length }) => length)) + reserved.length;
}

/** struct xfs_agf */
function spaceHeader(geometry: Geometry, group: number, uuid: string): Record {
  const { free, reserved } = divide(geometry, group);
  const header = new Record(geometry.sectorBytes)
    .ascii(0, "XAGF")
    .u32be(4, VERSION)
    .u32be(8, group)
    .u32be(12, blocksOfGroup(geometry, group))
    .u32be(16, geometry.byNumber)
    .u32be(20, geometry.byLength)
    .u32be(28, 1)
    .u32be(32, 1)
    .u32be(40, 1) // the list of reserved blocks starts at 1, as mkfs.xfs has it
    .u32be(44, reserved.length)
    .u32be(48, reserved.length)
    .u32be(52, sum(free.map(({ length }) => length)))
    .u32be(56, Math.max(0, ...free.map(({ length }) => length)))
    .uuid(64, uuid)
    .u32be(84, 1)
    .u32be(88, geometry.references)
    .u32be(92, 1);
  if (geometry.reverse) header.u32be(24, geometry.reverse).u32be(36, 1).u32be(80, 1);
  return header;
}

/** struct xfs_agi */
function inodeHeader(geometry: Geometry, group: number, uuid: string): Record {
  const has = group === 0;
  const header = new Record(geometry.sectorBytes)
    .ascii(0, "XAGI")
    .u32be(4, VERSION)
    .u32be(8, group)
    .u32be(12, blocksOfGroup(geometry, group))
    .u32be(16, has ? CHUNK_INODES : 0)
    .u32be(20, geometry.inodes)
    .u32be(24, 1)
    .u32be(28, has ? CHUNK_INODES - USED_INODES : 0)
    .u32be(32, has ? geometry.inodeBlock * INODES_PER_BLOCK : NONE)
    .u32be(36, NONE)
    .uuid(296, uuid)
    .u32be(328, geometry.freeInodes)
    .u32be(332, 1)
    .u32be(336, 1)
    .u32be(340, 1);
  for (let i = 0; i < UNLINKED_BUCKETS; i++) header.u32be(40 + i * 4, NONE);
  return header;
}

/** struct xfs_agfl with the numbers after it */
function reserveList(geometry: Geometry, group: number, uuid: string): Record {
  const { reserved } = divide(geometry, group);
  const list = new Record(geometry.sectorBytes).ascii(0, "XAFL").u32be(4, group).uuid(8, uuid);
  const first = 36;
  for (let at = first; at + 4 <= geometry.sectorBytes; at += 4) list.u32be(at, NONE);
  for (const [i, block] of reserved.entries()) list.u32be(first + (i + 1) * 4, block);
  return list;
}

/** A record of a tree, as 32-bit numbers. */
type Row = readonly number[];

const words = (value: bigint): Row => {
  const wide = BigInt.asUintN(64, value);
  return [Number(wide >> 32n), Number(wide & 0xffff_ffffn)];
};

/** The records of all trees of a group, by where their only blocks are. */
function trees(geometry: Geometry, group: number): Map<number, [magic: string, rows: Row[]]> {
  const { free, owned } = divide(geometry, group);
  const row = ({ start, length }: Run): Row => [start, length];
  // struct xfs_inobt_rec: the first inode, no holes, 64 inodes, how many are free, and which.
  const unused = ((1n << BigInt(CHUNK_INODES)) - 1n) ^ ((1n << BigInt(USED_INODES)) - 1n);
  const chunk = [
    geometry.inodeBlock * INODES_PER_BLOCK,
    CHUNK_INODES * 256 + CHUNK_INODES - USED_INODES,
    ...words(unused),
  ];
  const chunks = group === 0 ? [chunk] : [];
  const byLength = free.toSorted((a, b) => a.length - b.length || a.start - b.start);
  const result = new Map<number, [string, Row[]]>([
    [geometry.byNumber, ["AB3B", free.map(row)]],
    [geometry.byLength, ["AB3C", byLength.map(row)]],
    [geometry.inodes, ["IAB3", chunks]],
    [geometry.freeInodes, ["FIB3", chunks]],
    [geometry.references, ["R3FC", []]],
  ]);
  // struct xfs_rmap_rec: start, length, owner, and an offset for files.
  if (geometry.reverse)
    result.set(geometry.reverse, [
      "RMB3",
      owned.map(({ start, length, owner }) => [start, length].concat(words(owner), 0, 0)),
    ]);
  return result;
}

/** struct xfs_btree_block with short pointers, and the records after it */
function treeBlock(
  magic: string,
  rows: readonly Row[],
  place: { offset: number; group: number; uuid: string },
): Uint8Array<ArrayBuffer> {
  const block = new Record(BLOCK_BYTES)
    .ascii(0, magic)
    .u16be(6, rows.length)
    .u32be(8, NONE)
    .u32be(12, NONE)
    .u64be(16, place.offset / DISK_SECTOR_BYTES)
    .uuid(32, place.uuid)
    .u32be(48, place.group);
  for (const [i, word] of rows.flat().entries()) block.u32be(56 + i * 4, word);
  return seal(block, 52);
}

/** Writes a group's metadata, but the inodes and the log. The superblock is a copy of the first. */
export function writeGroup(
  image: ImageWriter,
  geometry: Geometry,
  group: number,
  from: { superblock: Uint8Array<ArrayBuffer>; uuid: string },
): void {
  const { sectorBytes, headerBlocks } = geometry;
  const { superblock, uuid } = from;
  const headers = new Record(headerBlocks * BLOCK_BYTES)
    .set(0, superblock)
    .set(sectorBytes, seal(spaceHeader(geometry, group, uuid), 216))
    .set(2 * sectorBytes, seal(inodeHeader(geometry, group, uuid), 312))
    .set(3 * sectorBytes, seal(reserveList(geometry, group, uuid), 32));
  image.write(offsetOf(geometry, group, 0), headers.bytes);
  for (const [block, [magic, rows]] of trees(geometry, group)) {
    const offset = offsetOf(geometry, group, block);
    image.write(offset, treeBlock(magic, rows, { offset, group, uuid }));
  }
}
