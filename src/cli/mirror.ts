// One directory is made as another one is, by writing what is different.
//
// Invariants: what cannot be read in the source is not removed from the target. A directory of the
// target is entered only if it is none but a directory. Directories get their times when all is in them.

import type { FileType } from "../fs/stat.ts";
import { differentAttributes, mergedNames, sameContent, sameTime, typeOf } from "./compare.ts";
import type { Exclusion } from "./compare.ts";
import { joinPath } from "./copy-in.ts";
import type { CopyReport } from "./copy-report.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import type { CopyTarget } from "./copy-target.ts";
import { withoutCall } from "./errors.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;

export interface MirrorOptions {
  /** Remove what the source has not. */
  readonly delete: boolean;
  /** Change nothing, and tell what would be. */
  readonly dryRun: boolean;
  /** Compare contents; else files of the same size and time are taken for the same. */
  readonly checksum: boolean;
  readonly exclude: Exclusion;
}

export interface Change {
  /** From the top on. */
  readonly path: string;
  readonly change: "added" | "changed" | "removed";
  readonly type: FileType;
  /** What is different of what is changed. */
  readonly what: readonly string[];
}

export class Mirror {
  readonly #source: CopySource;
  readonly #target: CopyTarget;
  readonly #options: MirrorOptions;
  readonly #report: CopyReport;
  readonly #changed: (change: Change) => Promise<void>;
  readonly #tell: (path: string, problem: string) => void;
  /** Where the first of several names of a file is in the target, and whether it is a new file there. */
  readonly #linked = new Map<string, { readonly path: Buffer; readonly isNew: boolean }>();
  /** Of files that are to be written. */
  bytes = 0;

  constructor(
    source: CopySource,
    target: CopyTarget,
    options: MirrorOptions,
    report: CopyReport,
    changed: (change: Change) => Promise<void>,
    tell: (path: string, problem: string) => void,
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#report = report;
    this.#changed = changed;
    this.#tell = tell;
  }

  /** Of a directory. The target need not be there; its parent has to be. */
  async run(from: Buffer, to: Buffer): Promise<void> {
    await this.#one(from, to, Buffer.alloc(0), 0);
  }

  async #one(from: Buffer, to: Buffer, inside: Buffer, depth: number): Promise<void> {
    try {
      const status = await this.#source.status(from);
      const there = await this.#lookUp(to);
      if (typeOf(status) === "directory")
        await this.#directory(from, to, inside, status, there, depth);
      else await this.#leaf(from, to, inside, status, there);
    } catch (error) {
      if (depth === 0 || this.#target.isFatal(error)) throw error;
      this.#failed(from, error);
    }
  }

