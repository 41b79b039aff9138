// A disk that fails as it is told to, to see what becomes of those who use it.
//
// Invariants: #faults has the faults that may still strike, in the order in which they were
// injected; the first that matches an operation strikes. An operation that is never answered is in
// #hanging until the fault is lifted, or the disk closed.

import { InvalidOptionError } from "../machine/errors.ts";
import { seededRandom } from "../machine/random.ts";
import type { Random } from "../machine/random.ts";
import type { Disk } from "./disk.ts";
import { DiskError } from "./errors.ts";
import type { DiskErrorCode } from "./errors.ts";

export type DiskOperation = "read" | "write" | "flush" | "discard" | "zeroes";

/** What happens to an operation that a fault strikes. */
export type FaultEffect =
  /** It fails, having done nothing. */
  | { readonly kind: "error"; readonly code: DiskErrorCode }
  /** It is done so much later. */
  | { readonly kind: "slow"; readonly delayMs: number }
  /** Of a write only so many bytes are done (default: the first half, in blocks); then EIO. */
  | { readonly kind: "torn"; readonly doneBytes?: number }
  /** It is answered as done, but nothing was: of a read the bytes are what they were before. */
  | { readonly kind: "lost" }
  /** What is read, or written, has a bit of its first byte the other way round. */
  | { readonly kind: "corrupt" }
  /** It is not answered before the fault is lifted; then it fails. */
  | { readonly kind: "never" };

/** An operation that a fault may strike. */
export interface FaultableOperation {
  readonly kind: DiskOperation;
  /** 0 of a flush, as is the length. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** What is to be written; of a read, what it is to be read into. Only valid now. */
  readonly bytes?: Uint8Array;
}

/** When, where and how a disk fails. */
export interface Fault {
  readonly effect: FaultEffect;
  /** Which operations; default: all that the effect can have. */
  readonly on?: readonly DiskOperation[];
  /** Only operations that touch these bytes. A flush has no place: it is not restricted. */
  readonly range?: { readonly offsetBytes: number; readonly lengthBytes: number };
  /** Only operations for which this is true. It may look at them, and must not change them. */
  readonly when?: (operation: FaultableOperation) => boolean;
  /** How many operations that match are left alone first. Default 0. */
  readonly after?: number;
  /** How many it strikes. Default: any number. */
  readonly times?: number;
  /** How likely each of them is struck, from 0 to 1. Default 1. */
  readonly probability?: number;
}

export interface FaultDiskOptions {
  /** The first ones; more can be injected any time. */
  faults?: readonly Fault[];
  /** Decides about probabilities; default: a seed that is always the same. */
  random?: Random;
  /**
   * Whether to answer at once, as far as the wrapped disk does. Then nothing can be slow or
   * unanswered. Default false.
   */
  synchronous?: boolean;
}

/** A fault that was injected. */
export interface InjectedFault {
  /** How many operations it has struck. */
  readonly struck: number;
  /** End it. What it left unanswered fails with EIO. */
  lift(): void;
}

const EFFECTS: Readonly<Record<FaultEffect["kind"], readonly DiskOperation[]>> = {
  error: ["read", "write", "flush", "discard", "zeroes"],
  slow: ["read", "write", "flush", "discard", "zeroes"],
  torn: ["write"],
  lost: ["read", "write", "flush", "discard", "zeroes"],
  corrupt: ["read", "write"],
  never: ["read", "write", "flush", "discard", "zeroes"],
};

/** An operation that is to be done. */
interface Operation extends FaultableOperation {
  /** Do it, perhaps with other bytes. */
  readonly work: (bytes?: Uint8Array) => void | Promise<void>;
}

class Active implements InjectedFault {
  readonly fault: Fault;
  readonly operations: ReadonlySet<DiskOperation>;
  readonly #lifted: (active: Active) => void;
  struck = 0;
  #left: number;

  constructor(fault: Fault, lifted: (active: Active) => void) {
    this.fault = fault;
    this.operations = new Set(fault.on ?? EFFECTS[fault.effect.kind]);
    this.#left = fault.after ?? 0;
    this.#lifted = lifted;
  }

