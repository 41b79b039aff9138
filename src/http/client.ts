// Requests over the sockets of a kernel: connections that are kept, redirects, time limits.
//
// Invariants: every connection that stands is in #connections until it is closed; one that failed
// takes no more requests. A request that is over has no timer and no listener left.

import type { Readable } from "node:stream";

import { InvalidOptionError } from "../machine/errors.ts";
import type { TcpInfo } from "../net/index.ts";
import type { NodeSockets } from "../platform/node/index.ts";
import { DisposedError } from "../syscall/errors.ts";
import { ACCEPTED, bodyOf } from "./body.ts";
import type { BodyWatch } from "./body.ts";
import { abortable, dial } from "./dial.ts";
import type { DialOptions, TlsFacts } from "./dial.ts";
import { failure, HttpClientError } from "./errors.ts";
import { fieldsFor } from "./exchange.ts";
import type { Answer, HttpConnection } from "./exchange.ts";
import type { HeaderList } from "./headers.ts";
import { valueOf } from "./headers.ts";
import { Http1Connection } from "./http1.ts";
import { Http2Connection } from "./http2.ts";
import { isReplayable, isSecure, locationOf, planOf, redirected } from "./request.ts";
import type { Plan, RequestOptions } from "./request.ts";
import { REUSED, Stopwatch } from "./timing.ts";
import type { Timing } from "./timing.ts";

export type HttpClientOptions = DialOptions;

/** The connection that a response came by. */
export interface ConnectionFacts {
  /** Whether an earlier request had made it. */
  readonly reused: boolean;
  readonly local: { readonly address: string; readonly port: number };
  readonly remote: { readonly address: string; readonly port: number };
  /** Null without TLS. */
  readonly tls: TlsFacts | null;
  /** The congestion control that it has. */
  readonly congestion: string;
}

/** What a redirect's body may have to be read, and dropped, rather than a new connection made. */
const MAX_DROPPED_BYTES = 64 << 10;

/** A response: its head is there, its body comes as it is read. Read it, or dispose of it. */
export class HttpResponse implements AsyncDisposable {
  readonly #watch: Stopwatch;
  readonly #connection: HttpConnection;
  #receivedBytes = 0;
  /** Where it came from, after redirects. */
  readonly url: string;
  /** How many redirects led there. */
  readonly redirects: number;
  readonly version: Answer["version"];
  readonly status: number;
  /** What HTTP/1 says beside the status; "" with HTTP/2. */
  readonly reason: string;
  readonly headers: HeaderList;
  readonly connection: ConnectionFacts;
  /** What the server sent; with `decompress`, decoded. Ends by an {@link HttpClientError} if it breaks off. */
  readonly body: Readable;

  /** @internal */
  constructor(exchange: Exchange, plan: Plan, redirects: number, decompress: boolean) {
    const { answer, connection, reused, watch, deadline } = exchange;
    const { line } = connection;
    this.#watch = watch;
    this.#connection = connection;
    this.url = plan.url.href;
    this.redirects = redirects;
    this.version = answer.version;
    this.status = answer.status;
    this.reason = answer.reason;
    this.headers = answer.headers;
    const { local, remote, tls, congestion } = line;
    this.connection = { reused, local, remote, tls, congestion };
    const bodyWatch: BodyWatch = {
      received: (bytes) => (this.#receivedBytes += bytes),
      ended: () => {
        watch.ended();
        deadline.clear();
      },
    };
    const { method } = plan;
    this.body = bodyOf(answer, method, this.url, bodyWatch, deadline.signal, decompress);
    // Whoever does not read it is not told of its end.
    this.body.on("error", () => {});
  }

  /** A header field's value, by its name in any case; the first one's if there are several. */
  header(name: string): string | undefined {
    return valueOf(this.headers, name.toLowerCase());
  }

  /** Bytes of the body that have come, before they were decoded. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** What everything took; final when the body has ended. */
  get timing(): Timing {
    return this.#watch.timing;
  }

  /** What TCP knows of the connection now, or knew when it was closed. */
  tcpInfo(): Promise<TcpInfo | null> {
    return this.#connection.line.tcpInfo();
  }

  /** The whole body. @throws {HttpClientError} */
  async bytes(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.body as AsyncIterable<Buffer>) parts.push(part);
    return Buffer.concat(parts);
  }

