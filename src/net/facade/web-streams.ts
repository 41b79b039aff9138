// A connection as the web's streams: what every runtime has.

import type { Bytes } from "./bytes.ts";

/** What they need of a connection. */
export interface Duplex {
  read(): Promise<Bytes | null>;
  write(chunk: Uint8Array): Promise<void>;
  end(): Promise<void>;
  reset(): Promise<void>;
}

/** What comes. Nothing is read ahead of what is asked for; to cancel it closes with a reset. */
export function readableOf(connection: Duplex): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const bytes = await connection.read();
        if (bytes) controller.enqueue(bytes);
        else controller.close();
      },
      cancel: () => connection.reset(),
    },
    { highWaterMark: 0 },
  );
}

/** What is sent, at the pace of the kernel's buffer; to abort it closes with a reset. */
export function writableOf(connection: Duplex): WritableStream<Uint8Array> {
  return new WritableStream<Uint8Array>({
    write: (chunk) => connection.write(chunk),
    close: () => connection.end(),
    abort: () => connection.reset(),
  });
}
