// The superblock of f2fs. struct f2fs_super_block of the kernel's include/linux/f2fs_fs.h.

import { F2FS_SUPER_MAGIC } from "../../abi/constants/magic.ts";
import { Record } from "../record.ts";
import { checksum } from "./checksum.ts";
import { BLOCK_BYTES, SEGMENT_BLOCKS } from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import { INODE } from "./inode.ts";

/** F2FS_FEATURE_* of the kernel's fs/f2fs/f2fs.h, those that need nothing else to be made. */
export const FEATURES = {
  encrypt: 0x1,
  extra_attr: 0x8,
  project_quota: 0x10,
  inode_checksum: 0x20,
  flexible_inline_xattr: 0x40,
  inode_crtime: 0x100,
  verity: 0x400,
  sb_checksum: 0x800,
  compression: 0x2000,
} as const;

/** Offset of the superblock in the first block, and in the second. */
export const SUPER_AT = 1024;
const SUPER_BYTES = 3072;
const CRC_AT = 3068;
/** MAX_VOLUME_NAME less the NUL, in UTF-16 units. */
export const LABEL_UNITS = 511;

const MAJOR = 1;
const MINOR = 16;
/** Who made it: the kernel only shows it. */
const MAKER = "liblinux";

/** Files with these extensions are written once: the kernel keeps them apart from others. */
const COLD = "mp wm og jp avi m4v m4a mkv mov webm wav 3gp opus flac gif png svg webp".split(" ");
const ARCHIVES = "jar deb rpm iso gz xz zst zip 7z pdf pyc ttf exe apk so vmdk vdi qcow2".split(
  " ",
);
/** Files that are written often. */
const HOT = ["db"];
const EXTENSION_BYTES = 8;

export interface SuperblockOptions {
  readonly uuid: string;
  readonly label: string;
  /** A sum of {@link FEATURES}. */
  readonly features: number;
  readonly sectorBytes: number;
}

function putAreas(block: Record, geometry: Geometry): void {
  const { sitSegments, natSegments, ssaSegments, mainSegments } = geometry;
  block
    .u64(36, geometry.blocks)
    .u32(44, mainSegments) // a section is a segment
    .u32(48, geometry.segments)
    .u32(52, (geometry.sitAt - geometry.checkpointAt) / SEGMENT_BLOCKS)
    .u32(56, sitSegments)
    .u32(60, natSegments)
    .u32(64, ssaSegments)
    .u32(68, mainSegments)
    .u32(72, geometry.checkpointAt)
    .u32(76, geometry.checkpointAt)
    .u32(80, geometry.sitAt)
    .u32(84, geometry.natAt)
    .u32(88, geometry.ssaAt)
    .u32(92, geometry.mainAt)
    .u32(1664, geometry.payloadBlocks);
}

function putExtensions(block: Record): void {
  const cold = [...COLD, ...ARCHIVES];
  block.u32(1148, cold.length).u8(2757, HOT.length);
  for (const [i, extension] of [...cold, ...HOT].entries())
    block.ascii(1152 + i * EXTENSION_BYTES, extension);
}

/** The 3072 bytes of it. */
export function superblock(
  geometry: Geometry,
  { uuid, label, features, sectorBytes }: SuperblockOptions,
): Uint8Array<ArrayBuffer> {
  const block = new Record(SUPER_BYTES)
    .u32(0, F2FS_SUPER_MAGIC)
    .u16(4, MAJOR)
    .u16(6, MINOR)
    .u32(8, Math.log2(sectorBytes))
    .u32(12, Math.log2(BLOCK_BYTES / sectorBytes))
    .u32(16, Math.log2(BLOCK_BYTES))
    .u32(20, Math.log2(SEGMENT_BLOCKS))
    .u32(24, 1)
    .u32(28, 1)
    .u32(96, INODE.root)
    .u32(100, INODE.node)
    .u32(104, INODE.meta)
    .uuid(108, uuid)
    .ascii(1668, MAKER)
    .ascii(1924, MAKER)
    .u32(2180, features);
  for (let i = 0; i < label.length; i++) block.u16(124 + i * 2, label.charCodeAt(i));
  putAreas(block, geometry);
  putExtensions(block);
  if (features & FEATURES.sb_checksum)
    block.u32(32, CRC_AT).u32(CRC_AT, checksum(block.part(0, CRC_AT)));
  return block.bytes;
}
