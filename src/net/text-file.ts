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

/** More than any of them has. */
const MAX_BYTES = 65536;

/** The whole of a file of up to 64 KiB. @throws {SystemError} */
export async function readText(process: Process, path: string): Promise<string> {
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  try {
    const bytes = new Uint8Array(MAX_BYTES);
    let length = 0;
    while (length < MAX_BYTES) {
      const got = await process.read(fd, bytes.subarray(length), MAX_BYTES - length);
      if (!got) break;
      length += got;
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
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
