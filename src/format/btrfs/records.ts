// What is stored in the trees of btrfs. Structures: the kernel's include/uapi/linux/btrfs_tree.h.

import { BTRFS_EXTENT_FLAG_TREE_BLOCK, BTRFS_FT_DIR } from "../../abi/constants/btrfs.ts";
import { Record } from "../record.ts";
import type { Chunk } from "./chunks.ts";
import {
  DEVICE_ID,
  DIRECTORY_MODE,
  GENERATION,
  KEY,
  OBJECT,
  SECTOR_BYTES,
  STRIPE_BYTES,
} from "./layout.ts";
import { putKey } from "./leaf.ts";

type Bytes = Uint8Array<ArrayBuffer>;

export interface Device {
  readonly fsid: string;
  readonly uuid: string;
  readonly sizeBytes: number;
  readonly usedBytes: number;
}

/** struct btrfs_dev_item */
export function deviceItem({ fsid, uuid, sizeBytes, usedBytes }: Device): Bytes {
  return new Record(98)
    .u64(0, DEVICE_ID)
    .u64(8, sizeBytes)
    .u64(16, usedBytes)
    .u32(24, SECTOR_BYTES)
    .u32(28, SECTOR_BYTES)
    .u32(32, SECTOR_BYTES)
    .uuid(66, uuid)
    .uuid(82, fsid).bytes;
}

const STRIPES_AT = 48;
const STRIPE_RECORD_BYTES = 32;

/** struct btrfs_chunk */
export function chunkItem({ flags, lengthBytes, stripes }: Chunk, device: Device): Bytes {
  const item = new Record(STRIPES_AT + stripes.length * STRIPE_RECORD_BYTES)
    .u64(0, lengthBytes)
    .u64(8, OBJECT.extentTree)
    .u64(16, STRIPE_BYTES)
    .u64(24, flags)
    .u32(32, STRIPE_BYTES)
    .u32(36, STRIPE_BYTES)
    .u32(40, SECTOR_BYTES)
    .u16(44, stripes.length)
    .u16(46, 1);
  for (const [i, offset] of stripes.entries())
    item
      .u64(STRIPES_AT + i * STRIPE_RECORD_BYTES, DEVICE_ID)
      .u64(STRIPES_AT + i * STRIPE_RECORD_BYTES + 8, offset)
      .uuid(STRIPES_AT + i * STRIPE_RECORD_BYTES + 16, device.uuid);
  return item.bytes;
}

/** struct btrfs_dev_extent */
export function deviceExtent(chunk: Chunk, chunkTreeUuid: string): Bytes {
  return new Record(48)
    .u64(0, OBJECT.chunkTree)
    .u64(8, OBJECT.first)
    .u64(16, chunk.address)
    .u64(24, chunk.lengthBytes)
    .uuid(32, chunkTreeUuid).bytes;
}

/** struct btrfs_block_group_item */
export function blockGroupItem({ flags }: Chunk, usedBytes: number): Bytes {
  return new Record(24).u64(0, usedBytes).u64(8, OBJECT.first).u64(16, flags).bytes;
}

/** struct btrfs_extent_item with one inline reference: a block, and the tree that it is of. */
export function treeBlockItem(tree: number | bigint): Bytes {
  return new Record(33)
    .u64(0, 1)
    .u64(8, GENERATION)
    .u64(16, BTRFS_EXTENT_FLAG_TREE_BLOCK)
    .u8(24, KEY.treeBlockReference)
    .u64(25, tree).bytes;
}

/** struct btrfs_free_space_info, of space that is described by extents. */
export function freeSpaceInfo(extents: number): Bytes {
  return new Record(8).u32(0, extents).bytes;
}

const INODE_BYTES = 160;

/** struct btrfs_inode_item of an empty directory. */
export function directoryInode(usedBytes: number, timeSeconds: number): Bytes {
  const inode = new Record(INODE_BYTES)
    .u64(0, GENERATION)
    .u64(24, usedBytes)
    .u32(40, 1)
    .u32(52, DIRECTORY_MODE);
  for (const time of [112, 124, 136, 148]) inode.u64(time, timeSeconds);
  return inode.bytes;
}

/** struct btrfs_inode_ref with the name. */
export function inodeReference(name: string): Bytes {
  return new Record(10 + name.length).u16(8, name.length).ascii(10, name).bytes;
}

/** struct btrfs_dir_item with the name: a directory's entry that is a tree. */
export function treeEntry(tree: number | bigint, name: string): Bytes {
  const entry = new Record(30 + name.length);
  // Of whichever generation: the offset of the key is −1.
  putKey(entry, 0, { object: tree, type: KEY.rootItem, offset: 0xffff_ffff_ffff_ffffn });
  return entry.u16(27, name.length).u8(29, BTRFS_FT_DIR).ascii(30, name).bytes;
}

export interface Root {
  /** The logical address of the tree's root. */
  readonly address: number;
  readonly nodeBytes: number;
  /** The inode of the tree's uppermost directory; 0 if it holds no files. */
  readonly directory: number;
  /** Of a subvolume. */
  readonly uuid?: string;
  readonly timeSeconds?: number;
}

/** struct btrfs_root_item */
export function rootItem(root: Root): Bytes {
  const item = new Record(439)
    .u64(0, GENERATION)
    // What a directory's inode has that was made by the first version; nothing reads it.
    .u64(16, 3)
    .u64(24, root.nodeBytes)
    .u32(40, 1)
    .u32(52, DIRECTORY_MODE)
    .u64(160, GENERATION)
    .u64(168, root.directory)
    .u64(176, root.address)
    .u64(192, root.nodeBytes)
    .u32(216, 1)
    .u64(239, GENERATION);
  if (root.uuid !== undefined) item.uuid(247, root.uuid);
  if (root.timeSeconds !== undefined) item.u64(327, root.timeSeconds).u64(339, root.timeSeconds);
  return item.bytes;
}
