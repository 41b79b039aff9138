// What two files, or two directories, have different.

import { matchesGlob } from "node:path/posix";

import { typeOfMode } from "../fs/stat.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";

const CHUNK_BYTES = 1 << 18;

/** A file as one of two trees has it. */
export interface Side {
  readonly source: CopySource;
  readonly path: Buffer;
  readonly status: SourceStatus;
}

/** Names of two directories, sorted, and which of them have each. */
export function mergedNames(
  a: readonly Buffer[],
  b: readonly Buffer[],
): { name: Buffer; inA: boolean; inB: boolean }[] {
  const key = (name: Buffer) => name.toString("latin1");
  const [inA, inB] = [new Set(a.map(key)), new Set(b.map(key))];
  return [...inA.union(inB)]
    .toSorted((x, y) => (x < y ? -1 : 1))
    .map((name) => ({
      name: Buffer.from(name, "latin1"),
      inA: inA.has(name),
      inB: inB.has(name),
    }));
}

export const typeOf = ({ mode }: Pick<SourceStatus, "mode">) => typeOfMode(Number(mode));

/** Whether two files of the same size hold the same. */
export async function sameContent(a: Side, b: Side): Promise<boolean> {
  if (a.status.size !== b.status.size) return false;
  await using fileA = await a.source.open(a.path);
  await using fileB = await b.source.open(b.path);
  const [bytesA, bytesB] = [Buffer.alloc(CHUNK_BYTES), Buffer.alloc(CHUNK_BYTES)];
  for (let position = 0; ;) {
    const countA = await fill(fileA, bytesA, position);
    const countB = await fill(fileB, bytesB, position);
    if (countA !== countB || bytesA.compare(bytesB, 0, countB, 0, countA) !== 0) return false;
    if (countA < CHUNK_BYTES) return true;
    position += countA;
  }
}

type Reader = Awaited<ReturnType<CopySource["open"]>>;

async function fill(file: Reader, into: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const count = await file.read(into.subarray(done), position + done);
    if (!count) break;
    done += count;
  }
  return done;
}

const NS = 1_000_000_000n;

/** Whether a time can be a copy of another, where copies are so exact, or have whole seconds only. */
export function sameTime(time: bigint, copy: bigint, grainNs: bigint): boolean {
  if (time === copy || (copy % NS === 0n && time > copy && time - copy < NS)) return true;
  const apart = time > copy ? time - copy : copy - time;
  return apart < grainNs;
}

/** The names of attributes that only one of two files has, or with another value. */
export async function differentAttributes(a: Side, b: Side): Promise<string[]> {
  const [inA, inB] = [
    new Map(await a.source.attributes(a.path)),
    new Map(await b.source.attributes(b.path)),
  ];
  const same = (name: string) => {
    const [one, other] = [inA.get(name), inB.get(name)];
    return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
  };
  return [...new Set([...inA.keys(), ...inB.keys()])].filter((name) => !same(name)).toSorted();
}

/** What is left out: names as shells' patterns, or with a slash in front paths from the top on. */
export class Exclusion {
  readonly #names: readonly string[];
  readonly #paths: readonly string[];

  constructor(patterns: readonly string[]) {
    const trimmed = patterns.map((pattern) => pattern.replace(/(?<=.)\/+$/, ""));
    this.#names = trimmed.filter((pattern) => !pattern.includes("/"));
    this.#paths = trimmed
      .filter((pattern) => pattern.includes("/"))
      .map((pattern) => pattern.replace(/^\/+/, ""));
  }

  has(inside: Buffer): boolean {
    if (!this.#names.length && !this.#paths.length) return false;
    const path = inside.toString();
    const name = path.slice(path.lastIndexOf("/") + 1);
    return (
      this.#names.some((pattern) => matchesGlob(name, pattern)) ||
      this.#paths.some((pattern) => matchesGlob(path, pattern))
    );
  }
}
