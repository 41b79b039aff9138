// The functions of fs, each in two parts: arguments are checked at once, so that callbacks' callers
// see what is wrong with them where they called, and the rest is a promise.

import { AT_SYMLINK_NOFOLLOW } from "../../abi/constants/fcntl.ts";
import { errno } from "../../abi/errno.ts";
import type { Statfs64 } from "../../abi/structs/fs.ts";
import {
  checkSignal,
  toBag,
  toBoolean,
  toDescriptor,
  toEncoding,
  toFlags,
  toFunction,
  toInteger,
  toMode,
  toName,
  toOptions,
  toOwner,
  toSeconds,
  toSmallMode,
  viewList,
} from "./arguments.ts";
import type { Name } from "./arguments.ts";
import { checkReadTarget, readWhole, throwIfAborted, toContents, writeWhole } from "./contents.ts";
import type { ReadTarget } from "./contents.ts";
import { copyFile, copyTree } from "./copy.ts";
import type { CpOptions } from "./copy.ts";
import { Dir, openDirectory, readDirents, readNames } from "./directory.ts";
import type { NameEncoding } from "./directory.ts";
import { decode, encode } from "./encoding.ts";
import {
  FsError,
  abortError,
  argumentTypeError,
  argumentValueError,
  failedWith,
  notImplementedError,
} from "./errors.ts";
import type { Files } from "./files.ts";
import { Glob } from "./glob.ts";
import type { GlobOptions } from "./glob.ts";
import { realPath } from "./realpath.ts";
import { asBytes } from "./runtime.ts";
import { BigIntStats, StatFs, Stats } from "./stats.ts";
import { toReading, toTextWriting, toWriting } from "./transfers.ts";
import { makeDirectories, remove } from "./tree.ts";
import type { RmOptions } from "./tree.ts";
import { Watch, changes, checkIgnored } from "./watch.ts";
import type { Change, WatchIteratorOptions, WatchOptions } from "./watch.ts";

const readStats = (view: DataView) => new Stats(view);
const readBigIntStats = (view: DataView) => new BigIntStats(view);
const asNumber = (value: number | bigint) => Number(value);
const asBigInt = (value: number | bigint) => BigInt(value);

const LINK_TYPES: ReadonlySet<unknown> = new Set(["dir", "file", "junction", null, undefined]);
const MAX_RETRY_DELAY_MS = 0x7fffffff;
const MAX_UINT32 = 0xffffffff;

interface FileOptions {
  readonly encoding?: string | null;
  readonly flag?: string | number;
  readonly mode?: number | string;
  readonly signal?: AbortSignal;
  readonly flush?: boolean;
  readonly buffer?: ReadTarget;
}

interface DirectoryOptions {
  readonly encoding?: string | null;
  readonly withFileTypes?: boolean;
  readonly recursive?: boolean;
  readonly bufferSize?: number;
}

const toNameEncoding = (encoding: string | null | undefined): NameEncoding =>
  toEncoding(encoding) ?? "utf8";

/** A name as it is given to the caller. */
const named = (bytes: Uint8Array, encoding: NameEncoding) =>
  encoding === "buffer" ? asBytes(bytes) : decode(bytes, encoding);

interface StatusOptions {
  readonly bigint?: boolean;
  readonly throwIfNoEntry?: boolean;
  readonly signal?: AbortSignal;
}

/** As every function of Node: what is not given or null is "no options". */
function toStatusOptions(options: unknown): StatusOptions {
  const bag = toBag<StatusOptions>(options);
  checkSignal(bag.signal);
  return bag;
}

export class Operations {
  readonly files: Files;

  constructor(files: Files) {
    this.files = files;
  }

  // --- Contents ----------------------------------------------------------------------------

  open(path: unknown, flags?: unknown, mode?: unknown): Promise<number> {
    return this.files.open(toName(path), toFlags(flags), toMode(mode, "mode", 0o666));
  }

  readFile(path: unknown, options?: unknown): Promise<Uint8Array | string> {
    const { encoding, flag, signal, buffer } = toOptions<FileOptions>(options, {});
    const known = toEncoding(encoding);
    const flags = toFlags(flag, "r");
    checkReadTarget(buffer);
    const name = typeof path === "number" ? toDescriptor(path) : toName(path);
    return this.#readFile(name, flags, known, signal, buffer);
  }

