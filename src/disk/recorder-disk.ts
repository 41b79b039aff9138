// A disk that remembers what was done to it, to make from that what a power failure can leave.
//
// Invariants: #log has every operation that changed the wrapped disk, in the order in which they
// ended; an operation that failed is not in it. #logBytes is what the entries hold, never more than
// #maxLogBytes. What a flush promises is what had ended when it was asked for.

import { InvalidOptionError } from "../machine/errors.ts";
import type { Random } from "../machine/random.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";

/** What a log may hold, unless told otherwise. */
export const DEFAULT_MAX_LOG_BYTES = 256 << 20;
/** What an entry counts beside its data. */
const ENTRY_BYTES = 64;

/** An operation that ended well. */
export type LogEntry =
  | {
      readonly kind: "write";
      readonly offsetBytes: number;
      /** A copy, of the log's own. */
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: "discard" | "zeroes";
      readonly offsetBytes: number;
      readonly lengthBytes: number;
    }
  | {
      readonly kind: "flush";
      /** It made lasting the entries before this one: those that had ended when it began. */
      readonly covers: number;
    };

/** What may be on a disk after the power failed. */
export interface CrashState {
  /** So many entries of the log had ended. */
  readonly cut: number;
  /** The entries before this one are there: a flush saw to it. */
  readonly durable: number;
  /** Of those from {@link durable} to {@link cut}, the ones that are there too, ascending. */
  readonly survivors: readonly number[];
  /** Of the last survivor, a write, only the first bytes are there: so many. */
  readonly tornBytes?: number;
}

export interface RecorderDiskOptions {
  /** What the log may hold, in bytes; default {@link DEFAULT_MAX_LOG_BYTES}. */
  maxLogBytes?: number;
}

export interface CrashStateOptions {
  /** Chooses the subsets: a seeded one makes the same states of the same log. */
  random: Random;
  /** How many random subsets to try of what lies between two flushes. Default 4. */
  subsets?: number;
  /** Of what a write is torn at multiples; default: what the disk says that it writes at once. */
  atomicBytes?: number;
}

export class RecorderDisk implements Disk {
  readonly disk: Disk;
  readonly blockSizeBytes: number;
  readonly synchronous: boolean;
  readonly discard?: (offsetBytes: number, lengthBytes: number) => void | Promise<void>;
  readonly writeZeroes?: (
    offsetBytes: number,
    lengthBytes: number,
    mayUnmap: boolean,
  ) => void | Promise<void>;
  readonly writeVector?: (from: readonly Uint8Array[], offsetBytes: number) => void;
  readonly #maxLogBytes: number;
  readonly #log: LogEntry[] = [];
  #logBytes = 0;