  /** The whole body as UTF-8. @throws {HttpClientError} */
  async text(): Promise<string> {
    return (await this.bytes()).toString();
  }

  /** Without reading what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.body.closed) return;
    // However it ends: nobody reads it.
    const closed = new Promise<void>((resolve) => void this.body.once("close", () => resolve()));
    this.body.destroy();
    await closed;
  }
}

/** The time limits and the signal of one request, as one signal. */
class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #from: AbortSignal | undefined;
  readonly #abort = () => this.#controller.abort(this.#from?.reason);

  constructor(signal: AbortSignal | undefined, timeoutMs: number | undefined, reason: () => Error) {
    this.#from = signal;
    if (timeoutMs !== undefined)
      this.#timer = setTimeout(() => this.#controller.abort(reason()), timeoutMs);
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#from?.removeEventListener("abort", this.#abort);
  }
}

const tooLong = (url: string, what: string, ms: number): HttpClientError =>
  new HttpClientError("timeout", "ETIMEDOUT", url, `${what} took more than ${ms} ms`);

interface Exchange {
  readonly answer: Answer;
  readonly connection: HttpConnection;
  readonly reused: boolean;
  readonly watch: Stopwatch;
  readonly deadline: Deadline;
}

/**
 * HTTP/1.1 and HTTP/2 over the sockets of a kernel (`createSockets(process)`): node:http and node:http2
 * have the protocols, Linux has TCP. Connections are kept for further requests, until it is disposed of.
 */
export class HttpClient implements AsyncDisposable {
  readonly #sockets: NodeSockets;
  readonly #options: HttpClientOptions;
  /** By origin and version. */
  readonly #connections = new Map<string, Set<HttpConnection>>();
  /** Connections that are being made, and may come to be such for many requests. */
  readonly #coming = new Map<string, Promise<unknown>>();
  /** Where a connection is for one request at a time. */
  readonly #single = new Set<string>();
  /** Aborted when it is disposed of. */
  readonly #ending = new AbortController();

  /** @param sockets stay the caller's */
  constructor(sockets: NodeSockets, options: HttpClientOptions = {}) {
    const { family } = options;
    if (family !== undefined && family !== 4 && family !== 6)
      throw new InvalidOptionError("family", `${String(family)}: it is 4 or 6`);
    this.#sockets = sockets;
    this.#options = options;
  }

  /**
   * Send a request. Settles when the head of the response is there, whatever its status.
   *
   * @throws {InvalidOptionError} @throws {HttpClientError} whose `phase` says how far it came
   * @throws {DisposedError} @throws the signal's reason
   */
  async request(url: string | URL, options: RequestOptions = {}): Promise<HttpResponse> {
    this.#ending.signal.throwIfAborted();
    let plan = planOf(url, options);
    const { timeoutMs, maxRedirects = 0, decompress = false } = options;
    const watch = new Stopwatch();
    const signals = [this.#ending.signal, options.signal].filter((one) => one !== undefined);
    const deadline = new Deadline(AbortSignal.any(signals), timeoutMs, () =>
      tooLong(plan.url.href, "the request", timeoutMs ?? 0),
    );
    try {
      for (let redirects = 0; ; redirects++) {
        const exchange = await this.#exchange(plan, options, watch, deadline);
        const { answer } = exchange;
        const to = maxRedirects
          ? locationOf(plan, answer.status, valueOf(answer.headers, "location"))
          : null;
        if (!to) return new HttpResponse(exchange, plan, redirects, decompress);
        await drop(answer);
        if (redirects >= maxRedirects) throw tooMany(plan.url.href, maxRedirects);
        plan = redirected(plan, answer.status, to);
        watch.begin();
      }
    } catch (error) {
      deadline.clear();
      throw error;
    }
  }

  async #exchange(
    plan: Plan,
    options: RequestOptions,
    watch: Stopwatch,
    deadline: Deadline,
  ): Promise<Exchange> {
    const { onSent } = options;
    const fields = fieldsFor(plan, options.decompress ? ACCEPTED : null);
    const { signal } = deadline;
    for (let again = false; ;) {
      const kept = this.#kept(plan);
      const coming = kept ? undefined : this.#coming.get(keyOf(plan));
      if (coming) {
        await abortable(coming, signal);
        continue;
      }
      const connection = kept ?? (await this.#connectOnce(plan, options, signal));
      watch.ready(kept ? REUSED : connection.line.dialled);
      try {
        const answer = await connection.send({ plan, fields, onSent, signal });
        watch.answered();
        return { answer, connection, reused: kept !== null, watch, deadline };
      } catch (error) {
        signal.throwIfAborted();
        // A server may close what it has kept while a request is on its way: RFC 9112, section 9.3.1.
        again = !again && kept !== null && isLost(error) && isReplayable(plan.body);
        if (!again) throw failure("response", plan.url.href, error);
      }
    }
  }

  /** A connection that is there, and free. */
  #kept(plan: Plan): HttpConnection | null {
    const kept = this.#connections.get(keyOf(plan));
    return kept?.values().find(({ free }) => free) ?? null;
  }

