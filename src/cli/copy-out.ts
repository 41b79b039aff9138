// Files of a volume into a directory of this machine.
//
// Invariants: everything is written below the directory that the user named, which is resolved
// once. A directory there is entered only if it is none but a directory (lstat), never through
// a symbolic link, and names are single components. Files and links are made under a name of
// ours that must not exist, and renamed when complete: rename() replaces a link, it does not
// follow it.

import fs from "node:fs";

import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "../abi/constants/fcntl.ts";
import { openDirectory, walk } from "../fs/directory.ts";
import type { WalkEntry } from "../fs/directory.ts";
import { CHUNK_BYTES, readChunks, readLink } from "../fs/files.ts";
import { stat } from "../fs/stat.ts";
import type { FileStatus } from "../fs/stat.ts";
import { listXattrs } from "../fs/xattr.ts";
import type { KernelBuffer } from "../syscall/buffer.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { CopyReport } from "./copy-report.ts";
import { withoutCall } from "./errors.ts";
import {
  finishHost,
  finishHostLink,
  joinHost,
  keptMode,
  lookUp,
  NameError,
  SET_ID,
  Temporary,
  writeAll,
} from "./host-files.ts";
import type { Progress } from "./progress.ts";

/** Nothing after these can succeed. */
const FATAL = new Set(["ENOSPC", "EDQUOT", "EROFS"]);
const ENDED = new Set(["ERR_KERNEL_PANIC", "ERR_KERNEL_STOPPED", "ERR_INTERRUPTED"]);

export interface CopyOptions {
  /** Keep owners, and set-user-ID and set-group-ID bits. */
  readonly preserve: boolean;
}

const decoder = new TextDecoder();

export class Copier {
  readonly #process: Process;
  readonly #options: CopyOptions;
  readonly #progress: Progress;
  readonly #tell: (path: string, problem: string) => void;
  readonly report = new CopyReport();
  readonly #temporary = new Temporary();
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
    this.#temporary.abandon();
  }

  /** Copy a file of the volume to a name in a directory. */
  async file(source: string, folder: string, name: string): Promise<void> {
    const status = await stat(this.#process, source);
    const target = joinHost(Buffer.from(fs.realpathSync(folder)), Buffer.from(name));
    await this.#content(source, status, Buffer.from(fs.realpathSync(folder)), target, {});
    await this.#noteAttributes(source, AT_FDCWD, source);
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
    const folderOf = (path: readonly Uint8Array[]) =>
      path.slice(0, -1).reduce<Buffer>(joinHost, root);
    try {
      await walk(this.#process, fd, {
        entry: async (entry) => {
          const folder = folderOf(entry.path);
          const here = joinHost(folder, entry.rawName);
          if (entry.type !== "directory") {
            await this.#entry(entry, folder, here, name(entry.path));
            return false;
          }
          if (this.#directory(here)) ours.add(here.toString("latin1"));
          this.report.directories++;
          return true;
        },
        leave: async (entry) => {
          const here = joinHost(folderOf(entry.path), entry.rawName);
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
      const temporary = this.#temporary.in(folder);
      fs.symlinkSync(Buffer.from(target), temporary);
      finishHostLink(temporary, status, this.#options.preserve);
      this.#temporary.complete(here);
      this.report.symlinks++;
    } else if (entry.type === "file") {
      const { filesystem, inode, links } = status;
      const key = `${filesystem.major}:${filesystem.minor}:${inode}`;
      const first = links > 1 ? this.#linked.get(key) : undefined;
      if (first && this.#link(first, folder, here)) return;
      await this.#content(rawName, status, folder, here, { at: parentFd, path });
      await this.#noteAttributes(rawName, parentFd, path);
      if (links > 1) this.#linked.set(key, here);
      this.report.files++;
    } else {
      this.report.skip(path, entry.type, (...told) => this.#say(...told));
    }
  }

  /** This machine's files get none. */
  async #noteAttributes(name: string | Uint8Array, parentFd: number, path: string): Promise<void> {
    const follow = parentFd === AT_FDCWD ? 0 : O_NOFOLLOW;
    const flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | follow;
    const fd = await this.#process.openat(parentFd, name, flags, 0);
    try {
      for (const attribute of await listXattrs(this.#process, fd))
        this.report.lost.push({ path, attribute });
    } catch (error) {
      // Not every file system has them.
      if (!(error instanceof SystemError && error.code === "EOPNOTSUPP")) throw error;
    } finally {
      await this.#process.close(fd);
    }
  }

  /** Another name for a file copied before; not everywhere are there such. */
  #link(first: Buffer, folder: Buffer, here: Buffer): boolean {
    try {
      if (!lookUp(first)?.isFile()) return false;
      fs.linkSync(first, this.#temporary.in(folder));
    } catch {
      this.#temporary.forget();
      return false;
    }
    this.#temporary.complete(here);
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
    const temporary = this.#temporary.in(folder);
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
    this.#temporary.complete(here);
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

  #finish(target: Buffer | number, status: FileStatus, path?: string): void {
    const { preserve } = this.#options;
    finishHost(target, status, preserve);
    if (path !== undefined && status.mode & SET_ID & ~keptMode(status.mode, preserve))
      this.report.dropped.push(path);
  }

  #failed(error: unknown, path: string): void {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    // Of this machine, not of the kernel; and a kernel that ended reads nothing more.
    const fatal = FATAL.has(code) || ENDED.has(code);
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
