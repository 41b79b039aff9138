// Errors of sockets, in the words of Node's.

import type { errno } from "../../abi/errno.ts";
import { errnoCode, errnoMessage } from "../../abi/errno.ts";
import { SystemError } from "../../syscall/errors.ts";
import { describe, nameOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";

/** What libuv says where the kernel's own text differs. */
const TEXTS: Readonly<Partial<Record<keyof typeof errno, string>>> = {
  EADDRNOTAVAIL: "address not available",
  EBADF: "bad file descriptor",
  EMFILE: "too many open files",
  ENOENT: "no such file or directory",
  ENOMEM: "not enough memory",
  EPERM: "operation not permitted",
};

/** Libuv's name of EOPNOTSUPP. */
const CODES: Readonly<Record<string, string>> = { EOPNOTSUPP: "ENOTSUP" };

/** What a socket did, and to whom. */
export interface Context {
  /** Node's name of it: `connect`, `listen`, `read`. */
  readonly syscall: string;
  /** The other end, or the address that is asked for. */
  readonly endpoint?: Endpoint | undefined;
  /** The address that the socket was to have itself. */
  readonly local?: Endpoint | undefined;
  /** Whether the message explains the code, as it does of listen() and nothing else. */
  readonly explained?: boolean;
}

/**
 * The kernel refused: as Node's errors of sockets, e.g. `connect ECONNREFUSED 10.0.0.1:80` with
 * `code`, `errno`, `syscall`, `address` and `port`.
 */
export class SocketError extends Error {
  /** Negative, e.g. −111. */
  readonly errno: number;
  /** E.g. `ECONNREFUSED`. */
  readonly code: string;
  /** Node's name of what was done, e.g. `connect`. */
  readonly syscall: string;
  /** An IP address, or the path of a unix socket. */
  declare readonly address?: string;
  declare readonly port?: number;

  /** @param number negative */
  constructor(number: number, { syscall, endpoint, local, explained }: Context) {
    const name = errnoCode(-number) ?? `errno ${-number}`;
    const code = CODES[name] ?? name;
    const text =
      TEXTS[name as keyof typeof TEXTS] ?? (errnoMessage(-number) ?? "unknown error").toLowerCase();
    const why = explained ? `: ${text}` : "";
    // A port that is not chosen yet is not told.
    const port = endpoint && "port" in endpoint ? endpoint.port : 0;
    const where = endpoint ? ` ${port ? describe(endpoint) : nameOf(endpoint)}` : "";
    const from = local ? ` - Local (${describe(local)})` : "";
    super(`${syscall} ${code}${why}${where}${from}`);
    this.errno = number;
    this.code = code;
    this.syscall = syscall;
    if (!endpoint) return;
    this.address = nameOf(endpoint);
    if (port) this.port = port;
  }
}

/** The socket was closed while something waited for it, or before. */
export class SocketClosedError extends Error {
  readonly code = "ERR_SOCKET_CLOSED";

  constructor() {
    super("Socket is closed");
  }
}

/** An error of the kernel's as Node tells it; any other as it is. */
export function explain(error: unknown, context: Context): Error {
  return error instanceof SystemError ? new SocketError(error.errno, context) : (error as Error);
}

/** Whether the kernel said one of these, e.g. `failedWith(error, errno.EAGAIN)`. */
export function failedWith(error: unknown, ...numbers: readonly number[]): boolean {
  return (
    (error instanceof SystemError || error instanceof SocketError) && numbers.includes(-error.errno)
  );
}