  /** Whether it strikes this one. */
  strikes(operation: Operation, chance: () => number): boolean {
    const { kind, offsetBytes, lengthBytes } = operation;
    const { range, when, times = Infinity, probability = 1 } = this.fault;
    if (!this.operations.has(kind) || this.struck >= times) return false;
    const touches =
      !range ||
      kind === "flush" ||
      (offsetBytes < range.offsetBytes + range.lengthBytes &&
        range.offsetBytes < offsetBytes + lengthBytes);
    if (!touches || (when && !when(operation))) return false;
    if (probability < 1 && chance() >= probability) return false;
    if (this.#left > 0) {
      this.#left--;
      return false;
    }
    this.struck++;
    return true;
  }

  lift(): void {
    this.#lifted(this);
  }
}

export class FaultDisk implements Disk {
  readonly disk: Disk;
  readonly blockSizeBytes: number;
  readonly synchronous: boolean;
  readonly discard?: (offsetBytes: number, lengthBytes: number) => void | Promise<void>;
  readonly writeZeroes?: (
    offsetBytes: number,
    lengthBytes: number,
    mayUnmap: boolean,
  ) => void | Promise<void>;
  readonly #random: Random;
  readonly #faults: Active[] = [];
  readonly #hanging = new Map<() => void, Active>();

  /**
   * @param disk what does the work where no fault strikes; it is closed with this one
   * @throws {InvalidOptionError}
   */
  constructor(disk: Disk, options: FaultDiskOptions = {}) {
    const { faults = [], random = seededRandom(1), synchronous = false } = options;
    if (synchronous && !disk.synchronous)
      throw new InvalidOptionError("synchronous", "the disk that is wrapped answers later");
    this.disk = disk;
    this.blockSizeBytes = disk.blockSizeBytes;
    this.synchronous = synchronous;
    this.#random = random;
    if (disk.discard)
      this.discard = (offsetBytes, lengthBytes) =>
        this.#do({
          kind: "discard",
          offsetBytes,
          lengthBytes,
          work: () => disk.discard!(offsetBytes, lengthBytes),
        });
    if (disk.writeZeroes)
      this.writeZeroes = (offsetBytes, lengthBytes, mayUnmap) =>
        this.#do({
          kind: "zeroes",
          offsetBytes,
          lengthBytes,
          work: () => disk.writeZeroes!(offsetBytes, lengthBytes, mayUnmap),
        });
    for (const fault of faults) this.inject(fault);
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

  /**
   * Fail like this from now on. Faults that were injected before come first.
   *
   * @throws {InvalidOptionError} if it makes no sense
   */
  inject(fault: Fault): InjectedFault {
    checkFault(fault, this.synchronous);
    const active = new Active(fault, (one) => this.#lift(one));
    this.#faults.push(active);
    return active;
  }

  #lift(active: Active): void {
    const index = this.#faults.indexOf(active);
    if (index >= 0) this.#faults.splice(index, 1);
    for (const [fail, one] of this.#hanging) if (one === active) fail();
  }

  read(into: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.#do({
      kind: "read",
      offsetBytes,
      lengthBytes: into.length,
      bytes: into,
      work: () => this.disk.read(into, offsetBytes),
    });
  }

  write(from: Uint8Array, offsetBytes: number): void | Promise<void> {
    return this.#do({
      kind: "write",
      offsetBytes,
      lengthBytes: from.length,
      bytes: from,
      work: (bytes = from) => this.disk.write(bytes, offsetBytes),
    });
  }

  flush(): void | Promise<void> {
    return this.#do({
      kind: "flush",
      offsetBytes: 0,
      lengthBytes: 0,
      work: () => this.disk.flush(),
    });
  }

  onResize(listener: () => void): () => void {
    return this.disk.onResize?.(listener) ?? (() => {});
  }

  close(): void | Promise<void> {
    this.#faults.length = 0;
    for (const fail of this.#hanging.keys()) fail();
    return this.disk.close();
  }

  #do(operation: Operation): void | Promise<void> {
    const active = this.#faults.find((one) => one.strikes(operation, this.#chance));
    if (this.synchronous) return active ? this.#strike(active, operation) : operation.work();
    return this.#later(active, operation);
  }

  async #later(active: Active | undefined, operation: Operation): Promise<void> {
    await (active ? this.#strike(active, operation) : operation.work());
  }

  /** A number from 0 to below 1. */
  readonly #chance = (): number => {
    const word = new Uint32Array(1);
    this.#random(new Uint8Array(word.buffer));
    return word[0] / 4294967296;
  };

  #strike(active: Active, operation: Operation): void | Promise<void> {
    const { effect } = active.fault;
    switch (effect.kind) {
      case "error":
        throw new DiskError(effect.code, `an injected fault: ${describe(operation)}`);
      case "slow":
        return after(effect.delayMs, () => operation.work());
      case "torn":
        return this.#tear(operation, effect.doneBytes);
      case "lost":
        return;
      case "corrupt":
        return this.#corrupt(operation);
      case "never":
        return this.#hang(active, operation);
    }
  }

  #tear(operation: Operation, doneBytes: number | undefined): void | Promise<void> {
    const { bytes, work, lengthBytes } = operation;
    const half = Math.floor(lengthBytes / 2 / this.blockSizeBytes) * this.blockSizeBytes;
    const done = Math.min(doneBytes ?? half, lengthBytes);
    const fail = () => {
      throw new DiskError("EIO", `an injected fault: ${describe(operation)}, ${done} bytes done`);
    };
    const result = done ? work(bytes?.subarray(0, done)) : undefined;
    if (result) return result.then(fail);
    fail();
  }

  #corrupt({ kind, bytes, work }: Operation): void | Promise<void> {
    if (!bytes?.length) return work();
    if (kind === "write") {
      const wrong = bytes.slice();
      wrong[0] ^= 1;
      return work(wrong);
    }
    const flip = () => {
      bytes[0] ^= 1;
    };
    const result = work();
    if (result) return result.then(flip);
    flip();
  }

  #hang(active: Active, operation: Operation): Promise<void> {
    return new Promise((_, reject) => {
      const fail = () => {
        this.#hanging.delete(fail);
        reject(new DiskError("EIO", `it was left unanswered: ${describe(operation)}`));
      };
      this.#hanging.set(fail, active);
    });
  }
}

