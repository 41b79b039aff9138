// Writing tar archives: pax (POSIX.1-2001), with extended headers only where a file needs one.

import { isUtf8 } from "node:buffer";

import { BLOCK_BYTES, paddingOf } from "./entry.ts";
import type { DataRange, TarEntry, TarType } from "./entry.ts";
import { encodeHeader, fitsId, fitsName, fitsSize, fitsTime } from "./header.ts";
import { encodePax, encodeTime } from "./pax.ts";

const LETTERS: Readonly<Record<TarType, string>> = {
  file: "0",
  "hard link": "1",
  symlink: "2",
  "character device": "3",
  "block device": "4",
  directory: "5",
  fifo: "6",
};
const NS = 1_000_000_000n;
/** The end is padded to this, as tapes had it. */
const RECORD_BYTES = 20 * BLOCK_BYTES;

/** Whether a name needs no extended header: short, and ASCII or in no character set at all. */
const isPlain = (name: Uint8Array) =>
  fitsName(name) && (name.every((byte) => byte < 0x80) || !isUtf8(name));

/** Where a sparse file's parts are (GNU's format 1.0), up to a whole block. */
export function sparseMap(ranges: readonly DataRange[]): Uint8Array {
  const numbers = ranges.flatMap(({ offsetBytes, lengthBytes }) => [offsetBytes, lengthBytes]);
  const text = Buffer.from([ranges.length, ...numbers].map((number) => `${number}\n`).join(""));
  return Buffer.concat([text, new Uint8Array(paddingOf(text.length))]);
}

/**
 * What comes before a file's content. After it: so many bytes as are stored, and padding.
 *
 * @param sparse the map and the parts that are stored, instead of the whole file
 */
export function memberHeader(
  entry: TarEntry,
  sparse: { readonly map: Uint8Array; readonly ranges: readonly DataRange[] } | null = null,
): Uint8Array {
  const { type, name, linkName, uid, gid, modifiedNs } = entry;
  const data = sparse?.ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  const stored = type === "file" ? (data ?? entry.sizeBytes) + (sparse?.map.length ?? 0) : 0;
  const records: (readonly [string, Uint8Array])[] = [];
  const add = (key: string, value: string | Uint8Array) =>
    records.push([key, typeof value === "string" ? Buffer.from(value) : value]);
  if (sparse) {
    add("GNU.sparse.major", "1");
    add("GNU.sparse.minor", "0");
    add("GNU.sparse.name", name);
    add("GNU.sparse.realsize", String(entry.sizeBytes));
  } else if (!isPlain(name)) add("path", name);
  if (!isPlain(linkName)) add("linkpath", linkName);
  if (!fitsId(uid)) add("uid", String(uid));
  if (!fitsId(gid)) add("gid", String(gid));
  if (!fitsSize(stored)) add("size", String(stored));
  const seconds = Number((modifiedNs - (((modifiedNs % NS) + NS) % NS)) / NS);
  if (modifiedNs % NS || !fitsTime(seconds)) add("mtime", encodeTime(modifiedNs));
  for (const [attribute, value] of entry.attributes) add(`SCHILY.xattr.${attribute}`, value);
  const header = encodeHeader({
    ...entry,
    ...entry.device,
    letter: LETTERS[type],
    storedBytes: stored,
    modifiedSeconds: seconds,
  });
  if (!records.length) return header;
  const pax = encodePax(records);
  const before = encodeHeader({
    ...NO_FILE,
    letter: "x",
    name: Buffer.from("././@PaxHeader"),
    storedBytes: pax.length,
  });
  return Buffer.concat([before, pax, new Uint8Array(paddingOf(pax.length)), header]);
}

const NO_FILE = {
  linkName: new Uint8Array(),
  mode: 0o644,
  uid: 0,
  gid: 0,
  modifiedSeconds: 0,
  major: 0,
  minor: 0,
} as const;

/** What ends an archive of so many bytes. */
export function archiveEnd(bytes: number): Uint8Array {
  const least = bytes + 2 * BLOCK_BYTES;
  return new Uint8Array(Math.ceil(least / RECORD_BYTES) * RECORD_BYTES - bytes);
}