  /** Others that want to go there wait, if it may be a connection for all of them. */
  async #connectOnce(
    plan: Plan,
    options: RequestOptions,
    signal: AbortSignal,
  ): Promise<HttpConnection> {
    const key = keyOf(plan);
    const connecting = this.#connect(plan, options, signal);
    const many = plan.version === "2" || (plan.version === null && isSecure(plan.url));
    if (!many || this.#single.has(key)) return connecting;
    const settled = connecting.catch(() => {}).then(() => this.#coming.delete(key));
    this.#coming.set(key, settled);
    return connecting;
  }

  async #connect(
    plan: Plan,
    { connectTimeoutMs }: RequestOptions,
    outer: AbortSignal,
  ): Promise<HttpConnection> {
    const { url, version } = plan;
    const limit = new Deadline(outer, connectTimeoutMs, () =>
      tooLong(url.href, "connecting", connectTimeoutMs ?? 0),
    );
    try {
      const line = await dial(this.#sockets, url, version, this.#options, limit.signal);
      if (line.protocol !== "h2") this.#single.add(keyOf(plan));
      const second = line.protocol === "h2" || (version === "2" && !isSecure(url));
      if (version === "2" && !second) {
        line.destroy();
        throw new HttpClientError("tls", "ERR_HTTP_VERSION", url.href, "the server has no HTTP/2");
      }
      const connection = second ? new Http2Connection(line, url) : new Http1Connection(line);
      this.#keep(keyOf(plan), connection);
      return connection;
    } finally {
      limit.clear();
    }
  }

  #keep(key: string, connection: HttpConnection): void {
    const kept = this.#connections.get(key) ?? new Set();
    this.#connections.set(key, kept.add(connection));
    void connection.line.closed.then(() => {
      kept.delete(connection);
      if (!kept.size && this.#connections.get(key) === kept) this.#connections.delete(key);
    });
  }

  /** Connections that stand. */
  get size(): number {
    return this.#connections.values().reduce((sum, { size }) => sum + size, 0);
  }

  /** Break off what is under way, and close all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new DisposedError("the HTTP client was disposed"));
    const all = [...this.#connections.values()].flatMap((kept) => Array.from(kept));
    for (const connection of all) connection.destroy();
    await Promise.all(all.map(({ line }) => line.closed));
  }
}

const keyOf = ({ url, version }: Plan): string => `${url.origin} ${version ?? "any"}`;

const isLost = (error: unknown): boolean =>
  ["ECONNRESET", "EPIPE", "ERR_HTTP2_GOAWAY_SESSION", "ERR_HTTP2_INVALID_SESSION"].includes(
    (error as { code?: string }).code ?? "",
  );

const tooMany = (url: string, count: number): HttpClientError =>
  new HttpClientError(
    "redirect",
    "ERR_HTTP_REDIRECTS",
    url,
    `more than ${count} redirects were not followed`,
  );

/** Read the body of a response that nobody wants, if that is quick; break it off if not. */
async function drop({ body, released }: Answer): Promise<void> {
  let got = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>)
      if ((got += chunk.length) > MAX_DROPPED_BYTES) return;
    await released();
  } catch {
    // What nobody wants may as well break off.
  }
}
