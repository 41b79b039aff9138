// Quota files: who uses how much from the start, for users, groups and projects.
//
// Layout: Documentation/filesystems/quota.rst names the format vfsv1; fs/quota/quotaio_v2.h and
// quota_tree.c of the kernel read it. A tree of blocks, with a byte of the identifier on each of four
// levels, leads to a block of entries.

import { Record } from "../record.ts";
import { addInode, mapBlocks } from "./inode.ts";
import type { ExtVolume } from "./volume.ts";

/** What belongs to somebody. */
export interface Owned {
  readonly uid: number;
  readonly gid: number;
  readonly bytes: number;
}

/** The numbers of the inodes that have the files. */
export interface QuotaInodes {
  readonly user: number;
  readonly group: number;
  /** Undefined without the feature project. */
  readonly project: number | undefined;
}

const USER = { inode: 3, magic: 0xd9c01f11 };
const GROUP = { inode: 4, magic: 0xd9c01927 };
const PROJECT_MAGIC = 0xd9c03f14;
const VERSION = 1;
const BLOCK_BYTES = 1024;
const LEVELS = 4;
const GRACE_SECONDS = 7 * 24 * 3600;
const ROOT_BLOCK = 1;
const ENTRIES_AT = 16;
const ENTRY_BYTES = 72;
const S_IFREG = 0o100000;
const IMMUTABLE_FLAG = 0x10;

/** Make the files, which do not count themselves. */
export function addQuotaFiles(volume: ExtVolume, owned: readonly Owned[]): QuotaInodes {
  addFile(
    volume,
    USER.inode,
    quotaFile(USER.magic, owned, ({ uid }) => uid),
  );
  addFile(
    volume,
    GROUP.inode,
    quotaFile(GROUP.magic, owned, ({ gid }) => gid),
  );
  if (!volume.features.has("project"))
    return { user: USER.inode, group: GROUP.inode, project: undefined };
  const project = volume.takeInode();
  addFile(
    volume,
    project,
    quotaFile(PROJECT_MAGIC, owned, () => 0),
  );
  return { user: USER.inode, group: GROUP.inode, project };
}

function addFile(volume: ExtVolume, inode: number, bytes: Uint8Array): void {
  const { blockBytes } = volume.geometry;
  const runs = volume.allocateRuns(Math.ceil(bytes.length / blockBytes));
  let at = 0;
  for (const { start, length } of runs) {
    const part = new Uint8Array(length * blockBytes);
    part.set(bytes.subarray(at, at + part.length));
    volume.writeBlocks(start, part);
    at += part.length;
  }
  const mapping = mapBlocks(volume, inode, runs);
  addInode(volume, inode, {
    mode: S_IFREG | 0o600,
    links: 1,
    sizeBytes: bytes.length,
    mapping: { ...mapping, flags: mapping.flags | IMMUTABLE_FLAG },
  });
}

interface Usage {
  readonly bytes: number;
  readonly inodes: number;
}

function quotaFile(
  magic: number,
  owned: readonly Owned[],
  ownerOf: (one: Owned) => number,
): Uint8Array {
  const usages = new Map<number, Usage>();
  for (const one of owned) {
    const { bytes, inodes } = usages.get(ownerOf(one)) ?? { bytes: 0, inodes: 0 };
    usages.set(ownerOf(one), { bytes: bytes + one.bytes, inodes: inodes + 1 });
  }
  const inOrder = [...usages].toSorted(([a], [b]) => a - b);
  const entries = new Record(BLOCK_BYTES).u16(8, inOrder.length);
  for (const [i, [id, { bytes, inodes }]] of inOrder.entries())
    entries
      .u32(ENTRIES_AT + i * ENTRY_BYTES, id)
      .u64(ENTRIES_AT + i * ENTRY_BYTES + 24, inodes)
      .u64(ENTRIES_AT + i * ENTRY_BYTES + 48, bytes);
  const header = new Record(BLOCK_BYTES);
  const blocks = [header, new Record(BLOCK_BYTES)];
  for (const [id] of inOrder) insert(blocks, id, entries);
  header
    .u32(0, magic)
    .u32(4, VERSION)
    .u32(8, GRACE_SECONDS)
    .u32(12, GRACE_SECONDS)
    .u32(20, blocks.length)
    // The block of entries has room for more.
    .u32(28, blocks.indexOf(entries));
  const file = new Uint8Array(blocks.length * BLOCK_BYTES);
  for (const [i, block] of blocks.entries()) file.set(block.bytes, i * BLOCK_BYTES);
  return file;
}

/** Make the way through the tree to an identifier's entry. */
function insert(blocks: Record[], id: number, entries: Record): void {
  let block = blocks[ROOT_BLOCK];
  for (let level = 0; level < LEVELS; level++) {
    const at = 4 * ((id >>> (8 * (LEVELS - 1 - level))) & 0xff);
    const known = new DataView(block.bytes.buffer).getUint32(at, true);
    const next =
      level === LEVELS - 1 ? entries : (blocks[known || blocks.length] ?? new Record(BLOCK_BYTES));
    if (!blocks.includes(next)) blocks.push(next);
    block.u32(at, blocks.indexOf(next));
    block = next;
  }
}
