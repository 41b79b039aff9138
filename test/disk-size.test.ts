// Images whose size is not a whole number of blocks: downloads that broke off, files with a stray tail.

import assert from "node:assert/strict";
import { openAsBlob, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { BlobDisk, MemoryDisk } from "../src/disk/index.ts";
import type { Disk } from "../src/disk/index.ts";
import { attachDisk, mount, readText } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { assertBytes, pattern } from "./contract/disk.ts";
import { ext4Image, sampleTree, temporaryFolder } from "./images/native.ts";

const folder = temporaryFolder();
after(() => folder[Symbol.dispose]());
const at = (name: string) => join(folder.path, name);

/** Read-only disks of the same bytes. */
async function disksOf(bytes: Uint8Array<ArrayBuffer>, blockSizeBytes: number): Promise<Disk[]> {
  const path = at("odd.img");
  writeFileSync(path, bytes);
  const options = { blockSizeBytes, readOnly: true };
  return [
    new MemoryDisk(bytes, options),
    new FileDisk(path, options),
    new BlobDisk(new Blob([bytes]), options),
    new BlobDisk(await openAsBlob(path), options),
  ];
}

test("what cannot be written is filled up with zeroes to its last block", async () => {
  for (const [length, blockSizeBytes] of [
    [1, 512],
    [70_001, 512],
    [65_535, 4096],
    [65_537, 4096],
    [131_072, 4096],
    [0, 512],
  ] as const) {
    const size = Math.ceil(length / blockSizeBytes) * blockSizeBytes;
    const expected = new Uint8Array(size);
    expected.set(pattern(length));
    for (const disk of await disksOf(pattern(length), blockSizeBytes)) {
      assert.equal(disk.sizeBytes, size, disk.constructor.name);
      const whole = new Uint8Array(size).fill(7);
      await disk.read(whole, 0);
      assertBytes(whole, expected);
      if (size) {
        const last = new Uint8Array(blockSizeBytes).fill(7);
        await disk.read(last, size - blockSizeBytes);
        assertBytes(last, expected.slice(size - blockSizeBytes));
      }
      if (disk.readVector) {
        const parts = [new Uint8Array(size).fill(7), new Uint8Array(0)];
        disk.readVector(parts, 0);
        assertBytes(parts[0], expected);
      }
      await assert.rejects(async () => disk.read(new Uint8Array(512), size), { code: "EIO" });
      await disk.close();
    }
  }
});

test("what can be written is refused, and the cure is named", () => {
  const path = at("text");
  writeFileSync(path, "abc");
  const message =
    /a size of 3 bytes is not a multiple of 512; is it a disk image, and complete\? Opened read-only, zeroes/;
  assert.throws(() => new FileDisk(path), { code: "EINVAL", path, message });
  assert.throws(() => new MemoryDisk(new Uint8Array(3)), { code: "EINVAL", message });
  assert.equal(readFileSync(path, "utf8"), "abc");
});

test("a file that shrinks within its last block is an error, not zeroes", () => {
  const path = at("shrinks.img");
  writeFileSync(path, pattern(1000));
  using disk = new FileDisk(path, { readOnly: true });
  truncateSync(path, 900);
  assert.throws(() => disk.read(new Uint8Array(512), 512), { code: "EIO", message: /has shrunk/ });
});

test("a kernel mounts an image with a stray tail", async () => {
  const image = ext4Image(at("tail.img"), sampleTree(folder.path));
  writeFileSync(image, "stray", { flag: "a" });
  await using kernel = await Kernel.boot({ image: "fs" });
  using disk = new FileDisk(image, { readOnly: true });
  await using device = await attachDisk(kernel, disk);
  await using mounted = await mount(kernel, { source: device.path, readOnly: true });
  assert.equal(await readText(kernel.init, `${mounted.target}/hello.txt`), "hello\n");
});
