// How much users, groups and projects may have on a file system (quotactl(2)). The same calls do
// for ext4 with its feature "quota", XFS, and F2FS with its features "quota" and "project_quota".
// Quota files of ext2 and ext3, which a path leads to, are not served.

import {
  FS_QSTATV_VERSION1,
  FS_QUOTA_GDQ_ACCT,
  FS_QUOTA_GDQ_ENFD,
  FS_QUOTA_PDQ_ACCT,
  FS_QUOTA_PDQ_ENFD,
  FS_QUOTA_UDQ_ACCT,
  FS_QUOTA_UDQ_ENFD,
  GRPQUOTA,
  IIF_BGRACE,
  IIF_IGRACE,
  PRJQUOTA,
  QFMT_VFS_V1,
  QIF_BLIMITS,
  QIF_DQBLKSIZE,
  QIF_ILIMITS,
  Q_GETINFO,
  Q_GETNEXTQUOTA,
  Q_GETQUOTA,
  Q_QUOTAOFF,
  Q_QUOTAON,
  Q_SETINFO,
  Q_SETQUOTA,
  Q_XGETQSTATV,
  SUBCMDSHIFT,
  USRQUOTA,
} from "../abi/constants/quota.ts";
import { FsQuotaStatv, IfDqblk, IfDqinfo, IfNextdqblk } from "../abi/structs/quota.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { filesystemOf } from "./filesystem.ts";
import { pathOf, withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/** By whom it is counted. */
export type QuotaKind = "user" | "group" | "project";

const KINDS: Readonly<Record<QuotaKind, number>> = {
  user: USRQUOTA,
  group: GRPQUOTA,
  project: PRJQUOTA,
};

/** The mount options. */
const OPTIONS: Readonly<Record<QuotaKind, string>> = {
  user: "usrquota",
  group: "grpquota",
  project: "prjquota",
};

/** Largest user, group or project. */
const MAX_ID = 0xfffffffe;

/** A file system does not count, or not by these. */
export class QuotaError extends Error {
  override readonly name = "QuotaError";
  readonly code = "ERR_NO_QUOTA";
  /** As in /proc/filesystems. */
  readonly type: string;

  constructor(type: string, problem: string, cause?: SystemError) {
    super(problem, cause && { cause });
    this.type = type;
  }
}

/** What somebody has, and may have. */
export interface QuotaUse {
  /** Bytes, or files. */
  readonly used: number;
  /** More than this only for a time; null: any number. */
  readonly soft: number | null;
  /** Never more than this; null: any number. */
  readonly hard: number | null;
  /** When the soft limit becomes a hard one, in seconds since 1970; null if it is kept. */
  readonly graceEndsSeconds: number | null;
}

export interface Quota {
  /** Of the user, the group or the project. */
  readonly id: number;
  /** Bytes. */
  readonly space: QuotaUse;
  readonly files: QuotaUse;
}

/** What becomes of a limit: a number, null to take it away; undefined leaves it. */
export interface QuotaLimits {
  /** A multiple of 1024. */
  readonly softBytes?: number | null;
  readonly hardBytes?: number | null;
  readonly softFiles?: number | null;
  readonly hardFiles?: number | null;
}

export interface QuotaState {
  /** Whether it is counted. */
  readonly counting: boolean;
  /** Whether limits are kept. */
  readonly enforcing: boolean;
}

function kindNumber(kind: QuotaKind): number {
  if (!Object.hasOwn(KINDS, kind))
    throw new InvalidOptionError("kind", `${kind}: it is one of ${Object.keys(KINDS).join(", ")}`);
  return KINDS[kind];
}

function checkId(id: number): number {
  if (!(Number.isInteger(id) && id >= 0 && id <= MAX_ID))
    throw new InvalidOptionError("id", `${id}: it is a whole number from 0 to ${MAX_ID}`);
  return id;
}

/** What a call of quotactl means by an error that is of no use as it is. */
function problemOf(type: string, kind: QuotaKind, code: string): string | undefined {
  if (code === "ENOSYS")
    return type === "btrfs"
      ? "btrfs counts by subvolume, not by user, group or project: use its qgroups"
      : `${type} counts nothing, or was mounted without quotas`;
  if (code === "ESRCH")
    return `${type} does not count by ${kind}: it has to be mounted with ${OPTIONS[kind]}, or made with quotas`;
  return undefined;
}

/** A call on the file system that a file is on. */
function onQuotas<T>(
  process: Process,
  target: Target,
  kind: QuotaKind,
  use: (
    call: (command: number, id: number, bytes: Uint8Array | null) => Promise<void>,
  ) => Promise<T>,
): Promise<T> {
  const number = kindNumber(kind);
  return withDescriptor(process, target, async (fd) => {
    try {
      return await use(async (command, id, bytes) => {
        await process.quotactl_fd(fd, ((command << SUBCMDSHIFT) | number) >>> 0, id, bytes);
      });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      const { type } = await filesystemOf(process, fd);
      const problem = problemOf(type, kind, error.code);
      if (problem === undefined) throw error;
      throw new QuotaError(type, `${pathOf(target) ?? "this file system"}: ${problem}`, error);
    }
  });
}

/** Whether a file system counts and keeps limits, by whom. All is false where it knows no quotas. */
export async function quotaState(
  process: Process,
  target: Target,
): Promise<Readonly<Record<QuotaKind, QuotaState>>> {
  const raw = FsQuotaStatv.alloc();
  raw.qs_version = FS_QSTATV_VERSION1;
  try {
    await onQuotas(process, target, "user", (call) => call(Q_XGETQSTATV, 0, raw.bytes));
  } catch (error) {
    // So the kernel says that none is on.
    if (!(error instanceof QuotaError)) throw error;
    raw.qs_flags = 0;
  }
  const flags = raw.qs_flags;
  const state = (counting: number, enforcing: number) => ({
    counting: (flags & counting) !== 0,
    enforcing: (flags & enforcing) !== 0,
  });
  return {
    user: state(FS_QUOTA_UDQ_ACCT, FS_QUOTA_UDQ_ENFD),
    group: state(FS_QUOTA_GDQ_ACCT, FS_QUOTA_GDQ_ENFD),
    project: state(FS_QUOTA_PDQ_ACCT, FS_QUOTA_PDQ_ENFD),
  };
}

/**
 * Keep limits, of a file system that counts but lets everything pass: ext4 and XFS.
 *
 * @throws {QuotaError} if it does not count, or cannot begin while it is mounted
 * @throws {SystemError} EBUSY or EEXIST if limits are kept already
 */
export function enableQuota(process: Process, target: Target, kind: QuotaKind): Promise<void> {
  return turn(process, target, kind, Q_QUOTAON, QFMT_VFS_V1);
}

/**
 * Keep no limits any more, and go on counting: ext4 and XFS.
 *
 * @throws {QuotaError} if it does not count, or cannot end while it is mounted
 * @throws {SystemError} EEXIST or EINVAL if none are kept
 */
export function disableQuota(process: Process, target: Target, kind: QuotaKind): Promise<void> {
  return turn(process, target, kind, Q_QUOTAOFF, 0);
}

async function turn(
  process: Process,
  target: Target,
  kind: QuotaKind,
  command: number,
  format: number,
): Promise<void> {
  await withDescriptor(process, target, async (fd) => {
    const { type } = await filesystemOf(process, fd);
    // It would stop counting, and what it has counted would be wrong from then on.
    if (type === "f2fs")
      throw new QuotaError(
        type,
        `f2fs keeps limits if it is mounted with ${OPTIONS[kind]}, only then`,
      );
    await onQuotas(process, fd, kind, (call) => call(command, format, null));
  });
}

/** The kernel's numbers of limits: 0 is none. */
const limitOf = (value: bigint, unit = 1) => (value ? Number(value) * unit : null);

function quotaOf(id: number, raw: IfDqblk | IfNextdqblk): Quota {
  const ends = (seconds: bigint) => (seconds ? Number(seconds) : null);
  return {
    id,
    space: {
      used: Number(raw.dqb_curspace),
      soft: limitOf(raw.dqb_bsoftlimit, QIF_DQBLKSIZE),
      hard: limitOf(raw.dqb_bhardlimit, QIF_DQBLKSIZE),
      graceEndsSeconds: ends(raw.dqb_btime),
    },
    files: {
      used: Number(raw.dqb_curinodes),
      soft: limitOf(raw.dqb_isoftlimit),
      hard: limitOf(raw.dqb_ihardlimit),
      graceEndsSeconds: ends(raw.dqb_itime),
    },
  };
}

/** Of one who has nothing yet, XFS knows nothing. */
async function orNothing(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "ENOENT")) throw error;
  }
}

