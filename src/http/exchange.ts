// A request on a connection, and the response to it: what HTTP/1.1 and HTTP/2 have in common.

import { Readable } from "node:stream";

import type { Line } from "./dial.ts";
import type { HeaderList } from "./headers.ts";
import { lengthOf } from "./request.ts";
import type { Plan, RequestBody } from "./request.ts";

/** The head of a response may have so many bytes. */
export const MAX_HEAD_BYTES = 256 << 10;

/** What came back. */
export interface Answer {
  readonly version: "1.0" | "1.1" | "2";
  readonly status: number;
  /** What HTTP/1 says beside it. */
  readonly reason: string;
  readonly headers: HeaderList;
  /** As it came, encoded maybe. Ends by an error if it breaks off. */
  readonly body: Readable;
  /** Settles, once the body has ended, when the connection takes the next request. */
  readonly released: () => Promise<void>;
}

export interface Sending {
  readonly plan: Plan;
  /** What is sent of header fields, without those of the protocol's own. */
  readonly fields: HeaderList;
  readonly onSent?: ((bytes: number) => void) | undefined;
  readonly signal: AbortSignal;
}

/** A connection that takes requests. */
export interface HttpConnection {
  readonly line: Line;
  /** Whether another request can be sent now. */
  readonly free: boolean;
  /** @throws whatever ended it @throws the signal's reason */
  send(sending: Sending): Promise<Answer>;
  /** Break off what is under way, and close. */
  destroy(): void;
}

/** Header fields of a request: the client's, unless the user has others or wants none. */
export function fieldsFor({ fields, body }: Plan, accepted: string | null): HeaderList {
  const length = body === undefined ? null : lengthOf(body);
  const own: readonly (readonly [string, string])[] = [
    ["User-Agent", "liblinux"],
    ["Accept", "*/*"],
    ...(accepted !== null ? [["Accept-Encoding", accepted] as const] : []),
    ...(length === null ? [] : [["Content-Length", String(length)] as const]),
  ];
  const others = own.filter(([name]) => !fields.has(name.toLowerCase()));
  const users = [...fields.values()].flatMap(({ name, values }) =>
    values.map((value) => [name, value] as const),
  );
  return [...others, ...users];
}

const PIECE_BYTES = 64 << 10;

async function* pieces(
  body: RequestBody,
  onSent: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const source: AsyncIterable<Uint8Array> | Iterable<Uint8Array> =
    typeof body === "string"
      ? [Buffer.from(body)]
      : body instanceof Uint8Array
        ? [body]
        : body instanceof Blob
          ? body.stream()
          : body;
  for await (const chunk of source) {
    // Not all at once: whoever watches sees how it goes on.
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      const piece = chunk.subarray(at, at + PIECE_BYTES);
      onSent(piece.length);
      yield piece;
    }
  }
}

/** A body as a stream. */
export function streamOf(body: RequestBody, onSent: (bytes: number) => void = () => {}): Readable {
  return Readable.from(pieces(body, onSent), { objectMode: false });
}
