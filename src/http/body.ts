// A response's body: as it comes, checked for its end, and decoded.

import { pipeline, Readable } from "node:stream";
import type { Transform } from "node:stream";
import * as zlib from "node:zlib";

import { failure, HttpClientError } from "./errors.ts";
import type { Answer } from "./exchange.ts";
import { valueOf } from "./headers.ts";

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: zlib.createGunzip,
  "x-gzip": zlib.createGunzip,
  deflate: zlib.createInflate,
  br: zlib.createBrotliDecompress,
  // Not every runtime has it.
  ...(Reflect.has(zlib, "createZstdDecompress") && { zstd: zlib.createZstdDecompress }),
};

/** What is asked for of servers: RFC 9110, section 12.5.3. */
export const ACCEPTED: string = Object.keys(DECODERS)
  .filter((name) => !name.startsWith("x-"))
  .join(", ");

/** Told of a body. */
export interface BodyWatch {
  /** So many more bytes came. */
  received(bytes: number): void;
  /** Nothing more comes; whether it came whole. */
  ended(): void;
}

/** How many bytes a body has on its way, if the head says so. */
export function announcedBytes({ headers }: Pick<Answer, "headers">): number | null {
  const text = valueOf(headers, "content-length");
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : null;
}

const hasNone = (method: string, status: number): boolean =>
  method === "HEAD" || status === 204 || status === 304;

async function* checked(
  answer: Answer,
  method: string,
  url: string,
  watch: BodyWatch,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const { body, status } = answer;
  const expected = hasNone(method, status) ? 0 : announcedBytes(answer);
  let got = 0;
  const broken = (cause?: unknown) => {
    const of = expected === null ? "" : ` of ${expected}`;
    const message = `the body broke off after ${got}${of} bytes`;
    return new HttpClientError("body", "ERR_HTTP_TRUNCATED", url, message, cause);
  };
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      got += chunk.length;
      watch.received(chunk.length);
      yield chunk;
    }
    signal.throwIfAborted();
    if (!body.readableEnded || (expected !== null && got !== expected)) throw broken();
    await answer.released();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HttpClientError) throw error;
    throw broken(error);
  } finally {
    watch.ended();
  }
}

/** The encodings of a body that have to be undone, the last one first. */
function encodingsOf(answer: Answer): string[] {
  return (valueOf(answer.headers, "content-encoding") ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name && name !== "identity")
    .toReversed();
}

/** What is read by the user. @throws {HttpClientError} "encoding" of one that nobody knows */
export function bodyOf(
  answer: Answer,
  method: string,
  url: string,
  watch: BodyWatch,
  signal: AbortSignal,
  decompress: boolean,
): Readable {
  const source = Readable.from(checked(answer, method, url, watch, signal), { objectMode: false });
  // A generator that was never asked for anything does not notice that it is not wanted.
  source.once("close", () => {
    if (!answer.body.readableEnded) answer.body.destroy();
    watch.ended();
  });
  const encodings = decompress && !hasNone(method, answer.status) ? encodingsOf(answer) : [];
  const decoders = encodings.map((name) => {
    const make = DECODERS[name];
    if (make) return make();
    source.on("error", () => {}).destroy();
    throw new HttpClientError(
      "encoding",
      "ERR_HTTP_ENCODING",
      url,
      `the body is encoded as ${JSON.stringify(name)}, which is not known here`,
    );
  });
  let body: Readable = source;
  for (const decoder of decoders) {
    const before = body;
    body = Readable.from(decoded(before, decoder, url), { objectMode: false });
    body.once("close", () => void before.destroy());
  }
  return body;
}

/** Without bytes there is nothing to decode: responses to what has no content are like that. */
async function* decoded(source: Readable, decoder: Transform, url: string): AsyncGenerator<Buffer> {
  let empty = true;
  let broken: { readonly error: unknown } | null = null;
  const encoded = async function* (): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of source as AsyncIterable<Buffer>) {
        empty = false;
        yield chunk;
      }
    } catch (error) {
      broken = { error };
      throw error;
    }
  };
  pipeline(encoded, decoder, () => {});
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    if (broken) throw (broken as { readonly error: unknown }).error;
    if (!empty) throw failure("encoding", url, error);
  }
}
