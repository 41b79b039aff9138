// liblinux tar: a directory of an image as a tar archive.
//
// Invariants: one pass, bounded memory. A header is written before what it describes was read: where
// reading fails in the middle, zeroes take the place of the rest, and the failure is told.

import { createWriteStream, lstatSync, renameSync, rmSync } from "node:fs";
import { posix } from "node:path";
import { PassThrough, Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";

import { dataRanges } from "../fs/extents.ts";
import { typeOfMode } from "../fs/stat.ts";
import type { FileType } from "../fs/stat.ts";
import { formatAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { volumeSource } from "./copy-source.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import { bytesOf } from "./cp-in.ts";
import { at, UsageError, withoutCall } from "./errors.ts";
import { deviceParts } from "./metadata.ts";
import type { Files } from "./metadata.ts";
import { kernelChoice, parse, PROGRESS_OPTIONS, READ_OPTIONS, showsProgress } from "./options.ts";
import { printable } from "./output.ts";
import { images } from "./places.ts";
import type { Scope } from "./places.ts";
import { Progress } from "./progress.ts";
import { isOfImage } from "./session.ts";
import { paddingOf } from "./tar/entry.ts";
import type { DataRange, TarEntry, TarType } from "./tar/entry.ts";
import { archiveEnd, memberHeader, sparseMap } from "./tar/writer.ts";
import { eachFound } from "./walk-source.ts";
import type { Found } from "./walk-source.ts";

const CHUNK_BYTES = 1 << 18;

export async function tar(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("tar", args, {
    ...READ_OPTIONS,
    output: { type: "string", short: "o", default: "-" },
    gzip: { type: "boolean", short: "z", default: false },
    zstd: { type: "boolean", default: false },
    sparse: { type: "boolean", short: "S", default: false },
    ...PROGRESS_OPTIONS,
  });
  const [text, ...more] = positionals;
  const file = values.output;
  if (text === undefined) throw new UsageError("tar", "which image? it is IMAGE[:VOLUME][:/PATH]");
  if (more.length) throw new UsageError("tar", "one place at a time");
  if (values.gzip && values.zstd) throw new UsageError("tar", "-z or --zstd: not both");
  if (file === "-" && process.stdout.isTTY)
    throw new UsageError("tar", "a terminal cannot show an archive: -o FILE, or a pipe");
  const place = scope.address(text);
  const path = place.path ?? "/";
  return scope.withVolume(place, kernelChoice("tar", values), async (volume) => {
    using progress = new Progress(showsProgress(values));
    if (progress.shown)
      progress.totalBytes = await bytesOf(volumeSource(volume), Buffer.from(path));
    const archive = new Archive(volume, place, values.sparse, progress);
    const plain = Readable.from(archive.bytes(path), { objectMode: false });
    const filter = values.gzip
      ? createGzip()
      : values.zstd
        ? createZstdCompress()
        : new PassThrough();
    try {
      await into(file, plain, filter);
    } catch (error) {
      const here = file === "-" ? "standard output" : file;
      throw at(isOfImage(error) ? formatAddress(place, path) : here, error);
    }
    return archive.failures ? 1 : 0;
  });
}

/** A file is there when it is complete; a device or a pipe is written to as it is. */
async function into(file: string, plain: Readable, filter: Duplex): Promise<void> {
  if (file === "-") return pipeline(plain, filter, process.stdout, { end: false });
  const there = lstatSync(file, { throwIfNoEntry: false });
  if (there && !there.isFile()) return pipeline(plain, filter, createWriteStream(file));
  const temporary = `${file}.liblinux-${process.pid}`;
  const abandon = () => rmSync(temporary, { force: true });
  process.once("exit", abandon);
  try {
    await pipeline(plain, filter, createWriteStream(temporary, { flags: "wx" }));
    renameSync(temporary, file);
  } finally {
    process.off("exit", abandon);
    abandon();
  }
}

const TYPES: Readonly<Partial<Record<FileType, TarType>>> = {
  file: "file",
  symlink: "symlink",
  directory: "directory",
  "character device": "character device",
  "block device": "block device",
  fifo: "fifo",
};

class Archive {
  readonly #files: Files;
  readonly #source: CopySource;
  readonly #address: Address;
  readonly #sparse: boolean;
  readonly #progress: Progress;
  /** The name in the archive of the first of several names of a file. */
  readonly #linked = new Map<string, Buffer>();
  #written = 0;
  failures = 0;

  constructor(files: Files, address: Address, sparse: boolean, progress: Progress) {
    this.#files = files;
    this.#source = volumeSource(files);
    this.#address = address;
    this.#sparse = sparse;
    this.#progress = progress;
  }

  /** The archive of a directory, whose names start with `./`, or of a file. */
  async *bytes(path: string): AsyncGenerator<Uint8Array, void, undefined> {
    const { promises } = this.#files.fs;
    const isDirectory = (await promises.stat(path)).isDirectory();
    // A link to a directory means the directory.
    const top = isDirectory ? await promises.realpath(path) : path;
    const base = Buffer.from(isDirectory ? "./" : posix.basename(path));
    const failed = (name: Buffer, error: unknown) => this.#failed(name, withoutCall(error));
    for await (const found of eachFound(this.#source, Buffer.from(top), failed))
      for await (const bytes of this.#member(found, Buffer.concat([base, found.inside]))) {
        this.#written += bytes.length;
        this.#progress.add(bytes.length);
        yield bytes;
      }
    yield archiveEnd(this.#written);
  }

  async *#member(
    { path, status }: Found,
    name: Buffer,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const file = TYPES[typeOfMode(Number(status.mode))];
    if (!file) {
      this.#failed(path, "is a socket, which no archive can hold: left out", false);
      return;
    }
    const key = String(status.ino);
    const first = status.nlink > 1n && file !== "directory" ? this.#linked.get(key) : undefined;
    let entry: TarEntry;
    try {
      entry = await this.#entry(path, name, status, first ? "hard link" : file, first);
    } catch (error) {
      this.#failed(path, withoutCall(error));
      return;
    }
    if (status.nlink > 1n) this.#linked.set(key, name);
    if (entry.type === "file") yield* this.#file(path, entry, status);
    else yield memberHeader(entry);
  }

  async #entry(
    path: Buffer,
    name: Buffer,
    status: SourceStatus,
    type: TarType,
    first: Buffer | undefined,
  ): Promise<TarEntry> {
    const slash = type === "directory" && name.at(-1) !== 0x2f ? "/" : "";
    return {
      type,
      name: Buffer.concat([name, Buffer.from(slash)]),
      linkName: first ?? (type === "symlink" ? await this.#source.target(path) : new Uint8Array()),
      mode: Number(status.mode & 0o7777n),
      uid: Number(status.uid),
      gid: Number(status.gid),
      sizeBytes: type === "file" ? Number(status.size) : 0,
      modifiedNs: status.mtimeNs,
      device: deviceParts(status.rdev),
      attributes: first ? [] : await this.#source.attributes(path),
    };
  }

  async *#file(
    path: Buffer,
    entry: TarEntry,
    status: SourceStatus,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const whole = [{ offsetBytes: 0, lengthBytes: entry.sizeBytes }];
    const sparse = this.#sparse && status.blocks * 512n < status.size;
    // What ends in a hole is told by an empty part at the end, as GNU tar does.
    const ranges = sparse
      ? [
          ...(await dataRanges(this.#files.process, path)),
          { offsetBytes: entry.sizeBytes, lengthBytes: 0 },
        ]
      : whole;
    const map = sparse ? sparseMap(ranges) : null;
    yield memberHeader(entry, map && { map, ranges });
    if (map) yield map;
    yield* this.#content(path, ranges);
    const stored = ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    yield new Uint8Array(paddingOf(stored));
  }

  /** Exactly as much as the header said. */
  async *#content(
    path: Buffer,
    ranges: readonly DataRange[],
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let problem: string | null = null;
    await using file = await this.#source.open(path).catch((error: unknown) => {
      problem = withoutCall(error);
      return null;
    });
    for (const { offsetBytes, lengthBytes } of ranges)
      for (let done = 0; done < lengthBytes;) {
        // A new one each time: the stream may still have the last one.
        const bytes = new Uint8Array(Math.min(CHUNK_BYTES, lengthBytes - done));
        let count = bytes.length;
        if (file && problem === null)
          try {
            count = await file.read(bytes, offsetBytes + done);
            if (!count) problem = "is shorter than it was";
          } catch (error) {
            problem = withoutCall(error);
          }
        count ||= bytes.length;
        yield bytes.subarray(0, count);
        done += count;
      }
    if (problem !== null) this.#failed(path, `${problem}; zeroes are in its place`);
  }

  #failed(path: Buffer, problem: string, counts = true): void {
    if (counts) this.failures++;
    this.#progress.clear();
    const where = printable(formatAddress(this.#address, path.toString()));
    process.stderr.write(`liblinux: tar ${where}: ${problem}\n`);
  }
}