  #failed(from: Buffer, error: unknown): void {
    const [path, problem] = [from.toString(), withoutCall(error)];
    this.#report.failed.push({ path, problem });
    this.#tell(path, problem);
  }

  async #lookUp(to: Buffer): Promise<SourceStatus | null> {
    try {
      return await this.#target.there.status(to);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT" || code === "ENOTDIR") return null;
      throw error;
    }
  }

  async #directory(
    from: Buffer,
    to: Buffer,
    inside: Buffer,
    status: SourceStatus,
    there: SourceStatus | null,
    depth: number,
  ): Promise<void> {
    if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
    const isDirectory = there !== null && typeOf(there) === "directory";
    const names = await this.#source.names(from);
    if (!isDirectory) {
      if (there && depth === 0) throw new Error("ENOTDIR: the target is there, and no directory");
      await this.#note(inside, "added", status, []);
      if (!this.#options.dryRun) {
        if (there) await this.#target.remove(to);
        await this.#target.makeDirectory(to);
      }
    }
    const namesThere = isDirectory ? await this.#target.there.names(to) : [];
    for (const { name, inA } of mergedNames(names, namesThere)) {
      const here = inside.length ? joinPath(inside, name) : name;
      if (this.#options.exclude.has(here)) continue;
      if (inA) await this.#one(joinPath(from, name), this.#target.join(to, name), here, depth + 1);
      else if (this.#options.delete) await this.#remove(this.#target.join(to, name), here);
    }
    const what = there ? await this.#metadata(from, to, status, there) : [];
    if (isDirectory && what.length) await this.#note(inside, "changed", status, what);
    // What was put into it, or removed, has changed its time.
    if (!this.#options.dryRun) await this.#target.finish(from, to, status);
    this.#report.directories++;
  }

  async #leaf(
    from: Buffer,
    to: Buffer,
    inside: Buffer,
    status: SourceStatus,
    there: SourceStatus | null,
  ): Promise<void> {
    if (!this.#target.stores(status)) {
      this.#report.skip(from.toString(), typeOf(status), this.#tell);
      return;
    }
    if (there && typeOf(there) === "directory") {
      await this.#giveWay(to, inside);
      return this.#put(from, to, inside, status, null);
    }
    return this.#put(from, to, inside, status, there);
  }

  async #put(
    from: Buffer,
    to: Buffer,
    inside: Buffer,
    status: SourceStatus,
    there: SourceStatus | null,
  ): Promise<void> {
    const key = status.nlink > 1n ? `${status.dev}:${status.ino}` : null;
    const first = key === null ? undefined : this.#linked.get(key);
    if (first) {
      const other = await this.#lookUp(first.path);
      const linked = there && other && there.ino === other.ino && there.dev === other.dev;
      if (linked && !(this.#options.dryRun && first.isNew)) return;
      await this.#note(inside, there ? "changed" : "added", status, ["link"]);
      if (!this.#options.dryRun) await this.#target.link(first.path, to);
      return;
    }
    const what = there ? await this.#differences(from, to, status, there) : [];
    const isNew = !there || REWRITTEN.some((one) => what.includes(one));
    if (isNew || what.length) await this.#note(inside, there ? "changed" : "added", status, what);
    if (isNew && typeOf(status) === "file") this.bytes += Number(status.size);
    if (isNew && !this.#options.dryRun) await this.#target.writeLeaf(from, to, status);
    else if (what.length && !this.#options.dryRun) await this.#target.finish(from, to, status);
    if (key !== null) this.#linked.set(key, { path: to, isNew });
  }

  /** A directory where a file is to be. */
  async #giveWay(to: Buffer, inside: Buffer): Promise<void> {
    if (!this.#options.delete)
      throw new Error("EISDIR: in the target there is a directory (--delete removes it)");
    await this.#remove(to, inside);
  }

  async #remove(to: Buffer, inside: Buffer): Promise<void> {
    try {
      const status = await this.#target.there.status(to);
      await this.#note(inside, "removed", status, []);
      if (!this.#options.dryRun) await this.#target.remove(to);
    } catch (error) {
      if (this.#target.isFatal(error)) throw error;
      this.#failed(to, error);
    }
  }

  async #differences(
    from: Buffer,
    to: Buffer,
    status: SourceStatus,
    there: SourceStatus,
  ): Promise<string[]> {
    const type = typeOf(status);
    if (type !== typeOf(there)) return ["type"];
    const metadata = await this.#metadata(from, to, status, there);
    if (type === "symlink") {
      const same = (await this.#source.target(from)).equals(await this.#target.there.target(to));
      return same ? metadata : ["target", ...metadata];
    }
    if (type !== "file") return status.rdev === there.rdev ? metadata : ["device", ...metadata];
    const a = { source: this.#source, path: from, status };
    const b = { source: this.#target.there, path: to, status: there };
    const same =
      status.size === there.size &&
      (this.#options.checksum ? await sameContent(a, b) : !metadata.includes("time"));
    return same ? metadata : ["content", ...metadata];
  }

  /** What else than its content is not what the copy is to have. */
  async #metadata(
    from: Buffer,
    to: Buffer,
    status: SourceStatus,
    there: SourceStatus,
  ): Promise<string[]> {
    const { owner, mode, attributes, timeGrainNs } = this.#target.kept(status);
    const what: string[] = [];
    if (mode !== null && typeOf(status) !== "symlink" && Number(there.mode & 0o7777n) !== mode)
      what.push("mode");
    if (owner && (Number(there.uid) !== owner.uid || Number(there.gid) !== owner.gid))
      what.push("owner");
    if (!sameTime(status.mtimeNs, there.mtimeNs, timeGrainNs)) what.push("time");
    const a = { source: this.#source, path: from, status };
    const b = { source: this.#target.there, path: to, status: there };
    if (attributes && (await differentAttributes(a, b)).length) what.push("attributes");
    return what;
  }

  async #note(
    inside: Buffer,
    change: Change["change"],
    status: SourceStatus,
    what: readonly string[],
  ): Promise<void> {
    await this.#changed({ path: inside.toString() || ".", change, type: typeOf(status), what });
  }
}

/** What cannot be given to a file that is there. */
const REWRITTEN: readonly string[] = ["type", "content", "target", "device"];
