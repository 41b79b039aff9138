// Errors as Node's fs has them: those of the kernel with libuv's texts, and those of wrong arguments.

import { errno, errnoCode, errnoMessage } from "../../abi/errno.ts";
import { SystemError } from "../../syscall/errors.ts";

/** What Node says where the kernel's own text differs. Those that are not here say the same. */
const TEXTS: Readonly<Partial<Record<keyof typeof errno, string>>> = {
  E2BIG: "argument list too long",
  EAGAIN: "resource temporarily unavailable",
  EBADF: "bad file descriptor",
  EBUSY: "resource busy or locked",
  ECANCELED: "operation canceled",
  EEXIST: "file already exists",
  EFAULT: "bad address in system call argument",
  EFBIG: "file too large",
  EILSEQ: "illegal byte sequence",
  EINTR: "interrupted system call",
  EINVAL: "invalid argument",
  EIO: "i/o error",
  EISDIR: "illegal operation on a directory",
  ELOOP: "too many symbolic links encountered",
  EMFILE: "too many open files",
  EMLINK: "too many links",
  ENAMETOOLONG: "name too long",
  ENFILE: "file table overflow",
  ENODATA: "no data available",
  ENODEV: "no such device",
  ENOENT: "no such file or directory",
  ENOMEM: "not enough memory",
  ENOSPC: "no space left on device",
  ENOSYS: "function not implemented",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "directory not empty",
  ENOTTY: "inappropriate ioctl for device",
  ENXIO: "no such device or address",
  EOPNOTSUPP: "operation not supported on socket",
  EOVERFLOW: "value too large for defined data type",
  EPERM: "operation not permitted",
  EACCES: "permission denied",
  EPIPE: "broken pipe",
  ERANGE: "result too large",
  EROFS: "read-only file system",
  ESPIPE: "invalid seek",
  ESRCH: "no such process",
  ETIMEDOUT: "connection timed out",
  ETXTBSY: "text file is busy",
  EXDEV: "cross-device link not permitted",
};

/** Libuv's name of EOPNOTSUPP. */
const CODES: Readonly<Record<string, string>> = { EOPNOTSUPP: "ENOTSUP" };
const MESSAGES: Readonly<Record<string, string>> = {
  EOPNOTSUPP: "operation not supported on socket",
};

/** The kernel refused: as Node's errors of fs, e.g. `ENOENT: no such file or directory, open 'x'`. */
export class FsError extends Error {
  /** E.g. `ENOENT`. */
  readonly code: string;
  /** Negative, e.g. −2. */
  readonly errno: number;
  /** Node's name of what was done, e.g. `scandir`. */
  readonly syscall: string;
  declare readonly path?: string;
  declare readonly dest?: string;

  /** @param errno negative */
  constructor(errno: number, syscall: string, path?: string, dest?: string) {
    const name = errnoCode(-errno) ?? `errno ${-errno}`;
    const code = CODES[name] ?? name;
    const text =
      TEXTS[name as keyof typeof TEXTS] ??
      MESSAGES[name] ??
      (errnoMessage(-errno) || "unknown error").toLowerCase();
    const names =
      (path === undefined ? "" : ` '${path}'`) + (dest === undefined ? "" : ` -> '${dest}'`);
    super(`${code}: ${text}, ${syscall}${names}`);
    this.errno = errno;
    this.code = code;
    this.syscall = syscall;
    if (path !== undefined) this.path = path;
    if (dest !== undefined) this.dest = dest;
  }
}

/** Whether the kernel said so, e.g. `failedWith(error, errno.ENOENT)`. */
export function failedWith(error: unknown, ...numbers: readonly number[]): boolean {
  return (
    (error instanceof SystemError || error instanceof FsError) && numbers.includes(-error.errno)
  );
}

/** An error with a code, as Node's own. */
class CodedTypeError extends TypeError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

class CodedRangeError extends RangeError {
  readonly code = "ERR_OUT_OF_RANGE";
}

