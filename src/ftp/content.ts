// Contents of files to and from data connections, piece by piece through one buffer of the kernel.

import type { KernelBuffer } from "../syscall/buffer.ts";
import type { Process } from "../syscall/process.ts";
import { FromNetwork, toNetwork } from "./ascii.ts";
import type { DataConnection } from "./data.ts";

/** What a transfer moves at once, and all that it holds of a file. */
const PIECE_BYTES = 1 << 17;

/** What moves, as it is in the file or with the network's ends of lines. */
export type Representation = "ascii" | "image";

async function withBuffer(
  process: Process,
  use: (buffer: KernelBuffer) => Promise<void>,
): Promise<void> {
  const buffer = await process.buffer(PIECE_BYTES);
  try {
    await use(buffer);
  } finally {
    await buffer.dispose();
  }
}

/** Send a file that is open, from an offset on. */
export function sendFile(
  process: Process,
  fd: number,
  offsetBytes: number,
  as: Representation,
  connection: DataConnection,
): Promise<void> {
  return withBuffer(process, async (buffer) => {
    for (let at = offsetBytes; ;) {
      const count = await process.pread64(fd, buffer, buffer.length, at);
      if (!count) return connection.finish();
      at += count;
      const piece = buffer.bytes.subarray(0, count);
      // The socket may use it for longer than the kernel leaves it as it is.
      await connection.write(as === "ascii" ? toNetwork(piece) : Uint8Array.from(piece));
    }
  });
}

/** Store what arrives in a file that is open, from an offset on. Settles when all is written. */
export function receiveFile(
  process: Process,
  fd: number,
  offsetBytes: number,
  as: Representation,
  connection: DataConnection,
): Promise<void> {
  return withBuffer(process, async (buffer) => {
    const lines = as === "ascii" ? new FromNetwork() : null;
    let at = offsetBytes;
    let used = 0;
    const flush = async () => {
      for (let done = 0; done < used;)
        done += await process.pwrite64(fd, buffer.slice(done, used - done), used - done, at + done);
      at += used;
      used = 0;
    };
    const store = async (bytes: Uint8Array) => {
      for (let done = 0; done < bytes.length;) {
        const part = bytes.subarray(done, done + buffer.length - used);
        buffer.bytes.set(part, used);
        used += part.length;
        done += part.length;
        if (used === buffer.length) await flush();
      }
    };
    for await (const bytes of connection.read()) {
      await store(lines ? lines.push(bytes) : bytes);
      if (!connection.hasMore) await flush();
    }
    if (lines) await store(lines.end());
    await flush();
    await connection.done();
  });
}
