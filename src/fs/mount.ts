// Mounting a block device's file system.

import { AT_FDCWD, AT_REMOVEDIR } from "../abi/constants/fcntl.ts";
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from "../abi/constants/mount.ts";
import { errno } from "../abi/errno.ts";
import { InvalidOptionError, KernelPanicError, KernelStoppedError } from "../machine/errors.ts";
import type { KernelLog, LogRecord } from "../machine/log.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { ensureDirectory, readText, withReader } from "./files.ts";
import { formatMountOptions } from "./mount-options.ts";
import type { FilesystemOptions } from "./mount-options.ts";
import { unmount } from "./mounts.ts";
import { describeStart, probeDevice } from "./probe.ts";
import type { Content } from "./probes/content.ts";
import { usage } from "./stat.ts";
import type { Usage } from "./stat.ts";

/** What mounting needs of a kernel. A Kernel is one. */
export interface MountHost {
  /** A process with all rights. */
  readonly init: Process;
  readonly log: KernelLog;
}

export interface MountOptions {
  /** The block device, e.g. `/dev/vda1`. */
  source: string;
  /** What errors say that the source is, e.g. `volume 1 of disk.img`. Default: nothing. */
  sourceName?: string;
  /** A directory; default: a new one below /mnt. */
  target?: string;
  /** As in /proc/filesystems; default: what the superblock says. */
  type?: string;
  /** Default: only if the device, or what it has, cannot be written, as mount(8) does. */
  readOnly?: boolean;
  /** The file system's own options: as mount(8) takes them after -o, or by name. */
  options?: string | FilesystemOptions;
  /** Obey device nodes, set-user-ID bits and programs of the file system. Default false. */
  trusted?: boolean;
  /**
   * Read-only: leave a journal that cannot be replayed, since the device is read-only, as it is.
   * What the last moments before a crash changed is then missing, or half there. Default false.
   */
  skipJournal?: boolean;
}

const withName = (problem: string, name: string | undefined) =>
  name === undefined ? problem : `${problem}; this is ${name}`;

/** What was found cannot be mounted. */
export class NotMountableError extends Error {
  override readonly name = "NotMountableError";
  readonly code = "ERR_NOT_MOUNTABLE";
  readonly source: string;
  /** What the device has, if it was recognised. */
  readonly content: Content | null;
  /** The message without what the source is. */
  readonly problem: string;

  constructor(
    { source, sourceName }: Pick<MountOptions, "source" | "sourceName">,
    content: Content | null,
    problem: string,
  ) {
    super(withName(problem, sourceName));
    this.source = source;
    this.content = content;
    this.problem = problem;
  }
}

/** The kernel refused to mount. */
export class MountError extends Error {
  override readonly name = "MountError";
  /** E.g. `EUCLEAN`. */
  readonly code: string;
  readonly errno: number;
  readonly source: string;
  readonly type: string;
  /** What the kernel's log says of it. */
  readonly kernelSays: readonly string[];
  /** The message without what the source is. */
  readonly problem: string;

  constructor(
    cause: SystemError,
    { source, sourceName }: Pick<MountOptions, "source" | "sourceName">,
    type: string,
    kernelSays: readonly string[],
    cure?: string,
  ) {
    const what = cause.message.replace(/, mount\b.*/, "");
    const says = kernelSays.length ? `; the kernel says: ${kernelSays.join("; ")}` : "";
    const problem = `${what}, mounting ${source} as ${type}${says}${cure ? `; ${cure}` : ""}`;
    super(withName(problem, sourceName), { cause });
    this.code = cause.code;
    this.errno = cause.errno;
    this.source = source;
    this.type = type;
    this.kernelSays = kernelSays;
    this.problem = problem;
  }
}

/** Names in UTF-8, where the default could be something else. */
const NAMES: Readonly<Record<string, string>> = {
  vfat: "utf8=1",
  iso9660: "iocharset=utf8",
  ntfs3: "iocharset=utf8",
};

/** How to leave the journal alone. */
const SKIP_JOURNAL: Readonly<Record<string, string>> = {
  ext3: "noload",
  ext4: "noload",
  xfs: "norecovery",
  btrfs: "rescue=nologreplay",
  f2fs: "norecovery",
};

/** File systems on block devices that this kernel can mount. */
export async function knownTypes(process: Process): Promise<string[]> {
  const lines = (await readText(process, "/proc/filesystems")).split("\n");
  return lines.filter((line) => line.startsWith("\t")).map((line) => line.slice(1));
}

