// Making file systems and partition tables, without a kernel.
export type { BtrfsOptions } from "./btrfs/btrfs.ts";
export { MkfsError } from "./errors.ts";
export type { MkfsErrorCode } from "./errors.ts";
export type { ExfatOptions } from "./exfat.ts";
export type { ExtFeature } from "./ext/features.ts";
export type { ExtOptions } from "./ext4.ts";
export type { F2fsFeature, F2fsOptions } from "./f2fs/f2fs.ts";
export type { CommonOptions, Formatted } from "./formatter.ts";
export type { MinixOptions } from "./minix.ts";
export { mkfs } from "./mkfs.ts";
export type { MkfsOptions } from "./mkfs.ts";
export type { SwapOptions } from "./swap.ts";
export type { FatBits, VfatOptions } from "./vfat.ts";
export type { XfsOptions } from "./xfs/xfs.ts";
export type { MadePartition, MadeTable, PartitionSpec } from "./partition-request.ts";
export { partition } from "./partition-table.ts";
export type { PartitionOptions } from "./partition-table.ts";
export type { PartitionTypeName } from "./partition-types.ts";
