// Superblocks of the file systems that Linux has made its own, and of swap space.

import {
  EROFS_SUPER_MAGIC_V1,
  EXT4_SUPER_MAGIC,
  F2FS_SUPER_MAGIC,
  MINIX2_SUPER_MAGIC,
  MINIX2_SUPER_MAGIC2,
  MINIX3_SUPER_MAGIC,
  MINIX_SUPER_MAGIC,
  MINIX_SUPER_MAGIC2,
  SQUASHFS_MAGIC,
  XFS_SUPER_MAGIC,
} from "../../abi/constants/magic.ts";
import type { Content, Probe } from "./content.ts";

// Documentation/filesystems/ext4/super.rst (offsets, feature bits).
const EXT_SUPERBLOCK = 1024;
const EXT_HAS_JOURNAL = 0x4; // compat
const EXT_RECOVER = 0x4; // incompat
const EXT_JOURNAL_DEVICE = 0x8; // incompat
/** What ext3 and ext2 understand: filetype, recover, meta_bg; sparse_super, large_file, btree_dir. */
const EXT3_INCOMPAT = 0x2 | 0x4 | 0x10;
const EXT2_INCOMPAT = 0x2 | 0x10;
const EXT3_RO_COMPAT = 0x1 | 0x2 | 0x4;

const ext: Probe = async (context) => {
  const block = await context.fields(EXT_SUPERBLOCK, 1024);
  if (block.u16(56) !== EXT4_SUPER_MAGIC) return null;
  const compat = block.u32(92);
  const incompat = block.u32(96);
  const roCompat = block.u32(100);
  const common = { label: block.text(120, 16) || undefined, uuid: block.uuid(104) };
  if (incompat & EXT_JOURNAL_DEVICE)
    return { type: "jbd", title: "external journal of ext4", kind: "member", ...common };
  let type = "ext4";
  if (!(roCompat & ~EXT3_RO_COMPAT)) {
    if (compat & EXT_HAS_JOURNAL && !(incompat & ~EXT3_INCOMPAT)) type = "ext3";
    else if (!(compat & EXT_HAS_JOURNAL) && !(incompat & ~EXT2_INCOMPAT)) type = "ext2";
  }
  const dirty = (incompat & EXT_RECOVER) !== 0;
  return { type, title: type, kind: "filesystem", ...common, dirty };
};

// fs/xfs/libxfs/xfs_format.h, struct xfs_dsb: big-endian.
const xfs: Probe = async (context) => {
  const block = await context.fields(0, 512);
  if (block.u32be(0) !== XFS_SUPER_MAGIC) return null;
  return {
    type: "xfs",
    title: "XFS",
    kind: "filesystem",
    label: block.text(108, 12) || undefined,
    uuid: block.uuid(32),
    version: String(block.u16be(100) & 0xf),
  };
};

// include/uapi/linux/btrfs_tree.h, struct btrfs_super_block.
const BTRFS_SUPERBLOCK = 0x10000;

const btrfs: Probe = async (context) => {
  const block = await context.fields(BTRFS_SUPERBLOCK, 0x22b);
  if (!block.is(0x40, "_BHRfS_M")) return null;
  const devices = block.u64(0x88);
  return {
    type: "btrfs",
    title: devices > 1 ? `btrfs on ${devices} devices` : "btrfs",
    kind: "filesystem",
    label: block.text(0x12b, 256) || undefined,
    uuid: block.uuid(0x20),
  };
};

// include/linux/f2fs_fs.h, struct f2fs_super_block: in the first two blocks of 4096 bytes.
const F2FS_SUPERS = [1024, 4096 + 1024];

const f2fs: Probe = async (context) => {
  for (const at of F2FS_SUPERS) {
    const block = await context.fields(at, 2048);
    if (block.u32(0) !== F2FS_SUPER_MAGIC) continue;
    return {
      type: "f2fs",
      title: "F2FS",
      kind: "filesystem",
      label: block.text(124, 1024, "utf-16le") || undefined,
      uuid: block.uuid(108),
    };
  }
  return null;
};

// Documentation/filesystems/squashfs.rst; fs/squashfs/squashfs_fs.h, struct squashfs_super_block.
const SQUASHFS_COMPRESSIONS = ["", "gzip", "lzma", "lzo", "xz", "lz4", "zstd"];

const squashfs: Probe = async (context) => {
  const block = await context.fields(0, 96);
  if (block.u32(0) !== SQUASHFS_MAGIC) return null;
  const major = block.u16(28);
  const compression = SQUASHFS_COMPRESSIONS[block.u16(20)];
  return {
    type: "squashfs",
    title: compression && major === 4 ? `SquashFS (${compression})` : "SquashFS",
    kind: "filesystem",
    version: `${major}.${block.u16(30)}`,
  };
};

// fs/erofs/erofs_fs.h, struct erofs_super_block.
const erofs: Probe = async (context) => {
  const block = await context.fields(1024, 128);
  if (block.u32(0) !== EROFS_SUPER_MAGIC_V1) return null;
  return {
    type: "erofs",
    title: "EROFS",
    kind: "filesystem",
    label: block.text(64, 16) || undefined,
    uuid: block.uuid(48),
  };
};

// include/linux/swap.h, union swap_header: the signature ends the first page, whatever its size.
const SWAP_PAGES = [4096, 8192, 16384, 65536];

const swap: Probe = async (context) => {
  for (const page of SWAP_PAGES) {
    const signature = await context.fields(page - 10, 10);
    if (!signature.is(0, "SWAPSPACE2") && !signature.is(0, "SWAP-SPACE")) continue;
    const header = await context.fields(1024, 44);
    return {
      type: "swap",
      title: "swap space",
      kind: "swap",
      label: header.text(28, 16) || undefined,
      uuid: header.uuid(12),
    };
  }
  return null;
};

// include/uapi/linux/minix_fs.h. The signature is short, so other fields have to make sense.
const MINIX_VERSIONS: ReadonlyMap<number, string> = new Map([
  [MINIX_SUPER_MAGIC, "1"],
  [MINIX_SUPER_MAGIC2, "1"],
  [MINIX2_SUPER_MAGIC, "2"],
  [MINIX2_SUPER_MAGIC2, "2"],
]);

const minix: Probe = async (context) => {
  const block = await context.fields(1024, 32);
  const content = (version: string): Content => {
    return { type: "minix", title: "Minix", kind: "filesystem", version };
  };
  const old = MINIX_VERSIONS.get(block.u16(16));
  // Inodes, blocks of the two bitmaps, log₂ of blocks per zone.
  if (old && block.u16(0) && block.u16(4) && block.u16(6) && block.u16(10) <= 4)
    return content(old);
  if (block.u16(24) === MINIX3_SUPER_MAGIC && block.u32(0) && block.u16(6) && block.u16(8))
    return content("3");
  return null;
};

export const linuxProbes: readonly Probe[] = [xfs, btrfs, squashfs, erofs, f2fs, ext, swap, minix];
