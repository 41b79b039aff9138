// Replies of the control connection (RFC 959, section 4.2), as bytes.

import { errno, errnoMessage } from "../abi/errno.ts";
import type { SystemError } from "../syscall/errors.ts";

/** Names are bytes; all else is text. */
export type Text = string | Uint8Array;

/** A code, and its lines: one, or several of which those in the middle are content. */
export interface Reply {
  readonly code: number;
  readonly lines: readonly Text[];
}

export function reply(code: number, ...lines: readonly Text[]): Reply {
  return { code, lines };
}

/** What the client is told instead of what it asked for. */
export class FtpError extends Error {
  override readonly name = "FtpError";
  /** 4yz: it may work later; 5yz: it will not. */
  readonly code: number;

  constructor(code: number, problem: string) {
    super(problem);
    this.code = code;
  }
}

/** Text and names one after the other. */
export function join(...parts: readonly Text[]): Buffer<ArrayBuffer> {
  return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
}

/** What ends a line, and what ends a string. */
const BREAKS: ReadonlySet<number> = new Set([0, 10, 13]);
const QUESTION_MARK = 63;
/** The escape character of Telnet, whose rules the control connection has: doubled, it is itself. */
export const IAC = 255;

export function hasBreak(bytes: Uint8Array): boolean {
  return bytes.some((byte) => BREAKS.has(byte));
}

/** As it is sent: no content can end a line, or look like a command of Telnet. */
function safe(text: Text): Buffer {
  const bytes = join(text).map((byte) => (BREAKS.has(byte) ? QUESTION_MARK : byte));
  if (!bytes.includes(IAC)) return Buffer.from(bytes);
  return Buffer.from(Array.from(bytes).flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])));
}

/** One line of a reply that has several: `first` opens it, `last` closes it. */
export function encodeLine(code: number, text: Text, place: "first" | "middle" | "last"): Buffer {
  const start = { first: `${code}-`, middle: " ", last: `${code} ` }[place];
  return join(start, safe(text), "\r\n");
}

export function encodeReply({ code, lines }: Reply): Buffer {
  const last = lines.length - 1;
  return Buffer.concat(
    lines.map((line, i) => encodeLine(code, line, i === last ? "last" : i ? "middle" : "first")),
  );
}

/** A path between double quotes, which are doubled inside (RFC 959, appendix II). */
export function quoted(path: Uint8Array): Buffer {
  const name = Buffer.from(path);
  return join('"', Buffer.from(name.toString("latin1").replaceAll('"', '""'), "latin1"), '"');
}

/** Errors that are not about the name that was given. */
const CODES: ReadonlyMap<number, number> = new Map([
  [errno.ENOSPC, 452],
  [errno.EDQUOT, 552],
  [errno.EFBIG, 552],
  [errno.EIO, 451],
  [errno.ENOMEM, 451],
  [errno.EMFILE, 451],
  [errno.ENFILE, 451],
  [errno.EAGAIN, 451],
  [errno.EINTR, 451],
  [errno.EBUSY, 450],
  [errno.ETXTBSY, 450],
]);

/** A system call's error as a reply: in the kernel's words, without its paths. */
export function replyOfError(error: SystemError | FtpError): Reply {
  if (error instanceof FtpError) return reply(error.code, error.message);
  const words = errnoMessage(-error.errno) ?? error.code;
  return reply(CODES.get(-error.errno) ?? 550, `${words} (${error.code}).`);
}
