// Directories with all that is on the way to them, or in them.

import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_NOFOLLOW } from "../../abi/constants/fcntl.ts";
import { DT_DIR, DT_UNKNOWN } from "../../abi/constants/stat.ts";
import { errno } from "../../abi/errno.ts";
import type { Name } from "./arguments.ts";
import { openDirectory, readOpen } from "./directory.ts";
import { decode } from "./encoding.ts";
import { failedWith, operationError } from "./errors.ts";
import type { Files } from "./files.ts";
import { append, dirname } from "./paths.ts";
import { Stats } from "./stats.ts";

const { EBUSY, EEXIST, EISDIR, EMFILE, ENFILE, ENOENT, ENOTDIR, ENOTEMPTY, EPERM } = errno;

/** Make a directory and those above it. @returns the first that was not there */
export async function makeDirectories(
  files: Files,
  path: Name,
  mode: number,
): Promise<string | undefined> {
  // Bytes are made as they are; they are text only where one of them is missing.
  const todo: Name[] = [path];
  let first: Name | undefined;
  /** Those whose parents are made first. */
  const waiting = new Set<string>();
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    try {
      await files.mkdir(next, mode, path);
      first ??= next;
    } catch (error) {
      const text: string = typeof next === "string" ? next : decode(next);
      const parent = dirname(text);
      if (failedWith(error, ENOENT) && parent !== text && text !== "") {
        // It was just made: somebody removes it again and again.
        if (waiting.has(text)) throw error;
        waiting.add(text);
        todo.push(next, parent);
      } else if (!failedWith(error, EEXIST)) throw error;
      else await expectDirectory(files, next, todo.length > 0, error);
    }
  }
  return first === undefined || typeof first === "string" ? first : decode(first);
}

/** What is in the way has to be a directory. */
async function expectDirectory(
  files: Files,
  path: Name,
  above: boolean,
  otherwise: unknown,
): Promise<void> {
  let isDirectory = false;
  try {
    isDirectory = (await files.statx("mkdir", path, 0, (view) => new Stats(view))).isDirectory();
  } catch (error) {
    // A symbolic link leads nowhere.
    if (!above || !failedWith(error, ENOENT)) throw error;
  }
  if (!isDirectory) throw above ? files.error("ENOTDIR", "mkdir", path) : otherwise;
}

export interface RmOptions {
  /** It is no error if there is nothing. Default false. */
  readonly force?: boolean | undefined;
  /** With all that is in it. Default false. */
  readonly recursive?: boolean | undefined;
  /** How often to try again when something is in use. Default 0. */
  readonly maxRetries?: number | undefined;
  /** Grows by itself with each try. Default 100. */
  readonly retryDelay?: number | undefined;
}

const RETRIED = [EBUSY, EMFILE, ENFILE, ENOTEMPTY, EPERM];

/** Remove a file, or a directory with all below. */
export async function remove(files: Files, path: Name, options: RmOptions): Promise<void> {
  const { force = false, recursive = false, maxRetries = 0, retryDelay = 100 } = options;
  let stats: Stats;
  try {
    stats = await files.statx("lstat", path, AT_SYMLINK_NOFOLLOW, (view) => new Stats(view));
  } catch (error) {
    if (force && failedWith(error, ENOENT)) return;
    throw error;
  }
  if (stats.isDirectory() && !recursive)
    throw operationError(
      "ERR_FS_EISDIR",
      "rm",
      "is a directory",
      typeof path === "string" ? path : decode(path),
    );
  for (let tries = 0; ; tries++) {
    try {
      if (stats.isDirectory()) await removeTree(files, AT_FDCWD, path, path);
      else await files.unlink(path);
      return;
    } catch (error) {
      if (failedWith(error, ENOENT)) return;
      if (tries >= maxRetries || !failedWith(error, ...RETRIED)) throw error;
      await new Promise((resolve) => void setTimeout(resolve, retryDelay * (tries + 1)));
    }
  }
}

/** How often a directory is read again since something was left in it. */
const MAX_ROUNDS = 10;

/** By names in directories that are open: what is moved meanwhile is not followed to elsewhere. */
async function removeTree(files: Files, at: number, name: Name, shown: Name): Promise<void> {
  for (let round = 1; ; round++) {
    let fd: number;
    try {
      fd = await openDirectory(files, name, "scandir", at, O_NOFOLLOW);
    } catch (error) {
      if (failedWith(error, ENOTDIR)) return void (await files.unlink(name, at, shown));
      throw error;
    }
    await files.using(fd, () => empty(files, fd, shown));
    try {
      return void (await files.rmdir(name, at, shown));
    } catch (error) {
      if (round === MAX_ROUNDS || !failedWith(error, ENOTEMPTY)) throw error;
    }
  }
}

async function empty(files: Files, fd: number, path: Name): Promise<void> {
  for (const { name, type } of await readOpen(files, fd, path, "buffer")) {
    const shown = append(path, name);
    try {
      if (type === DT_DIR) await removeTree(files, fd, name, shown);
      else await files.unlink(name, fd, shown);
    } catch (error) {
      if (type === DT_UNKNOWN && failedWith(error, EISDIR, EPERM))
        await removeTree(files, fd, name, shown);
      else if (!failedWith(error, ENOENT)) throw error;
    }
  }
}
