// What a partition table is made from, and what was made.

import type { Random } from "../machine/random.ts";
import type { ImageWriter } from "./image-writer.ts";
import type { PartitionTypeName } from "./partition-types.ts";

/** A partition that is to be. */
export interface PartitionSpec {
  /** A multiple of the disk's blocks. Default: aligned, after the partition before. */
  startBytes?: number;
  /** A multiple of the disk's blocks; or all that the others leave. Default: "rest". */
  sizeBytes?: number | "rest";
  /** A short name, a GUID of GPT, or a byte of MBR. Default: "linux". */
  type?: PartitionTypeName | (string & {}) | number;
  /** GPT: at most 36 UTF-16 units. */
  name?: string;
  /** GPT: PARTUUID. Default: a random one. */
  uuid?: string;
  /** MBR: the active one. GPT: "legacy BIOS bootable". Default: false. */
  bootable?: boolean;
}

/** A partition that was made. */
export interface MadePartition {
  /** From 1, as the kernel counts: logical ones from 5. */
  readonly number: number;
  readonly startBytes: number;
  readonly sizeBytes: number;
  /** A GUID, or two hexadecimal digits. */
  readonly typeId: string;
  /** PARTUUID. */
  readonly uuid: string;
}

/** A table that was written. */
export interface MadeTable {
  readonly table: "gpt" | "mbr";
  readonly id: string;
  readonly partitions: readonly MadePartition[];
}

/** What a kind of table is made from. */
export interface TableRequest {
  readonly image: ImageWriter;
  readonly blockBytes: number;
  /** In blocks. */
  readonly alignment: number;
  readonly random: Random;
  readonly specs: readonly PartitionSpec[];
  readonly id: string | undefined;
}
