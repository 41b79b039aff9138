// Where a block device's bytes are.

import { InvalidOptionError } from "../machine/errors.ts";
import { DiskError } from "./errors.ts";

/** The unit in which block devices count. */
export const SECTOR_BYTES = 512;
/** Greatest logical block: the kernel's page. */
export const MAX_BLOCK_BYTES = 4096;

/**
 * A disk. Operations answer at once, or with a promise; they reject or throw (by custom a
 * {@link DiskError}) when they fail, and the kernel sees an I/O error in that request.
 *
 * Offsets and lengths are bytes, multiples of {@link blockSizeBytes} and within
 * {@link sizeBytes}. Several operations may be under way at once; the kernel orders those that
 * depend on each other, by waiting. Buffers belong to the caller again when the operation ends.
 */
export interface Disk {
  /** A multiple of 512. May change: see {@link onResize}. */
  readonly sizeBytes: number;
  /** Least unit of transfer: a power of two from 512 to {@link MAX_BLOCK_BYTES}. */
  readonly blockSizeBytes: number;
  /** What the disk itself writes at once: {@link blockSizeBytes} times a power of two. */
  readonly physicalBlockSizeBytes?: number;
  /** How much to transfer at once, if the disk prefers something; steers the kernel's read-ahead. */
  readonly optimalTransferBytes?: number;
  readonly readOnly: boolean;
  /**
   * Whether no operation ever returns a promise. Such a disk is given views of the kernel's memory,
   * valid until it returns; others get private buffers, which cost a copy.
   */
  readonly synchronous: boolean;
  /** Fill `into` with the bytes at an offset. */
  read(into: Uint8Array, offsetBytes: number): void | Promise<void>;
  /** Fill several buffers in turn. Only of synchronous disks. */
  readVector?(into: readonly Uint8Array[], offsetBytes: number): void;
  /** Write all of `from`. It need not be lasting before flush(). */
  write(from: Uint8Array, offsetBytes: number): void | Promise<void>;
  /** Write several buffers in turn. Only of synchronous disks. */
  writeVector?(from: readonly Uint8Array[], offsetBytes: number): void;
  /** Make lasting what was written by operations that ended. */
  flush(): void | Promise<void>;
  /** The bytes are of no use any more; what is read from there then is arbitrary. */
  discard?(offsetBytes: number, lengthBytes: number): void | Promise<void>;
  /** Make the bytes read as zeroes; `mayUnmap`: they need not be kept allocated. */
  writeZeroes?(offsetBytes: number, lengthBytes: number, mayUnmap: boolean): void | Promise<void>;
  /** Change {@link sizeBytes}: what is cut off is lost, what is added reads as zeroes. */
  resize?(sizeBytes: number): void | Promise<void>;
  /** Calls back when {@link sizeBytes} has changed, until the function returned is called. */
  onResize?(listener: () => void): () => void;
  /** Free what the disk holds. Later operations fail with EBADF. Closing twice is allowed. */
  close(): void | Promise<void>;
}

/** @throws {InvalidOptionError} unless it is a power of two from 512 to 4096 */
export function checkBlockSize(bytes: number): number {
  if (!Number.isInteger(Math.log2(bytes)) || bytes < SECTOR_BYTES || bytes > MAX_BLOCK_BYTES)
    throw new InvalidOptionError(
      "blockSizeBytes",
      `${bytes}: a block has 512, 1024, 2048 or 4096 bytes`,
    );
  return bytes;
}

/** @throws {DiskError} EINVAL unless it is a whole number of blocks */
export function checkSize(bytes: number, blockSizeBytes: number, path?: string): number {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % blockSizeBytes)
    throw new DiskError(
      "EINVAL",
      `a size of ${bytes} bytes is not a multiple of ${blockSizeBytes}; is it a disk image, and ` +
        "complete? Opened read-only, zeroes fill its last block",
      path,
    );
  return bytes;
}

/**
 * The size of a disk whose bytes end somewhere, such as a download that broke off. What can be written
 * has to end with a block. What cannot reads as if zeroes filled its last one: none of its bytes is lost.
 *
 * @returns a multiple of the block size, at least `bytes`
 * @throws {DiskError} EINVAL if the disk can be written and `bytes` is not a whole number of blocks
 */
export function sizeOf(
  bytes: number,
  options: { blockSizeBytes: number; readOnly: boolean },
  path?: string,
): number {
  const { blockSizeBytes, readOnly } = options;
  const size = readOnly ? Math.ceil(bytes / blockSizeBytes) * blockSizeBytes : bytes;
  return checkSize(size, blockSizeBytes, path);
}

/** @throws {DiskError} EIO if it is not within the disk */
export function checkRange(
  disk: { readonly sizeBytes: number },
  offsetBytes: number,
  lengthBytes: number,
  path?: string,
): void {
  if (!(offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= disk.sizeBytes))
    throw new DiskError(
      "EIO",
      `${lengthBytes} bytes at ${offsetBytes} are beyond the disk's ${disk.sizeBytes}`,
      path,
    );
}

/** Those who want to know that a disk's size changed. */
export class ResizeListeners {
  readonly #listeners = new Set<() => void>();

  /** @returns how to stop listening */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
