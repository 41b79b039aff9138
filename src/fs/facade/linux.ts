// What Linux does with files and `node:fs` has no function for.

import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  AT_SYMLINK_NOFOLLOW,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from "../../abi/constants/fcntl.ts";
import {
  FICLONERANGE,
  FS_IOC_FSGETXATTR,
  FS_IOC_FSSETXATTR,
  FS_IOC_GETFLAGS,
  FS_IOC_SETFLAGS,
  SEEK_DATA,
  SEEK_HOLE,
} from "../../abi/constants/ioctl.ts";
import {
  MOUNT_ATTR_IDMAP,
  MOVE_MOUNT_F_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  UMOUNT_NOFOLLOW,
} from "../../abi/constants/mount.ts";
import { STATX_BTIME, S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK } from "../../abi/constants/stat.ts";
import {
  ACL_GROUP,
  ACL_GROUP_OBJ,
  ACL_MASK,
  ACL_OTHER,
  ACL_UNDEFINED_ID,
  ACL_USER,
  ACL_USER_OBJ,
  POSIX_ACL_XATTR_VERSION,
  XATTR_CREATE,
  XATTR_LIST_MAX,
  XATTR_NAME_POSIX_ACL_ACCESS,
  XATTR_NAME_POSIX_ACL_DEFAULT,
  XATTR_REPLACE,
  XATTR_SIZE_MAX,
} from "../../abi/constants/xattr.ts";
import { errno } from "../../abi/errno.ts";
import {
  FileCloneRange,
  Fsxattr,
  MountAttr,
  PosixAclXattrEntry,
  PosixAclXattrHeader,
  Statx,
} from "../../abi/structs/fs.ts";
import { toInteger, toMode, toName } from "./arguments.ts";
import type { Mode, Name, PathLike } from "./arguments.ts";
import { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE, copyFile } from "./copy.ts";
import { decode, encode } from "./encoding.ts";
import { argumentTypeError, argumentValueError, failedWith } from "./errors.ts";
import { translated } from "./files.ts";
import type { Files } from "./files.ts";
import { asBytes } from "./runtime.ts";
import type { Bytes } from "./runtime.ts";

/** A file by its name, by its descriptor, or open. */
export type Target = PathLike | number | { readonly fd: number };

export interface LinkOptions {
  /** Of a symbolic link, what it points to. Default true. */
  readonly follow?: boolean;
}

export interface SetxattrOptions extends LinkOptions {
  /** Only where there is none yet, or only where there is one. Default: either. */
  readonly only?: "create" | "replace";
}

/** Who an entry of an ACL is for; "mask" limits all but the owner and the others. */
export type AclTag = "owner" | "user" | "owning group" | "group" | "mask" | "other";

/** An entry of a POSIX ACL (acl(5)). */
export interface AclEntry {
  readonly tag: AclTag;
  /** The user or group of "user" and "group". */
  readonly id?: number;
  /** Read 4, write 2, execute 1. */
  readonly permissions: number;
}

const TAGS: Readonly<Record<AclTag, number>> = {
  owner: ACL_USER_OBJ,
  user: ACL_USER,
  "owning group": ACL_GROUP_OBJ,
  group: ACL_GROUP,
  mask: ACL_MASK,
  other: ACL_OTHER,
};

const ACLS = {
  access: XATTR_NAME_POSIX_ACL_ACCESS,
  default: XATTR_NAME_POSIX_ACL_DEFAULT,
} as const;

/** What fallocate(2) does with a range of a file. */
export type FallocateMode =
  | "allocate"
  | "allocate, keep size"
  | "punch hole"
  | "zero range"
  | "zero range, keep size"
  | "collapse range"
  | "insert range"
  | "unshare range";

const FALLOCATE: Readonly<Record<FallocateMode, number>> = {
  allocate: 0,
  "allocate, keep size": FALLOC_FL_KEEP_SIZE,
  "punch hole": FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  "zero range": FALLOC_FL_ZERO_RANGE,
  "zero range, keep size": FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
  "collapse range": FALLOC_FL_COLLAPSE_RANGE,
  "insert range": FALLOC_FL_INSERT_RANGE,
  "unshare range": FALLOC_FL_UNSHARE_RANGE,
};