/**
 * Mount a block device.
 *
 * @throws {NotMountableError} if there is no file system that the kernel knows
 * @throws {MountError} if the kernel refused it, e.g. because it is damaged
 * @throws {InvalidOptionError} if `options` name what the file system does not have
 */
export async function mount(host: MountHost, options: MountOptions): Promise<Mount> {
  const { source } = options;
  const content = await probeDevice(host.init, source);
  const { type: named, text } = ownOptions(options);
  const type = named ?? (await typeToMount(host.init, options, content));
  const target = options.target ?? (await makeTarget(host.init, source));
  try {
    const journalSkipped = await attemptEither(host, { ...options, options: text, target, type });
    return new Mount(host.init, { source, target, type, content, journalSkipped }, !options.target);
  } catch (error) {
    if (!options.target) await removeDirectory(host.init, target);
    throw error;
  }
}

/** The options as text, and the type that is asked for, if any. */
function ownOptions({ type, options = "" }: MountOptions): { type?: string; text: string } {
  if (typeof options === "string") return { ...(type && { type }), text: options };
  const { type: of, ...own } = options;
  if (type !== undefined && type !== of)
    throw new InvalidOptionError("options", `they are of ${of}, but the type is ${type}`);
  return { type: of, text: formatMountOptions(of, own) };
}

async function typeToMount(
  process: Process,
  options: MountOptions,
  content: Content | null,
): Promise<string> {
  if (!content) {
    const saw = await withReader(process, options.source, describeStart);
    const problem = `no file system that is known: ${saw}; ${UNKNOWN_CURE}`;
    throw new NotMountableError(options, null, problem);
  }
  const { type, kind, title } = content;
  const problems: Record<Exclude<Content["kind"], "filesystem">, string> = {
    swap: `this is ${title}, which has no files`,
    encrypted: `this is encrypted (${title}): it cannot be unlocked yet`,
    member: `this is a ${title}: such volumes cannot be put together yet`,
    container: `this is no disk but ${title}: convert or unpack it first`,
  };
  if (kind !== "filesystem") throw new NotMountableError(options, content, problems[kind]);
  const known = await knownTypes(process);
  if (known.includes(type)) return type;
  throw new NotMountableError(
    options,
    content,
    `this is ${title}, which this kernel has no driver for; it has ${known.join(", ")}`,
  );
}

type Attempt = MountOptions & { target: string; type: string; options: string };

/** What the kernel answers who would write where that is not possible. */
const WRITE_PROTECTED = new Set(["EACCES", "EROFS"]);

/** Read-write if it is not said how, and if that is not possible, read-only. */
async function attemptEither(host: MountHost, options: Attempt): Promise<boolean> {
  try {
    return await attempt(host, options);
  } catch (error) {
    if (options.readOnly !== undefined || !(error instanceof MountError)) throw error;
    if (!WRITE_PROTECTED.has(error.code)) throw error;
    return attempt(host, { ...options, readOnly: true });
  }
}

/** @returns whether it was mounted without its journal */
async function attempt(host: MountHost, options: Attempt): Promise<boolean> {
  const { source, target, type, readOnly = false, trusted = false } = options;
  const flags = (readOnly ? MS_RDONLY : 0) | (trusted ? 0 : MS_NOSUID | MS_NODEV | MS_NOEXEC);
  const skip = readOnly && options.skipJournal ? SKIP_JOURNAL[type] : undefined;
  const tryWith = (...more: (string | undefined)[]) => {
    const data = [NAMES[type], options.options, ...more].filter(Boolean).join(",");
    return host.init.mount(source, target, type, flags, data || null);
  };
  const before = [...host.log].at(-1)?.sequence ?? -1;
  try {
    await tryWith();
    return false;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const about = recordsAbout(host.log, before, source, type);
    const cure =
      readOnly && wantsJournal(error, type, about) ? JOURNAL_CURE : cureOf(about.map(textOf));
    const failure = new MountError(error, options, type, linesOf(about), cure);
    // A journal that would have to be written is EROFS or EIO, one that is damaged something else.
    if (skip === undefined) throw failure;
    try {
      await tryWith(skip);
      return true;
    } catch {
      // The first reason is the better one.
      throw failure;
    }
  }
}

const JOURNAL_CURE =
  "it was not unmounted, and its journal has to be replayed, which writes: " +
  "open the image with an overlay, or mount it with skipJournal";

const UNKNOWN_CURE = "is it a disk image, whole and not encrypted?";

