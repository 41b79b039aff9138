// What bytes are given as: Buffers where the runtime has them, as Node's own sockets do.

/** A Buffer where there is one, else a plain array. */
export type Bytes = typeof globalThis extends {
  Buffer: { allocUnsafe(size: number): infer B extends Uint8Array };
}
  ? B
  : Uint8Array<ArrayBuffer>;

interface BufferClass {
  allocUnsafe(length: number): Bytes;
}

const { Buffer } = globalThis as { Buffer?: BufferClass };

/** A copy of bytes of the kernel's memory, for the application to keep. */
export function copyOf(bytes: Uint8Array): Bytes {
  const copy = Buffer ? Buffer.allocUnsafe(bytes.length) : (new Uint8Array(bytes.length) as Bytes);
  copy.set(bytes);
  return copy;
}
