// The whole contents of a file that is open: read at once, and written from whatever Node takes.

import { TEXT_OR_VIEW, VIEW, viewBytes } from "./arguments.ts";
import { encode } from "./encoding.ts";
import type { Encoding } from "./encoding.ts";
import { abortError, argumentTypeError, argumentValueError, tooLargeError } from "./errors.ts";
import type { Files } from "./files.ts";
import { allocate, asBytes } from "./runtime.ts";
import type { Bytes } from "./runtime.ts";
import { regularSize } from "./stats.ts";

/** What is read at once where the size is not known, as of a pipe. */
const PART_BYTES = 65536;
/** The longest that is read at once, as in Node. */
const MAX_WHOLE_BYTES = 2 ** 31 - 1;

/** What can be written to a file: text, any view, or parts of either that come one by one. */
export type Contents =
  | string
  | ArrayBufferView
  | Iterable<string | ArrayBufferView>
  | AsyncIterable<string | ArrayBufferView>;

/** What a file is read into: a view, or what makes one of the file's size (0 where that is unknown). */
export type ReadTarget = ArrayBufferView | ((sizeBytes: number) => ArrayBufferView);

export function checkReadTarget(target: unknown): asserts target is ReadTarget | undefined {
  if (target !== undefined && typeof target !== "function" && !ArrayBuffer.isView(target))
    throw argumentTypeError("options.buffer", `of type function or ${VIEW}`, target);
}

/** Throw the AbortError of a signal that is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

/**
 * All from where the descriptor is to the end.
 *
 * @param into what to read into: the result is a view of it
 */
export async function readWhole(
  files: Files,
  fd: number,
  signal?: AbortSignal,
  into?: ReadTarget,
): Promise<Bytes> {
  throwIfAborted(signal);
  const size = await files.fstat(fd, regularSize);
  if (size !== undefined && size > MAX_WHOLE_BYTES) throw tooLargeError(size);
  if (into !== undefined) return readInto(files, fd, size ?? 0, into, signal);
  // Files of /proc have no size, though they are regular ones.
  if (!size) return readParts(files, fd, signal);
  const target = allocate(size);
  let done = 0;
  while (done < size) {
    const count = await files.read(fd, done ? target.subarray(done) : target, null, signal);
    if (!count) break;
    done += count;
  }
  return done === size ? target : target.subarray(0, done);
}

async function readInto(
  files: Files,
  fd: number,
  sizeBytes: number,
  into: ReadTarget,
  signal: AbortSignal | undefined,
): Promise<Bytes> {
  const made = typeof into === "function";
  const name = made ? "options.buffer()" : "options.buffer";
  const target = viewBytes(made ? into(sizeBytes) : into, name, VIEW);
  const tooSmall = (reason: string) =>
    argumentValueError(`${name}.byteLength`, target.length, reason);
  if (target.length < sizeBytes)
    throw tooSmall(`is smaller than the file size of ${sizeBytes} bytes`);
  const most = sizeBytes || target.length;
  let done = 0;
  while (done < most) {
    const count = await files.read(fd, target.subarray(done, most), null, signal);
    if (!count) break;
    done += count;
  }
  // Where the size is not known, only one byte more tells whether that was all.
  if (!sizeBytes && done === most && (await files.read(fd, new Uint8Array(1), null, signal)))
    throw tooSmall("is too small to contain the entire file");
  return asBytes(target.subarray(0, done));
}

async function readParts(files: Files, fd: number, signal?: AbortSignal): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    throwIfAborted(signal);
    const part = new Uint8Array(PART_BYTES);
    const count = await files.read(fd, part, null, signal);
    if (!count) break;
    total += count;
    if (total > MAX_WHOLE_BYTES) throw tooLargeError(total);
    parts.push(part.subarray(0, count));
  }
  const whole = allocate(total);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const isParts = (data: unknown): data is Exclude<Contents, string | ArrayBufferView> =>
  typeof data === "object" &&
  data !== null &&
  !ArrayBuffer.isView(data) &&
  (Symbol.iterator in data || Symbol.asyncIterator in data);

/** What is to be written. @throws {TypeError} for what cannot be */
export function toContents(data: unknown): Contents {
  if (typeof data === "string" || ArrayBuffer.isView(data)) return data;
  if (isParts(data)) return data;
  throw argumentTypeError("data", TEXT_OR_VIEW, data);
}

/** Write all of it from where the descriptor is on. */
export async function writeWhole(
  files: Files,
  fd: number,
  data: Contents,
  encoding: Encoding = "utf8",
  signal?: AbortSignal,
): Promise<void> {
  throwIfAborted(signal);
  if (typeof data === "string") {
    if (encoding === "utf8") return files.writeText(fd, data, signal);
    return files.writeAll(fd, encode(data, encoding), null, signal);
  }
  if (ArrayBuffer.isView(data))
    return files.writeAll(fd, viewBytes(data, "data", TEXT_OR_VIEW), null, signal);
  for await (const part of data) {
    throwIfAborted(signal);
    const bytes =
      typeof part === "string" ? encode(part, encoding) : viewBytes(part, "data", TEXT_OR_VIEW);
    await files.writeAll(fd, bytes, null, signal);
  }
  return undefined;
}
