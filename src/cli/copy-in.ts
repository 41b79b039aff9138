// Files of this machine, or of another volume, into a volume.
//
// Invariants: a file is written under a name of ours and gets its own when it is complete: rename()
// replaces a link, it does not follow it. Directories get their times when all is in them.

import { AT_FDCWD } from "../abi/constants/fcntl.ts";
import { typeOfMode } from "../fs/stat.ts";
import type { MountedVolume } from "../image/index.ts";
import { CopyReport } from "./copy-report.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import { withoutCall } from "./errors.ts";
import { applyMetadata, deviceNumber, deviceParts } from "./metadata.ts";
import type { Progress } from "./progress.ts";

const CHUNK_BYTES = 1 << 20;
/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;
/** Nothing in the volume after these can succeed. */
const FATAL = new Set([
  "ENOSPC",
  "EDQUOT",
  "EROFS",
  "EIO",
  "ERR_KERNEL_PANIC",
  "ERR_KERNEL_STOPPED",
]);

export function isFatal(error: unknown): boolean {
  return error instanceof Error && "code" in error && FATAL.has(String(error.code));
}

export interface CopyInOptions {
  /** Whose everything becomes; default: as in the source. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
}

const slash = Buffer.from("/");
export const joinPath = (folder: Buffer, name: Buffer): Buffer =>
  Buffer.concat(folder.at(-1) === slash[0] ? [folder, name] : [folder, slash, name]);

export class VolumeCopier {
  readonly #source: CopySource;
  readonly #target: MountedVolume;
  readonly #options: CopyInOptions;
  readonly #progress: Progress;
  readonly #tell: (path: string, problem: string) => void;
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  /** The first copy of a file that has several names. */
  readonly #linked = new Map<string, Buffer>();
  #serial = 0;
  readonly report = new CopyReport();

  constructor(
    source: CopySource,
    target: MountedVolume,
    options: CopyInOptions,
    progress: Progress,
    tell: (path: string, problem: string) => void,
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#progress = progress;
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
      if (depth === 0 || isFatal(error)) throw error;
      const path = from.toString();
      const problem = withoutCall(error);
      this.report.failed.push({ path, problem });
      this.#progress.clear();
      this.#tell(path, problem);
    }
  }

  async #directory(from: Buffer, to: Buffer, status: SourceStatus, depth: number): Promise<void> {
    if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
    const { promises } = this.#target.fs;
    try {
      await promises.mkdir(to, 0o700);
    } catch (error) {
      const there = await promises.lstat(to).catch(() => null);
      if (!there?.isDirectory()) throw error;
    }
    const names = await this.#source.names(from);
    for (const name of names.toSorted((a, b) => Buffer.compare(a, b)))
      await this.#copy(joinPath(from, name), joinPath(to, name), depth + 1);
    await this.#finish(from, to, status);
    this.report.directories++;
  }

  async #leaf(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const { promises } = this.#target.fs;
    const key = `${status.dev}:${status.ino}`;
    const temporary = this.#temporaryBeside(to);
    const first = status.nlink > 1n ? this.#linked.get(key) : undefined;
    try {
      if (first) {
        await promises.link(first, temporary);
        this.report.hardLinks++;
      } else {
        await this.#make(from, temporary, status);
        await this.#finish(from, temporary, status);
        if (status.nlink > 1n) this.#linked.set(key, to);
      }
      await promises.rename(temporary, to);
    } catch (error) {
      await promises.rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** In the same directory. */
  #temporaryBeside(to: Buffer): Buffer {
    const folder = to.subarray(0, to.lastIndexOf(slash) + 1);
    return Buffer.concat([folder, Buffer.from(`.liblinux-${process.pid}-${this.#serial++}`)]);
  }

  async #make(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const type = typeOfMode(Number(status.mode));
    if (type === "file") {
      await this.#content(from, to, status);
      this.report.files++;
    } else if (type === "symlink") {
      await this.#target.fs.promises.symlink(await this.#source.target(from), to);
      this.report.symlinks++;
    } else {
      await this.#target.process.mknodat(
        AT_FDCWD,
        to,
        Number(status.mode),
        deviceNumber(deviceParts(status.rdev)),
      );
      this.report.specials++;
    }
  }

  /** What reads as zeroes takes no room in the copy where the source has holes. */
  async #content(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const sparse = status.blocks * 512n < status.size;
    await using input = await this.#source.open(from);
    await using output = await this.#target.fs.promises.open(to, "wx", 0o600);
    let position = 0;
    for (;;) {
      const count = await input.read(this.#buffer, position);
      if (!count) break;
      const chunk = this.#buffer.subarray(0, count);
      if (!sparse || chunk.some((byte) => byte !== 0))
        for (let done = 0; done < count;)
          done += (await output.write(chunk, done, count - done, position + done)).bytesWritten;
      position += count;
      this.report.bytes += count;
      this.#progress.add(count);
    }
    if (sparse) await output.truncate(position);
  }

  /** Owner, permissions, attributes and times, in the order in which none undoes another. */
  async #finish(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const { uid, gid } = this.#options.owner ?? {
      uid: Number(status.uid),
      gid: Number(status.gid),
    };
    const lost = await applyMetadata(this.#target, to, {
      uid,
      gid,
      mode: Number(status.mode),
      accessedNs: status.atimeNs,
      modifiedNs: status.mtimeNs,
      attributes: await this.#source.attributes(from),
    });
    for (const attribute of lost) this.report.lost.push({ path: from.toString(), attribute });
  }
}
