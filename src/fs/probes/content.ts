// What a probe gives, and what it is given.

import type { Fields } from "../bytes.ts";

/** What a device holds, as its superblock says. */
export interface Content {
  /** As the kernel and blkid call it, e.g. `ext4`, `vfat`, `swap`, `crypto_LUKS`. */
  readonly type: string;
  /** In words, e.g. `swap space`. */
  readonly title: string;
  /**
   * A file system can be mounted if the kernel has it; a member is a part of a volume that has to
   * be put together first; a container is a file in some format, not a disk.
   */
  readonly kind: "filesystem" | "swap" | "encrypted" | "member" | "container";
  readonly label?: string | undefined;
  readonly uuid?: string | undefined;
  /** The format's version, where it matters. */
  readonly version?: string | undefined;
  /** The journal has to be replayed before all is as it should be. */
  readonly dirty?: boolean | undefined;
}

/** A part of a device to recognise something by. */
export interface ProbeContext {
  readonly sizeBytes: number;
  /** The bytes at an offset; what is beyond the end reads as zeroes. */
  fields(offsetBytes: number, lengthBytes: number): Promise<Fields>;
}

export type Probe = (context: ProbeContext) => Promise<Content | null>;
