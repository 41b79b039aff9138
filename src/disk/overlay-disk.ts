// Copy on write: what is written goes to an upper disk, and the disk below stays as it is.
//
// Invariants: what #changes calls data is at the same place in the upper disk, what it calls zero reads
// as zeroes, and the rest is the base's, which reaches that far. A write counts as data only when
// the upper disk has all of it, so a read meanwhile sees what was there before. Blocks are never
// copied up: whoever writes, writes whole blocks. Beside an asynchronous disk, operations pass
// the #gate: commit(), drop() and resize() happen between them.

import { checkRange, checkSize, ResizeListeners } from "./disk.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";
import { ExtentMap } from "./extents.ts";
import type { Extent } from "./extents.ts";
import { Gate } from "./gate.ts";
import { MemoryDisk } from "./memory-disk.ts";

export interface OverlayDiskOptions {
  /**
   * Where changed blocks are kept; default: memory, which the disk frees when it is closed. Any other
   * stays the caller's, and what it holds at first does not matter. Which blocks have changed is
   * known to this object only: without it, what the upper disk holds is of no use.
   */
  upper?: Disk;
  /** A multiple of the block size; default: as large as the base. See {@link OverlayDisk.resize}. */
  sizeBytes?: number;
}

/** A changed part of an overlay. */
export interface Change {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Whether the part was written, or is all zeroes. */
  readonly kind: "data" | "zero";
}

/** What one step of commit() copies at most. */
const COPY_BYTES = 1 << 20;
/** What one step of commit() makes zeroes at most. */
const ERASE_BYTES = 64 << 20;

type Answer = void | Promise<void>;

/** Wait for all, also if one fails: till then the caller's buffers are in use. */
function together(answers: readonly Answer[]): Answer {
  const pending = answers.filter((answer) => answer !== undefined);
  if (!pending.length) return undefined;
  return Promise.allSettled(pending).then((results) => {
    for (const result of results) if (result.status === "rejected") throw result.reason;
  });
}

/**
 * A disk that can be written over one that is only read, until {@link commit}. It answers at once
 * exactly if base and upper disk do. The base must not change otherwise; it stays the caller's, who
 * closes it after the overlay.
 */
export class OverlayDisk implements Disk, Disposable {
  readonly synchronous: boolean;
  readonly readOnly = false;
  readonly blockSizeBytes: number;
  readonly physicalBlockSizeBytes?: number;
  readonly optimalTransferBytes?: number;
  readonly #base: Disk;
  readonly #upper: Disk;
  readonly #ownsUpper: boolean;
  readonly #changes = new ExtentMap<Change["kind"]>();
  readonly #gate = new Gate();
  readonly #resized = new ResizeListeners();
  #sizeBytes: number;
  #closed = false;

