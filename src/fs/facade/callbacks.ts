// The functions of fs that take a callback, and those that would not wait for the kernel.

import type { Mode, OpenFlags, PathLike, Time } from "./arguments.ts";
import { toFunction } from "./arguments.ts";
import type { Contents } from "./contents.ts";
import type { CpOptions } from "./copy.ts";
import type { Dir } from "./directory.ts";
import type { Dirent } from "./dirent.ts";
import { SUSPENDS, unavailableError } from "./errors.ts";
import type { GlobOptions } from "./glob.ts";
import type { Operations } from "./operations.ts";
import type {
  ByteNames,
  Found,
  MakeOptions,
  OrNothing,
  ReadFileIntoOptions,
  ReadFileOptions,
  ReaddirOptions,
  StatusOptions,
  TextNames,
  WriteFileOptions,
} from "./promises.ts";
import type { Bytes } from "./runtime.ts";
import type { BigIntStats, StatFs, Stats } from "./stats.ts";
import type { Position, ReadOptions, WriteOptions } from "./transfers.ts";
import type { RmOptions } from "./tree.ts";

/** An error of the kernel has the fields of Node's. */
export type FsFailure = Error & {
  readonly code?: string;
  readonly errno?: number;
  readonly syscall?: string;
  readonly path?: string;
};

export type Done = (error: FsFailure | null) => void;
export type DoneWith<T> = (error: FsFailure | null, value: T) => void;

type Maybe<T> = T | null | undefined;
interface BigInts {
  readonly bigint: true;
}
interface Numbers {
  readonly bigint?: false | undefined;
}
interface Either {
  readonly bigint?: boolean | undefined;
}

type AnyStats = Stats | BigIntStats;

/** Of a name or of a descriptor: its status. */
interface Status<Of> {
  (of: Of, callback: DoneWith<Stats>): void;
  (of: Of, options: StatusOptions<false | undefined> | undefined, callback: DoneWith<Stats>): void;
  (of: Of, options: StatusOptions<true>, callback: DoneWith<BigIntStats>): void;
  (of: Of, options: StatusOptions | undefined, callback: DoneWith<AnyStats>): void;
}

/** The same, where what is not there need not be an error. */
interface StatusOrNothing {
  (path: PathLike, callback: DoneWith<Stats>): void;
  (
    path: PathLike,
    options: (Found & StatusOptions<false | undefined>) | undefined,
    callback: DoneWith<Stats>,
  ): void;
  (path: PathLike, options: Found & StatusOptions<true>, callback: DoneWith<BigIntStats>): void;
  (
    path: PathLike,
    options: OrNothing & StatusOptions<false | undefined>,
    callback: DoneWith<Stats | undefined>,
  ): void;
  (
    path: PathLike,
    options: OrNothing & StatusOptions<true>,
    callback: DoneWith<BigIntStats | undefined>,
  ): void;
  (path: PathLike, options: Found & StatusOptions, callback: DoneWith<AnyStats>): void;
  (
    path: PathLike,
    options: (StatusOptions & { readonly throwIfNoEntry?: boolean | undefined }) | undefined,
    callback: DoneWith<AnyStats | undefined>,
  ): void;
}

interface Named {
  (path: PathLike, callback: DoneWith<string>): void;
  (path: PathLike, options: ByteNames, callback: DoneWith<Bytes>): void;
  (path: PathLike, options: TextNames, callback: DoneWith<string>): void;
}

interface Writes {
  (path: PathLike | number, data: Contents, callback: Done): void;
  (
    path: PathLike | number,
    data: Contents,
    options: Maybe<WriteFileOptions | string>,
    callback: Done,
  ): void;
}

type Moved<B> = (error: FsFailure | null, count: number, buffer: B) => void;

