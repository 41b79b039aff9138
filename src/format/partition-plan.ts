// Where partitions are to be: the places that are given, and those that follow from them.

import { MkfsError } from "./errors.ts";

/** A place, in blocks. */
export interface Extent {
  readonly start: number;
  /** The block after the last. */
  readonly end: number;
}

/** A wish for a place. */
export interface PlaceWish {
  /** Default: after the partition before, at a multiple of the alignment. */
  readonly startBytes?: number | undefined;
  /** "rest": what the ones around it leave. */
  readonly sizeBytes: number | "rest";
  /** Blocks that must be free before the partition: a logical one's table. */
  readonly lead: number;
}

export interface Space extends Extent {
  readonly blockBytes: number;
  /** In blocks. */
  readonly alignment: number;
}

/** One of the options is wrong. */
export function wrong(problem: string): MkfsError {
  return new MkfsError("EINVAL", problem, { syscall: "partition", option: "partitions" });
}

/**
 * Give each wish its place, in their order.
 *
 * @throws {MkfsError} EINVAL where places overlap, or are beyond the space; ENOSPC if there is no room
 */
export function placePartitions(space: Space, wishes: readonly PlaceWish[]): Extent[] {
  const places: Extent[] = [];
  let next = space.start;
  for (const [i, wish] of wishes.entries()) {
    const number = i + 1;
    const start = startOf(space, wish, number, next);
    const end =
      wish.sizeBytes === "rest"
        ? restEnd(space, wishes, i, start)
        : start + blocksOf(space, wish.sizeBytes, `sizeBytes of partition ${number}`);
    if (end <= start) throw noRoom(space, `partition ${number} gets none`);
    if (end > space.end)
      throw wish.startBytes === undefined
        ? noRoom(space, `partition ${number} ends ${(end - space.end) * space.blockBytes} later`)
        : wrong(
            `partition ${number} ends beyond ${space.end * space.blockBytes}, the end of what can be used`,
          );
    places.push({ start, end });
    next = Math.max(next, end);
  }
  checkOverlaps(space, places);
  return places;
}

function startOf(space: Space, wish: PlaceWish, number: number, next: number): number {
  if (wish.startBytes === undefined)
    return Math.ceil(next / space.alignment) * space.alignment + wish.lead;
  const start = blocksOf(space, wish.startBytes, `startBytes of partition ${number}`);
  if (start < space.start)
    throw wrong(
      `partition ${number} begins before ${space.start * space.blockBytes}, where the table ends`,
    );
  return start;
}

/** Up to the next one that has a fixed place, less what those between need. */
function restEnd(space: Space, wishes: readonly PlaceWish[], index: number, start: number): number {
  const { alignment } = space;
  let end = space.end;
  let needed = 0;
  for (const [i, wish] of wishes.entries()) {
    if (i <= index) continue;
    if (wish.startBytes !== undefined) {
      end = Math.min(end, wish.startBytes / space.blockBytes - wish.lead);
      break;
    }
    if (wish.sizeBytes === "rest")
      throw wrong(`partitions ${index + 1} and ${i + 1} cannot both take the same rest`);
    const blocks = blocksOf(space, wish.sizeBytes, `sizeBytes of partition ${i + 1}`);
    needed += Math.ceil((blocks + wish.lead) / alignment) * alignment;
  }
  const limit = end - needed;
  const aligned = Math.floor(limit / alignment) * alignment;
  return aligned > start ? aligned : needed ? aligned : limit;
}

function blocksOf(space: Space, bytes: number, what: string): number {
  if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes % space.blockBytes)
    throw wrong(`${what}: ${bytes} is no multiple of the disk's blocks of ${space.blockBytes}`);
  return bytes / space.blockBytes;
}

function noRoom(space: Space, detail: string): MkfsError {
  const bytes = (space.end - space.start) * space.blockBytes;
  return new MkfsError(
    "ENOSPC",
    `the disk has room for ${Math.max(0, bytes)} bytes of partitions, and ${detail}: ` +
      "use a larger disk, smaller partitions, or a smaller alignmentBytes",
    { syscall: "partition" },
  );
}

function checkOverlaps(space: Space, places: readonly Extent[]): void {
  const sorted = [...places.entries()].toSorted(([, a], [, b]) => a.start - b.start);
  for (const [i, [number, place]] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before[1].end > place.start)
      throw wrong(
        `partitions ${before[0] + 1} and ${number + 1} overlap at ${place.start * space.blockBytes}`,
      );
  }
}
