// Attributes of files that chattr(1) and xfs_io(8) change: FS_IOC_GETFLAGS and FS_IOC_FSGETXATTR
// (ioctl_iflags(2), ioctl_xfs_fsgetxattr(2)).

import {
  FS_APPEND_FL,
  FS_CASEFOLD_FL,
  FS_COMPR_FL,
  FS_DAX_FL,
  FS_DIRSYNC_FL,
  FS_ENCRYPT_FL,
  FS_EXTENT_FL,
  FS_IMMUTABLE_FL,
  FS_INDEX_FL,
  FS_INLINE_DATA_FL,
  FS_IOC_FSGETXATTR,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  FS_JOURNAL_DATA_FL,
  FS_NOATIME_FL,
  FS_NOCOMP_FL,
  FS_NOCOW_FL,
  FS_NODUMP_FL,
  FS_NOTAIL_FL,
  FS_PROJINHERIT_FL,
  FS_SECRM_FL,
  FS_SYNC_FL,
  FS_TOPDIR_FL,
  FS_UNRM_FL,
  FS_VERITY_FL,
  FS_XFLAG_APPEND,
  FS_XFLAG_COWEXTSIZE,
  FS_XFLAG_DAX,
  FS_XFLAG_EXTSIZE,
  FS_XFLAG_EXTSZINHERIT,
  FS_XFLAG_FILESTREAM,
  FS_XFLAG_HASATTR,
  FS_XFLAG_IMMUTABLE,
  FS_XFLAG_NOATIME,
  FS_XFLAG_NODEFRAG,
  FS_XFLAG_NODUMP,
  FS_XFLAG_NOSYMLINKS,
  FS_XFLAG_PREALLOC,
  FS_XFLAG_PROJINHERIT,
  FS_XFLAG_REALTIME,
  FS_XFLAG_RTINHERIT,
  FS_XFLAG_SYNC,
} from "../abi/constants/ioctl.ts";
import { viewOf } from "../abi/struct.ts";
import { Fsxattr } from "../abi/structs/fs.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import { checkBytes } from "./range.ts";
import { pathOf, withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/** By chattr(1)'s meaning of them. */
const FLAGS = {
  append: FS_APPEND_FL,
  casefold: FS_CASEFOLD_FL,
  compress: FS_COMPR_FL,
  dax: FS_DAX_FL,
  dirsync: FS_DIRSYNC_FL,
  encrypted: FS_ENCRYPT_FL,
  extents: FS_EXTENT_FL,
  immutable: FS_IMMUTABLE_FL,
  indexed: FS_INDEX_FL,
  inlineData: FS_INLINE_DATA_FL,
  journalData: FS_JOURNAL_DATA_FL,
  noatime: FS_NOATIME_FL,
  nocompress: FS_NOCOMP_FL,
  nocow: FS_NOCOW_FL,
  nodump: FS_NODUMP_FL,
  notail: FS_NOTAIL_FL,
  projectInherit: FS_PROJINHERIT_FL,
  secureDelete: FS_SECRM_FL,
  sync: FS_SYNC_FL,
  topdir: FS_TOPDIR_FL,
  undelete: FS_UNRM_FL,
  verity: FS_VERITY_FL,
} as const satisfies Readonly<Record<string, number>>;

/** Which file systems have which: chattr(1). */
export type AttributeName = keyof typeof FLAGS;

/** By ioctl_xfs_fsgetxattr(2)'s meaning of them. */
const XFLAGS = {
  append: FS_XFLAG_APPEND,
  cowExtentSize: FS_XFLAG_COWEXTSIZE,
  dax: FS_XFLAG_DAX,
  extentSize: FS_XFLAG_EXTSIZE,
  extentSizeInherit: FS_XFLAG_EXTSZINHERIT,
  filestream: FS_XFLAG_FILESTREAM,
  hasXattrs: FS_XFLAG_HASATTR,
  immutable: FS_XFLAG_IMMUTABLE,
  noatime: FS_XFLAG_NOATIME,
  nodefrag: FS_XFLAG_NODEFRAG,
  nodump: FS_XFLAG_NODUMP,
  nosymlinks: FS_XFLAG_NOSYMLINKS,
  preallocated: FS_XFLAG_PREALLOC,
  projectInherit: FS_XFLAG_PROJINHERIT,
  realtime: FS_XFLAG_REALTIME,
  realtimeInherit: FS_XFLAG_RTINHERIT,
  sync: FS_XFLAG_SYNC,
} as const satisfies Readonly<Record<string, number>>;

export type FsxattrFlag = keyof typeof XFLAGS;

/** The kernel took a change of attributes, and left some as they were. */
export class AttributesIgnoredError extends Error {
  override readonly name = "AttributesIgnoredError";
  readonly code = "ERR_ATTRIBUTES_IGNORED";
  readonly path: string | undefined;
  readonly ignored: readonly string[];

  constructor(path: string | undefined, ignored: readonly string[]) {
    super(
      `${path ?? "the file"}: its file system lets nobody change ${ignored.join(", ")}, of such a file`,
    );
    this.path = path;
    this.ignored = ignored;
  }
}

function namesIn<Name extends string>(
  table: Readonly<Record<Name, number>>,
  bits: number,
): ReadonlySet<Name> {
  const names = Object.keys(table) as Name[];
  return new Set(names.filter((name) => bits & table[name]));
}

/** Which bits become 1, and which 0. @throws {InvalidOptionError} for a name that is not there */
function bitsOf(
  table: Readonly<Record<string, number>>,
  changes: Readonly<Record<string, boolean | undefined>>,
): { on: number; off: number } {
  let on = 0;
  let off = 0;
  for (const [name, wanted] of Object.entries(changes)) {
    const bit = Object.hasOwn(table, name) ? table[name] : undefined;
    if (bit === undefined)
      throw new InvalidOptionError(name, `unknown: it is one of ${Object.keys(table).join(", ")}`);
    if (wanted) on |= bit;
    else if (wanted === false) off |= bit;
  }
  return { on, off };
}

function checkTaken(
  target: Target,
  table: Readonly<Record<string, number>>,
  ignored: number,
): void {
  if (ignored) throw new AttributesIgnoredError(pathOf(target), [...namesIn(table, ignored)]);
}

/**
 * The attributes that a file has.
 *
 * @throws {SystemError} ENOTTY or EOPNOTSUPP where the file system has none, ELOOP for a
 *   symbolic link that leads nowhere…
 */
export function getAttributes(
  process: Process,
  target: Target,
): Promise<ReadonlySet<AttributeName>> {
  return withDescriptor(process, target, async (fd) =>
    namesIn(FLAGS, await readFlags(process, fd)),
  );
}

/**
 * Change some attributes, and leave the others.
 *
 * @param changes e.g. `{ immutable: true, append: false }`
 * @throws {InvalidOptionError} for a name that is no attribute
 * @throws {AttributesIgnoredError} if the file system took it and did nothing
 * @throws {SystemError} EOPNOTSUPP for what the file system does not have, EPERM, EROFS, ENOTTY…
 */
export async function changeAttributes(
  process: Process,
  target: Target,
  changes: Readonly<Partial<Record<AttributeName, boolean>>>,
): Promise<void> {
  const { on, off } = bitsOf(FLAGS, changes);
  await withDescriptor(process, target, async (fd) => {
    const before = await readFlags(process, fd);
    const wanted = (before & ~off) | on;
    if (wanted === before) return;
    const word = new Uint8Array(4);
    viewOf(word).setInt32(0, wanted, true);
    await process.ioctl(fd, FS_IOC_SETFLAGS, word);
    const after = await readFlags(process, fd);
    checkTaken(target, FLAGS, (after ^ wanted) & (on | off));
  });
}

/** The kernel reads and writes an int, whatever the number of the ioctl says. */
async function readFlags(process: Process, fd: number): Promise<number> {
  const word = new Uint8Array(4);
  await process.ioctl(fd, FS_IOC_GETFLAGS, word);
  return viewOf(word).getInt32(0, true);
}

/** What a file has beyond its attributes: to which project it counts, and how it is laid out. */
export interface FsxattrStatus {
  readonly flags: ReadonlySet<FsxattrFlag>;
  /** For project quotas; 0 is none. */
  readonly projectId: number;
  /** In which units its space is taken; 0: as the file system likes. */
  readonly extentSizeBytes: number;
  /** The same where shared extents are written to. */
  readonly cowExtentSizeBytes: number;
  /** How many pieces it has on the disk, where the file system counts them. */
  readonly extents: number;
}

export interface FsxattrChanges {
  readonly flags?: Readonly<Partial<Record<FsxattrFlag, boolean>>>;
  /** 0 to 2³² − 2. */
  readonly projectId?: number;
  /** A multiple of the file system's block, less than 4 GiB. Only with the flag extentSize… */
  readonly extentSizeBytes?: number;
  readonly cowExtentSizeBytes?: number;
}

const MAX_PROJECT = 0xfffffffe;
const MAX_UNIT_BYTES = 0xffffffff;

/** @throws {SystemError} ENOTTY or EOPNOTSUPP where the file system has no such thing */
export function getFsxattr(process: Process, target: Target): Promise<FsxattrStatus> {
  return withDescriptor(process, target, async (fd) => {
    const raw = await readFsxattr(process, fd);
    return {
      flags: namesIn(XFLAGS, raw.fsx_xflags),
      projectId: raw.fsx_projid,
      extentSizeBytes: raw.fsx_extsize,
      cowExtentSizeBytes: raw.fsx_cowextsize,
      extents: raw.fsx_nextents,
    };
  });
}

/**
 * Change some of it, and leave the rest.
 *
 * @throws {InvalidOptionError} for a flag that there is not, or a number out of range
 * @throws {AttributesIgnoredError} if the file system took it and did nothing
 * @throws {SystemError} EINVAL, EOPNOTSUPP…
 */
export async function changeFsxattr(
  process: Process,
  target: Target,
  changes: FsxattrChanges,
): Promise<void> {
  const { on, off } = bitsOf(XFLAGS, changes.flags ?? {});
  const { projectId, extentSizeBytes, cowExtentSizeBytes } = changes;
  if (projectId !== undefined) checkUpTo("projectId", projectId, MAX_PROJECT);
  if (extentSizeBytes !== undefined) checkUpTo("extentSizeBytes", extentSizeBytes, MAX_UNIT_BYTES);
  if (cowExtentSizeBytes !== undefined)
    checkUpTo("cowExtentSizeBytes", cowExtentSizeBytes, MAX_UNIT_BYTES);
  await withDescriptor(process, target, async (fd) => {
    const raw = await readFsxattr(process, fd);
    const wanted = (raw.fsx_xflags & ~off) | on;
    raw.fsx_xflags = wanted;
    if (projectId !== undefined) raw.fsx_projid = projectId;
    if (extentSizeBytes !== undefined) raw.fsx_extsize = extentSizeBytes;
    if (cowExtentSizeBytes !== undefined) raw.fsx_cowextsize = cowExtentSizeBytes;
    await process.ioctl(fd, FS_IOC_FSSETXATTR, raw.bytes);
    const after = await readFsxattr(process, fd);
    checkTaken(target, XFLAGS, (after.fsx_xflags ^ wanted) & (on | off));
  });
}

function checkUpTo(option: string, value: number, most: number): void {
  if (checkBytes(option, value) > most)
    throw new InvalidOptionError(option, `${value}: it is at most ${most}`);
}

async function readFsxattr(process: Process, fd: number): Promise<Fsxattr> {
  const raw = Fsxattr.alloc();
  await process.ioctl(fd, FS_IOC_FSGETXATTR, raw.bytes);
  return raw;
}
