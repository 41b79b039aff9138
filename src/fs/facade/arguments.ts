// Arguments of fs functions: checked as Node checks them, and brought into one form.

import * as fcntl from "../../abi/constants/fcntl.ts";
import { encodingOf } from "./encoding.ts";
import type { Encoding } from "./encoding.ts";
import {
  argumentTypeError,
  argumentValueError,
  modeRangeError,
  modeTypeError,
  rangeError,
  urlError,
} from "./errors.ts";

/** A name of a file: text, bytes (for names that are not UTF-8), or a file: URL. */
export type PathLike = string | Uint8Array | URL;
/** A name that was checked. */
export type Name = string | Uint8Array;
/** Permission bits: a number, or octal digits. */
export type Mode = number | string;
/** Seconds since 1970, or a Date. */
export type Time = number | string | Date;
export type OpenFlags = number | string;

const MAX_INT32 = 0x7fffffff;
const MAX_UINT32 = 0xffffffff;

const PATH_TYPE = "of type string or an instance of Buffer or URL";

/** @throws {TypeError} @throws as Node, e.g. for a NUL */
export function toName(path: unknown, argument = "path"): Name {
  const name = path instanceof URL ? fileUrlToPath(path) : path;
  if (typeof name === "string") {
    if (name.includes("\0")) throw nulError(argument, name);
    return name;
  }
  if (name instanceof Uint8Array) {
    if (name.includes(0)) throw nulError(argument, name);
    return name;
  }
  throw argumentTypeError(argument, PATH_TYPE, name);
}

const nulError = (argument: string, name: Name) =>
  argumentValueError(argument, name, "must be a string, Uint8Array, or URL without null bytes");

function fileUrlToPath(url: URL): string {
  if (url.protocol !== "file:") throw urlError("ERR_INVALID_URL_SCHEME");
  if (url.hostname !== "" && url.hostname !== "localhost")
    throw urlError("ERR_INVALID_FILE_URL_HOST");
  if (/%2f/i.test(url.pathname)) throw urlError("ERR_INVALID_FILE_URL_PATH");
  return decodeURIComponent(url.pathname);
}

/** An option bag, with the encoding in it where it is given alone. */
export function toOptions<T extends object>(options: unknown, defaults: T): T {
  if (options === null || options === undefined || typeof options === "function") return defaults;
  if (typeof options === "string") {
    const given = { ...defaults, encoding: options };
    checkEncoding(options);
    return given;
  }
  if (typeof options !== "object")
    throw argumentTypeError("options", "one of type string or object", options);
  const { encoding, signal } = options as { encoding?: unknown; signal?: unknown };
  if (encoding !== "buffer") checkEncoding(encoding);
  checkSignal(signal);
  return options as T;
}

/** An option bag that has no encoding. */
export function toBag<T extends object>(options: unknown, name = "options"): Partial<T> {
  if (options === undefined || options === null) return {};
  if (typeof options !== "object") throw argumentTypeError(name, "of type object", options);
  return options;
}

function checkEncoding(encoding: unknown): void {
  if (encoding === undefined || encoding === null || encoding === "buffer" || encoding === "")
    return;
  if (typeof encoding !== "string" || !encodingOf(encoding))
    throw argumentValueError("encoding", encoding, "is invalid encoding");
}

export function checkSignal(signal: unknown): asserts signal is AbortSignal | undefined {
  if (signal === undefined) return;
  if (typeof signal !== "object" || signal === null || !("aborted" in signal))
    throw argumentTypeError("options.signal", "an instance of AbortSignal", signal);
}

/** What names and contents are given as: text in an encoding, or bytes. */
export function toEncoding(encoding: string | null | undefined): Encoding | "buffer" | undefined {
  if (encoding === undefined || encoding === null || encoding === "") return undefined;
  if (encoding === "buffer") return "buffer";
  const known = encodingOf(encoding);
  if (!known) throw argumentValueError("encoding", encoding, "is invalid encoding");
  return known;
}

/** A whole number within a range. */
export function toInteger(
  value: unknown,
  name: string,
  least = Number.MIN_SAFE_INTEGER,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number") throw argumentTypeError(name, "of type number", value);
  if (!Number.isInteger(value)) throw rangeError(name, "an integer", value);
  if (value < least || value > most) throw rangeError(name, `>= ${least} && <= ${most}`, value);
  return value;
}

export function toBoolean(value: unknown, name: string, otherwise = false): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== "boolean") throw argumentTypeError(name, "of type boolean", value);
  return value;
}

export function toFunction<F>(value: F, name: string): NonNullable<F> {
  if (typeof value !== "function") throw argumentTypeError(name, "of type function", value);
  return value;
}

export const toDescriptor = (fd: unknown): number => toInteger(fd, "fd", 0, MAX_INT32);

const OCTAL = /^[0-7]+$/;

