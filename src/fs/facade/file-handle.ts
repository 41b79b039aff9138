// An open file, as FileHandle of node:fs/promises.
//
// Invariants: `fd` is −1 from close() on, and nothing is done any more then. Who makes one closes it:
// it is not closed when it is garbage.

import {
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
import { readWhole, toContents, writeWhole } from "./contents.ts";
import type { Contents } from "./contents.ts";
import { Emitter } from "./emitter.ts";
import { decode } from "./encoding.ts";
import { closedError } from "./errors.ts";
import type { Files } from "./files.ts";
import { readLines } from "./lines.ts";
import type { LinesOptions } from "./lines.ts";
import type { Bytes, NodeStream, NodeWritable } from "./runtime.ts";
import { BigIntStats, Stats } from "./stats.ts";
import type { ReadStreamOptions, StreamMaker, WriteStreamOptions } from "./streams.ts";
import { toReading, toTextWriting, toWriting } from "./transfers.ts";
import type { Position, ReadOptions, WriteOptions } from "./transfers.ts";

const WEB_CHUNK_BYTES = 65536;

export interface ContentOptions {
  readonly encoding?: string | null;
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

  #open(syscall: string): number {
    if (this.#fd < 0) throw closedError(syscall);
    return this.#fd;
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
    const fd = this.#open("read");
    const { given, part, position } = toReading(...args);
    const bytesRead = part.length ? await this.#files.read(fd, part, position) : 0;
    return { bytesRead, buffer: given };
  }

  /** Fill several views one after the other. */
  async readv<B extends readonly ArrayBufferView[]>(
    buffers: B,
    position?: number | null,
  ): Promise<{ bytesRead: number; buffers: B }> {
    const fd = this.#open("readv");
    return { bytesRead: await this.#files.readv(fd, viewList(buffers), position), buffers };
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
    const fd = this.#open("write");
    if (typeof data === "string") {
      const { bytes, position } = toTextWriting(data, second, third as string);
      return { bytesWritten: await this.#files.write(fd, bytes, position), buffer: data };
    }
    const { part, position } = toWriting(data, second, third as number, fourth);
    const bytesWritten = part.length ? await this.#files.write(fd, part, position) : 0;
    return { bytesWritten, buffer: data };
  }

  async writev<B extends readonly ArrayBufferView[]>(
    buffers: B,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffers: B }> {
    const fd = this.#open("writev");
    return { bytesWritten: await this.#files.writev(fd, viewList(buffers), position), buffers };
  }

  /** All from where the file is to the end. */
  readFile(
    options?: (ContentOptions & { readonly encoding?: null | "buffer" }) | null,
  ): Promise<Bytes>;
  readFile(options: string | (ContentOptions & { readonly encoding: string })): Promise<string>;
  async readFile(options?: ContentOptions | string | null): Promise<Bytes | string> {
    const { encoding, signal } = toOptions<ContentOptions>(options, {});
    const known = toEncoding(encoding);
    const bytes = await readWhole(this.#files, this.#open("readFile"), signal);
    return known === undefined || known === "buffer" ? bytes : decode(bytes, known);
  }

  /** Write from where the file is on. */
  async writeFile(data: Contents, options?: ContentOptions | string | null): Promise<void> {
    const { encoding, signal } = toOptions<ContentOptions>(options, {});
    const known = toEncoding(encoding);
    const contents = toContents(data);
    const fd = this.#open("writeFile");
    await writeWhole(this.#files, fd, contents, known === "buffer" ? "utf8" : known, signal);
  }

  appendFile(data: Contents, options?: ContentOptions | string | null): Promise<void> {
    return this.writeFile(data, options);
  }

  stat(options?: { readonly bigint?: false | undefined }): Promise<Stats>;
  stat(options: { readonly bigint: true }): Promise<BigIntStats>;
  async stat(options: { readonly bigint?: boolean | undefined } = {}) {
    const { bigint } = toBag<{ bigint: boolean }>(options);
    const fd = this.#open("fstat");
    return bigint
      ? this.#files.fstat(fd, (view) => new BigIntStats(view))
      : this.#files.fstat(fd, (view) => new Stats(view));
  }

  /** @param length in bytes; the file grows by zeroes */
  async truncate(length = 0): Promise<void> {
    const size = toInteger(length, "len");
    await this.#files.ftruncate(this.#open("ftruncate"), size);
  }

  async datasync(): Promise<void> {
    await this.#files.fdatasync(this.#open("fdatasync"));
  }

  async sync(): Promise<void> {
    await this.#files.fsync(this.#open("fsync"));
  }

  async utimes(atime: Time, mtime: Time): Promise<void> {
    const [accessed, modified] = [toSeconds(atime, "atime"), toSeconds(mtime, "mtime")];
    await this.#files.futimes(this.#open("futime"), accessed, modified);
  }

  async chmod(mode: Mode): Promise<void> {
    const bits = toMode(mode);
    await this.#files.fchmod(this.#open("fchmod"), bits);
  }

  async chown(uid: number, gid: number): Promise<void> {
    const [user, group] = [toOwner(uid, "uid"), toOwner(gid, "gid")];
    await this.#files.fchown(this.#open("fchown"), user, group);
  }

  /** The lines, without their ends; closes the file at the end unless told not to. */
  readLines(options: LinesOptions = {}): AsyncGenerator<string, void, undefined> {
    this.#open("readLines");
    return readLines(this, options);
  }

  /** A stream of bytes of the web's kind, in every runtime. */
  readableWebStream(
    options: { readonly autoClose?: boolean } = {},
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const autoClose = toBoolean(options.autoClose, "options.autoClose");
    this.#open("readableWebStream");
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

  createReadStream(options: ReadStreamOptions = {}): NodeStream {
    return this.#streams.read("", { ...options, fd: this });
  }

  createWriteStream(options: WriteStreamOptions = {}): NodeWritable {
    return this.#streams.write("", { ...options, fd: this });
  }

  /** Close it; a second time nothing happens. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = -1;
    await this.#files.close(fd);
    this.emit("close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
