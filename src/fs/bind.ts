// Directories that are seen at another place as well, with the owners of their files mapped if so wished
// (open_tree(2), mount_setattr(2), move_mount(2)).

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  O_CLOEXEC,
  O_WRONLY,
} from "../abi/constants/fcntl.ts";
import { PIDFD_GET_USER_NAMESPACE } from "../abi/constants/ioctl.ts";
import {
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  UMOUNT_NOFOLLOW,
} from "../abi/constants/mount.ts";
import { CLONE_NEWUSER } from "../abi/constants/sched.ts";
import { MountAttr } from "../abi/structs/fs.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { pathOf } from "./target.ts";

/** A name, or bytes where it is not UTF-8. */
type Path = string | Uint8Array;

export interface BindOptions {
  /** With what is mounted below. Default false. */
  readonly recursive?: boolean;
  /** Nothing can be written there, though it can be at the other place. Default false. */
  readonly readOnly?: boolean;
  /** A process of {@link mapOwners}: files have other owners there. Default: the owners that they have. */
  readonly owners?: Process;
}

/**
 * Show a directory, or a file, at another place as well. The mount is seen by all processes that see the
 * target, and goes with {@link unbind}.
 *
 * @throws {SystemError} ENOENT, EPERM without the right to, EINVAL between a file and a directory, or
 *   with owners where the file system cannot map them
 */
export async function bindMount(
  process: Process,
  source: Path,
  target: Path,
  options: BindOptions = {},
): Promise<void> {
  const { recursive = false, readOnly = false, owners } = options;
  const scope = recursive ? AT_RECURSIVE : 0;
  const tree = await process.open_tree(
    AT_FDCWD,
    source,
    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | scope,
  );
  try {
    await withUserNamespace(process, owners, async (namespace) => {
      const attributes = MountAttr.alloc();
      if (readOnly) attributes.attr_set |= BigInt(MOUNT_ATTR_RDONLY);
      if (namespace !== null) {
        attributes.attr_set |= BigInt(MOUNT_ATTR_IDMAP);
        attributes.userns_fd = BigInt(namespace);
      }
      if (!attributes.attr_set) return;
      const flags = AT_EMPTY_PATH | scope;
      await process
        .mount_setattr(tree, "", flags, attributes.bytes, MountAttr.size)
        .catch((error: unknown) => {
          throw told(error, source);
        });
    });
    await process
      .move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)
      .catch((error: unknown) => {
        throw told(error, target);
      });
  } finally {
    await process.close(tree);
  }
}

/** The error of a call that has a descriptor instead of the path. */
const told = (error: unknown, path: Path): unknown =>
  error instanceof SystemError ? new SystemError(error.errno, error.syscall, pathOf(path)) : error;

/** Take a mount away. @throws {SystemError} EBUSY while it is in use, EINVAL if there is none */
export async function unbind(process: Process, target: Path): Promise<void> {
  await process.umount2(target, UMOUNT_NOFOLLOW);
}

async function withUserNamespace(
  process: Process,
  owners: Process | undefined,
  use: (namespace: number | null) => Promise<void>,
): Promise<void> {
  if (!owners) return use(null);
  const pidfd = await process.pidfd_open(owners.pid, 0);
  try {
    const namespace = await process.ioctl(pidfd, PIDFD_GET_USER_NAMESPACE, 0);
    try {
      await use(namespace);
    } finally {
      await process.close(namespace);
    }
  } finally {
    await process.close(pidfd);
  }
}

/** Some users, or groups, and who they become. */
export interface OwnerRange {
  /** The first of them, as the file system has it. */
  readonly stored: number;
  /** What that one is shown as, and the others after it. */
  readonly shown: number;
  readonly count: number;
}

export interface OwnerMaps {
  readonly users: readonly OwnerRange[];
  /** Default: as the users. */
  readonly groups?: readonly OwnerRange[];
}

/** UID_GID_MAP_MAX_EXTENTS of the kernel (include/linux/user_namespace.h). */
const MAX_RANGES = 340;
const MAX_ID = 0xfffffffe;

/**
 * A process in a user namespace of its own (user_namespaces(7)), for {@link BindOptions.owners}. Who is
 * in no range owns nothing there: such files show as the overflow user's, 65534. End it when all mounts
 * are made; they stay as they are.
 *
 * @param process one whose root is the kernel's own, such as `kernel.init`
 * @throws {InvalidOptionError} for ranges that are none
 * @throws {SystemError} EPERM of a process that has a root of its own, EINVAL if ranges overlap
 */
export async function mapOwners(process: Process, maps: OwnerMaps): Promise<Process> {
  const { users, groups = users } = maps;
  const lines = [mapText("users", users), mapText("groups", groups)] as const;
  const child = await process.fork({ flags: CLONE_NEWUSER, maxThreads: 1 });
  try {
    await write(process, `/proc/${child.pid}/uid_map`, lines[0]);
    await write(process, `/proc/${child.pid}/gid_map`, lines[1]);
    return child;
  } catch (error) {
    await child.exit();
    throw error;
  }
}

/** A map has to come in one call. */
async function write(process: Process, path: string, text: string): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  try {
    const bytes = new TextEncoder().encode(text);
    await process.write(fd, bytes, bytes.length);
  } finally {
    await process.close(fd);
  }
}

function mapText(option: string, ranges: readonly OwnerRange[]): string {
  if (ranges.length < 1 || ranges.length > MAX_RANGES)
    throw new InvalidOptionError(
      option,
      `${ranges.length} ranges: they are from 1 to ${MAX_RANGES}`,
    );
  for (const { stored, shown, count } of ranges)
    if (![stored, shown].every((first) => isId(first) && isId(first + count - 1)) || count < 1)
      throw new InvalidOptionError(
        option,
        `${count} from ${stored} as ${shown}: all are whole numbers up to ${MAX_ID}, and count is 1 at least`,
      );
  return ranges.map(({ stored, shown, count }) => `${stored} ${shown} ${count}\n`).join("");
}

const isId = (id: number) => Number.isInteger(id) && id >= 0 && id <= MAX_ID;
