// Numbers of btrfs on disk. From the kernel's include/uapi/linux/btrfs_tree.h and fs/btrfs/fs.h.

export const SECTOR_BYTES = 4096;
/** BTRFS_STRIPE_LEN: chunks and their stripes are multiples of it. */
export const STRIPE_BYTES = 65536;
/** BTRFS_DEVICE_RANGE_RESERVED: no chunk lies in it, so that boot loaders may. */
export const RESERVED_BYTES = 1 << 20;
export const DEVICE_ID = 1;

/** Objects with a number of their own; trees are known by theirs. */
export const OBJECT = {
  deviceItems: 1,
  rootTree: 1,
  extentTree: 2,
  chunkTree: 3,
  deviceTree: 4,
  fileTree: 5,
  rootDirectory: 6,
  checksumTree: 7,
  uuidTree: 9,
  freeSpaceTree: 10,
  blockGroupTree: 11,
  /** The first inode of a tree of files, and the owner of all chunks. */
  first: 256,
  /** −9 */
  relocationTree: 0xffff_ffff_ffff_fff7n,
} as const;

export const KEY = {
  inodeItem: 1,
  inodeReference: 12,
  directoryItem: 84,
  rootItem: 132,
  metadataItem: 169,
  treeBlockReference: 176,
  blockGroupItem: 192,
  freeSpaceInfo: 198,
  freeSpaceExtent: 199,
  deviceExtent: 204,
  deviceItem: 216,
  chunkItem: 228,
  subvolumeUuid: 251,
} as const;

/** BTRFS_BLOCK_GROUP_*: what a chunk is for, and how it is stored. */
export const BLOCK_GROUP = { data: 1, system: 2, metadata: 4, dup: 32 } as const;

/** BTRFS_FEATURE_INCOMPAT_*. */
export const INCOMPAT = {
  mixedBackReferences: 0x1,
  mixedGroups: 0x4,
  extendedReferences: 0x40,
  skinnyMetadata: 0x100,
  noHoles: 0x200,
} as const;

/** BTRFS_FEATURE_COMPAT_RO_*. */
export const COMPAT_RO = {
  freeSpaceTree: 0x1,
  freeSpaceTreeValid: 0x2,
  blockGroupTree: 0x8,
} as const;

/** BTRFS_EXTENT_FLAG_TREE_BLOCK */
export const EXTENT_TREE_BLOCK = 2;
/** BTRFS_HEADER_FLAG_WRITTEN, and BTRFS_MIXED_BACKREF_REV in the uppermost byte. */
export const HEADER_FLAGS = 0x0100_0000_0000_0001n;
/** BTRFS_HEADER_FLAG_WRITTEN */
export const SUPER_FLAGS = 1;
/** BTRFS_FT_DIR */
export const TYPE_DIRECTORY = 2;
/** S_IFDIR and rwxr-xr-x */
export const DIRECTORY_MODE = 0o40755;

/** The transaction in which all was made. */
export const GENERATION = 1;
