// Directories and files as LIST, NLST, MLSD and MLST show them.

import { S_ISVTX } from "../abi/constants/stat.ts";
import { CLOCK_REALTIME } from "../abi/constants/time.ts";
import { errno } from "../abi/errno.ts";
import { viewOf } from "../abi/struct.ts";
import { LinuxDirent64 } from "../abi/structs/fs.ts";
import { KernelTimespec } from "../abi/structs/time.ts";
import { openDirectory } from "../fs/directory.ts";
import { readLink } from "../fs/files.ts";
import { stat } from "../fs/stat.ts";
import type { FileStatus, FileType } from "../fs/stat.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { hasBreak, join } from "./reply.ts";
import type { Text } from "./reply.ts";
import type { Fact } from "./session.ts";
import { listed, stamp } from "./times.ts";

/** What is read of a directory at once, and all that is kept of it. */
const PART_BYTES = 32768;
const NAME = LinuxDirent64.offsets.d_name;
/** What access(2) asks for (POSIX, unistd.h). */
const X_OK = 1;
const W_OK = 2;
const R_OK = 4;

const DOTS: ReadonlySet<string> = new Set([".", ".."]);

/** The names in a directory that is open, in its own order, without "." and "..". */
async function* namesIn(process: Process, fd: number): AsyncGenerator<Uint8Array, void, undefined> {
  const bytes = new Uint8Array(PART_BYTES);
  for (;;) {
    const length = await process.getdents64(fd, bytes, bytes.length);
    if (!length) return;
    const view = viewOf(bytes);
    for (let at = 0; at < length;) {
      const start = at + NAME;
      const name = bytes.slice(start, bytes.indexOf(0, start));
      at += new LinuxDirent64(view, at).d_reclen;
      if (!DOTS.has(Buffer.from(name).toString("latin1"))) yield name;
    }
  }
}

/** How one entry is shown. */
export type Show = (fd: number, name: Uint8Array) => Promise<Text>;

/**
 * What is to be listed: a directory's entries, or one file, shown one by one.
 *
 * Invariant: a name with a line break is never shown, since what is behind the break would look
 * like an entry of its own; it is counted in {@link leftOut}, as is what the kernel cannot look at.
 */
export class Listing implements AsyncDisposable {
  readonly #process: Process;
  readonly #fd: number;
  /** The one file that is listed, or null: all. */
  readonly #only: Uint8Array | null;
  /** How many names could not be shown. */
  leftOut = 0;

  private constructor(process: Process, fd: number, only: Uint8Array | null) {
    this.#process = process;
    this.#fd = fd;
    this.#only = only;
  }

