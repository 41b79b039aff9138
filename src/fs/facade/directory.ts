// The entries of directories: read at once, with all below, or one by one.
//
// Invariants of a Dir: one read at a time goes to the kernel (#last); its descriptor is open until close().

import { AT_SYMLINK_NOFOLLOW, O_DIRECTORY, O_RDONLY } from "../../abi/constants/fcntl.ts";
import { DT_DIR, DT_LNK, DT_UNKNOWN, S_IFDIR, S_IFMT } from "../../abi/constants/stat.ts";
import { LinuxDirent64, Statx } from "../../abi/structs/fs.ts";
import { compareBytes } from "../directory.ts";
import type { Name } from "./arguments.ts";
import { Dirent } from "./dirent.ts";
import { decode } from "./encoding.ts";
import type { Encoding } from "./encoding.ts";
import { FsError, SUSPENDS, dirClosedError, unavailableError } from "./errors.ts";
import type { Files } from "./files.ts";
import { SMALLEST_BYTES } from "./memory.ts";
import { append, join } from "./paths.ts";
import { RuntimeBuffer, asBytes } from "./runtime.ts";

const AT = LinuxDirent64.offsets;
const DOT = 46;
/** What is read of a directory where no transfer buffer is free. */
const SMALL_BYTES = 32768;

/** What names are given as. */
export type NameEncoding = Encoding | "buffer";

/** A name, and its type as DT_…. */
export interface Entry {
  readonly name: Name;
  readonly type: number;
}

export function openDirectory(
  files: Files,
  path: Name,
  syscall: string,
  at?: number,
  flags = 0,
): Promise<number> {
  const options = at === undefined ? { syscall } : { syscall, at };
  return files.open(path, O_RDONLY | O_DIRECTORY | flags, 0, options);
}

/** Names out of the records that getdents64() wrote. */
class Records {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #text: { toString(encoding: string, start: number, end: number): string } | undefined;
  readonly #encoding: NameEncoding;

