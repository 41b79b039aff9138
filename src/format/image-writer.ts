// What a formatter wants to be on a disk, gathered first and then written in one go.
//
// Invariants: nothing reaches the disk before apply(). Parts written do not overlap. What was neither
// written nor zeroed keeps its old bytes, except in a disk's block of which a part was written or
// zeroed: the rest of it becomes zeroes.

import type { Disk } from "../disk/disk.ts";
import { MkfsError } from "./errors.ts";

/** All that a file system is known by is before this, or has no meaning without it. */
const HEAD_BYTES = 1 << 20;
/** The longest single write. */
const MAX_WRITE_BYTES = 1 << 20;

interface Extent {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

export class ImageWriter {
  /** Room for the file system, in bytes. */
  readonly sizeBytes: number;
  readonly #extents: Extent[] = [];
  readonly #zeroes: Range[] = [];

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  /** These bytes shall be at an offset. They are used in place, and must not change until apply(). */
  write(offsetBytes: number, bytes: Uint8Array): void {
    this.#check(offsetBytes, bytes.length);
    if (bytes.length) this.#extents.push({ offset: offsetBytes, bytes });
  }

  /** These bytes shall read as zeroes, but where something is written. In any order with write(). */
  zero(offsetBytes: number, lengthBytes: number): void {
    this.#check(offsetBytes, lengthBytes);
    if (lengthBytes) this.#zeroes.push({ offset: offsetBytes, length: lengthBytes });
  }

  #check(offsetBytes: number, lengthBytes: number): void {
    const end = offsetBytes + lengthBytes;
    if (!(Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 && end <= this.sizeBytes))
      throw new RangeError(`${lengthBytes} bytes at ${offsetBytes} are beyond ${this.sizeBytes}`);
  }

  /**
   * Zero what shall be zeroes, write the rest, and make it lasting. What is near the start, where a
   * file system is known by its superblock, is written last, backwards, when all else is lasting: if
   * the disk fails before that, there is none.
   *
   * @param startBytes where on the disk offset 0 is: a multiple of the disk's blocks
   * @param zeroed all of the disk reads as zeroes already
   * @throws {MkfsError} EIO
   */
  async apply(disk: Disk, startBytes = 0, zeroed = false): Promise<void> {
    const extents = inOrder(this.#extents);
    try {
      const unit = disk.blockSizeBytes;
      if (!zeroed)
        for (const { offset, length } of merged(this.#zeroes, unit))
          await writeZeroes(disk, startBytes + offset, length);
      const head: Extent[] = [];
      const put = async ({ offset, bytes }: Extent) => disk.write(bytes, startBytes + offset);
      for (const run of aligned(extents, unit)) {
        if (run.offset < HEAD_BYTES) head.push(run);
        else await put(run);
      }
      await disk.flush();
      for (const run of head.toReversed()) await put(run);
      await disk.flush();
    } catch (cause) {
      const problem = cause instanceof Error ? cause.message : String(cause);
      throw new MkfsError("EIO", `the disk failed, and may be half written: ${problem}`, { cause });
    }
  }
}

/** Extents by offset. It is a mistake of a formatter if they overlap. */
function inOrder(extents: readonly Extent[]): Extent[] {
  const sorted = extents.toSorted((a, b) => a.offset - b.offset);
  for (const [i, { offset }] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && offset < before.offset + before.bytes.length)
      throw new RangeError(`what is written at ${offset} overlaps what is before it`);
  }
  return sorted;
}

/** Ranges in order, widened to whole blocks, those that touch made one. */
function merged(ranges: readonly Range[], unit: number): Range[] {
  const result: { offset: number; length: number }[] = [];
  for (const range of ranges.toSorted((a, b) => a.offset - b.offset)) {
    const offset = range.offset - (range.offset % unit);
    const end = Math.ceil((range.offset + range.length) / unit) * unit;
    const last = result.at(-1);
    if (last && offset <= last.offset + last.length)
      last.length = Math.max(last.length, end - last.offset);
    else result.push({ offset, length: end - offset });
  }
  return result;
}

/** Extents, which are in order, made to whole blocks; those that touch are joined up to a bound. */
function* aligned(sorted: readonly Extent[], unit: number): Generator<Extent> {
  for (let i = 0; i < sorted.length;) {
    const start = sorted[i].offset - (sorted[i].offset % unit);
    let end = start;
    let next = i;
    for (; next < sorted.length; next++) {
      const { offset, bytes } = sorted[next];
      const after = Math.ceil((offset + bytes.length) / unit) * unit;
      const joins = offset - (offset % unit) <= end;
      const shares = offset < end;
      if (next > i && !(shares || (joins && after - start <= MAX_WRITE_BYTES))) break;
      end = after;
    }
    yield* whole(sorted.slice(i, next), start, end);
    i = next;
  }
}

/** One run of blocks from its extents: in place if it is a single one that fills it. */
function* whole(parts: readonly Extent[], start: number, end: number): Generator<Extent> {
  let bytes = parts[0].bytes;
  if (parts.length > 1 || bytes.length !== end - start) {
    bytes = new Uint8Array(end - start);
    for (const part of parts) bytes.set(part.bytes, part.offset - start);
  }
  for (let at = 0; at < bytes.length; at += MAX_WRITE_BYTES)
    yield { offset: start + at, bytes: bytes.subarray(at, at + MAX_WRITE_BYTES) };
}

async function writeZeroes(disk: Disk, offsetBytes: number, lengthBytes: number): Promise<void> {
  if (disk.writeZeroes) {
    await disk.writeZeroes(offsetBytes, lengthBytes, true);
    return;
  }
  const zeroes = new Uint8Array(Math.min(lengthBytes, MAX_WRITE_BYTES));
  for (let done = 0; done < lengthBytes; done += MAX_WRITE_BYTES) {
    const length = Math.min(MAX_WRITE_BYTES, lengthBytes - done);
    await disk.write(zeroes.subarray(0, length), offsetBytes + done);
  }
}
