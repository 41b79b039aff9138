// A disk in a file, or a block device of the machine that runs Node. Synchronous: a transfer blocks
// the event loop as long as the system call takes.

import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  readvSync,
  statSync,
  writeSync,
  writevSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { fileURLToPath } from "node:url";

import { checkBlockSize, checkRange, checkSize, ResizeListeners, sizeOf } from "../../disk/disk.ts";
import type { Disk } from "../../disk/disk.ts";
import { DiskError } from "../../disk/errors.ts";
import type { DiskErrorCode } from "../../disk/errors.ts";

export interface FileDiskOptions {
  /** Logical block size; 512 by default. */
  blockSizeBytes?: number;
  readOnly?: boolean;
  /** Make the file, or empty it, with so many bytes: a sparse file of zeroes. */
  createBytes?: number;
}

type Transfer = (
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => number;

/** More buffers in one call fail with EINVAL (IOV_MAX). */
const MAX_VECTOR = 1024;
const ZEROES = new Uint8Array(1 << 20);

const CODES = new Set<string>([
  "EACCES",
  "EBADF",
  "EINVAL",
  "EIO",
  "EISDIR",
  "ENOENT",
  "ENOSPC",
  "EROFS",
] satisfies DiskErrorCode[]);

const SENTENCES: Record<string, string> = {
  EACCES: "permission denied",
  EISDIR: "is a directory, not a disk image",
  ENOENT: "no such file",
  ENOSPC: "no space left where the file is",
  EROFS: "is on a read-only file system; open it with readOnly",
};

function diskError(cause: unknown, path: string): DiskError {
  if (cause instanceof DiskError) return cause;
  const { code = "EUNKNOWN", message } = cause as NodeJS.ErrnoException;
  const known = code === "EPERM" ? "EACCES" : code;
  return new DiskError(
    CODES.has(known) ? (known as DiskErrorCode) : "EUNKNOWN",
    SENTENCES[known] ?? message,
    path,
    cause,
  );
}

/** The size of a block device, which stat() does not tell: where reading ends. */
function deviceSize(fd: number): number {
  const sector = new Uint8Array(512);
  const readable = (n: number) => {
    try {
      return readSync(fd, sector, 0, 512, n * 512) === 512;
    } catch {
      return false;
    }
  };
  let low = 0; // sectors that are there
  let high = 1;
  for (; high < Number.MAX_SAFE_INTEGER / 1024 && readable(high - 1); high *= 2) low = high;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    if (readable(middle - 1)) low = middle;
    else high = middle;
  }
  return low * 512;
}

function checkKind(stats: Stats, path: string): void {
  if (stats.isDirectory()) throw new DiskError("EISDIR", SENTENCES["EISDIR"], path);
  if (!stats.isFile() && !stats.isBlockDevice())
    throw new DiskError("ENODEV", "is neither a file nor a block device", path);
}

export class FileDisk implements Disk, Disposable {
  readonly synchronous = true;
  readonly path: string;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly #resized = new ResizeListeners();
  #fd: number;
  #sizeBytes: number;
  /** Where the file ends: not before the last block. */
  #contentBytes: number;