  constructor(bytes: Uint8Array, encoding: NameEncoding) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#text = RuntimeBuffer?.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#encoding = encoding;
  }

  /** Add the entries but "." and "..". */
  into(entries: Entry[], length: number): void {
    const [bytes, view] = [this.#bytes, this.#view];
    for (let at = 0; at < length;) {
      const size = view.getUint16(at + AT.d_reclen, true);
      const start = at + AT.d_name;
      let end = start + 1;
      while (bytes[end]) end++;
      const dots =
        bytes[start] === DOT &&
        (end === start + 1 || (end === start + 2 && bytes[start + 1] === DOT));
      if (!dots) entries.push({ name: this.#name(start, end), type: bytes[at + AT.d_type] });
      at += size;
    }
  }

  #name(start: number, end: number): Name {
    const encoding = this.#encoding;
    if (encoding === "buffer") return asBytes(this.#bytes.slice(start, end));
    if (this.#text) return this.#text.toString(encoding, start, end);
    return decode(this.#bytes.slice(start, end), encoding);
  }
}

/** Up to so many bytes of entries; none at the end. */
async function readSome(
  files: Files,
  fd: number,
  path: Name,
  encoding: NameEncoding,
  entries: Entry[],
): Promise<boolean> {
  const taken = files.memory.takeTransfer(SMALLEST_BYTES);
  const transfer = taken instanceof Promise ? await taken : taken;
  try {
    const bytes = transfer?.bytes ?? new Uint8Array(SMALL_BYTES);
    const length = await files.getdents(fd, transfer?.memory ?? bytes, bytes.length, path);
    if (length) new Records(bytes, encoding).into(entries, length);
    return length > 0;
  } finally {
    if (transfer) files.memory.giveTransfer(transfer);
  }
}

/** All entries of a directory that is open, in its own order. */
export async function readOpen(
  files: Files,
  fd: number,
  path: Name,
  encoding: NameEncoding,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  while (await readSome(files, fd, path, encoding, entries));
  return entries;
}

/** All entries of a directory, sorted by the bytes of their names as scandir(3) with strcmp does. */
export async function scan(files: Files, path: Name, encoding: NameEncoding): Promise<Entry[]> {
  const fd = await openDirectory(files, path, "scandir");
  const entries = await files.using(fd, () => readOpen(files, fd, path, encoding));
  return entries.sort(byName);
}

/** Text above U+D7FF sorts by bytes otherwise than by units of UTF-16. */
const HIGH = /[\ud800-\uffff]/;
const encoder = new TextEncoder();

function byName({ name: a }: Entry, { name: b }: Entry): number {
  if (typeof a === "string" && typeof b === "string" && !(HIGH.test(a) || HIGH.test(b)))
    return a < b ? -1 : 1;
  return compareBytes(
    typeof a === "string" ? encoder.encode(a) : a,
    typeof b === "string" ? encoder.encode(b) : b,
  );
}

const typeOf = (view: DataView) => view.getUint16(Statx.offsets.stx_mode, true) & S_IFMT;

/** The type of an entry, also where the directory does not tell it. */
async function known(files: Files, parent: Name, { name, type }: Entry): Promise<number> {
  if (type !== DT_UNKNOWN) return type;
  const mode = await files.statx("lstat", append(parent, name), AT_SYMLINK_NOFOLLOW, typeOf);
  // DT_… is the type of a mode, shifted (include/linux/fs_types.h).
  return mode >> 12;
}

async function leadsToDirectory(files: Files, path: Name): Promise<boolean> {
  try {
    return (await files.statx("stat", path, 0, typeOf)) === S_IFDIR;
  } catch (error) {
    if (error instanceof FsError) return false;
    throw error;
  }
}

const rawName = (entry: Entry) => entry.name;

/** The names in a directory; with those below, level by level, also behind symbolic links. */
export async function readNames(
  files: Files,
  path: Name,
  encoding: NameEncoding,
  recursive: boolean,
): Promise<Name[]> {
  const entries = await scan(files, path, encoding);
  if (!recursive) return entries.map(rawName);
  const names: Name[] = [];
  const queue: [prefix: Name, entries: Entry[]][] = [["", entries]];
  for (let level = queue.shift(); level; level = queue.shift()) {
    const [prefix, found] = level;
    for (const { name, type } of found) {
      const relative = append(prefix, name);
      names.push(
        encoding === "buffer" && typeof relative !== "string" ? asBytes(relative) : relative,
      );
      if (type !== DT_DIR && type !== DT_LNK && type !== DT_UNKNOWN) continue;
      const below = append(path, relative);
      if (type === DT_DIR || (await leadsToDirectory(files, below)))
        queue.push([relative, await scan(files, below, encoding)]);
    }
  }
  return names;
}

/** The entries of a directory; with those below, level by level. */
export async function readDirents(
  files: Files,
  path: Name,
  encoding: NameEncoding,
  recursive: boolean,
): Promise<Dirent<string | Uint8Array>[]> {
  const dirents: Dirent<string | Uint8Array>[] = [];
  const queue: Name[] = [path];
  for (let next = queue.shift(); next !== undefined; next = queue.shift())
    for (const entry of await scan(files, next, encoding)) {
      const type = await known(files, next, entry);
      dirents.push(new Dirent<string | Uint8Array>(entry.name, next, type));
      if (recursive && type === DT_DIR) queue.push(join(next, entry.name));
    }
  return dirents;
}

/** A directory that is open. */
export class Dir<N extends string | Uint8Array = string> {
  readonly #files: Files;
  /** As it was given. */
  readonly path: string;
  readonly #encoding: NameEncoding;
  readonly #recursive: boolean;
  #fd: number;
  #parent: Name;
  #entries: Entry[] = [];
  #next = 0;
  #ended = false;
  readonly #below: Name[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** @internal Use `fs.promises.opendir()`. */
  constructor(files: Files, path: Name, fd: number, encoding: NameEncoding, recursive: boolean) {
    this.#files = files;
    this.path = typeof path === "string" ? path : decode(path);
    this.#parent = path;
    this.#fd = fd;
    this.#encoding = encoding;
    this.#recursive = recursive;
  }

  #perform<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work);
    this.#last = done;
    done.catch(() => {});
    return done;
  }

  /** The next entry, in the directory's own order, or null at its end. */
  read(): Promise<Dirent<N> | null>;
  read(callback: (error: Error | null, entry?: Dirent<N> | null) => void): void;
  read(
    callback?: (error: Error | null, entry?: Dirent<N> | null) => void,
  ): Promise<Dirent<N> | null> | undefined {
    const entry =
      this.#fd < 0 ? Promise.reject(dirClosedError()) : this.#perform(() => this.#read());
    return settle(entry, callback);
  }

  async #read(): Promise<Dirent<N> | null> {
    while (this.#next >= this.#entries.length) {
      if (this.#fd < 0) throw dirClosedError();
      this.#entries = [];
      this.#next = 0;
      if (this.#ended && !(await this.#enter())) return null;
      const { path } = this;
      const more = await readSome(this.#files, this.#fd, path, this.#encoding, this.#entries);
      this.#ended = !more;
    }
    const entry = this.#entries[this.#next++];
    const type = await known(this.#files, this.#parent, entry);
    if (this.#recursive && type === DT_DIR) this.#below.push(join(this.#parent, entry.name));
    return new Dirent<N>(entry.name as N, this.#parent, type);
  }

  /** Go on with a directory below. */
  async #enter(): Promise<boolean> {
    const below = this.#below.shift();
    if (below === undefined) return false;
    const fd = await openDirectory(this.#files, below, "opendir");
    await this.#files.close(this.#fd);
    this.#fd = fd;
    this.#parent = below;
    this.#ended = false;
    return true;
  }

  /** @throws ERR_DIR_CLOSED the second time */
  close(): Promise<void>;
  close(callback: (error: Error | null) => void): void;
  close(callback?: (error: Error | null) => void): Promise<void> | undefined {
    const closed =
      this.#fd < 0 ? Promise.reject(dirClosedError()) : this.#perform(() => this.#close());
    return settle(closed, callback);
  }

  async #close(): Promise<void> {
    const fd = this.#fd;
    if (fd < 0) throw dirClosedError();
    this.#fd = -1;
    await this.#files.close(fd);
  }

  /** All entries; the directory is closed at the end. */
  async *entries(): AsyncGenerator<Dirent<N>, undefined> {
    try {
      for (let entry = await this.read(); entry; entry = await this.read()) yield entry;
    } finally {
      await this.close();
    }
    return undefined;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Dirent<N>, undefined> {
    return this.entries();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#fd >= 0) await this.close();
  }

  /** Begins to close it; `await using` tells when it is closed, and what failed. */
  [Symbol.dispose](): void {
    if (this.#fd >= 0) this.close().catch(() => {});
  }

  /** @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM as all that would have to wait */
  readSync(): never {
    throw unavailableError("dir.readSync()", "dir.read()", SUSPENDS);
  }

  /** @throws ERR_FEATURE_UNAVAILABLE_ON_PLATFORM */
  closeSync(): never {
    throw unavailableError("dir.closeSync()", "dir.close()", SUSPENDS);
  }
}

/** A promise for who takes one, and nothing for who gave a callback. */
function settle<T>(
  result: Promise<T>,
  callback: ((error: Error | null, value?: T) => void) | undefined,
): Promise<T> | undefined {
  if (callback === undefined) return result;
  result.then(
    (value) => queueMicrotask(() => callback(null, value)),
    (error: unknown) => queueMicrotask(() => callback(error as Error)),
  );
  return undefined;
}
