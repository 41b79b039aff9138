// Directories: their entries, and all that is below them.

import type { Path } from "../abi/calls.ts";
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../abi/constants/fcntl.ts";
import { viewOf } from "../abi/struct.ts";
import { LinuxDirent64 } from "../abi/structs/fs.ts";
import type { Process } from "../syscall/process.ts";
import { stat, typeOfMode } from "./stat.ts";
import type { FileStatus, FileType } from "./stat.ts";

const BUFFER_BYTES = 32768;
const NAME = LinuxDirent64.offsets.d_name;
const DOT = 46;

export interface DirectoryEntry {
  /** In UTF-8, with U+FFFD for what is none. */
  readonly name: string;
  /** As it is stored: any bytes but 0 and "/". */
  readonly rawName: Uint8Array<ArrayBuffer>;
  /** "unknown" where the directory does not say. */
  readonly type: FileType;
  readonly inode: bigint;
}

/** Open a directory, to start names from. */
export function openDirectory(
  process: Process,
  path: Path,
  options: { at?: number; follow?: boolean } = {},
): Promise<number> {
  const { at = AT_FDCWD, follow = true } = options;
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
  return process.openat(at, path, flags, 0);
}

/** The entries of a directory that is open, in its own order, without "." and "..". */
export async function readEntries(process: Process, fd: number): Promise<DirectoryEntry[]> {
  const bytes = new Uint8Array(BUFFER_BYTES);
  const decoder = new TextDecoder();
  const entries: DirectoryEntry[] = [];
  for (;;) {
    const length = await process.getdents64(fd, bytes, bytes.length);
    if (!length) return entries;
    const view = viewOf(bytes);
    for (let at = 0; at < length;) {
      const record = new LinuxDirent64(view, at);
      const start = at + NAME;
      const rawName = bytes.slice(start, bytes.indexOf(0, start));
      at += record.d_reclen;
      const dots = rawName.length <= 2 && rawName.every((byte) => byte === DOT);
      if (dots) continue;
      entries.push({
        name: decoder.decode(rawName),
        rawName,
        // DT_… is the type of a mode, shifted (include/linux/fs_types.h).
        type: typeOfMode(record.d_type << 12),
        inode: record.d_ino,
      });
    }
  }
}

/** The entries of a directory, in its own order. @throws {SystemError} e.g. ENOTDIR */
export async function readDirectory(process: Process, path: Path): Promise<DirectoryEntry[]> {
  const fd = await openDirectory(process, path);
  try {
    return await readEntries(process, fd);
  } finally {
    await process.close(fd);
  }
}

/** The names in a directory. */
export async function listNames(process: Process, path: Path): Promise<string[]> {
  return (await readDirectory(process, path)).map((entry) => entry.name);
}

/** Something found below a directory. */
export interface WalkEntry extends DirectoryEntry {
  /** Open while this entry is looked at. */
  readonly parentFd: number;
  /** The names from the start of the walk on, this one the last. */
  readonly path: readonly Uint8Array<ArrayBuffer>[];
  readonly status: FileStatus;
}

/** What {@link walk} tells. */
export interface Visitor {
  /** Called for everything; a directory is entered if it returns true. */
  entry(entry: WalkEntry): Promise<boolean>;
  /** Called when all below a directory was visited. */
  leave?(entry: WalkEntry): Promise<void>;
  /** Something could not be read; the walk goes on. */
  failed(error: unknown, path: readonly Uint8Array<ArrayBuffer>[]): void;
}

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
export const MAX_DEPTH = 500;

/** The directory that a walk would enter is too deep inside the others. */
export class TooDeepError extends Error {
  override readonly name = "TooDeepError";
  readonly code = "ELOOP";
}

/**
 * Visit all below a directory that is open, sorted by name, symbolic links as themselves. Every
 * name is looked up in its own parent, so nothing but entries of these directories is reached.
 */
export async function walk(
  process: Process,
  fd: number,
  visitor: Visitor,
  path: readonly Uint8Array<ArrayBuffer>[] = [],
): Promise<void> {
  if (path.length > MAX_DEPTH)
    return visitor.failed(new TooDeepError(`more than ${MAX_DEPTH} directories deep`), path);
  let entries: DirectoryEntry[];
  try {
    entries = await readEntries(process, fd);
  } catch (error) {
    return visitor.failed(error, path);
  }
  for (const entry of entries.toSorted((a, b) => compareBytes(a.rawName, b.rawName))) {
    const entryPath = [...path, entry.rawName];
    try {
      const status = await stat(process, entry.rawName, { at: fd, follow: false });
      const found = { ...entry, type: status.type, parentFd: fd, path: entryPath, status };
      const enters = await visitor.entry(found);
      if (!enters || status.type !== "directory") continue;
      const child = await openDirectory(process, entry.rawName, { at: fd, follow: false });
      try {
        await walk(process, child, visitor, entryPath);
      } finally {
        await process.close(child);
      }
      await visitor.leave?.(found);
    } catch (error) {
      visitor.failed(error, entryPath);
    }
  }
}

/** The order of names: by bytes, as `LC_ALL=C ls` has it. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return a[i] - b[i];
  return a.length - b.length;
}
