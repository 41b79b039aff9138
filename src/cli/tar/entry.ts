// What a tar archive knows of a file.

export type TarType =
  | "file"
  | "hard link"
  | "symlink"
  | "character device"
  | "block device"
  | "directory"
  | "fifo";

/** Names are bytes, as they are in the archive. */
export interface TarEntry {
  readonly type: TarType;
  readonly name: Uint8Array;
  /** Of a link: what it points to. */
  readonly linkName: Uint8Array;
  /** Permissions: 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the file: its holes, too. */
  readonly sizeBytes: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
  readonly device: { readonly major: number; readonly minor: number };
  readonly attributes: readonly (readonly [name: string, value: Uint8Array])[];
}

/** A part of a file that is stored; what is between such parts are holes. */
export interface DataRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** It is no tar archive, or a damaged one. */
export class TarError extends Error {
  override readonly name = "TarError";
}

export const BLOCK_BYTES = 512;

/** What is missing up to a whole block. */
export const paddingOf = (bytes: number): number =>
  (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