  /** @throws {DiskError} EINVAL if the upper disk is too small, read-only, or has larger blocks */
  constructor(base: Disk, options: OverlayDiskOptions = {}) {
    const { blockSizeBytes, physicalBlockSizeBytes, optimalTransferBytes } = base;
    const sizeBytes = checkSize(options.sizeBytes ?? base.sizeBytes, blockSizeBytes);
    this.#base = base;
    this.#upper = options.upper ?? new MemoryDisk(sizeBytes);
    this.#ownsUpper = !options.upper;
    this.#sizeBytes = base.sizeBytes;
    this.blockSizeBytes = blockSizeBytes;
    if (physicalBlockSizeBytes !== undefined) this.physicalBlockSizeBytes = physicalBlockSizeBytes;
    if (optimalTransferBytes !== undefined) this.optimalTransferBytes = optimalTransferBytes;
    this.synchronous = base.synchronous && this.#upper.synchronous;
    checkUpper(this.#upper, blockSizeBytes, sizeBytes);
    this.#setSize(sizeBytes);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** How many bytes are not the base's: written, made zeroes, or beyond its end. */
  get changedBytes(): number {
    return this.#changes.bytes;
  }

  /** The parts that are not the base's, in order. */
  changes(): Change[] {
    return this.#changes.list().map(({ start, end, kind }) => ({
      offsetBytes: start,
      lengthBytes: end - start,
      kind,
    }));
  }

  read(into: Uint8Array, offsetBytes: number): Answer {
    return this.#share(() => {
      this.#check(offsetBytes, into.length);
      const runs = this.#changes.runs(offsetBytes, offsetBytes + into.length);
      if (runs.length === 1) return this.#readRun(runs[0], into, offsetBytes);
      return together(runs.map((run) => this.#tryReadRun(run, into, offsetBytes)));
    });
  }

  write(from: Uint8Array, offsetBytes: number): Answer {
    return this.#share(() => {
      this.#check(offsetBytes, from.length);
      const written = () => this.#changes.set(offsetBytes, offsetBytes + from.length, "data");
      const answer = this.#upper.write(from, offsetBytes);
      return answer ? answer.then(written) : written();
    });
  }

  /** Makes lasting what the upper disk was given; the base is not touched before commit(). */
  flush(): Answer {
    return this.#share(() => {
      this.#check(0, 0);
      return this.#upper.flush();
    });
  }

  /** What is read from there then is zeroes. */
  discard(offsetBytes: number, lengthBytes: number): Answer {
    return this.writeZeroes(offsetBytes, lengthBytes);
  }

  /** Takes no room, whatever the length: the upper disk's is given back. */
  writeZeroes(offsetBytes: number, lengthBytes: number): Answer {
    return this.#share(() => {
      this.#check(offsetBytes, lengthBytes);
      const end = offsetBytes + lengthBytes;
      const runs = this.#changes.runs(offsetBytes, end);
      this.#changes.set(offsetBytes, end, "zero");
      return this.#release(runs);
    });
  }

  /**
   * Change the size; what is cut off is lost, what is added reads as zeroes. The base is resized by
   * {@link commit}.
   *
   * @throws {DiskError} EINVAL if it is not a multiple of the block size, or more than the upper disk
   *   can have
   */
  resize(sizeBytes: number): Answer {
    return this.#alone(() => {
      this.#check(0, 0);
      checkSize(sizeBytes, this.blockSizeBytes);
      const set = () => {
        this.#setSize(sizeBytes);
        this.#resized.tell();
      };
      if (this.#upper.sizeBytes >= sizeBytes) return set();
      if (!this.#upper.resize) throw tooSmall(this.#upper, sizeBytes);
      const answer = this.#upper.resize(sizeBytes);
      return answer ? answer.then(set) : set();
    });
  }

  onResize(listener: () => void): () => void {
    return this.#resized.add(listener);
  }

  /**
   * Write all changes to the base, flush it, and only then forget them: if it fails, the overlay is
   * as it was, and can be committed again. The base is whole again only when that has happened; a
   * crash before leaves it with a part of the changes. What reads and writes the overlay waits.
   *
   * @throws {DiskError} EROFS if the base is read-only, EINVAL if it has another size and cannot
   *   be resized, or the base's error
   */
  commit(): Answer {
    return this.#alone(() => this.#take(this.#commitSteps()));
  }

  /**
   * Forget all changes, also of the size: the disk is as its base again. A kernel that has the disk
   * must not have it mounted.
   */
  drop(): Answer {
    return this.#alone(() => {
      this.#check(0, 0);
      return this.#forget(this.#base.sizeBytes);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#changes.clear();
    // It is a MemoryDisk, which closes at once.
    if (this.#ownsUpper) void this.#upper.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #readRun(run: Extent<Change["kind"] | undefined>, into: Uint8Array, offsetBytes: number): Answer {
    const part = into.subarray(run.start - offsetBytes, run.end - offsetBytes);
    if (run.kind === "zero") part.fill(0);
    else if (run.kind === "data") return this.#upper.read(part, run.start);
    else return this.#base.read(part, run.start);
    return undefined;
  }

  /** A disk that is not synchronous may throw all the same, while others are still reading. */
  #tryReadRun(
    run: Extent<Change["kind"] | undefined>,
    into: Uint8Array,
    offsetBytes: number,
  ): Answer {
    if (this.synchronous) return this.#readRun(run, into, offsetBytes);
    return (async () => this.#readRun(run, into, offsetBytes))();
  }

  #setSize(sizeBytes: number): void {
    this.#changes.set(sizeBytes, this.#sizeBytes, undefined);
    this.#changes.set(this.#sizeBytes, sizeBytes, "zero");
    this.#sizeBytes = sizeBytes;
  }

  /** The upper disk need not keep what it has of these any more. */
  #release(runs: readonly Extent<Change["kind"] | undefined>[]): Answer {
    const upper = this.#upper;
    if (!upper.discard) return undefined;
    const unused = runs.filter(({ kind }) => kind === "data");
    return together(unused.map(({ start, end }) => upper.discard!(start, end - start)));
  }

  #forget(sizeBytes: number): Answer {
    const extents = this.#changes.list();
    this.#changes.clear();
    if (this.#sizeBytes !== sizeBytes) {
      this.#sizeBytes = sizeBytes;
      this.#resized.tell();
    }
    return this.#release(extents);
  }

  *#commitSteps(): Generator<Answer, void> {
    this.#check(0, 0);
    const base = this.#base;
    const sizeBytes = this.#sizeBytes;
    const before = base.sizeBytes;
    if (base.readOnly)
      throw new DiskError("EROFS", "the overlay's base is read-only: nothing was written to it");
    if (before !== sizeBytes && !base.resize)
      throw new DiskError(
        "EINVAL",
        `the overlay has ${sizeBytes} bytes, and its base of ${before} cannot be resized`,
      );
    if (before < sizeBytes) yield base.resize!(sizeBytes);
    for (const { start, end, kind } of this.#changes.list())
      if (kind === "data") yield* this.#copyDown(start, end);
      else yield* eraseSteps(base, start, Math.min(end, before));
    yield base.flush();
    if (before > sizeBytes) {
      yield base.resize!(sizeBytes);
      yield base.flush();
    }
    yield this.#forget(sizeBytes);
  }

  *#copyDown(start: number, end: number): Generator<Answer, void> {
    const buffer = new Uint8Array(Math.min(COPY_BYTES, end - start));
    for (let at = start; at < end; at += buffer.length) {
      const part = buffer.subarray(0, end - at);
      yield this.#upper.read(part, at);
      yield this.#base.write(part, at);
    }
  }

  /** Take steps one after the other; at once if the disk is synchronous. */
  #take(steps: Generator<Answer, void>): Answer {
    if (!this.synchronous)
      return (async () => {
        for (const step of steps) await step;
      })();
    for (const step of steps) void step;
    return undefined;
  }

  #share(work: () => Answer): Answer {
    return this.synchronous ? work() : this.#gate.shared(work);
  }

  #alone(work: () => Answer): Answer {
    return this.synchronous ? work() : this.#gate.exclusive(work);
  }

  #check(offsetBytes: number, lengthBytes: number): void {
    if (this.#closed) throw new DiskError("EBADF", "this overlay was closed");
    checkRange(this, offsetBytes, lengthBytes);
  }
}

