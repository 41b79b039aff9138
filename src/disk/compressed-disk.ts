// A compressed raw image as a disk: decompressed as far as it is read, and kept.
//
// Invariants: of each part, the first #ready bytes are in the store. One part at a time is being
// decompressed, by #live, in turns that the #gate gives: reads that need more wait for theirs. Of
// the store, only blocks that are complete are read.

import { turn } from "../machine/turn.ts";
import type { Format, Piece } from "./compressed/format.ts";
import { gzip } from "./compressed/gzip.ts";
import { byteSource, CorruptError, Input } from "./compressed/input.ts";
import type { ByteSource, CompressedSource } from "./compressed/input.ts";
import { xz } from "./compressed/xz.ts";
import { zstd } from "./compressed/zstd.ts";
import { checkBlockSize, checkRange, checkSize, sizeOf } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";
import { Gate } from "./gate.ts";
import { MemoryDisk } from "./memory-disk.ts";

const FORMATS: readonly Format[] = [gzip, xz, zstd];
/** The store grows by no less, where the image's size is not known. */
const GROW_BYTES = 64 << 20;
/** Zeroes of this length take no room in a store that has nothing else. */
const SPARSE_BYTES = 65536;
/** The longest magic number. */
const MAGIC_BYTES = 6;

export interface CompressedDiskOptions {
  /**
   * Where decompressed bytes are kept, for instance a FileDisk with a temporary file; default: memory.
   * It stays the caller's. It is as large as the image, or can be resized.
   */
  store?: Disk;
  /**
   * The image's size, if it is known: then nothing is decompressed before it is read, and of zstd not
   * every block is looked at. What the file holds beyond that is left out.
   */
  sizeBytes?: number;
  /** Logical block size; 512 by default. */
  blockSizeBytes?: number;
  /** Ends opening. */
  signal?: AbortSignal;
  /** Called while opening decompresses, with how far it is in the compressed file. */
  onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** A piece of the file, and how much of it is decompressed. */
interface Part {
  readonly piece: Piece;
  /** How many of its bytes are the disk's; Infinity until all was decompressed, if nobody knows. */
  length: number;
  ready: number;
  /** Why there is no more of it. */
  failure: DiskError | null;
}

/** The part that is being decompressed. */
interface Live {
  readonly part: Part;
  readonly input: Input;
  readonly chunks: AsyncGenerator<Uint8Array, void>;
  /** How much of the part came out. */
  position: number;
}

/**
 * Open a compressed raw image: gzip, xz (of LZMA2, without further filters) or zstd (without a
 * dictionary). A disk has to have a size: if neither the file tells it nor the caller, as with all of
 * gzip, everything is decompressed at once. Else nothing is but what is read and what comes before it in
 * the same xz block or zstd frame. The checksum at the end of each is compared.
 *
 * @param source a Blob or File (in Node, `fs.openAsBlob()` makes one of a file), or a disk that holds the
 *   compressed file, such as an HttpDisk. It stays the caller's.
 * @throws {DiskError} EINVAL if it is of another format, EIO if it is damaged: with the place in the
 *   compressed file. What is damaged further on fails the reads that come there.
 */
export async function openCompressed(
  source: CompressedSource,
  options: CompressedDiskOptions = {},
): Promise<CompressedDisk> {
  const blockSizeBytes = checkBlockSize(options.blockSizeBytes ?? 512);
  const { sizeBytes } = options;
  if (sizeBytes !== undefined) checkSize(sizeBytes, blockSizeBytes);
  options.signal?.throwIfAborted();
  const bytes = byteSource(source);
  const format = formatOf(await bytes.read(0, MAGIC_BYTES), bytes.path);
  const parts = partsOf(await indexOf(format, bytes, sizeBytes), sizeBytes, bytes.path);
  const disk = new CompressedDisk(bytes, format, parts, options);
  try {
    await disk.settleSize(options);
  } catch (error) {
    disk.close();
    throw error;
  }
  return disk;
}

/** Whether a file starts as those do that {@link openCompressed} opens. */
export async function isCompressed(source: CompressedSource): Promise<boolean> {
  const start = await byteSource(source).read(0, MAGIC_BYTES);
  return FORMATS.some((format) => format.matches(start));
}

function formatOf(start: Uint8Array, path: string | undefined): Format {
  const format = FORMATS.find((one) => one.matches(start));
  if (format) return format;
  const names = FORMATS.map(({ name }) => name).join(", ");
  throw new DiskError(
    "EINVAL",
    `is compressed by none of ${names}: unpack it first, or open it as it is`,
    path,
  );
}

async function indexOf(
  format: Format,
  source: ByteSource,
  sizeBytes: number | undefined,
): Promise<Piece[]> {
  try {
    return await format.index(source, sizeBytes);
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    throw new DiskError("EIO", `is damaged ${format.name}: ${error.message}`, source.path, error);
  }
}

/** What is needed of the pieces for an image of so many bytes. */
function partsOf(
  pieces: readonly Piece[],
  sizeBytes: number | undefined,
  path: string | undefined,
): Part[] {
  const last = pieces.at(-1);
  const total = last ? last.start + last.length : 0;
  const size = sizeBytes ?? total;
  if (total < size) throw tooShort(total, size, path);
  return pieces
    .filter(({ start }) => start < size)
    .map((piece) => {
      const length = Math.min(piece.length, size - piece.start);
      return { piece, length, ready: 0, failure: null };
    });
}

function tooShort(bytes: number, expected: number, path: string | undefined): DiskError {
  return new DiskError("EIO", `holds ${bytes} bytes, not ${expected}`, path);
}

/** Read-only. {@link openCompressed} makes it. */
export class CompressedDisk implements Disk, Disposable {
  readonly synchronous = false;
  readonly readOnly = true;
  readonly blockSizeBytes: number;
  /** E.g. `gzip`. */
  readonly format: string;
  readonly #source: ByteSource;
  readonly #decode: Format["decode"];
  readonly #parts: readonly Part[];
  readonly #store: Disk;
  readonly #ownsStore: boolean;
  readonly #gate = new Gate();
  #contentBytes = 0;
  #sizeBytes = 0;
  #live: Live | null = null;
  /** Whether the store was made larger than it may have to be. */
  #grown = false;
  #closed = false;

