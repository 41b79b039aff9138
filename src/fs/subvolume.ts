// Subvolumes and snapshots of Btrfs (btrfs-subvolume(8)), by its ioctls and the items of its trees.

import {
  BTRFS_FIRST_FREE_OBJECTID,
  BTRFS_DIR_ITEM_KEY,
  BTRFS_FS_TREE_OBJECTID,
  BTRFS_IOC_DEFAULT_SUBVOL,
  BTRFS_IOC_INO_LOOKUP,
  BTRFS_IOC_SNAP_CREATE_V2,
  BTRFS_IOC_SNAP_DESTROY_V2,
  BTRFS_IOC_SUBVOL_CREATE_V2,
  BTRFS_IOC_SUBVOL_GETFLAGS,
  BTRFS_IOC_SUBVOL_SETFLAGS,
  BTRFS_LAST_FREE_OBJECTID,
  BTRFS_ROOT_BACKREF_KEY,
  BTRFS_ROOT_ITEM_KEY,
  BTRFS_ROOT_SUBVOL_RDONLY,
  BTRFS_ROOT_TREE_DIR_OBJECTID,
  BTRFS_ROOT_TREE_OBJECTID,
  BTRFS_SUBVOL_RDONLY,
  BTRFS_VOL_NAME_MAX,
} from "../abi/constants/btrfs.ts";
import { O_DIRECTORY, O_RDONLY } from "../abi/constants/fcntl.ts";
import { cString, viewOf } from "../abi/struct.ts";
import {
  BtrfsDirItem,
  BtrfsIoctlInoLookupArgs,
  BtrfsIoctlVolArgsV2,
  BtrfsRootItem,
  BtrfsRootRef,
} from "../abi/structs/btrfs.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { onBtrfs, treeItems } from "./btrfs-tree.ts";
import { dashed, hexOf } from "./bytes.ts";
import { pathOf } from "./target.ts";
import type { Target } from "./target.ts";

/** The identifier of the top, which is in no other and has no name. */
export const TOP_SUBVOLUME: number = BTRFS_FS_TREE_OBJECTID;

export interface Subvolume {
  readonly id: number;
  /** Of the one that it is in. */
  readonly parentId: number;
  /** From the top, without a slash at the start: what the mount option `subvol` takes. */
  readonly path: string;
  readonly readOnly: boolean;
  readonly uuid: string | undefined;
  /** Of a snapshot, the identifier of what it was made of. */
  readonly parentUuid: string | undefined;
  /** Of one that was received, the identifier of what was sent. */
  readonly receivedUuid: string | undefined;
  /** Grows with every change. */
  readonly generation: number;
  /** Nanoseconds since 1970. */
  readonly createdNs: bigint;
}

const encoder = new TextEncoder();
const SLASH = 0x2f;

/** The directory and the name that a path ends in. @throws {InvalidOptionError} */
function splitPath(path: string | Uint8Array): { parent: Uint8Array; name: Uint8Array } {
  const bytes = typeof path === "string" ? encoder.encode(path) : path;
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === SLASH) end--;
  const start = bytes.lastIndexOf(SLASH, end - 1) + 1;
  const name = end > 0 ? bytes.slice(start, end) : bytes.slice(0, 0);
  const shown = pathOf(path) ?? "";
  if (!name.length) throw new InvalidOptionError("path", `"${shown}" has no name at its end`);
  if (name.length > BTRFS_VOL_NAME_MAX)
    throw new InvalidOptionError("path", `a name has at most ${BTRFS_VOL_NAME_MAX} bytes`);
  return { parent: start ? bytes.slice(0, start) : encoder.encode("."), name };
}

