// What a runtime may have beyond the web's own: Buffer, and node:stream. Looked up, never imported,
// for the core runs in pages as well.

/** What bytes are given as: a Buffer where there is one, as Node's own functions do. */
export type Bytes = typeof globalThis extends {
  Buffer: { allocUnsafe(size: number): infer B extends Uint8Array };
}
  ? B
  : Uint8Array<ArrayBuffer>;

/** A moment, of Temporal where the runtime has that. */
export type Instant = typeof globalThis extends {
  Temporal: { Instant: new (nanoseconds: bigint) => infer I };
}
  ? I
  : unknown;

interface TemporalHost {
  readonly Temporal?: { readonly Instant: new (nanoseconds: bigint) => unknown };
}

/** A moment; undefined where the runtime has no Temporal. */
export function toInstant(nanoseconds: bigint): Instant {
  const { Temporal } = globalThis as TemporalHost;
  return (Temporal && new Temporal.Instant(nanoseconds)) as Instant;
}

/** What is used of a Buffer. */
interface BufferText extends Uint8Array {
  toString(encoding?: string, start?: number, end?: number): string;
}

interface BufferClass {
  from(bytes: ArrayBufferLike, offset: number, length: number): BufferText;
  from(text: string, encoding: string): BufferText;
  allocUnsafeSlow(length: number): BufferText;
}

const { Buffer } = globalThis as { Buffer?: BufferClass };

/** The runtime's Buffer, or undefined in a page. */
export const RuntimeBuffer = Buffer;

/** So many bytes that hold anything. */
export function allocate(length: number): Bytes {
  return (Buffer ? Buffer.allocUnsafeSlow(length) : new Uint8Array(length)) as Bytes;
}

/** The same bytes, as the runtime likes them. */
export function asBytes(bytes: Uint8Array): Bytes {
  return (Buffer
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    : bytes) as unknown as Bytes;
}

/** What is used of node:stream. */
export interface StreamModule {
  readonly Readable: new (options: object) => NodeStream;
  readonly Writable: new (options: object) => NodeWritable;
  finished(stream: NodeStream, callback: (error?: Error | null) => void): void;
  addAbortSignal(signal: AbortSignal, stream: NodeStream): NodeStream;
}

/** A stream of Node's, as far as it is used here. */
export interface NodeStream extends AsyncIterable<unknown> {
  push(chunk: unknown): boolean;
  emit(event: string, ...values: readonly unknown[]): boolean;
  on(event: string, listener: (...values: never[]) => void): this;
  once(event: string, listener: (...values: never[]) => void): this;
  destroy(error?: Error | null): this;
  pipe<W>(destination: W): W;
  readonly closed: boolean;
}

/** One that is written to. */
export interface NodeWritable extends NodeStream {
  write(chunk: string | Uint8Array): boolean;
  end(callback?: () => void): this;
}

interface ModuleHost {
  readonly process?: { getBuiltinModule?(name: string): unknown };
}

/** Node's streams, where the runtime has them (Node, Deno, Bun). */
export function streamModule(): StreamModule | undefined {
  const { process } = globalThis as ModuleHost;
  return process?.getBuiltinModule?.("node:stream") as StreamModule | undefined;
}