/** What FS_IOC_FSGETXATTR tells (ioctl_xfs_fsgetxattr(2)). */
export interface InodeAttributes {
  /** FS_XFLAG_… of include/uapi/linux/fs.h. */
  readonly flags: number;
  /** What the file system is asked to allocate at once; 0 if nothing. */
  readonly extentSizeBytes: number;
  readonly extents: number;
  /** For project quotas. */
  readonly projectId: number;
  readonly cowExtentSizeBytes: number;
}

const NODE_TYPES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO, socket: S_IFSOCK } as const;

/** A device number as the kernel's calls take it (include/linux/kdev_t.h: new_encode_dev()). */
const encodeDevice = (major: number, minor: number) =>
  (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);

const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;

export interface CloneRange {
  readonly sourceOffsetBytes?: number;
  /** 0: to the end. Default. */
  readonly lengthBytes?: number;
  readonly targetOffsetBytes?: number;
}

export interface BindOptions {
  /** With what is mounted below. Default false. */
  readonly recursive?: boolean;
}

/** More that an fs object can do: `fs.linux`. Errors have the kernel's names of calls. */
export class LinuxFiles {
  readonly #files: Files;

  /** @internal */
  constructor(files: Files) {
    this.#files = files;
  }

  get #process() {
    return this.#files.process;
  }

  /** Make a call; errors tell of its name and of the file. */
  async #call<T>(syscall: string, target: Target, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw translated(error, syscall, isOpen(target) ? undefined : toName(target));
    }
  }

  /** Use a descriptor: the one that is given, or one that is open for as long. */
  async #opened<T>(
    syscall: string,
    target: Target,
    flags: number,
    use: (fd: number) => Promise<T>,
  ): Promise<T> {
    if (isOpen(target)) return this.#call(syscall, target, () => use(descriptorOf(target)));
    const fd = await this.#files.open(toName(target), flags);
    return this.#files.using(fd, () => this.#call(syscall, target, () => use(fd)));
  }

  // --- Extended attributes -----------------------------------------------------------------

  /** The value of an extended attribute, e.g. `user.comment`. @throws ENODATA if there is none */
  async getxattr(target: Target, name: string, options: LinkOptions = {}): Promise<Bytes> {
    const value = new Uint8Array(XATTR_SIZE_MAX);
    const length = await this.#onEither(
      "getxattr",
      target,
      options,
      (fd) => this.#process.fgetxattr(fd, name, value, value.length),
      (path) => this.#process.getxattr(path, name, value, value.length),
      (path) => this.#process.lgetxattr(path, name, value, value.length),
    );
    return asBytes(value.slice(0, length));
  }

  /** @throws ENOTSUP where the file system has none, ENOSPC, EEXIST and ENODATA as `only` asks */
  async setxattr(
    target: Target,
    name: string,
    value: Uint8Array | string,
    options: SetxattrOptions = {},
  ): Promise<void> {
    const bytes = typeof value === "string" ? encode(value) : value;
    const { only } = options;
    const flags = only === "create" ? XATTR_CREATE : only === "replace" ? XATTR_REPLACE : 0;
    await this.#onEither(
      "setxattr",
      target,
      options,
      (fd) => this.#process.fsetxattr(fd, name, bytes, bytes.length, flags),
      (path) => this.#process.setxattr(path, name, bytes, bytes.length, flags),
      (path) => this.#process.lsetxattr(path, name, bytes, bytes.length, flags),
    );
  }

  async listxattr(target: Target, options: LinkOptions = {}): Promise<string[]> {
    const list = new Uint8Array(XATTR_LIST_MAX);
    const length = await this.#onEither(
      "listxattr",
      target,
      options,
      (fd) => this.#process.flistxattr(fd, list, list.length),
      (path) => this.#process.listxattr(path, list, list.length),
      (path) => this.#process.llistxattr(path, list, list.length),
    );
    // Every name ends with a NUL.
    return decode(list.subarray(0, length)).split("\0").slice(0, -1);
  }

  async removexattr(target: Target, name: string, options: LinkOptions = {}): Promise<void> {
    await this.#onEither(
      "removexattr",
      target,
      options,
      (fd) => this.#process.fremovexattr(fd, name),
      (path) => this.#process.removexattr(path, name),
      (path) => this.#process.lremovexattr(path, name),
    );
  }

  #onEither(
    syscall: string,
    target: Target,
    { follow = true }: LinkOptions,
    onDescriptor: (fd: number) => Promise<number>,
    onPath: (path: Name) => Promise<number>,
    onLink: (path: Name) => Promise<number>,
  ): Promise<number> {
    return this.#call(follow ? syscall : `l${syscall}`, target, () => {
      if (isOpen(target)) return onDescriptor(descriptorOf(target));
      return (follow ? onPath : onLink)(toName(target));
    });
  }

  // --- Access control lists ----------------------------------------------------------------

  /** The ACL of a file, or the one that new files of a directory get; null if it has none. */
  async getAcl(target: Target, type: keyof typeof ACLS = "access"): Promise<AclEntry[] | null> {
    let bytes: Uint8Array;
    try {
      bytes = await this.getxattr(target, ACLS[type]);
    } catch (error) {
      if (failedWith(error, errno.ENODATA)) return null;
      throw error;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const entries: AclEntry[] = [];
    for (let at = PosixAclXattrHeader.size; at < bytes.length; at += PosixAclXattrEntry.size) {
      const raw = new PosixAclXattrEntry(view, at);
      const tag = (Object.keys(TAGS) as AclTag[]).find((name) => TAGS[name] === raw.e_tag)!;
      const id = tag === "user" || tag === "group" ? { id: raw.e_id } : {};
      entries.push({ tag, ...id, permissions: raw.e_perm });
    }
    return entries;
  }

  /** Set an ACL; null removes it. @throws EINVAL if it is not complete: see acl(5) */
  async setAcl(
    target: Target,
    entries: readonly AclEntry[] | null,
    type: keyof typeof ACLS = "access",
  ): Promise<void> {
    if (!entries) {
      try {
        await this.removexattr(target, ACLS[type]);
      } catch (error) {
        if (!failedWith(error, errno.ENODATA)) throw error;
      }
      return;
    }
    // The kernel wants them in this order.
    const sorted = entries.toSorted(
      (a, b) => TAGS[a.tag] - TAGS[b.tag] || (a.id ?? 0) - (b.id ?? 0),
    );
    const bytes = new Uint8Array(
      PosixAclXattrHeader.size + sorted.length * PosixAclXattrEntry.size,
    );
    const view = new DataView(bytes.buffer);
    new PosixAclXattrHeader(view).a_version = POSIX_ACL_XATTR_VERSION;
    for (const [i, { tag, id = ACL_UNDEFINED_ID, permissions }] of sorted.entries()) {
      const raw = new PosixAclXattrEntry(
        view,
        PosixAclXattrHeader.size + i * PosixAclXattrEntry.size,
      );
      raw.e_tag = TAGS[tag];
      raw.e_perm = permissions;
      raw.e_id = id;
    }
    await this.setxattr(target, ACLS[type], bytes);
  }

  // --- Space -------------------------------------------------------------------------------

  /** Copy a file by sharing its blocks. @throws ENOTSUP where the file system cannot, EEXIST */
  async reflink(source: PathLike, destination: PathLike): Promise<void> {
    const [from, to] = [toName(source, "source"), toName(destination, "destination")];
    await copyFile(this.#files, from, to, COPYFILE_FICLONE_FORCE | COPYFILE_EXCL);
  }

  /** Share a range of blocks of one open file with another (ioctl_ficlonerange(2)). */
  async cloneRange(source: Target, target: Target, range: CloneRange = {}): Promise<void> {
    const { sourceOffsetBytes = 0, lengthBytes = 0, targetOffsetBytes = 0 } = range;
    await this.#opened("ficlonerange", source, O_RDONLY, (from) =>
      this.#opened("ficlonerange", target, O_WRONLY, async (to) => {
        const raw = FileCloneRange.alloc();
        raw.src_fd = BigInt(from);
        raw.src_offset = BigInt(sourceOffsetBytes);
        raw.src_length = BigInt(lengthBytes);
        raw.dest_offset = BigInt(targetOffsetBytes);
        await this.#process.ioctl(to, FICLONERANGE, raw.bytes);
      }),
    );
  }

  /** Allocate, free, or shift a range (fallocate(2)). @throws ENOTSUP where it cannot be done */
  async fallocate(
    target: Target,
    mode: FallocateMode,
    offsetBytes: number,
    lengthBytes: number,
  ): Promise<void> {
    const flags = FALLOCATE[mode];
    if (flags === undefined)
      throw argumentValueError(
        "mode",
        mode,
        `must be one of: ${Object.keys(FALLOCATE).join("; ")}`,
      );
    toInteger(offsetBytes, "offsetBytes", 0);
    toInteger(lengthBytes, "lengthBytes", 1);
    await this.#opened("fallocate", target, O_WRONLY, (fd) =>
      this.#process.fallocate(fd, flags, offsetBytes, lengthBytes),
    );
  }

  /** Where data is next, from an offset on; null if there is none. The file's own place moves. */
  seekData(target: Target, offsetBytes = 0): Promise<number | null> {
    return this.#seek(target, offsetBytes, SEEK_DATA);
  }

  /** Where a hole is next, from an offset on: at the latest where the file ends; null beyond that. */
  seekHole(target: Target, offsetBytes = 0): Promise<number | null> {
    return this.#seek(target, offsetBytes, SEEK_HOLE);
  }

  async #seek(target: Target, offsetBytes: number, whence: number): Promise<number | null> {
    toInteger(offsetBytes, "offsetBytes", 0);
    const result = new Uint8Array(8);
    const high = Math.floor(offsetBytes / 2 ** 32);
    try {
      await this.#opened("lseek", target, O_RDONLY, (fd) =>
        this.#process.llseek(fd, high, offsetBytes | 0, result, whence),
      );
    } catch (error) {
      if (failedWith(error, errno.ENXIO)) return null;
      throw error;
    }
    return Number(new DataView(result.buffer).getBigInt64(0, true));
  }

  /** Write all of the file system that a file is on to its disk. */
  async syncfs(target: Target): Promise<void> {
    await this.#opened("syncfs", target, O_RDONLY | O_NONBLOCK, (fd) => this.#process.syncfs(fd));
  }

  // --- Inodes ------------------------------------------------------------------------------

  /** Make a device, a named pipe or a socket's name. @throws EPERM without the right to */
  async mknod(
    path: PathLike,
    type: keyof typeof NODE_TYPES,
    device: { readonly major: number; readonly minor: number } = { major: 0, minor: 0 },
    mode: Mode = 0o666,
  ): Promise<void> {
    const name = toName(path);
    const bits = NODE_TYPES[type];
    if (bits === undefined)
      throw argumentValueError(
        "type",
        type,
        `must be one of: ${Object.keys(NODE_TYPES).join(", ")}`,
      );
    const number = encodeDevice(
      toInteger(device.major, "device.major", 0, MAX_MAJOR),
      toInteger(device.minor, "device.minor", 0, MAX_MINOR),
    );
    await this.#call("mknod", path, () =>
      this.#process.mknodat(AT_FDCWD, name, bits | toMode(mode), number),
    );
  }

  /** Make a named pipe. */
  mkfifo(path: PathLike, mode: Mode = 0o666): Promise<void> {
    return this.mknod(path, "fifo", undefined, mode);
  }

  /** When a file was made, in nanoseconds since 1970; undefined where that is not kept. */
  async birthtimeNs(path: PathLike, options: LinkOptions = {}): Promise<bigint | undefined> {
    const flags = options.follow === false ? AT_SYMLINK_NOFOLLOW : 0;
    return this.#files.statx("statx", toName(path), flags, (view) => {
      const raw = new Statx(view);
      if (!(raw.stx_mask & STATX_BTIME)) return undefined;
      return raw.stx_btime.tv_sec * 1_000_000_000n + BigInt(raw.stx_btime.tv_nsec);
    });
  }

  /** FS_…_FL of include/uapi/linux/fs.h, as lsattr(1) shows them. @throws ENOTTY where there are none */
  getFlags(target: Target): Promise<number> {
    return this.#opened("ioctl", target, INODE_FLAGS, async (fd) => {
      const bytes = new Uint8Array(4);
      await this.#process.ioctl(fd, FS_IOC_GETFLAGS, bytes);
      return new DataView(bytes.buffer).getUint32(0, true);
    });
  }

  /** Set all flags at once, as chattr(1) = does. @throws EPERM without the right to, ENOTSUP */
  async setFlags(target: Target, flags: number): Promise<void> {
    toInteger(flags, "flags", 0, 0xffffffff);
    const bytes = new Uint8Array(Uint32Array.of(flags).buffer);
    await this.#opened("ioctl", target, INODE_FLAGS, (fd) =>
      this.#process.ioctl(fd, FS_IOC_SETFLAGS, bytes),
    );
  }

  /** Project, extent size hints and flags. @throws ENOTTY where there are none */
  getAttributes(target: Target): Promise<InodeAttributes> {
    return this.#opened("ioctl", target, INODE_FLAGS, async (fd) => {
      const raw = Fsxattr.alloc();
      await this.#process.ioctl(fd, FS_IOC_FSGETXATTR, raw.bytes);
      return {
        flags: raw.fsx_xflags,
        extentSizeBytes: raw.fsx_extsize,
        extents: raw.fsx_nextents,
        projectId: raw.fsx_projid,
        cowExtentSizeBytes: raw.fsx_cowextsize,
      };
    });
  }

  /** Change some of them; the rest stays. */
  async setAttributes(
    target: Target,
    changes: Partial<Omit<InodeAttributes, "extents">>,
  ): Promise<void> {
    await this.#opened("ioctl", target, INODE_FLAGS, async (fd) => {
      const raw = Fsxattr.alloc();
      const { bytes } = raw;
      await this.#process.ioctl(fd, FS_IOC_FSGETXATTR, bytes);
      raw.fsx_xflags = changes.flags ?? raw.fsx_xflags;
      raw.fsx_extsize = changes.extentSizeBytes ?? raw.fsx_extsize;
      raw.fsx_projid = changes.projectId ?? raw.fsx_projid;
      raw.fsx_cowextsize = changes.cowExtentSizeBytes ?? raw.fsx_cowextsize;
      await this.#process.ioctl(fd, FS_IOC_FSSETXATTR, bytes);
    });
  }

  // --- Mounts ------------------------------------------------------------------------------

  /** Show a directory, or a file, at another place as well. @throws EPERM without the right to */
  async bindMount(source: PathLike, target: PathLike, options: BindOptions = {}): Promise<void> {
    await this.#attach(source, target, options, null);
  }

  /**
   * As {@link bindMount}, with owners mapped (mount_setattr(2)).
   *
   * @param userNamespace a descriptor of this process, of a /proc/…/ns/user that has its maps
   * @throws EINVAL where the file system cannot
   */
  async idmappedMount(
    source: PathLike,
    target: PathLike,
    userNamespace: number,
    options: BindOptions = {},
  ): Promise<void> {
    toInteger(userNamespace, "userNamespace", 0);
    await this.#attach(source, target, options, userNamespace);
  }

  async #attach(
    source: PathLike,
    target: PathLike,
    { recursive = false }: BindOptions,
    userNamespace: number | null,
  ): Promise<void> {
    const [from, to] = [toName(source, "source"), toName(target, "target")];
    const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
    const tree = await this.#call("open_tree", source, () =>
      this.#process.open_tree(AT_FDCWD, from, flags),
    );
    await this.#files.using(tree, async () => {
      if (userNamespace !== null) {
        const attributes = MountAttr.alloc();
        attributes.attr_set = BigInt(MOUNT_ATTR_IDMAP);
        attributes.userns_fd = BigInt(userNamespace);
        const scope = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
        await this.#call("mount_setattr", source, () =>
          this.#process.mount_setattr(tree, "", scope, attributes.bytes, MountAttr.size),
        );
      }
      await this.#call("move_mount", target, () =>
        this.#process.move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH),
      );
    });
  }

  /** Take a mount away. @throws EBUSY while it is in use, EINVAL if there is none */
  async unmount(target: PathLike): Promise<void> {
    const name = toName(target, "target");
    await this.#call("umount", target, () => this.#process.umount2(name, UMOUNT_NOFOLLOW));
  }
}

/** A symbolic link has no flags, and is not opened to ask for them. */

const INODE_FLAGS = O_RDONLY | O_NONBLOCK | O_NOFOLLOW;

const isOpen = (target: Target): target is number | { readonly fd: number } =>
  typeof target === "number" ||
  (typeof target === "object" && !(target instanceof Uint8Array) && !(target instanceof URL));

function descriptorOf(target: number | { readonly fd: number }): number {
  const fd = typeof target === "number" ? target : target?.fd;
  if (typeof fd !== "number")
    throw argumentTypeError("target", "a path, a number or a FileHandle", fd);
  return fd;
}