/** An operation on a name in a directory of Btrfs. */
async function onName(
  process: Process,
  path: string | Uint8Array,
  command: number,
  fill: (argument: BtrfsIoctlVolArgsV2) => void = () => {},
): Promise<void> {
  const { parent, name } = splitPath(path);
  const argument = BtrfsIoctlVolArgsV2.alloc();
  argument.name = name;
  fill(argument);
  const ask = (fd: number) => process.ioctl(fd, command, argument.bytes);
  try {
    await onBtrfs(process, parent, ask, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (!(error instanceof SystemError && error.syscall === "ioctl")) throw error;
    throw new SystemError(error.errno, error.syscall, pathOf(path));
  }
}

/**
 * Make an empty subvolume.
 *
 * @param path of which all but the last name is there
 * @throws {SystemError} EEXIST, ENOENT, EROFS…
 * @throws {NotBtrfsError}
 */
export async function createSubvolume(process: Process, path: string | Uint8Array): Promise<void> {
  await onName(process, path, BTRFS_IOC_SUBVOL_CREATE_V2);
}

export interface SnapshotOptions {
  /** Default false. */
  readonly readOnly?: boolean;
}

/**
 * Make a subvolume of all that another one has at this moment; subvolumes in it are empty
 * directories there. It takes room only as the two grow apart.
 *
 * @param from a subvolume
 * @param path of which all but the last name is there
 * @throws {SystemError} EINVAL if `from` is no subvolume, EXDEV if it is on another file system,
 *   EEXIST…
 * @throws {NotBtrfsError}
 */
export async function snapshot(
  process: Process,
  from: Target,
  path: string | Uint8Array,
  options: SnapshotOptions = {},
): Promise<void> {
  await onBtrfs(process, from, (source) =>
    onName(process, path, BTRFS_IOC_SNAP_CREATE_V2, (argument) => {
      argument.fd = BigInt(source);
      argument.flags = BigInt(options.readOnly ? BTRFS_SUBVOL_RDONLY : 0);
    }),
  );
}

/**
 * Delete a subvolume with all that is in it, but for other subvolumes. Its room becomes free bit by
 * bit, after that.
 *
 * @throws {SystemError} EINVAL if it is a mere directory, ENOTEMPTY if there are subvolumes in it,
 *   EPERM if it is the default, ENOENT…
 * @throws {NotBtrfsError}
 */
export async function deleteSubvolume(process: Process, path: string | Uint8Array): Promise<void> {
  await onName(process, path, BTRFS_IOC_SNAP_DESTROY_V2);
}

/** The identifier of the subvolume that a file is in. @throws {NotBtrfsError} */
export function subvolumeId(process: Process, target: Target): Promise<number> {
  return onBtrfs(process, target, async (fd) => {
    const argument = BtrfsIoctlInoLookupArgs.alloc();
    argument.objectid = BigInt(BTRFS_FIRST_FREE_OBJECTID);
    await process.ioctl(fd, BTRFS_IOC_INO_LOOKUP, argument.bytes);
    return Number(argument.treeid);
  });
}

/** Forbid or allow changes in a subvolume. @throws {SystemError} EINVAL if it is a mere directory */
export async function setSubvolumeReadOnly(
  process: Process,
  target: Target,
  readOnly: boolean,
): Promise<void> {
  const bytes = new Uint8Array(8);
  const view = viewOf(bytes);
  await onBtrfs(process, target, async (fd) => {
    await process.ioctl(fd, BTRFS_IOC_SUBVOL_GETFLAGS, bytes);
    const others = view.getBigUint64(0, true) & ~BigInt(BTRFS_SUBVOL_RDONLY);
    view.setBigUint64(0, others | BigInt(readOnly ? BTRFS_SUBVOL_RDONLY : 0), true);
    await process.ioctl(fd, BTRFS_IOC_SUBVOL_SETFLAGS, bytes);
  });
}

/** Which subvolume is mounted if none is asked for. @throws {NotBtrfsError} */
export function getDefaultSubvolume(process: Process, target: Target): Promise<number> {
  return onBtrfs(process, target, async (fd) => {
    const range = {
      tree: BTRFS_ROOT_TREE_OBJECTID,
      objectids: [BTRFS_ROOT_TREE_DIR_OBJECTID, BTRFS_ROOT_TREE_DIR_OBJECTID],
      types: [BTRFS_DIR_ITEM_KEY, BTRFS_DIR_ITEM_KEY],
    } as const;
    for await (const item of treeItems(process, fd, range)) {
      const entry = BtrfsDirItem.from(item.bytes);
      const name = item.bytes.subarray(BtrfsDirItem.size, BtrfsDirItem.size + entry.name_len);
      if (cString(name) === "default") return Number(entry.location.objectid);
    }
    return TOP_SUBVOLUME;
  });
}

/**
 * Say which subvolume is mounted if none is asked for, from the next mount on.
 *
 * @param id as {@link subvolumeId} and {@link listSubvolumes} have it; {@link TOP_SUBVOLUME}: the top
 * @throws {SystemError} ENOENT if there is none of that number
 */
export async function setDefaultSubvolume(
  process: Process,
  target: Target,
  id: number,
): Promise<void> {
  if (!Number.isSafeInteger(id) || id < TOP_SUBVOLUME)
    throw new InvalidOptionError(
      "id",
      `${id}: a subvolume's is a whole number from ${TOP_SUBVOLUME}`,
    );
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, BigInt(id), true);
  await onBtrfs(process, target, (fd) => process.ioctl(fd, BTRFS_IOC_DEFAULT_SUBVOL, bytes));
}

