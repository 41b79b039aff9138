// Bytes of the control connection into command lines, as RFC 959 and RFC 2640 have them.
//
// Invariant: what is kept of a line that is not complete is never longer than the bound.

import { IAC } from "./reply.ts";

const LF = 10;
const CR = 13;
/** Telnet's commands are 240 to 254 (RFC 854); those from WILL to DON'T have an option behind them. */
const FIRST_COMMAND = 240;
const FIRST_WITH_OPTION = 251;
/** No command begins with such a byte: it is what an interrupt left behind. */
const FIRST_NOT_ASCII = 0x80;

/** Longer lines are refused: a path of the kernel has 4096 bytes, and each can be doubled. */
export const MAX_LINE_BYTES = 2 * 4096 + 64;

/** A command line without its end, or null in place of one that was too long. */
export type Line = Buffer | null;

export class LineReader {
  #parts: Buffer[] = [];
  #length = 0;
  #tooLong = false;

  /** The lines that end in these bytes. */
  push(bytes: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(LF, start);
      if (end < 0) break;
      this.#keep(bytes.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > MAX_LINE_BYTES) this.#tooLong = true;
    if (this.#tooLong) this.#parts = [];
    else if (part.length) this.#parts.push(Buffer.from(part));
  }

  #take(): Line {
    const line = this.#tooLong ? null : decode(Buffer.concat(this.#parts));
    this.#parts = [];
    this.#length = 0;
    this.#tooLong = false;
    return line;
  }
}

/**
 * Without Telnet's commands and the CR at the end. A byte 255 that is neither doubled nor begins a
 * command is left as it is: many clients send names as they are.
 */
function decode(raw: Buffer): Buffer {
  const bytes: number[] = [];
  const end = raw.at(-1) === CR ? raw.length - 1 : raw.length;
  for (let at = 0; at < end; at++) {
    const next = at + 1 < end ? raw[at + 1] : -1;
    if (raw[at] !== IAC) bytes.push(raw[at]);
    else if (next === IAC) bytes.push(raw[++at]);
    else if (next >= FIRST_COMMAND) at += next >= FIRST_WITH_OPTION ? 2 : 1;
    else bytes.push(IAC);
  }
  const begin = bytes.findIndex((byte) => byte < FIRST_NOT_ASCII);
  return Buffer.from(begin < 0 ? [] : bytes.slice(begin));
}