function describe({ kind, offsetBytes, lengthBytes }: Operation): string {
  return kind === "flush" ? kind : `${kind} of ${lengthBytes} bytes at ${offsetBytes}`;
}

function after(delayMs: number, work: () => void | Promise<void>): Promise<void> {
  return new Promise<void>((resolve) => void setTimeout(resolve, delayMs)).then(work);
}

function checkFault(fault: Fault, synchronous: boolean): void {
  const { effect, on = [], after: skipped = 0, times = 0, probability = 1 } = fault;
  const wrong = on.find((operation) => !EFFECTS[effect.kind].includes(operation));
  if (wrong !== undefined)
    throw new InvalidOptionError("on", `a ${wrong} cannot be ${JSON.stringify(effect.kind)}`);
  if (synchronous && (effect.kind === "slow" || effect.kind === "never"))
    throw new InvalidOptionError(
      "effect",
      `${JSON.stringify(effect.kind)} needs a disk that answers later: leave "synchronous" out`,
    );
  if (effect.kind === "slow" && !(effect.delayMs >= 0))
    throw new InvalidOptionError("delayMs", `${effect.delayMs} is not a time`);
  if (!(skipped >= 0)) throw new InvalidOptionError("after", `${skipped} is not a count`);
  if (!(times >= 0)) throw new InvalidOptionError("times", `${times} is not a count`);
  if (!(probability >= 0 && probability <= 1))
    throw new InvalidOptionError("probability", `${probability} is not from 0 to 1`);
}
