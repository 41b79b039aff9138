// Reading tar archives: ustar, pax, GNU's, and those of before, with sparse files of all four kinds
// ("Storing Sparse Files" of GNU tar's manual).
//
// Invariants: one pass, nothing is kept but one file's headers, which have a bound.

import { aclAttribute, isAcl } from "./acl-text.ts";
import { BytesIn } from "./bytes-in.ts";
import { BLOCK_BYTES, paddingOf, TarError } from "./entry.ts";
import type { DataRange, TarEntry, TarType } from "./entry.ts";
import { decodeHeader, gnuRanges, gnuRealSize } from "./header.ts";
import type { Header } from "./header.ts";
import { decodeNumber, decodePax, decodeTime } from "./pax.ts";
import type { PaxRecords } from "./pax.ts";

/** Headers longer than this are none: an attribute has 64 KiB at most. */
const MAX_HEADER_BYTES = 16 << 20;
/** Parts of a sparse file. */
const MAX_RANGES = 1 << 20;

const TYPES: Readonly<Record<string, TarType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  S: "file",
  "1": "hard link",
  "2": "symlink",
  "3": "character device",
  "4": "block device",
  "5": "directory",
  D: "directory",
  "6": "fifo",
};

/** A part of a file's content. */
export interface Piece {
  readonly offsetBytes: number;
  /** To be used before the next one is asked for. */
  readonly bytes: Uint8Array;
}

export interface TarMember {
  readonly entry: TarEntry;
  /** What is between pieces, and after the last one, are holes. Can be left unread. */
  readonly content: AsyncIterable<Piece>;
}

/** What is told of the next file, before its own header. */
interface Ahead {
  records: PaxRecords;
  name: Uint8Array | null;
  linkName: Uint8Array | null;
}

export class TarReader {
  readonly #in: BytesIn;
  readonly #leftOut: (name: Uint8Array, letter: string) => void;
  /** Of all files that follow. */
  #global: PaxRecords = [];
  /** Of the content of the current file. */
  #unread = 0;
  #padding = 0;

  /** @param leftOut is told of what is neither a file nor a header: parts of volumes, labels… */
  constructor(
    source: AsyncIterable<Uint8Array>,
    leftOut: (name: Uint8Array, letter: string) => void,
  ) {
    this.#in = new BytesIn(source);
    this.#leftOut = leftOut;
  }

