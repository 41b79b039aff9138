// An object with the shape of `node:fs`, whose files are those that a process of the kernel sees.

import type { Process } from "../../syscall/process.ts";
import type { PathLike } from "./arguments.ts";
import { makeCallbacks, synchronous } from "./callbacks.ts";
import type { FsCallbacks, FsSynchronous } from "./callbacks.ts";
import { constants } from "./constants.ts";
import type { FsConstants } from "./constants.ts";
import { Dir } from "./directory.ts";
import { Dirent } from "./dirent.ts";
import { Files } from "./files.ts";
import { LinuxFiles } from "./linux.ts";
import { Operations } from "./operations.ts";
import { makePromises } from "./promises.ts";
import type { FsPromises } from "./promises.ts";
import { BigIntStats, Stats } from "./stats.ts";
import { Streams } from "./streams.ts";
import type {
  ReadStream,
  ReadStreamClass,
  ReadStreamOptions,
  WriteStream,
  WriteStreamClass,
  WriteStreamOptions,
} from "./streams.ts";
import { FileWatches } from "./watch-file.ts";
import type { StatWatcher, WatchFileListener, WatchFileOptions } from "./watch-file.ts";
import { FSWatcher } from "./watch.ts";
import type { WatchOptions } from "./watch.ts";

export type { Mode, OpenFlags, PathLike, Time } from "./arguments.ts";
export type { FsCallbacks, FsFailure, FsSynchronous } from "./callbacks.ts";
export type { Contents } from "./contents.ts";
export type { CpOptions } from "./copy.ts";
export { Dir } from "./directory.ts";
export { Dirent } from "./dirent.ts";
export { FsError } from "./errors.ts";
export { FileHandle } from "./file-handle.ts";
export type { GlobOptions } from "./glob.ts";
export { LinuxFiles } from "./linux.ts";
export type { FileTarget, MknodOptions } from "./linux.ts";
export type { FsPromises } from "./promises.ts";
export type { Bytes } from "./runtime.ts";
export { BigIntStats, StatFs, Stats } from "./stats.ts";
export type { ReadStream, ReadStreamOptions, WriteStream, WriteStreamOptions } from "./streams.ts";
export type { RmOptions } from "./tree.ts";
export { FSWatcher } from "./watch.ts";
export type { Change, WatchIteratorOptions, WatchOptions } from "./watch.ts";
export type { StatWatcher } from "./watch-file.ts";

type Watching = (eventType: "rename" | "change", filename: never) => void;

/** How to make an fs object. */
export interface FsOptions {
  /** Let the process exit when the fs object is disposed of. Default false. */
  readonly ownsProcess?: boolean;
}

/**
 * `node:fs` over a process of the kernel: the same functions, arguments, results and errors. Names
 * start from the process's root and working directory, rights and umask are the process's, and a
 * descriptor is the kernel's own of that process. Dispose of it when no call is in flight: the
 * kernel memory that it calls with is given back. Files that are open then stay open until the
 * process exits.
 */
export interface LinuxFs extends FsCallbacks, FsSynchronous, AsyncDisposable {
  readonly promises: FsPromises;
  /** What Node has not: extended attributes, holes, reflinks, mounts and more. */
  readonly linux: LinuxFiles;
  readonly constants: FsConstants;
  readonly F_OK: number;
  readonly R_OK: number;
  readonly W_OK: number;
  readonly X_OK: number;
  readonly Stats: typeof Stats;
  readonly BigIntStats: typeof BigIntStats;
  readonly Dirent: typeof Dirent;
  readonly Dir: typeof Dir;
  /** Where the runtime has node:stream; elsewhere it throws. */
  readonly ReadStream: ReadStreamClass;
  readonly WriteStream: WriteStreamClass;
  /** @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where the runtime has no node:stream */
  createReadStream(path: PathLike, options?: ReadStreamOptions | string): ReadStream;
  createWriteStream(path: PathLike, options?: WriteStreamOptions | string): WriteStream;
  /** The whole file as a Blob: it is read at once. */
  openAsBlob(path: PathLike, options?: { readonly type?: string | undefined }): Promise<Blob>;
  watch(path: PathLike, listener?: Watching): FSWatcher;
  watch(path: PathLike, options: WatchOptions | string | null, listener?: Watching): FSWatcher;
  watchFile(path: PathLike, listener: WatchFileListener): StatWatcher;
  watchFile(
    path: PathLike,
    options: WatchFileOptions | undefined,
    listener: WatchFileListener,
  ): StatWatcher;
  unwatchFile(path: PathLike, listener?: WatchFileListener): void;
}

/** Make an fs object of a process. */
export function createFs(process: Process, options: FsOptions = {}): LinuxFs {
  const files = new Files(process);
  const operations = new Operations(files);
  const streams = new Streams(files);
  const watches = new FileWatches(files);
  return {
    ...makeCallbacks(operations),
    ...synchronous,
    promises: makePromises(operations, streams),
    linux: new LinuxFiles(files),
    constants,
    F_OK: constants.F_OK,
    R_OK: constants.R_OK,
    W_OK: constants.W_OK,
    X_OK: constants.X_OK,
    Stats,
    BigIntStats,
    Dirent,
    Dir,
    get ReadStream() {
      return streams.ReadStream;
    },
    get WriteStream() {
      return streams.WriteStream;
    },
    createReadStream: (path, given) => streams.read(path, given),
    createWriteStream: (path, given) => streams.write(path, given),
    openAsBlob: async (path, given = {}) => {
      const bytes = (await operations.readFile(path)) as Uint8Array<ArrayBuffer>;
      return new Blob([bytes], given.type === undefined ? {} : { type: given.type });
    },
    watch: (path: PathLike, given?: unknown, listener?: unknown) => {
      const { start, options: checked } = operations.watching(path, given);
      const watcher = new FSWatcher(start, checked);
      const told = typeof given === "function" ? given : listener;
      if (told) watcher.on("change", told as Watching);
      return watcher;
    },
    watchFile: (path: PathLike, given: unknown, listener?: WatchFileListener) =>
      watches.watch(path, given, listener),
    unwatchFile: (path, listener) => watches.unwatch(path, listener),
    [Symbol.asyncDispose]: async () => {
      watches.end();
      await files.memory.dispose();
      if (options.ownsProcess) await process.exit();
    },
  };
}
