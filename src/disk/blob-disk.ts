// A disk whose bytes are a Blob's: a file that a page was given, for instance. Read-only.

import { checkBlockSize, checkRange, sizeOf } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";

export interface BlobDiskOptions {
  /** Logical block size; 512 by default. */
  blockSizeBytes?: number;
}

const nameOf = (blob: Blob): string | undefined =>
  "name" in blob && typeof blob.name === "string" ? blob.name : undefined;

export class BlobDisk implements Disk, Disposable {
  readonly synchronous = false;
  readonly readOnly = true;
  readonly blockSizeBytes: number;
  readonly sizeBytes: number;
  readonly #name: string | undefined;
  #blob: Blob | null;

  /** Where the Blob ends within a block, zeroes fill that block. */
  constructor(blob: Blob, options: BlobDiskOptions = {}) {
    this.#blob = blob;
    this.#name = nameOf(blob);
    this.blockSizeBytes = checkBlockSize(options.blockSizeBytes ?? 512);
    this.sizeBytes = sizeOf(blob.size, this, this.#name);
  }

  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    const blob = this.#blob;
    if (!blob) throw new DiskError("EBADF", "this disk was closed", this.#name);
    checkRange(this, offsetBytes, into.length, this.#name);
    let bytes: ArrayBuffer;
    try {
      bytes = await blob.slice(offsetBytes, offsetBytes + into.length).arrayBuffer();
    } catch (cause) {
      throw new DiskError(
        "EIO",
        "its bytes cannot be read: was the file changed?",
        this.#name,
        cause,
      );
    }
    const length = Math.max(0, Math.min(into.length, blob.size - offsetBytes));
    if (bytes.byteLength !== length)
      throw new DiskError("EIO", `only ${bytes.byteLength} bytes at ${offsetBytes}`, this.#name);
    into.set(new Uint8Array(bytes));
    into.fill(0, length);
  }

  async write(): Promise<void> {
    throw new DiskError("EROFS", "a Blob cannot be written", this.#name);
  }

  async flush(): Promise<void> {}

  close(): void {
    this.#blob = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
