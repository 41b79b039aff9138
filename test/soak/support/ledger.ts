// What a file system has promised: for every moment of a recording, what may be there after a crash.
//
// A moment is a position in the recorder's log. What was begun at a position can have an effect on
// the disk from that position on; what fsync() promised holds from the position where it returned.
// Names and contents are promised separately, as fsync(2) says: a file's fsync() is for its content
// (and, on all file systems that are tried here, for the name it was created with); a directory's is
// for the names in it.

import assert from "node:assert/strict";

const BLOCK_BYTES = 4096;

/** Something that took values one after the other, of which some were promised. */
class History<T> {
  readonly #values: { readonly value: T; readonly begun: number }[];
  readonly #promises: { readonly index: number; readonly from: number }[] = [];

  constructor(first: T) {
    this.#values = [{ value: first, begun: -1 }];
  }

  get last(): T {
    return this.#values.at(-1)!.value;
  }

  get index(): number {
    return this.#values.length - 1;
  }

  /** Whether the last value is promised. */
  get settled(): boolean {
    return this.leastAt(Infinity) === this.index;
  }

  add(value: T, begun: number): void {
    this.#values.push({ value, begun });
  }

  /** From a position on, the last value or a later one is there. */
  promise(from: number, index = this.index): void {
    this.#promises.push({ index, from });
  }

  /** The index of the oldest value that may be there after a crash. */
  leastAt(cut: number): number {
    let least = 0;
    for (const { index, from } of this.#promises) if (from <= cut && index > least) least = index;
    return least;
  }

  /** The values that may be there after a crash, and the index of the first. */
  at(cut: number): { least: number; values: T[] } {
    const least = this.leastAt(cut);
    const begun = this.#values.filter((one, index) => index <= least || one.begun < cut);
    return { least, values: begun.slice(least).map(({ value }) => value) };
  }
}

/** When the power failed. */
export interface Moment {
  /** A position in the log. */
  readonly cut: number;
  /** Whether a file that was being changed may hold anything: see {@link Journalled.orders}. */
  readonly anyContent: boolean;
}

/** How a file's content changes while no promise is made. */
export type Manner =
  /** Whole blocks are written over: each is old or new. */
  | "blocks"
  /** It grows, shrinks, is punched: any byte is of one version, or zero where the size changed. */
  | "any";

export class LedgerFile {
  readonly number: number;
  readonly manner: Manner;
  readonly content = new History<Uint8Array>(new Uint8Array(0));

  constructor(number: number, manner: Manner) {
    this.number = number;
    this.manner = manner;
  }

  /** @returns what is wrong with what was found after a crash, or null */
  problem(found: Uint8Array, { cut, anyContent }: Moment): string | null {
    const { least, values } = this.content.at(cut);
    if (anyContent && values.length > 1) return null;
    if (values.some((value) => Buffer.compare(value, found) === 0)) return null;
    const versions = `versions ${least} to ${least + values.length - 1} of file ${this.number}`;
    const sizes = values.map((value) => value.length);
    const [small, large] = [Math.min(...sizes), Math.max(...sizes)];
    const which = `${versions}, of ${small} to ${large} bytes`;
    if (values.length === 1)
      return `its ${found.length} bytes (${differs(found, values[0])}) are none of ${which}`;
    if (found.length < small || found.length > large)
      return `it has ${found.length} bytes: ${which}`;
    const unit = this.manner === "blocks" ? BLOCK_BYTES : 1;
    for (let at = 0; at < found.length; at += unit) {
      const part = found.subarray(at, at + unit);
      const end = at + part.length;
      const known = values.some((value) => Buffer.compare(value.subarray(at, end), part) === 0);
      const grown = end > small && part.every((byte) => byte === 0);
      if (!known && !grown) return `what is at ${at} is from none of ${which}`;
    }
    return null;
  }
}

function differs(found: Uint8Array, value: Uint8Array): string {
  const at = value.findIndex((byte, i) => found[i] !== byte);
  return at < 0 ? `${value.length} were promised` : `byte ${at} is ${found[at]}, not ${value[at]}`;
}

export type Named = LedgerFile | "directory" | null;

export interface FoundFile {
  readonly inode: bigint;
  readonly content: Uint8Array;
}

/** What is found after a crash, by path. */
export type Found = ReadonlyMap<string, FoundFile | "directory">;

/** A rename: of both its names, the index of the value after it. */
interface Move {
  readonly from: string;
  readonly fromIndex: number;
  readonly to: string;
  readonly toIndex: number;
  readonly file: LedgerFile;
}

export class Ledger {
  readonly #names = new Map<string, History<Named>>();
  readonly #moves: Move[] = [];
  #files = 0;

