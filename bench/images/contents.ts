// Reads and writes of a large file.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { O_DIRECT, O_RDONLY } from "../../src/abi/constants/fcntl.ts";
import type { Disk } from "../../src/disk/disk.ts";
import { MemoryDisk } from "../../src/disk/memory-disk.ts";
import { FileDisk } from "../../src/platform/node/file-disk.ts";
import type { Row } from "../measure.ts";
import { beside, EXT2FS, FUSE, LOOP } from "./beside.ts";
import { Noise } from "./noise.ts";
import { openOurs } from "./place.ts";
import type { OpenFile, Place } from "./place.ts";
import { openExt2fs, openFuse, openNative } from "./rivals.ts";
import { processorTimed, Samples, timed } from "./samples.ts";

const MIB = 1 << 20;
const FILE_MIB = 256;
const FILE_BYTES = FILE_MIB * MIB;
const BLOCK_BYTES = 4096;
const RANDOM_BYTES = 64 * MIB;
const RANDOM_READS = 4096;
const RANDOM_WRITES = 4096;
const ROUNDS = 7;
/** A rival is slower, and its number needs no such care. */
const RIVAL_ROUNDS = 3;
/** Of one read and one copy. */
const COLD_GOAL = 0.9;
/** Of one copy. */
const CACHED_GOAL = 0.8;

/** Only first and last bytes, so that looking takes no time. */
function expectEnds(what: string, piece: Buffer, length: number, content: Buffer, at: number) {
  const last = length - 4;
  const same =
    length >= 4 &&
    piece.readUInt32LE(0) === content.readUInt32LE(at) &&
    piece.readUInt32LE(last) === content.readUInt32LE(at + last);
  if (!same) throw new Error(`${what}: other bytes at ${at} than were written`);
}

function expectSame(what: string, piece: Buffer, length: number, content: Buffer, at: number) {
  if (content.compare(piece, 0, length, at, at + length) !== 0)
    throw new Error(`${what}: other bytes at ${at} than were written`);
}

/**
 * What every file system has to do that keeps what it reads: read from the disk into memory that is as
 * large as the file, and copy. In MiB/s.
 *
 * @param target gives what is copied to: as large as the file, or a piece of it
 */
function floor(disk: Disk, kept: Buffer, target: () => Buffer): Promise<number> {
  return processorRate(() => {
    const to = target();
    for (let at = 0; at < FILE_BYTES; at += MIB) {
      void disk.read(kept.subarray(at, at + MIB), at);
      kept.copy(to, to.length > MIB ? at : 0, at, at + MIB);
    }
  });
}

/** The same without keeping: each piece is read into memory that the processor's cache holds. */
function tightFloor(disk: Disk, piece: Buffer): Promise<number> {
  const read = Buffer.alloc(MIB);
  return processorRate(() => {
    for (let at = 0; at < FILE_BYTES; at += MIB) {
      void disk.read(read, at);
      read.copy(piece);
    }
  });
}

/** One copy of what is in memory. In MiB/s. */
function copy(content: Buffer, target: () => Buffer): Promise<number> {
  return processorRate(() => {
    const to = target();
    for (let at = 0; at < FILE_BYTES; at += MIB)
      content.copy(to, to.length > MIB ? at : 0, at, at + MIB);
  });
}

/** Measures something that is done with the whole file. In MiB/s. */
type Rate = (work: () => unknown) => Promise<number>;

const rate: Rate = async (work) => FILE_MIB / (await timed(work));
/** Of the processor's time: of what this process does alone, without waiting. */
const processorRate: Rate = async (work) => FILE_MIB / (await processorTimed(work));

/** Read a file piece by piece into one buffer. In MiB/s. */
async function readPieces(
  { name, root, fs }: Place,
  content: Buffer,
  { path = "big", look = expectEnds, measure = rate, flags = O_RDONLY } = {},
): Promise<number> {
  const piece = Buffer.alloc(MIB);
  const file = await fs.open(`${root}/${path}`, flags);
  let done = 0;
  const result = await measure(async () => {
    while (done < content.length) {
      const { bytesRead } = await file.read(piece, 0, MIB, null);
      if (!bytesRead) break;
      look(name, piece, bytesRead, content, done);
      done += bytesRead;
    }
  });
  await file.close();
  if (done !== content.length) throw new Error(`${name}: only ${done} bytes were read`);
  return result;
}