/** The functions of `node:fs` that take a callback; its documentation is theirs. */
export interface FsCallbacks {
  access(path: PathLike, callback: Done): void;
  access(path: PathLike, mode: number | undefined, callback: Done): void;
  readonly appendFile: Writes;
  chmod(path: PathLike, mode: Mode, callback: Done): void;
  chown(path: PathLike, uid: number, gid: number, callback: Done): void;
  close(fd: number, callback?: Done): void;
  copyFile(source: PathLike, destination: PathLike, callback: Done): void;
  copyFile(source: PathLike, destination: PathLike, mode: number, callback: Done): void;
  cp(source: string | URL, destination: string | URL, callback: Done): void;
  cp(source: string | URL, destination: string | URL, options: CpOptions, callback: Done): void;
  exists(path: PathLike, callback: (exists: boolean) => void): void;
  fchmod(fd: number, mode: Mode, callback: Done): void;
  fchown(fd: number, uid: number, gid: number, callback: Done): void;
  fdatasync(fd: number, callback: Done): void;
  readonly fstat: Status<number>;
  fsync(fd: number, callback: Done): void;
  ftruncate(fd: number, callback: Done): void;
  ftruncate(fd: number, length: Maybe<number>, callback: Done): void;
  futimes(fd: number, atime: Time, mtime: Time, callback: Done): void;
  glob(pattern: string | readonly string[], callback: DoneWith<string[]>): void;
  glob(
    pattern: string | readonly string[],
    options: GlobOptions & { readonly withFileTypes: true },
    callback: DoneWith<Dirent[]>,
  ): void;
  glob(
    pattern: string | readonly string[],
    options: GlobOptions & { readonly withFileTypes?: false | undefined },
    callback: DoneWith<string[]>,
  ): void;
  glob(
    pattern: string | readonly string[],
    options: GlobOptions,
    callback: DoneWith<Dirent[] | string[]>,
  ): void;
  lchown(path: PathLike, uid: number, gid: number, callback: Done): void;
  link(existing: PathLike, path: PathLike, callback: Done): void;
  readonly lstat: Status<PathLike>;
  lutimes(path: PathLike, atime: Time, mtime: Time, callback: Done): void;
  mkdir(path: PathLike, callback: Done): void;
  mkdir(
    path: PathLike,
    options: MakeOptions & { recursive: true },
    callback: (error: FsFailure | null, path?: string) => void,
  ): void;
  mkdir(path: PathLike, options: Maybe<Mode | MakeOptions>, callback: Done): void;
  readonly mkdtemp: Named;
  open(path: PathLike, callback: DoneWith<number>): void;
  open(path: PathLike, flags: OpenFlags | undefined, callback: DoneWith<number>): void;
  open(
    path: PathLike,
    flags: OpenFlags | undefined,
    mode: Maybe<Mode>,
    callback: DoneWith<number>,
  ): void;
  opendir(path: PathLike, callback: DoneWith<Dir>): void;
  opendir(path: PathLike, options: ReaddirOptions, callback: DoneWith<Dir>): void;
  read<B extends ArrayBufferView>(
    fd: number,
    buffer: B,
    offset: number,
    length: number,
    position: Position,
    callback: Moved<B>,
  ): void;
  read<B extends ArrayBufferView>(
    fd: number,
    buffer: B,
    options: ReadOptions,
    callback: Moved<B>,
  ): void;
  read<B extends ArrayBufferView>(fd: number, buffer: B, callback: Moved<B>): void;
  read<B extends ArrayBufferView = Bytes>(
    fd: number,
    options: ReadOptions<B>,
    callback: Moved<B>,
  ): void;
  read(fd: number, callback: Moved<Bytes>): void;
  readdir(path: PathLike, callback: DoneWith<string[]>): void;
  readdir(
    path: PathLike,
    options: ReaddirOptions & { readonly withFileTypes: true },
    callback: DoneWith<Dirent[]>,
  ): void;
  readdir(
    path: PathLike,
    options:
      | "buffer"
      | { encoding: "buffer"; withFileTypes?: false | undefined; recursive?: boolean | undefined },
    callback: DoneWith<Bytes[]>,
  ): void;
  readdir(
    path: PathLike,
    options: Maybe<string | (ReaddirOptions & { readonly withFileTypes?: false | undefined })>,
    callback: DoneWith<string[]>,
  ): void;
  readFile(path: PathLike | number, callback: DoneWith<Bytes>): void;
  readFile(path: PathLike | number, options: ReadFileIntoOptions, callback: DoneWith<Bytes>): void;
  readFile(
    path: PathLike | number,
    options: Maybe<ReadFileOptions & { readonly encoding?: null | undefined }>,
    callback: DoneWith<Bytes>,
  ): void;
  readFile(
    path: PathLike | number,
    options: string | (ReadFileOptions & { readonly encoding: string }),
    callback: DoneWith<string>,
  ): void;
  readFile(
    path: PathLike | number,
    options: Maybe<string | ReadFileOptions>,
    callback: DoneWith<string | Bytes>,
  ): void;
  readonly readlink: Named;
  readv<B extends readonly ArrayBufferView[]>(fd: number, buffers: B, callback: Moved<B>): void;
  readv<B extends readonly ArrayBufferView[]>(
    fd: number,
    buffers: B,
    position: number | null,
    callback: Moved<B>,
  ): void;
  readonly realpath: Named & { readonly native: Named };
  rename(from: PathLike, to: PathLike, callback: Done): void;
  rm(path: PathLike, callback: Done): void;
  rm(path: PathLike, options: RmOptions, callback: Done): void;
  rmdir(path: PathLike, callback: Done): void;
  readonly stat: StatusOrNothing;
  statfs(path: PathLike, callback: DoneWith<StatFs>): void;
  statfs(path: PathLike, options: Numbers | undefined, callback: DoneWith<StatFs>): void;
  statfs(path: PathLike, options: BigInts, callback: DoneWith<StatFs<bigint>>): void;
  statfs(
    path: PathLike,
    options: Either | undefined,
    callback: DoneWith<StatFs | StatFs<bigint>>,
  ): void;
  symlink(target: PathLike, path: PathLike, callback: Done): void;
  symlink(target: PathLike, path: PathLike, type: Maybe<string>, callback: Done): void;
  truncate(path: PathLike, callback: Done): void;
  truncate(path: PathLike, length: Maybe<number>, callback: Done): void;
  unlink(path: PathLike, callback: Done): void;
  utimes(path: PathLike, atime: Time, mtime: Time, callback: Done): void;
  write<B extends ArrayBufferView>(
    fd: number,
    buffer: B,
    offset: Maybe<number>,
    length: Maybe<number>,
    position: Maybe<number>,
    callback: Moved<B>,
  ): void;
  write<B extends ArrayBufferView>(
    fd: number,
    buffer: B,
    offset: Maybe<number>,
    length: Maybe<number>,
    callback: Moved<B>,
  ): void;
  write<B extends ArrayBufferView>(
    fd: number,
    buffer: B,
    offset: Maybe<number | WriteOptions>,
    callback: Moved<B>,
  ): void;
  write<B extends ArrayBufferView>(fd: number, buffer: B, callback: Moved<B>): void;
  write(fd: number, text: string, callback: Moved<string>): void;
  write(fd: number, text: string, position: Maybe<number>, callback: Moved<string>): void;
  write(
    fd: number,
    text: string,
    position: Maybe<number>,
    encoding: Maybe<string>,
    callback: Moved<string>,
  ): void;
  readonly writeFile: Writes;
  writev<B extends readonly ArrayBufferView[]>(fd: number, buffers: B, callback: Moved<B>): void;
  writev<B extends readonly ArrayBufferView[]>(
    fd: number,
    buffers: B,
    position: number | null,
    callback: Moved<B>,
  ): void;
}

