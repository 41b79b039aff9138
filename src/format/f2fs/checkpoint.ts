// The first checkpoint of f2fs, and the tables that it refers to: segments (SIT) and nodes (NAT).
// Structures: the kernel's include/linux/f2fs_fs.h.

import type { ImageWriter } from "../image-writer.ts";
import { Record } from "../record.ts";
import { checksum } from "./checksum.ts";
import {
  bitmapBytes,
  BLOCK_BYTES,
  CHECKSUM_AT,
  LOGS,
  SEGMENT_BLOCKS,
  SEGMENT_BYTES,
} from "./geometry.ts";
import type { Geometry } from "./geometry.ts";
import { INODE } from "./inode.ts";

/** enum log_type: what the logs are for, and so their segments. */
const LOG = { hotData: 0, warmData: 1, coldData: 2, hotNode: 3, warmNode: 4, coldNode: 5 } as const;
const LOGS_OF_A_KIND = 3;
/** The root directory's inode and its entries are the first blocks of their logs. */
const USED_BLOCKS = 2;
const usedBlocks = (log: number) => (log === LOG.hotNode || log === LOG.hotData ? 1 : 0);

/** CP_UMOUNT_FLAG: it ended clean, and summaries of nodes are in the checkpoint. */
const UNMOUNTED = 1;
/** SUM_TYPE_NODE; data is 0. */
const NODE_SUMMARY = 1;
const SUMMARY_TYPE_AT = BLOCK_BYTES - 5;
/** MAX_ACTIVE_NODE_LOGS, MAX_ACTIVE_DATA_LOGS */
const ACTIVE_LOGS = 8;
const NO_SEGMENT = 0xffff_ffff;

/** Each log has a segment; they are the first ones, nodes before data. */
function segmentOf(log: number): number {
  return (log + LOGS_OF_A_KIND) % LOGS;
}

/** The address of the first block of a log. */
function startOf({ mainAt }: Geometry, log: number): number {
  return mainAt + segmentOf(log) * SEGMENT_BLOCKS;
}

/** Where the root directory is, in blocks. */
export function rootPlace(geometry: Geometry): { inodeAt: number; entriesAt: number } {
  return { inodeAt: startOf(geometry, LOG.hotNode), entriesAt: startOf(geometry, LOG.hotData) };
}

/** Both blocks of checkpoints, all its summaries, and what does not fit into the first. */
function packBlocks({ payloadBlocks }: Geometry): number {
  return 2 + LOGS + payloadBlocks;
}

function putLogs(block: Record): void {
  for (let i = 0; i < ACTIVE_LOGS; i++) {
    const used = i < LOGS_OF_A_KIND;
    block
      .u32(36 + i * 4, used ? segmentOf(LOG.hotNode + i) : NO_SEGMENT)
      .u16(68 + i * 2, used ? usedBlocks(LOG.hotNode + i) : 0)
      .u32(84 + i * 4, used ? segmentOf(LOG.hotData + i) : NO_SEGMENT)
      .u16(116 + i * 2, used ? usedBlocks(LOG.hotData + i) : 0);
  }
}

/** struct f2fs_checkpoint */
function checkpointBlock(geometry: Geometry, version: number): Uint8Array<ArrayBuffer> {
  const { mainSegments, overprovisionSegments, payloadBlocks } = geometry;
  const block = new Record(BLOCK_BYTES)
    .u64(0, version)
    .u64(8, (mainSegments - overprovisionSegments) * SEGMENT_BLOCKS)
    .u64(16, USED_BLOCKS)
    .u32(24, geometry.reservedSegments)
    .u32(28, overprovisionSegments)
    .u32(32, mainSegments - LOGS)
    .u32(132, UNMOUNTED)
    .u32(136, packBlocks(geometry))
    .u32(140, 1 + payloadBlocks)
    .u32(144, 1) // a node
    .u32(148, 1) // an inode
    .u32(152, INODE.firstFree)
    .u32(156, bitmapBytes(geometry.sitSegments))
    .u32(160, bitmapBytes(geometry.natSegments))
    .u32(164, CHECKSUM_AT);
  putLogs(block);
  return block.u32(CHECKSUM_AT, checksum(block.part(0, CHECKSUM_AT))).bytes;
}

/** struct f2fs_summary_block: whose the blocks of a log's segment are. */
function summaryBlock(log: number): Uint8Array<ArrayBuffer> {
  const block = new Record(BLOCK_BYTES);
  if (usedBlocks(log)) block.u32(0, INODE.root);
  if (log >= LOG.hotNode) block.u8(SUMMARY_TYPE_AT, NODE_SUMMARY);
  return block.bytes;
}

/** Writes both packs. The second, of version 0, is the older one, which is overwritten next. */
export function writeCheckpoint(image: ImageWriter, geometry: Geometry, version: number): void {
  const { checkpointAt, payloadBlocks } = geometry;
  const packBytes = packBlocks(geometry) * BLOCK_BYTES;
  for (const [i, one] of [version, 0].entries()) {
    const pack = new Record(packBytes);
    const block = checkpointBlock(geometry, one);
    pack.set(0, block);
    for (let log = 0; log < LOGS; log++)
      pack.set((1 + payloadBlocks + log) * BLOCK_BYTES, summaryBlock(log));
    pack.set(packBytes - BLOCK_BYTES, block);
    image.write((checkpointAt + i * SEGMENT_BLOCKS) * BLOCK_BYTES, pack.bytes);
  }
}

const SIT_ENTRY_BYTES = 74;
/** Where the log's type is in the count of valid blocks. */
const LOG_SHIFT = 10;
/** The first of a segment's blocks is valid. */
const FIRST_BLOCK = 0x80;

/** Segments: those of the logs are in use, all others free. Zeroes the first copy of the table. */
export function writeSegments(image: ImageWriter, geometry: Geometry): void {
  const { sitAt, sitSegments } = geometry;
  image.zero(sitAt * BLOCK_BYTES, (sitSegments / 2) * SEGMENT_BYTES);
  const block = new Record(BLOCK_BYTES);
  for (let log = 0; log < LOGS; log++) {
    const at = segmentOf(log) * SIT_ENTRY_BYTES;
    const used = usedBlocks(log);
    block.u16(at, (log << LOG_SHIFT) | used).u8(at + 2, used ? FIRST_BLOCK : 0);
  }
  image.write(sitAt * BLOCK_BYTES, block.bytes);
}

const NAT_ENTRY_BYTES = 9;

/** Nodes: where the root's inode is. The two copies of the table alternate, a segment each. */
export function writeNodes(image: ImageWriter, geometry: Geometry): void {
  const { natAt, natSegments } = geometry;
  for (let segment = 0; segment < natSegments; segment += 2)
    image.zero(natAt * BLOCK_BYTES + segment * SEGMENT_BYTES, SEGMENT_BYTES);
  const block = new Record(BLOCK_BYTES);
  const put = (number: number, address: number) =>
    block.u32(number * NAT_ENTRY_BYTES + 1, number).u32(number * NAT_ENTRY_BYTES + 5, address);
  // They have no block, and 1 says so.
  put(INODE.node, 1);
  put(INODE.meta, 1);
  put(INODE.root, rootPlace(geometry).inodeAt);
  image.write(natAt * BLOCK_BYTES, block.bytes);
}

/** Recovery after a crash looks for nodes from here on: there shall be none of an earlier user. */
export function clearRecovery(image: ImageWriter, geometry: Geometry): void {
  image.zero(startOf(geometry, LOG.warmNode) * BLOCK_BYTES, BLOCK_BYTES);
}
