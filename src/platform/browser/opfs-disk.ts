// A disk in the origin's private file system (https://fs.spec.whatwg.org/), in a dedicated Worker.
// Synchronous: a transfer blocks the Worker as long as it takes.

import { checkBlockSize, checkRange, checkSize, ResizeListeners, sizeOf } from "../../disk/disk.ts";
import type { Disk } from "../../disk/disk.ts";
import { DiskError } from "../../disk/errors.ts";
import type { DiskErrorCode } from "../../disk/errors.ts";

export interface OpfsDiskOptions {
  /** Logical block size; 512 by default. */
  blockSizeBytes?: number;
  /** Other disks that are read-only may have the file at the same time. */
  readOnly?: boolean;
  /** Make the file, and the directories it is in, or empty it, with so many bytes of zeroes. */
  createBytes?: number;
}

/** FileSystemSyncAccessHandle, which only Workers have. */
interface SyncAccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  flush(): void;
  getSize(): number;
  truncate(sizeBytes: number): void;
  close(): void;
}

interface SyncFile {
  createSyncAccessHandle?(options: { mode: "readwrite" | "read-only" }): Promise<SyncAccessHandle>;
}

const ZEROES = new Uint8Array(1 << 20);

/** What the file system's exceptions mean, by their names. */
const MEANINGS: Record<string, readonly [DiskErrorCode, string]> = {
  InvalidStateError: ["EIO", "the file was removed, or cannot be used any more"],
  NoModificationAllowedError: [
    "EBUSY",
    "something else in this origin has the file open: close that first (another disk, a page's other tab)",
  ],
  NotAllowedError: ["EACCES", "permission denied"],
  NotFoundError: ["ENOENT", "no such file in the origin's private file system"],
  QuotaExceededError: ["ENOSPC", "the origin's storage is full"],
  SecurityError: ["EACCES", "this page may not have storage"],
  TypeMismatchError: ["EISDIR", "is a directory, not a disk image"],
};

function diskError(cause: unknown, path: string): DiskError {
  if (cause instanceof DiskError) return cause;
  const { name, message } = cause as Error;
  const [code, problem] = MEANINGS[name] ?? [name === "TypeError" ? "EINVAL" : "EUNKNOWN", message];
  return new DiskError(code, problem, path, cause);
}

/** The file of a path from the origin's root. */
async function find(path: string, create: boolean): Promise<FileSystemFileHandle> {
  const { storage } = globalThis.navigator as { storage?: StorageManager };
  if (typeof storage?.getDirectory !== "function")
    throw new DiskError(
      "ENODEV",
      "there is no origin private file system here: it takes a browser, and a page from https: or localhost",
      path,
    );
  const names = path.split("/").filter((name) => name !== "");
  let folder = await storage.getDirectory();
  for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name, { create });
  return folder.getFileHandle(names.at(-1) ?? "", { create });
}

/**
 * While it is open, nothing else may write the file. What it holds may go when the browser runs out of
 * space, unless the page was granted `navigator.storage.persist()`.
 */
export class OpfsDisk implements Disk, Disposable {
  readonly synchronous = true;
  /** From the origin's root; of a handle that was given, its name. */
  readonly path: string;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  readonly #resized = new ResizeListeners();
  #handle: SyncAccessHandle | null;
  #sizeBytes: number;
  /** Where the file ends: not before the last block. */
  #contentBytes: number;

