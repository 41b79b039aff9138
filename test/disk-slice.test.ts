// Part of a disk as a disk.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { BlobDisk, MemoryDisk, SliceDisk } from "../src/disk/index.ts";
import { attachDisk, mount, readText } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";
import { ext4Image, run, sampleTree, temporaryFolder } from "./images/native.ts";

const MIB = 1048576;

/** A disk that has the pattern in its middle, and other bytes around it. */
function framed(lengthBytes: number, offsetBytes: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthBytes + 2 * offsetBytes).fill(0xee);
  bytes.set(pattern(lengthBytes), offsetBytes);
  return bytes;
}

const place = { offsetBytes: 4096, lengthBytes: MIB };

diskContract("SliceDisk of a MemoryDisk", () => ({
  disk: new SliceDisk(new MemoryDisk(framed(MIB, 4096)), place),
}));
diskContract("SliceDisk, read-only", () => ({
  disk: new SliceDisk(new MemoryDisk(framed(MIB, 4096)), { ...place, readOnly: true }),
}));
diskContract("SliceDisk of a BlobDisk", () => ({
  disk: new SliceDisk(new BlobDisk(new Blob([framed(MIB, 4096)])), place),
}));
diskContract("SliceDisk of a FileDisk", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "framed.img");
  writeFileSync(path, framed(MIB, 4096));
  const file = new FileDisk(path);
  const done = () => {
    file.close();
    folder[Symbol.dispose]();
  };
  return { disk: new SliceDisk(file, place), done };
});

test("a slice leaves what is around it alone", () => {
  const bytes = framed(MIB, 4096);
  using slice = new SliceDisk(new MemoryDisk(bytes), place);
  void slice.write(new Uint8Array(MIB).fill(1), 0);
  void slice.writeZeroes!(0, MIB / 2, true);
  void slice.discard!(MIB / 2, MIB / 2);
  assert.throws(() => slice.write(new Uint8Array(512), MIB), { code: "EIO" });
  assert.throws(() => slice.read(new Uint8Array(512), -512), { code: "EIO" });
  assertBytes(bytes.subarray(0, 4096), new Uint8Array(4096).fill(0xee));
  assertBytes(bytes.subarray(MIB + 4096), new Uint8Array(4096).fill(0xee));
});

test("a slice reaches to the end if nothing else is said, and its disk outlives it", () => {
  using disk = new MemoryDisk(pattern(MIB), { blockSizeBytes: 4096 });
  const slice = new SliceDisk(disk, { offsetBytes: 8192 });
  assert.equal(slice.sizeBytes, MIB - 8192);
  slice.close();
  disk.read(new Uint8Array(4096), 0);
});

test("slices that cannot be are refused", () => {
  using disk = new MemoryDisk(MIB, { blockSizeBytes: 4096 });
  for (const [offsetBytes, lengthBytes, message] of [
    [512, 4096, /cannot start at 512: that is not a multiple of 4096/],
    [-4096, 4096, /cannot start at -4096/],
    [NaN, 4096, /cannot start at NaN/],
    [4096, MIB, /reaches beyond the disk's 1048576/],
    [2 * MIB, 0, /reaches beyond/],
    [4096, 512, /not a multiple of 4096/],
    [4096, -4096, /-4096 bytes/],
    [4096, NaN, /beyond/],
  ] as const)
    assert.throws(() => new SliceDisk(disk, { offsetBytes, lengthBytes }), {
      name: "DiskError",
      code: "EINVAL",
      message,
    });
});

test("a kernel mounts a partition by its slice, and native tools agree", async () => {
  using folder = temporaryFolder();
  const part = ext4Image(join(folder.path, "part.img"), sampleTree(folder.path));
  const path = join(folder.path, "disk.img");
  {
    using whole = new FileDisk(path, { createBytes: 34 * MIB });
    using source = new FileDisk(part, { readOnly: true });
    using slice = new SliceDisk(whole, { offsetBytes: MIB, lengthBytes: 32 * MIB });
    const bytes = new Uint8Array(32 * MIB);
    source.read(bytes, 0);
    await slice.write(bytes, 0);
    await using kernel = await Kernel.boot({ image: "fs" });
    await using device = await attachDisk(kernel, slice);
    await using mounted = await mount(kernel, { source: device.path });
    const fd = await kernel.init.openat(-100, `${mounted.target}/new`, 0o101, 0o644);
    await kernel.init.write(fd, new TextEncoder().encode("new\n"), 4);
    await kernel.init.close(fd);
    assert.equal(await readText(kernel.init, `${mounted.target}/new`), "new\n");
  }
  run("e2fsck", "-fn", `${path}?offset=${MIB}`);
  run("dd", `if=${path}`, `of=${part}`, "bs=1M", "skip=1", "count=32", "status=none");
  assert.equal(run("debugfs", "-R", "cat /new", part), "new\n");
});
