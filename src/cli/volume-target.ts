// Files are copied into a volume.
//
// Invariants: a file is written under a name of ours and gets its own when it is complete: rename()
// replaces a link, it does not follow it.

import { AT_FDCWD } from "../abi/constants/fcntl.ts";
import { encodeDevice } from "../fs/special.ts";
import { typeOfMode } from "../fs/stat.ts";
import { removeXattr } from "../fs/xattr.ts";
import type { MountedVolume } from "../image/index.ts";
import { joinPath } from "./copy-in.ts";
import type { CopyReport } from "./copy-report.ts";
import { volumeSource } from "./copy-source.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import type { CopyTarget, Kept, Owner } from "./copy-target.ts";
import { applyMetadata, deviceParts } from "./metadata.ts";
import type { Progress } from "./progress.ts";

const CHUNK_BYTES = 1 << 20;
const SLASH = 0x2f;

/** File systems that keep neither owners nor modes, and how exact their times are. */
const PLAIN: Readonly<Record<string, bigint>> = { vfat: 2_000_000_000n, exfat: 10_000_000n };
const PERMISSIONS = 0o7777n;
/** What went through Node is no more exact. */
const TIME_GRAIN_NS = 1000n;

/** Nothing in a volume after these can succeed. */
const FATAL = new Set([
  "ENOSPC",
  "EDQUOT",
  "EROFS",
  "EIO",
  "ERR_KERNEL_PANIC",
  "ERR_KERNEL_STOPPED",
  "ERR_INTERRUPTED",
]);

export function isFatal(error: unknown): boolean {
  return error instanceof Error && "code" in error && FATAL.has(String(error.code));
}

export class VolumeTarget implements CopyTarget {
  readonly #source: CopySource;
  readonly #volume: MountedVolume;
  readonly #owner: Owner | null;
  readonly #progress: Progress;
  readonly #buffer = new Uint8Array(CHUNK_BYTES);
  #serial = 0;
  readonly there: CopySource;
  readonly #report: CopyReport;

  /** @param owner null: as in the source */
  constructor(
    source: CopySource,
    volume: MountedVolume,
    owner: Owner | null,
    report: CopyReport,
    progress: Progress,
  ) {
    this.#report = report;
    this.#source = source;
    this.#volume = volume;
    this.#owner = owner;
    this.#progress = progress;
    this.there = volumeSource(volume);
  }

  join(folder: Buffer, name: Buffer): Buffer {
    return joinPath(folder, name);
  }

  isFatal(error: unknown): boolean {
    return isFatal(error);
  }

  kept(status: SourceStatus): Kept {
    const grain = PLAIN[this.#volume.volume.type ?? ""];
    if (grain !== undefined)
      return { owner: null, mode: null, attributes: false, timeGrainNs: grain };
    return {
      owner: this.#ownerOf(status),
      mode: Number(status.mode & PERMISSIONS),
      attributes: this.#source.hasAttributes,
      timeGrainNs: TIME_GRAIN_NS,
    };
  }

  #ownerOf(status: SourceStatus): Owner {
    return this.#owner ?? { uid: Number(status.uid), gid: Number(status.gid) };
  }

  async makeDirectory(to: Buffer): Promise<void> {
    await this.#volume.fs.promises.mkdir(to, 0o700);
  }

  stores(): boolean {
    return true;
  }

  async writeLeaf(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    await this.#replace(to, async (temporary) => {
      await this.#make(from, temporary, status);
      await this.finish(from, temporary, status);
    });
  }

  async link(first: Buffer, to: Buffer): Promise<void> {
    await this.#replace(to, (temporary) => this.#volume.fs.promises.link(first, temporary));
    this.#report.hardLinks++;
  }

  async remove(path: Buffer): Promise<void> {
    await this.#volume.fs.promises.rm(path, { recursive: true });
  }

  async #replace(to: Buffer, make: (temporary: Buffer) => Promise<void>): Promise<void> {
    const { promises } = this.#volume.fs;
    const temporary = this.#temporaryBeside(to);
    try {
      await make(temporary);
      await promises.rename(temporary, to);
    } catch (error) {
      await promises.rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** In the same directory. */
  #temporaryBeside(to: Buffer): Buffer {
    const folder = to.subarray(0, to.lastIndexOf(SLASH) + 1);
    return Buffer.concat([folder, Buffer.from(`.liblinux-${process.pid}-${this.#serial++}`)]);
  }

  async #make(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const type = typeOfMode(Number(status.mode));
    if (type === "file") {
      await this.#content(from, to, status);
      this.#report.files++;
    } else if (type === "symlink") {
      await this.#volume.fs.promises.symlink(await this.#source.target(from), to);
      this.#report.symlinks++;
    } else {
      const device = encodeDevice(deviceParts(status.rdev));
      await this.#volume.process.mknodat(AT_FDCWD, to, Number(status.mode), device);
      this.#report.specials++;
    }
  }

  /** What reads as zeroes takes no room in the copy where the source has holes. */
  async #content(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const sparse = status.blocks * 512n < status.size;
    await using input = await this.#source.open(from);
    await using output = await this.#volume.fs.promises.open(to, "wx", 0o600);
    let position = 0;
    for (;;) {
      const count = await input.read(this.#buffer, position);
      if (!count) break;
      const chunk = this.#buffer.subarray(0, count);
      if (!sparse || chunk.some((byte) => byte !== 0))
        for (let done = 0; done < count;)
          done += (await output.write(chunk, done, count - done, position + done)).bytesWritten;
      position += count;
      this.#report.bytes += count;
      this.#progress.add(count);
    }
    if (sparse) await output.truncate(position);
  }

  async finish(from: Buffer, to: Buffer, status: SourceStatus): Promise<void> {
    const attributes = await this.#source.attributes(from);
    const lost = await applyMetadata(this.#volume, to, {
      ...this.#ownerOf(status),
      mode: Number(status.mode),
      accessedNs: status.atimeNs,
      modifiedNs: status.mtimeNs,
      attributes,
    });
    for (const attribute of lost) this.#report.lost.push({ path: from.toString(), attribute });
    if (!this.#source.hasAttributes) return;
    const kept = new Set(attributes.map(([name]) => name));
    for (const [name] of await this.there.attributes(to))
      if (!kept.has(name)) await this.#removeAttribute(to, name);
  }

  /** What the copy had before and the source has not; what the system itself keeps stays. */
  async #removeAttribute(to: Buffer, name: string): Promise<void> {
    await removeXattr(this.#volume.process, to, name, { follow: false }).catch(() => {});
  }
}