  /** @internal Use {@link openCompressed}. */
  constructor(
    source: ByteSource,
    format: Format,
    parts: readonly Part[],
    options: CompressedDiskOptions,
  ) {
    this.blockSizeBytes = options.blockSizeBytes ?? 512;
    this.format = format.name;
    this.#source = source;
    this.#decode = (input, piece) => format.decode(input, piece);
    this.#parts = parts;
    this.#ownsStore = !options.store;
    this.#store = options.store ?? new MemoryDisk(0);
    if (this.#store.readOnly || this.#store.blockSizeBytes > this.blockSizeBytes)
      throw new DiskError("EINVAL", "the store is read-only, or has larger blocks than the disk");
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** How many bytes are decompressed. */
  get readyBytes(): number {
    return this.#parts.reduce((sum, { ready }) => sum + ready, 0);
  }

  /** @internal Find out how large the image is, if need be by decompressing all of it. */
  async settleSize({ signal, onProgress }: CompressedDiskOptions): Promise<void> {
    const last = this.#parts.at(-1);
    while (last?.length === Infinity) {
      signal?.throwIfAborted();
      await this.#gate.exclusive(() => this.#advance(last, last.ready + 1));
      onProgress?.(this.#live?.input.position ?? this.#source.sizeBytes, this.#source.sizeBytes);
    }
    this.#contentBytes = last ? last.piece.start + last.length : 0;
    this.#sizeBytes = sizeOf(this.#contentBytes, this, this.#source.path);
    await this.#fitStore();
  }

  /** @throws {DiskError} EIO if the file is damaged or cut short before the end of what is read */
  async read(into: Uint8Array, offsetBytes: number): Promise<void> {
    this.#check(offsetBytes, into.length);
    const end = offsetBytes + into.length;
    for (const part of this.#parts) {
      const { start } = part.piece;
      if (start >= end) break;
      if (start + part.length <= offsetBytes) continue;
      const wanted = Math.min(end - start, part.length);
      while (part.ready < wanted) await this.#gate.exclusive(() => this.#advance(part, wanted));
    }
    this.#check(0, 0);
    await this.#store.read(into, offsetBytes);
    // The store may have held something before.
    into.fill(0, Math.min(into.length, Math.max(0, this.#contentBytes - offsetBytes)));
  }

  async write(): Promise<void> {
    throw new DiskError("EROFS", "a compressed image cannot be written", this.#source.path);
  }

  async flush(): Promise<void> {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#live = null;
    // It is a MemoryDisk, which closes at once.
    if (this.#ownsStore) void this.#store.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #check(offsetBytes: number, lengthBytes: number): void {
    if (this.#closed) throw new DiskError("EBADF", "this disk was closed", this.#source.path);
    checkRange(this, offsetBytes, lengthBytes, this.#source.path);
  }

  /** Decompress one chunk more of a part, unless it has what is wanted. */
  async #advance(part: Part, wanted: number): Promise<void> {
    if (this.#closed) throw new DiskError("EBADF", "this disk was closed", this.#source.path);
    if (part.ready >= wanted) return;
    if (part.failure) throw part.failure;
    const live = this.#start(part);
    try {
      await this.#step(part, live);
    } catch (error) {
      // What fails in the source or the store may go better from the start; what is damaged stays so.
      this.#live = null;
      if (!(error instanceof CorruptError)) throw error;
      const problem = `is damaged ${this.format} near byte ${live.input.position}: ${error.message}`;
      throw (part.failure = new DiskError("EIO", problem, this.#source.path, error));
    }
    // Decompressing takes long: others want the event loop too.
    await new Promise<void>(turn);
  }

  async #step(part: Part, live: Live): Promise<void> {
    const { value: bytes } = await live.chunks.next();
    if (!bytes) {
      this.#finish(part, live.position);
      return;
    }
    const { position } = live;
    live.position += bytes.length;
    // A part that is started again has been there.
    const end = Math.min(live.position, part.length);
    const fresh = bytes.subarray(Math.max(0, part.ready - position), end - position);
    if (fresh.length) await this.#keep(fresh, part.piece.start + end - fresh.length);
    if (live.position >= part.piece.length) {
      // Checksums come behind the last byte, which counts only if they are right.
      await live.chunks.next();
      this.#live = null;
    }
    part.ready = Math.max(part.ready, end);
  }

  #start(part: Part): Live {
    if (this.#live?.part === part) return this.#live;
    const input = new Input(this.#source, part.piece.position);
    const chunks = this.#decode(input, part.piece);
    return (this.#live = { part, input, chunks, position: 0 });
  }

  /** A part is at its end. */
  #finish(part: Part, length: number): void {
    this.#live = null;
    if (part.length === Infinity) part.length = length;
    else if (length < part.length)
      throw (part.failure = tooShort(length, part.length, this.#source.path));
  }

  /** Make the store as large as the image, if it is not larger anyway. */
  async #fitStore(): Promise<void> {
    const store = this.#store;
    const size = this.#sizeBytes;
    if (store.sizeBytes === size || (store.sizeBytes > size && !this.#grown)) return;
    if (!store.resize)
      throw new DiskError("EINVAL", `the store has ${store.sizeBytes} bytes, the image ${size}`);
    await store.resize(size);
  }

  /** Make room for an image whose size is not known, seldom. */
  async #growStore(sizeBytes: number): Promise<void> {
    const store = this.#store;
    if (store.sizeBytes >= sizeBytes) return;
    if (!store.resize)
      throw new DiskError("EINVAL", `the store has ${store.sizeBytes} bytes, and the image more`);
    this.#grown = true;
    await store.resize(
      Math.max(store.sizeBytes * 2, sizeBytes + GROW_BYTES - (sizeBytes % GROW_BYTES)),
    );
  }

  async #keep(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#growStore(offset + bytes.length);
    if (!this.#ownsStore) return this.#put(bytes, offset);
    for (let done = 0; done < bytes.length;) {
      const length = SPARSE_BYTES - ((offset + done) % SPARSE_BYTES);
      const part = bytes.subarray(done, done + length);
      if (!isZero(part)) await this.#put(part, offset + done);
      done += part.length;
    }
    return undefined;
  }

  /** Write to the store at any place: its first and last block may have been written in part. */
  async #put(bytes: Uint8Array, offset: number): Promise<void> {
    const store = this.#store;
    const size = this.blockSizeBytes;
    const first = Math.floor(offset / size) * size;
    const head = Math.min(bytes.length, first < offset ? first + size - offset : 0);
    if (head) await this.#patch(bytes.subarray(0, head), offset);
    const tail = (bytes.length - head) % size;
    const middle = bytes.subarray(head, bytes.length - tail);
    if (middle.length) await store.write(middle, offset + head);
    if (tail) await this.#patch(bytes.subarray(bytes.length - tail), offset + bytes.length - tail);
  }

  async #patch(bytes: Uint8Array, offset: number): Promise<void> {
    const block = new Uint8Array(this.blockSizeBytes);
    const at = Math.floor(offset / block.length) * block.length;
    await this.#store.read(block, at);
    block.set(bytes, offset - at);
    await this.#store.write(block, at);
  }
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
