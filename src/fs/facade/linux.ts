// What Linux does with files and `node:fs` has no function for: the operations of src/fs, with names and
// errors as the rest of an fs object has them.

import { SystemError } from "../../syscall/errors.ts";
import { getAcl, setAcl } from "../acl.ts";
import type { AclEntry, AclKind } from "../acl.ts";
import { changeAttributes, changeFsxattr, getAttributes, getFsxattr } from "../attributes.ts";
import type { AttributeName, FsxattrChanges, FsxattrStatus } from "../attributes.ts";
import { bindMount, unbind } from "../bind.ts";
import type { BindOptions } from "../bind.ts";
import { dataRanges, fileExtents, nextData, nextHole } from "../extents.ts";
import type { Extent, ExtentOptions } from "../extents.ts";
import { fallocate } from "../fallocate.ts";
import type { FallocateMode, FallocateOptions } from "../fallocate.ts";
import type { ByteRange } from "../range.ts";
import { dedupe, reflink, reflinkRange } from "../reflink.ts";
import type { Deduped } from "../reflink.ts";
import { makeSpecial } from "../special.ts";
import type { SpecialOptions, SpecialType } from "../special.ts";
import { syncFilesystem } from "../sync.ts";
import type { Target } from "../target.ts";
import { getXattr, listRawXattrs, listXattrs, removeXattr, setXattr } from "../xattr.ts";
import type { SetXattrOptions, XattrOptions } from "../xattr.ts";
import { toMode, toName } from "./arguments.ts";
import type { Mode, PathLike } from "./arguments.ts";
import { decode, encode } from "./encoding.ts";
import { FsError } from "./errors.ts";
import type { Files } from "./files.ts";
import { asBytes } from "./runtime.ts";
import type { Bytes } from "./runtime.ts";

/** A file by its name, by its descriptor, or open. */
export type FileTarget = PathLike | number | { readonly fd: number };

export interface MknodOptions extends Omit<SpecialOptions, "mode"> {
  /** Permissions, less the umask. Default 0o666. */
  readonly mode?: Mode;
}

/**
 * More that an fs object can do: `fs.linux`. A file is given by its name, its descriptor or its handle.
 * Errors of the kernel are as those of `fs.promises`, but tell of its own calls: `ENOTSUP: … , fgetxattr`.
 */
export class LinuxFiles {
  readonly #files: Files;

  /** @internal */
  constructor(files: Files) {
    this.#files = files;
  }

