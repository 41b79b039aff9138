// Files of a volume into a directory of this machine.
//
// Invariants: everything is written below the directory that the user named, which is resolved
// once. A directory there is entered only if it is none but a directory (lstat), never through
// a symbolic link, and names are single components. Files and links are made under a name of
// ours that must not exist, and renamed when complete: rename() replaces a link, it does not
// follow it.

import fs from "node:fs";
import { sep } from "node:path";

import { O_NOFOLLOW } from "../abi/constants/fcntl.ts";
import { openDirectory, walk } from "../fs/directory.ts";
import type { WalkEntry } from "../fs/directory.ts";
import { CHUNK_BYTES, readChunks, readLink } from "../fs/files.ts";
import { stat } from "../fs/stat.ts";
import type { FileStatus } from "../fs/stat.ts";
import type { KernelBuffer } from "../syscall/buffer.ts";
import type { Process } from "../syscall/process.ts";
import { CopyReport } from "./copy-report.ts";
import { withoutCall } from "./errors.ts";
import type { Progress } from "./progress.ts";

const PERMISSIONS = 0o777;
const STICKY = 0o1000;
const SET_ID = 0o6000;
/** Nothing after these can succeed. */
const FATAL = new Set(["ENOSPC", "EDQUOT", "EROFS"]);

export interface CopyOptions {
  /** Keep owners, and set-user-ID and set-group-ID bits. */
  readonly preserve: boolean;
}

/** The name cannot be used on this machine. */
class NameError extends Error {
  override readonly name = "NameError";
}

const decoder = new TextDecoder();
const seconds = (ns: bigint) => Number(ns) / 1e9;

