// The members of a tar archive, made as files of a volume.
//
// Invariants: the process that writes has the target directory as its root, so no name, link or `..`
// of an archive leads out of it: the kernel sees to that. A file gets its name when it is complete.
// Directories get their times at the end, for what is put into them changes these.

import { AT_FDCWD } from "../abi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from "../abi/constants/stat.ts";
import { encodeDevice } from "../fs/special.ts";
import { CopyReport } from "./copy-report.ts";
import type { Owner } from "./copy-target.ts";
import { withoutCall } from "./errors.ts";
import { applyMetadata } from "./metadata.ts";
import type { Files, Metadata } from "./metadata.ts";
import { TarError } from "./tar/entry.ts";
import type { TarEntry, TarType } from "./tar/entry.ts";
import { MemberName } from "./tar/member-name.ts";
import { TarReader } from "./tar/reader.ts";
import type { Piece } from "./tar/reader.ts";
import { isFatal } from "./volume-target.ts";

const MODES: Readonly<Record<Exclude<TarType, "hard link">, number>> = {
  file: S_IFREG,
  symlink: S_IFLNK,
  "character device": S_IFCHR,
  "block device": S_IFBLK,
  directory: S_IFDIR,
  fifo: S_IFIFO,
};

export interface ExtractOptions {
  readonly owner: Owner | null;
  readonly strip: number;
}

export class Extractor {
  readonly #jail: Files;
  readonly #options: ExtractOptions;
  readonly #tell: (name: string, problem: string) => void;
  /** Directories of the archive, with what they get at the end. */
  readonly #directories = new Map<string, { path: Buffer; metadata: Metadata }>();
  #serial = 0;
  readonly report = new CopyReport();

  constructor(jail: Files, options: ExtractOptions, tell: (name: string, problem: string) => void) {
    this.#jail = jail;
    this.#options = options;
    this.#tell = tell;
  }

  async all(archive: AsyncIterable<Uint8Array>): Promise<void> {
    const reader = new TarReader(archive, (name, letter) =>
      this.#failed(name, new Error(`has a type that is not known, ${JSON.stringify(letter)}`)),
    );
    try {
      for await (const { entry, content } of reader.members()) await this.#member(entry, content);
    } finally {
      // Also of what came before the archive turned out to be damaged.
      for (const { path, metadata } of [...this.#directories.values()].toReversed())
        await this.#attempt(path, () => this.#finish(path, metadata));
    }
    const { lost } = this.report;
    if (lost.length) this.#tell(lost[0].path, `${lost.length} extended attributes cannot be kept`);
  }

  async #member(entry: TarEntry, content: AsyncIterable<Piece>): Promise<void> {
    await this.#attempt(entry.name, async () => {
      const name = MemberName.of(entry.name, this.#options.strip);
      if (!name) return;
      if (entry.type === "directory") await this.#directory(name, metadataOf(entry, this.#options));
      else if (name.isTop) throw new Error("only a directory can be called so");
      else await this.#leaf(name, entry, content);
    });
  }

  /** What fails of one file is told, and the next one is tried. */
  async #attempt(name: Uint8Array, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (isFatal(error) || error instanceof TarError) throw error;
      this.#failed(name, error);
    }
  }

  #failed(rawName: Uint8Array, error: unknown): void {
    const path = new TextDecoder().decode(rawName);
    const problem = withoutCall(error);
    this.report.failed.push({ path, problem });
    this.#tell(path, problem);
  }

  async #directory(name: MemberName, metadata: Metadata): Promise<void> {
    const { promises } = this.#jail.fs;
    if (!name.isTop) {
      await this.#inParent(name, async () => {
        try {
          await promises.mkdir(name.path, 0o700);
        } catch (error) {
          // A link to a directory stays: in many systems /bin is one.
          const there = await promises.stat(name.path).catch(() => null);
          if (!there?.isDirectory()) throw error;
        }
      });
      this.report.directories++;
    }
    const path = await promises.realpath(name.path, { encoding: "buffer" });
    this.#directories.set(Buffer.from(path).toString("latin1"), {
      path: Buffer.from(path),
      metadata,
    });
  }

  async #leaf(name: MemberName, entry: TarEntry, content: AsyncIterable<Piece>): Promise<void> {
    const { promises } = this.#jail.fs;
    const temporary = name.beside(`.liblinux-${process.pid}-${this.#serial++}`);
    try {
      await this.#inParent(name, () => this.#make(temporary, entry));
      if (entry.type !== "hard link") {
        if (entry.type === "file") await this.#content(temporary, entry, content);
        await this.#finish(temporary, metadataOf(entry, this.#options), name.path);
      }
      await promises.rename(temporary, name.path);
      // Where both are names of the same file, rename() does nothing.
      if (entry.type === "hard link") await promises.rm(temporary, { force: true });
    } catch (error) {
      await promises.rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
  }

  async #make(path: Buffer, entry: TarEntry): Promise<void> {
    const { fs, process: jailed } = this.#jail;
    if (entry.type === "file") {
      await (await fs.promises.open(path, "wx", 0o600)).close();
      this.report.files++;
    } else if (entry.type === "symlink") {
      await fs.promises.symlink(Buffer.from(entry.linkName), path);
      this.report.symlinks++;
    } else if (entry.type === "hard link") {
      const target = MemberName.of(entry.linkName, this.#options.strip);
      if (!target) throw new Error("links to what was stripped");
      await fs.promises.link(target.path, path);
      this.report.hardLinks++;
    } else {
      const mode = MODES[entry.type as keyof typeof MODES];
      await jailed.mknodat(AT_FDCWD, path, mode | 0o600, encodeDevice(entry.device));
      this.report.specials++;
    }
  }

  /** Directories that an archive does not have are made. */
  async #inParent(name: MemberName, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
      await this.#jail.fs.promises.mkdir(name.parent, { recursive: true, mode: 0o755 });
      await work();
    }
  }

  async #content(path: Buffer, entry: TarEntry, content: AsyncIterable<Piece>): Promise<void> {
    await using file = await this.#jail.fs.promises.open(path, "r+");
    let end = 0;
    for await (const { offsetBytes, bytes } of content) {
      for (let done = 0; done < bytes.length;)
        done += (await file.write(bytes, done, bytes.length - done, offsetBytes + done))
          .bytesWritten;
      end = offsetBytes + bytes.length;
      this.report.bytes += bytes.length;
    }
    if (end < entry.sizeBytes) await file.truncate(entry.sizeBytes);
  }

  async #finish(path: Buffer, metadata: Metadata, told = path): Promise<void> {
    const lost = await applyMetadata(this.#jail, path, metadata);
    for (const attribute of lost) this.report.lost.push({ path: told.toString(), attribute });
  }
}

function metadataOf(entry: TarEntry, { owner }: ExtractOptions): Metadata {
  const type = entry.type === "hard link" ? "file" : entry.type;
  return {
    uid: owner?.uid ?? entry.uid,
    gid: owner?.gid ?? entry.gid,
    mode: MODES[type] | entry.mode,
    accessedNs: entry.modifiedNs,
    modifiedNs: entry.modifiedNs,
    attributes: entry.attributes,
  };
}