  name(path: string): History<Named> {
    let name = this.#names.get(path);
    if (!name) this.#names.set(path, (name = new History<Named>(null)));
    return name;
  }

  newFile(manner: Manner): LedgerFile {
    return new LedgerFile(this.#files++, manner);
  }

  /** The files that there are now, with their paths. */
  files(): { path: string; file: LedgerFile }[] {
    const list: { path: string; file: LedgerFile }[] = [];
    for (const [path, { last }] of this.#names)
      if (last instanceof LedgerFile) list.push({ path, file: last });
    return list;
  }

  move(from: string, to: string, begun: number): void {
    const file = this.name(from).last;
    assert.ok(file instanceof LedgerFile);
    this.name(from).add(null, begun);
    this.name(to).add(file, begun);
    const [fromIndex, toIndex] = [this.name(from).index, this.name(to).index];
    this.#moves.push({ from, fromIndex, to, toIndex, file });
  }

  /** Every name in a directory. */
  promiseNames(directory: string, at: number): void {
    for (const [path, name] of this.#names)
      if (path.slice(0, path.lastIndexOf("/")) === directory) name.promise(at);
  }

  promiseAll(at: number): void {
    for (const name of this.#names.values()) {
      name.promise(at);
      if (name.last instanceof LedgerFile) name.last.content.promise(at);
    }
  }

  /** @returns all that is wrong with what was found after a crash */
  problems(found: Found, moment: Moment): string[] {
    const { cut } = moment;
    const problems: string[] = [];
    for (const path of found.keys())
      if (!this.#names.has(path)) problems.push(`${path}: nobody made it`);
    for (const [path, name] of this.#names) {
      const { least, values } = name.at(cut);
      const there = found.get(path);
      const problem = problemOf(there, values, moment);
      if (problem) problems.push(`${path}: ${problem} (values ${least} and on)`);
    }
    for (const move of this.#moves) {
      const problem = this.#halfDone(move, found, moment);
      if (problem) problems.push(problem);
    }
    return problems;
  }

  /** A rename whose file was there for certain is done or not: the file has one name, not none. */
  #halfDone(
    { from, fromIndex, to, toIndex, file }: Move,
    found: Found,
    moment: Moment,
  ): string | null {
    const { cut } = moment;
    if (this.name(from).leastAt(cut) < fromIndex - 1) return null;
    // Later changes of these names are their own matter.
    if (this.name(to).at(cut).values.length + this.name(to).leastAt(cut) > toIndex + 1) return null;
    if (this.name(from).at(cut).values.length + this.name(from).leastAt(cut) > fromIndex + 1)
      return null;
    const [before, after] = [fileAt(found, from), fileAt(found, to)];
    if (before && before.inode === after?.inode)
      return `${from} was renamed to ${to}: the file has both names`;
    if (!before && !(after && file.problem(after.content, moment) === null))
      return `${from} was renamed to ${to}: the file has neither name`;
    return null;
  }
}

function fileAt(found: Found, path: string): FoundFile | null {
  const there = found.get(path);
  return there === undefined || there === "directory" ? null : there;
}

function problemOf(
  there: FoundFile | "directory" | undefined,
  values: readonly Named[],
  moment: Moment,
): string | null {
  if (there === undefined) return values.includes(null) ? null : "it is missing";
  if (there === "directory") return values.includes("directory") ? null : "it is a directory";
  const files = values.filter((value) => value instanceof LedgerFile);
  if (!files.length) return "it is there";
  const problems: string[] = [];
  for (const file of files) {
    const problem = file.problem(there.content, moment);
    if (problem === null) return null;
    problems.push(problem);
  }
  return problems.join("; ");
}