type Callback = (error: unknown, ...values: readonly unknown[]) => void;
type Operation = (...args: unknown[]) => Promise<unknown>;

/** A callback's own errors are the application's, not a promise's. */
const later = (callback: Callback, ...values: [unknown, ...unknown[]]) =>
  queueMicrotask(() => callback(...values));

/** What a callback gets: nothing, the value, or several. */
type Shape = (value: unknown) => readonly unknown[];
const nothing: Shape = () => [];
const one: Shape = (value) => [value];
const several: Shape = (value) => value as readonly unknown[];

/**
 * An operation with a callback, which is the last argument that is given.
 * What is wrong with the arguments is thrown.
 */
function calledBack(operation: Operation, shape: Shape) {
  return (...args: unknown[]): void => {
    const last = args.findLastIndex((value) => typeof value === "function");
    const callback: Callback = toFunction(args[last] as Callback, "cb");
    operation(...args.slice(0, last)).then(
      (value) => later(callback, null, ...shape(value)),
      (error: unknown) => later(callback, error),
    );
  };
}

/** What util.promisify() takes instead, as of Node's own read() and its like. */
const PROMISIFY = Symbol.for("nodejs.util.promisify.custom");

function withPromise<F extends object>(
  callback: F,
  operation: Operation,
  names: readonly [string, string],
): F {
  const promise = async (...args: unknown[]) => {
    const values = (await operation(...args)) as readonly unknown[];
    return { [names[0]]: values[0], [names[1]]: values[1] };
  };
  Object.defineProperty(callback, PROMISIFY, { value: promise });
  return callback;
}

async function gather(found: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const entry of found) all.push(entry);
  return all;
}

type OperationName = Exclude<keyof Operations, "files">;

