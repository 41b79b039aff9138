// Minix's file system, as mkfs.minix makes it: of versions 1 and 2 with names of 30 bytes, of version 3.
//
// Layout: include/uapi/linux/minix_fs.h and fs/minix/ of the kernel.

import { invalid, tooLarge, tooSmall } from "./errors.ts";
import type { CommonOptions, Formatted, Target } from "./formatter.ts";
import { leastFitting } from "./least.ts";
import { Record } from "./record.ts";

/** Options of Minix's file system, which has neither label nor UUID. */
export interface MinixOptions extends CommonOptions {
  type: "minix";
  /** Default: 3. Version 1 has at most 64 MiB, and so has 2 inodes at most 65535. */
  version?: 1 | 2 | 3;
  /** About so many. Default: one for three blocks of 1024 bytes. */
  inodes?: number;
}

const BLOCK_BYTES = 1024;
const BLOCK_BITS = 8 * BLOCK_BYTES;
const SUPERBLOCK = 1;
/** Boot block and superblock. */
const FIRST_BLOCKS = 2;
const ROOT_INODE = 1;
const STATE_CLEAN = 1;
const S_IFDIR = 0o040000;
const BLOCKS_PER_INODE = 3;
const MAX_U16 = 2 ** 16 - 1;

interface Version {
  readonly magic: number;
  readonly inodeBytes: number;
  readonly nameBytes: number;
  readonly inodeNumberBytes: number;
  readonly maxBlocks: number;
  readonly maxInodes: number;
  /** The longest file that inodes can point to, or that the kernel allows. */
  readonly maxFileBytes: number;
}

const VERSIONS: { readonly [version in 1 | 2 | 3]: Version } = {
  1: {
    magic: 0x138f,
    inodeBytes: 32,
    nameBytes: 30,
    inodeNumberBytes: 2,
    maxBlocks: MAX_U16,
    maxInodes: MAX_U16,
    maxFileBytes: (7 + 512 + 512 * 512) * BLOCK_BYTES,
  },
  2: {
    magic: 0x2478,
    inodeBytes: 64,
    nameBytes: 30,
    inodeNumberBytes: 2,
    maxBlocks: 2 ** 28,
    maxInodes: MAX_U16,
    maxFileBytes: 2 ** 31 - 1,
  },
  3: {
    magic: 0x4d5a,
    inodeBytes: 64,
    nameBytes: 60,
    inodeNumberBytes: 4,
    maxBlocks: 2 ** 28,
    maxInodes: 2 ** 32 - 1,
    maxFileBytes: 2 ** 31 - 1,
  },
};

interface Layout {
  readonly blocks: number;
  readonly inodes: number;
  readonly inodeMapBlocks: number;
  readonly zoneMapBlocks: number;
  readonly inodeTableBlocks: number;
  /** Where files' blocks begin. */
  readonly firstZone: number;
}

/** Make a Minix file system. */
export function formatMinix(target: Target, options: MinixOptions): Formatted {
  const { sizeBytes, image, timeSeconds } = target;
  const { version = 3 } = options;
  for (const name of ["label", "uuid"] as const)
    if (options[name]) throw invalid(name, "Minix's file system has none");
  if (!(version in VERSIONS)) throw invalid("version", `${String(version)} is not 1, 2 or 3`);
  if (timeSeconds >= 2 ** 32) throw invalid("timeSeconds", "Minix counts to the year 2106");
  if (target.blockSizeBytes > BLOCK_BYTES)
    throw invalid("type", `Minix's blocks of ${BLOCK_BYTES} bytes are less than the disk's`);
  const { inodes, inodes: wish = sizeBytes / BLOCK_BYTES / BLOCKS_PER_INODE } = options;
  if (inodes !== undefined && !(inodes >= 1)) throw invalid("inodes", `${inodes} are too few`);
  const kind = VERSIONS[version];
  const blocks = Math.floor(sizeBytes / BLOCK_BYTES);
  if (blocks > kind.maxBlocks)
    throw tooLarge(`minix version ${version}`, sizeBytes, kind.maxBlocks * BLOCK_BYTES);
  const layout = layOut(kind, blocks, wish);
  if (!hasRoom(layout)) {
    const least = leastFitting(blocks, kind.maxBlocks, (count) =>
      hasRoom(layOut(kind, count, inodes ?? count / BLOCKS_PER_INODE)),
    );
    throw tooSmall("minix", sizeBytes, least * BLOCK_BYTES);
  }
  const { inodeMapBlocks, zoneMapBlocks, firstZone } = layout;
  image.zero(0, firstZone * BLOCK_BYTES);
  image.write(SUPERBLOCK * BLOCK_BYTES, superblock(version, kind, layout).bytes);
  const zoneMap = FIRST_BLOCKS + inodeMapBlocks;
  // Of both maps the first bit stands for nothing, and the second for the root.
  image.write(FIRST_BLOCKS * BLOCK_BYTES, map(inodeMapBlocks, layout.inodes + 1));
  image.write(zoneMap * BLOCK_BYTES, map(zoneMapBlocks, layout.blocks - firstZone + 1));
  const root = rootInode(version, kind, firstZone, timeSeconds);
  image.write((zoneMap + zoneMapBlocks) * BLOCK_BYTES, root.bytes);
  image.write(firstZone * BLOCK_BYTES, rootDirectory(kind).bytes);
  return {
    type: "minix",
    label: "",
    uuid: "",
    sizeBytes: blocks * BLOCK_BYTES,
    blockSizeBytes: BLOCK_BYTES,
  };
}

