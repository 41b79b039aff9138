// The first inodes of XFS: the root directory, and two of the realtime section, which is not there.
// struct xfs_dinode of the kernel's fs/xfs/libxfs/xfs_format.h.

import { Record } from "../record.ts";
import { CHUNK_INODES, INODE_BYTES, INODES_PER_BLOCK } from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import { seal } from "./seal.ts";

/** Root directory, realtime bitmap, realtime summary. */
export const USED_INODES = 3;

const VERSION = 3;
const NONE = 0xffff_ffff;
const DIRECTORY_MODE = 0o40755;
const FILE_MODE = 0o100000;
/** enum xfs_dinode_fmt: the content is in the inode, or a list of extents. */
const FORMAT = { local: 1, extents: 2 } as const;
/** XFS_DIFLAG_NEWRTBM: the bitmap has the layout of today. */
const NEW_BITMAP = 4;
/** XFS_DIFLAG2_BIGTIME, XFS_DIFLAG2_NREXT64 */
const BIG_TIME = 8;
const LARGE_COUNTS = 16;
/** XFS_BIGTIME_EPOCH_OFFSET: times start in 1901. */
const EPOCH_SECONDS = 2n ** 31n;
/** XFS_BIGTIME_TIME_MAX in seconds since 1970: 2486-07-02 20:20:24 UTC. */
export const LAST_SECONDS = 16_299_260_424;
const NANOSECONDS = 1_000_000_000n;

const CRC_AT = 100;
const FORK_AT = 176;

export interface InodeOptions {
  readonly uuid: string;
  readonly timeSeconds: number;
  /** Files may have 2⁴⁸ extents. */
  readonly largeCounts: boolean;
}

/** The number of the root directory, which is the first inode. */
export function rootInode({ inodeBlock }: Geometry): number {
  return inodeBlock * INODES_PER_BLOCK;
}

/** What every inode has, used or not. */
function freeInode(number: number, uuid: string): Record {
  return new Record(INODE_BYTES)
    .ascii(0, "IN")
    .u8(4, VERSION)
    .u32be(96, NONE)
    .u64be(152, number)
    .uuid(160, uuid);
}

function usedInode(number: number, mode: number, links: number, options: InodeOptions): Record {
  const time = (BigInt(options.timeSeconds) + EPOCH_SECONDS) * NANOSECONDS;
  const inode = freeInode(number, options.uuid)
    .u16be(2, mode)
    .u8(5, FORMAT.extents)
    .u32be(16, links)
    .u8(83, FORMAT.extents)
    .u64be(104, 1)
    .u64be(120, BIG_TIME | (options.largeCounts ? LARGE_COUNTS : 0));
  for (const at of [32, 40, 48, 144]) inode.u64be(at, time);
  return inode;
}

/** A directory without entries: a count of 0, and its parent, which is itself. */
function rootDirectory(number: number, options: InodeOptions): Record {
  return usedInode(number, DIRECTORY_MODE, 2, options)
    .u8(5, FORMAT.local)
    .u64be(56, 6)
    .u32be(FORK_AT + 2, number);
}

/** The only chunk of inodes. */
export function inodeChunk(geometry: Geometry, options: InodeOptions): Uint8Array<ArrayBuffer> {
  const first = rootInode(geometry);
  const used = [
    rootDirectory(first, options),
    usedInode(first + 1, FILE_MODE, 1, options).u16be(90, NEW_BITMAP),
    usedInode(first + 2, FILE_MODE, 1, options),
  ];
  const chunk = new Uint8Array(CHUNK_INODES * INODE_BYTES);
  for (let i = 0; i < CHUNK_INODES; i++)
    chunk.set(seal(used[i] ?? freeInode(first + i, options.uuid), CRC_AT), i * INODE_BYTES);
  return chunk;
}