/** What the kernel's file systems say, and what to do then. */
const CURES: readonly (readonly [says: RegExp, cure: string])[] = [
  [
    /size of device|device too small|smaller than|beyond end of device|beyond EOD|last sector read failed|total_bytes should be at most/i,
    "it is shorter than what it holds: was it copied, or unpacked, to its end?",
  ],
  [
    /couldn't mount RDWR because of unsupported|unknown read-only compatible features|read-write because of unknown/i,
    "it has features that are newer than this kernel: mount it read-only",
  ],
  [
    /couldn't mount because of unsupported|unknown incompatible features|because of unknown incompat/i,
    "it has features that are newer than this kernel, and cannot be read without them",
  ],
];

const textOf = ({ text }: LogRecord) => text;

function cureOf(lines: readonly string[]): string | undefined {
  if (!lines.length) return "the kernel does not say why: is it whole, and are its options right?";
  return CURES.find(([says]) => lines.some((line) => says.test(line)))?.[1];
}

/** Whether a mount failed because nothing could be written to the journal's device. */
function wantsJournal(error: SystemError, type: string, about: readonly LogRecord[]): boolean {
  if (!(type in SKIP_JOURNAL)) return false;
  return error.code === "EROFS" || about.some(({ text }) => text.includes("log replay required"));
}

/** What the log has had to say about a device since, or about the type if not. */
function recordsAbout(log: KernelLog, sequence: number, source: string, type: string): LogRecord[] {
  const since = [...log].filter((record) => record.sequence > sequence);
  const mentioning = (word: string) => {
    const pattern = new RegExp(`\\b${word.replaceAll(/\W/g, "")}\\b`, "i");
    return since.filter((record) => pattern.test(record.text));
  };
  const about = mentioning(source.slice(source.lastIndexOf("/") + 1));
  return about.length ? about : mentioning(type);
}

const WARNING = 4;
const MAX_KERNEL_LINES = 4;

/** The text of warnings and errors, or of all if there are none. */
function linesOf(records: readonly LogRecord[]): string[] {
  const severe = records.filter((record) => record.level <= WARNING);
  return (severe.length ? severe : records)
    .slice(0, MAX_KERNEL_LINES)
    .map((record) => record.text.trim());
}

const MAX_TARGETS = 10_000;

/** A new directory below /mnt, named after the device. */
export async function makeTarget(process: Process, source: string): Promise<string> {
  await ensureDirectory(process, "/mnt");
  const name = source.slice(source.lastIndexOf("/") + 1);
  for (let i = 1; ; i++) {
    const target = `/mnt/${name}${i > 1 ? `-${i}` : ""}`;
    try {
      await process.mkdirat(AT_FDCWD, target, 0o755);
      return target;
    } catch (error) {
      const exists = error instanceof SystemError && error.errno === -errno.EEXIST;
      if (!exists || i === MAX_TARGETS) throw error;
    }
  }
}

export async function removeDirectory(process: Process, path: string): Promise<void> {
  try {
    await process.unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
  } catch (error) {
    // It may hold something else by now.
    if (!(error instanceof SystemError)) throw error;
  }
}

interface MountFacts {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly content: Content | null;
  readonly journalSkipped: boolean;
}

/** A file system that is mounted. Disposing it unmounts, read-only first, so that it ends clean. */
export class Mount {
  readonly #process: Process;
  readonly #removesTarget: boolean;
  /** The block device. */
  readonly source: string;
  /** The directory it is on. */
  readonly target: string;
  readonly type: string;
  /** What its superblock said when it was mounted. */
  readonly content: Content | null;
  /** Whether its journal was left alone although it was not empty. */
  readonly journalSkipped: boolean;
  #unmounted: Promise<void> | null = null;

  /** @internal Use {@link mount}. */
  constructor(process: Process, facts: MountFacts, removesTarget: boolean) {
    this.#process = process;
    this.#removesTarget = removesTarget;
    this.source = facts.source;
    this.target = facts.target;
    this.type = facts.type;
    this.content = facts.content;
    this.journalSkipped = facts.journalSkipped;
  }

  usage(): Promise<Usage> {
    return usage(this.#process, this.target);
  }

  /** Write back and unmount. Once is enough; a second call gives the first one's result. */
  unmount(): Promise<void> {
    return (this.#unmounted ??= this.#unmount());
  }

  async #unmount(): Promise<void> {
    await unmount(this.#process, this.target);
    if (this.#removesTarget) await removeDirectory(this.#process, this.target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.unmount();
    } catch (error) {
      // The mount ended with its kernel, which tells everybody why.
      if (error instanceof KernelStoppedError || error instanceof KernelPanicError) return;
      throw error;
    }
  }
}