  get #process() {
    return this.#files.process;
  }

  /** Do something with a file, and tell of it in errors. */
  async #on<T>(target: FileTarget, work: (target: Target) => Promise<T>): Promise<T> {
    const known = toTarget(target);
    try {
      return await work(known);
    } catch (error) {
      throw toldOf(error, known);
    }
  }

  /** The same with two. */
  async #between<T>(
    source: FileTarget,
    target: FileTarget,
    work: (source: Target, target: Target) => Promise<T>,
  ): Promise<T> {
    const [from, to] = [toTarget(source, "source"), toTarget(target)];
    try {
      return await work(from, to);
    } catch (error) {
      throw toldOf(error, from, to);
    }
  }

  // --- Extended attributes -----------------------------------------------------------------

  /** The value of an extended attribute, e.g. `user.comment`. @throws ENODATA if there is none */
  getXattr(target: FileTarget, name: string | Uint8Array, options?: XattrOptions): Promise<Bytes> {
    return this.#on(target, async (file) =>
      asBytes(await getXattr(this.#process, file, name, options)),
    );
  }

  /** @throws ENOTSUP where the file system has none, ENOSPC, EEXIST and ENODATA as `mode` asks */
  setXattr(
    target: FileTarget,
    name: string | Uint8Array,
    value: Uint8Array | string,
    options?: SetXattrOptions,
  ): Promise<void> {
    const bytes = typeof value === "string" ? encode(value) : value;
    return this.#on(target, (file) => setXattr(this.#process, file, name, bytes, options));
  }

  /** The names of all; as bytes those that are no UTF-8, too. */
  listXattrs(target: FileTarget, options?: XattrOptions & { encoding?: "utf8" }): Promise<string[]>;
  listXattrs(target: FileTarget, options: XattrOptions & { encoding: "buffer" }): Promise<Bytes[]>;
  listXattrs(
    target: FileTarget,
    options: XattrOptions & { encoding?: "utf8" | "buffer" } = {},
  ): Promise<string[] | Bytes[]> {
    return this.#on<string[] | Bytes[]>(target, async (file) =>
      options.encoding === "buffer"
        ? (await listRawXattrs(this.#process, file, options)).map(asBytes)
        : listXattrs(this.#process, file, options),
    );
  }

  /** @throws ENODATA if there is none of that name */
  removeXattr(
    target: FileTarget,
    name: string | Uint8Array,
    options?: XattrOptions,
  ): Promise<void> {
    return this.#on(target, (file) => removeXattr(this.#process, file, name, options));
  }

  // --- Access control lists ----------------------------------------------------------------

  /** The access control list of a file, or the one that new files of a directory get; null if none. */
  getAcl(target: FileTarget, kind?: AclKind): Promise<AclEntry[] | null> {
    return this.#on(target, (file) => getAcl(this.#process, file, kind));
  }

  /** Set one, or take it away with null. @throws {AclError} if it is no list, with what it lacks */
  setAcl(target: FileTarget, entries: readonly AclEntry[] | null, kind?: AclKind): Promise<void> {
    return this.#on(target, (file) => setAcl(this.#process, file, entries, kind));
  }

  // --- Attributes --------------------------------------------------------------------------

  /** What chattr(1) sets. @throws ENOTTY where there are none */
  getAttributes(target: FileTarget): Promise<ReadonlySet<AttributeName>> {
    return this.#on(target, (file) => getAttributes(this.#process, file));
  }

  /** Change some, e.g. `{ immutable: true }`. @throws ENOTSUP, EPERM, {AttributesIgnoredError} */
  changeAttributes(
    target: FileTarget,
    changes: Readonly<Partial<Record<AttributeName, boolean>>>,
  ): Promise<void> {
    return this.#on(target, (file) => changeAttributes(this.#process, file, changes));
  }

  /** The project that a file counts to, how its space is taken, and more. */
  getFsxattr(target: FileTarget): Promise<FsxattrStatus> {
    return this.#on(target, (file) => getFsxattr(this.#process, file));
  }

  changeFsxattr(target: FileTarget, changes: FsxattrChanges): Promise<void> {
    return this.#on(target, (file) => changeFsxattr(this.#process, file, changes));
  }

  // --- Space -------------------------------------------------------------------------------

  /** Copy a file by sharing its blocks. @throws ENOTSUP where the file system cannot, EXDEV */
  reflink(source: FileTarget, target: FileTarget): Promise<void> {
    return this.#between(source, target, (from, to) => reflink(this.#process, from, to));
  }

  /** Share a range of a file with another: in whole blocks. A length of 0 means up to its end. */
  reflinkRange(
    source: FileTarget,
    range: ByteRange,
    target: FileTarget,
    targetOffsetBytes: number,
  ): Promise<void> {
    return this.#between(source, target, (from, to) =>
      reflinkRange(this.#process, from, range, to, targetOffsetBytes),
    );
  }

  /** Share a range where both files have the same, which the kernel compares. */
  dedupe(
    source: FileTarget,
    range: ByteRange,
    target: FileTarget,
    targetOffsetBytes: number,
  ): Promise<Deduped> {
    return this.#between(source, target, (from, to) =>
      dedupe(this.#process, from, range, to, targetOffsetBytes),
    );
  }

  /** Where a file is on its disk (FIEMAP). @throws ENOTSUP where the file system does not tell */
  fileExtents(target: FileTarget, options?: ExtentOptions): Promise<Extent[]> {
    return this.#on(target, (file) => fileExtents(this.#process, file, options));
  }

  /** The parts of a file that hold data; what is between them are holes. */
  dataRanges(target: FileTarget, range?: Partial<ByteRange>): Promise<ByteRange[]> {
    return this.#on(target, (file) => dataRanges(this.#process, file, range));
  }

  /** Where data is next, from an offset on; null if there is none. */
  nextData(target: FileTarget, offsetBytes?: number): Promise<number | null> {
    return this.#on(target, (file) => nextData(this.#process, file, offsetBytes));
  }

  /** Where a hole is next, from an offset on: at the latest where the file ends; null beyond that. */
  nextHole(target: FileTarget, offsetBytes?: number): Promise<number | null> {
    return this.#on(target, (file) => nextHole(this.#process, file, offsetBytes));
  }

  /** Allocate, free, or shift a range (fallocate(2)). @throws ENOTSUP where it cannot be done */
  fallocate(
    target: FileTarget,
    mode: FallocateMode,
    range: ByteRange,
    options?: FallocateOptions,
  ): Promise<void> {
    return this.#on(target, (file) => fallocate(this.#process, file, mode, range, options));
  }

  /** Write all of the file system that a file is on to its disk. */
  syncFilesystem(target: FileTarget): Promise<void> {
    return this.#on(target, (file) => syncFilesystem(this.#process, file));
  }

  // --- Names -------------------------------------------------------------------------------

  /** Make a device, a named pipe or a socket's name. @throws EPERM without the right to */
  async mknod(path: PathLike, type: SpecialType, options: MknodOptions = {}): Promise<void> {
    const name = toName(path);
    const mode = toMode(options.mode, "mode", 0o666);
    await this.#on(name, () => makeSpecial(this.#process, name, type, { ...options, mode }));
  }

  /** Make a named pipe. */
  mkfifo(path: PathLike, mode?: Mode): Promise<void> {
    return this.mknod(path, "fifo", mode === undefined ? {} : { mode });
  }

  /** Show a directory, or a file, at another place as well, with other owners if so wished. */
  async bindMount(source: PathLike, target: PathLike, options?: BindOptions): Promise<void> {
    const [from, to] = [toName(source, "source"), toName(target, "target")];
    await this.#between(from, to, () => bindMount(this.#process, from, to, options));
  }

  /** Take a mount away. @throws EBUSY while it is in use, EINVAL if there is none */
  async unbind(target: PathLike): Promise<void> {
    const name = toName(target, "target");
    await this.#on(name, () => unbind(this.#process, name));
  }
}

const isOpen = (target: FileTarget): target is { readonly fd: number } =>
  typeof target === "object" &&
  target !== null &&
  !(target instanceof Uint8Array) &&
  !(target instanceof URL);

function toTarget(target: FileTarget, argument = "target"): Target {
  // A handle that is closed has −1, which the kernel refuses.
  const known = isOpen(target) ? target.fd : target;
  return typeof known === "number" ? known : toName(known, argument);
}

const shown = (target: Target | undefined): string | undefined =>
  target instanceof Uint8Array ? decode(target) : typeof target === "string" ? target : undefined;

/** An error of the kernel's, with the names that were given. */
function toldOf(error: unknown, first: Target, second?: Target): unknown {
  if (!(error instanceof SystemError)) return error;
  // Of two files, it is one that cannot be opened.
  if (error.syscall === "openat")
    return new FsError(error.errno, "open", error.path ?? shown(first));
  return new FsError(error.errno, error.syscall, shown(first), shown(second));
}
