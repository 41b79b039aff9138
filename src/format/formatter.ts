// What all formatters have in common: options, what they are given, what they tell.

import type { Random } from "../machine/random.ts";
import type { ImageWriter } from "./image-writer.ts";

/** Options of every file system. */
export interface CommonOptions {
  /** Default: none. What it may contain, each file system says. */
  label?: string;
  /** The file system's UUID, or what it has instead. Default: a random one. */
  uuid?: string;
  /** Where identifiers and seeds come from. Default: the engine's; a seeded one repeats. */
  random?: Random;
  /** The time of creation, in seconds since 1970 (UTC). Default: now. */
  timeSeconds?: number;
  /** Promises that the part of the disk that is used reads as zeroes. Default: false. */
  zeroed?: boolean;
  /** Where on the disk the file system starts, such as a partition's start. Default: 0. */
  startBytes?: number;
  /** How much of the disk it gets. Default: from startBytes to the end. */
  sizeBytes?: number;
}

/** Where a file system is to be made, with all that is common decided. */
export interface Target {
  /** Takes what shall be on the disk. Offsets count from the start of the file system. */
  readonly image: ImageWriter;
  /** A multiple of {@link blockSizeBytes}. */
  readonly sizeBytes: number;
  /** The disk's logical block size. */
  readonly blockSizeBytes: number;
  /** Where the file system starts on the disk: "hidden sectors" of FAT. */
  readonly startBytes: number;
  readonly random: Random;
  readonly timeSeconds: number;
}

/** What was made. */
export interface Formatted {
  /** The type, as mount() takes it; of swap: "swap". */
  readonly type: string;
  /** "" if there is none. */
  readonly label: string;
  /** As blkid shows it: FAT and exFAT have eight hexadecimal digits, as in 12AB-34CD. */
  readonly uuid: string;
  /** Bytes that the file system uses: less than it was given if that was no multiple of a block. */
  readonly sizeBytes: number;
  /** Its unit of allocation. */
  readonly blockSizeBytes: number;
}

/**
 * Makes a file system: decides all from target and options, and hands what shall be on the disk to
 * {@link Target.image}. It touches no disk and cannot wait.
 *
 * @throws {MkfsError} EINVAL, ENOSPC, EFBIG
 */
export type Formatter<Options extends CommonOptions> = (
  target: Target,
  options: Options,
) => Formatted;
