// The bytes of an archive, from a file or standard input, decompressed as the first of them say.
//
// Invariants: nothing is kept but a chunk, and what a decoder's matches reach back to.

import { createReadStream, statSync } from "node:fs";
import { Readable } from "node:stream";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";

import { byteSource, CorruptError, Input } from "../../disk/compressed/input.ts";
import { xz } from "../../disk/compressed/xz.ts";
import { FileDisk } from "../../platform/node/file-disk.ts";
import { withoutCall } from "../errors.ts";
import { chunksOf, InterruptedError } from "../interrupt.ts";
import type { Progress } from "../progress.ts";
import { TarError } from "./entry.ts";

type Bytes = AsyncGenerator<Uint8Array, void, undefined>;

const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const LONGEST_MAGIC = XZ.length;
/** What has no decoder here, and the command that has. */
const OTHERS: readonly (readonly [magic: Buffer, command: string])[] = [
  [Buffer.from("BZh"), "bzip2 -dc"],
  [Buffer.from([0x5d, 0x00, 0x00]), "xz -dc --format=lzma"],
  [Buffer.from("LZIP"), "lzip -dc"],
  [Buffer.from([0x1f, 0x9d]), "uncompress -c"],
];

const STANDARD_INPUT = "-";

/** How long the file is; 0 if nobody knows. */
export function archiveBytes(file: string): number {
  return file === STANDARD_INPUT ? 0 : (statSync(file, { throwIfNoEntry: false })?.size ?? 0);
}

/**
 * The archive in a file, or in standard input if that is called `-`.
 *
 * @param progress is told how much was read, as it is compressed
 * @throws {TarError} if it cannot be decompressed
 */
export async function* archiveFrom(file: string, progress: Progress): Bytes {
  const stream = file === STANDARD_INPUT ? process.stdin : createReadStream(file);
  const chunks = counted(stream, progress);
  try {
    const head = await headOf(chunks);
    const starts = (magic: Buffer) => head.subarray(0, magic.length).equals(magic);
    const other = OTHERS.find(([magic]) => starts(magic));
    if (other) throw needsCommand(other[1]);
    if (starts(XZ)) {
      // Its index is at its end.
      if (file === STANDARD_INPUT) throw needsCommand("xz -dc");
      yield* unpackedXz(file, progress);
    } else if (starts(GZIP)) yield* decompressed(withHead(head, chunks), createGunzip());
    else if (starts(ZSTD)) yield* decompressed(withHead(head, chunks), createZstdDecompress());
    else yield* withHead(head, chunks);
  } finally {
    await chunks.return();
  }
}

async function* counted(
  stream: Readable,
  progress: Progress,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of chunksOf(stream, progress.signal)) {
      progress.add(chunk.length);
      yield chunk;
    }
  } catch (error) {
    throw error instanceof InterruptedError ? error : new TarError(withoutCall(error));
  }
}

const needsCommand = (command: string) =>
  new TarError(`cannot be decompressed here; pipe it: ${command} ARCHIVE | liblinux untar - …`);

async function headOf(chunks: AsyncIterator<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0);
  while (head.length < LONGEST_MAGIC) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  return head;
}

async function* withHead(head: Buffer, rest: AsyncIterator<Buffer>): Bytes {
  yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

async function* decompressed(source: Bytes, decoder: Duplex): Bytes {
  const whole = pipeline(Readable.from(source, { objectMode: false }), decoder);
  // It is told by the decoder, too, which is read below.
  whole.catch(() => {});
  try {
    for await (const piece of decoder) yield piece as Buffer;
    await whole;
  } catch (error) {
    throw error instanceof Error && /^(Z_|ZSTD_)/.test(String("code" in error && error.code))
      ? damaged(error)
      : error;
  }
}

const damaged = (error: Error) => new TarError(`its compression is damaged: ${error.message}`);

async function* unpackedXz(file: string, progress: Progress): Bytes {
  using disk = new FileDisk(file, { readOnly: true });
  const source = byteSource(disk);
  try {
    let last = 0;
    for (const piece of await xz.index(source)) {
      const input = new Input(source, piece.position);
      // What it gives is good until the next one only, but a reader may keep it for longer.
      for await (const bytes of xz.decode(input, piece)) {
        progress.add(input.position - last);
        last = input.position;
        yield bytes.slice();
      }
    }
  } catch (error) {
    throw error instanceof CorruptError ? damaged(error) : error;
  }
}
