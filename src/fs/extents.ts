// Where a file's bytes are: on the disk (FIEMAP, Documentation/filesystems/fiemap.rst), and in the
// file, between its holes (lseek(2) with SEEK_DATA and SEEK_HOLE).

import {
  FIEMAP_EXTENT_DATA_ENCRYPTED,
  FIEMAP_EXTENT_DATA_INLINE,
  FIEMAP_EXTENT_DATA_TAIL,
  FIEMAP_EXTENT_DELALLOC,
  FIEMAP_EXTENT_ENCODED,
  FIEMAP_EXTENT_LAST,
  FIEMAP_EXTENT_MERGED,
  FIEMAP_EXTENT_NOT_ALIGNED,
  FIEMAP_EXTENT_SHARED,
  FIEMAP_EXTENT_UNKNOWN,
  FIEMAP_EXTENT_UNWRITTEN,
  FIEMAP_FLAG_SYNC,
  FIEMAP_FLAG_XATTR,
  FS_IOC_FIEMAP,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_HOLE,
  SEEK_SET,
} from "../abi/constants/ioctl.ts";
import { viewOf } from "../abi/struct.ts";
import { Fiemap, FiemapExtent } from "../abi/structs/fs.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { checkBytes } from "./range.ts";
import type { ByteRange } from "./range.ts";
import { withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

const EXTENT_FLAGS = {
  /** Not on the disk yet: {@link Extent.physicalBytes} means nothing. */
  delayed: FIEMAP_EXTENT_DELALLOC,
  /** Where it is cannot be said. */
  unknown: FIEMAP_EXTENT_UNKNOWN,
  /** Stored in another form: compressed, or encrypted. */
  encoded: FIEMAP_EXTENT_ENCODED,
  encrypted: FIEMAP_EXTENT_DATA_ENCRYPTED,
  notAligned: FIEMAP_EXTENT_NOT_ALIGNED,
  /** Among the file system's own records. */
  inline: FIEMAP_EXTENT_DATA_INLINE,
  tail: FIEMAP_EXTENT_DATA_TAIL,
  /** Taken, never written: reads as zeroes. */
  unwritten: FIEMAP_EXTENT_UNWRITTEN,
  /** Put together of what the file system has in blocks. */
  merged: FIEMAP_EXTENT_MERGED,
  /** Other files have it too. */
  shared: FIEMAP_EXTENT_SHARED,
  /** The last of the file. */
  last: FIEMAP_EXTENT_LAST,
} as const satisfies Readonly<Record<string, number>>;

export type ExtentFlag = keyof typeof EXTENT_FLAGS;

/** A piece of a file that is in one piece on the disk. */
export interface Extent extends ByteRange {
  /** Where on the file system's device; of Btrfs, in its own address space. */
  readonly physicalBytes: number;
  readonly flags: ReadonlySet<ExtentFlag>;
}

export interface ExtentOptions extends Partial<ByteRange> {
  /** Write back first, so that all that was written has a place. Default true. */
  readonly sync?: boolean;
  /** Of the extended attributes instead of the content. Default false. */
  readonly xattrs?: boolean;
}

/** How many extents the first call asks for, and each one after it: they fit 4 and 32 KiB. */
const EXTENTS_AT_FIRST = 72;
const EXTENTS_AT_ONCE = 584;
const FLAG_NAMES = Object.keys(EXTENT_FLAGS) as ExtentFlag[];

/**
 * The extents of a file, in its order, in a range or as a whole. Holes are what no extent has.
 *
 * @throws {SystemError} EOPNOTSUPP where the file system does not tell
 */
export async function fileExtents(
  process: Process,
  target: Target,
  options: ExtentOptions = {},
): Promise<Extent[]> {
  const { offsetBytes = 0, sync = true, xattrs = false } = options;
  const start = checkBytes("offsetBytes", offsetBytes);
  const end = endOf(options);
  const flags = (sync ? FIEMAP_FLAG_SYNC : 0) | (xattrs ? FIEMAP_FLAG_XATTR : 0);
  return withDescriptor(process, target, async (fd) => {
    const extents: Extent[] = [];
    for (let at = start; at < end;) {
      const most = extents.length ? EXTENTS_AT_ONCE : EXTENTS_AT_FIRST;
      const range = { offsetBytes: at, lengthBytes: end - at };
      const found = await extentsFrom(process, fd, range, flags, most);
      extents.push(...found);
      const last = found.at(-1);
      if (!last || last.flags.has("last") || found.length < most) break;
      at = last.offsetBytes + last.lengthBytes;
    }
    return extents;
  });
}

const endOf = ({ offsetBytes = 0, lengthBytes }: Partial<ByteRange>) =>
  lengthBytes === undefined
    ? Number.MAX_SAFE_INTEGER
    : Math.min(offsetBytes + checkBytes("lengthBytes", lengthBytes), Number.MAX_SAFE_INTEGER);

async function extentsFrom(
  process: Process,
  fd: number,
  range: ByteRange,
  flags: number,
  most: number,
): Promise<Extent[]> {
  const bytes = new Uint8Array(Fiemap.size + most * FiemapExtent.size);
  const view = viewOf(bytes);
  const raw = new Fiemap(view);
  raw.fm_start = BigInt(range.offsetBytes);
  raw.fm_length = BigInt(range.lengthBytes);
  raw.fm_flags = flags;
  raw.fm_extent_count = most;
  await process.ioctl(fd, FS_IOC_FIEMAP, bytes);
  return Array.from({ length: raw.fm_mapped_extents }, (_, i) => {
    const extent = new FiemapExtent(view, Fiemap.size + i * FiemapExtent.size);
    return {
      offsetBytes: Number(extent.fe_logical),
      lengthBytes: Number(extent.fe_length),
      physicalBytes: Number(extent.fe_physical),
      flags: new Set(FLAG_NAMES.filter((name) => extent.fe_flags & EXTENT_FLAGS[name])),
    };
  });
}

/**
 * The parts of a file that hold data; what is between them are holes, which read as zeroes. File
 * systems that know no holes have one part. A descriptor's position moves meanwhile, and is put
 * back: whoever else reads from it at the same time reads somewhere else.
 *
 * @throws {SystemError} ESPIPE for what has no position, such as a pipe
 */
export async function dataRanges(
  process: Process,
  target: Target,
  range: Partial<ByteRange> = {},
): Promise<ByteRange[]> {
  const start = checkBytes("offsetBytes", range.offsetBytes ?? 0);
  const end = endOf(range);
  return seeking(process, target, (seek) => rangesFrom(seek, start, end));
}

/**
 * Where data is next, from an offset on; null if there is none. Of a descriptor's position as
 * {@link dataRanges}.
 *
 * @throws {SystemError} ESPIPE for what has no position, such as a pipe
 */
export function nextData(
  process: Process,
  target: Target,
  offsetBytes = 0,
): Promise<number | null> {
  return next(process, target, offsetBytes, SEEK_DATA);
}

/** Where a hole is next, from an offset on: at the latest where the file ends; null beyond that. */
export function nextHole(
  process: Process,
  target: Target,
  offsetBytes = 0,
): Promise<number | null> {
  return next(process, target, offsetBytes, SEEK_HOLE);
}

async function next(
  process: Process,
  target: Target,
  offsetBytes: number,
  whence: number,
): Promise<number | null> {
  const start = checkBytes("offsetBytes", offsetBytes);
  try {
    return await seeking(process, target, (seek) => seek(start, whence));
  } catch (error) {
    if (error instanceof SystemError && error.code === "ENXIO") return null;
    throw error;
  }
}

type Seek = (offsetBytes: number, whence: number) => Promise<number>;

/** Let a file's position move, and put a descriptor's back. */
function seeking<T>(process: Process, target: Target, use: (seek: Seek) => Promise<T>): Promise<T> {
  return withDescriptor(process, target, async (fd) => {
    const result = new Uint8Array(8);
    const seek: Seek = async (offset, whence) => {
      await process.llseek(fd, Math.floor(offset / 2 ** 32), offset >>> 0, result, whence);
      return Number(viewOf(result).getBigInt64(0, true));
    };
    const before = typeof target === "number" ? await seek(0, SEEK_CUR) : 0;
    try {
      return await use(seek);
    } finally {
      if (typeof target === "number") await seek(before, SEEK_SET);
    }
  });
}

async function rangesFrom(seek: Seek, start: number, end: number): Promise<ByteRange[]> {
  const ranges: ByteRange[] = [];
  try {
    for (let at = start; at < end;) {
      const offsetBytes = await seek(at, SEEK_DATA);
      if (offsetBytes >= end) break;
      at = Math.min(await seek(offsetBytes, SEEK_HOLE), end);
      ranges.push({ offsetBytes, lengthBytes: at - offsetBytes });
    }
  } catch (error) {
    // No more data, or the file became shorter meanwhile.
    if (!(error instanceof SystemError && error.code === "ENXIO")) throw error;
  }
  return ranges;
}