class CodedError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A file handle, directory or the like is used after its end. */
export function closedError(syscall: string): Error {
  return Object.assign(new CodedError("EBADF", "file closed"), { syscall });
}

export function dirClosedError(): Error {
  return new CodedError("ERR_DIR_CLOSED", "Directory handle was closed");
}

export function dirBusyError(): Error {
  return new CodedError(
    "ERR_DIR_CONCURRENT_OPERATION",
    "Cannot do synchronous work on directory handle with concurrent asynchronous operations",
  );
}

/** Why nothing is synchronous. */
export const SUSPENDS = "a call into the kernel suspends its caller";

/** What Node has and this has not. */
export function unavailableError(what: string, instead: string, why: string): Error {
  return new CodedTypeError(
    "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM",
    `${what} is unavailable: ${why}; use ${instead}`,
  );
}

export function notImplementedError(what: string): Error {
  return new CodedError("ERR_METHOD_NOT_IMPLEMENTED", `The ${what} method is not implemented`);
}

export function queueOverflowError(most: number): Error {
  return new CodedError(
    "ERR_FS_WATCH_QUEUE_OVERFLOW",
    `fs.watch() queued more than ${most} events`,
  );
}

export function tooLargeError(sizeBytes: number): Error {
  const error = new CodedRangeError(`File size (${sizeBytes}) is greater than 2 GiB`);
  return Object.assign(error, { code: "ERR_FS_FILE_TOO_LARGE" });
}

/** The operation was ended by its signal. */
class AbortError extends Error {
  override readonly name = "AbortError";
  readonly code = "ABORT_ERR";
}

export function abortError(signal: AbortSignal): Error {
  return new AbortError("The operation was aborted", { cause: signal.reason });
}

/** What was done cannot be done so: Node's SystemError, e.g. of cp and rm. */
class OperationError extends Error {
  override readonly name = "SystemError";
  readonly code: string;
  readonly info: {
    readonly code: string;
    readonly message: string;
    readonly path: string;
    readonly syscall: string;
    readonly errno: number;
  };
  readonly errno: number;
  readonly syscall: string;
  readonly path: string;

  constructor(code: string, what: string, info: OperationError["info"]) {
    super(`${what}: ${info.syscall} returned ${info.code} (${info.message}) ${info.path}`);
    this.code = code;
    this.info = info;
    this.errno = info.errno;
    this.syscall = info.syscall;
    this.path = info.path;
  }
}

const OPERATION_ERRORS = {
  ERR_FS_EISDIR: ["Path is a directory", "EISDIR"],
  ERR_FS_CP_DIR_TO_NON_DIR: ["Cannot overwrite non-directory with directory", "EISDIR"],
  ERR_FS_CP_NON_DIR_TO_DIR: ["Cannot overwrite directory with non-directory", "ENOTDIR"],
  ERR_FS_CP_EINVAL: ["Invalid src or dest", "EINVAL"],
  ERR_FS_CP_EEXIST: ["Target already exists", "EEXIST"],
  ERR_FS_CP_SOCKET: ["Cannot copy a socket file", "EINVAL"],
  ERR_FS_CP_FIFO_PIPE: ["Cannot copy a FIFO pipe", "EINVAL"],
  ERR_FS_CP_UNKNOWN: ["Cannot copy an unknown file type", "EINVAL"],
  ERR_FS_CP_SYMLINK_TO_SUBDIRECTORY: ["Cannot overwrite symlink in subdirectory of self", "EINVAL"],
} as const satisfies Readonly<Record<string, readonly [string, keyof typeof errno]>>;

/** An error of cp or rm that is none of the kernel's. */
export function operationError(
  code: keyof typeof OPERATION_ERRORS,
  syscall: "cp" | "rm",
  message: string,
  path: string,
): Error {
  const [what, name] = OPERATION_ERRORS[code];
  return new OperationError(code, what, {
    code: name,
    message,
    path,
    syscall,
    errno: errno[name],
  });
}

