// An open file, as FileHandle of node:fs/promises.
//
// Invariants: `fd` is −1 from close() on, and nothing begins any more then; the descriptor is closed
// when what had begun before is done. Who makes one closes it: it is not closed when it is garbage.

import {
  checkSignal,
  toBag,
  toBoolean,
  toEncoding,
  toInteger,
  toMode,
  toOptions,
  toOwner,
  toSeconds,
  viewList,
} from "./arguments.ts";
import type { Mode, Time } from "./arguments.ts";
import { checkReadTarget, readWhole, throwIfAborted, toContents, writeWhole } from "./contents.ts";
import type { Contents, ReadTarget } from "./contents.ts";
import { Emitter } from "./emitter.ts";
import { decode } from "./encoding.ts";
import { closedError } from "./errors.ts";
import type { Files } from "./files.ts";
import { readLines } from "./lines.ts";
import type { LinesOptions } from "./lines.ts";
import type { Bytes } from "./runtime.ts";
import { BigIntStats, Stats } from "./stats.ts";
import type {
  ReadStream,
  ReadStreamOptions,
  StreamMaker,
  WriteStream,
  WriteStreamOptions,
} from "./streams.ts";
import { toReading, toTextWriting, toWriting } from "./transfers.ts";
import type { Position, ReadOptions, WriteOptions } from "./transfers.ts";

const WEB_CHUNK_BYTES = 65536;

export interface ContentOptions {
  readonly encoding?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadWholeOptions extends ContentOptions {
  /** What to read into; default: bytes of its own. */
  readonly buffer?: ReadTarget | undefined;
}

export interface StatOptions<B extends boolean | undefined = boolean | undefined> {
  readonly bigint?: B;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadResult<B> {
  readonly bytesRead: number;
  readonly buffer: B;
}

export interface WriteResult<B> {
  readonly bytesWritten: number;
  readonly buffer: B;
}

/** A file that is open. */
export class FileHandle extends Emitter {
  readonly #files: Files;
  readonly #streams: StreamMaker;
  #fd: number;
  #closing: Promise<void> | null = null;
  /** How many calls are under way; closing waits for them. */
  #uses = 0;
  #unused: PromiseWithResolvers<void> | null = null;

  /** @internal Use `fs.promises.open()`. */
  constructor(files: Files, streams: StreamMaker, fd: number) {
    super();
    this.#files = files;
    this.#streams = streams;
    this.#fd = fd;
  }

  /** The kernel's descriptor, of the process of the fs object; −1 once it is closed. */
  get fd(): number {
    return this.#fd;
  }

  #expectOpen(syscall: string): void {
    if (this.#fd < 0) throw closedError(syscall);
  }

  /** Do something with the descriptor, which stays open as long. */
  async #use<T>(syscall: string, work: (fd: number) => Promise<T>): Promise<T> {
    this.#expectOpen(syscall);
    this.#uses++;
    try {
      return await work(this.#fd);
    } finally {
      if (!--this.#uses) this.#unused?.resolve();
    }
  }

  /** Read from `position`, or from where the file is if it is null. */
  read<B extends ArrayBufferView = Bytes>(
    buffer: B,
    offset?: number | null,
    length?: number | null,
    position?: Position,
  ): Promise<ReadResult<B>>;
  read<B extends ArrayBufferView = Bytes>(buffer: B, options?: ReadOptions): Promise<ReadResult<B>>;
  read<B extends ArrayBufferView = Bytes>(options?: ReadOptions<B>): Promise<ReadResult<B>>;
  async read(...args: Parameters<typeof toReading>): Promise<ReadResult<ArrayBufferView>> {
    this.#expectOpen("read");
    const { given, part, position } = toReading(...args);
    if (!part.length) return { bytesRead: 0, buffer: given };
    const bytesRead = await this.#use("read", (fd) => this.#files.read(fd, part, position));
    return { bytesRead, buffer: given };
  }

  /** Fill several views one after the other. */
  async readv<B extends readonly ArrayBufferView[]>(
    buffers: B,
    position?: number | null,
  ): Promise<{ bytesRead: number; buffers: B }> {
    const parts = viewList(buffers);
    const bytesRead = await this.#use("readv", (fd) => this.#files.readv(fd, parts, position));
    return { bytesRead, buffers };
  }

  /** Write bytes, or text. Parallel calls without a position may mix. */
  write<B extends ArrayBufferView>(
    buffer: B,
    offset?: number | null,
    length?: number | null,
    position?: number | null,
  ): Promise<WriteResult<B>>;
  write<B extends ArrayBufferView>(buffer: B, options?: WriteOptions): Promise<WriteResult<B>>;
  write(
    text: string,
    position?: number | null,
    encoding?: string | null,
  ): Promise<WriteResult<string>>;
  async write(
    data: ArrayBufferView | string,
    second?: unknown,
    third?: unknown,
    fourth?: number | null,
  ): Promise<WriteResult<unknown>> {
    this.#expectOpen("write");
    const { bytes, position } =
      typeof data === "string"
        ? toTextWriting(data, second, third as string)
        : toWriting(data, second, third as number, fourth);
    if (!bytes.length) return { bytesWritten: 0, buffer: data };
    const bytesWritten = await this.#use("write", (fd) => this.#files.write(fd, bytes, position));
    return { bytesWritten, buffer: data };
  }

  async writev<B extends readonly ArrayBufferView[]>(
    buffers: B,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffers: B }> {
    const parts = viewList(buffers);
    const bytesWritten = await this.#use("writev", (fd) => this.#files.writev(fd, parts, position));
    return { bytesWritten, buffers };
  }

  /** All from where the file is to the end. */
  readFile(
    options?: (ReadWholeOptions & { readonly encoding?: null | "buffer" | undefined }) | null,
  ): Promise<Bytes>;
  readFile(options: string | (ReadWholeOptions & { readonly encoding: string })): Promise<string>;
  readFile(options?: ReadWholeOptions | string | null): Promise<Bytes | string>;
  async readFile(options?: ReadWholeOptions | string | null): Promise<Bytes | string> {
    const { encoding, signal, buffer } = toOptions<ReadWholeOptions>(options, {});
    const known = toEncoding(encoding);
    checkReadTarget(buffer);
    const bytes = await this.#use("readFile", (fd) => readWhole(this.#files, fd, signal, buffer));
    return known === undefined || known === "buffer" ? bytes : decode(bytes, known);
  }

  /** Write from where the file is on. */
  async writeFile(data: Contents, options?: ContentOptions | string | null): Promise<void> {
    const { encoding, signal } = toOptions<ContentOptions>(options, {});
    const known = toEncoding(encoding);
    const contents = toContents(data);
    const text = known === "buffer" ? "utf8" : known;
    await this.#use("writeFile", (fd) => writeWhole(this.#files, fd, contents, text, signal));
  }

  appendFile(data: Contents, options?: ContentOptions | string | null): Promise<void> {
    return this.writeFile(data, options);
  }

  stat(options?: StatOptions<false | undefined>): Promise<Stats>;
  stat(options: StatOptions<true>): Promise<BigIntStats>;
  stat(options?: StatOptions): Promise<Stats | BigIntStats>;
  async stat(options: StatOptions = {}): Promise<Stats | BigIntStats> {
    const { bigint, signal } = toBag<StatOptions>(options);
    checkSignal(signal);
    throwIfAborted(signal);
    return this.#use<Stats | BigIntStats>("fstat", (fd) =>
      bigint
        ? this.#files.fstat(fd, (view) => new BigIntStats(view), signal)
        : this.#files.fstat(fd, (view) => new Stats(view), signal),
    );
  }

