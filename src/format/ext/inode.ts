// Inodes, and the two ways in which they say where their blocks are.

import { crc32c } from "../checksum.ts";
import { invalid } from "../errors.ts";
import { Record } from "../record.ts";
import type { Run } from "./block-set.ts";
import type { ExtVolume } from "./volume.ts";

/** EXT4_EXTENTS_FL of fs/ext4/ext4.h. */
const EXTENTS_FLAG = 0x80000;
const EXTENT_MAGIC = 0xf30a;
const EXTENT_BYTES = 12;
const MAX_EXTENT_BLOCKS = 32768;
/** In the inode itself. */
const ROOT_EXTENTS = 4;
const POINTERS_BYTES = 60;
export const DIRECT_BLOCKS = 12;
/** What the fields after the first 128 bytes take, as the kernel of today knows them. */
export const EXTRA_BYTES = 32;
/** Inodes without the fields after these. */
export const SHORT_INODE_BYTES = 128;

export interface InodeFields {
  /** Type and permissions. */
  readonly mode: number;
  readonly links: number;
  readonly sizeBytes: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mapping: Mapping;
}

/** Where an inode's blocks are. */
export interface Mapping {
  readonly flags: number;
  /** What the inode has in i_block. */
  readonly pointers: Uint8Array<ArrayBuffer>;
  /** Blocks of data, and those that say where they are. */
  readonly blocks: number;
}

/** Add an inode to the volume; its checksum is set. */
export function addInode(volume: ExtVolume, number: number, fields: InodeFields): void {
  const { geometry, features, timeSeconds } = volume;
  const { uid = 0, gid = 0, mapping } = fields;
  const time = timeSeconds % 2 ** 32;
  const sectors = mapping.blocks * (geometry.blockBytes / 512);
  const inode = new Record(geometry.inodeBytes)
    .u16(0x00, fields.mode)
    .u16(0x02, uid & 0xffff)
    .u32(0x04, fields.sizeBytes % 2 ** 32)
    .u32(0x08, time)
    .u32(0x0c, time)
    .u32(0x10, time)
    .u16(0x18, gid & 0xffff)
    .u16(0x1a, fields.links)
    .u32(0x1c, sectors % 2 ** 32)
    .u32(0x20, mapping.flags)
    .set(0x28, mapping.pointers)
    .u32(0x6c, Math.floor(fields.sizeBytes / 2 ** 32))
    .u16(0x78, uid >>> 16)
    .u16(0x7a, gid >>> 16);
  const long = geometry.inodeBytes > SHORT_INODE_BYTES;
  if (long) {
    // The seconds count from 1970 with 34 bits: the lower 32 are signed.
    const epoch = Math.floor((timeSeconds + 2 ** 31) / 2 ** 32);
    inode
      .u16(0x80, EXTRA_BYTES)
      .u32(0x84, epoch)
      .u32(0x88, epoch)
      .u32(0x8c, epoch)
      .u32(0x90, time)
      .u32(0x94, epoch);
  }
  if (features.has("metadata_csum")) {
    const checksum = crc32c(volume.inodeSeed(number), inode.bytes);
    inode.u16(0x7c, checksum & 0xffff);
    if (long) inode.u16(0x82, checksum >>> 16);
  }
  volume.inodes.set(number, inode.bytes);
}

/** Say where blocks of an inode are. Blocks that this takes itself are taken, and written. */
export function mapBlocks(volume: ExtVolume, inode: number, runs: readonly Run[]): Mapping {
  return volume.features.has("extent")
    ? mapExtents(volume, inode, runs)
    : mapPointers(volume, runs);
}

interface Extent extends Run {
  /** From the start of the file. */
  readonly logical: number;
}

function extentsOf(runs: readonly Run[]): Extent[] {
  const extents: Extent[] = [];
  let logical = 0;
  for (const run of runs) {
    for (let done = 0; done < run.length; done += MAX_EXTENT_BLOCKS) {
      const length = Math.min(MAX_EXTENT_BLOCKS, run.length - done);
      extents.push({ logical, start: run.start + done, length });
      logical += length;
    }
  }
  return extents;
}

