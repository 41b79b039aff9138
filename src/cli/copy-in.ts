// A tree is copied to a target that may have some of it already.
//
// Invariants: directories get their times when all is in them.

import { typeOfMode } from "../fs/stat.ts";
import type { CopyReport } from "./copy-report.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import type { CopyTarget } from "./copy-target.ts";
import { withoutCall } from "./errors.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;
const slash = Buffer.from("/");
export const joinPath = (folder: Buffer, name: Buffer): Buffer =>
  Buffer.concat(folder.at(-1) === slash[0] ? [folder, name] : [folder, slash, name]);

export class TreeCopier {
  readonly #source: CopySource;
  readonly #target: CopyTarget;
  readonly #report: CopyReport;
  readonly #tell: (path: string, problem: string) => void;
  /** The first copy of a file that has several names. */
  readonly #linked = new Map<string, Buffer>();

  constructor(
    source: CopySource,
    target: CopyTarget,
    report: CopyReport,
    tell: (path: string, problem: string) => void,
  ) {
    this.#source = source;
    this.#target = target;
    this.#report = report;
    this.#tell = tell;
  }

  /** Copy a file, or a directory with all below it. What is in a directory already stays. */
  async copy(from: Buffer, to: Buffer): Promise<void> {
    await this.#copy(from, to, 0);
  }

  async #copy(from: Buffer, to: Buffer, depth: number): Promise<void> {
    try {
      const status = await this.#source.status(from);
      if (typeOfMode(Number(status.mode)) === "directory")
        await this.#directory(from, to, status, depth);
      else await this.#leaf(from, to, status);
    } catch (error) {
      if (depth === 0 || this.#target.isFatal(error)) throw error;
      const path = from.toString();
      const problem = withoutCall(error);
      this.#report.failed.push({ path, problem });
      this.#tell(path, problem);
    }
  }

  async #directory(from: Buffer, to: Buffer, status: SourceStatus, depth: number): Promise<void> {
    if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
    try {
      await this.#target.makeDirectory(to);
    } catch (error) {
      const there = await this.#target.there.status(to).catch(() => null);
      if (!there || typeOfMode(Number(there.mode)) !== "directory") throw error;
    }
    const names = await this.#source.names(from);
    for (const name of names.toSorted((a, b) => Buffer.compare(a, b)))
      await this.#copy(joinPath(from, name), this.#target.join(to, name), depth + 1);
    await this.#target.finish(from, to, status);
    this.#report.directories++;
  }

  async #leaf(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    if (!this.#target.stores(status)) {
      this.#report.skip(from.toString(), typeOfMode(Number(status.mode)), this.#tell);
      return;
    }
    const key = `${status.dev}:${status.ino}`;
    const first = status.nlink > 1n ? this.#linked.get(key) : undefined;
    if (first) await this.#target.link(first, to);
    else await this.#target.writeLeaf(from, to, status);
    if (status.nlink > 1n && !first) this.#linked.set(key, to);
  }
}
