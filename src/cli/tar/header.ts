// Blocks of 512 bytes before each file: ustar (POSIX.1-2001, pax: "ustar Interchange Format") with
// GNU's numbers in base 256, long names and sparse maps ("Basic Tar Format" of GNU tar's manual).

import { BLOCK_BYTES, TarError } from "./entry.ts";
import type { DataRange } from "./entry.ts";

interface Field {
  readonly at: number;
  readonly length: number;
}

const NAME = { at: 0, length: 100 };
const MODE = { at: 100, length: 8 };
const UID = { at: 108, length: 8 };
const GID = { at: 116, length: 8 };
const SIZE = { at: 124, length: 12 };
const MTIME = { at: 136, length: 12 };
const CHECKSUM = { at: 148, length: 8 };
const TYPE_AT = 156;
const LINK_NAME = { at: 157, length: 100 };
const MAGIC = { at: 257, length: 8 };
const MAJOR = { at: 329, length: 8 };
const MINOR = { at: 337, length: 8 };
const PREFIX = { at: 345, length: 155 };
/** In headers of GNU: four ranges, whether there are more, and the size with holes. */
const GNU_SPARSE = { at: 386, count: 4, moreAt: 482 };
const GNU_REAL_SIZE = { at: 483, length: 12 };
/** In blocks that follow one that has more. */
const GNU_MORE = { at: 0, count: 21, moreAt: 504 };
const RANGE_BYTES = 24;

const POSIX_MAGIC = "ustar\x0000";
const GNU_MAGIC = "ustar  \0";
const BASE_256 = 0x80;
const NEGATIVE = 0xff;
const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

/** A header, with letters and numbers as they are stored. */
export interface Header {
  readonly name: Uint8Array;
  readonly linkName: Uint8Array;
  /** The letter of the type. */
  readonly letter: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** What follows, without padding. */
  readonly storedBytes: number;
  readonly modifiedSeconds: number;
  readonly major: number;
  readonly minor: number;
}

const field = (block: Uint8Array, { at, length }: Field) => block.subarray(at, at + length);

function textAt(block: Uint8Array, where: Field): Uint8Array {
  const bytes = field(block, where);
  const end = bytes.indexOf(0);
  return bytes.slice(0, end < 0 ? bytes.length : end);
}

function numberAt(block: Uint8Array, where: Field): number {
  const bytes = field(block, where);
  const value = bytes[0] & BASE_256 ? base256(bytes) : octal(bytes);
  if (!Number.isSafeInteger(value)) throw new TarError("a header has a number that is none");
  return value;
}

function base256(bytes: Uint8Array): number {
  const hex = (part: Uint8Array) => BigInt(`0x${Buffer.from(part).toString("hex")}`);
  if (bytes[0] === NEGATIVE) return Number(BigInt.asIntN(8 * bytes.length, hex(bytes)));
  return Number(BigInt.asUintN(8 * bytes.length - 1, hex(bytes)));
}

function octal(bytes: Uint8Array): number {
  const text = latin1(bytes).replaceAll(/^[ \0]+|[ \0][^]*$/g, "");
  if (text === "") return 0;
  return /^[0-7]+$/.test(text) ? parseInt(text, 8) : NaN;
}

/** The sum of all bytes, its own as spaces. */
function checksumOf(block: Uint8Array): number {
  let sum = 0;
  for (const [i, byte] of block.entries())
    sum += i >= CHECKSUM.at && i < CHECKSUM.at + CHECKSUM.length ? 0x20 : byte;
  return sum;
}

/** @throws {TarError} if it is no header */
export function decodeHeader(block: Uint8Array): Header {
  if (octal(field(block, CHECKSUM)) !== checksumOf(block))
    throw new TarError("this is no tar archive, or it is damaged: a header's checksum is wrong");
  const name = textAt(block, NAME);
  const prefix = isPosix(block) ? textAt(block, PREFIX) : new Uint8Array();
  return {
    name: prefix.length ? Buffer.concat([prefix, Buffer.from("/"), name]) : name,
    linkName: textAt(block, LINK_NAME),
    letter: String.fromCharCode(block[TYPE_AT]),
    mode: numberAt(block, MODE) & 0o7777,
    uid: numberAt(block, UID),
    gid: numberAt(block, GID),
    storedBytes: Math.max(0, numberAt(block, SIZE)),
    modifiedSeconds: numberAt(block, MTIME),
    major: numberAt(block, MAJOR),
    minor: numberAt(block, MINOR),
  };
}

const isPosix = (block: Uint8Array) => latin1(field(block, MAGIC)).startsWith("ustar\0");

/** The parts of a file that GNU's headers tell, and whether another block has more of them. */
export function gnuRanges(
  block: Uint8Array,
  follows: boolean,
): { ranges: DataRange[]; more: boolean } {
  const { at, count, moreAt } = follows ? GNU_MORE : GNU_SPARSE;
  const ranges: DataRange[] = [];
  for (let i = 0; i < count; i++) {
    const start = at + i * RANGE_BYTES;
    if (!block[start]) break;
    ranges.push({
      offsetBytes: numberAt(block, { at: start, length: 12 }),
      lengthBytes: numberAt(block, { at: start + 12, length: 12 }),
    });
  }
  return { ranges, more: block[moreAt] !== 0 };
}

/** The size with holes. */
export const gnuRealSize = (block: Uint8Array): number => numberAt(block, GNU_REAL_SIZE);

/** Whether a number fits a field of so many octal digits. */
const fits = (value: number, { length }: Field) => value >= 0 && value < 8 ** (length - 1);
export const fitsId = (value: number): boolean => fits(value, UID);
export const fitsSize = (value: number): boolean => fits(value, SIZE);
export const fitsTime = (value: number): boolean => fits(value, MTIME);
export const fitsName = (name: Uint8Array): boolean => name.length <= NAME.length;

/** Names are cut, and numbers that do not fit are 0: what is more is in a pax header. */
export function encodeHeader(header: Header): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES);
  const number = (value: number, where: Field) => {
    const digits = (fits(value, where) ? value : 0).toString(8).padStart(where.length - 1, "0");
    block.write(digits, where.at, "latin1");
  };
  block.set(header.name.subarray(0, NAME.length), NAME.at);
  block.set(header.linkName.subarray(0, LINK_NAME.length), LINK_NAME.at);
  number(header.mode, MODE);
  number(header.uid, UID);
  number(header.gid, GID);
  number(header.storedBytes, SIZE);
  number(header.modifiedSeconds, MTIME);
  number(header.major, MAJOR);
  number(header.minor, MINOR);
  block.write(header.letter, TYPE_AT, "latin1");
  block.write(POSIX_MAGIC, MAGIC.at, "latin1");
  // Six digits, a NUL and a space.
  const sum = checksumOf(block).toString(8).padStart(6, "0");
  block.write(`${sum}\0 `, CHECKSUM.at, "latin1");
  return block;
}

/** Whether a block starts an archive of today: all have this word. */
export const hasMagic = (block: Uint8Array): boolean =>
  [POSIX_MAGIC, GNU_MAGIC].includes(latin1(field(block, MAGIC)));