function extentNode(bytes: number, entries: number, room: number, depth: number): Record {
  return new Record(bytes).u16(0, EXTENT_MAGIC).u16(2, entries).u16(4, room).u16(6, depth);
}

function putExtents(node: Record, extents: readonly Extent[]): void {
  for (const [i, { logical, start, length }] of extents.entries())
    node
      .u32(EXTENT_BYTES * (i + 1), logical)
      .u16(EXTENT_BYTES * (i + 1) + 4, length)
      .u16(EXTENT_BYTES * (i + 1) + 6, Math.floor(start / 2 ** 32))
      .u32(EXTENT_BYTES * (i + 1) + 8, start % 2 ** 32);
}

/** A tree of extents of one level, or of two. */
function mapExtents(volume: ExtVolume, inode: number, runs: readonly Run[]): Mapping {
  const extents = extentsOf(runs);
  const data = runs.reduce((sum, { length }) => sum + length, 0);
  if (extents.length <= ROOT_EXTENTS) {
    const root = extentNode(POINTERS_BYTES, extents.length, ROOT_EXTENTS, 0);
    putExtents(root, extents);
    return { flags: EXTENTS_FLAG, pointers: root.bytes, blocks: data };
  }
  const { blockBytes } = volume.geometry;
  const room = Math.floor((blockBytes - EXTENT_BYTES) / EXTENT_BYTES);
  const leaves = Math.ceil(extents.length / room);
  if (leaves > ROOT_EXTENTS)
    throw invalid("journalSizeBytes", "a journal of so many pieces is too long: make it smaller");
  const root = extentNode(POINTERS_BYTES, leaves, ROOT_EXTENTS, 1);
  for (let i = 0; i < leaves; i++) {
    const part = extents.slice(i * room, (i + 1) * room);
    const leaf = extentNode(blockBytes, part.length, room, 0);
    putExtents(leaf, part);
    const tail = EXTENT_BYTES * (room + 1);
    if (volume.features.has("metadata_csum"))
      leaf.u32(tail, crc32c(volume.inodeSeed(inode), leaf.part(0, tail)));
    const block = volume.allocateBlock(runs[0].start);
    volume.writeBlocks(block, leaf.bytes);
    root
      .u32(EXTENT_BYTES * (i + 1), part[0].logical)
      .u32(EXTENT_BYTES * (i + 1) + 4, block % 2 ** 32)
      .u16(EXTENT_BYTES * (i + 1) + 8, Math.floor(block / 2 ** 32));
  }
  return { flags: EXTENTS_FLAG, pointers: root.bytes, blocks: data + leaves };
}

/** Block numbers: twelve in the inode, then in blocks of them, and in blocks of such blocks. */
function mapPointers(volume: ExtVolume, runs: readonly Run[]): Mapping {
  const perBlock = volume.geometry.blockBytes / 4;
  const data = runs.flatMap(({ start, length }) => Array.from({ length }, (_, i) => start + i));
  const pointers = new Record(POINTERS_BYTES);
  let extra = 0;
  const tree = (level: number, from: number): number => {
    if (level === 0) return data[from];
    const block = volume.allocateBlock(runs[0].start);
    extra++;
    const record = new Record(volume.geometry.blockBytes);
    const step = perBlock ** (level - 1);
    for (let i = 0; i < perBlock && from + i * step < data.length; i++)
      record.u32(4 * i, tree(level - 1, from + i * step));
    volume.writeBlocks(block, record.bytes);
    return block;
  };
  let from = 0;
  for (let i = 0; i < DIRECT_BLOCKS && from < data.length; i++)
    pointers.u32(4 * i, tree(0, from++));
  for (let level = 1; level <= 3 && from < data.length; level++) {
    pointers.u32(4 * (DIRECT_BLOCKS + level - 1), tree(level, from));
    from += perBlock ** level;
  }
  return { flags: 0, pointers: pointers.bytes, blocks: data.length + extra };
}
