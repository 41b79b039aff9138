// Small files of text, such as those in /proc/sys and /etc.

import {
  AT_FDCWD,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from "../abi/constants/fcntl.ts";
import type { Process } from "../syscall/process.ts";

const CHUNK_BYTES = 4096;
/** A file that is longer is read so far. */
const MAX_BYTES = 1 << 20;

/** The text of a file, or its first MiB. @throws {SystemError} */
export async function readText(process: Process, path: string): Promise<string> {
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  try {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(CHUNK_BYTES);
    let text = "";
    for (let total = 0; total < MAX_BYTES;) {
      const count = await process.read(fd, chunk, chunk.length);
      if (!count) break;
      total += count;
      text += decoder.decode(chunk.subarray(0, count), { stream: true });
    }
    return text + decoder.decode();
  } finally {
    await process.close(fd);
  }
}

/** Writes a file by one call, as those in /proc/sys want it. @throws {SystemError} */
export async function writeText(process: Process, path: string, text: string): Promise<void> {
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const fd = await process.openat(AT_FDCWD, path, flags, 0o644);
  try {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;)
      at += await process.write(fd, bytes.subarray(at), bytes.length - at);
  } finally {
    await process.close(fd);
  }
}
