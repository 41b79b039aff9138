// Damages an image where it hurts: in what is neither empty nor the content of files.

import { CONTENT } from "./hostile-bases.ts";
import { Chooser } from "./numbers.ts";
import type { Seal } from "./seals.ts";
import { sealsOf } from "./seals.ts";
import type { UndoDisk } from "./undo-disk.ts";

const SECTOR = 512;
const BLOCK = 4096;
const MAX_CHANGES = 6;
/** Counts and places that programs get wrong. */
const VALUES = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
];

/** Offsets of sectors. */
type Block = readonly number[];

/** Whether there is nothing in a sector but one byte over and over, or what files are full of. */
function isDull(sector: Uint8Array): boolean {
  const [first] = sector;
  return (first === 0 || first === 0xff || first === CONTENT) && sector.every((b) => b === first);
}

export class Mutator {
  readonly #disk: UndoDisk;
  readonly #byNumber = new Map<number, number[]>();
  readonly #seals: readonly Seal[];
  /** Blocks with something to damage: of each, its sectors that have it. */
  readonly #blocks: readonly Block[];
  /** Blocks in a row: long ones are logs and tables, of which no more is to be known. */
  readonly #runs: readonly (readonly Block[])[];
  /** Blocks that a kernel reads. */
  #read: readonly Block[] = [];

  /** @param disk has the image as it was made */
  constructor(type: string, disk: UndoDisk) {
    this.#disk = disk;
    this.#seals = sealsOf(type, disk.bytes);
    const blocks = this.#byNumber;
    for (let at = 0; at + SECTOR <= disk.bytes.length; at += SECTOR) {
      if (isDull(disk.bytes.subarray(at, at + SECTOR))) continue;
      const block = Math.floor(at / BLOCK);
      blocks.set(block, [...(blocks.get(block) ?? []), at]);
    }
    this.#blocks = [...blocks.values()];
    const runs: Block[][] = [];
    let last = -2;
    for (const [number, block] of blocks) {
      if (number !== last + 1) runs.push([]);
      runs.at(-1)!.push(block);
      last = number;
    }
    this.#runs = runs;
  }

  /** Change the disk as the seed says. */
  mutate(seed: number): void {
    const choose = new Chooser(seed);
    const touched: number[] = [];
    const changes = choose.between(1, choose.between(1, MAX_CHANGES));
    for (let i = 0; i < changes; i++) touched.push(this.#change(choose));
    // Also with wrong checksums, some: those who check them have to survive it too.
    if (!choose.once(5)) this.#sealAgain(touched);
  }

  /** Damage above all what a kernel reads while this is done. */
  async learn(work: () => Promise<unknown>): Promise<void> {
    const numbers = new Set<number>();
    this.#disk.onRead = (offset, length) => {
      for (let at = offset; at < offset + length; at += BLOCK) numbers.add(Math.floor(at / BLOCK));
    };
    await work();
    this.#disk.onRead = null;
    this.#read = [...numbers].flatMap((number) => {
      const block = this.#byNumber.get(number);
      return block ? [block] : [];
    });
  }

  #sector(choose: Chooser): number {
    const where = choose.below(4);
    if (where > 1 && this.#read.length) return choose.of(choose.of(this.#read));
    return choose.of(choose.of(where === 0 ? this.#blocks : choose.of(this.#runs)));
  }

  /** @returns where */
  #change(choose: Chooser): number {
    const { bytes } = this.#disk;
    const sector = this.#sector(choose);
    const how = choose.below(20);
    if (how === 0) {
      this.#disk.writeZeroes(sector, SECTOR);
      return sector;
    }
    if (how === 1) {
      const from = this.#sector(choose);
      this.#disk.write(bytes.slice(from, from + SECTOR), sector);
      return sector;
    }
    const width = choose.of([1, 1, 2, 4, 8]);
    const at = this.#place(choose, sector, width);
    const field = bytes.slice(at, at + width);
    const kind = choose.below(4);
    if (kind === 0) field[choose.below(width)] ^= 1 << choose.below(8);
    else if (kind === 1) for (let i = 0; i < width; i++) field[i] = choose.below(256);
    else if (kind === 2) {
      const value = choose.of(VALUES);
      const bigEndian = choose.once(2);
      for (let i = 0; i < width; i++)
        field[bigEndian ? width - 1 - i : i] = i < 4 ? value >>> (8 * i) : 0;
    } else field[choose.of([0, width - 1])] += choose.of([1, -1, 2, 16]);
    this.#disk.write(field, at);
    return at;
  }

  /** Mostly where something is already. */
  #place(choose: Chooser, sector: number, width: number): number {
    const offset = () => choose.below(SECTOR / width) * width;
    for (let i = 0; i < 8; i++) {
      const at = sector + offset();
      if (this.#disk.bytes.subarray(at, at + width).some((byte) => byte)) return at;
    }
    return sector + offset();
  }

  #sealAgain(touched: readonly number[]): void {
    for (const { offsetBytes, lengthBytes, seal } of this.#seals) {
      if (!touched.some((at) => at >= offsetBytes && at < offsetBytes + lengthBytes)) continue;
      const bytes = this.#disk.bytes.slice(offsetBytes, offsetBytes + lengthBytes);
      seal(bytes);
      this.#disk.write(bytes, offsetBytes);
    }
  }
}
