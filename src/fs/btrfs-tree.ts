// The trees of a mounted Btrfs, which keep all it knows (BTRFS_IOC_TREE_SEARCH).

import { BTRFS_IOC_TREE_SEARCH } from "../abi/constants/btrfs.ts";
import { viewOf } from "../abi/struct.ts";
import { BtrfsIoctlSearchArgs, BtrfsIoctlSearchHeader } from "../abi/structs/btrfs.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { filesystemOf } from "./filesystem.ts";
import { pathOf, withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/** Something of Btrfs is asked of another file system. */
export class NotBtrfsError extends Error {
  override readonly name = "NotBtrfsError";
  readonly code = "ERR_NOT_BTRFS";
  /** What it is, as in /proc/filesystems. */
  readonly type: string;

  constructor(type: string, path: string | undefined) {
    super(`${path ?? "this file"} is on ${type}: only btrfs has such a thing`);
    this.type = type;
  }
}

/** Do something with a descriptor on Btrfs. @throws {NotBtrfsError} */
export function onBtrfs<T>(
  process: Process,
  target: Target,
  use: (fd: number) => Promise<T>,
  flags?: number,
): Promise<T> {
  const checked = async (fd: number) => {
    try {
      return await use(fd);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ENOTTY")) throw error;
      const { type } = await filesystemOf(process, fd);
      throw new NotBtrfsError(type, pathOf(target));
    }
  };
  return withDescriptor(process, target, checked, flags);
}

/** What a tree has under a key. */
export interface TreeItem {
  readonly objectid: bigint;
  readonly type: number;
  readonly offset: bigint;
  /** Of its own. */
  readonly bytes: Uint8Array;
}

export interface TreeRange {
  /** BTRFS_…_TREE_OBJECTID */
  readonly tree: number;
  /** The first and the last. */
  readonly objectids: readonly [number | bigint, number | bigint];
  readonly types: readonly [number, number];
}

const MAX_U64 = 2n ** 64n - 1n;
/** More than fit one answer. */
const ITEMS_AT_ONCE = 4096;
const BITS = { type: 64n, objectid: 72n };

/**
 * The items of a tree whose keys are in a range, in their order. A key is a number of 136
 * bits (objectid, type, offset), so in the middle of a range of objectids all types come.
 */
export async function* treeItems(
  process: Process,
  fd: number,
  { tree, objectids, types }: TreeRange,
): AsyncGenerator<TreeItem, void, undefined> {
  const keyOf = (objectid: bigint, type: bigint, offset: bigint) =>
    (BigInt.asUintN(64, objectid) << BITS.objectid) | (type << BITS.type) | offset;
  let least = keyOf(BigInt(objectids[0]), BigInt(types[0]), 0n);
  const most = keyOf(BigInt(objectids[1]), BigInt(types[1]), MAX_U64);
  while (least <= most) {
    const argument = BtrfsIoctlSearchArgs.alloc();
    const { key } = argument;
    key.tree_id = BigInt(tree);
    key.min_objectid = least >> BITS.objectid;
    key.min_type = Number((least >> BITS.type) & 0xffn);
    key.min_offset = least & MAX_U64;
    key.max_objectid = BigInt.asUintN(64, BigInt(objectids[1]));
    [, key.max_type] = types;
    key.max_offset = MAX_U64;
    key.max_transid = MAX_U64;
    key.nr_items = ITEMS_AT_ONCE;
    await process.ioctl(fd, BTRFS_IOC_TREE_SEARCH, argument.bytes);
    if (!key.nr_items) return;
    const { buf } = argument;
    const view = viewOf(buf);
    for (let i = 0, at = 0; i < key.nr_items; i++) {
      const { objectid, type, offset, len } = new BtrfsIoctlSearchHeader(view, at);
      at += BtrfsIoctlSearchHeader.size;
      yield { objectid, type, offset, bytes: buf.subarray(at, at + len) };
      at += len;
      least = keyOf(objectid, BigInt(type), offset) + 1n;
    }
  }
}