/** The functions of an fs object that take callbacks. */
export function makeCallbacks(o: Operations): FsCallbacks {
  const bound = (name: OperationName) => (o[name] as Operation).bind(o);
  const to = (name: OperationName, shape: Shape = nothing) => calledBack(bound(name), shape);
  const moving = (name: OperationName, ...names: [string, string]) =>
    withPromise(to(name, several), bound(name), names);
  const close = to("close");
  const realpath = to("realpath", one);
  const callbacks = {
    access: to("access"),
    appendFile: to("appendFile"),
    chmod: to("chmod"),
    chown: to("chown"),
    close: (fd: unknown, callback: unknown = throwIfFailed) => close(fd, callback),
    copyFile: to("copyFile"),
    cp: to("cp"),
    exists: existing(o),
    fchmod: to("fchmod"),
    fchown: to("fchown"),
    fdatasync: to("fdatasync"),
    fstat: to("fstat", one),
    fsync: to("fsync"),
    ftruncate: to("ftruncate"),
    futimes: to("futimes"),
    glob: calledBack((pattern, options) => gather(o.glob(pattern, options)), one),
    lchown: to("lchown"),
    link: to("link"),
    lstat: to("lstat", one),
    lutimes: to("lutimes"),
    mkdir: to("mkdir", (first) => (first === undefined ? [] : [first])),
    mkdtemp: to("mkdtemp", one),
    open: to("open", one),
    opendir: to("opendir", one),
    read: moving("read", "bytesRead", "buffer"),
    readdir: to("readdir", one),
    readFile: to("readFile", one),
    readlink: to("readlink", one),
    readv: moving("readv", "bytesRead", "buffers"),
    realpath: Object.assign(
      calledBack((path, options) => o.realpath(path, options, "lstat"), one),
      { native: realpath },
    ),
    rename: to("rename"),
    rm: to("rm"),
    rmdir: to("rmdir"),
    stat: to("stat", one),
    statfs: to("statfs", one),
    symlink: to("symlink"),
    truncate: to("truncate"),
    unlink: to("unlink"),
    utimes: to("utimes"),
    write: moving("write", "bytesWritten", "buffer"),
    writeFile: to("writeFile"),
    writev: moving("writev", "bytesWritten", "buffers"),
  } satisfies Record<keyof FsCallbacks, unknown>;
  return callbacks;
}

/** Who gives close() no callback wants to hear of failures all the same. */
function throwIfFailed(error: Error | null): void {
  if (error) throw error;
}

/** exists() alone has no error to give. */
function existing(o: Operations) {
  const test = async (path: unknown) => {
    try {
      await o.access(path);
      return true;
    } catch {
      return false;
    }
  };
  const exists = (path: unknown, callback: (exists: boolean) => void): void => {
    const call = toFunction(callback, "cb");
    void test(path).then((found) => queueMicrotask(() => call(found)));
  };
  return Object.defineProperty(exists, PROMISIFY, { value: test });
}

// --- What would have to wait ---------------------------------------------------------------

const SYNCHRONOUS = [
  "accessSync",
  "appendFileSync",
  "chmodSync",
  "chownSync",
  "closeSync",
  "copyFileSync",
  "cpSync",
  "existsSync",
  "fchmodSync",
  "fchownSync",
  "fdatasyncSync",
  "fstatSync",
  "fsyncSync",
  "ftruncateSync",
  "futimesSync",
  "globSync",
  "lchmodSync",
  "lchownSync",
  "linkSync",
  "lstatSync",
  "lutimesSync",
  "mkdirSync",
  "mkdtempDisposableSync",
  "mkdtempSync",
  "openAsBlobSync",
  "openSync",
  "opendirSync",
  "readFileSync",
  "readSync",
  "readdirSync",
  "readlinkSync",
  "readvSync",
  "realpathSync",
  "renameSync",
  "rmSync",
  "rmdirSync",
  "statSync",
  "statfsSync",
  "symlinkSync",
  "truncateSync",
  "unlinkSync",
  "utimesSync",
  "writeFileSync",
  "writeSync",
  "writevSync",
] as const;

/** They are there, for libraries that look for them, and each says that it cannot be. */
export type FsSynchronous = Readonly<
  Record<(typeof SYNCHRONOUS)[number], (...args: readonly unknown[]) => never>
>;

/** What there is instead where it is not the same name in fs.promises; the rest is of descriptors. */
const INSTEAD: Readonly<Record<string, string>> = {
  existsSync: "fs.promises.access()",
  openAsBlobSync: "fs.openAsBlob()",
};
const OF_DESCRIPTORS =
  /^(close|f(chmod|chown|datasync|stat|sync|truncate|utimes)|readv?|writev?)Sync$/;

function insteadOf(name: string): string {
  const asynchronous = `${name.replace("Sync", "")}()`;
  if (OF_DESCRIPTORS.test(name)) return `fs.${asynchronous} with a callback, or a FileHandle`;
  return INSTEAD[name] ?? `fs.promises.${asynchronous}`;
}

export const synchronous = Object.fromEntries(
  SYNCHRONOUS.map((name) => {
    const instead = insteadOf(name);
    const refuse = () => {
      throw unavailableError(`fs.${name}()`, instead, SUSPENDS);
    };
    return [name, refuse];
  }),
) as FsSynchronous;
