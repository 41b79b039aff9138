// What bytes are given as: Buffers where the runtime has them, as Node's own sockets do.

/** A Buffer where there is one, else a plain array. */
export type Bytes = typeof globalThis extends {
  Buffer: { allocUnsafe(size: number): infer B extends Uint8Array };
}
  ? B
  : Uint8Array<ArrayBuffer>;

/** What is used of a Buffer. */
interface BufferBytes extends Uint8Array {
  copy(target: Uint8Array, targetStart: number, sourceStart: number, sourceEnd: number): number;
}

interface BufferClass {
  from(bytes: ArrayBufferLike, offset: number, length: number): BufferBytes;
  allocUnsafe(length: number): BufferBytes;
}

const { Buffer } = globalThis as { Buffer?: BufferClass };

/** The same bytes, as the runtime likes them. */
export function asBytes(bytes: Uint8Array): Bytes {
  return (Buffer
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    : bytes) as unknown as Bytes;
}

/** A copy of the first bytes of the kernel's memory, for the application to keep. */
export function copyOf(bytes: Bytes, length: number): Bytes {
  if (!Buffer) return bytes.slice(0, length);
  const copy = Buffer.allocUnsafe(length);
  // Makes no view, other than set().
  (bytes as unknown as BufferBytes).copy(copy, 0, 0, length);
  return copy as unknown as Bytes;
}
