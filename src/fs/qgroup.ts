// How much the subvolumes of a Btrfs have, and may have (btrfs-quota(8), btrfs-qgroup(8)). Groups of
// groups are counted and listed where there are such, but not made here.

import {
  BTRFS_IOC_QGROUP_LIMIT,
  BTRFS_IOC_QUOTA_CTL,
  BTRFS_IOC_QUOTA_RESCAN_WAIT,
  BTRFS_QGROUP_INFO_KEY,
  BTRFS_QGROUP_LEVEL_SHIFT,
  BTRFS_QGROUP_LIMIT_KEY,
  BTRFS_QGROUP_LIMIT_MAX_EXCL,
  BTRFS_QGROUP_LIMIT_MAX_RFER,
  BTRFS_QUOTA_CTL_DISABLE,
  BTRFS_QUOTA_CTL_ENABLE,
  BTRFS_QUOTA_TREE_OBJECTID,
} from "../abi/constants/btrfs.ts";
import {
  BtrfsIoctlQgroupLimitArgs,
  BtrfsIoctlQuotaCtlArgs,
  BtrfsQgroupInfoItem,
  BtrfsQgroupLimitItem,
} from "../abi/structs/btrfs.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { onBtrfs, treeItems } from "./btrfs-tree.ts";
import { checkBytes } from "./range.ts";
import type { Target } from "./target.ts";

export interface Qgroup {
  /** 0 is that of a subvolume. */
  readonly level: number;
  /** Of level 0, the subvolume's. */
  readonly id: number;
  /** All that can be read there. */
  readonly referencedBytes: number;
  /** What no other one has: what becomes free with it. */
  readonly exclusiveBytes: number;
  /** Never more than this; null: any number. */
  readonly maxReferencedBytes: number | null;
  readonly maxExclusiveBytes: number | null;
}

/** What becomes of a limit: bytes, null to take it away; undefined leaves it. */
export interface QgroupLimits {
  readonly maxReferencedBytes?: number | null;
  readonly maxExclusiveBytes?: number | null;
}

/**
 * Count what each subvolume has, from now on, and keep the limits. Settles when what is there is
 * counted, which takes as long as reading it.
 *
 * @throws {NotBtrfsError}
 */
export async function enableQgroups(process: Process, target: Target): Promise<void> {
  await onBtrfs(process, target, async (fd) => {
    await control(process, fd, BTRFS_QUOTA_CTL_ENABLE);
    await process.ioctl(fd, BTRFS_IOC_QUOTA_RESCAN_WAIT, null);
  });
}

/** Count no more, and forget all limits. @throws {NotBtrfsError} */
export async function disableQgroups(process: Process, target: Target): Promise<void> {
  await onBtrfs(process, target, (fd) => control(process, fd, BTRFS_QUOTA_CTL_DISABLE));
}

function control(process: Process, fd: number, command: number): Promise<number> {
  const argument = BtrfsIoctlQuotaCtlArgs.alloc();
  argument.cmd = BigInt(command);
  return process.ioctl(fd, BTRFS_IOC_QUOTA_CTL, argument.bytes);
}

const ID = (1n << BigInt(BTRFS_QGROUP_LEVEL_SHIFT)) - 1n;

/**
 * What all subvolumes have and may have, by level and number. What was written is written back first,
 * for only then it counts.
 *
 * @returns null if nothing is counted
 * @throws {NotBtrfsError}
 */
export function listQgroups(process: Process, target: Target): Promise<Qgroup[] | null> {
  return onBtrfs(process, target, async (fd) => {
    await process.syncfs(fd);
    const groups = new Map<bigint, Qgroup>();
    try {
      const range = {
        tree: BTRFS_QUOTA_TREE_OBJECTID,
        objectids: [0, 0],
        types: [BTRFS_QGROUP_INFO_KEY, BTRFS_QGROUP_LIMIT_KEY],
      } as const;
      // All of the first type come before all of the other.
      for await (const { type, offset, bytes } of treeItems(process, fd, range)) {
        if (type === BTRFS_QGROUP_INFO_KEY) groups.set(offset, unlimited(offset, bytes));
        const group = groups.get(offset);
        if (type === BTRFS_QGROUP_LIMIT_KEY && group)
          groups.set(offset, { ...group, ...limitsOf(bytes) });
      }
    } catch (error) {
      if (error instanceof SystemError && error.code === "ENOENT") return null;
      throw error;
    }
    return [...groups.values()];
  });
}

function unlimited(key: bigint, bytes: Uint8Array): Qgroup {
  const { rfer, excl } = BtrfsQgroupInfoItem.from(bytes);
  return {
    level: Number(key >> BigInt(BTRFS_QGROUP_LEVEL_SHIFT)),
    id: Number(key & ID),
    referencedBytes: Number(rfer),
    exclusiveBytes: Number(excl),
    maxReferencedBytes: null,
    maxExclusiveBytes: null,
  };
}

function limitsOf(bytes: Uint8Array): Required<QgroupLimits> {
  const { flags, max_rfer, max_excl } = BtrfsQgroupLimitItem.from(bytes);
  const limit = (flag: number, value: bigint) => (flags & BigInt(flag) ? Number(value) : null);
  return {
    maxReferencedBytes: limit(BTRFS_QGROUP_LIMIT_MAX_RFER, max_rfer),
    maxExclusiveBytes: limit(BTRFS_QGROUP_LIMIT_MAX_EXCL, max_excl),
  };
}

/** The kernel's word for no limit. */
const NONE = 2n ** 64n - 1n;

/**
 * Change how much a subvolume may have, and leave what is not given.
 *
 * @param id a subvolume's, as {@link subvolumeId} has it
 * @throws {InvalidOptionError} @throws {NotBtrfsError}
 * @throws {SystemError} ENOTCONN if nothing is counted, ENOENT if there is no such subvolume
 */
export async function limitSubvolume(
  process: Process,
  target: Target,
  id: number,
  limits: QgroupLimits,
): Promise<void> {
  const argument = BtrfsIoctlQgroupLimitArgs.alloc();
  argument.qgroupid = BigInt(checkBytes("id", id));
  const { lim } = argument;
  const limit = (option: keyof QgroupLimits, flag: number) => {
    const value = limits[option];
    if (value === undefined) return null;
    lim.flags |= BigInt(flag);
    return value === null ? NONE : BigInt(checkBytes(option, value));
  };
  lim.max_rfer = limit("maxReferencedBytes", BTRFS_QGROUP_LIMIT_MAX_RFER) ?? 0n;
  lim.max_excl = limit("maxExclusiveBytes", BTRFS_QGROUP_LIMIT_MAX_EXCL) ?? 0n;
  await onBtrfs(process, target, (fd) => process.ioctl(fd, BTRFS_IOC_QGROUP_LIMIT, argument.bytes));
}
