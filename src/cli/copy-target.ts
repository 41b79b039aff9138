// Where files are copied to: this machine, or a volume.

import type { CopySource, SourceStatus } from "./copy-source.ts";

/** Whose a file is. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What a target gives to a copy. */
export interface Kept {
  /** Null if owners are not kept. */
  readonly owner: Owner | null;
  /** Permissions; null if they are not kept. */
  readonly mode: number | null;
  readonly attributes: boolean;
  /** How exact its times are, in nanoseconds. */
  readonly timeGrainNs: bigint;
}

/**
 * Names are bytes, since they need not be UTF-8. Those of `from` are the source's. What was done is
 * counted in a report.
 */
export interface CopyTarget {
  /** To look at what is there. */
  readonly there: CopySource;
  /** The name in a directory. @throws if the target cannot have it */
  join(folder: Buffer, name: Buffer): Buffer;
  /** Whether nothing can succeed after this. */
  isFatal(error: unknown): boolean;
  /** What {@link finish} gives to a copy of a file. */
  kept(status: SourceStatus): Kept;
  /** Make a directory, whose owner, mode and times come by {@link finish}. */
  makeDirectory(to: Buffer): Promise<void>;
  /** Whether it can store such a file. */
  stores(status: SourceStatus): boolean;
  /** Write a file, a link or a device. It appears when it is complete, in place of what is there. */
  writeLeaf(from: Buffer, to: Buffer, status: SourceStatus): Promise<void>;
  /** Another name for a file of the target, in place of what is there. */
  link(first: Buffer, to: Buffer): Promise<void>;
  /** Give owner, mode, times and attributes. */
  finish(from: Buffer, to: Buffer, status: SourceStatus): Promise<void>;
  /** Remove a file, or a directory with all below it. */
  remove(path: Buffer): Promise<void>;
}
