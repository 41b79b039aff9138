// Copies: of a file, as cheaply as its file system can, and of trees.

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_LARGEFILE,
  O_RDONLY,
  O_WRONLY,
} from "../../abi/constants/fcntl.ts";
import { FICLONE } from "../../abi/constants/ioctl.ts";
import { errno } from "../../abi/errno.ts";
import { SystemError } from "../../syscall/errors.ts";
import type { Name } from "./arguments.ts";
import { Dir, openDirectory } from "./directory.ts";
import { decode } from "./encoding.ts";
import { failedWith, operationError } from "./errors.ts";
import { translated } from "./files.ts";
import type { Files } from "./files.ts";
import { append, dirname, join, normalize } from "./paths.ts";
import { Stats } from "./stats.ts";
import { makeDirectories } from "./tree.ts";

/** As in node:fs. */
export const COPYFILE_EXCL = 1;
export const COPYFILE_FICLONE = 2;
export const COPYFILE_FICLONE_FORCE = 4;

/** What copy_file_range(2) is asked for at once. */
const RANGE_BYTES = 1 << 24;

const readStats = (view: DataView) => new Stats(view);

/** Copy a file's contents and permissions. */
export async function copyFile(files: Files, from: Name, to: Name, mode: number): Promise<void> {
  const { process } = files;
  try {
    const source = await process.openat(...opening(from, O_RDONLY));
    await files.using(source, async () => {
      const stats = await files.fstat(source, readStats);
      if (stats.isDirectory()) throw new SystemError(-errno.EISDIR, "copyfile");
      const exclusive = mode & COPYFILE_EXCL ? O_EXCL : 0;
      // It is cut off only when it is known not to be the same file.
      const target = await process.openat(
        ...opening(to, O_WRONLY | O_CREAT | exclusive, stats.mode & 0o7777),
      );
      await files.using(target, async () => {
        const found = await files.fstat(target, readStats);
        if (found.dev === stats.dev && found.ino === stats.ino) return;
        try {
          if (found.size) await process.ftruncate64(target, 0);
          await process.fchmod(target, stats.mode & 0o7777);
          await fill(files, source, target, mode, stats.size);
        } catch (error) {
          // A part of a copy is none.
          await process.unlinkat(AT_FDCWD, to, 0).catch(() => {});
          throw error;
        }
      });
    });
  } catch (error) {
    throw translated(error instanceof SystemError ? error : unwrapped(error), "copyfile", from, to);
  }
}

/** An error that tells of a step is made one that tells of the copy. */
const unwrapped = (error: unknown) =>
  error instanceof Error && "errno" in error && typeof error.errno === "number"
    ? new SystemError(error.errno, "copyfile")
    : error;

async function fill(
  files: Files,
  source: number,
  target: number,
  mode: number,
  sizeBytes: number,
): Promise<void> {
  if (mode & (COPYFILE_FICLONE | COPYFILE_FICLONE_FORCE)) {
    try {
      await files.process.ioctl(target, FICLONE, source);
      return;
    } catch (error) {
      if (mode & COPYFILE_FICLONE_FORCE || !failedWith(error, ...NO_CLONE)) throw error;
    }
  }
  if (await copyInKernel(files, source, target, sizeBytes)) return;
  const part = new Uint8Array(1 << 16);
  for (;;) {
    const count = await files.read(source, part, null);
    if (!count) return;
    await files.writeAll(target, part.subarray(0, count), null);
  }
}

const NO_CLONE = [errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS];

/** @returns whether it could be done so */
async function copyInKernel(
  files: Files,
  source: number,
  target: number,
  sizeBytes: number,
): Promise<boolean> {
  let total = 0;
  for (;;) {
    let count: number;
    try {
      count = await files.process.copy_file_range(source, null, target, null, RANGE_BYTES, 0);
    } catch (error) {
      if (!total && failedWith(error, ...NO_CLONE)) return false;
      throw error;
    }
    total += count;
    // Files of /proc seem to be empty.
    if (!count) return total > 0 || sizeBytes > 0 || !(await hasMore(files, source));
    if (total >= sizeBytes && count < RANGE_BYTES) return true;
  }
}

const hasMore = async (files: Files, fd: number) =>
  (await files.read(fd, new Uint8Array(1), 0).catch(() => 0)) > 0;

