// A leaf of a btrfs tree: a header, keys from the front, their items from the back.

import { crc32c } from "../checksum.ts";
import { Record } from "../record.ts";
import { GENERATION, HEADER_FLAGS } from "./layout.ts";

type Wide = number | bigint;

export interface Key {
  readonly object: Wide;
  readonly type: number;
  readonly offset: Wide;
}

export interface Item extends Key {
  readonly bytes: Uint8Array;
}

export interface LeafPlace {
  readonly fsid: string;
  readonly chunkTreeUuid: string;
  readonly nodeBytes: number;
  /** The leaf's logical address. */
  readonly address: number;
  /** The tree that it is of. */
  readonly owner: Wide;
}

const CHECKSUM_BYTES = 32;
/** struct btrfs_header */
const HEADER_BYTES = 101;
/** struct btrfs_item */
const ITEM_BYTES = 25;
/** struct btrfs_disk_key */
export const KEY_BYTES = 17;

/** Puts a struct btrfs_disk_key into a record. */
export function putKey(record: Record, at: number, key: Key): void {
  record
    .u64(at, key.object)
    .u8(at + 8, key.type)
    .u64(at + 9, key.offset);
}

function compareKeys(a: Key, b: Key): number {
  for (const [left, right] of [
    [a.object, b.object],
    [a.type, b.type],
    [a.offset, b.offset],
  ])
    if (left !== right) return left < right ? -1 : 1;
  return 0;
}

/** Sets the checksum of a block: CRC-32C of all that follows it. */
export function seal(block: Record): Uint8Array<ArrayBuffer> {
  const covered = block.bytes.subarray(CHECKSUM_BYTES);
  return block.u32(0, ~crc32c(~0, covered) >>> 0).bytes;
}

/** The only leaf of a tree, which must have room for all. */
export function makeLeaf(place: LeafPlace, items: readonly Item[]): Uint8Array<ArrayBuffer> {
  const leaf = new Record(place.nodeBytes)
    .uuid(32, place.fsid)
    .u64(48, place.address)
    .u64(56, HEADER_FLAGS)
    .uuid(64, place.chunkTreeUuid)
    .u64(80, GENERATION)
    .u64(88, place.owner)
    .u32(96, items.length);
  let end = place.nodeBytes;
  for (const [i, item] of items.toSorted(compareKeys).entries()) {
    const at = HEADER_BYTES + i * ITEM_BYTES;
    end -= item.bytes.length;
    if (end < at + ITEM_BYTES) throw new RangeError(`too many items for a leaf`);
    putKey(leaf, at, item);
    leaf.u32(at + KEY_BYTES, end - HEADER_BYTES).u32(at + KEY_BYTES + 4, item.bytes.length);
    leaf.set(end, item.bytes);
  }
  return seal(leaf);
}