/** What a tree says of a subvolume that is in another one. */
interface Reference {
  readonly parentId: bigint;
  readonly directory: bigint;
  readonly name: string;
}

/**
 * All subvolumes but the top, by their identifiers, wherever in the file system they are.
 *
 * @throws {SystemError} EPERM without rights
 * @throws {NotBtrfsError}
 */
export function listSubvolumes(process: Process, target: Target): Promise<Subvolume[]> {
  return onBtrfs(process, target, async (fd) => {
    const roots = new Map<bigint, BtrfsRootItem>();
    const references = new Map<bigint, Reference>();
    const range = {
      tree: BTRFS_ROOT_TREE_OBJECTID,
      objectids: [BTRFS_FIRST_FREE_OBJECTID, BTRFS_LAST_FREE_OBJECTID],
      types: [BTRFS_ROOT_ITEM_KEY, BTRFS_ROOT_BACKREF_KEY],
    } as const;
    for await (const { type, objectid, offset, bytes } of treeItems(process, fd, range)) {
      if (type === BTRFS_ROOT_ITEM_KEY) roots.set(objectid, BtrfsRootItem.from(padded(bytes)));
      else if (type === BTRFS_ROOT_BACKREF_KEY) {
        const found = BtrfsRootRef.from(bytes);
        const name = bytes.subarray(BtrfsRootRef.size, BtrfsRootRef.size + found.name_len);
        const reference = { parentId: offset, directory: found.dirid, name: textOf(name) };
        references.set(objectid, reference);
      }
    }
    const paths = new Map([[BigInt(TOP_SUBVOLUME), ""]]);
    const found: Subvolume[] = [];
    // One that has no reference is deleted, and on its way out.
    for (const [id, { parentId }] of references) {
      const root = roots.get(id);
      const path = await pathFromTop(process, fd, references, paths, id);
      if (root && path !== undefined) found.push(subvolumeOf(root, id, parentId, path));
    }
    return found.toSorted((a, b) => a.id - b.id);
  });
}

const decoder = new TextDecoder();
const textOf = (bytes: Uint8Array) => decoder.decode(bytes.slice());

/** An item of a tree, with the bytes that an old kernel did not write yet. */
function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length >= BtrfsRootItem.size) return bytes;
  const whole = new Uint8Array(BtrfsRootItem.size);
  whole.set(bytes);
  return whole;
}

function subvolumeOf(root: BtrfsRootItem, id: bigint, parentId: bigint, path: string): Subvolume {
  const uuid = (bytes: Uint8Array) => dashed(hexOf(bytes), [8, 4, 4, 4, 12]);
  return {
    id: Number(id),
    parentId: Number(parentId),
    path,
    readOnly: (root.flags & BigInt(BTRFS_ROOT_SUBVOL_RDONLY)) !== 0n,
    uuid: uuid(root.uuid),
    parentUuid: uuid(root.parent_uuid),
    receivedUuid: uuid(root.received_uuid),
    generation: Number(root.generation),
    createdNs: root.otime.sec * 1_000_000_000n + BigInt(root.otime.nsec),
  };
}

/** Damaged ones may be inside each other in a circle. */
const MAX_DEPTH = 256;

/** The path of a subvolume; undefined if what it is in is not there any more. */
async function pathFromTop(
  process: Process,
  fd: number,
  references: ReadonlyMap<bigint, Reference>,
  paths: Map<bigint, string>,
  id: bigint,
  depth = 0,
): Promise<string | undefined> {
  const known = paths.get(id);
  if (known !== undefined) return known;
  const reference = references.get(id);
  if (!reference || depth > MAX_DEPTH) return undefined;
  const { parentId, directory, name } = reference;
  const parent = await pathFromTop(process, fd, references, paths, parentId, depth + 1);
  if (parent === undefined) return undefined;
  const argument = BtrfsIoctlInoLookupArgs.alloc();
  argument.treeid = parentId;
  argument.objectid = directory;
  await process.ioctl(fd, BTRFS_IOC_INO_LOOKUP, argument.bytes);
  // It ends in a slash, unless it is empty.
  const path = `${parent ? `${parent}/` : ""}${cString(argument.name)}${name}`;
  paths.set(id, path);
  return path;
}
