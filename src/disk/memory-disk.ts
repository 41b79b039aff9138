// A disk in memory, sparse.
//
// Invariants: #chunks holds the chunks that were ever written, by number; what is not there reads as
// zeroes. The last chunk may reach beyond the disk's end, where it is all zeroes.

import { checkBlockSize, checkRange, checkSize, ResizeListeners, sizeOf } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";

/** Memory is taken and given back in units of this. */
export const CHUNK_BYTES = 65536;

export interface MemoryDiskOptions {
  /** Logical block size; 512 by default. */
  blockSizeBytes?: number;
  readOnly?: boolean;
}

export class MemoryDisk implements Disk, Disposable {
  readonly synchronous = true;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #resized = new ResizeListeners();
  #sizeBytes: number;
  #closed = false;

  /**
   * @param content a size in bytes, of zeroes; or the bytes of the disk, which are used in place:
   *   the disk's writes change them, and they must not change otherwise
   * @throws {DiskError} EINVAL if the size is not a multiple of the block size; of a read-only disk
   *   zeroes fill the last block
   */
  constructor(content: number | Uint8Array, options: MemoryDiskOptions = {}) {
    this.blockSizeBytes = checkBlockSize(options.blockSizeBytes ?? 512);
    this.readOnly = options.readOnly ?? false;
    const sizeBytes = typeof content === "number" ? content : content.length;
    this.#sizeBytes = sizeOf(sizeBytes, this);
    if (typeof content !== "number") this.#adopt(content);
  }

  #adopt(bytes: Uint8Array): void {
    const whole = Math.floor(bytes.length / CHUNK_BYTES);
    for (let n = 0; n < whole; n++)
      this.#chunks.set(n, bytes.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES));
    // The rest is too short to grow in place, and may end within a block.
    const rest = bytes.subarray(whole * CHUNK_BYTES);
    if (!rest.length) return;
    if (bytes.length === this.#sizeBytes) this.#chunks.set(whole, rest);
    else {
      const chunk = new Uint8Array(CHUNK_BYTES);
      chunk.set(rest);
      this.#chunks.set(whole, chunk);
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Memory that the disk's content takes, in bytes. */
  get allocatedBytes(): number {
    let bytes = 0;
    for (const chunk of this.#chunks.values()) bytes += chunk.length;
    return bytes;
  }

  read(into: Uint8Array, offsetBytes: number): void {
    this.#check(offsetBytes, into.length);
    for (let done = 0; done < into.length;) {
      const at = offsetBytes + done;
      const start = at % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - start, into.length - done);
      const chunk = this.#chunks.get((at - start) / CHUNK_BYTES);
      if (chunk) into.set(chunk.subarray(start, start + length), done);
      else into.fill(0, done, done + length);
      done += length;
    }
  }

  write(from: Uint8Array, offsetBytes: number): void {
    this.#checkWrite(offsetBytes, from.length);
    for (let done = 0; done < from.length;) {
      const at = offsetBytes + done;
      const start = at % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - start, from.length - done);
      const number = (at - start) / CHUNK_BYTES;
      let chunk = this.#chunks.get(number);
      if (!chunk) this.#chunks.set(number, (chunk = new Uint8Array(CHUNK_BYTES)));
      chunk.set(from.subarray(done, done + length), start);
      done += length;
    }
  }

  /** Memory is as lasting as it gets. */
  flush(): void {
    this.#check(0, 0);
  }

  discard(offsetBytes: number, lengthBytes: number): void {
    this.writeZeroes(offsetBytes, lengthBytes);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number): void {
    this.#checkWrite(offsetBytes, lengthBytes);
    const end = offsetBytes + lengthBytes;
    for (let at = offsetBytes; at < end;) {
      const start = at % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - start, end - at);
      const number = (at - start) / CHUNK_BYTES;
      if (length === CHUNK_BYTES) this.#chunks.delete(number);
      else this.#chunks.get(number)?.fill(0, start, start + length);
      at += length;
    }
  }

  /**
   * Change the size; what is cut off is lost, what is added reads as zeroes.
   *
   * @throws {DiskError} EINVAL if it is not a multiple of the block size
   */
  resize(sizeBytes: number): void {
    checkSize(sizeBytes, this.blockSizeBytes);
    const number = Math.floor(Math.min(sizeBytes, this.#sizeBytes) / CHUNK_BYTES);
    const last = this.#chunks.get(number);
    if (last) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      chunk.set(last.subarray(0, Math.min(last.length, sizeBytes - number * CHUNK_BYTES)));
      this.#chunks.set(number, chunk);
    }
    for (const n of this.#chunks.keys()) if (n * CHUNK_BYTES >= sizeBytes) this.#chunks.delete(n);
    this.#sizeBytes = sizeBytes;
    this.#resized.tell();
  }

  onResize(listener: () => void): () => void {
    return this.#resized.add(listener);
  }

  /** A copy of the whole content. */
  bytes(): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(this.#sizeBytes);
    this.read(copy, 0);
    return copy;
  }

  close(): void {
    this.#closed = true;
    this.#chunks.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #check(offsetBytes: number, lengthBytes: number): void {
    if (this.#closed) throw new DiskError("EBADF", "this disk was closed");
    checkRange(this, offsetBytes, lengthBytes);
  }

  #checkWrite(offsetBytes: number, lengthBytes: number): void {
    this.#check(offsetBytes, lengthBytes);
    if (this.readOnly) throw new DiskError("EROFS", "this disk is read-only");
  }
}
