// liblinux untar: a tar archive into a directory of an image.
//
// Invariants: the process that writes has the target directory as its root, so no name, link or `..`
// of an archive leads out of it: the kernel sees to that. A file gets its name when it is complete.
// Directories get their times at the end, for what is put into them changes these.

import { AT_FDCWD } from "../abi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from "../abi/constants/stat.ts";
import { createFs } from "../fs/facade/index.ts";
import type { MountedVolume } from "../image/index.ts";
import type { Kernel } from "../kernel.ts";
import { formatAddress } from "./address.ts";
import { CopyReport } from "./copy-report.ts";
import type { Owner } from "./copy-target.ts";
import { parseOwner } from "./cp-in.ts";
import { at, PlaceError, UsageError, withoutCall } from "./errors.ts";
import { applyMetadata, deviceNumber } from "./metadata.ts";
import type { Files, Metadata } from "./metadata.ts";
import { kernelChoice, KERNEL_OPTIONS, parse, PROGRESS_OPTIONS, showsProgress } from "./options.ts";
import { printable, writeJson } from "./output.ts";
import { atPlace, images, parsePlace } from "./places.ts";
import type { Place, Scope } from "./places.ts";
import { Progress } from "./progress.ts";
import { archiveBytes, archiveFrom } from "./tar/archive-in.ts";
import { TarError } from "./tar/entry.ts";
import type { TarEntry, TarType } from "./tar/entry.ts";
import { TarReader } from "./tar/reader.ts";
import type { Piece } from "./tar/reader.ts";
import { isFatal } from "./volume-target.ts";

const SLASH = 0x2f;
const MODES: Readonly<Record<Exclude<TarType, "hard link">, number>> = {
  file: S_IFREG,
  symlink: S_IFLNK,
  "character device": S_IFCHR,
  "block device": S_IFBLK,
  directory: S_IFDIR,
  fifo: S_IFIFO,
};

export async function untar(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("untar", args, {
    ...KERNEL_OPTIONS,
    owner: { type: "string" },
    strip: { type: "string", default: "0" },
    ...PROGRESS_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const [file, text, ...more] = positionals;
  if (file === undefined)
    throw new UsageError("untar", "which archive? it is a file, or - for standard input");
  if (text === undefined)
    throw new UsageError("untar", "into which directory? it is IMAGE[:VOLUME]:/PATH");
  if (more.length) throw new UsageError("untar", "one archive and one directory at a time");
  if (!/^\d{1,4}$/.test(values.strip))
    throw new UsageError("untar", `--strip ${values.strip}: it is a number of directories`);
  const options = { owner: parseOwner("untar", values.owner), strip: Number(values.strip) };
  const place = parsePlace(scope, "untar", text);
  const access = { ...kernelChoice("untar", values), write: true };
  return scope.withVolume(place, access, async (volume, { kernel }) => {
    using progress = new Progress(showsProgress(values));
    const tell = (name: string, problem: string) => {
      progress.clear();
      process.stderr.write(`liblinux: untar ${printable(name)}: ${problem}\n`);
    };
    await using jail = await jailAt(kernel, volume, place);
    const extractor = new Extractor(jail, options, tell);
    try {
      progress.totalBytes = archiveBytes(file);
      await extractor.all(archiveFrom(file, progress));
      await volume.sync();
    } catch (error) {
      throw error instanceof TarError
        ? new PlaceError(file === "-" ? "standard input" : file, error.message, error)
        : at(formatAddress(place, place.path), error);
    }
    if (values.json) await writeJson(extractor.report.summary());
    return extractor.report.failed.length ? 1 : 0;
  });
}

/** A process whose root is a directory of the volume. */
async function jailAt(
  kernel: Kernel,
  { fs: files, mount }: MountedVolume,
  place: Place,
): Promise<Files & AsyncDisposable> {
  const real = await atPlace(place, async () => {
    await files.promises.mkdir(place.path, { recursive: true });
    return files.promises.realpath(place.path);
  });
  const jailed = await kernel.process({ root: `${mount.target}${real}`, umask: 0 });
  const fs = createFs(jailed, { ownsProcess: true });
  return { fs, process: jailed, [Symbol.asyncDispose]: () => fs[Symbol.asyncDispose]() };
}

/** What a name is in the target directory. */
class Name {
  /** Absolute, in the jail. */
  readonly path: Buffer;

  /** @returns null if nothing is left when so many directories are stripped */
  static of(raw: Uint8Array, strip: number): Name | null {
    const parts: Buffer[] = [];
    for (let at = 0; at <= raw.length;) {
      const end = raw.indexOf(SLASH, at);
      const part = Buffer.from(raw.subarray(at, end < 0 ? raw.length : end));
      at = end < 0 ? raw.length + 1 : end + 1;
      if (part.equals(Buffer.from(".."))) throw new Error('a name with "..": left out');
      if (part.length && !part.equals(Buffer.from("."))) parts.push(part);
    }
    if (strip && parts.length <= strip) return null;
    return new Name(parts.slice(strip));
  }

  private constructor(parts: readonly Buffer[]) {
    const slash = Buffer.from("/");
    this.path = parts.length ? Buffer.concat(parts.flatMap((part) => [slash, part])) : slash;
  }

  get isTop(): boolean {
    return this.path.length === 1;
  }

  get parent(): Buffer {
    return this.path.subarray(0, Math.max(1, this.path.lastIndexOf(SLASH)));
  }

  /** A name beside it. */
  beside(name: string): Buffer {
    return Buffer.concat([
      this.path.subarray(0, this.path.lastIndexOf(SLASH) + 1),
      Buffer.from(name),
    ]);
  }
}

interface Options {
  readonly owner: Owner | null;
  readonly strip: number;
}

class Extractor {
  readonly #jail: Files;
  readonly #options: Options;
  readonly #tell: (name: string, problem: string) => void;
  /** Directories of the archive, with what they get at the end. */
  readonly #directories = new Map<string, { path: Buffer; metadata: Metadata }>();
  #serial = 0;
  readonly report = new CopyReport();

  constructor(jail: Files, options: Options, tell: (name: string, problem: string) => void) {
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
      const name = Name.of(entry.name, this.#options.strip);
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

  async #directory(name: Name, metadata: Metadata): Promise<void> {
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

  async #leaf(name: Name, entry: TarEntry, content: AsyncIterable<Piece>): Promise<void> {
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
      const target = Name.of(entry.linkName, this.#options.strip);
      if (!target) throw new Error("links to what was stripped");
      await fs.promises.link(target.path, path);
      this.report.hardLinks++;
    } else {
      const mode = MODES[entry.type as keyof typeof MODES];
      await jailed.mknodat(AT_FDCWD, path, mode | 0o600, deviceNumber(entry.device));
      this.report.specials++;
    }
  }

  /** Directories that an archive does not have are made. */
  async #inParent(name: Name, work: () => Promise<void>): Promise<void> {
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

function metadataOf(entry: TarEntry, { owner }: Options): Metadata {
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
