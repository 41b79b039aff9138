// The superblock of btrfs and its copies. struct btrfs_super_block of the kernel's
// include/uapi/linux/btrfs_tree.h.

import {
  BTRFS_HEADER_FLAG_WRITTEN,
  BTRFS_LABEL_SIZE,
  BTRFS_MAGIC,
} from "../../abi/constants/btrfs.ts";
import { Record } from "../record.ts";
import type { Chunk } from "./chunks.ts";
import { GENERATION, KEY, OBJECT, SECTOR_BYTES } from "./layout.ts";
import { KEY_BYTES, putKey, seal } from "./leaf.ts";
import { chunkItem, deviceItem } from "./records.ts";
import type { Device } from "./records.ts";

const SUPER_BYTES = 4096;
/** Where the superblock is, and where copies are if the disk has room (btrfs_sb_offset()). */
const OFFSETS = [2 ** 16, 2 ** 26, 2 ** 38];
/** There is a NUL after it. */
export const LABEL_BYTES = BTRFS_LABEL_SIZE - 1;

/** The logical addresses of the trees that a superblock names. */
export interface Addresses {
  readonly root: number;
  readonly chunk: number;
  readonly extent: number;
  readonly file: number;
  readonly device: number;
  readonly checksum: number;
}

export interface Superblock {
  readonly device: Device;
  readonly label: Uint8Array;
  readonly nodeBytes: number;
  readonly usedBytes: number;
  readonly incompat: number;
  readonly compatRo: number;
  readonly addresses: Addresses;
  /** Its mapping is here as well, to find the tree of all mappings by. */
  readonly system: Chunk;
}

const BACKUP_AT = 2859;
const ARRAY_AT = 811;

/** struct btrfs_root_backup */
function putBackup(block: Record, { addresses, device, usedBytes }: Superblock): void {
  const { root, chunk, extent, file, device: devices, checksum } = addresses;
  for (const [i, address] of [root, chunk, extent, file, devices, checksum].entries())
    block.u64(BACKUP_AT + i * 16, address).u64(BACKUP_AT + i * 16 + 8, GENERATION);
  block
    .u64(BACKUP_AT + 96, device.sizeBytes)
    .u64(BACKUP_AT + 104, usedBytes)
    .u64(BACKUP_AT + 112, 1);
}

function superblockAt(offset: number, content: Superblock): Uint8Array<ArrayBuffer> {
  const { device, system, addresses, nodeBytes } = content;
  const mapping = chunkItem(system, device);
  const block = new Record(SUPER_BYTES)
    .uuid(32, device.fsid)
    .u64(48, offset)
    .u64(56, BTRFS_HEADER_FLAG_WRITTEN)
    .u64(64, BTRFS_MAGIC)
    .u64(72, GENERATION)
    .u64(80, addresses.root)
    .u64(88, addresses.chunk)
    .u64(112, device.sizeBytes)
    .u64(120, content.usedBytes)
    .u64(128, OBJECT.rootDirectory)
    .u64(136, 1)
    .u32(144, SECTOR_BYTES)
    .u32(148, nodeBytes)
    .u32(152, nodeBytes)
    .u32(156, SECTOR_BYTES)
    .u32(160, KEY_BYTES + mapping.length)
    .u64(164, GENERATION)
    .u64(180, content.compatRo)
    .u64(188, content.incompat)
    .set(201, deviceItem(device))
    .set(299, content.label)
    // The tree of UUIDs is complete: the kernel need not go through all subvolumes.
    .u64(563, GENERATION)
    .set(ARRAY_AT + KEY_BYTES, mapping);
  putKey(block, ARRAY_AT, {
    object: OBJECT.first,
    type: KEY.chunkItem,
    offset: system.address,
  });
  putBackup(block, content);
  return seal(block);
}

/** All copies that a disk has room for, by offset. */
export function superblocks(content: Superblock): [offset: number, bytes: Uint8Array][] {
  return OFFSETS.filter((offset) => offset + SUPER_BYTES <= content.device.sizeBytes).map(
    (offset) => [offset, superblockAt(offset, content)],
  );
}