  /** @throws {SystemError} e.g. ENOENT, EACCES */
  static async open(process: Process, path: Uint8Array): Promise<Listing> {
    try {
      return new Listing(process, await openDirectory(process, path), null);
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === -errno.ENOTDIR)) throw error;
      await stat(process, path, { follow: false });
      return new Listing(process, await openDirectory(process, "."), path);
    }
  }

  /** The directory that entries are in; of a single file, the one that its name starts from. */
  get fd(): number {
    return this.#fd;
  }

  get isDirectory(): boolean {
    return this.#only === null;
  }

  async *lines(show: Show): AsyncGenerator<Text, void, undefined> {
    const names = this.#only ? [this.#only] : namesIn(this.#process, this.#fd);
    for await (const name of names) {
      const line = await this.#try(show, name);
      if (line !== null) yield line;
    }
  }

  async #try(show: Show, name: Uint8Array): Promise<Text | null> {
    try {
      if (!hasBreak(name)) return await show(this.#fd, name);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // It was removed while the directory was read.
      if (error.errno === -errno.ENOENT) return null;
    }
    this.leftOut++;
    return null;
  }

  async close(): Promise<void> {
    await this.#process.close(this.#fd);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

// --- LIST --------------------------------------------------------------------------------------

const LETTERS: Readonly<Record<FileType, string>> = {
  file: "-",
  directory: "d",
  symlink: "l",
  "character device": "c",
  "block device": "b",
  fifo: "p",
  socket: "s",
  unknown: "?",
};

/** E.g. `drwxr-xr-x`. */
function modeText({ type, mode }: FileStatus): string {
  const letters = Array.from("rwxrwxrwx", (letter, i) => ((mode >> (8 - i)) & 1 ? letter : "-"));
  // Set-user-ID, set-group-ID and sticky are shown in place of the x of their three.
  for (const [i, letter] of ["s", "s", "t"].entries()) {
    if (!((mode >> (11 - i)) & 1)) continue;
    const at = i * 3 + 2;
    letters[at] = letters[at] === "x" ? letter : letter.toUpperCase();
  }
  return LETTERS[type] + letters.join("");
}

/** The kernel's time, which may be no wall clock's. */
export async function nowNs(process: Process): Promise<bigint> {
  const time = KernelTimespec.alloc();
  await process.clock_gettime64(CLOCK_REALTIME, time.bytes);
  return time.tv_sec * 1_000_000_000n + time.tv_nsec;
}

/** As `ls -l -n` has it, the form that clients take apart. */
export function showLong(process: Process, now: bigint): Show {
  return async (fd, name) => {
    const status = await stat(process, name, { at: fd, follow: false });
    const { links, uid, gid, sizeBytes, modifiedNs } = status;
    const columns = [
      modeText(status),
      String(links).padStart(4),
      String(uid).padEnd(8),
      String(gid).padEnd(8),
      String(sizeBytes).padStart(12),
      listed(modifiedNs, now),
      "",
    ];
    const target = status.type === "symlink" ? await readLink(process, name, fd) : null;
    return join(columns.join(" "), name, ...(target && !hasBreak(target) ? [" -> ", target] : []));
  };
}

// --- MLST and MLSD -----------------------------------------------------------------------------

export interface FactOptions {
  readonly facts: ReadonlySet<Fact>;
  readonly readOnly: boolean;
}

async function may(process: Process, fd: number, name: Uint8Array, what: number): Promise<boolean> {
  try {
    await process.faccessat(fd, name, what);
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

const DOT = Buffer.from(".");

/** Whether entries of a directory may be removed and renamed, as far as it alone says. */
export interface Parent {
  readonly writable: boolean;
  /** If it is sticky, and another's: only entries of this user. Null: anybody's. */
  readonly onlyOf: number | null;
}

/** The directory that is open, or the one of this name from there. */
export async function parentAt(
  process: Process,
  fd: number,
  folder: Uint8Array = DOT,
): Promise<Parent> {
  const writable = await may(process, fd, folder, W_OK | X_OK);
  if (!writable) return { writable, onlyOf: null };
  const { mode, uid } = await stat(process, folder, { at: fd });
  const user = await process.geteuid();
  const anybodys = !(mode & S_ISVTX) || user === 0 || user === uid;
  return { writable, onlyOf: anybodys ? null : user };
}

/** What this user may do (RFC 3659, section 7.5.5), as the kernel says. */
async function permissions(
  process: Process,
  fd: number,
  name: Uint8Array,
  { type, uid }: FileStatus,
  parent: Parent | null,
  readOnly: boolean,
): Promise<string> {
  let letters = "";
  if (type === "file") {
    if (await may(process, fd, name, R_OK)) letters += "r";
    if (!readOnly && (await may(process, fd, name, W_OK))) letters += "aw";
  }
  if (type === "directory" && (await may(process, fd, name, X_OK))) {
    letters += "e";
    if (await may(process, fd, name, R_OK)) letters += "l";
    if (!readOnly && (await may(process, fd, name, W_OK))) letters += "cmp";
  }
  const removable = parent?.writable && (parent.onlyOf === null || parent.onlyOf === uid);
  return removable && !readOnly ? `${letters}df` : letters;
}

/** The facts of a file, with the space behind them. */
export async function factsOf(
  process: Process,
  fd: number,
  name: Uint8Array,
  parent: Parent | null,
  { facts, readOnly }: FactOptions,
): Promise<string> {
  const status = await stat(process, name, { at: fd, follow: false });
  const { type, mode, uid, gid, sizeBytes, modifiedNs, inode, filesystem } = status;
  const types: Partial<Record<FileType, string>> = {
    file: "file",
    directory: "dir",
    symlink: "OS.unix=symlink",
  };
  const device = filesystem.major * 2 ** 20 + filesystem.minor;
  const values: Record<Fact, () => string | null | Promise<string>> = {
    type: () => types[type] ?? `OS.unix=${type.replaceAll(" ", "-")}`,
    size: () => (type === "file" ? String(sizeBytes) : null),
    modify: () => stamp(modifiedNs),
    perm: () => permissions(process, fd, name, status, parent, readOnly),
    unique: () => `${device.toString(16)}g${inode.toString(16)}`,
    "UNIX.mode": () => mode.toString(8).padStart(4, "0"),
    "UNIX.uid": () => String(uid),
    "UNIX.gid": () => String(gid),
  };
  let text = "";
  for (const fact of facts) {
    const value = await values[fact]();
    if (value !== null) text += `${fact}=${value};`;
  }
  return `${text} `;
}

/** A line of MLSD. */
export function showFacts(process: Process, parent: Parent | null, options: FactOptions): Show {
  return async (fd, name) => join(await factsOf(process, fd, name, parent, options), name);
}
