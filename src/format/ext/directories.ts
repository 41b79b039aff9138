// The directories that are there from the start: the root, and lost+found with room for what fsck finds.

import { crc32c } from "../checksum.ts";
import { Record } from "../record.ts";
import { addInode, DIRECT_BLOCKS, mapBlocks } from "./inode.ts";
import type { Owned } from "./quota.ts";
import type { ExtVolume } from "./volume.ts";

export const ROOT_INODE = 2;
const LOST_AND_FOUND = "lost+found";
const LOST_AND_FOUND_BYTES = 16384;

const S_IFDIR = 0o040000;
const FILE_TYPE_DIRECTORY = 2;
const FILE_TYPE_CHECKSUM = 0xde;
/** A last entry that looks unused, and has the block's checksum. */
const TAIL_BYTES = 12;

interface Entry {
  readonly inode: number;
  readonly name: string;
}

/** A block of a directory: its last entry reaches to the end. */
function directoryBlock(volume: ExtVolume, owner: number, entries: readonly Entry[]): Uint8Array {
  const { blockBytes } = volume.geometry;
  const checked = volume.features.has("metadata_csum");
  const end = blockBytes - (checked ? TAIL_BYTES : 0);
  const record = new Record(blockBytes);
  let at = 0;
  for (const [i, { inode, name }] of entries.entries()) {
    const length = i === entries.length - 1 ? end - at : 8 + Math.ceil(name.length / 4) * 4;
    record
      .u32(at, inode)
      .u16(at + 4, length)
      .u8(at + 6, name.length)
      .ascii(at + 8, name);
    if (inode && volume.features.has("filetype")) record.u8(at + 7, FILE_TYPE_DIRECTORY);
    at += length;
  }
  if (checked)
    record
      .u16(end + 4, TAIL_BYTES)
      .u8(end + 7, FILE_TYPE_CHECKSUM)
      .u32(end + 8, crc32c(volume.inodeSeed(owner), record.part(0, end)));
  return record.bytes;
}

/** Make the root and lost+found. @returns what they use */
export function addDirectories(volume: ExtVolume, uid: number, gid: number): Owned[] {
  const { blockBytes } = volume.geometry;
  const lost = volume.takeInode();
  const [root] = volume.allocateRuns(1);
  const rootEntries = [
    { inode: ROOT_INODE, name: "." },
    { inode: ROOT_INODE, name: ".." },
    { inode: lost, name: LOST_AND_FOUND },
  ];
  volume.writeBlocks(root.start, directoryBlock(volume, ROOT_INODE, rootEntries));
  addInode(volume, ROOT_INODE, {
    mode: S_IFDIR | 0o755,
    links: 3,
    sizeBytes: blockBytes,
    uid,
    gid,
    mapping: mapBlocks(volume, ROOT_INODE, [root]),
  });

  // fsck must not allocate blocks when it puts something there.
  const count = Math.min(DIRECT_BLOCKS, Math.max(2, LOST_AND_FOUND_BYTES / blockBytes));
  const runs = volume.allocateRuns(count);
  const first = [
    { inode: lost, name: "." },
    { inode: ROOT_INODE, name: ".." },
  ];
  const empty = directoryBlock(volume, lost, [{ inode: 0, name: "" }]);
  let isFirst = true;
  for (const { start, length } of runs) {
    for (let i = 0; i < length; i++) {
      volume.writeBlocks(start + i, isFirst ? directoryBlock(volume, lost, first) : empty);
      isFirst = false;
    }
  }
  addInode(volume, lost, {
    mode: S_IFDIR | 0o700,
    links: 2,
    sizeBytes: count * blockBytes,
    mapping: mapBlocks(volume, lost, runs),
  });
  volume.directories += 2;
  return [
    { uid, gid, bytes: blockBytes },
    { uid: 0, gid: 0, bytes: count * blockBytes },
  ];
}
