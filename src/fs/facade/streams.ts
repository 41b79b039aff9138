// Streams of Node's kind over files, where the runtime has node:stream.

import type { Name, PathLike } from "./arguments.ts";
import {
  toBoolean,
  toDescriptor,
  toFlags,
  toFunction,
  toInteger,
  toMode,
  toName,
  toOptions,
} from "./arguments.ts";
import { argumentTypeError, rangeError, unavailableError } from "./errors.ts";
import type { Files } from "./files.ts";
import { allocate, streamModule } from "./runtime.ts";
import type { NodeStream, NodeWritable, StreamModule } from "./runtime.ts";

/** What a stream needs of a file handle. */
interface HandleLike {
  readonly fd: number;
  close(): Promise<void>;
  on(event: string, listener: () => void): unknown;
}

interface StreamOptions {
  readonly flags?: string | number | undefined;
  readonly encoding?: string | null | undefined;
  readonly fd?: number | HandleLike | null | undefined;
  readonly mode?: number | string | undefined;
  /** Close the file when the stream ends or fails. Default true. */
  readonly autoClose?: boolean | undefined;
  readonly emitClose?: boolean | undefined;
  /** In bytes; default 65536. */
  readonly highWaterMark?: number | undefined;
  readonly signal?: AbortSignal | null | undefined;
}

export interface ReadStreamOptions extends StreamOptions {
  /** The first byte, and the last, itself included. */
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

export interface WriteStreamOptions extends StreamOptions {
  /** Where to begin. */
  readonly start?: number | undefined;
  /** Write the file to the disk before it is closed. */
  readonly flush?: boolean | undefined;
}

export type ReadStream = NodeStream & {
  readonly path: string | Uint8Array;
  readonly bytesRead: number;
  readonly pending: boolean;
  close(callback?: (error?: Error | null) => void): void;
};
export type WriteStream = NodeWritable & {
  readonly path: string | Uint8Array;
  readonly bytesWritten: number;
  readonly pending: boolean;
  close(callback?: (error?: Error | null) => void): void;
};

export type ReadStreamClass = new (
  path: PathLike,
  options?: ReadStreamOptions | string,
) => ReadStream;
export type WriteStreamClass = new (
  path: PathLike,
  options?: WriteStreamOptions | string,
) => WriteStream;

/** What makes streams. */
export interface StreamMaker {
  read(path: PathLike, options?: ReadStreamOptions | string): ReadStream;
  write(path: PathLike, options?: WriteStreamOptions | string): WriteStream;
}

const HIGH_WATER_MARK_BYTES = 65536;

type Done = (error?: Error | null) => void;

/** Tell a stream how a promise ended. */
function report<T>(
  promise: Promise<T>,
  done: (value: T) => void,
  failed: (error: Error) => void,
): void {
  promise.then(done, (error: unknown) => failed(error as Error));
}

/** The file that a stream is of: opened when it starts, closed when it is destroyed. */
class StreamFile {
  readonly #files: Files;
  readonly #path: Name;
  readonly #flags: number;
  readonly #mode: number;
  readonly #handle: HandleLike | null;
  readonly autoClose: boolean;
  fd: number | null;
  /** What is being read or written, which closing waits for. */
  busy: Promise<unknown> = Promise.resolve();

  constructor(files: Files, path: PathLike, options: StreamOptions, flags: string) {
    this.#files = files;
    const { fd = null, autoClose = true } = options;
    this.#handle = typeof fd === "object" ? fd : null;
    this.fd = fd === null ? null : toDescriptor(typeof fd === "object" ? fd.fd : fd);
    this.#path = this.fd === null ? toName(path) : "";
    this.#flags = toFlags(options.flags, flags);
    this.#mode = toMode(options.mode, "mode", 0o666);
    this.autoClose = autoClose;
  }

  open(stream: NodeStream, done: Done): void {
    if (this.fd !== null) return done();
    const opened = (fd: number) => {
      this.fd = fd;
      done();
      stream.emit("open", fd);
      stream.emit("ready");
    };
    report(this.#files.open(this.#path, this.#flags, this.#mode), opened, done);
  }

  /** @returns how many bytes those are */
  write(chunks: readonly Uint8Array[], position: number | null): Promise<number> {
    const writing = this.#write(chunks, position);
    this.busy = writing;
    return writing;
  }

  async #write(chunks: readonly Uint8Array[], position: number | null): Promise<number> {
    let total = 0;
    for (const chunk of chunks) {
      const at = position === null ? null : position + total;
      await this.#files.writeAll(this.fd!, chunk, at);
      total += chunk.length;
    }
    return total;
  }

