// A mounted volume gets larger with its disk, by the library and by the command line.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";

import { MemoryDisk } from "../src/disk/index.ts";
import { SliceDisk } from "../src/disk/slice-disk.ts";
import { mkfs, partition } from "../src/format/index.ts";
import { openImage } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { fails, succeeds } from "./command.ts";
import { run, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;

suite("volumes that grow", () => {
  test("a disk, and the file system that is mounted on it", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "disk.img");
    using disk = new FileDisk(path, { createBytes: 16 * MIB });
    await mkfs(disk, { type: "ext4" });
    {
      await using image = await openImage(disk);
      await using volume = await image.volume().mount();
      const { promises } = volume.fs;
      const file = await promises.open("/kept", "w+");
      await file.write("before");
      await volume.resize(40 * MIB);
      assert.equal(disk.sizeBytes, 40 * MIB);
      assert.ok((await volume.usage()).totalBytes > 32 * MIB);
      // What is open goes on, and there is room that was not.
      await file.write(new Uint8Array(24 * MIB));
      await file.close();
      // Less than there is: the disk stays.
      await assert.rejects(volume.resize(8 * MIB), { name: "ResizeError" });
      await volume.resize("device");
      assert.equal(disk.sizeBytes, 40 * MIB);
      await volume.growDisk(48 * MIB);
      assert.ok((await volume.usage()).totalBytes > 40 * MIB);
    }
    run("e2fsck", "-fn", path);
  });

  test("the last partition of a disk in memory, with its table", async () => {
    const disk = new MemoryDisk(24 * MIB);
    const table = {
      table: "gpt",
      partitions: [{ type: "linux", sizeBytes: 8 * MIB }, { type: "linux" }],
    };
    const { partitions } = await partition(disk, table as Parameters<typeof partition>[1]);
    for (const { startBytes, sizeBytes } of partitions)
      await mkfs(disk, { type: "ext4", startBytes, sizeBytes });
    {
      await using image = await openImage(disk);
      await using first = await image.volume(1).mount();
      await using last = await image.volume(2).mount();
      await assert.rejects(first.resize(20 * MIB), {
        name: "ResizeError",
        message: /volume 1 cannot grow: 2 is after it/,
      });
      assert.equal(disk.sizeBytes, 24 * MIB);
      await last.fs.promises.writeFile("/kept", "x");
      await last.resize(30 * MIB);
      assert.equal(disk.sizeBytes, 40 * MIB);
      const found = await image.devices[0].partitions();
      assert.deepEqual(
        found.map(({ sizeBytes }) => sizeBytes),
        [8 * MIB, 30 * MIB],
      );
      // There is room behind it already.
      disk.resize(64 * MIB);
      await last.growDisk(64 * MIB);
      assert.ok((await last.usage()).totalBytes > 48 * MIB);
      await last.fs.promises.writeFile("/large", new Uint8Array(40 * MIB));
    }
    // As anybody finds it who looks at the disk anew.
    await using again = await openImage(disk);
    assert.deepEqual(
      again.volumes.map(({ number, sizeBytes }) => [number, sizeBytes]),
      [
        [1, 8 * MIB],
        [2, 54 * MIB],
      ],
    );
    await using last = await again.volume(2).mount({ readOnly: true });
    assert.equal(await last.fs.promises.readFile("/kept", "utf8"), "x");
  });

  test("what cannot grow says so, and stays as it is", async () => {
    const disk = new MemoryDisk(16 * MIB);
    await mkfs(disk, { type: "ext4" });
    const slice = new SliceDisk(disk, { offsetBytes: 0, lengthBytes: 16 * MIB });
    await using image = await openImage(slice);
    await using volume = await image.volume().mount();
    await assert.rejects(volume.resize(32 * MIB), {
      name: "ResizeError",
      message: /more than the 16777216 of the device/,
    });
    await assert.rejects(volume.growDisk(32 * MIB), {
      code: "EINVAL",
      message: /cannot get another size/,
    });
  });

  test("other file systems, as far as the kernel can", async () => {
    using folder = temporaryFolder();
    const at = (name: string) => join(folder.path, name);
    const sizes = { xfs: "320M", btrfs: "128M", f2fs: "64M" };
    for (const [type, size] of Object.entries(sizes))
      await succeeds("mkfs", "-t", type, "--size", size, at(type));
    await succeeds("resize", at("xfs"), "480M");
    run("xfs_repair", "-n", at("xfs"));
    await succeeds("resize", at("btrfs"), "400M");
    assert.equal(
      JSON.parse((await succeeds("df", "--json", at("btrfs"))).text)[0].total,
      400 * MIB,
    );
    run("btrfs", "check", at("btrfs"));
    await fails(1, /f2fs: f2fs can only shrink while it is mounted/, "resize", at("f2fs"), "96M");
    assert.equal(statSync(at("f2fs")).size, 64 * MIB);
    run("fsck.f2fs", at("f2fs"));
  });

  test("by the command line, once it is known that it can be done", async () => {
    using folder = temporaryFolder();
    const at = (name: string) => join(folder.path, name);
    await succeeds("mkfs", "-t", "ext4", "--size", "16M", at("disk.img"));
    const { text } = await succeeds("resize", "--json", at("disk.img"), "+16M");
    assert.equal(JSON.parse(text).imageBytes, 32 * MIB);
    run("e2fsck", "-fn", at("disk.img"));
    // What is no file system, or packed, is not made longer.
    writeFileSync(at("text"), "x".repeat(4096));
    await fails(1, /text: no file system that is known/, "resize", at("text"), "1M");
    assert.equal(statSync(at("text")).size, 4096);
    copyFileSync(at("disk.img"), at("packed.img"));
    run("gzip", at("packed.img"));
    const packed = readFileSync(at("packed.img.gz"));
    await fails(1, /packed\.img\.gz: /, "resize", at("packed.img.gz"), "64M");
    assert.deepEqual(readFileSync(at("packed.img.gz")), packed);
    run("mkfs.vfat", "-C", at("fat.img"), "16384");
    await fails(1, /fat\.img: vfat cannot be resized/, "resize", at("fat.img"), "32M");
    assert.equal(statSync(at("fat.img")).size, 16 * MIB);
  });
});
