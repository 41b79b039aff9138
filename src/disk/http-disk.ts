// A disk that is a file on a web server, read in ranges as they are needed.
//
// Invariants: a chunk is in #cache, the one used last at the end, or in #pending while it is being
// fetched, or in neither; nobody fetches what is in one of them. Failed chunks are in neither, so
// that a later read tries again. All chunks are of one version of the file.

import { InvalidOptionError } from "../machine/errors.ts";
import { checkBlockSize, checkRange, sizeOf } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";
import { HttpRanges } from "./http-ranges.ts";

/** What is fetched and kept at least. */
export const HTTP_CHUNK_BYTES = 65536;
/** What one request asks for at most. */
const MAX_REQUEST_BYTES = 4 << 20;
/** Requests under way at most: as many as browsers make to one server. */
const MAX_REQUESTS = 6;

export interface HttpDiskOptions {
  /** Default: the runtime's. */
  fetch?: typeof globalThis.fetch;
  /** Sent with every request, e.g. `Authorization`. */
  headers?: HeadersInit;
  /** Logical block size; 512 by default. */
  blockSizeBytes?: number;
  /** What is kept of what was read, at most; 16 MiB by default. */
  cacheBytes?: number;
  /** What is fetched ahead of someone who reads in order, at most; 1 MiB by default, 0 for nothing. */
  readAheadBytes?: number;
  /** How long the server may stay silent before a request has failed; 30 000 by default. */
  timeoutMs?: number;
  /** How often a request that failed is sent again, after pauses from 0.2 s to 8 s; 4 by default. */
  retries?: number;
  /** Ends opening, and reading with EIO. */
  signal?: AbortSignal;
}

/** A chunk that is being fetched. */
type Deferred = PromiseWithResolvers<Uint8Array>;

/** Read-only. Where the file ends within a block, zeroes fill that block. */
export class HttpDisk implements Disk, Disposable {
  readonly synchronous = false;
  readonly readOnly = true;
  readonly optimalTransferBytes = HTTP_CHUNK_BYTES;
  readonly blockSizeBytes: number;
  readonly sizeBytes: number;
  readonly #ranges: HttpRanges;
  readonly #cache = new Map<number, Uint8Array>();
  readonly #pending = new Map<number, Promise<Uint8Array>>();
  readonly #cacheChunks: number;
  readonly #aheadChunks: number;
  /** Downloads that wait for their turn. */
  readonly #waiting: (() => void)[] = [];
  #downloads = 0;
  /** Where someone who reads in order reads next, and how many chunks ahead of him to fetch. */
  #next = -1;
  #window = 0;
  #closed = false;

