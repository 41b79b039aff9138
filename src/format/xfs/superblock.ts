// The superblock of XFS. struct xfs_dsb of the kernel's fs/xfs/libxfs/xfs_format.h.

import { XFS_SUPER_MAGIC } from "../../abi/constants/magic.ts";
import { Record } from "../record.ts";
import {
  BLOCK_BYTES,
  CHUNK_BLOCKS,
  CHUNK_INODES,
  fileSystemBlock,
  INODE_BYTES,
  INODES_PER_BLOCK,
  SMALL_SECTOR_BYTES,
} from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import { freeBlocks } from "./group.ts";
import { rootInode, USED_INODES } from "./inodes.ts";
import { seal } from "./seal.ts";

/** XFSLABEL_MAX */
export const LABEL_BYTES = 12;
const CRC_AT = 224;

/** XFS_SB_VERSION_*: version 5, and what always comes with it. */
const VERSION = {
  number: 5,
  nlink: 0x20,
  align: 0x80,
  log2: 0x400,
  sector: 0x800,
  extentFlag: 0x1000,
  directory2: 0x2000,
  more: 0x8000,
} as const;

/** XFS_SB_VERSION2_*: counters kept lazily, attributes 2, project numbers of 32 bits, checksums. */
const FEATURES2 = 0x2 | 0x8 | 0x80 | 0x100;
/** XFS_SB_FEAT_RO_COMPAT_* */
const RO_COMPAT = { freeInodes: 1, reverse: 2, references: 4, inodeCounts: 8 } as const;
/** XFS_SB_FEAT_INCOMPAT_* */
const INCOMPAT = { fileTypes: 1, sparseInodes: 2, bigTime: 8, largeCounts: 32 } as const;

/** Files may take so much of the space for inodes, in percent, as mkfs.xfs has it. */
function inodePercent(blocks: number): number {
  const tebibytes = (blocks * BLOCK_BYTES) / 2 ** 40;
  if (tebibytes < 1) return 25;
  return tebibytes < 50 ? 5 : 1;
}

function putFeatures(block: Record, geometry: Geometry, largeCounts: boolean): void {
  const { sectorBytes, reverse, logUnitBytes } = geometry;
  const { number, nlink, align, log2, sector, extentFlag, directory2, more } = VERSION;
  const version = number | nlink | align | log2 | extentFlag | directory2 | more;
  const large = sectorBytes > SMALL_SECTOR_BYTES;
  const { freeInodes, references, inodeCounts } = RO_COMPAT;
  const { fileTypes, sparseInodes, bigTime } = INCOMPAT;
  block
    .u16be(100, large ? version | sector : version)
    .u8(193, large ? Math.log2(sectorBytes) : 0)
    .u16be(194, large ? sectorBytes : 0)
    .u32be(196, large ? logUnitBytes : 1)
    .u32be(200, FEATURES2)
    .u32be(204, FEATURES2)
    .u32be(212, freeInodes | references | inodeCounts | (reverse ? RO_COMPAT.reverse : 0))
    .u32be(216, fileTypes | sparseInodes | bigTime | (largeCounts ? INCOMPAT.largeCounts : 0));
}

function allFreeBlocks(geometry: Geometry): number {
  let total = 0;
  for (let group = 0; group < geometry.groups; group++) total += freeBlocks(geometry, group);
  return total;
}

/** One sector, the same at the start of every group. */
export function superblock(
  geometry: Geometry,
  { uuid, label, largeCounts }: { uuid: string; label: Uint8Array; largeCounts: boolean },
): Uint8Array<ArrayBuffer> {
  const root = rootInode(geometry);
  const block = new Record(geometry.sectorBytes)
    .u32be(0, XFS_SUPER_MAGIC)
    .u32be(4, BLOCK_BYTES)
    .u64be(8, geometry.blocks)
    .uuid(32, uuid)
    .u64be(48, fileSystemBlock(geometry, geometry.logGroup, geometry.firstFree))
    .u64be(56, root)
    .u64be(64, root + 1)
    .u64be(72, root + 2)
    .u32be(80, 1) // a block is the realtime section's extent
    .u32be(84, geometry.groupBlocks)
    .u32be(88, geometry.groups)
    .u32be(96, geometry.logBlocks)
    .u16be(102, geometry.sectorBytes)
    .u16be(104, INODE_BYTES)
    .u16be(106, INODES_PER_BLOCK)
    .set(108, label)
    .u8(120, Math.log2(BLOCK_BYTES))
    .u8(121, Math.log2(geometry.sectorBytes))
    .u8(122, Math.log2(INODE_BYTES))
    .u8(123, Math.log2(INODES_PER_BLOCK))
    .u8(124, geometry.groupBits)
    .u8(127, inodePercent(geometry.blocks))
    .u64be(128, CHUNK_INODES)
    .u64be(136, CHUNK_INODES - USED_INODES)
    .u64be(144, allFreeBlocks(geometry))
    .u32be(180, CHUNK_BLOCKS)
    .u32be(228, CHUNK_BLOCKS / 2); // sparse chunks: as large as the buffers of inodes
  putFeatures(block, geometry, largeCounts);
  return seal(block, CRC_AT);
}
