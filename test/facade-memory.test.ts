// What an fs object takes of the kernel's memory is bounded, and is done without where there is none.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { attachDisk, createFs, mount } from "../src/fs/index.ts";
import type { LinuxFs } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { emptyImage, noise, run, temporaryFolder } from "./images/native.ts";

const FILES = 16;
const FILE_BYTES = 3 << 20;
/** What docs/fs.md says. */
const MOST_BYTES = 4 << 20;
/** Two names and a record, for every call at once. */
const CALL_BYTES = 10_000;
/** How many files are read at once. */
const READERS = 64;

test("large files are read and written side by side in a kernel of little memory", async () => {
  using folder = temporaryFolder();
  const image = emptyImage(join(folder.path, "ext4.img"), 96);
  run("mke2fs", "-q", "-F", "-t", "ext4", image);
  for (const memoryMiB of [16, 64]) {
    await using kernel = await Kernel.boot({ image: "fs", memoryMiB });
    using disk = new FileDisk(image);
    await using device = await attachDisk(kernel, disk);
    await using mounted = await mount(kernel, { source: device.path });
    const process = await kernel.process({ root: mounted.target });
    await using fs = createFs(process, { ownsProcess: true });
    const contents = Array.from({ length: FILES }, (_, i) =>
      Buffer.from(noise(FILE_BYTES)).fill(i, 0, 1),
    );
    await Promise.all(contents.map((bytes, i) => fs.promises.writeFile(`/${i}`, bytes)));
    await fs.linux.syncFilesystem("/");
    const found = await Promise.all(contents.map((_, i) => fs.promises.readFile(`/${i}`)));
    for (const [i, bytes] of contents.entries())
      assert.equal(Buffer.compare(found[i], bytes), 0, `file ${i} with ${memoryMiB} MiB`);
  }
  run("e2fsck", "-fn", image);
});

test("transfer buffers are bounded, and given back", async () => {
  await using kernel = await Kernel.boot({ image: "fs", memoryMiB: 64 });
  const { init } = kernel;
  const reader = createFs(init);
  const freeKiB = async () =>
    Number(/^MemFree: +(\d+)/m.exec(await reader.promises.readFile("/proc/meminfo", "utf8"))?.[1]);
  const path = "/file";
  const readMany = async (fs: LinuxFs) => {
    const all = Array.from({ length: READERS }, () => fs.promises.readFile(path));
    for (const bytes of await Promise.all(all)) assert.equal(bytes.length, FILE_BYTES);
  };
  await reader.promises.writeFile(path, Buffer.alloc(FILE_BYTES, 1));
  // Threads and their arguments are the process's, and stay.
  {
    await using warm = createFs(init);
    await readMany(warm);
  }
  const before = await freeKiB();
  const fs = createFs(init);
  await readMany(fs);
  const during = await freeKiB();
  const mostKiB = (MOST_BYTES + 1.5 * READERS * CALL_BYTES) / 1024;
  assert.ok(before - during < mostKiB, `${before} KiB, then ${during}`);
  await fs[Symbol.asyncDispose]();
  const after = await freeKiB();
  assert.ok(after > during + (MOST_BYTES >> 11), `${during} KiB, then ${after}`);
});
