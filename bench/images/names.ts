// Files are made, looked at and removed: many, and empty.

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { join } from "node:path";

import type { Row } from "../measure.ts";
import { beside, EXT2FS, FUSE, LOOP } from "./beside.ts";
import { openOurs } from "./place.ts";
import type { Place } from "./place.ts";
import { openExt2fs, openFuse, openNative } from "./rivals.ts";
import { Samples, timed } from "./samples.ts";

const FILES = 10_000;
const AT_ONCE = [1, 32];
const ROUNDS = 5;
const MICROSECONDS = 1e6;
const SYNC = `${LOOP} by synchronous functions`;
const OPERATIONS = ["create", "stat", "unlink"] as const;

/** Do something with every number below FILES, so many at once. In microseconds each. */
async function each(atOnce: number, work: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const worker = async () => {
    while (next < FILES) await work(next++);
  };
  const seconds = await timed(() => Promise.all(Array.from({ length: atOnce }, worker)));
  return (seconds * MICROSECONDS) / FILES;
}

async function expectCount({ name, fs }: Place, folder: string, count: number): Promise<void> {
  const names = new Set(await fs.readdir(folder));
  if (names.size !== count)
    throw new Error(`${name}: ${names.size} files are there, ${count} should be`);
}

/** The machine's kernel by Node's synchronous functions, which stop everything else: for the record. */
async function roundSync({ root }: Place, samples: Samples): Promise<void> {
  const pathOf = (index: number) => `${root}/folder/file-${index}`;
  fs.mkdirSync(`${root}/folder`);
  const create = await each(1, async (index) => fs.writeFileSync(pathOf(index), ""));
  const stat = await each(1, async (index) => fs.statSync(pathOf(index)));
  const unlink = await each(1, async (index) => fs.unlinkSync(pathOf(index)));
  fs.rmdirSync(`${root}/folder`);
  add(SYNC, 1, { create, stat, unlink }, samples);
}

function add(name: string, atOnce: number, values: Record<string, number>, samples: Samples) {
  for (const [operation, value] of Object.entries(values))
    samples.add(key(name, operation, atOnce), value);
}

const key = (name: string, operation: string, atOnce: number) => `${name} ${operation} ${atOnce}`;

/** Make, look at and remove all the files, once. */
async function round(place: Place, atOnce: number, samples: Samples): Promise<void> {
  const { name, fs } = place;
  const folder = `${place.root}/folder`;
  const pathOf = (index: number) => `${folder}/file-${index}`;
  await fs.mkdir(folder);
  const create = await each(atOnce, (index) => fs.writeFile(pathOf(index), ""));
  await expectCount(place, folder, FILES);
  let found = 0;
  const stat = await each(atOnce, async (index) => {
    const status = await fs.stat(pathOf(index));
    if (status.isFile() && status.size === 0) found++;
  });
  if (found !== FILES) throw new Error(`${name}: ${found} of ${FILES} were found`);
  const unlink = await each(atOnce, (index) => fs.unlink(pathOf(index)));
  await expectCount(place, folder, 0);
  await fs.rmdir(folder);
  add(name, atOnce, { create, stat, unlink }, samples);
}

export async function measureNames(folder: string): Promise<Row[]> {
  const image = join(folder, "names.ext4");
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-b", "4096", image, "256M"]);
  const copyOf = (name: string) => {
    fs.copyFileSync(image, `${image}-${name}`);
    return `${image}-${name}`;
  };
  await using stack = new AsyncDisposableStack();
  const ours = stack.use(await openOurs(copyOf("ours")));
  const native = stack.use(await openNative(copyOf("native"), folder));
  const fuse = stack.use(await openFuse(copyOf("fuse"), folder));
  const library = stack.use(await openExt2fs(copyOf("library")));

  const samples = new Samples();
  const warm = new Samples();
  for (const place of [ours, native])
    if (place) for (const atOnce of AT_ONCE) await round(place, atOnce, warm);
  for (let i = 0; i < ROUNDS; i++) {
    for (const atOnce of AT_ONCE)
      for (const place of [ours, native]) if (place) await round(place, atOnce, samples);
    if (native) await roundSync(native, samples);
  }
  // These are slower by far, and once is enough.
  for (const place of [fuse, library])
    if (place) for (const atOnce of AT_ONCE) await round(place, atOnce, samples);
  return AT_ONCE.flatMap((atOnce) =>
    OPERATIONS.flatMap((operation) => rowsOf(operation, atOnce, ours.name, samples)),
  );
}

function rowsOf(operation: string, atOnce: number, ours: string, samples: Samples): Row[] {
  const item = `${operation}, ${atOnce} of ${FILES.toLocaleString("en")} files at once`;
  const value = samples.of(key(ours, operation, atOnce));
  const row = (name: string, times?: number) =>
    beside(item, "µs", value, name, samples.find(key(name, operation, atOnce)), times);
  const rows = [row(LOOP, 1), row(FUSE), row(EXT2FS)];
  return atOnce === 1 ? [...rows, row(SYNC)] : rows;
}