function* eraseSteps(disk: Disk, start: number, end: number): Generator<Answer, void> {
  if (disk.writeZeroes) {
    for (let at = start; at < end; at += ERASE_BYTES)
      yield disk.writeZeroes(at, Math.min(ERASE_BYTES, end - at), true);
    return;
  }
  const zeroes = new Uint8Array(Math.max(0, Math.min(COPY_BYTES, end - start)));
  for (let at = start; at < end; at += zeroes.length)
    yield disk.write(zeroes.subarray(0, end - at), at);
}

function checkUpper(upper: Disk, blockSizeBytes: number, sizeBytes: number): void {
  if (upper.readOnly) throw new DiskError("EINVAL", "the overlay's upper disk is read-only");
  if (upper.blockSizeBytes > blockSizeBytes)
    throw new DiskError(
      "EINVAL",
      `the overlay's upper disk has blocks of ${upper.blockSizeBytes} bytes, its base of ${blockSizeBytes}`,
    );
  if (upper.sizeBytes < sizeBytes) throw tooSmall(upper, sizeBytes);
}

function tooSmall(upper: Disk, sizeBytes: number): DiskError {
  return new DiskError(
    "EINVAL",
    `the overlay's upper disk has ${upper.sizeBytes} bytes, and ${sizeBytes} may be written`,
  );
}
