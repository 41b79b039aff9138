// HTTP/2 on a connection, by node:http2: many requests at once.

import { once } from "node:events";
import { connect, constants } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { PassThrough, pipeline as streamPipeline } from "node:stream";
import { pipeline } from "node:stream/promises";

import type { Line } from "./dial.ts";
import { MAX_HEAD_BYTES, streamOf } from "./exchange.ts";
import type { Answer, HttpConnection, Sending } from "./exchange.ts";
import { pairsOf } from "./headers.ts";

const { NGHTTP2_CANCEL } = constants;
/** What a stream may send before it is read. */
const WINDOW_BYTES = 1 << 20;
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
    if (body !== undefined) {
      const source = streamOf(body, onSent);
      pipeline(source, stream).catch((error: unknown) => {
        if (source.errored) stream.destroy(error as Error);
      });
    }
    // Read from the start: a stream that is closed before anybody reads it seems broken off.
    const whole = new PassThrough({ highWaterMark: WINDOW_BYTES });
    streamPipeline(stream, whole, () => {});
    return this.#answer(stream, whole);
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

  close(): void {
    if (this.#session.destroyed) this.line.destroy();
    else this.#session.close(() => this.line.destroy());
  }
}