  /**
   * Open, or with `createBytes` make, a disk. Only in a dedicated Worker: so the platform has it.
   *
   * @param file its path from the origin's root, as in `images/disk.img`, or a handle of it
   * @throws {DiskError} ENOENT; EISDIR; EBUSY if the file is open elsewhere; ENODEV outside of a
   *   Worker; ENOSPC; or EINVAL if its size is not a multiple of the block size; read-only, zeroes
   *   fill the last block
   */
  static async open(
    file: string | FileSystemFileHandle,
    options: OpfsDiskOptions = {},
  ): Promise<OpfsDisk> {
    const path = typeof file === "string" ? file : file.name;
    const { createBytes, readOnly = false } = options;
    const blockSizeBytes = checkBlockSize(options.blockSizeBytes ?? 512);
    if (createBytes !== undefined) checkSize(createBytes, blockSizeBytes, path);
    let handle: SyncAccessHandle | undefined;
    try {
      const found = typeof file === "string" ? await find(file, createBytes !== undefined) : file;
      const target = found as SyncFile;
      if (!target.createSyncAccessHandle)
        throw new DiskError("ENODEV", "files open synchronously only in a dedicated Worker", path);
      // A new file has to be given its size first.
      const mode = readOnly && createBytes === undefined ? "read-only" : "readwrite";
      handle = await target.createSyncAccessHandle({ mode });
      if (createBytes !== undefined) {
        handle.truncate(0);
        handle.truncate(createBytes);
      }
      return new OpfsDisk(handle, path, blockSizeBytes, readOnly);
    } catch (error) {
      handle?.close();
      throw diskError(error, path);
    }
  }

  private constructor(
    handle: SyncAccessHandle,
    path: string,
    blockSizeBytes: number,
    readOnly: boolean,
  ) {
    this.#handle = handle;
    this.path = path;
    this.blockSizeBytes = blockSizeBytes;
    this.readOnly = readOnly;
    this.#contentBytes = handle.getSize();
    this.#sizeBytes = sizeOf(this.#contentBytes, this, path);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(into: Uint8Array, offsetBytes: number): void {
    const handle = this.#check(offsetBytes, into.length);
    for (let done = 0; done < into.length;) {
      const at = offsetBytes + done;
      const n = this.#try(() => handle.read(into.subarray(done), { at }));
      if (n === 0 && at >= this.#contentBytes) {
        into.fill(0, done);
        return;
      }
      if (n === 0) throw new DiskError("EIO", `ends at ${at}: the file has shrunk`, this.path);
      done += n;
    }
  }

  write(from: Uint8Array, offsetBytes: number): void {
    const handle = this.#checkWrite(offsetBytes, from.length);
    for (let done = 0; done < from.length;) {
      const at = offsetBytes + done;
      const n = this.#try(() => handle.write(from.subarray(done), { at }));
      if (n === 0) throw new DiskError("ENOSPC", `takes nothing at ${at}`, this.path);
      done += n;
    }
  }

  flush(): void {
    const handle = this.#check(0, 0);
    if (!this.readOnly) this.#try(() => handle.flush());
  }

  /** Writes zeroes: there are no holes to punch. */
  writeZeroes(offsetBytes: number, lengthBytes: number): void {
    this.#checkWrite(offsetBytes, lengthBytes);
    for (let done = 0; done < lengthBytes; done += ZEROES.length)
      this.write(ZEROES.subarray(0, lengthBytes - done), offsetBytes + done);
  }

  /**
   * Change the size of the file; what is added reads as zeroes.
   *
   * @throws {DiskError} EINVAL if it is not a multiple of the block size, ENOSPC
   */
  resize(sizeBytes: number): void {
    const handle = this.#checkWrite(0, 0);
    checkSize(sizeBytes, this.blockSizeBytes, this.path);
    this.#try(() => handle.truncate(sizeBytes));
    this.#sizeBytes = sizeBytes;
    this.#contentBytes = sizeBytes;
    this.#resized.tell();
  }

  onResize(listener: () => void): () => void {
    return this.#resized.add(listener);
  }

  /** Others may open the file from then on. */
  close(): void {
    const handle = this.#handle;
    this.#handle = null;
    handle?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #try<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw diskError(error, this.path);
    }
  }

  #check(offsetBytes: number, lengthBytes: number): SyncAccessHandle {
    if (!this.#handle) throw new DiskError("EBADF", "this disk was closed", this.path);
    checkRange(this, offsetBytes, lengthBytes, this.path);
    return this.#handle;
  }

  #checkWrite(offsetBytes: number, lengthBytes: number): SyncAccessHandle {
    const handle = this.#check(offsetBytes, lengthBytes);
    if (this.readOnly) throw new DiskError("EROFS", "was opened read-only", this.path);
    return handle;
  }
}
