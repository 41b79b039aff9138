// The root directory of f2fs: its inode, and the block of its entries. struct f2fs_node and struct
// f2fs_dentry_block of the kernel's include/linux/f2fs_fs.h.

import { uuidBytes } from "../identity.ts";
import { Record } from "../record.ts";
import { checksum } from "./checksum.ts";
import { BLOCK_BYTES } from "./geometry.ts";

/** Numbers of inodes that are always there: two of them have no block. */
export const INODE = { node: 1, meta: 2, root: 3, firstFree: 4 } as const;

const DIRECTORY_MODE = 0o40755;
/** F2FS_FT_DIR */
const TYPE_DIRECTORY = 2;
/** F2FS_EXTRA_ATTR */
const EXTRA_FLAG = 0x20;
/** All fields of the extra attributes. */
const EXTRA_BYTES = 36;
const ADDRESSES_AT = 360;
const CHECKSUM_AT = 368;

export interface RootOptions {
  readonly uuid: string;
  readonly timeSeconds: number;
  /** The inode has a part for attributes that came later. */
  readonly extra: boolean;
  readonly checksum: boolean;
  readonly creationTime: boolean;
  /** Of the checkpoint that knows it. */
  readonly version: number;
  /** Where its block of entries is. */
  readonly entriesAt: number;
  /** The block after the inode's. */
  readonly next: number;
}

export function rootInode(options: RootOptions): Uint8Array<ArrayBuffer> {
  const { timeSeconds, extra } = options;
  const inode = new Record(BLOCK_BYTES)
    .u16(0, DIRECTORY_MODE)
    .u8(3, extra ? EXTRA_FLAG : 0)
    .u32(12, 2) // links
    .u64(16, BLOCK_BYTES)
    .u64(24, 2) // blocks: this one, and that of entries
    .u64(32, timeSeconds)
    .u64(40, timeSeconds)
    .u64(48, timeSeconds)
    .u32(72, 1) // depth
    .u32(84, INODE.root)
    .u32(ADDRESSES_AT + (extra ? EXTRA_BYTES : 0), options.entriesAt)
    .u32(4072, INODE.root)
    .u32(4076, INODE.root)
    .u64(4084, options.version)
    .u32(4092, options.next);
  if (extra) inode.u16(ADDRESSES_AT, EXTRA_BYTES);
  if (options.creationTime) inode.u64(372, timeSeconds);
  if (options.checksum) inode.u32(CHECKSUM_AT, inodeChecksum(inode, options.uuid));
  return inode.bytes;
}

/** f2fs_inode_chksum(): seeded by UUID, number and generation, over the block without the checksum. */
function inodeChecksum(inode: Record, uuid: string): number {
  const identity = new Record(8).u32(0, INODE.root).bytes;
  const seed = checksum(identity, checksum(uuidBytes(uuid), 0xffff_ffff));
  return checksum(inode.bytes, seed);
}

const ENTRIES = 214;
const ENTRIES_AT = 30;
const ENTRY_BYTES = 11;
const NAMES_AT = ENTRIES_AT + ENTRIES * ENTRY_BYTES;
const NAME_BYTES = 8;

/** The entries "." and "..". */
export function rootEntries(): Uint8Array<ArrayBuffer> {
  const names = [".", ".."];
  const block = new Record(BLOCK_BYTES).u8(0, 2 ** names.length - 1);
  for (const [i, name] of names.entries()) {
    const at = ENTRIES_AT + i * ENTRY_BYTES;
    block
      .u32(at + 4, INODE.root)
      .u16(at + 8, name.length)
      .u8(at + 10, TYPE_DIRECTORY)
      .ascii(NAMES_AT + i * NAME_BYTES, name);
  }
  return block.bytes;
}