  async #readFile(
    name: Name | number,
    flags: number,
    encoding: NameEncoding | undefined,
    signal: AbortSignal | undefined,
    buffer: ReadTarget | undefined,
  ): Promise<Uint8Array | string> {
    throwIfAborted(signal);
    let bytes: Uint8Array;
    if (typeof name === "number") bytes = await readWhole(this.files, name, signal, buffer);
    else {
      const fd = await this.files.open(name, flags, 0o666, { signal });
      bytes = await this.files
        .using(fd, () => readWhole(this.files, fd, signal, buffer))
        .catch((error: unknown) => {
          throw withPath(error, name);
        });
    }
    return encoding === undefined || encoding === "buffer" ? bytes : decode(bytes, encoding);
  }

  writeFile(path: unknown, data: unknown, options?: unknown): Promise<void> {
    return this.#write(path, data, options, "w");
  }

  appendFile(path: unknown, data: unknown, options?: unknown): Promise<void> {
    return this.#write(path, data, options, "a");
  }

  #write(path: unknown, data: unknown, given: unknown, flag: string): Promise<void> {
    const options = toOptions<FileOptions>(given, {});
    const contents = toContents(data);
    const flags = toFlags(options.flag, flag);
    const mode = toMode(options.mode, "mode", 0o666);
    const flush = toBoolean(options.flush, "options.flush");
    const known = toEncoding(options.encoding);
    const encoding = known === "buffer" ? "utf8" : known;
    const { signal } = options;
    const write = async (fd: number) => {
      await writeWhole(this.files, fd, contents, encoding, signal);
      if (flush) await this.files.fsync(fd);
    };
    if (typeof path === "number") return write(toDescriptor(path));
    const name = toName(path);
    return (async () => {
      throwIfAborted(signal);
      const fd = await this.files.open(name, flags, mode, { signal });
      await this.files.using(fd, write);
    })();
  }

  truncate(path: unknown, length: unknown = 0): Promise<void> {
    const [name, size] = [toName(path), toInteger(length ?? 0, "len")];
    return (async () => {
      const fd = await this.files.open(name, toFlags("r+"));
      await this.files.using(fd, () => this.files.ftruncate(fd, size));
    })();
  }

  copyFile(source: unknown, destination: unknown, mode?: unknown): Promise<void> {
    const [from, to] = [toName(source, "src"), toName(destination, "dest")];
    return copyFile(this.files, from, to, toSmallMode(mode));
  }

  cp(source: unknown, destination: unknown, given?: unknown): Promise<void> {
    const options = toBag<CpOptions>(given);
    for (const name of [
      "dereference",
      "errorOnExist",
      "force",
      "preserveTimestamps",
      "recursive",
      "verbatimSymlinks",
    ] as const)
      toBoolean(options[name], `options.${name}`);
    if (options.dereference && options.verbatimSymlinks)
      throw Object.assign(
        new TypeError(
          'Option "dereference" cannot be used in combination with option "verbatimSymlinks"',
        ),
        { code: "ERR_INCOMPATIBLE_OPTION_PAIR" },
      );
    if (options.filter !== undefined) toFunction(options.filter, "options.filter");
    const mode = toSmallMode(options.mode);
    const [from, to] = [toText(toName(source, "src")), toText(toName(destination, "dest"))];
    return copyTree(this.files, from, to, { ...options, mode });
  }

  // --- Status ------------------------------------------------------------------------------

  access(path: unknown, mode?: unknown): Promise<unknown> {
    return this.files.access(toName(path), toSmallMode(mode));
  }

  stat(path: unknown, options?: unknown): Promise<Stats | BigIntStats | undefined> {
    return this.#stat("stat", path, options, 0);
  }

  lstat(path: unknown, options?: unknown): Promise<Stats | BigIntStats | undefined> {
    return this.#stat("lstat", path, options, AT_SYMLINK_NOFOLLOW);
  }

  #stat(
    syscall: string,
    path: unknown,
    options: unknown,
    flags: number,
  ): Promise<Stats | BigIntStats | undefined> {
    const { bigint, throwIfNoEntry, signal } = toStatusOptions(options);
    const name = toName(path);
    if (signal?.aborted) return Promise.reject(abortError(signal));
    const result: Promise<Stats | BigIntStats> = bigint
      ? this.files.statx(syscall, name, flags, readBigIntStats, undefined, signal)
      : this.files.statx(syscall, name, flags, readStats, undefined, signal);
    if (throwIfNoEntry !== false) return result;
    return result.catch((error: unknown) => {
      if (failedWith(error, errno.ENOENT, errno.ENOTDIR)) return undefined;
      throw error;
    });
  }

  fstat(fd: unknown, options?: unknown): Promise<Stats | BigIntStats> {
    const descriptor = toDescriptor(fd);
    const { bigint, signal } = toStatusOptions(options);
    if (signal?.aborted) return Promise.reject(abortError(signal));
    return bigint
      ? this.files.fstat(descriptor, readBigIntStats, signal)
      : this.files.fstat(descriptor, readStats, signal);
  }

  statfs(path: unknown, options?: unknown): Promise<StatFs | StatFs<bigint>> {
    const name = toName(path);
    return toStatusOptions(options).bigint
      ? this.files.statfs(name, (raw: Statfs64) => new StatFs(raw, asBigInt))
      : this.files.statfs(name, (raw: Statfs64) => new StatFs(raw, asNumber));
  }

  // --- Attributes --------------------------------------------------------------------------

  chmod(path: unknown, mode: unknown): Promise<unknown> {
    return this.files.chmod(toName(path), toMode(mode));
  }

  lchmod(): Promise<never> {
    return Promise.reject(notImplementedError("lchmod()"));
  }

  chown(path: unknown, uid: unknown, gid: unknown): Promise<unknown> {
    return this.files.chown(toName(path), toOwner(uid, "uid"), toOwner(gid, "gid"));
  }

  lchown(path: unknown, uid: unknown, gid: unknown): Promise<unknown> {
    return this.files.chown(toName(path), toOwner(uid, "uid"), toOwner(gid, "gid"), false);
  }

  utimes(path: unknown, atime: unknown, mtime: unknown): Promise<unknown> {
    return this.files.utimes(toName(path), toSeconds(atime), toSeconds(mtime));
  }

  lutimes(path: unknown, atime: unknown, mtime: unknown): Promise<unknown> {
    return this.files.utimes(toName(path), toSeconds(atime), toSeconds(mtime), false);
  }

  // --- Names -------------------------------------------------------------------------------

  mkdir(path: unknown, given?: unknown): Promise<string | undefined> {
    const options: { recursive?: unknown; mode?: unknown } =
      typeof given === "number" || typeof given === "string" ? { mode: given } : toBag(given);
    const name = toName(path);
    const recursive = toBoolean(options.recursive, "options.recursive");
    const mode = toMode(options.mode, "mode", 0o777);
    return recursive
      ? makeDirectories(this.files, name, mode)
      : this.files.mkdir(name, mode).then(() => undefined);
  }

  mkdtemp(prefix: unknown, options?: unknown): Promise<string | Uint8Array> {
    const { encoding } = toOptions<FileOptions>(options, {});
    const start = toName(prefix, "prefix");
    return this.#mkdtemp(start, toNameEncoding(encoding));
  }

  async #mkdtemp(prefix: Name, encoding: NameEncoding): Promise<string | Uint8Array> {
    for (let tries = 1; ; tries++) {
      const path =
        typeof prefix === "string"
          ? prefix + randomName()
          : Uint8Array.of(...prefix, ...encode(randomName()));
      try {
        await this.files.mkdtemp(path);
        if (typeof path === "string" && encoding === "utf8") return path;
        return named(typeof path === "string" ? encode(path) : path, encoding);
      } catch (error) {
        if (tries === MAX_RANDOM_NAMES || !failedWith(error, errno.EEXIST)) throw error;
      }
    }
  }

  async mkdtempDisposable(prefix: unknown, options?: unknown) {
    const path = await this.mkdtemp(prefix, options);
    const absolute = toText(await realPath(this.files, path, "realpath"));
    const end = () => this.rm(absolute, { recursive: true, force: true });
    return { path, remove: end, [Symbol.asyncDispose]: end };
  }

  readdir(
    path: unknown,
    given?: unknown,
  ): Promise<readonly (string | Uint8Array)[] | readonly unknown[]> {
    const options = toOptions<DirectoryOptions>(given, {});
    const name = toName(path);
    const recursive = toBoolean(options.recursive ?? undefined, "options.recursive");
    const encoding = toNameEncoding(options.encoding);
    return options.withFileTypes
      ? readDirents(this.files, name, encoding, recursive)
      : readNames(this.files, name, encoding, recursive);
  }

  opendir(path: unknown, given?: unknown): Promise<Dir<string | Uint8Array>> {
    const options = toOptions<DirectoryOptions>(given, {});
    const name = toName(path);
    const encoding = toNameEncoding(options.encoding);
    if (options.bufferSize !== undefined)
      toInteger(options.bufferSize, "options.bufferSize", 1, MAX_UINT32);
    const recursive = toBoolean(options.recursive, "options.recursive");
    return openDirectory(this.files, name, "opendir").then(
      (fd) => new Dir<string | Uint8Array>(this.files, name, fd, encoding, recursive),
    );
  }

  readlink(path: unknown, options?: unknown): Promise<string | Uint8Array> {
    const { encoding } = toOptions<FileOptions>(options, {});
    const shape = toNameEncoding(encoding);
    return this.files.readlink(toName(path)).then((bytes) => named(bytes, shape));
  }

  realpath(path: unknown, options?: unknown, syscall = "realpath"): Promise<string | Uint8Array> {
    const { encoding } = toOptions<FileOptions>(options, {});
    const shape = toNameEncoding(encoding);
    return realPath(this.files, toName(path), syscall).then((bytes) => named(bytes, shape));
  }

  rename(from: unknown, to: unknown): Promise<unknown> {
    return this.files.rename(toName(from, "oldPath"), toName(to, "newPath"));
  }

  link(from: unknown, to: unknown): Promise<unknown> {
    return this.files.link(toName(from, "existingPath"), toName(to, "newPath"));
  }

  symlink(target: unknown, path: unknown, type?: unknown): Promise<unknown> {
    if (!LINK_TYPES.has(type))
      throw argumentValueError(
        "type",
        type,
        "must be one of: 'dir', 'file', 'junction', null, undefined",
      );
    return this.files.symlink(toName(target, "target"), toName(path));
  }

  unlink(path: unknown): Promise<unknown> {
    return this.files.unlink(toName(path));
  }

  rmdir(path: unknown, options?: unknown): Promise<unknown> {
    const name = toName(path);
    const { recursive } = toBag<{ recursive: unknown }>(options);
    if (recursive !== undefined)
      throw argumentValueError("options.recursive", recursive, "is no longer supported");
    return this.files.rmdir(name);
  }

  rm(path: unknown, given?: unknown): Promise<void> {
    const name = toName(path);
    const options = toBag<RmOptions>(given);
    toBoolean(options.force, "options.force");
    toBoolean(options.recursive, "options.recursive");
    if (options.retryDelay !== undefined)
      toInteger(options.retryDelay, "options.retryDelay", 0, MAX_RETRY_DELAY_MS);
    if (options.maxRetries !== undefined)
      toInteger(options.maxRetries, "options.maxRetries", 0, MAX_UINT32);
    return remove(this.files, name, options);
  }

  glob(pattern: unknown, given?: unknown): AsyncGenerator<unknown, void, undefined> {
    const options = toBag<GlobOptions>(given);
    const patterns: unknown[] = Array.isArray(pattern) ? pattern : [pattern];
    for (const one of patterns)
      if (typeof one !== "string") throw argumentTypeError("patterns", "of type string", one);
    const { exclude, cwd = "" } = options;
    if (
      exclude !== undefined &&
      exclude !== null &&
      typeof exclude !== "function" &&
      !Array.isArray(exclude)
    )
      throw argumentTypeError(
        "options.exclude",
        "of type function or an instance of Array",
        exclude,
      );
    const start = cwd === "" ? "" : toText(toName(cwd, "options.cwd"));
    return this.#glob(patterns as string[], start, options);
  }

  async *#glob(
    patterns: readonly string[],
    cwd: string,
    options: GlobOptions,
  ): AsyncGenerator<unknown, void, undefined> {
    // Entries have absolute parents.
    const start = cwd.startsWith("/")
      ? cwd
      : toText(await realPath(this.files, cwd || ".", "stat"));
    yield* new Glob(this.files, start, options).find(patterns);
  }

  // --- Changes -----------------------------------------------------------------------------

  /** What starts a watch. */
  watching(path: unknown, given?: unknown): { start: () => Promise<Watch>; options: WatchOptions } {
    const options = toOptions<WatchOptions>(given, {});
    const name = toName(path);
    const encoding = toNameEncoding(options.encoding);
    const recursive = toBoolean(options.recursive, "options.recursive");
    toBoolean(options.persistent, "options.persistent");
    checkSignal(options.signal);
    checkIgnored(options.ignore);
    return { start: () => Watch.start(this.files, name, encoding, recursive), options };
  }

  changes(path: unknown, given?: unknown): AsyncGenerator<Change, undefined> {
    const { start, options } = this.watching(path, given);
    const { overflow, maxQueue } = options as WatchIteratorOptions;
    // Node's documentation has "throw", and it takes "error".
    if (overflow !== undefined && !["ignore", "throw", "error"].includes(overflow))
      throw argumentValueError("options.overflow", overflow, "must be one of: 'ignore', 'error'");
    if (maxQueue !== undefined) toInteger(maxQueue, "options.maxQueue", 0);
    return changes(start, options);
  }

  // --- Descriptors -------------------------------------------------------------------------

  close(fd: unknown): Promise<unknown> {
    return this.files.close(toDescriptor(fd));
  }

  read(fd: unknown, ...args: Parameters<typeof toReading>): Promise<[number, ArrayBufferView]> {
    const descriptor = toDescriptor(fd);
    const { given, part, position } = toReading(...args);
    if (!part.length) return Promise.resolve([0, given]);
    return this.files.read(descriptor, part, position).then((count) => [count, given]);
  }

  write(
    fd: unknown,
    data: unknown,
    second?: unknown,
    third?: unknown,
    fourth?: unknown,
  ): Promise<[number, unknown]> {
    const descriptor = toDescriptor(fd);
    const { bytes, position } =
      typeof data === "string"
        ? toTextWriting(data, second, third as string | undefined)
        : toWriting(data, second, third as number, fourth as number);
    if (!bytes.length) return Promise.resolve([0, data]);
    return this.files.write(descriptor, bytes, position).then((count) => [count, data]);
  }

  readv(fd: unknown, buffers: unknown, position?: unknown): Promise<[number, unknown]> {
    const [descriptor, parts] = [toDescriptor(fd), viewList(buffers)];
    return this.files
      .readv(descriptor, parts, position as number)
      .then((count) => [count, buffers]);
  }

  writev(fd: unknown, buffers: unknown, position?: unknown): Promise<[number, unknown]> {
    const [descriptor, parts] = [toDescriptor(fd), viewList(buffers)];
    return this.files
      .writev(descriptor, parts, position as number)
      .then((count) => [count, buffers]);
  }

  fsync(fd: unknown): Promise<unknown> {
    return this.files.fsync(toDescriptor(fd));
  }

  fdatasync(fd: unknown): Promise<unknown> {
    return this.files.fdatasync(toDescriptor(fd));
  }

  ftruncate(fd: unknown, length: unknown = 0): Promise<unknown> {
    return this.files.ftruncate(toDescriptor(fd), toInteger(length ?? 0, "len"));
  }

  fchmod(fd: unknown, mode: unknown): Promise<unknown> {
    return this.files.fchmod(toDescriptor(fd), toMode(mode));
  }

  fchown(fd: unknown, uid: unknown, gid: unknown): Promise<unknown> {
    return this.files.fchown(toDescriptor(fd), toOwner(uid, "uid"), toOwner(gid, "gid"));
  }

  futimes(fd: unknown, atime: unknown, mtime: unknown): Promise<unknown> {
    return this.files.futimes(toDescriptor(fd), toSeconds(atime), toSeconds(mtime));
  }
}

/** The same error, telling of a file. */
const withPath = (error: unknown, name: Name) =>
  error instanceof FsError ? new FsError(error.errno, error.syscall, toText(name)) : error;

const toText = (name: Name) => (typeof name === "string" ? name : decode(name));

/** How many names are tried, as of mkdtemp(3) (TMP_MAX has more). */
const MAX_RANDOM_NAMES = 100;
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const RANDOM_LETTERS = 6;

function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(RANDOM_LETTERS));
  return Array.from(bytes, (byte) => LETTERS[byte % LETTERS.length]).join("");
}
