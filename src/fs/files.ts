// Whole files and directories, by calls of one process.
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../abi/constants/fcntl.ts";
import type { Process } from "../syscall/process.ts";

const CHUNK_BYTES = 65536;

/** Read a whole file, also one whose size is not known before, as in /proc. */
export async function readFile(process: Process, path: string): Promise<Uint8Array<ArrayBuffer>> {
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  try {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (;;) {
      const part = new Uint8Array(CHUNK_BYTES);
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