/** Look at every byte of a file, as the image has it. */
async function verify(place: Place, content: Buffer, path = "big"): Promise<void> {
  await place.forget();
  await readPieces(place, content, { path, look: expectSame });
}

/** Read a file at once into a new buffer. In MiB/s. */
async function readWhole({ name, root, fs }: Place, content: Buffer): Promise<number> {
  let bytes: Uint8Array = Buffer.alloc(0);
  const result = await processorRate(async () => {
    bytes = await fs.readFile(`${root}/big`);
  });
  if (content.compare(bytes) !== 0) throw new Error(`${name}: other bytes than were written`);
  return result;
}

/** Write a new file piece by piece until it is lasting. In MiB/s. */
async function writePieces(place: Place, content: Buffer): Promise<number> {
  const path = `${place.root}/new`;
  const file = await place.fs.open(path, "w");
  const result = await rate(async () => {
    for (let at = 0; at < FILE_BYTES; at += MIB) await writeFully(file, content, at, MIB, null);
    await file.sync();
  });
  await file.close();
  await verify(place, content, "new");
  await place.fs.unlink(path);
  return result;
}

async function writeFully(
  file: OpenFile,
  from: Buffer,
  offset: number,
  length: number,
  position: number | null,
): Promise<void> {
  const { bytesWritten } = await file.write(from, offset, length, position);
  if (bytesWritten !== length) throw new Error(`${bytesWritten} of ${length} bytes were written`);
}

/** Blocks here and there, none in memory. In reads a second. */
async function readRandom(place: Place, content: Buffer, seed: number): Promise<number> {
  await place.forget();
  const noise = new Noise(seed);
  const block = Buffer.alloc(BLOCK_BYTES);
  const file = await place.fs.open(`${place.root}/big`, "r");
  const seconds = await timed(async () => {
    for (let i = 0; i < RANDOM_READS; i++) {
      const at = noise.below(FILE_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, at);
      expectEnds(place.name, block, bytesRead, content, at);
    }
  });
  await file.close();
  return RANDOM_READS / seconds;
}

