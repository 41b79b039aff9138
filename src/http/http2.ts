// HTTP/2 on a connection, by node:http2: many requests at once.

import { once } from "node:events";
import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { constants as os } from "node:os";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";

import type { Line } from "./dial.ts";
import { failure } from "./errors.ts";
import { MAX_HEAD_BYTES, streamOf } from "./exchange.ts";
import type { Answer, HttpConnection, Sending } from "./exchange.ts";
import { pairsOf } from "./headers.ts";

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;
/** What may be on its way, or wait to be read: of one response, and of all on a connection. */
const WINDOW_BYTES = 4 << 20;
const CONNECTION_WINDOW_BYTES = 16 << 20;
/** What waits here of it, beside the window. */
const BUFFER_BYTES = 256 << 10;
/** What concerns HTTP/1 connections only: RFC 9113, section 8.2.2. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);
const MAX_FIELDS = 2000;

/**
 * What a stream receives. A server that has answered may reset what is still being sent to it, with no
 * error (RFC 9113, section 8.1), and Node closes the stream at once: read from the start, nothing is
 * lost. A stream whose connection is gone ends for Node as if it were whole.
 *
 * @param gone whether the connection is
 */
function bodyOf(stream: ClientHttp2Stream, gone: () => boolean): PassThrough {
  const body = new PassThrough({ highWaterMark: BUFFER_BYTES });
  let left: number | null = null;
  stream.once("response", (headers) => {
    const length = Number(headers["content-length"] ?? NaN);
    left = Number.isInteger(length) ? length : null;
  });
  stream.on("data", (chunk: Buffer) => {
    if (left !== null) left -= chunk.length;
    if (!body.write(chunk)) stream.pause();
  });
  const finish = (): void => {
    if (stream.rstCode === NGHTTP2_NO_ERROR && (left === 0 || !gone())) body.end();
    else body.destroy(stream.errored ?? new Error(`the server ended it (${stream.rstCode})`));
  };
  stream.once("end", finish).once("close", finish);
  body.on("error", () => {}).on("drain", () => stream.resume());
  body.once("close", () => {
    if (!body.readableEnded) stream.close(NGHTTP2_CANCEL);
  });
  return body;
}

interface StreamWrapper {
  doWrite?: (request: unknown, buffers: unknown) => number;
}

/**
 * Node wraps streams that are not its own sockets. The wrapper takes one write at a time, and asserts
 * that where nobody can catch it; but a session that ends by an error of the protocol may write twice.
 * Then its last word is lost instead.
 */
function guard(session: ClientHttp2Session): void {
  const wrapper = session.socket as StreamWrapper;
  const write = wrapper.doWrite;
  if (typeof write !== "function") return;
  wrapper.doWrite = (request, buffers) => {
    try {
      return write(request, buffers);
    } catch {
      return -os.errno.EPIPE;
    }
  };
}

export class Http2Connection implements HttpConnection {
  readonly line: Line;
  readonly #session: ClientHttp2Session;
  #failure: Error | null = null;

  constructor(line: Line, url: URL) {
    this.line = line;
    this.#session = connect(url.origin, {
      createConnection: () => line.stream,
      maxHeaderListPairs: MAX_FIELDS,
      settings: {
        enablePush: false,
        initialWindowSize: WINDOW_BYTES,
        maxHeaderListSize: MAX_HEAD_BYTES,
      },
    });
    guard(this.#session);
    this.#session.once("connect", () => this.#session.setLocalWindowSize(CONNECTION_WINDOW_BYTES));
    this.#session.on("error", (error) => (this.#failure ??= error));
    this.#session.on("goaway", (code) => {
      if (code) this.#failure ??= new Error(`the server ended the connection (GOAWAY ${code})`);
    });
  }

  get free(): boolean {
    return !this.#session.closed && !this.#session.destroyed && this.line.usable;
  }

  async send({ plan, fields, onSent, signal }: Sending): Promise<Answer> {
    const { url, method, body } = plan;
    const headers: Record<string, string | string[]> = {
      ":method": method,
      ":scheme": url.protocol.slice(0, -1),
      ":authority": plan.fields.get("host")?.values[0] ?? url.host,
      ":path": url.pathname + url.search,
    };
    for (const [field, value] of fields) {
      const name = field.toLowerCase();
      if (OF_CONNECTION.has(name)) continue;
      const before = headers[name];
      headers[name] = before === undefined ? value : [before, value].flat();
    }
    const stream = this.#session.request(headers, { endStream: body === undefined });
    const abort = () => stream.close(NGHTTP2_CANCEL);
    signal.addEventListener("abort", abort, { once: true });
    stream.once("close", () => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
    const gone = () => this.#session.destroyed || !this.line.stream.readable;
    const source = body === undefined ? null : streamOf(body, onSent);
    // Whoever answers before having read everything has no use for the rest.
    if (source) pipeline(source, stream).catch(() => {});
    try {
      return await this.#answer(stream, bodyOf(stream, gone));
    } catch (error) {
      // If what is to be sent could not be read, that is why.
      throw source?.errored ? failure("request", url.href, source.errored) : error;
    }
  }

  async #answer(stream: ClientHttp2Stream, body: PassThrough): Promise<Answer> {
    const answered = once(stream, "response");
    const closed = once(stream, "close").then(() => {
      throw (
        this.#failure ??
        stream.errored ??
        new Error(`the server reset the request (${stream.rstCode})`)
      );
    });
    const [headers, , raw] = (await Promise.race([answered, closed])) as [
      IncomingHttpHeaders & { ":status": number },
      number,
      string[],
    ];
    stream.on("error", () => {});
    return {
      version: "2",
      status: headers[":status"],
      reason: "",
      headers: pairsOf(raw).filter(([name]) => !name.startsWith(":")),
      body,
      released: async () => {},
    };
  }

  destroy(): void {
    this.#session.destroy();
    this.line.destroy();
  }
}