/** A name in an image must be one component here, too. */
function checkName(rawName: Uint8Array): void {
  const name = decoder.decode(rawName);
  const bad =
    name === "" ||
    name === "." ||
    name === ".." ||
    rawName.includes(0) ||
    rawName.includes(47) ||
    (sep === "\\" && /[\\:*?"<>|\u0000-\u001f]|[ .]$/.test(name)); // eslint-disable-line no-control-regex
  if (bad) throw new NameError("a name that this system cannot have");
}

/** Paths of this machine are bytes, since names in images need not be UTF-8. */
function join(folder: Buffer, rawName: Uint8Array): Buffer {
  checkName(rawName);
  return Buffer.concat([folder, Buffer.from(sep), rawName]);
}

/** What is there, links not followed; null if nothing. */
function lookUp(path: Buffer): fs.Stats | null {
  return fs.lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

export class Copier {
  readonly #process: Process;
  readonly #options: CopyOptions;
  readonly #progress: Progress;
  readonly #tell: (path: string, problem: string) => void;
  readonly report = new CopyReport();
  /** What is being written, to be removed if it ends early. */
  #temporary: Buffer | null = null;
  #serial = 0;
  #buffer: KernelBuffer | null = null;
  /** The first copy of a file that has several names. */
  readonly #linked = new Map<string, Buffer>();

  constructor(
    process: Process,
    options: CopyOptions,
    progress: Progress,
    tell: (path: string, problem: string) => void,
  ) {
    this.#process = process;
    this.#options = options;
    this.#progress = progress;
    this.#tell = tell;
  }

  /** Remove what is incomplete: at once, for the process may be ending. */
  abandon(): void {
    if (!this.#temporary) return;
    fs.rmSync(this.#temporary, { force: true });
    this.#temporary = null;
  }

  /** Copy a file of the volume to a name in a directory. */
  async file(source: string, folder: string, name: string): Promise<void> {
    const status = await stat(this.#process, source);
    const target = join(Buffer.from(fs.realpathSync(folder)), Buffer.from(name));
    await this.#content(source, status, Buffer.from(fs.realpathSync(folder)), target, {});
    this.report.files++;
  }

  /** Copy what is in a directory of the volume to a directory, which is made if need be. */
  async tree(source: string, target: string): Promise<void> {
    const made = !fs.existsSync(target);
    if (made) fs.mkdirSync(target, { mode: 0o700 });
    const root = Buffer.from(fs.realpathSync(target));
    const fd = await openDirectory(this.#process, source);
    const base = source.replace(/\/+$/, "");
    const name = (path: readonly Uint8Array[]) =>
      [base, ...path.map((part) => decoder.decode(part))].join("/") || "/";
    /** Directories that were made here, and get their modes and times when they are complete. */
    const ours = new Set<string>();
    const folderOf = (path: readonly Uint8Array[]) => path.slice(0, -1).reduce<Buffer>(join, root);
    try {
      await walk(this.#process, fd, {
        entry: async (entry) => {
          const folder = folderOf(entry.path);
          const here = join(folder, entry.rawName);
          if (entry.type !== "directory") {
            await this.#entry(entry, folder, here, name(entry.path));
            return false;
          }
          if (this.#directory(here)) ours.add(here.toString("latin1"));
          this.report.directories++;
          return true;
        },
        leave: async (entry) => {
          const here = join(folderOf(entry.path), entry.rawName);
          if (ours.delete(here.toString("latin1"))) this.#finish(here, entry.status);
        },
        failed: (error, path) => this.#failed(error, name(path)),
      });
    } finally {
      await this.#process.close(fd);
    }
    if (made) this.#finish(root, await stat(this.#process, source));
  }

  /** @returns whether it was made */
  #directory(here: Buffer): boolean {
    const there = lookUp(here);
    if (!there) {
      fs.mkdirSync(here, { mode: 0o700 });
      return true;
    }
    if (there.isDirectory()) return false;
    const what = there.isSymbolicLink() ? "a symbolic link, which is not followed" : "no directory";
    throw new NameError(`in the target there is ${what}`);
  }

  async #entry(entry: WalkEntry, folder: Buffer, here: Buffer, path: string): Promise<void> {
    const { status, rawName, parentFd } = entry;
    if (entry.type === "symlink") {
      const target = await readLink(this.#process, rawName, parentFd);
      const temporary = this.#temporaryIn(folder);
      fs.symlinkSync(Buffer.from(target), temporary);
      if (this.#options.preserve) fs.lchownSync(temporary, status.uid, status.gid);
      fs.lutimesSync(temporary, seconds(status.accessedNs), seconds(status.modifiedNs));
      this.#complete(here);
      this.report.symlinks++;
    } else if (entry.type === "file") {
      const { filesystem, inode, links } = status;
      const key = `${filesystem.major}:${filesystem.minor}:${inode}`;
      const first = links > 1 ? this.#linked.get(key) : undefined;
      if (first && this.#link(first, folder, here)) return;
      await this.#content(rawName, status, folder, here, { at: parentFd, path });
      if (links > 1) this.#linked.set(key, here);
      this.report.files++;
    } else {
      this.report.skipped.push({ path, type: entry.type });
      this.#say(path, `is a ${entry.type}: left out`);
    }
  }

  /** Another name for a file copied before; not everywhere are there such. */
  #link(first: Buffer, folder: Buffer, here: Buffer): boolean {
    try {
      if (!lookUp(first)?.isFile()) return false;
      fs.linkSync(first, this.#temporaryIn(folder));
    } catch {
      this.#temporary = null;
      return false;
    }
    this.#complete(here);
    this.report.hardLinks++;
    return true;
  }

  async #content(
    source: string | Uint8Array,
    status: FileStatus,
    folder: Buffer,
    here: Buffer,
    from: { at?: number; path?: string },
  ): Promise<void> {
    const temporary = this.#temporaryIn(folder);
    const fd = fs.openSync(temporary, "wx", 0o600);
    try {
      await this.#write(fd, source, status, from.at);
      this.#finish(fd, status, from.path ?? String(source));
    } catch (error) {
      fs.closeSync(fd);
      this.abandon();
      throw error;
    }
    fs.closeSync(fd);
    this.#complete(here);
  }

  async #write(
    fd: number,
    source: string | Uint8Array,
    status: FileStatus,
    at: number | undefined,
  ): Promise<void> {
    const buffer = (this.#buffer ??= await this.#process.buffer(CHUNK_BYTES));
    const options = at === undefined ? { buffer } : { buffer, at, flags: O_NOFOLLOW };
    const sparse = status.allocatedBytes < status.sizeBytes;
    let position = 0;
    for await (const chunk of readChunks(this.#process, source, options)) {
      if (!sparse || chunk.some((byte) => byte !== 0)) writeAll(fd, chunk, position);
      position += chunk.length;
      this.report.bytes += chunk.length;
      this.#progress.add(chunk.length);
    }
    if (sparse) fs.ftruncateSync(fd, position);
  }

  /** Owner, mode and times; a set-ID bit for a file of another owner would be a gift. */
  #finish(target: Buffer | number, status: FileStatus, path?: string): void {
    const { preserve } = this.#options;
    const kept = PERMISSIONS | STICKY | (preserve ? SET_ID : 0);
    const times = [seconds(status.accessedNs), seconds(status.modifiedNs)] as const;
    if (typeof target === "number") {
      if (preserve) fs.fchownSync(target, status.uid, status.gid);
      fs.fchmodSync(target, status.mode & kept);
      fs.futimesSync(target, ...times);
    } else {
      if (preserve) fs.lchownSync(target, status.uid, status.gid);
      fs.chmodSync(target, status.mode & kept);
      fs.utimesSync(target, ...times);
    }
    if (path !== undefined && status.mode & SET_ID & ~kept) this.report.dropped.push(path);
  }

  #temporaryIn(folder: Buffer): Buffer {
    const name = `.liblinux-${process.pid}-${this.#serial++}`;
    this.#temporary = join(folder, Buffer.from(name));
    return this.#temporary;
  }

  #complete(here: Buffer): void {
    try {
      fs.renameSync(this.#temporary!, here);
      this.#temporary = null;
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  #failed(error: unknown, path: string): void {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    // Of this machine, not of the kernel; and a kernel that ended reads nothing more.
    const fatal = FATAL.has(code) || code === "ERR_KERNEL_PANIC" || code === "ERR_KERNEL_STOPPED";
    if (fatal) throw error;
    const problem = withoutCall(error);
    this.report.failed.push({ path, problem });
    this.#say(path, problem);
  }

  #say(path: string, problem: string): void {
    this.#progress.clear();
    this.#tell(path, problem);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
}