  /**
   * Ask the server for the file's start and size.
   *
   * @param url `http:` or `https:`; in a page relative to it. Messages name it without its query.
   * @throws {DiskError} ENOENT or EACCES as the server says; ENODEV if it has no ranges; EINVAL for
   *   what is no such URL; EIO if it cannot be reached
   * @throws {InvalidOptionError} and the signal's reason
   */
  static async open(url: string | URL, options: HttpDiskOptions = {}): Promise<HttpDisk> {
    const blockSizeBytes = checkBlockSize(options.blockSizeBytes ?? 512);
    const { signal } = options;
    signal?.throwIfAborted();
    const ranges = new HttpRanges(parse(url), {
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      headers: options.headers ?? {},
      timeoutMs: atLeast("timeoutMs", options.timeoutMs ?? 30_000, 1),
      retries: atLeast("retries", options.retries ?? 4, 0),
      signal,
    });
    const cacheBytes = atLeast("cacheBytes", options.cacheBytes ?? 16 << 20, HTTP_CHUNK_BYTES);
    const aheadBytes = atLeast("readAheadBytes", options.readAheadBytes ?? 1 << 20, 0);
    const start = new Uint8Array(HTTP_CHUNK_BYTES);
    let length = 0;
    try {
      await ranges.read(0, start.length, (piece) => {
        start.set(piece, length);
        length += piece.length;
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
    return new HttpDisk(ranges, { blockSizeBytes, cacheBytes, aheadBytes }, start.slice(0, length));
  }

  private constructor(
    ranges: HttpRanges,
    sizes: { blockSizeBytes: number; cacheBytes: number; aheadBytes: number },
    start: Uint8Array,
  ) {
    this.#ranges = ranges;
    this.blockSizeBytes = sizes.blockSizeBytes;
    this.sizeBytes = sizeOf(ranges.sizeBytes, this, ranges.name);
    this.#cacheChunks = Math.floor(sizes.cacheBytes / HTTP_CHUNK_BYTES);
    // What is fetched ahead must not drive out what is in use.
    const most = Math.min(sizes.aheadBytes, sizes.cacheBytes / 2);
    this.#aheadChunks = Math.floor(most / HTTP_CHUNK_BYTES);
    if (start.length) this.#cache.set(0, start);
  }

  /** The URL, without its query. */
  get path(): string {
    return this.#ranges.name;
  }

  /** How many requests were sent since it was opened. */
  get requests(): number {
    return this.#ranges.requests;
  }

  /** How many bytes of the file came over the network since it was opened. */
  get fetchedBytes(): number {
    return this.#ranges.receivedBytes;
  }

  /**
   * @throws {DiskError} EIO if the server cannot be reached or fails, for all `retries`; or from then
   *   on if the file has changed on the server
   */
  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    if (this.#closed) throw new DiskError("EBADF", "this disk was closed", this.path);
    checkRange(this, offsetBytes, into.length, this.path);
    if (this.#ranges.failure) throw this.#ranges.failure;
    const end = Math.min(offsetBytes + into.length, this.#ranges.sizeBytes);
    const first = Math.floor(offsetBytes / HTTP_CHUNK_BYTES);
    const last = Math.ceil(end / HTTP_CHUNK_BYTES);
    const chunks: (Uint8Array | Promise<Uint8Array>)[] = [];
    this.#want(first, last, this.#plan(offsetBytes, end));
    for (let n = first; n < last; n++) chunks.push(this.#cache.get(n) ?? this.#pending.get(n)!);
    for (let n = first; n < last; n++) {
      const bytes = await chunks[n - first];
      this.#touch(n, bytes);
      const at = n * HTTP_CHUNK_BYTES;
      const from = Math.max(0, offsetBytes - at);
      into.set(bytes.subarray(from, end - at), at + from - offsetBytes);
    }
    if (this.#closed) throw new DiskError("EBADF", "this disk was closed", this.path);
    into.fill(0, Math.max(0, end - offsetBytes));
  }

  async write(): Promise<void> {
    throw new DiskError("EROFS", "a file on a web server cannot be written", this.path);
  }

  async flush(): Promise<void> {}

  /** Ends requests that are under way. */
  close(): void {
    this.#closed = true;
    this.#ranges.end();
    this.#cache.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @returns how many chunks to fetch ahead: more and more as long as someone reads in order */
  #plan(offsetBytes: number, end: number): number {
    const inOrder = offsetBytes === this.#next;
    this.#next = end;
    this.#window = inOrder ? Math.min(this.#aheadChunks, Math.max(2, this.#window * 2)) : 0;
    return this.#window;
  }

  /** Have chunks fetched from `first` up to `last`, and up to `ahead` more. */
  #want(first: number, last: number, ahead: number): void {
    const count = Math.ceil(this.#ranges.sizeBytes / HTTP_CHUNK_BYTES);
    let until = Math.min(count, last + ahead);
    // Half of it still there is enough for now: fewer and larger requests.
    let next = last;
    while (next < until && this.#has(next)) next++;
    if (next - last > ahead / 2) until = last;
    for (let n = first; n < until; n++) {
      if (this.#has(n)) continue;
      const start = n;
      while (
        n + 1 < until &&
        !this.#has(n + 1) &&
        (n + 2 - start) * HTTP_CHUNK_BYTES <= MAX_REQUEST_BYTES
      )
        n++;
      void this.#download(start, n + 1);
    }
  }

  #has(n: number): boolean {
    return this.#cache.has(n) || this.#pending.has(n);
  }

  /** It was used last. */
  #touch(n: number, bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#cache.delete(n);
    this.#cache.set(n, bytes);
    for (const old of this.#cache.keys()) {
      if (this.#cache.size <= this.#cacheChunks) break;
      this.#cache.delete(old);
    }
  }

  /** Fetch chunks that nobody has. Settles in any case: each chunk's promise tells how it went. */
  async #download(first: number, last: number): Promise<void> {
    const parts = new Map<number, Deferred>();
    for (let n = first; n < last; n++) {
      const part: Deferred = Promise.withResolvers();
      // Nobody need wait for what is fetched ahead.
      part.promise.catch(() => {});
      parts.set(n, part);
      this.#pending.set(n, part.promise);
    }
    const finish = (n: number, bytes: Uint8Array) => {
      this.#pending.delete(n);
      this.#touch(n, bytes);
      parts.get(n)!.resolve(bytes);
      parts.delete(n);
    };
    try {
      await this.#turn();
      try {
        await this.#fill(first, last, finish);
      } finally {
        this.#downloads--;
        this.#waiting.shift()?.();
      }
    } catch (error) {
      for (const [n, part] of parts) {
        this.#pending.delete(n);
        part.reject(error);
      }
    }
  }

  async #turn(): Promise<void> {
    while (this.#downloads >= MAX_REQUESTS)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#downloads++;
  }

  async #fill(
    first: number,
    last: number,
    finish: (n: number, bytes: Uint8Array) => void,
  ): Promise<void> {
    const size = this.#ranges.sizeBytes;
    const end = Math.min(last * HTTP_CHUNK_BYTES, size);
    let n = first;
    let length = 0;
    let chunk = new Uint8Array(Math.min(HTTP_CHUNK_BYTES, size - n * HTTP_CHUNK_BYTES));
    await this.#ranges.read(first * HTTP_CHUNK_BYTES, end, (piece) => {
      for (let done = 0; done < piece.length;) {
        const part = piece.subarray(done, done + chunk.length - length);
        chunk.set(part, length);
        length += part.length;
        done += part.length;
        if (length < chunk.length) continue;
        finish(n++, chunk);
        length = 0;
        chunk = new Uint8Array(
          Math.min(HTTP_CHUNK_BYTES, Math.max(0, size - n * HTTP_CHUNK_BYTES)),
        );
      }
    });
  }
}

function parse(url: string | URL): URL {
  const { location } = globalThis as { location?: { href: string } };
  let parsed: URL;
  try {
    parsed = new URL(url, location?.href);
  } catch (cause) {
    throw new DiskError("EINVAL", "is no URL", String(url), cause);
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    throw new DiskError("EINVAL", "is no URL of the kind http: or https:", String(url));
  if (parsed.username || parsed.password)
    throw new DiskError(
      "EINVAL",
      "user and password do not belong into the URL: send them in the header Authorization",
      parsed.origin + parsed.pathname,
    );
  return parsed;
}

function atLeast(option: string, value: number, least: number): number {
  if (Number.isFinite(value) && value >= least) return value;
  throw new InvalidOptionError(option, `${value}: it is a number from ${least} on`);
}
