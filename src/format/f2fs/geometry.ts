// How the space of a new f2fs is divided: checkpoints, SIT, NAT, SSA, and the main area. The arithmetic
// is that of mkfs.f2fs, so that its fsck and its resize find what they expect.

import { tooLarge, tooSmall } from "../errors.ts";

export const BLOCK_BYTES = 4096;
export const SEGMENT_BLOCKS = 512;
export const SEGMENT_BYTES = BLOCK_BYTES * SEGMENT_BLOCKS;
/** Logs that are written at once: hot, warm and cold ones of data and of nodes. */
export const LOGS = 6;

/** Entries in a block (SIT_ENTRY_PER_BLOCK, NAT_ENTRY_PER_BLOCK of include/linux/f2fs_fs.h). */
const SIT_ENTRIES = 55;
const NAT_ENTRIES = 455;
const CHECKPOINT_SEGMENTS = 2;
/** F2FS_MAX_SEGMENT: blocks are counted in 32 bits. */
const MOST_SEGMENTS = 8_388_608;
/** Where a checkpoint's checksum is, and where its bitmaps start. */
export const CHECKSUM_AT = BLOCK_BYTES - 4;
export const BITMAPS_AT = 192;
/** A bitmap of NAT has one segment's bits at least. */
const LEAST_NAT_BITMAP_BYTES = SEGMENT_BLOCKS / 8;

export interface Geometry {
  /** Of the whole disk. */
  readonly blocks: number;
  readonly segments: number;
  /** Both copies. */
  readonly sitSegments: number;
  readonly natSegments: number;
  readonly ssaSegments: number;
  readonly mainSegments: number;
  /** Addresses, in blocks. */
  readonly checkpointAt: number;
  readonly sitAt: number;
  readonly natAt: number;
  readonly ssaAt: number;
  readonly mainAt: number;
  /** Blocks of a checkpoint for a bitmap of SIT that does not fit into its first. */
  readonly payloadBlocks: number;
  /** Segments that the cleaner needs. */
  readonly reservedSegments: number;
  /** Segments that files cannot have: those, and some for cleaning to be worth while. */
  readonly overprovisionSegments: number;
}

/** Bytes of a bitmap that tells which of two copies is valid, for each block. */
export function bitmapBytes(segmentsOfBoth: number): number {
  return ((segmentsOfBoth / 2) * SEGMENT_BLOCKS) / 8;
}

const segmentsFor = (blocks: number) => Math.ceil(blocks / SEGMENT_BLOCKS);

/** NAT and what limits it: all its bitmap has to fit into a checkpoint's first block. */
function planNat(
  segments: number,
  sitSegments: number,
): Pick<Geometry, "natSegments" | "payloadBlocks"> {
  const room = CHECKSUM_AT - BITMAPS_AT;
  const sitBitmap = bitmapBytes(sitSegments);
  const outside = sitBitmap > room - LEAST_NAT_BITMAP_BYTES;
  const most = Math.floor(((outside ? room : room - sitBitmap) * 8) / SEGMENT_BLOCKS);
  const left = (segments - CHECKPOINT_SEGMENTS - sitSegments) * SEGMENT_BLOCKS;
  const wanted = segmentsFor(Math.ceil(left / NAT_ENTRIES));
  return {
    natSegments: 2 * Math.min(wanted, most),
    payloadBlocks: outside ? Math.ceil(sitBitmap / BLOCK_BYTES) : 0,
  };
}

interface Spare {
  /** For the cleaner. */
  readonly reserved: number;
  readonly over: number;
}

/** Segments that are kept at some percentage of overprovision; they need not be whole ones. */
function spareAt(mainSegments: number, percent: number): Spare {
  const reserved = 2 * (100 / percent + 1) + LOGS;
  return { reserved, over: ((mainSegments - reserved) * percent) / 100 };
}

/** Main areas from so many segments on have a percentage that is sought in fine steps. */
const FINE_SEGMENTS = 256;
const FINE = { least: 0.01, most: 10, step: 0.01 } as const;
const COARSE = { least: 10, most: 95, step: 5 } as const;

/** What is kept at the percentage that leaves most for files; null if nothing is left. */
function planSpare(mainSegments: number): Spare | null {
  const { least, most, step } = mainSegments < FINE_SEGMENTS ? COARSE : FINE;
  let best = 0;
  let bestRest = 0;
  for (let percent: number = least; percent <= most; percent += step) {
    const { reserved, over } = spareAt(mainSegments, percent);
    const rest = mainSegments - reserved - over;
    if (rest > bestRest) [best, bestRest] = [percent, rest];
  }
  if (!best) return null;
  const reserved = Math.floor(spareAt(mainSegments, best).reserved);
  if (mainSegments - LOGS < reserved) return null;
  return { reserved, over: Math.floor(((mainSegments - reserved) * best) / 100) };
}

/** What becomes of a number of segments; null if they are too few. */
function planSegments(segments: number): Omit<Geometry, "blocks"> | null {
  const sitSegments = 2 * segmentsFor(Math.ceil(segments / SIT_ENTRIES));
  const { natSegments, payloadBlocks } = planNat(segments, sitSegments);
  const before = CHECKPOINT_SEGMENTS + sitSegments + natSegments;
  // A summary block for each segment.
  const ssaSegments = segmentsFor(segments - before + 1);
  const mainSegments = segments - before - ssaSegments;
  const spare = planSpare(mainSegments);
  if (!spare) return null;
  // The segment before the first has the superblocks.
  const checkpointAt = SEGMENT_BLOCKS;
  const sitAt = checkpointAt + CHECKPOINT_SEGMENTS * SEGMENT_BLOCKS;
  const natAt = sitAt + sitSegments * SEGMENT_BLOCKS;
  const ssaAt = natAt + natSegments * SEGMENT_BLOCKS;
  return {
    segments,
    sitSegments,
    natSegments,
    ssaSegments,
    mainSegments,
    checkpointAt,
    sitAt,
    natAt,
    ssaAt,
    mainAt: ssaAt + ssaSegments * SEGMENT_BLOCKS,
    payloadBlocks,
    reservedSegments: spare.reserved,
    overprovisionSegments: spare.reserved + spare.over,
  };
}

function leastSegments(): number {
  let segments = CHECKPOINT_SEGMENTS;
  while (!planSegments(segments)) segments++;
  return segments;
}

/** @throws {MkfsError} ENOSPC, EFBIG */
export function planAreas(sizeBytes: number): Geometry {
  const mostBytes = MOST_SEGMENTS * SEGMENT_BYTES;
  if (sizeBytes > mostBytes) throw tooLarge("f2fs", sizeBytes, mostBytes);
  const segments = Math.floor(sizeBytes / SEGMENT_BYTES) - 1;
  const plan = segments < CHECKPOINT_SEGMENTS ? null : planSegments(segments);
  if (!plan) throw tooSmall("f2fs", sizeBytes, (leastSegments() + 1) * SEGMENT_BYTES);
  return { blocks: Math.floor(sizeBytes / BLOCK_BYTES), ...plan };
}