  /**
   * @param disk where the bytes are; it is closed with this one
   * @throws {InvalidOptionError}
   */
  constructor(disk: Disk, options: RecorderDiskOptions = {}) {
    const { maxLogBytes = DEFAULT_MAX_LOG_BYTES } = options;
    if (!(Number.isSafeInteger(maxLogBytes) && maxLogBytes > 0))
      throw new InvalidOptionError("maxLogBytes", `${maxLogBytes} is not a positive whole number`);
    this.disk = disk;
    this.blockSizeBytes = disk.blockSizeBytes;
    this.synchronous = disk.synchronous;
    this.#maxLogBytes = maxLogBytes;
    if (disk.discard)
      this.discard = (offsetBytes, lengthBytes) =>
        this.#record({ kind: "discard", offsetBytes, lengthBytes }, () =>
          disk.discard!(offsetBytes, lengthBytes),
        );
    if (disk.writeZeroes)
      this.writeZeroes = (offsetBytes, lengthBytes, mayUnmap) =>
        this.#record({ kind: "zeroes", offsetBytes, lengthBytes }, () =>
          disk.writeZeroes!(offsetBytes, lengthBytes, mayUnmap),
        );
    if (disk.synchronous)
      this.writeVector = (from, offsetBytes) => void this.#writeOwn(joined(from), offsetBytes);
  }

  get sizeBytes(): number {
    return this.disk.sizeBytes;
  }

  get physicalBlockSizeBytes(): number {
    return this.disk.physicalBlockSizeBytes ?? this.blockSizeBytes;
  }

  get optimalTransferBytes(): number {
    return this.disk.optimalTransferBytes ?? 0;
  }

  get readOnly(): boolean {
    return this.disk.readOnly;
  }

  /** What was done, in the order in which it ended. Its length is a position to cut at. */
  get log(): readonly LogEntry[] {
    return this.#log;
  }

  /** What the log holds, in bytes. */
  get logBytes(): number {
    return this.#logBytes;
  }

  read(into: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.disk.read(into, offsetBytes);
  }

  /** @throws {DiskError} ENOSPC, and nothing is written, if the log has no room for it */
  write(from: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.#writeOwn(from.slice(), offsetBytes);
  }

  #writeOwn(bytes: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.#record({ kind: "write", offsetBytes, bytes }, () =>
      this.disk.write(bytes, offsetBytes),
    );
  }

  flush(): void | Promise<void> {
    return this.#record({ kind: "flush", covers: this.#log.length }, () => this.disk.flush());
  }

  onResize(listener: () => void): () => void {
    return this.disk.onResize?.(listener) ?? (() => {});
  }

  /** The log stays. */
  close(): void | Promise<void> {
    return this.disk.close();
  }

  /** Do something, and note it when it is done. */
  #record(entry: LogEntry, work: () => void | Promise<void>): void | Promise<void> {
    const bytes = ENTRY_BYTES + (entry.kind === "write" ? entry.bytes.length : 0);
    if (this.#logBytes + bytes > this.#maxLogBytes) {
      const problem = `the recording has ${this.#logBytes} bytes and may have ${this.#maxLogBytes}: raise maxLogBytes`;
      const error = new DiskError("ENOSPC", problem);
      if (this.synchronous) throw error;
      return Promise.reject(error);
    }
    // Counted at once: several may be under way.
    this.#logBytes += bytes;
    const ended = () => void this.#log.push(entry);
    const failed = (error: unknown) => {
      this.#logBytes -= bytes;
      throw error;
    };
    try {
      const result = work();
      if (result) return result.then(ended, failed);
    } catch (error) {
      failed(error);
    }
    ended();
  }

  // --- What a power failure leaves -----------------------------------------------------------

  /** How many entries are lasting for certain when the first `cut` have ended. */
  durableAt(cut: number): number {
    let durable = 0;
    for (let i = 0; i < cut; i++) {
      const entry = this.#log[i];
      if (entry.kind === "flush") durable = Math.max(durable, entry.covers);
    }
    return durable;
  }

  /**
   * States that a power failure can leave, in the order of time: at every flush what it made
   * lasting and no more, all that was done before the next one, and random subsets of that,
   * some with their last write torn. No state twice in a row of two flushes.
   */
  *states(options: CrashStateOptions): Generator<CrashState, void, undefined> {
    const { random, subsets = 4, atomicBytes = this.physicalBlockSizeBytes } = options;
    const choose = chooser(random);
    let durable = 0;
    let start = 0;
    for (let end = 0; end <= this.#log.length; end++) {
      const entry = this.#log[end];
      if (entry && entry.kind !== "flush") continue;
      const pending: number[] = [];
      for (let i = durable; i < end; i++) if (this.#log[i].kind !== "flush") pending.push(i);
      yield { cut: start, durable, survivors: [] };
      yield* this.#subsets(pending, { cut: end, durable, count: subsets, atomicBytes, choose });
      if (entry) {
        durable = Math.max(durable, entry.covers);
        start = end + 1;
      }
    }
  }

  *#subsets(
    pending: readonly number[],
    how: {
      cut: number;
      durable: number;
      count: number;
      atomicBytes: number;
      choose: (limit: number) => number;
    },
  ): Generator<CrashState, void, undefined> {
    if (!pending.length) return;
    const { cut, durable, choose } = how;
    const seen = new Set([""]);
    const fresh = (state: CrashState) => {
      const key = `${state.survivors.join()}:${state.tornBytes ?? ""}`;
      return !seen.has(key) && Boolean(seen.add(key));
    };
    const all: CrashState = { cut, durable, survivors: pending };
    if (fresh(all)) yield all;
    for (let n = 0; n < how.count; n++) {
      // Mostly there, mostly not there, or in between.
      const odds = 1 + choose(7);
      const survivors = pending.filter(() => choose(8) < odds);
      const tears = tearsOf(this.#log[survivors.at(-1) ?? -1], how.atomicBytes);
      const torn = tears.length > 0 && choose(2) === 0;
      const state: CrashState = {
        cut,
        durable,
        survivors,
        ...(torn && { tornBytes: tears[choose(tears.length)] }),
      };
      if (fresh(state)) yield state;
    }
  }

  /** Do again to a disk what entries of the log did, all from `from` to before `to`. */
  async replay(into: Disk, from: number, to: number): Promise<void> {
    for (let i = from; i < to; i++) await redo(into, this.#log[i]);
  }

  /**
   * Make a state on a disk whose content is what this one had at first.
   *
   * @param from how many entries of the log it has already: at most the state's `durable`
   */
  async replayState(into: Disk, state: CrashState, from = 0): Promise<void> {
    const { durable, survivors, tornBytes } = state;
    if (from > durable)
      throw new RangeError(`${from} entries are there, and only ${durable} were lasting`);
    await this.replay(into, from, durable);
    for (const [i, number] of survivors.entries()) {
      const entry = this.#log[number];
      const torn = tornBytes !== undefined && i === survivors.length - 1 && entry.kind === "write";
      await redo(into, torn ? { ...entry, bytes: entry.bytes.subarray(0, tornBytes) } : entry);
    }
  }
}

/** What was discarded reads as zeroes, if the disk can have it so. */
function redo(disk: Disk, entry: LogEntry): void | Promise<void> {
  if (entry.kind === "flush") return;
  if (entry.kind === "write") return disk.write(entry.bytes, entry.offsetBytes);
  if (disk.writeZeroes) return disk.writeZeroes(entry.offsetBytes, entry.lengthBytes, true);
  return disk.write(new Uint8Array(entry.lengthBytes), entry.offsetBytes);
}

/** After how many bytes an entry can be torn: at multiples of what is written at once. */
function tearsOf(entry: LogEntry | undefined, atomicBytes: number): number[] {
  if (entry?.kind !== "write") return [];
  const tears: number[] = [];
  const first = atomicBytes - (entry.offsetBytes % atomicBytes);
  for (let at = first; at < entry.bytes.length; at += atomicBytes) tears.push(at);
  return tears;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whole numbers from 0 to before `limit`. */
function chooser(random: Random): (limit: number) => number {
  const word = new Uint32Array(1);
  const bytes = new Uint8Array(word.buffer);
  return (limit) => {
    random(bytes);
    return word[0] % limit;
  };
}
