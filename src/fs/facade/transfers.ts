// The arguments of read() and write(), which may be given in several ways.

import {
  TEXT_OR_VIEW,
  VIEW,
  toBag,
  toEncoding,
  toInteger,
  toPosition,
  viewBytes,
} from "./arguments.ts";
import { encode } from "./encoding.ts";
import { argumentValueError, rangeError } from "./errors.ts";
import { allocate } from "./runtime.ts";

/** What read() reads into where nothing is given. */
const DEFAULT_BUFFER_BYTES = 16384;

export type Position = number | bigint | null;

export interface ReadOptions<B extends ArrayBufferView = ArrayBufferView> {
  readonly buffer?: B | undefined;
  readonly offset?: number | null | undefined;
  readonly length?: number | null | undefined;
  readonly position?: Position | undefined;
}

export interface WriteOptions {
  readonly offset?: number | null | undefined;
  readonly length?: number | null | undefined;
  readonly position?: number | null | undefined;
}

/** What is to be read, checked. */
export interface Reading {
  /** As the caller gave it. */
  readonly given: ArrayBufferView;
  readonly part: Uint8Array;
  readonly position: Position;
}

/** What is to be written, checked. */
export interface Writing {
  readonly bytes: Uint8Array;
  readonly position: Position;
}

function partOf(
  given: ArrayBufferView,
  offset: number | null | undefined,
  length: number | null | undefined,
): Uint8Array {
  const bytes = viewBytes(given, "buffer", VIEW);
  const start = offset === undefined || offset === null ? 0 : toInteger(offset, "offset", 0);
  const left = bytes.length - start;
  const count = length ?? left;
  if (typeof count !== "number") toInteger(count, "length");
  if (count < 0) throw rangeError("length", ">= 0", count);
  if (count > left) throw rangeError("length", `<= ${left}`, count);
  return start === 0 && count === bytes.length ? bytes : bytes.subarray(start, start + count);
}

/** The arguments of read(): a buffer and numbers, a buffer and options, or options alone. */
export function toReading(
  bufferOrOptions?: unknown,
  offsetOrOptions?: unknown,
  length?: number | null,
  position?: Position,
): Reading {
  let given = bufferOrOptions;
  let options: ReadOptions = { offset: offsetOrOptions as number | null, length, position };
  if (!ArrayBuffer.isView(given)) {
    options = toBag<ReadOptions>(given);
    given = options.buffer === undefined ? allocate(DEFAULT_BUFFER_BYTES) : options.buffer;
  } else if (typeof offsetOrOptions === "object" && offsetOrOptions !== null)
    options = offsetOrOptions;
  viewBytes(given, "buffer", VIEW);
  const view = given as ArrayBufferView;
  const part = partOf(view, options.offset, options.length);
  if (view.byteLength === 0 && options.length)
    throw argumentValueError("buffer", view, "is empty and cannot be written");
  return { given: view, part, position: toPosition(options.position) };
}

/** The arguments of write(), of bytes. */
export function toWriting(
  buffer: unknown,
  offsetOrOptions?: unknown,
  length?: number | null,
  position?: number | null,
): Writing {
  viewBytes(buffer, "buffer", TEXT_OR_VIEW);
  const view = buffer as ArrayBufferView;
  const options: WriteOptions =
    typeof offsetOrOptions === "object" && offsetOrOptions !== null
      ? offsetOrOptions
      : { offset: offsetOrOptions as number, length, position };
  const { offset } = options;
  if (typeof offset === "number" && offset > view.byteLength)
    throw rangeError("offset", `<= ${view.byteLength}`, offset);
  return {
    bytes: partOf(view, offset, options.length),
    position: typeof options.position === "number" ? toPosition(options.position) : null,
  };
}

/** The arguments of write(), of text. */
export function toTextWriting(
  text: string,
  position: unknown,
  encoding: string | null | undefined,
): Writing {
  const known = toEncoding(encoding);
  return {
    bytes: encode(text, known === "buffer" ? "utf8" : known),
    position: typeof position === "number" ? toPosition(position) : null,
  };
}
