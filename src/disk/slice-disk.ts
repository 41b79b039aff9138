// Part of a disk as a disk: a partition, to make a file system in.

import { checkRange, checkSize } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";

export interface SliceDiskOptions {
  /** Where the part starts: a multiple of the disk's block size. */
  offsetBytes: number;
  /** A multiple of the disk's block size; default: up to the disk's end, as it is now. */
  lengthBytes?: number;
  /** Default: as the disk has it. */
  readOnly?: boolean;
}

/**
 * Part of a disk as a disk; it answers at once exactly if the disk does. The disk stays the
 * caller's, who closes it after its slices: closing a slice ends that slice only.
 */
export class SliceDisk implements Disk, Disposable {
  readonly synchronous: boolean;
  readonly readOnly: boolean;
  readonly blockSizeBytes: number;
  readonly physicalBlockSizeBytes?: number;
  readonly optimalTransferBytes?: number;
  readonly sizeBytes: number;
  readonly discard?: NonNullable<Disk["discard"]>;
  readonly writeZeroes?: NonNullable<Disk["writeZeroes"]>;
  readonly readVector?: NonNullable<Disk["readVector"]>;
  readonly writeVector?: NonNullable<Disk["writeVector"]>;
  readonly #disk: Disk;
  readonly #offset: number;
  #closed = false;

  /** @throws {DiskError} EINVAL if the part is not within the disk, or not of whole blocks */
  constructor(disk: Disk, options: SliceDiskOptions) {
    const { offsetBytes, lengthBytes = disk.sizeBytes - offsetBytes } = options;
    const { blockSizeBytes, physicalBlockSizeBytes, optimalTransferBytes } = disk;
    if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0 || offsetBytes % blockSizeBytes)
      throw new DiskError(
        "EINVAL",
        `a slice cannot start at ${offsetBytes}: that is not a multiple of ${blockSizeBytes}`,
      );
    if (!(offsetBytes + Math.max(0, lengthBytes) <= disk.sizeBytes))
      throw new DiskError(
        "EINVAL",
        `a slice of ${lengthBytes} bytes at ${offsetBytes} reaches beyond the disk's ${disk.sizeBytes}`,
      );
    this.#disk = disk;
    this.#offset = offsetBytes;
    this.blockSizeBytes = blockSizeBytes;
    this.sizeBytes = checkSize(lengthBytes, blockSizeBytes);
    this.synchronous = disk.synchronous;
    this.readOnly = disk.readOnly || (options.readOnly ?? false);
    // Where the slice is out of step with the disk's own blocks, their size would mislead.
    if (physicalBlockSizeBytes !== undefined && offsetBytes % physicalBlockSizeBytes === 0)
      this.physicalBlockSizeBytes = physicalBlockSizeBytes;
    if (optimalTransferBytes !== undefined) this.optimalTransferBytes = optimalTransferBytes;
    if (disk.discard)
      this.discard = (offset, length) => disk.discard!(this.#toWrite(offset, length), length);
    if (disk.writeZeroes)
      this.writeZeroes = (offset, length, mayUnmap) =>
        disk.writeZeroes!(this.#toWrite(offset, length), length, mayUnmap);
    if (disk.readVector)
      this.readVector = (into, offset) => disk.readVector!(into, this.#at(offset, lengthOf(into)));
    if (disk.writeVector)
      this.writeVector = (from, offset) =>
        disk.writeVector!(from, this.#toWrite(offset, lengthOf(from)));
  }

  read(into: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.#disk.read(into, this.#at(offsetBytes, into.length));
  }

  write(from: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.#disk.write(from, this.#toWrite(offsetBytes, from.length));
  }

  /** Makes lasting what was written to the whole disk. */
  flush(): void | Promise<void> {
    this.#at(0, 0);
    return this.#disk.flush();
  }

  close(): void {
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @returns the offset on the disk */
  #at(offsetBytes: number, lengthBytes: number): number {
    if (this.#closed) throw new DiskError("EBADF", "this slice was closed");
    checkRange(this, offsetBytes, lengthBytes);
    return this.#offset + offsetBytes;
  }

  #toWrite(offsetBytes: number, lengthBytes: number): number {
    const at = this.#at(offsetBytes, lengthBytes);
    if (this.readOnly) throw new DiskError("EROFS", "this slice is read-only");
    return at;
  }
}

function lengthOf(buffers: readonly Uint8Array[]): number {
  let length = 0;
  for (const { length: bytes } of buffers) length += bytes;
  return length;
}
