// An ext file system while it is made: which blocks are in use by what, and its inodes.
//
// Invariants: each block that `space` has in use is a structure of a group, or belongs to an inode in
// `inodes`, which are all in the first group.

import { crc32c } from "../checksum.ts";
import type { ImageWriter } from "../image-writer.ts";
import { Record } from "../record.ts";
import { BlockSet } from "./block-set.ts";
import type { Run } from "./block-set.ts";
import type { Features } from "./features.ts";
import { FIRST_FREE_INODE, groupEnd, groupStart, headerBlocks } from "./geometry.ts";
import type { Geometry } from "./geometry.ts";

/** Where a group has its structures. */
export interface GroupPlaces {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
}

/** There are too few blocks; the caller says how many there should be. */
export class NoRoomError extends Error {
  override readonly name = "NoRoomError";
}

export class ExtVolume {
  readonly geometry: Geometry;
  readonly features: Features;
  readonly image: ImageWriter;
  readonly uuid: string;
  readonly timeSeconds: number;
  /** Starts the checksums of all structures, if they have some. */
  readonly checksumSeed: number;
  readonly places: readonly GroupPlaces[];
  readonly space = new BlockSet();
  readonly inodes = new Map<number, Uint8Array<ArrayBuffer>>();
  /** Inodes in use that are directories. */
  directories = 0;
  #nextInode = FIRST_FREE_INODE;

  /** @throws {NoRoomError} */
  constructor(fields: {
    readonly geometry: Geometry;
    readonly features: Features;
    readonly image: ImageWriter;
    readonly uuid: string;
    readonly timeSeconds: number;
    readonly checksumSeed: number;
  }) {
    this.geometry = fields.geometry;
    this.features = fields.features;
    this.image = fields.image;
    this.uuid = fields.uuid;
    this.timeSeconds = fields.timeSeconds;
    this.checksumSeed = fields.checksumSeed;
    for (let group = 0; group < this.geometry.groups; group++) {
      const length = headerBlocks(this.geometry, group);
      const start = groupStart(this.geometry, group);
      if (start + length > groupEnd(this.geometry, group)) throw new NoRoomError();
      this.space.add(start, length);
    }
    this.places = this.#placeGroups();
  }

  /** Groups of a flex group have their bitmaps first, then their inode tables. */
  #placeGroups(): GroupPlaces[] {
    const { geometry } = this;
    const places: GroupPlaces[] = [];
    for (let first = 0; first < geometry.groups; first += geometry.groupsPerFlex) {
      const count = Math.min(geometry.groupsPerFlex, geometry.groups - first);
      const start = groupStart(geometry, first);
      // Without flex_bg, what a group has must be in it.
      const end = geometry.groupsPerFlex === 1 ? groupEnd(geometry, first) : geometry.blocks;
      const take = (blocks: number) =>
        Array.from({ length: count }, () => this.#allocate(blocks, start, end));
      const blockBitmaps = take(1);
      const inodeBitmaps = take(1);
      const inodeTables = take(geometry.inodeTableBlocks);
      for (let i = 0; i < count; i++)
        places.push({
          blockBitmap: blockBitmaps[i],
          inodeBitmap: inodeBitmaps[i],
          inodeTable: inodeTables[i],
        });
    }
    return places;
  }

  /** Take blocks in a row, the first that are free between two. @throws {NoRoomError} */
  #allocate(count: number, from: number, to: number): number {
    for (const run of this.space.free(from, to)) {
      if (run.length < count) continue;
      this.space.add(run.start, count);
      return run.start;
    }
    throw new NoRoomError();
  }

  /** Take one block, the first that is free from a block on. @throws {NoRoomError} */
  allocateBlock(goal = this.geometry.firstBlock): number {
    return this.allocateRuns(1, goal)[0].start;
  }

  /** Take blocks in as few runs as there are from a block on, and then from the start. @throws {NoRoomError} */
  allocateRuns(count: number, goal = this.geometry.firstBlock): Run[] {
    const { blocks, firstBlock } = this.geometry;
    const taken: Run[] = [];
    let missing = count;
    for (const [from, to] of [
      [goal, blocks],
      [firstBlock, goal],
    ]) {
      for (const run of this.space.free(from, to)) {
        if (!missing) break;
        const length = Math.min(missing, run.length);
        taken.push({ start: run.start, length });
        missing -= length;
      }
    }
    if (missing) throw new NoRoomError();
    for (const run of taken) this.space.add(run.start, run.length);
    return taken;
  }

  writeBlocks(block: number, bytes: Uint8Array): void {
    this.image.write(block * this.geometry.blockBytes, bytes);
  }

  zeroBlocks(block: number, count: number): void {
    const { blockBytes } = this.geometry;
    this.image.zero(block * blockBytes, count * blockBytes);
  }

  /** The number of an inode that has no meaning of its own. */
  takeInode(): number {
    return this.#nextInode++;
  }

  /** Starts the checksums of an inode and of what it owns. */
  inodeSeed(inode: number): number {
    // The generation, which follows the number, is 0.
    return crc32c(this.checksumSeed, new Record(8).u32(0, inode).bytes);
  }
}
