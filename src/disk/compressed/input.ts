// The bytes of a compressed file, read from front to back.
//
// Invariants: bytes[at] to bytes[end - 1] are what was read and not yet taken, the first of them the
// file's byte `position`. The last BACK_BYTES taken stay before them, for who took too many. Behind
// `end` there are at least SLACK_BYTES that may be looked at.

import { DiskError } from "../errors.ts";

/** Where the bytes of a compressed file are: a Blob (or File), or a disk that is only read. */
export type CompressedSource = Blob | SourceDisk;

/** What a disk has to have to be a source. Its last block may be filled up with zeroes. */
export interface SourceDisk {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly path?: string;
  read(into: Uint8Array, offsetBytes: number): void | Promise<void>;
}

const READ_BYTES = 1 << 17;
/** How far decoders look beyond what is there, before they notice. */
export const SLACK_BYTES = 64;
/** How many bytes can be given back. */
const BACK_BYTES = 8;

/** What is compressed is not as its format has it. */
export class CorruptError extends Error {
  override readonly name = "CorruptError";
}

export interface ByteSource {
  readonly sizeBytes: number;
  readonly path: string | undefined;
  /** Up to so many bytes, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** The bytes of a source at any place, in any number. */
export function byteSource(source: CompressedSource): ByteSource {
  return source instanceof Blob ? blobSource(source) : diskSource(source);
}

function blobSource(blob: Blob): ByteSource {
  const path = "name" in blob && typeof blob.name === "string" ? blob.name : undefined;
  return {
    sizeBytes: blob.size,
    path,
    async read(offset, length) {
      const end = Math.min(offset + length, blob.size);
      let bytes: ArrayBuffer;
      try {
        bytes = await blob.slice(offset, end).arrayBuffer();
      } catch (cause) {
        throw new DiskError("EIO", "cannot be read: was the file changed?", path, cause);
      }
      if (bytes.byteLength !== Math.max(0, end - offset))
        throw new DiskError("EIO", `only ${bytes.byteLength} bytes at ${offset}`, path);
      return new Uint8Array(bytes);
    },
  };
}

function diskSource(disk: SourceDisk): ByteSource {
  const { sizeBytes, blockSizeBytes, path } = disk;
  return {
    sizeBytes,
    path,
    async read(offset, length) {
      const end = Math.min(offset + length, sizeBytes);
      if (end <= offset) return new Uint8Array(0);
      const first = Math.floor(offset / blockSizeBytes) * blockSizeBytes;
      const last = Math.ceil(end / blockSizeBytes) * blockSizeBytes;
      const bytes = new Uint8Array(last - first);
      await disk.read(bytes, first);
      return bytes.subarray(offset - first, end - first);
    },
  };
}

export class Input {
  readonly source: ByteSource;
  bytes = new Uint8Array(READ_BYTES + SLACK_BYTES);
  at = 0;
  end = 0;
  /** Where in the file the byte after the last one read is. */
  #next: number;

  constructor(source: ByteSource, offset: number) {
    this.source = source;
    this.#next = offset;
  }

  /** Where in the file bytes[at] is. */
  get position(): number {
    return this.#next - (this.end - this.at);
  }

  /** Whether all of the file was read; what is left is here. */
  get atEnd(): boolean {
    return this.#next >= this.source.sizeBytes;
  }

  /** Have so many bytes here, fewer only where the file ends. @returns how many are here */
  async fill(length: number): Promise<number> {
    while (this.end - this.at < length && !this.atEnd) {
      this.#makeRoom(length);
      const room = this.bytes.length - SLACK_BYTES - this.end;
      const read = await this.source.read(this.#next, room);
      this.bytes.set(read, this.end);
      this.end += read.length;
      this.#next += read.length;
      this.bytes.fill(0, this.end, this.end + SLACK_BYTES);
    }
    return this.end - this.at;
  }

  /** @throws {CorruptError} if the file ends before that many bytes */
  async need(length: number): Promise<void> {
    if (this.end - this.at < length && (await this.fill(length)) < length)
      throw new CorruptError("the file ends too early: it was cut short");
  }

  /** The next bytes, as a view that is valid until the next call. */
  async take(length: number): Promise<Uint8Array> {
    await this.need(length);
    const bytes = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  /** Whether there is nothing left, or only zeroes, which then are taken. */
  async onlyZeroesLeft(): Promise<boolean> {
    while ((await this.fill(1)) > 0) {
      while (this.at < this.end && this.bytes[this.at] === 0) this.at++;
      if (this.at < this.end) return false;
    }
    return true;
  }

  #makeRoom(length: number): void {
    const back = Math.min(BACK_BYTES, this.at);
    const left = this.bytes.subarray(this.at - back, this.end);
    if (length + BACK_BYTES + SLACK_BYTES > this.bytes.length) {
      const larger = new Uint8Array(length + READ_BYTES + SLACK_BYTES);
      larger.set(left);
      this.bytes = larger;
    } else this.bytes.set(left);
    this.end = left.length;
    this.at = back;
  }
}
