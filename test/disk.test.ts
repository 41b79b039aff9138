// Disks by themselves: the contract on each, and what only one of them has.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, openAsBlob, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { BlobDisk, MemoryDisk } from "../src/disk/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";

const MIB = 1048576;
const folder = mkdtempSync(join(tmpdir(), "liblinux-disk-"));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(content: Uint8Array | number): string {
  const path = join(folder, `${files++}.img`);
  writeFileSync(path, typeof content === "number" ? new Uint8Array(content) : content);
  return path;
}

diskContract("MemoryDisk of bytes", () => ({ disk: new MemoryDisk(pattern(MIB + 512)) }));
diskContract("MemoryDisk, sparse", () => {
  const disk = new MemoryDisk(2 * MIB, { blockSizeBytes: 4096 });
  disk.write(pattern(2 * MIB), 0);
  return { disk };
});
diskContract("MemoryDisk, read-only", () => ({
  disk: new MemoryDisk(pattern(MIB), { readOnly: true }),
}));
diskContract("FileDisk", () => ({ disk: new FileDisk(file(pattern(MIB + 512))) }));
diskContract("FileDisk, read-only", () => ({
  disk: new FileDisk(file(pattern(MIB)), { readOnly: true, blockSizeBytes: 2048 }),
}));
diskContract("BlobDisk in memory", () => ({ disk: new BlobDisk(new Blob([pattern(MIB)])) }));
diskContract("BlobDisk of a file", async () => ({
  disk: new BlobDisk(await openAsBlob(file(pattern(MIB)))),
}));

test("MemoryDisk takes memory only for what was written, and gives it back", () => {
  using disk = new MemoryDisk(1024 ** 4);
  assert.equal(disk.allocatedBytes, 0);
  disk.write(new Uint8Array(MIB).fill(1), 512 * 1024 ** 3);
  assert.equal(disk.allocatedBytes, MIB);
  disk.discard(512 * 1024 ** 3, MIB);
  assert.equal(disk.allocatedBytes, 0);
});

test("MemoryDisk uses the bytes that it is given in place", () => {
  const bytes = pattern(100 * 512);
  using disk = new MemoryDisk(bytes);
  disk.write(new Uint8Array(512).fill(9), 99 * 512);
  assert.equal(bytes[99 * 512], 9);
  assertBytes(disk.bytes(), bytes);
});

test("MemoryDisk grows with zeroes and shrinks for good", () => {
  using disk = new MemoryDisk(pattern(70000 - (70000 % 512)));
  const sizes: number[] = [];
  const stop = disk.onResize(() => sizes.push(disk.sizeBytes));
  disk.resize(300 * 512);
  disk.write(new Uint8Array(512).fill(7), 299 * 512);
  disk.resize(130 * 512);
  disk.resize(300 * 512);
  stop();
  disk.resize(301 * 512);
  assert.deepEqual(sizes, [300 * 512, 130 * 512, 300 * 512]);
  const bytes = disk.bytes();
  assertBytes(bytes.subarray(0, 130 * 512), pattern(130 * 512));
  assert.ok(bytes.subarray(130 * 512).every((byte) => byte === 0));
  assert.throws(() => disk.resize(1000), { code: "EINVAL" });
});

test("sizes and options that cannot be are refused", () => {
  assert.throws(() => new MemoryDisk(1000), { name: "DiskError", code: "EINVAL" });
  assert.throws(() => new MemoryDisk(1024, { blockSizeBytes: 4096 }), { code: "EINVAL" });
  assert.throws(() => new MemoryDisk(8192, { blockSizeBytes: 8192 }), {
    code: "ERR_INVALID_OPTION",
  });
  assert.throws(() => new MemoryDisk(8192, { blockSizeBytes: 1000 }), {
    code: "ERR_INVALID_OPTION",
  });
});

test("FileDisk names the path and what is wrong with it", () => {
  const open = (path: string, options = {}) => {
    try {
      new FileDisk(path, options).close();
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const missing = join(folder, "missing.img");
  assert.equal(open(missing), `ENOENT: ${missing}: no such file`);
  assert.equal(open(folder), `EISDIR: ${folder}: is a directory, not a disk image`);
  assert.match(open(file(1000)), /^EINVAL: .*\.img: a size of 1000 bytes is not a multiple of 512/);
  assert.equal(open("/dev/null"), "ENODEV: /dev/null: is neither a file nor a block device");
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  assert.match(open(pipe), /^ENODEV: .*pipe: is neither/);
  assert.match(open(join(folder, "no", "where"), { createBytes: 512 }), /^ENOENT/);
});

test("FileDisk makes sparse files, and resizes them", () => {
  using disk = new FileDisk(join(folder, "new.img"), { createBytes: 1024 ** 4 });
  assert.equal(disk.sizeBytes, 1024 ** 4);
  disk.write(pattern(512), 1024 ** 4 - 512);
  let told = 0;
  disk.onResize(() => told++);
  disk.resize(MIB);
  assert.equal(disk.sizeBytes, MIB);
  assert.equal(told, 1);
});

test("FileDisk whose file shrinks underneath fails with EIO, and says so", () => {
  const path = file(pattern(MIB));
  using disk = new FileDisk(path);
  truncateSync(path, MIB / 2);
  assert.throws(() => disk.read(new Uint8Array(4096), MIB / 2 - 512), {
    code: "EIO",
    path,
    message: /has shrunk/,
  });
});

test("BlobDisk whose file changes underneath fails with EIO", async () => {
  const path = file(pattern(MIB));
  using disk = new BlobDisk(await openAsBlob(path));
  truncateSync(path, 512);
  await assert.rejects(disk.read(new Uint8Array(4096), 4096), { name: "DiskError", code: "EIO" });
});