export function toMode(mode: unknown, name = "mode", otherwise?: number): number {
  const given = mode ?? otherwise;
  if (typeof given === "string") {
    if (!OCTAL.test(given))
      throw argumentValueError(name, given, "must be a 32-bit unsigned integer or an octal string");
    return parseInt(given, 8);
  }
  return toInteger(given, name, 0, MAX_UINT32);
}

/** A user or group; −1 leaves it as it is. */
export const toOwner = (id: unknown, name: string): number => toInteger(id, name, -1, MAX_UINT32);

/** Seconds since 1970. */
export function toSeconds(time: unknown, name = "time"): number {
  if (typeof time === "string" && Number(time) === +time) {
    const seconds = Number(time);
    if (!Number.isNaN(seconds)) return seconds;
  }
  if (typeof time === "number" && Number.isFinite(time)) return time < 0 ? Date.now() / 1000 : time;
  if (time instanceof Date) return time.getTime() / 1000;
  throw argumentTypeError(name, "an instance of Date or an Time in seconds", time);
}

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = fcntl;

const FLAGS: ReadonlyMap<string, number> = new Map(
  Object.entries({
    r: O_RDONLY,
    rs: O_RDONLY | O_SYNC,
    "r+": O_RDWR,
    "rs+": O_RDWR | O_SYNC,
    w: O_TRUNC | O_CREAT | O_WRONLY,
    wx: O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
    "w+": O_TRUNC | O_CREAT | O_RDWR,
    "wx+": O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
    a: O_APPEND | O_CREAT | O_WRONLY,
    ax: O_APPEND | O_CREAT | O_WRONLY | O_EXCL,
    as: O_APPEND | O_CREAT | O_WRONLY | O_SYNC,
    "a+": O_APPEND | O_CREAT | O_RDWR,
    "ax+": O_APPEND | O_CREAT | O_RDWR | O_EXCL,
    "as+": O_APPEND | O_CREAT | O_RDWR | O_SYNC,
    // The letters may be in either order.
    sr: O_RDONLY | O_SYNC,
    "sr+": O_RDWR | O_SYNC,
    xw: O_TRUNC | O_CREAT | O_WRONLY | O_EXCL,
    "xw+": O_TRUNC | O_CREAT | O_RDWR | O_EXCL,
    xa: O_APPEND | O_CREAT | O_WRONLY | O_EXCL,
    sa: O_APPEND | O_CREAT | O_WRONLY | O_SYNC,
    "xa+": O_APPEND | O_CREAT | O_RDWR | O_EXCL,
    "sa+": O_APPEND | O_CREAT | O_RDWR | O_SYNC,
  }),
);

/** Flags of open(2) for Node's "r", "w+", "ax" …; numbers are taken as they are. */
export function toFlags(flags: unknown, otherwise: OpenFlags = "r", name = "flags"): number {
  const given = flags ?? otherwise;
  if (typeof given === "number") return toInteger(given, name, -MAX_INT32 - 1, MAX_INT32);
  const known = typeof given === "string" ? FLAGS.get(given) : undefined;
  if (known === undefined) throw argumentValueError(name, given);
  return known;
}

/** R_OK | W_OK | X_OK, or COPYFILE_EXCL | COPYFILE_FICLONE | COPYFILE_FICLONE_FORCE. */
export function toSmallMode(mode: unknown): number {
  if (mode === undefined || mode === null) return 0;
  if (typeof mode !== "number" || (mode | 0) !== mode) {
    if (typeof mode === "number" && Number.isInteger(mode)) throw modeRangeError(">= 0 && <= 7");
    throw modeTypeError();
  }
  if (mode < 0 || mode > 7) throw modeRangeError(">= 0 && <= 7");
  return mode;
}

/** A place in a file; null for where the descriptor is. */
export function toPosition(position: unknown, name = "position"): number | bigint | null {
  if (position === undefined || position === null) return null;
  if (typeof position === "bigint") {
    if (position < -1n || position > 0x7fffffffffffffffn)
      throw rangeError(name, ">= -1 && <= 9223372036854775807", position);
    return position === -1n ? null : position;
  }
  if (typeof position !== "number")
    throw argumentTypeError(name, "one of type integer or bigint", position);
  toInteger(position, name, -1);
  return position === -1 ? null : position;
}

/** The bytes of any view. @throws as Node, if it is none */
export function viewBytes(value: unknown, name: string, expected: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value))
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw argumentTypeError(name, expected, value);
}

export const VIEW = "an instance of Buffer, TypedArray, or DataView";
export const TEXT_OR_VIEW = `of type string or ${VIEW}`;

/** The bytes of every view of a list. */
export function viewList(value: unknown): Uint8Array[] {
  if (!Array.isArray(value) || !value.every((one) => ArrayBuffer.isView(one)))
    throw argumentTypeError("buffers", "an ArrayBufferView[]", value);
  return value.map((one) => viewBytes(one, "buffers", VIEW));
}
