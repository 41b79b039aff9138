// Ranges of a file on a web server (RFC 9110, section 14), and whether it is still the same file.
//
// Invariants: #version is what the first answer said of the file, and every later answer agrees, or
// #failure is set and nothing is read any more: bytes of two versions are never mixed.

import { DiskError } from "./errors.ts";

export interface HttpRangesOptions {
  readonly fetch: typeof globalThis.fetch;
  readonly headers: HeadersInit;
  /** How long the server may stay silent, in milliseconds. */
  readonly timeoutMs: number;
  /** How often a request is sent again. */
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
}

/** What tells one version of the file from another. */
interface Version {
  readonly etag: string | null;
  readonly modified: string | null;
  readonly sizeBytes: number;
}

/** The pause before a request is sent again; twice as long before each further time. */
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 8000;

/** Another attempt may go better. */
class PassingError extends Error {
  /** How long the server wants to be left alone. */
  readonly pauseMs: number;

  constructor(message: string, pauseMs = 0) {
    super(message);
    this.pauseMs = pauseMs;
  }
}

/** A URL for messages: without what may be secret. */
function nameOf({ origin, pathname }: URL): string {
  return origin + pathname;
}

/** fetch() says only "fetch failed"; the reason is behind it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause, message } = error;
  return cause instanceof Error ? `${message}: ${cause.message || cause.name}` : message;
}

export class HttpRanges {
  /** The URL without its query. */
  readonly name: string;
  /** Requests sent. */
  requests = 0;
  /** Bytes of the file that were received. */
  receivedBytes = 0;
  readonly #url: URL;
  readonly #options: HttpRangesOptions;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  #version: Version | null = null;
  #failure: DiskError | null = null;

  constructor(url: URL, options: HttpRangesOptions) {
    this.name = nameOf(url);
    this.#url = url;
    this.#options = options;
    const { signal } = this.#ended;
    this.#signal = options.signal ? AbortSignal.any([signal, options.signal]) : signal;
  }

  /** The file's size. Known when the first answer has come. */
  get sizeBytes(): number {
    return this.#version?.sizeBytes ?? 0;
  }

  /** Why nothing can be read any more. */
  get failure(): DiskError | null {
    return this.#failure;
  }

  /** End all requests, also those under way. */
  end(): void {
    this.#ended.abort();
  }

  /**
   * Give the bytes of a range to `take`, in pieces and in order, as they arrive. A range that reaches
   * beyond the file's end is cut there. Sends a request again, for what is still missing, if the
   * network or the server fails in a way that may pass.
   */
  async read(start: number, end: number, take: (piece: Uint8Array) => void): Promise<void> {
    let at = start;
    const count = (piece: Uint8Array) => {
      at += piece.length;
      this.receivedBytes += piece.length;
      take(piece);
    };
    const { retries } = this.#options;
    for (let attempt = 0; at < (this.#version ? Math.min(end, this.sizeBytes) : end); attempt++) {
      if (this.#failure) throw this.#failure;
      try {
        await this.#attempt(at, end, count);
        if (this.sizeBytes === 0) return;
        attempt = -1;
      } catch (error) {
        if (this.#signal.aborted) throw this.#aborted();
        if (error instanceof DiskError) throw error;
        if (attempt >= retries) throw this.#exhausted(at, attempt + 1, error);
        const pauseMs = Math.max(
          FIRST_PAUSE_MS * 2 ** attempt,
          error instanceof PassingError ? error.pauseMs : 0,
        );
        await this.#pause(Math.min(MAX_PAUSE_MS, pauseMs));
      }
    }
  }

  /** One request. @throws {DiskError} if another would not help */
  async #attempt(start: number, end: number, take: (piece: Uint8Array) => void): Promise<void> {
    const { fetch, headers, timeoutMs } = this.#options;
    const silence = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(
        () => silence.abort(new PassingError(`the server was silent for ${timeoutMs} ms`)),
        timeoutMs,
      );
    };
    const sent = new Headers(headers);
    sent.set("Range", `bytes=${start}-${end - 1}`);
    // A range is of the file's own bytes. Pages may not say so, but browsers do it by themselves.
    sent.set("Accept-Encoding", "identity");
    const signal = AbortSignal.any([this.#signal, silence.signal]);
    listen();
    this.requests++;
    try {
      const response = await fetch(this.#url, { headers: sent, signal, cache: "no-store" });
      try {
        const expected = this.#check(response, start, end);
        await receive(response, expected, (piece) => {
          listen();
          take(piece);
        });
      } catch (error) {
        // Of an answer that is of no use no more is read.
        await response.body?.cancel().catch(() => {});
        throw error;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns how many bytes the answer's body has */
  #check(response: Response, start: number, end: number): number {
    const { status, headers } = response;
    this.#checkStatus(response);
    const range = headers.get("Content-Range");
    if (status === 416 && start === 0 && /^bytes \*\/0$/.test(range ?? "")) {
      this.#agree(headers, 0);
      return 0;
    }
    if (status === 416) throw this.#changed(`it ends before ${start} now`);
    if (status !== 206) {
      this.#agree(headers, this.#version?.sizeBytes ?? 0, this.#version !== null);
      throw this.#refuse(
        "ENODEV",
        `the server answers a request for a range with the whole file (${status}): download it first, ` +
          "or have it served by a server that supports ranges",
      );
    }
    const encoding = headers.get("Content-Encoding");
    if (encoding !== null && encoding !== "identity")
      throw this.#refuse("ENODEV", `the server compresses what it sends (${encoding})`);
    if (range === null)
      throw this.#refuse(
        "ENODEV",
        "the answer has no Content-Range; a page sees that of another origin only if the server sends " +
          "Access-Control-Expose-Headers: Content-Range, ETag",
      );
    const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range);
    const [first, last, size] = match?.slice(1).map(Number) ?? [];
    if (first !== start || !(last >= first && last < end && last < size))
      throw this.#refuse("EIO", `the server answers bytes ${start}-${end - 1} with "${range}"`);
    this.#agree(headers, size);
    return last + 1 - first;
  }

  #checkStatus({ status, statusText, headers }: Response): void {
    if (status === 206 || status === 200 || status === 416) return;
    const what = `the server answers ${status}${statusText ? ` ${statusText}` : ""}`;
    if (status === 404 || status === 410) throw this.#refuse("ENOENT", what);
    if (status === 401 || status === 403 || status === 407) throw this.#refuse("EACCES", what);
    if (status < 500 && status !== 408 && status !== 429) throw this.#refuse("EIO", what);
    const seconds = Number(headers.get("Retry-After") ?? 0);
    throw new PassingError(what, seconds > 0 ? seconds * 1000 : 0);
  }

  /** @throws {DiskError} if an answer is of another version than those before */
  #agree(headers: Headers, sizeBytes: number, known = true): void {
    const etag = headers.get("ETag");
    const modified = headers.get("Last-Modified");
    const version = this.#version;
    if (!version) {
      if (known) this.#version = { etag, modified, sizeBytes };
      return;
    }
    if (sizeBytes !== version.sizeBytes)
      throw this.#changed(`it has ${sizeBytes} bytes instead of ${version.sizeBytes}`);
    if (differ(etag, version.etag))
      throw this.#changed(`its ETag is ${etag} instead of ${version.etag}`);
    if (differ(modified, version.modified))
      throw this.#changed(`it was modified ${modified}, no longer ${version.modified}`);
  }

  #refuse(code: "EACCES" | "EIO" | "ENODEV" | "ENOENT", problem: string): DiskError {
    return new DiskError(code, problem, this.name);
  }

  #changed(how: string): DiskError {
    return (this.#failure = this.#refuse(
      "EIO",
      `the file has changed on the server while it was in use: ${how}; open it again`,
    ));
  }

  #exhausted(at: number, attempts: number, error: unknown): DiskError {
    const problem = `cannot be read from byte ${at} on: ${reasonOf(error)} (${attempts} attempts)`;
    return new DiskError("EIO", problem, this.name, error);
  }

  #aborted(): DiskError {
    if (this.#ended.signal.aborted)
      return new DiskError("EBADF", "this disk was closed", this.name);
    return new DiskError("EIO", "reading was aborted", this.name, this.#signal.reason);
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    const stop = () => resolve();
    this.#signal.addEventListener("abort", stop);
    await promise;
    this.#signal.removeEventListener("abort", stop);
    clearTimeout(timer);
    if (this.#signal.aborted) throw this.#aborted();
  }
}

function differ(now: string | null, before: string | null): boolean {
  return now !== null && before !== null && now !== before;
}

/** @throws {PassingError} if the body ends too early */
async function receive(
  response: Response,
  expected: number,
  take: (piece: Uint8Array) => void,
): Promise<void> {
  let left = expected;
  const reader = response.body?.getReader();
  try {
    while (left > 0) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || !value) throw new PassingError(`the answer breaks off ${left} bytes too early`);
      const piece = value.subarray(0, left);
      left -= piece.length;
      take(piece);
    }
  } finally {
    reader?.releaseLock();
  }
  await response.body?.cancel();
}