  /**
   * Open, or with `createBytes` make, a disk.
   *
   * @throws {DiskError} ENOENT, EACCES, EISDIR, ENODEV (a pipe, say), or EINVAL if its size is not a
   *   multiple of the block size; read-only, zeroes fill the last block
   */
  constructor(path: string | URL, options: FileDiskOptions = {}) {
    this.path = path instanceof URL ? fileURLToPath(path) : path;
    this.blockSizeBytes = checkBlockSize(options.blockSizeBytes ?? 512);
    this.readOnly = options.readOnly ?? false;
    const { createBytes } = options;
    if (createBytes !== undefined) checkSize(createBytes, this.blockSizeBytes, this.path);
    try {
      // Opening a pipe would wait for its other end.
      if (createBytes === undefined) checkKind(statSync(this.path), this.path);
      this.#fd = openSync(this.path, createBytes !== undefined ? "w+" : this.readOnly ? "r" : "r+");
    } catch (error) {
      throw diskError(error, this.path);
    }
    try {
      if (createBytes !== undefined) ftruncateSync(this.#fd, createBytes);
      const stats = fstatSync(this.#fd);
      this.#contentBytes = stats.isBlockDevice() ? deviceSize(this.#fd) : stats.size;
      this.#sizeBytes = sizeOf(this.#contentBytes, this, this.path);
    } catch (error) {
      closeSync(this.#fd);
      throw diskError(error, this.path);
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(into: Uint8Array, offsetBytes: number): void {
    this.#check(offsetBytes, into.length);
    this.#readFrom(into, 0, offsetBytes);
  }

  readVector(into: readonly Uint8Array[], offsetBytes: number): void {
    this.#check(offsetBytes, lengthOf(into));
    this.#vector(readvSync, into, offsetBytes, (bytes, done, at) =>
      this.#readFrom(bytes, done, at),
    );
  }

  write(from: Uint8Array, offsetBytes: number): void {
    this.#checkWrite(offsetBytes, from.length);
    this.#writeFrom(from, 0, offsetBytes);
  }

  writeVector(from: readonly Uint8Array[], offsetBytes: number): void {
    this.#checkWrite(offsetBytes, lengthOf(from));
    this.#vector(writevSync, from, offsetBytes, (bytes, done, at) =>
      this.#writeFrom(bytes, done, at),
    );
  }

  flush(): void {
    this.#check(0, 0);
    if (this.readOnly) return;
    try {
      fdatasyncSync(this.#fd);
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  /** Writes zeroes: Node cannot punch holes. */
  writeZeroes(offsetBytes: number, lengthBytes: number): void {
    this.#checkWrite(offsetBytes, lengthBytes);
    for (let done = 0; done < lengthBytes; done += ZEROES.length)
      this.#writeFrom(ZEROES.subarray(0, lengthBytes - done), 0, offsetBytes + done);
  }

  /**
   * Change the size of the file; what is added reads as zeroes.
   *
   * @throws {DiskError} EINVAL if it is not a multiple of the block size, or the system's error
   */
  resize(sizeBytes: number): void {
    this.#checkWrite(0, 0);
    checkSize(sizeBytes, this.blockSizeBytes, this.path);
    try {
      ftruncateSync(this.#fd, sizeBytes);
    } catch (error) {
      throw diskError(error, this.path);
    }
    this.#sizeBytes = sizeBytes;
    this.#contentBytes = sizeBytes;
    this.#resized.tell();
  }

  onResize(listener: () => void): () => void {
    return this.#resized.add(listener);
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Read all of `into` from its byte `done` on, which is the disk's byte `at`. */
  #readFrom(into: Uint8Array, done: number, at: number): void {
    while (done < into.length) {
      const n = this.#try(readSync, into, done, at);
      if (n === 0 && at >= this.#contentBytes) {
        into.fill(0, done);
        return;
      }
      if (n === 0)
        throw new DiskError(
          "EIO",
          `ends at ${at}: the file has shrunk since it was opened`,
          this.path,
        );
      done += n;
      at += n;
    }
  }

  /** Write all of `from` from its byte `done` on, which becomes the disk's byte `at`. */
  #writeFrom(from: Uint8Array, done: number, at: number): void {
    while (done < from.length) {
      const n = this.#try(writeSync, from, done, at);
      if (n === 0) throw new DiskError("EIO", `takes nothing at ${at}`, this.path);
      done += n;
      at += n;
    }
  }

  #try(transfer: Transfer, bytes: Uint8Array, done: number, at: number): number {
    try {
      return transfer(this.#fd, bytes, done, bytes.length - done, at);
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  /** Transfer several buffers at once; what a short transfer leaves is left to `rest`. */
  #vector(
    transfer: (fd: number, buffers: readonly Uint8Array[], position: number) => number,
    buffers: readonly Uint8Array[],
    offsetBytes: number,
    rest: (bytes: Uint8Array, done: number, at: number) => void,
  ): void {
    let at = offsetBytes;
    for (let i = 0; i < buffers.length; i += MAX_VECTOR) {
      const part = buffers.length <= MAX_VECTOR ? buffers : buffers.slice(i, i + MAX_VECTOR);
      let n: number;
      try {
        n = transfer(this.#fd, part, at);
      } catch (error) {
        throw diskError(error, this.path);
      }
      for (const bytes of part) {
        if (n < bytes.length) rest(bytes, n, at + n);
        n = Math.max(0, n - bytes.length);
        at += bytes.length;
      }
    }
  }

  #check(offsetBytes: number, lengthBytes: number): void {
    if (this.#fd < 0) throw new DiskError("EBADF", "this disk was closed", this.path);
    checkRange(this, offsetBytes, lengthBytes, this.path);
  }

  #checkWrite(offsetBytes: number, lengthBytes: number): void {
    this.#check(offsetBytes, lengthBytes);
    if (this.readOnly) throw new DiskError("EROFS", "was opened read-only", this.path);
  }
}

function lengthOf(buffers: readonly Uint8Array[]): number {
  let length = 0;
  for (const bytes of buffers) length += bytes.length;
  return length;
}