  /** @throws {TarError} */
  async *members(): AsyncGenerator<TarMember, void, undefined> {
    let ahead: Ahead = { records: [], name: null, linkName: null };
    for (let isFirst = true; ; isFirst = false) {
      const block = await this.#in.exactly(BLOCK_BYTES);
      if (!block || block.every((byte) => byte === 0)) {
        const more = await this.#in.drain();
        // A disk image may begin with zeroes, too.
        if (isFirst && more) throw new TarError("this is no tar archive: it begins with zeroes");
        return;
      }
      const header = decodeHeader(block);
      if (await this.#isAhead(header, ahead)) continue;
      const type = TYPES[header.letter];
      if (type) yield await this.#member(type, header, block, ahead);
      else {
        this.#unread = header.storedBytes;
        this.#padding = paddingOf(this.#unread);
        this.#leftOut(ahead.name ?? header.name, header.letter);
      }
      await this.#in.skip(this.#unread + this.#padding);
      ahead = { records: [], name: null, linkName: null };
    }
  }

  /** @returns whether it is a header of the next file */
  async #isAhead({ letter, storedBytes }: Header, ahead: Ahead): Promise<boolean> {
    if (letter === "x" || letter === "X") ahead.records = decodePax(await this.#long(storedBytes));
    else if (letter === "g")
      this.#global = [...this.#global, ...decodePax(await this.#long(storedBytes))].slice(-1000);
    else if (letter === "L") ahead.name = upToNul(await this.#long(storedBytes));
    else if (letter === "K") ahead.linkName = upToNul(await this.#long(storedBytes));
    else return false;
    return true;
  }

  async #long(bytes: number): Promise<Uint8Array> {
    if (bytes > MAX_HEADER_BYTES) throw new TarError("a header is longer than any can be");
    const content = await this.#exactly(bytes);
    await this.#in.skip(paddingOf(bytes));
    return content;
  }

  async #exactly(bytes: number): Promise<Uint8Array> {
    const content = await this.#in.exactly(bytes);
    if (!content) throw new TarError("the archive ends too early");
    return content;
  }

  async #member(
    letterType: TarType,
    header: Header,
    block: Uint8Array,
    ahead: Ahead,
  ): Promise<TarMember> {
    const all = [...this.#global, ...ahead.records];
    const last = (key: string) => all.findLast(([name]) => name === key)?.[1];
    const text = (key: string) => {
      const value = last(key);
      return value?.length ? Buffer.from(value).toString() : undefined;
    };
    const numberOf = (key: string, otherwise: number) => {
      const value = text(key);
      return value === undefined ? otherwise : decodeNumber(value);
    };
    const stored = numberOf("size", header.storedBytes);
    const name = last("GNU.sparse.name") ?? last("path") ?? ahead.name ?? header.name;
    // Before there was a type for them, directories had a slash.
    const type = letterType === "file" && name.at(-1) === 0x2f ? "directory" : letterType;
    this.#unread = type === "file" || type === "directory" ? stored : 0;
    this.#padding = paddingOf(this.#unread);
    const time = text("mtime");
    const sparse = type === "file" ? await this.#sparse(header, block, all) : null;
    const entry: TarEntry = {
      type,
      name,
      linkName: last("linkpath") ?? ahead.linkName ?? header.linkName,
      mode: header.mode,
      uid: numberOf("uid", header.uid),
      gid: numberOf("gid", header.gid),
      sizeBytes: sparse ? sparse.sizeBytes : type === "file" ? stored : 0,
      modifiedNs:
        time === undefined ? BigInt(header.modifiedSeconds) * 1_000_000_000n : decodeTime(time),
      device: { major: header.major, minor: header.minor },
      attributes: attributesOf(all),
    };
    const ranges = sparse?.ranges ?? [{ offsetBytes: 0, lengthBytes: entry.sizeBytes }];
    return { entry, content: this.#content(ranges) };
  }

  async *#content(ranges: readonly DataRange[]): AsyncGenerator<Piece, void, undefined> {
    for (const { offsetBytes, lengthBytes } of ranges) {
      for (let done = 0; done < lengthBytes;) {
        const most = Math.min(lengthBytes - done, this.#unread);
        const bytes = most ? await this.#in.some(most) : null;
        if (!bytes) throw new TarError("the archive ends too early");
        this.#unread -= bytes.length;
        yield { offsetBytes: offsetBytes + done, bytes };
        done += bytes.length;
      }
    }
  }

  /** Where the stored parts of a sparse file are; null if it is none. */
  async #sparse(
    header: Header,
    block: Uint8Array,
    records: PaxRecords,
  ): Promise<{ sizeBytes: number; ranges: DataRange[] } | null> {
    const value = (...keys: string[]) => {
      const found = records.findLast(([key]) => keys.includes(key))?.[1];
      return found && Buffer.from(found).toString("latin1");
    };
    const size = value("GNU.sparse.realsize", "GNU.sparse.size");
    if (header.letter === "S")
      return checked({ sizeBytes: gnuRealSize(block), ranges: await this.#oldMap(block) });
    if (size === undefined) return null;
    const numbers = value("GNU.sparse.major")
      ? await this.#storedMap()
      : (value("GNU.sparse.map")?.split(",") ??
        records.flatMap(([key, bytes]) =>
          key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes"
            ? [Buffer.from(bytes).toString("latin1")]
            : [],
        ));
    return checked({ sizeBytes: decodeNumber(size), ranges: rangesOf(numbers) });
  }

  async #oldMap(first: Uint8Array): Promise<DataRange[]> {
    let { ranges, more } = gnuRanges(first, false);
    while (more) {
      const next = gnuRanges(await this.#exactly(BLOCK_BYTES), true);
      ranges = ranges.concat(next.ranges);
      if (ranges.length > MAX_RANGES) throw new TarError("a sparse file has too many parts");
      more = next.more;
    }
    return ranges;
  }

  /** In front of the content: how many, then offsets and lengths, each in a line, up to a block. */
  async #storedMap(): Promise<string[]> {
    let text = "";
    for (;;) {
      if (this.#unread < BLOCK_BYTES) throw new TarError("a sparse file's map is damaged");
      text += Buffer.from(await this.#exactly(BLOCK_BYTES)).toString("latin1");
      this.#unread -= BLOCK_BYTES;
      const lines = text.split("\n");
      const count = lines.length > 1 ? decodeNumber(lines[0]) : 0;
      if (count > MAX_RANGES || text.length > MAX_HEADER_BYTES)
        throw new TarError("a sparse file has too many parts");
      if (lines.length > 2 * count + 1) return lines.slice(1, 2 * count + 1);
    }
  }
}

const XATTR = "SCHILY.xattr.";

function attributesOf(records: PaxRecords): TarEntry["attributes"] {
  const attributes = new Map<string, Uint8Array>();
  for (const [key, value] of records) {
    if (key.startsWith(XATTR)) attributes.set(key.slice(XATTR.length), value);
    else if (isAcl(key)) attributes.set(...aclAttribute(key, value));
  }
  return [...attributes];
}

function rangesOf(numbers: readonly string[]): DataRange[] {
  const ranges: DataRange[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2)
    ranges.push({
      offsetBytes: decodeNumber(numbers[i]),
      lengthBytes: decodeNumber(numbers[i + 1]),
    });
  return ranges;
}

function checked(sparse: { sizeBytes: number; ranges: DataRange[] }) {
  const sound = sparse.ranges.every(
    ({ offsetBytes, lengthBytes }) => offsetBytes + lengthBytes <= sparse.sizeBytes,
  );
  if (!sound) throw new TarError("a sparse file has parts after its end");
  return sparse;
}

function upToNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}