/** Blocks here and there of a file that is there, until they are lasting. In writes a second. */
async function writeRandom(place: Place, content: Buffer, seed: number): Promise<number> {
  const path = `${place.root}/random`;
  const model = Buffer.alloc(RANDOM_BYTES);
  const made = await place.fs.open(path, "w");
  for (let at = 0; at < RANDOM_BYTES; at += MIB) await writeFully(made, model, at, MIB, at);
  await made.sync();
  await made.close();
  const noise = new Noise(seed);
  const file = await place.fs.open(path, "r+");
  const seconds = await timed(async () => {
    for (let i = 0; i < RANDOM_WRITES; i++) {
      const at = noise.below(RANDOM_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
      const from = noise.below(FILE_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
      await writeFully(file, content, from, BLOCK_BYTES, at);
      content.copy(model, at, from, from + BLOCK_BYTES);
    }
    await file.sync();
  });
  await file.close();
  await verify(place, model, "random");
  await place.fs.unlink(path);
  return RANDOM_WRITES / seconds;
}

/** A file system with the file in it, and nothing else. */
function makeImage(folder: string, content: Buffer): string {
  const tree = join(folder, "contents");
  const image = join(folder, "contents.ext4");
  mkdirSync(tree);
  writeFileSync(join(tree, "big"), content);
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-b", "4096", "-d", tree, image, "800M"]);
  return image;
}

/** Give every place an image of its own. */
function copyOf(image: string, name: string): string {
  const own = `${image}-${name}`;
  copyFileSync(image, own);
  return own;
}

const OPERATIONS = [
  ["cold read", `cold read of ${FILE_MIB} MiB by pieces of 1 MiB`, "MiB/s"],
  ["cached read", "cached read of it", "MiB/s"],
  ["write", "write of as much, and fsync", "MiB/s"],
  ["random read", "cold random reads of 4 KiB", "/s"],
  ["random write", "random writes of 4 KiB, and fsync", "/s"],
] as const;

/** All that is measured of every place, once: each round reads and writes elsewhere. */
async function measure(place: Place, content: Buffer, round: number, samples: Samples) {
  const add = (operation: (typeof OPERATIONS)[number][0], value: number) =>
    samples.add(`${operation} ${place.name}`, value);
  await place.forget();
  add("cold read", await readPieces(place, content));
  add("cached read", await readPieces(place, content));
  add("write", await writePieces(place, content));
  add("random read", await readRandom(place, content, round));
  add("random write", await writeRandom(place, content, round));
}

/** Where an image is, for the reads that have a floor. */
interface Source {
  readonly where: string;
  readonly disk: Disk;
  readonly place: Place;
}

/** What only this library is measured of: beside what no file system could go below. */
async function measureFloors(
  { where, disk, place }: Source,
  content: Buffer,
  kept: Buffer,
  samples: Samples,
): Promise<void> {
  const piece = Buffer.alloc(MIB);
  const byProcessor = { measure: processorRate };
  const fresh = () => Buffer.allocUnsafeSlow(FILE_BYTES);
  const add = (what: string, value: number) => samples.add(`${what} ${where}`, value);
  // Memory that was not touched for long may have to be found again: that is not what is asked.
  await floor(disk, kept, () => piece);
  add("tight floor", await tightFloor(disk, piece));
  add("floor", await floor(disk, kept, () => piece));
  await place.forget();
  add("cold", await readPieces(place, content, byProcessor));
  add("direct", await readPieces(place, content, { ...byProcessor, flags: O_RDONLY | O_DIRECT }));
  add("copy", await copy(kept, () => piece));
  add("cached", await readPieces(place, content, byProcessor));
  add("copy of whole", await copy(kept, fresh));
  add("cached whole", await readWhole(place, content));
  add("floor of whole", await floor(disk, kept, fresh));
  await place.forget();
  add("cold whole", await readWhole(place, content));
}

export async function measureContents(folder: string): Promise<Row[]> {
  const content = new Noise(1).bytes(FILE_BYTES);
  const image = makeImage(folder, content);
  const samples = new Samples();
  const kept = Buffer.alloc(FILE_BYTES, 1);
  await using stack = new AsyncDisposableStack();
  const memory = new MemoryDisk(readFileSync(image));
  const ours = stack.use(await openOurs(copyOf(image, "ours")));
  const sources: readonly Source[] = [
    { where: "in a file", disk: stack.use(new FileDisk(image, { readOnly: true })), place: ours },
    { where: "in memory", disk: memory, place: stack.use(await openOurs(memory)) },
  ];
  const native = stack.use(await openNative(copyOf(image, "native"), folder));
  const fuse = stack.use(await openFuse(copyOf(image, "fuse"), folder));
  const library = stack.use(await openExt2fs(copyOf(image, "library")));

  // The host gives memory at its first touch, and slowly: that is not what is asked.
  for (const { place } of sources) await verify(place, content);
  const places = [ours, native, fuse, library].filter((place) => place !== null);
  for (const place of places) await measure(place, content, 0, new Samples());
  for (let round = 0; round < ROUNDS; round++) {
    for (const source of sources) await measureFloors(source, content, kept, samples);
    if (round >= RIVAL_ROUNDS) continue;
    for (const place of places) await measure(place, content, round + 1, samples);
  }
  return [
    ...sources.flatMap(({ where }) => floorRows(where, samples)),
    ...OPERATIONS.flatMap(([operation, item, unit]) =>
      [LOOP, FUSE, EXT2FS].map((name) =>
        beside(
          item,
          unit,
          samples.of(`${operation} ${ours.name}`),
          name,
          samples.find(`${operation} ${name}`),
        ),
      ),
    ),
  ];
}

function floorRows(where: string, samples: Samples): Row[] {
  const row = (item: string, measured: string, name: string, low: string, goal?: number) => {
    const [value, lowest] = [`${measured} ${where}`, `${low} ${where}`].map((key) =>
      samples.of(key),
    );
    return beside(`${item}, image ${where}, of processor time`, "MiB/s", value, name, lowest, goal);
  };
  const [read, kept] = ["one read and one copy", "one copy in memory"];
  const cold = `cold read of ${FILE_MIB} MiB by pieces of 1 MiB`;
  return [
    row(cold, "cold", read, "floor", COLD_GOAL),
    row(cold, "cold", `${read} that keep nothing`, "tight floor"),
    row(`the same with O_DIRECT`, "direct", read, "floor", COLD_GOAL),
    row(`the same with O_DIRECT`, "direct", `${read} that keep nothing`, "tight floor"),
    row("cached read of it", "cached", kept, "copy", CACHED_GOAL),
    row("cold readFile()", "cold whole", read, "floor of whole", COLD_GOAL),
    row("cached readFile()", "cached whole", kept, "copy of whole", CACHED_GOAL),
  ];
}
