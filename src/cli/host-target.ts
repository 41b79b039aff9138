// Files are copied into a directory of this machine.
//
// Invariants: those of host-files.ts. Whoever copies enters a directory that is there only if it is
// none but a directory, never through a symbolic link.

import fs from "node:fs";
import { sep } from "node:path";

import { typeOfMode } from "../fs/stat.ts";
import type { CopyReport } from "./copy-report.ts";
import { hostSource } from "./copy-source.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import type { CopyTarget, Kept } from "./copy-target.ts";
import {
  finishHost,
  finishHostLink,
  joinHost,
  keptMode,
  SET_ID,
  Temporary,
  writeAll,
} from "./host-files.ts";
import type { HostMetadata } from "./host-files.ts";
import type { Progress } from "./progress.ts";

const CHUNK_BYTES = 1 << 20;
/** Node takes times as numbers of seconds, which are no more exact today. */
const TIME_GRAIN_NS = 1000n;

/** Nothing after these can succeed: this machine is full, or the kernel reads nothing more. */
const FATAL = new Set([
  "ENOSPC",
  "EDQUOT",
  "EROFS",
  "ERR_KERNEL_PANIC",
  "ERR_KERNEL_STOPPED",
  "ERR_INTERRUPTED",
]);

export class HostTarget implements CopyTarget {
  readonly #source: CopySource;
  readonly #preserve: boolean;
  readonly #progress: Progress;
  readonly #temporary = new Temporary();
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  readonly there = hostSource;
  readonly #report: CopyReport;

  /** @param preserve keep owners, and set-user-ID and set-group-ID bits */
  constructor(source: CopySource, preserve: boolean, report: CopyReport, progress: Progress) {
    this.#report = report;
    this.#source = source;
    this.#preserve = preserve;
    this.#progress = progress;
  }

  /** Remove what is incomplete: at once, for the process may be ending. */
  abandon(): void {
    this.#temporary.abandon();
  }

  join(folder: Buffer, name: Buffer): Buffer {
    return joinHost(folder, name);
  }

  isFatal(error: unknown): boolean {
    return error instanceof Error && "code" in error && FATAL.has(String(error.code));
  }

  kept(status: SourceStatus): Kept {
    return {
      owner: this.#preserve ? { uid: Number(status.uid), gid: Number(status.gid) } : null,
      mode: keptMode(Number(status.mode & 0o7777n), this.#preserve),
      attributes: false,
      timeGrainNs: TIME_GRAIN_NS,
    };
  }

  async makeDirectory(to: Buffer): Promise<void> {
    fs.mkdirSync(to, { mode: 0o700 });
  }

  stores(status: SourceStatus): boolean {
    return ["file", "symlink", "directory"].includes(typeOfMode(Number(status.mode)));
  }

  async writeLeaf(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    if (typeOfMode(Number(status.mode)) === "file") {
      await this.#file(from, to, status);
      this.#report.files++;
    } else {
      const temporary = this.#temporary.in(folderOf(to));
      fs.symlinkSync(await this.#source.target(from), temporary);
      finishHostLink(temporary, metadataOf(status), this.#preserve);
      this.#temporary.complete(to);
      this.#report.symlinks++;
    }
  }

  async link(first: Buffer, to: Buffer): Promise<void> {
    fs.linkSync(first, this.#temporary.in(folderOf(to)));
    this.#temporary.complete(to);
    this.#report.hardLinks++;
  }

  async finish(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const type = typeOfMode(Number(status.mode));
    if (type === "symlink") finishHostLink(to, metadataOf(status), this.#preserve);
    else if (type === "file" || type === "directory") {
      this.#noteDropped(from, status);
      finishHost(to, metadataOf(status), this.#preserve);
    }
  }

  async remove(path: Buffer): Promise<void> {
    fs.rmSync(path, { recursive: true });
  }

  /** What reads as zeroes takes no room in the copy where the source has holes. */
  async #file(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const sparse = status.blocks * 512n < status.size;
    await using input = await this.#source.open(from);
    const fd = fs.openSync(this.#temporary.in(folderOf(to)), "wx", 0o600);
    try {
      let position = 0;
      for (;;) {
        const count = await input.read(this.#buffer, position);
        if (!count) break;
        const chunk = this.#buffer.subarray(0, count);
        if (!sparse || chunk.some((byte) => byte !== 0)) writeAll(fd, chunk, position);
        position += count;
        this.#report.bytes += count;
        this.#progress.add(count);
      }
      if (sparse) fs.ftruncateSync(fd, position);
      this.#noteDropped(from, status);
      finishHost(fd, metadataOf(status), this.#preserve);
    } catch (error) {
      fs.closeSync(fd);
      this.abandon();
      throw error;
    }
    fs.closeSync(fd);
    this.#temporary.complete(to);
    for (const [attribute] of await this.#source.attributes(from))
      this.#report.lost.push({ path: from.toString(), attribute });
  }

  #noteDropped(from: Buffer, { mode }: SourceStatus): void {
    const dropped = Number(mode) & SET_ID & ~keptMode(Number(mode), this.#preserve);
    if (dropped && typeOfMode(Number(mode)) === "file") this.#report.dropped.push(from.toString());
  }
}

const folderOf = (path: Buffer) => path.subarray(0, path.lastIndexOf(sep));

const metadataOf = (status: SourceStatus): HostMetadata => ({
  uid: Number(status.uid),
  gid: Number(status.gid),
  mode: Number(status.mode),
  accessedNs: status.atimeNs,
  modifiedNs: status.mtimeNs,
});
