// A disk of bytes in memory whose changes can be taken back, over and over, at little cost.
//
// Invariants: #before has what a chunk held before the first change since the last mark().
// #stamps has when a chunk was changed last, by a clock that counts changes.

import { writeSync } from "node:fs";

import type { Disk } from "../../../src/disk/index.ts";

const CHUNK_BYTES = 4096;

/** A file with the disk's content as of some moment. */
export interface Copy {
  readonly fd: number;
  stamp: number;
}

export class UndoDisk implements Disk {
  readonly synchronous = true;
  readonly readOnly = false;
  readonly blockSizeBytes: number;
  readonly bytes: Uint8Array;
  /** Called with what is read. */
  onRead: ((offsetBytes: number, lengthBytes: number) => void) | null = null;
  readonly #before = new Map<number, Uint8Array>();
  readonly #spare: Uint8Array[] = [];
  readonly #stamps: Uint32Array;
  #stamp = 1;

  constructor(bytes: Uint8Array, blockSizeBytes = 512) {
    this.bytes = bytes;
    this.blockSizeBytes = blockSizeBytes;
    this.#stamps = new Uint32Array(Math.ceil(bytes.length / CHUNK_BYTES));
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(into: Uint8Array, offsetBytes: number): void {
    this.onRead?.(offsetBytes, into.length);
    into.set(this.bytes.subarray(offsetBytes, offsetBytes + into.length));
  }

  write(from: Uint8Array, offsetBytes: number): void {
    this.#touch(offsetBytes, from.length);
    this.bytes.set(from, offsetBytes);
  }

  writeZeroes(offsetBytes: number, lengthBytes: number): void {
    this.#touch(offsetBytes, lengthBytes);
    this.bytes.fill(0, offsetBytes, offsetBytes + lengthBytes);
  }

  discard(offsetBytes: number, lengthBytes: number): void {
    this.writeZeroes(offsetBytes, lengthBytes);
  }

  flush(): void {}

  close(): void {}

  #touch(offsetBytes: number, lengthBytes: number): void {
    const end = offsetBytes + lengthBytes;
    this.#stamp++;
    for (let number = Math.floor(offsetBytes / CHUNK_BYTES); number * CHUNK_BYTES < end; number++) {
      this.#stamps[number] = this.#stamp;
      if (this.#before.has(number)) continue;
      const at = number * CHUNK_BYTES;
      const saved = this.#spare.pop() ?? new Uint8Array(CHUNK_BYTES);
      saved.set(this.bytes.subarray(at, at + CHUNK_BYTES));
      this.#before.set(number, saved);
    }
  }

  /** What is there now is what {@link undo} goes back to. */
  mark(): void {
    this.#spare.push(...this.#before.values());
    this.#before.clear();
  }

  undo(): void {
    this.#stamp++;
    for (const [number, saved] of this.#before) {
      const at = number * CHUNK_BYTES;
      this.bytes.set(saved.subarray(0, Math.min(CHUNK_BYTES, this.bytes.length - at)), at);
      this.#stamps[number] = this.#stamp;
    }
    this.mark();
  }

  /** Bring a file up to date: only what has changed since the last time is written. */
  copyTo(copy: Copy): void {
    for (let number = 0; number < this.#stamps.length; number++) {
      if (this.#stamps[number] <= copy.stamp) continue;
      const at = number * CHUNK_BYTES;
      writeSync(copy.fd, this.bytes, at, Math.min(CHUNK_BYTES, this.bytes.length - at), at);
    }
    copy.stamp = this.#stamp;
  }
}