/** The inodes fill their blocks, and leave the first zone's number within 16 bits. */
function layOut(kind: Version, blocks: number, wish: number): Layout {
  const perBlock = BLOCK_BYTES / kind.inodeBytes;
  const zoneMapBlocks = Math.ceil((blocks + 1) / BLOCK_BITS);
  const whole = Math.ceil(wish / perBlock) * perBlock;
  // A block of the map is for so many blocks of the table.
  const room = MAX_U16 - FIRST_BLOCKS - zoneMapBlocks - 1;
  const most = Math.floor(room / (1 + perBlock / BLOCK_BITS)) * perBlock;
  const allowed = Math.min(kind.maxInodes, most);
  const inodes = Math.min(whole, allowed - (allowed % perBlock));
  const inodeMapBlocks = Math.ceil((inodes + 1) / BLOCK_BITS);
  const inodeTableBlocks = inodes / perBlock;
  const firstZone = FIRST_BLOCKS + inodeMapBlocks + zoneMapBlocks + inodeTableBlocks;
  return { blocks, inodes, inodeMapBlocks, zoneMapBlocks, inodeTableBlocks, firstZone };
}

/** For the root directory, and for a file. */
function hasRoom({ blocks, firstZone }: Layout): boolean {
  return blocks >= firstZone + 2;
}

function superblock(version: 1 | 2 | 3, kind: Version, layout: Layout): Record {
  const record = new Record(BLOCK_BYTES);
  if (version === 3)
    return record
      .u32(0, layout.inodes)
      .u16(6, layout.inodeMapBlocks)
      .u16(8, layout.zoneMapBlocks)
      .u16(10, layout.firstZone)
      .u32(16, kind.maxFileBytes)
      .u32(20, layout.blocks)
      .u16(24, kind.magic)
      .u16(28, BLOCK_BYTES);
  return record
    .u16(0, layout.inodes)
    .u16(2, version === 1 ? layout.blocks : 0)
    .u16(4, layout.inodeMapBlocks)
    .u16(6, layout.zoneMapBlocks)
    .u16(8, layout.firstZone)
    .u32(12, kind.maxFileBytes)
    .u16(16, kind.magic)
    .u16(18, STATE_CLEAN)
    .u32(20, version === 2 ? layout.blocks : 0);
}

/** A map of so many bits: the first two are set, and so is what is beyond the last. */
function map(blocks: number, bits: number): Uint8Array {
  const bytes = new Uint8Array(blocks * BLOCK_BYTES);
  bytes[0] = 3;
  const whole = Math.ceil(bits / 8);
  bytes.fill(0xff, whole);
  if (bits % 8) bytes[whole - 1] |= (0xff << (bits % 8)) & 0xff;
  return bytes;
}

function rootInode(version: 1 | 2 | 3, kind: Version, zone: number, time: number): Record {
  const record = new Record(kind.inodeBytes).u16(0, S_IFDIR | 0o755);
  const sizeBytes = 2 * (kind.inodeNumberBytes + kind.nameBytes);
  if (version === 1) return record.u32(4, sizeBytes).u32(8, time).u8(13, 2).u16(14, zone);
  return record.u16(2, 2).u32(8, sizeBytes).u32(12, time).u32(16, time).u32(20, time).u32(24, zone);
}

function rootDirectory({ inodeNumberBytes, nameBytes }: Version): Record {
  const second = inodeNumberBytes + nameBytes;
  return new Record(BLOCK_BYTES)
    .u8(0, ROOT_INODE)
    .ascii(inodeNumberBytes, ".")
    .u8(second, ROOT_INODE)
    .ascii(second + inodeNumberBytes, "..");
}