  close(error: Error | null, done: Done): void {
    const { fd } = this;
    if (fd === null || !this.autoClose) return done(error);
    this.fd = null;
    report(
      this.#close(fd),
      () => done(error),
      (failure) => done(error ?? failure),
    );
  }

  async #close(fd: number): Promise<void> {
    await this.busy.catch(() => {});
    if (this.#handle) await this.#handle.close();
    else await this.#files.close(fd);
  }

  /** Let the stream end with the handle. */
  follow(stream: NodeStream): void {
    this.#handle?.on("close", () => {
      this.fd = null;
      stream.destroy();
    });
  }
}

function toStart(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  return toInteger(value, name, 0);
}

function toRange(options: ReadStreamOptions): { start: number | undefined; end: number } {
  const start = toStart(options.start, "start");
  const end =
    options.end === undefined || options.end === Infinity ? Infinity : toStart(options.end, "end")!;
  if (start !== undefined && start > end)
    throw rangeError("start", `<= "end" (here: ${end})`, start);
  return { start, end };
}

function checkFd(fd: StreamOptions["fd"]): void {
  if (typeof fd === "object" && fd !== null && typeof fd.fd !== "number")
    throw argumentTypeError("fd", "of type number or an instance of FileHandle", fd);
}

function makeReadStream(files: Files, module: StreamModule): ReadStreamClass {
  class ReadStream extends module.Readable {
    readonly path: string | Uint8Array;
    readonly flags: string | number;
    readonly mode: number | string;
    readonly start: number | undefined;
    readonly end: number;
    bytesRead = 0;
    #position: number | null;
    readonly #file: StreamFile;

    constructor(path: PathLike, given?: ReadStreamOptions | string) {
      const options = toOptions<ReadStreamOptions>(given, {});
      checkFd(options.fd);
      const { start, end } = toRange(options);
      const { highWaterMark = HIGH_WATER_MARK_BYTES, emitClose = true, encoding, signal } = options;
      const file = new StreamFile(files, path, options, "r");
      super({
        highWaterMark,
        emitClose,
        autoDestroy: options.autoClose ?? true,
        ...(encoding ? { encoding } : {}),
      });
      this.#file = file;
      this.path = path instanceof URL ? String(toName(path)) : path;
      this.flags = options.flags ?? "r";
      this.mode = options.mode ?? 0o666;
      this.start = start;
      this.end = end;
      this.#position = start ?? null;
      file.follow(this);
      // An aborted one ends the stream at once: it has to be whole by then.
      if (signal) module.addAbortSignal(signal, this);
    }

    get fd(): number | null {
      return this.#file.fd;
    }

    get pending(): boolean {
      return this.#file.fd === null;
    }

    get autoClose(): boolean {
      return this.#file.autoClose;
    }

    _construct(done: Done): void {
      this.#file.open(this, done);
    }

    _read(wanted: number): void {
      const left = this.end - (this.start ?? 0) + 1 - this.bytesRead;
      const length = Math.min(wanted, left);
      if (length <= 0) {
        this.push(null);
        return;
      }
      const part = allocate(length);
      const { fd } = this.#file;
      const reading = files.read(fd!, part, this.#position);
      this.#file.busy = reading;
      const read = (count: number) => {
        this.bytesRead += count;
        if (this.#position !== null) this.#position += count;
        this.push(count ? part.subarray(0, count) : null);
      };
      report(reading, read, (error) => this.destroy(error));
    }

    _destroy(error: Error | null, done: Done): void {
      this.#file.close(error, done);
    }

    close(callback?: Done): void {
      if (callback) module.finished(this, toFunction(callback, "cb"));
      this.destroy();
    }
  }
  return ReadStream;
}

function whenClosed(stream: NodeStream, callback: Done | undefined): void {
  if (!callback) return;
  toFunction(callback, "cb");
  if (stream.closed) queueMicrotask(() => callback());
  else {
    stream.once("close", () => callback());
    stream.once("error", callback);
  }
}

interface Chunk {
  readonly chunk: Uint8Array;
}

/** What a WriteStream is made with, checked. */
function toWritable(given: WriteStreamOptions | string | undefined) {
  const options = toOptions<WriteStreamOptions>(given, {});
  checkFd(options.fd);
  const start = toStart(options.start, "start");
  const { highWaterMark, emitClose = true, encoding } = options;
  const flush = toBoolean(options.flush, "options.flush");
  const flags = options.flags ?? (start === undefined ? "w" : "r+");
  const shape = {
    emitClose,
    decodeStrings: true,
    autoDestroy: options.autoClose ?? true,
    ...(highWaterMark === undefined ? {} : { highWaterMark }),
    ...(encoding ? { defaultEncoding: encoding } : {}),
  };
  return { options, start, flush, flags, shape };
}

function makeWriteStream(files: Files, module: StreamModule): WriteStreamClass {
  class WriteStream extends module.Writable {
    readonly path: string | Uint8Array;
    readonly flags: string | number;
    readonly mode: number | string;
    readonly start: number | undefined;
    readonly flush: boolean;
    bytesWritten = 0;
    #position: number | null;
    readonly #file: StreamFile;

    constructor(path: PathLike, given?: WriteStreamOptions | string) {
      const { options, start, flush, flags, shape } = toWritable(given);
      const { signal } = options;
      const file = new StreamFile(files, path, { ...options, flags }, "w");
      super(shape);
      this.#file = file;
      this.path = path instanceof URL ? String(toName(path)) : path;
      this.flags = flags;
      this.mode = options.mode ?? 0o666;
      this.start = start;
      this.flush = flush;
      this.#position = start ?? null;
      file.follow(this);
      // An aborted one ends the stream at once: it has to be whole by then.
      if (signal) module.addAbortSignal(signal, this);
    }

    get fd(): number | null {
      return this.#file.fd;
    }

    get pending(): boolean {
      return this.#file.fd === null;
    }

    get autoClose(): boolean {
      return this.#file.autoClose;
    }

    /** Of streams older than Node's today: what is written is written first. */
    destroySoon(): void {
      this.end();
    }

    _construct(done: Done): void {
      this.#file.open(this, done);
    }

    _write(chunk: Uint8Array, _encoding: string, done: Done): void {
      this.#write([chunk], done);
    }

    _writev(chunks: readonly Chunk[], done: Done): void {
      this.#write(
        chunks.map(({ chunk }) => chunk),
        done,
      );
    }

    #write(chunks: readonly Uint8Array[], done: Done): void {
      const written = (count: number) => {
        this.bytesWritten += count;
        if (this.#position !== null) this.#position += count;
        done();
      };
      report(this.#file.write(chunks, this.#position), written, done);
    }

    _final(done: Done): void {
      const { fd } = this.#file;
      if (!this.flush || fd === null) return done();
      report(files.fsync(fd), () => done(), done);
    }

    _destroy(error: Error | null, done: Done): void {
      this.#file.close(error, done);
    }

    close(callback?: Done): void {
      whenClosed(this, callback);
      this.end();
    }
  }
  return WriteStream;
}

/** Makes streams; their classes are made when the first is asked for. */
export class Streams implements StreamMaker {
  readonly #files: Files;
  #read: ReadStreamClass | undefined;
  #write: WriteStreamClass | undefined;

  constructor(files: Files) {
    this.#files = files;
  }

  #module(what: string): StreamModule {
    const found = streamModule();
    if (!found)
      throw unavailableError(
        what,
        "FileHandle.readableWebStream(), or fs.promises.writeFile() with an iterable",
        "this runtime has no node:stream",
      );
    return found;
  }

  get ReadStream(): ReadStreamClass {
    return (this.#read ??= makeReadStream(this.#files, this.#module("fs.ReadStream")));
  }

  get WriteStream(): WriteStreamClass {
    return (this.#write ??= makeWriteStream(this.#files, this.#module("fs.WriteStream")));
  }

  read(path: PathLike, options?: ReadStreamOptions | string): ReadStream {
    return new this.ReadStream(path, options);
  }

  write(path: PathLike, options?: WriteStreamOptions | string): WriteStream {
    return new this.WriteStream(path, options);
  }
}