/**
 * What one user, group or project has and may have: nothing, and any number, if it never had any.
 *
 * @throws {QuotaError} if it is not counted
 */
export async function getQuota(
  process: Process,
  target: Target,
  kind: QuotaKind,
  id: number,
): Promise<Quota> {
  checkId(id);
  const raw = IfDqblk.alloc();
  await onQuotas(process, target, kind, (call) => orNothing(call(Q_GETQUOTA, id, raw.bytes)));
  return quotaOf(id, raw);
}

/**
 * All who have something or may have only so much, by their numbers.
 *
 * @throws {QuotaError} if it is not counted
 */
export function listQuotas(process: Process, target: Target, kind: QuotaKind): Promise<Quota[]> {
  return onQuotas(process, target, kind, async (call) => {
    const quotas: Quota[] = [];
    const raw = IfNextdqblk.alloc();
    for (let next = 0; next <= MAX_ID; next = raw.dqb_id + 1) {
      try {
        await call(Q_GETNEXTQUOTA, next, raw.bytes);
      } catch (error) {
        if (error instanceof SystemError && error.code === "ENOENT") break;
        throw error;
      }
      quotas.push(quotaOf(raw.dqb_id, raw));
    }
    return quotas;
  });
}

/** @throws {InvalidOptionError} */
function toLimit(option: keyof QuotaLimits, value: number | null, unit: number): bigint {
  if (value === null) return 0n;
  if (!(Number.isSafeInteger(value) && value > 0 && value % unit === 0))
    throw new InvalidOptionError(
      option,
      `${value}: a limit is a ${unit > 1 ? `multiple of ${unit}` : "whole number"} above 0, or null`,
    );
  return BigInt(value / unit);
}

