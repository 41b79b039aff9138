// Contents of files, by calls of one process.

import type { CallOptions, Path } from "../abi/calls.ts";
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY } from "../abi/constants/fcntl.ts";
import { errno } from "../abi/errno.ts";
import type { KernelBuffer } from "../syscall/buffer.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";

const PART_BYTES = 65536;
/** What is read at once of a long file. */
export const CHUNK_BYTES = 1 << 20;
/** PATH_MAX of the kernel: the longest target of a symbolic link. */
const MAX_TARGET_BYTES = 4096;

/** Read a whole file, also one whose size is not known before, as in /proc. */
export async function readFile(process: Process, path: Path): Promise<Uint8Array<ArrayBuffer>> {
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  try {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const part = new Uint8Array(PART_BYTES);
      const count = await process.read(fd, part, part.length);
      if (!count) break;
      parts.push(part.subarray(0, count));
      total += count;
    }
    const whole = new Uint8Array(total);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  } finally {
    await process.close(fd);
  }
}

/** A whole file in UTF-8. */
export async function readText(process: Process, path: Path): Promise<string> {
  return new TextDecoder().decode(await readFile(process, path));
}

export interface ChunkOptions extends CallOptions {
  /** Where the name starts from if it is relative: a directory's descriptor. */
  readonly at?: number;
  /** More flags to open with, such as O_NOFOLLOW. */
  readonly flags?: number;
  /** What to read into, the whole of it at once; default: a buffer of {@link CHUNK_BYTES}. */
  readonly buffer?: KernelBuffer;
}

/**
 * Read a file piece by piece. A piece is a view of kernel memory, which is used again for the
 * next one: copy what is to be kept. Opening does not wait, e.g. for a pipe's other end.
 *
 * @throws {SystemError} e.g. ENOENT, EIO
 */
export async function* readChunks(
  process: Process,
  path: Path,
  options: ChunkOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { at = AT_FDCWD, flags = 0 } = options;
  const call = options.signal ? { signal: options.signal } : {};
  const fd = await process.openat(at, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags, 0, call);
  let own: KernelBuffer | null = null;
  try {
    const buffer = options.buffer ?? (own = await process.buffer(CHUNK_BYTES));
    for (;;) {
      const count = await process.read(fd, buffer, buffer.length, call);
      if (!count) return;
      yield buffer.bytes.subarray(0, count);
    }
  } finally {
    // Where the kernel has stopped, its memory is gone anyway, and why is what counts.
    await own?.dispose().catch(() => {});
    await process.close(fd);
  }
}

/** What a symbolic link points to, as it is stored: bytes, for it need not be UTF-8. */
export async function readLink(
  process: Process,
  path: Path,
  at: number = AT_FDCWD,
): Promise<Uint8Array> {
  const target = new Uint8Array(MAX_TARGET_BYTES);
  const length = await process.readlinkat(at, path, target, target.length);
  return target.subarray(0, length);
}

/** Reads up to `lengthBytes` at an offset; less only at the end. */
export type ReadAt = (offsetBytes: number, lengthBytes: number) => Promise<Uint8Array>;

/** Read here and there in a file or a device. */
export async function withReader<T>(
  process: Process,
  path: Path,
  use: (read: ReadAt) => Promise<T>,
): Promise<T> {
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  try {
    return await use((offsetBytes, lengthBytes) => readAt(process, fd, offsetBytes, lengthBytes));
  } finally {
    await process.close(fd);
  }
}

async function readAt(
  process: Process,
  fd: number,
  offsetBytes: number,
  lengthBytes: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(lengthBytes);
  // What a damaged record points to may be anywhere.
  if (!(offsetBytes >= 0 && Number.isSafeInteger(offsetBytes))) return bytes.subarray(0, 0);
  let done = 0;
  while (done < lengthBytes) {
    const part = bytes.subarray(done);
    const count = await process.pread64(fd, part, part.length, offsetBytes + done);
    if (!count) break;
    done += count;
  }
  return bytes.subarray(0, done);
}

/** Create a directory unless there is one. Others have to be there already. */
export async function ensureDirectory(process: Process, path: string): Promise<void> {
  try {
    await process.mkdirat(AT_FDCWD, path, 0o755);
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === -errno.EEXIST)) throw error;
  }
}