// --- Arguments -----------------------------------------------------------------------------

const MAX_SHOWN = 25;
const MAX_VALUE_SHOWN = 128;

function quote(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll("\n", "\\n")
    .replaceAll(/\p{Cc}/gu, (character) => `\\x${hex(character.charCodeAt(0))}`);
  if (!escaped.includes("'")) return `'${escaped}'`;
  return escaped.includes('"') ? `'${escaped.replaceAll("'", "\\'")}'` : `"${escaped}"`;
}

const hex = (code: number) => code.toString(16).toUpperCase().padStart(2, "0");

/** A value as Node's messages show it. */
export function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[Function: ${value.name || "(anonymous)"}]`;
  if (typeof value === "symbol") return value.toString();
  if (value === null || typeof value !== "object") return `${value as number | boolean | null}`;
  if (ArrayBuffer.isView(value)) return `<${value.constructor.name} of ${value.byteLength} bytes>`;
  return JSON.stringify(value) ?? "[object]";
}

/** What a message says of a value of the wrong type. */
function received(value: unknown): string {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === "function") return `Received function ${value.name}`;
  if (typeof value === "object") {
    const name = (value.constructor as { name?: string } | undefined)?.name;
    return name ? `Received an instance of ${name}` : `Received ${show(value)}`;
  }
  let text = show(value);
  if (text.length > MAX_SHOWN + 3) text = `${text.slice(0, MAX_SHOWN)}...`;
  return `Received type ${typeof value} (${text})`;
}

const noun = (name: string) => (name.includes(".") ? "property" : "argument");

/** @param expected e.g. `of type string` */
export function argumentTypeError(name: string, expected: string, value: unknown): TypeError {
  return new CodedTypeError(
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" ${noun(name)} must be ${expected}. ${received(value)}`,
  );
}

export function argumentValueError(
  name: string,
  value: unknown,
  reason = "is invalid",
): CodedTypeError {
  let shown = show(value);
  if (shown.length > MAX_VALUE_SHOWN) shown = `${shown.slice(0, MAX_VALUE_SHOWN)}...`;
  return new CodedTypeError(
    "ERR_INVALID_ARG_VALUE",
    `The ${noun(name)} '${name}' ${reason}. Received ${shown}`,
  );
}

/** @param range e.g. `>= 0 && <= 7` */
export function rangeError(name: string, range: string, value: unknown): RangeError {
  return new CodedRangeError(
    `The value of "${name}" is out of range. It must be ${range}. Received ${grouped(value)}`,
  );
}

/** Node's own words for the mode of access() and copyFile(). */
export function modeRangeError(range: string): RangeError {
  return new CodedRangeError(`mode is out of range: ${range}`);
}

export function modeTypeError(): TypeError {
  return new CodedTypeError("ERR_INVALID_ARG_TYPE", "mode must be int32 or null/undefined");
}

const GROUPED_FROM = 2 ** 32;

function grouped(value: unknown): string {
  const big =
    (typeof value === "number" && Number.isInteger(value) && Math.abs(value) > GROUPED_FROM) ||
    (typeof value === "bigint" && (value > GROUPED_FROM || value < -GROUPED_FROM));
  const text = big ? String(value).replaceAll(/\B(?=(?:\d{3})+$)/g, "_") : show(value);
  return typeof value === "bigint" && big ? `${text}n` : text;
}

const URL_ERRORS = {
  ERR_INVALID_URL_SCHEME: "The URL must be of scheme file",
  ERR_INVALID_FILE_URL_HOST: 'File URL host must be "localhost" or empty on linux',
  ERR_INVALID_FILE_URL_PATH: "File URL path must not include encoded / characters",
} as const;

/** What a file: URL cannot be. */
export const urlError = (code: keyof typeof URL_ERRORS): TypeError =>
  new CodedTypeError(code, URL_ERRORS[code]);
