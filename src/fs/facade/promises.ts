// `fs.promises`.

import type { Mode, OpenFlags, PathLike, Time } from "./arguments.ts";
import { constants } from "./constants.ts";
import type { FsConstants } from "./constants.ts";
import type { Contents, ReadTarget } from "./contents.ts";
import type { CpOptions } from "./copy.ts";
import type { Dir } from "./directory.ts";
import type { Dirent } from "./dirent.ts";
import { FileHandle } from "./file-handle.ts";
import type { GlobOptions } from "./glob.ts";
import type { Operations } from "./operations.ts";
import type { Bytes } from "./runtime.ts";
import type { BigIntStats, StatFs, Stats } from "./stats.ts";
import type { StreamMaker } from "./streams.ts";
import type { RmOptions } from "./tree.ts";
import type { Change, WatchIteratorOptions } from "./watch.ts";

/** Names as text, in UTF-8 if nothing is said. */
export type TextNames =
  | string
  | { readonly encoding?: string | null | undefined; readonly withFileTypes?: false | undefined }
  | null
  | undefined;
/** Names as bytes, for those that are no UTF-8. */
export type ByteNames =
  | "buffer"
  | { readonly encoding: "buffer"; readonly withFileTypes?: false | undefined };

export interface ReadFileOptions {
  readonly encoding?: string | null | undefined;
  /** Default "r". */
  readonly flag?: OpenFlags | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** To read into bytes that are there already. */
export interface ReadFileIntoOptions extends ReadFileOptions {
  readonly encoding?: null | undefined;
  readonly buffer: ReadTarget;
}

export interface StatusOptions<B extends boolean | undefined = boolean | undefined> {
  readonly bigint?: B;
  readonly signal?: AbortSignal | undefined;
}

/** What is not there gives undefined instead of an error. */
export interface OrNothing {
  readonly throwIfNoEntry: false;
}

/** What is not there is an error. */
export interface Found {
  readonly throwIfNoEntry?: true | undefined;
}

/** An open file: of this fs object. */
interface OpenFile {
  readonly fd: number;
}

export interface WriteFileOptions extends ReadFileOptions {
  /** Of a file that is made. Default 0o666, less the umask. */
  readonly mode?: Mode | undefined;
  /** Write to the disk before it is closed. Default false. */
  readonly flush?: boolean | undefined;
}

export interface MakeOptions {
  readonly recursive?: boolean | undefined;
  /** Default 0o777, less the umask. */
  readonly mode?: Mode | undefined;
}

export interface ReaddirOptions {
  readonly encoding?: string | null | undefined;
  readonly recursive?: boolean | undefined;
}

/** A directory for the moment: it goes when this is disposed of. */
export interface TemporaryDirectory {
  readonly path: string;
  remove(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What `for await` goes through. */
export type Iteration<T> = AsyncIteratorObject<T, undefined>;

type Bag = object | null | undefined;

/** The functions of `node:fs/promises`; its documentation is theirs. */
export interface FsPromises {
  readonly constants: FsConstants;
  access(path: PathLike, mode?: number): Promise<void>;
  appendFile(
    path: PathLike | OpenFile,
    data: Contents,
    options?: WriteFileOptions | string | null,
  ): Promise<void>;
  chmod(path: PathLike, mode: Mode): Promise<void>;
  chown(path: PathLike, uid: number, gid: number): Promise<void>;
  copyFile(source: PathLike, destination: PathLike, mode?: number): Promise<void>;
  cp(source: string | URL, destination: string | URL, options?: CpOptions): Promise<void>;
  glob(
    pattern: string | readonly string[],
    options: GlobOptions & { readonly withFileTypes: true },
  ): Iteration<Dirent>;
  glob(
    pattern: string | readonly string[],
    options?: GlobOptions & { readonly withFileTypes?: false | undefined },
  ): Iteration<string>;
  glob(pattern: string | readonly string[], options?: GlobOptions): Iteration<string | Dirent>;
  lchmod(path: PathLike, mode: Mode): Promise<void>;
  lchown(path: PathLike, uid: number, gid: number): Promise<void>;
  link(existing: PathLike, path: PathLike): Promise<void>;
  lstat(path: PathLike, options?: StatusOptions<false | undefined> | null): Promise<Stats>;
  lstat(path: PathLike, options: StatusOptions<true>): Promise<BigIntStats>;
  lstat(path: PathLike, options?: StatusOptions | null): Promise<Stats | BigIntStats>;
  lutimes(path: PathLike, atime: Time, mtime: Time): Promise<void>;
  mkdir(path: PathLike, options: MakeOptions & { recursive: true }): Promise<string | undefined>;
  mkdir(
    path: PathLike,
    options?: Mode | (MakeOptions & { recursive?: false | undefined }) | null,
  ): Promise<void>;
  mkdir(path: PathLike, options?: Mode | MakeOptions | null): Promise<string | undefined>;
  mkdtemp(prefix: PathLike, options: ByteNames): Promise<Bytes>;
  mkdtemp(prefix: PathLike, options?: TextNames): Promise<string>;
  mkdtempDisposable(prefix: PathLike, options?: TextNames): Promise<TemporaryDirectory>;
  open(path: PathLike, flags?: OpenFlags, mode?: Mode): Promise<FileHandle>;
  opendir(
    path: PathLike,
    options?: ReaddirOptions & { readonly bufferSize?: number | undefined },
  ): Promise<Dir>;
  readdir(
    path: PathLike,
    options: { encoding: "buffer"; withFileTypes: true; recursive?: boolean | undefined },
  ): Promise<Dirent<Bytes>[]>;
  readdir(
    path: PathLike,
    options: ReaddirOptions & { readonly withFileTypes: true },
  ): Promise<Dirent[]>;
  readdir(
    path: PathLike,
    options:
      | "buffer"
      | { encoding: "buffer"; withFileTypes?: false | undefined; recursive?: boolean | undefined },
  ): Promise<Bytes[]>;
  readdir(
    path: PathLike,
    options?: (ReaddirOptions & { readonly withFileTypes?: false | undefined }) | string | null,
  ): Promise<string[]>;
  readFile(path: PathLike | OpenFile, options: ReadFileIntoOptions): Promise<Bytes>;
  readFile(
    path: PathLike | OpenFile,
    options?: (ReadFileOptions & { readonly encoding?: null | undefined }) | null,
  ): Promise<Bytes>;
  readFile(
    path: PathLike | OpenFile,
    options: string | (ReadFileOptions & { readonly encoding: string }),
  ): Promise<string>;
  readFile(
    path: PathLike | OpenFile,
    options?: string | ReadFileOptions | null,
  ): Promise<string | Bytes>;
  readlink(path: PathLike, options: ByteNames): Promise<Bytes>;
  readlink(path: PathLike, options?: TextNames): Promise<string>;
  realpath(path: PathLike, options: ByteNames): Promise<Bytes>;
  realpath(path: PathLike, options?: TextNames): Promise<string>;
  rename(from: PathLike, to: PathLike): Promise<void>;
  rm(path: PathLike, options?: RmOptions): Promise<void>;
  rmdir(path: PathLike, options?: Bag): Promise<void>;
  stat(path: PathLike, options?: Found & StatusOptions<false | undefined>): Promise<Stats>;
  stat(path: PathLike, options: Found & StatusOptions<true>): Promise<BigIntStats>;
  stat(path: PathLike, options?: Found & StatusOptions): Promise<Stats | BigIntStats>;
  stat(
    path: PathLike,
    options: OrNothing & StatusOptions<false | undefined>,
  ): Promise<Stats | undefined>;
  stat(path: PathLike, options: OrNothing & StatusOptions<true>): Promise<BigIntStats | undefined>;
  stat(
    path: PathLike,
    options?: { readonly throwIfNoEntry?: boolean | undefined } & StatusOptions,
  ): Promise<Stats | BigIntStats | undefined>;
  statfs(path: PathLike, options?: { readonly bigint?: false | undefined }): Promise<StatFs>;
  statfs(path: PathLike, options: { readonly bigint: true }): Promise<StatFs<bigint>>;
  statfs(
    path: PathLike,
    options?: { readonly bigint?: boolean | undefined },
  ): Promise<StatFs | StatFs<bigint>>;
  symlink(target: PathLike, path: PathLike, type?: string | null): Promise<void>;
  truncate(path: PathLike, length?: number): Promise<void>;
  unlink(path: PathLike): Promise<void>;
  utimes(path: PathLike, atime: Time, mtime: Time): Promise<void>;
  watch(
    path: PathLike,
    options: "buffer" | (WatchIteratorOptions & { readonly encoding: "buffer" }),
  ): Iteration<Change<Bytes>>;
  watch(
    path: PathLike,
    options?: (WatchIteratorOptions & { readonly encoding?: string | undefined }) | string,
  ): Iteration<Change<string>>;
  watch(path: PathLike, options?: WatchIteratorOptions | string): Iteration<Change<string | Bytes>>;
  writeFile(
    path: PathLike | OpenFile,
    data: Contents,
    options?: WriteFileOptions | string | null,
  ): Promise<void>;
}

type Operation = (...args: never[]) => Promise<unknown>;

/** What is wrong with the arguments rejects, as everything else. */
function settled<F extends Operation>(operation: F): F {
  const run = (...args: never[]) => {
    try {
      return operation(...args);
    } catch (error) {
      return Promise.reject(error);
    }
  };
  return run as F;
}

/** The same, for those that give nothing. */
function silent<F extends Operation>(operation: F): (...args: Parameters<F>) => Promise<void> {
  return async (...args) => void (await operation(...args));
}

/** Whole files by their handle as well, which has the same functions. */
function contents(operations: Operations) {
  const onHandle = <T>(path: unknown, handle: (file: FileHandle) => T, otherwise: () => T): T =>
    path instanceof FileHandle ? handle(path) : otherwise();
  return {
    readFile: settled((path: unknown, options?: ReadFileOptions) =>
      onHandle<Promise<unknown>>(
        path,
        (file) => file.readFile(options as never),
        () => operations.readFile(path, options),
      ),
    ),
    writeFile: settled((path: unknown, data: Contents, options?: WriteFileOptions) =>
      onHandle(
        path,
        (file) => file.writeFile(data, options as never),
        () => operations.writeFile(path, data, options),
      ),
    ),
    appendFile: settled((path: unknown, data: Contents, options?: WriteFileOptions) =>
      onHandle(
        path,
        (file) => file.appendFile(data, options as never),
        () => operations.appendFile(path, data, options),
      ),
    ),
  };
}

/** The functions with promises of an fs object. */
export function makePromises(operations: Operations, streams: StreamMaker): FsPromises {
  const o = operations;
  const promises = {
    ...contents(o),
    constants,
    access: silent((...args: Parameters<Operations["access"]>) => o.access(...args)),
    chmod: silent((...args: Parameters<Operations["chmod"]>) => o.chmod(...args)),
    chown: silent((...args: Parameters<Operations["chown"]>) => o.chown(...args)),
    copyFile: settled((...args: Parameters<Operations["copyFile"]>) => o.copyFile(...args)),
    cp: settled((...args: Parameters<Operations["cp"]>) => o.cp(...args)),
    glob: (...args: Parameters<Operations["glob"]>) => o.glob(...args),
    lchmod: () => o.lchmod(),
    lchown: silent((...args: Parameters<Operations["lchown"]>) => o.lchown(...args)),
    link: silent((...args: Parameters<Operations["link"]>) => o.link(...args)),
    lstat: settled((path: unknown, options?: unknown) => o.lstat(path, options)),
    lutimes: silent((...args: Parameters<Operations["lutimes"]>) => o.lutimes(...args)),
    mkdir: settled((path: unknown, options?: unknown) => o.mkdir(path, options)),
    mkdtemp: settled((prefix: unknown, options?: unknown) => o.mkdtemp(prefix, options)),
    mkdtempDisposable: settled((prefix: unknown, options?: unknown) =>
      o.mkdtempDisposable(prefix, options),
    ),
    open: async (path: unknown, flags?: unknown, mode?: unknown) =>
      new FileHandle(o.files, streams, await o.open(path, flags, mode)),
    opendir: settled((path: unknown, options?: unknown) => o.opendir(path, options)),
    readdir: settled((path: unknown, options?: unknown) => o.readdir(path, options)),
    readlink: settled((path: unknown, options?: unknown) => o.readlink(path, options)),
    realpath: settled((path: unknown, options?: unknown) => o.realpath(path, options)),
    rename: silent((...args: Parameters<Operations["rename"]>) => o.rename(...args)),
    rm: settled((...args: Parameters<Operations["rm"]>) => o.rm(...args)),
    rmdir: silent((...args: Parameters<Operations["rmdir"]>) => o.rmdir(...args)),
    stat: settled((path: unknown, options?: unknown) => o.stat(path, options)),
    statfs: settled((path: unknown, options?: unknown) => o.statfs(path, options)),
    symlink: silent((...args: Parameters<Operations["symlink"]>) => o.symlink(...args)),
    truncate: settled((path: unknown, length?: unknown) => o.truncate(path, length)),
    unlink: silent((...args: Parameters<Operations["unlink"]>) => o.unlink(...args)),
    utimes: silent((...args: Parameters<Operations["utimes"]>) => o.utimes(...args)),
    watch: (path: unknown, options?: unknown) => o.changes(path, options),
  } satisfies Record<keyof FsPromises, unknown>;
  // What comes back depends on options, which the operations' own types leave open.
  return promises as unknown as FsPromises;
}
