// Block groups: bitmaps, inode tables, descriptors.
//
// Layout: struct ext4_group_desc of fs/ext4/ext4.h.

import { crc16, crc32c } from "../checksum.ts";
import { uuidBytes } from "../identity.ts";
import { Record } from "../record.ts";
import { groupEnd, groupStart, headerBlocks } from "./geometry.ts";
import type { ExtVolume } from "./volume.ts";

const INODE_UNINIT = 1;
const BLOCK_UNINIT = 2;
const INODE_ZEROED = 4;
/** The kernel zeroes inode tables when it is mounted first; smaller ones are not worth the wait. */
const SMALL_TABLES_BYTES = 16 << 20;
const CHECKSUM_AT = 0x1e;

/** What the superblock says in sum. */
export interface GroupTotals {
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly descriptors: Uint8Array<ArrayBuffer>;
}

/**
 * Write bitmaps and inode tables, as far as they must be there.
 *
 * @param zeroed the inode tables read as zeroes already
 */
export function finishGroups(volume: ExtVolume, zeroed: boolean): GroupTotals {
  const { geometry, features } = volume;
  const tablesBytes = geometry.groups * geometry.inodeTableBlocks * geometry.blockBytes;
  const zeroTables = !features.lazyGroups || tablesBytes <= SMALL_TABLES_BYTES;
  const { descriptorBytes, blockBytes } = geometry;
  const table = new Record(geometry.descriptorBlocks * blockBytes);
  const emptyInodeBitmap = inodeBitmap(volume, 0);
  let freeBlocks = 0;
  let freeInodes = 0;
  for (let group = 0; group < geometry.groups; group++) {
    const place = volume.places[group];
    const used = volume.space.countUsed(groupStart(geometry, group), groupEnd(geometry, group));
    const free = groupEnd(geometry, group) - groupStart(geometry, group) - used;
    const lastInode = group === 0 ? Math.max(...volume.inodes.keys()) : 0;
    let flags = 0;
    let blockChecksum = 0;
    let inodeChecksum = 0;
    if (volume.features.lazyGroups && hasOnlyItsOwn(volume, group, used)) flags |= BLOCK_UNINIT;
    else {
      const bitmap = blockBitmap(volume, group);
      volume.writeBlocks(place.blockBitmap, bitmap);
      blockChecksum = crc32c(volume.checksumSeed, bitmap);
    }
    if (volume.features.lazyGroups && lastInode === 0) flags |= INODE_UNINIT;
    else {
      const bitmap = group === 0 ? inodeBitmap(volume, lastInode) : emptyInodeBitmap;
      volume.writeBlocks(place.inodeBitmap, bitmap);
      const counted = bitmap.subarray(0, geometry.inodesPerGroup / 8);
      inodeChecksum = crc32c(volume.checksumSeed, counted);
    }
    if (zeroTables) volume.zeroBlocks(place.inodeTable, geometry.inodeTableBlocks);
    if (features.lazyGroups && (zeroTables || zeroed)) flags |= INODE_ZEROED;
    const descriptor = new Record(table.part(group * descriptorBytes, descriptorBytes));
    putDescriptor(descriptor, {
      ...place,
      freeBlocks: free,
      freeInodes: geometry.inodesPerGroup - lastInode,
      directories: group === 0 ? volume.directories : 0,
      flags,
      unusedInodes: features.lazyGroups ? geometry.inodesPerGroup - lastInode : 0,
      blockChecksum: features.has("metadata_csum") ? blockChecksum : 0,
      inodeChecksum: features.has("metadata_csum") ? inodeChecksum : 0,
    });
    descriptor.u16(CHECKSUM_AT, descriptorChecksum(volume, group, descriptor));
    freeBlocks += free;
    freeInodes += geometry.inodesPerGroup - lastInode;
  }
  writeInodes(volume);
  return { freeBlocks, freeInodes, descriptors: table.bytes };
}

/**
 * Whether the kernel can tell by itself which blocks of a group are in use, so that its bitmap need
 * not be written. The last group's must be.
 */
