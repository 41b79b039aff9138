// HTTP/1.1 on a connection, by node:http: one request at a time, and another one after it.

import { Agent, request as httpRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";

import type { Line } from "./dial.ts";
import { failure } from "./errors.ts";
import { MAX_HEAD_BYTES, streamOf } from "./exchange.ts";
import type { Answer, HttpConnection, Sending } from "./exchange.ts";
import { pairsOf } from "./headers.ts";
import type { HeaderList } from "./headers.ts";
import { hostOf, lengthOf, portOf } from "./request.ts";
import type { Plan } from "./request.ts";

/** An agent whose only socket is there already. */
class LineAgent extends Agent {
  readonly #line: Line;

  constructor(line: Line) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#line = line;
  }

  override createConnection(): Line["stream"] {
    return this.#line.stream;
  }
}

/** As node:http takes them: several values of a name are a list. */
function headersOf(fields: HeaderList): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of fields) {
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

export class Http1Connection implements HttpConnection {
  readonly line: Line;
  readonly #agent: LineAgent;
  /** From the start on: it was made for a request. */
  #busy = true;

  constructor(line: Line) {
    this.line = line;
    this.#agent = new LineAgent(line);
  }

  get free(): boolean {
    return !this.#busy && this.line.usable;
  }

  async send({ plan, fields, onSent, signal }: Sending): Promise<Answer> {
    const { url, method, body } = plan;
    const headers = headersOf(plan.fields.has("host") ? fields : [["Host", url.host], ...fields]);
    this.#busy = true;
    const request = httpRequest({
      agent: this.#agent,
      host: hostOf(url),
      port: portOf(url),
      path: url.pathname + url.search,
      method,
      headers,
      setHost: false,
      maxHeaderSize: MAX_HEAD_BYTES,
    });
    let left = (body === undefined ? null : lengthOf(body)) ?? Infinity;
    const count = (bytes: number): void => {
      left -= bytes;
      onSent?.(bytes);
    };
    const closed = new Promise<void>((resolve) => {
      request.once("close", () => {
        this.#busy = false;
        resolve();
      });
    });
    let message: IncomingMessage;
    try {
      message = await this.#exchange(request, plan, count, signal);
    } catch (error) {
      this.destroy();
      throw error;
    }
    return {
      version: message.httpVersion === "1.0" ? "1.0" : "1.1",
      status: message.statusCode ?? 0,
      reason: message.statusMessage ?? "",
      headers: pairsOf(message.rawHeaders),
      body: message,
      // A server may answer without reading all of the request: that is not waited for.
      released: () => (request.writableEnded || left <= 0 ? closed : Promise.resolve()),
    };
  }

  async #exchange(
    request: ClientRequest,
    { url, body }: Plan,
    onSent: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const source = body === undefined ? null : streamOf(body, onSent);
    const abort = () => void request.destroy(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    request.once("close", () => signal.removeEventListener("abort", abort));
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      request.once("response", resolve);
      // If what is to be sent could not be read, that is why.
      request.on("error", (error) =>
        reject(source?.errored ? failure("request", url.href, source.errored) : error),
      );
      request.once("close", () => reject(new Error("the server closed the connection")));
    });
    if (signal.aborted) abort();
    // A server may answer, or hang up, before it has read everything: then there is a response, or an error.
    if (source) pipeline(source, request).catch(() => {});
    else request.end();
    return answered;
  }

  destroy(): void {
    this.#agent.destroy();
    this.line.destroy();
  }
}