export interface CpOptions {
  /** Copy what symbolic links point to. Default false. */
  readonly dereference?: boolean | undefined;
  /** With `force: false`: fail if the target exists. Default false. */
  readonly errorOnExist?: boolean | undefined;
  /** Copy only that for which it is true; directories with all below. */
  readonly filter?:
    | ((source: string, destination: string) => boolean | Promise<boolean>)
    | undefined;
  /** Overwrite. Default true. */
  readonly force?: boolean | undefined;
  /** As of copyFile(). Default 0. */
  readonly mode?: number | undefined;
  readonly preserveTimestamps?: boolean | undefined;
  readonly recursive?: boolean | undefined;
  /** Leave relative targets of symbolic links as they are. Default false. */
  readonly verbatimSymlinks?: boolean | undefined;
}

/** Copy a file, or a directory with all below, as `fs.promises.cp`. */
export async function copyTree(
  files: Files,
  source: string,
  destination: string,
  options: CpOptions,
): Promise<void> {
  await new TreeCopy(files, options).start(source, destination);
}

class TreeCopy {
  readonly #files: Files;
  readonly #options: CpOptions;

  constructor(files: Files, options: CpOptions) {
    this.#files = files;
    this.#options = options;
  }

  #stat(path: Name, follow = this.#options.dereference): Promise<Stats> {
    return follow
      ? this.#files.statx("stat", path, 0, readStats)
      : this.#files.statx("lstat", path, AT_SYMLINK_NOFOLLOW, readStats);
  }

  async #statIfThere(path: Name, follow?: boolean): Promise<Stats | null> {
    try {
      return await this.#stat(path, follow);
    } catch (error) {
      if (failedWith(error, errno.ENOENT)) return null;
      throw error;
    }
  }

  async #wanted(source: string, destination: string): Promise<boolean> {
    const { filter } = this.#options;
    return !filter || (await filter(source, destination));
  }

  async start(source: string, destination: string): Promise<void> {
    const stats = await this.#stat(source);
    const found = await this.#statIfThere(destination);
    check(source, destination, stats, found);
    await this.#checkParents(stats, source, destination);
    if (!(await this.#wanted(source, destination))) return;
    const parent = dirname(destination);
    if (!(await this.#statIfThere(parent))) await makeDirectories(this.#files, parent, 0o777);
    await this.#copy(source, destination, stats, found);
  }

  /** A directory cannot be copied into itself, by whatever name. */
  async #checkParents(stats: Stats, source: string, destination: string): Promise<void> {
    if (!stats.isDirectory()) return;
    for (let at = dirname(destination); ; at = dirname(at)) {
      const above = await this.#statIfThere(at, true);
      if (above && same(above, stats))
        throw operationError(
          "ERR_FS_CP_EINVAL",
          "cp",
          `cannot copy ${source} to a subdirectory of self ${destination}`,
          destination,
        );
      if (dirname(at) === at) return;
    }
  }

  async #copy(source: string, target: string, stats: Stats, found: Stats | null): Promise<void> {
    const fail = (code: Parameters<typeof operationError>[0], message: string) =>
      operationError(code, "cp", message, target);
    if (stats.isDirectory()) {
      if (!this.#options.recursive)
        throw operationError(
          "ERR_FS_EISDIR",
          "cp",
          `${source} is a directory (not copied)`,
          source,
        );
      return this.#directory(source, target, stats, found);
    }
    if (stats.isFile() || stats.isCharacterDevice() || stats.isBlockDevice())
      return this.#file(source, target, stats, found);
    if (stats.isSymbolicLink()) return this.#link(source, target, found);
    if (stats.isSocket()) throw fail("ERR_FS_CP_SOCKET", `cannot copy a socket file: ${target}`);
    if (stats.isFIFO()) throw fail("ERR_FS_CP_FIFO_PIPE", `cannot copy a FIFO pipe: ${target}`);
    throw fail("ERR_FS_CP_UNKNOWN", `cannot copy an unknown file type: ${target}`);
  }

  async #file(source: string, target: string, stats: Stats, found: Stats | null): Promise<void> {
    const { force = true, errorOnExist = false, mode = 0, preserveTimestamps } = this.#options;
    if (found) {
      if (!force) {
        if (!errorOnExist) return;
        throw operationError("ERR_FS_CP_EEXIST", "cp", `${target} already exists`, target);
      }
      await this.#files.unlink(target);
    }
    await copyFile(this.#files, source, target, mode);
    if (preserveTimestamps) {
      // Reading it has changed the time of the last access.
      const now = await this.#files.statx("stat", source, 0, readStats);
      await this.#files.utimes(target, now.atimeMs / 1000, now.mtimeMs / 1000);
    }
    await this.#files.chmod(target, stats.mode);
  }

  async #directory(
    source: string,
    target: string,
    stats: Stats,
    found: Stats | null,
  ): Promise<void> {
    if (!found) await this.#files.mkdir(target, 0o777);
    const fd = await openDirectory(this.#files, source, "opendir");
    for await (const { name } of new Dir(this.#files, source, fd, "utf8", false)) {
      const from = join(source, name) as string;
      const to = join(target, name) as string;
      if (!(await this.#wanted(from, to))) continue;
      const [below, there] = [await this.#stat(from), await this.#statIfThere(to)];
      check(from, to, below, there);
      await this.#copy(from, to, below, there);
    }
    if (!found) await this.#files.chmod(target, stats.mode);
  }

  async #link(source: string, target: string, found: Stats | null): Promise<void> {
    let points = decode(await this.#files.readlink(source));
    if (!this.#options.verbatimSymlinks && !points.startsWith("/"))
      points = await this.#absolute(append(dirname(source), points) as string);
    if (!found) return void (await this.#files.symlink(points, target));
    if (found.isSymbolicLink()) {
      const other = decode(await this.#files.readlink(target));
      const absolute = other.startsWith("/")
        ? other
        : await this.#absolute(append(dirname(target), other) as string);
      if (isBelow(absolute, points))
        throw operationError(
          "ERR_FS_CP_EINVAL",
          "cp",
          `cannot copy ${points} to a subdirectory of self ${absolute}`,
          target,
        );
      const stats = await this.#files.statx("stat", source, 0, readStats);
      if (stats.isDirectory() && isBelow(points, absolute))
        throw operationError(
          "ERR_FS_CP_SYMLINK_TO_SUBDIRECTORY",
          "cp",
          `cannot overwrite ${absolute} with ${points}`,
          target,
        );
    }
    await this.#files.unlink(target);
    await this.#files.symlink(points, target);
  }

  async #absolute(path: string): Promise<string> {
    if (path.startsWith("/")) return normalize(path);
    return normalize(`${decode(await this.#files.cwd())}/${path}`);
  }
}

const same = (a: Stats, b: Stats) => a.ino === b.ino && a.dev === b.dev;

/** Whether a path is, strictly, below another. */
const isBelow = (path: string, above: string) =>
  path !== above && path.startsWith(above.endsWith("/") ? above : `${above}/`);

function check(source: string, destination: string, stats: Stats, found: Stats | null): void {
  if (found) {
    if (same(stats, found))
      throw operationError(
        "ERR_FS_CP_EINVAL",
        "cp",
        "src and dest cannot be the same",
        destination,
      );
    if (stats.isDirectory() && !found.isDirectory())
      throw operationError(
        "ERR_FS_CP_DIR_TO_NON_DIR",
        "cp",
        `cannot overwrite non-directory ${destination} with directory ${source}`,
        destination,
      );
    if (!stats.isDirectory() && found.isDirectory())
      throw operationError(
        "ERR_FS_CP_NON_DIR_TO_DIR",
        "cp",
        `cannot overwrite directory ${destination} with non-directory ${source}`,
        destination,
      );
  }
  if (stats.isDirectory() && isBelow(normalize(destination), normalize(source)))
    throw operationError(
      "ERR_FS_CP_EINVAL",
      "cp",
      `cannot copy ${source} to a subdirectory of self ${destination}`,
      destination,
    );
}

/** Arguments of openat() for a name from the working directory. */
function opening(
  path: Name,
  flags: number,
  mode = 0,
): [at: number, path: Name, flags: number, mode: number] {
  return [AT_FDCWD, path, flags | O_CLOEXEC | O_LARGEFILE, mode];
}