  /** @param length in bytes; the file grows by zeroes */
  async truncate(length = 0): Promise<void> {
    const size = toInteger(length, "len");
    await this.#use("ftruncate", (fd) => this.#files.ftruncate(fd, size));
  }

  async datasync(): Promise<void> {
    await this.#use("fdatasync", (fd) => this.#files.fdatasync(fd));
  }

  async sync(): Promise<void> {
    await this.#use("fsync", (fd) => this.#files.fsync(fd));
  }

  async utimes(atime: Time, mtime: Time): Promise<void> {
    const [accessed, modified] = [toSeconds(atime, "atime"), toSeconds(mtime, "mtime")];
    await this.#use("futime", (fd) => this.#files.futimes(fd, accessed, modified));
  }

  async chmod(mode: Mode): Promise<void> {
    const bits = toMode(mode);
    await this.#use("fchmod", (fd) => this.#files.fchmod(fd, bits));
  }

  async chown(uid: number, gid: number): Promise<void> {
    const [user, group] = [toOwner(uid, "uid"), toOwner(gid, "gid")];
    await this.#use("fchown", (fd) => this.#files.fchown(fd, user, group));
  }

  /** The lines, without their ends; closes the file at the end unless told not to. */
  readLines(options: LinesOptions = {}): AsyncGenerator<string, void, undefined> {
    this.#expectOpen("readLines");
    return readLines(this, options);
  }

  /** A stream of bytes of the web's kind, in every runtime. */
  readableWebStream(
    options: { readonly autoClose?: boolean | undefined } = {},
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const autoClose = toBoolean(options.autoClose, "options.autoClose");
    this.#expectOpen("readableWebStream");
    const finish = () => (autoClose ? this.close() : Promise.resolve());
    return new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: WEB_CHUNK_BYTES,
      pull: async (controller) => {
        const { byobRequest } = controller;
        // With autoAllocateChunkSize there is always one.
        const view = byobRequest!.view as Uint8Array<ArrayBuffer>;
        const { bytesRead } = await this.read(view);
        if (!bytesRead) {
          controller.close();
          byobRequest!.respond(0);
          await finish();
        } else byobRequest!.respond(bytesRead);
      },
      cancel: finish,
    });
  }

  createReadStream(options: ReadStreamOptions = {}): ReadStream {
    return this.#streams.read("", { ...options, fd: this });
  }

  createWriteStream(options: WriteStreamOptions = {}): WriteStream {
    return this.#streams.write("", { ...options, fd: this });
  }

  /** Close it; a second time nothing happens. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = -1;
    if (this.#uses) {
      this.#unused = Promise.withResolvers();
      await this.#unused.promise;
    }
    await this.#files.close(fd);
    this.emit("close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