function hasOnlyItsOwn(volume: ExtVolume, group: number, used: number): boolean {
  const { geometry } = volume;
  if (group === geometry.groups - 1) return false;
  const start = groupStart(geometry, group);
  const end = groupEnd(geometry, group);
  const inside = (block: number, length: number) =>
    Math.max(0, Math.min(end, block + length) - Math.max(start, block));
  const place = volume.places[group];
  const own =
    headerBlocks(geometry, group) +
    inside(place.blockBitmap, 1) +
    inside(place.inodeBitmap, 1) +
    inside(place.inodeTable, geometry.inodeTableBlocks);
  return used === own;
}

/** Set bits of a bitmap. */
function setBits(bitmap: Uint8Array, from: number, to: number): void {
  let bit = from;
  for (; bit < to && bit % 8; bit++) bitmap[bit >> 3] |= 1 << (bit & 7);
  const whole = Math.max(bit, to - (to % 8));
  bitmap.fill(0xff, bit >> 3, whole >> 3);
  for (bit = whole; bit < to; bit++) bitmap[bit >> 3] |= 1 << (bit & 7);
}

/** Blocks that are not there count as used. */
function blockBitmap(volume: ExtVolume, group: number): Uint8Array {
  const { geometry } = volume;
  const bitmap = new Uint8Array(geometry.blockBytes);
  const start = groupStart(geometry, group);
  const end = groupEnd(geometry, group);
  for (const run of volume.space.used(start, end))
    setBits(bitmap, run.start - start, run.start - start + run.length);
  setBits(bitmap, end - start, 8 * bitmap.length);
  return bitmap;
}

/** All inodes up to one are in use. */
function inodeBitmap(volume: ExtVolume, lastInode: number): Uint8Array {
  const bitmap = new Uint8Array(volume.geometry.blockBytes);
  setBits(bitmap, 0, lastInode);
  setBits(bitmap, volume.geometry.inodesPerGroup, 8 * bitmap.length);
  return bitmap;
}

/** All inodes in use are in the first group. The rest of their last block is zeroes. */
function writeInodes(volume: ExtVolume): void {
  const { inodeBytes, blockBytes } = volume.geometry;
  const last = Math.max(...volume.inodes.keys());
  const table = new Uint8Array(Math.ceil((last * inodeBytes) / blockBytes) * blockBytes);
  for (const [number, bytes] of volume.inodes) table.set(bytes, (number - 1) * inodeBytes);
  volume.writeBlocks(volume.places[0].inodeTable, table);
}

interface Descriptor {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly directories: number;
  readonly flags: number;
  readonly unusedInodes: number;
  readonly blockChecksum: number;
  readonly inodeChecksum: number;
}

function putDescriptor(record: Record, fields: Descriptor): void {
  const high = (value: number) => Math.floor(value / 2 ** 32);
  record
    .u32(0x00, fields.blockBitmap % 2 ** 32)
    .u32(0x04, fields.inodeBitmap % 2 ** 32)
    .u32(0x08, fields.inodeTable % 2 ** 32)
    .u16(0x0c, fields.freeBlocks & 0xffff)
    .u16(0x0e, fields.freeInodes & 0xffff)
    .u16(0x10, fields.directories)
    .u16(0x12, fields.flags)
    .u16(0x18, fields.blockChecksum & 0xffff)
    .u16(0x1a, fields.inodeChecksum & 0xffff)
    .u16(0x1c, fields.unusedInodes & 0xffff);
  if (record.bytes.length === 32) return;
  record
    .u32(0x20, high(fields.blockBitmap))
    .u32(0x24, high(fields.inodeBitmap))
    .u32(0x28, high(fields.inodeTable))
    .u16(0x38, fields.blockChecksum >>> 16)
    .u16(0x3a, fields.inodeChecksum >>> 16);
}

function descriptorChecksum(volume: ExtVolume, group: number, record: Record): number {
  const number = new Record(4).u32(0, group).bytes;
  if (volume.features.has("metadata_csum"))
    return crc32c(crc32c(volume.checksumSeed, number), record.bytes) & 0xffff;
  if (!volume.features.has("uninit_bg")) return 0;
  const before = crc16(crc16(0xffff, uuidBytes(volume.uuid)), number);
  const rest = record.bytes.subarray(CHECKSUM_AT + 2);
  return crc16(crc16(before, record.part(0, CHECKSUM_AT)), rest);
}