function checkPair(soft: bigint, hard: bigint, what: "Bytes" | "Files"): void {
  // The kernel would take no notice of it, or let nothing pass.
  if (hard && soft > hard)
    throw new InvalidOptionError(
      `soft${what}`,
      `it is more than hard${what}, which is never passed`,
    );
}

/**
 * Change limits, and leave those that are not given.
 *
 * @throws {InvalidOptionError} if a limit is none, or the soft one above the hard one
 * @throws {QuotaError} if it is not counted
 * @throws {SystemError} EPERM, EROFS…
 */
export async function setQuota(
  process: Process,
  target: Target,
  kind: QuotaKind,
  id: number,
  limits: QuotaLimits,
): Promise<void> {
  checkId(id);
  await onQuotas(process, target, kind, async (call) => {
    const raw = IfDqblk.alloc();
    await orNothing(call(Q_GETQUOTA, id, raw.bytes));
    const { softBytes, hardBytes, softFiles, hardFiles } = limits;
    if (softBytes !== undefined)
      raw.dqb_bsoftlimit = toLimit("softBytes", softBytes, QIF_DQBLKSIZE);
    if (hardBytes !== undefined)
      raw.dqb_bhardlimit = toLimit("hardBytes", hardBytes, QIF_DQBLKSIZE);
    if (softFiles !== undefined) raw.dqb_isoftlimit = toLimit("softFiles", softFiles, 1);
    if (hardFiles !== undefined) raw.dqb_ihardlimit = toLimit("hardFiles", hardFiles, 1);
    checkPair(raw.dqb_bsoftlimit, raw.dqb_bhardlimit, "Bytes");
    checkPair(raw.dqb_isoftlimit, raw.dqb_ihardlimit, "Files");
    raw.dqb_valid = QIF_BLIMITS | QIF_ILIMITS;
    await call(Q_SETQUOTA, id, raw.bytes);
  });
}

/** How long a soft limit may be passed. */
export interface QuotaGrace {
  readonly spaceSeconds: number;
  readonly filesSeconds: number;
}

/** @throws {QuotaError} if it is not counted */
export async function getQuotaGrace(
  process: Process,
  target: Target,
  kind: QuotaKind,
): Promise<QuotaGrace> {
  const raw = IfDqinfo.alloc();
  await onQuotas(process, target, kind, (call) => call(Q_GETINFO, 0, raw.bytes));
  return { spaceSeconds: Number(raw.dqi_bgrace), filesSeconds: Number(raw.dqi_igrace) };
}

const MAX_GRACE_SECONDS = 2 ** 31 - 1;

/** Change how long soft limits may be passed; what is not given stays. @throws {QuotaError} */
export async function setQuotaGrace(
  process: Process,
  target: Target,
  kind: QuotaKind,
  grace: Partial<QuotaGrace>,
): Promise<void> {
  for (const [option, seconds] of Object.entries(grace))
    if (!(Number.isInteger(seconds) && seconds > 0 && seconds <= MAX_GRACE_SECONDS))
      throw new InvalidOptionError(
        option,
        `${seconds}: it is a whole number of seconds from 1 to ${MAX_GRACE_SECONDS}`,
      );
  const { spaceSeconds, filesSeconds } = grace;
  const raw = IfDqinfo.alloc();
  raw.dqi_bgrace = BigInt(spaceSeconds ?? 0);
  raw.dqi_igrace = BigInt(filesSeconds ?? 0);
  raw.dqi_valid =
    (spaceSeconds === undefined ? 0 : IIF_BGRACE) | (filesSeconds === undefined ? 0 : IIF_IGRACE);
  await onQuotas(process, target, kind, (call) => call(Q_SETINFO, 0, raw.bytes));
}
