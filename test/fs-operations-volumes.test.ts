// Operations on file systems as a whole: their size, their label, holding still, giving back what
// is free. The native tools look at what came of it.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import {
  attachDisk,
  deviceResized,
  freeze,
  getLabel,
  mount,
  readDirectory,
  readFile,
  resize,
  resizePartition,
  setLabel,
  syncFilesystem,
  thaw,
  trim,
  usage,
} from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { checkImage, makeImage, mountImage, writeFile } from "./fs-operations.ts";
import type { MountedImage, NativeType } from "./fs-operations.ts";
import { emptyImage, noise, placeImage, run, runWith, temporaryFolder } from "./images/native.ts";
import { isSettled, text } from "./kernel.ts";

const MIB = 1 << 20;

suite("operations on file systems", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  let init: Process;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 192 });
    ({ init } = kernel);
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });
  const open = (type: NativeType, ...options: string[]): Promise<MountedImage> =>
    mountImage(kernel, makeImage(folder.path, type, ...options), type);
  const totalBytes = async (image: MountedImage) => (await usage(init, image.target)).totalBytes;

  const GROW: Readonly<Partial<Record<NativeType, number>>> = {
    ext2: 40,
    ext3: 40,
    ext4: 200,
    xfs: 700,
    btrfs: 400,
  };
  for (const [type, mib] of Object.entries(GROW) as [NativeType, number][]) {
    test(`${type} grows with its device, and by so many bytes`, async () => {
      await using image = await open(type);
      const content = new Uint8Array(noise(3 * MIB));
      await writeFile(init, `${image.target}/kept`, content);
      const before = await totalBytes(image);
      await assert.rejects(
        resize(init, image.target, mib * MIB),
        /^ResizeError: \d+ bytes are more than/,
      );
      image.disk.resize(mib * MIB);
      await deviceResized(init, image.device);
      await resize(init, image.target, (mib - 8) * MIB);
      const between = await totalBytes(image);
      assert.ok(between > before);
      await resize(init, image.target, "device");
      const grown = await totalBytes(image);
      assert.ok(grown > between && grown > 0.8 * mib * MIB);
      await resize(init, `${image.target}/kept`, "device");
      assert.equal(await totalBytes(image), grown);
      await writeFile(init, `${image.target}/more`, content);
      assert.deepEqual(await readFile(init, `${image.target}/kept`), content);
    });
  }

  test("what cannot shrink says so", async () => {
    for (const type of ["ext4", "xfs"] as const) {
      await using image = await open(type);
      const before = await totalBytes(image);
      await assert.rejects(resize(init, image.target, 20 * MIB), {
        name: "ResizeError",
        type,
        path: image.target,
        message: /can only grow/,
      });
      assert.equal(await totalBytes(image), before);
    }
  });

  test("btrfs shrinks, and the rest of its device is free to go", async () => {
    const path = join(folder.path, "btrfs-large.img");
    emptyImage(path, 600);
    run("mkfs.btrfs", "-q", path);
    const content = new Uint8Array(noise(20 * MIB));
    {
      await using image = await mountImage(kernel, path, "btrfs");
      await writeFile(init, `${image.target}/kept`, content);
      await resize(init, image.target, 300 * MIB);
      assert.equal(await totalBytes(image), 300 * MIB);
      await assert.rejects(resize(init, image.target, 100 * MIB), /takes 268435456 bytes or more/);
    }
    truncateSync(path, 300 * MIB);
    checkImage(path, "btrfs");
    await using image = await mountImage(kernel, path, "btrfs");
    assert.deepEqual(await readFile(init, `${image.target}/kept`), content);
  });

  test("f2fs shrinks, and says that it cannot grow", async () => {
    const path = makeImage(folder.path, "f2fs");
    const content = new Uint8Array(noise(4 * MIB));
    {
      await using image = await mountImage(kernel, path, "f2fs");
      await writeFile(init, `${image.target}/kept`, content);
      const before = await totalBytes(image);
      await resize(init, image.target, 80 * MIB);
      assert.equal(before - (await totalBytes(image)), 16 * MIB);
      await assert.rejects(resize(init, image.target, "device"), /f2fs can only shrink/);
    }
    truncateSync(path, 80 * MIB);
    checkImage(path, "f2fs");
    await using image = await mountImage(kernel, path, "f2fs");
    assert.deepEqual(await readFile(init, `${image.target}/kept`), content);
  });

  test("what cannot be resized says so", async () => {
    await using image = await open("vfat");
    await assert.rejects(resize(init, image.target, "device"), {
      name: "ResizeError",
      code: "ERR_CANNOT_RESIZE",
      message: "vfat cannot be resized while mounted",
    });
    await assert.rejects(resize(init, "/proc", "device"), /proc cannot be resized/);
    await assert.rejects(resize(init, image.target, -1), /^InvalidOptionError: option "size"/);
    await assert.rejects(resize(init, "/nowhere", "device"), { code: "ENOENT" });
  });

  test("a partition grows below what is mounted", async () => {
    const path = emptyImage(join(folder.path, "parts.img"), 80);
    runWith("label: dos\nstart=2048, size=65536\nstart=131072, size=8192\n", "sfdisk", "-q", path);
    placeImage(path, 2048 * 512, makeImage(folder.path, "ext4", "-L", "part"));
    using disk = new FileDisk(path);
    {
      await using device = await attachDisk(kernel, disk);
      const [first] = await device.partitions();
      await using mounted = await mount(kernel, { source: first.path });
      const before = await mounted.usage();
      await resizePartition(init, device, 1, 60 * MIB);
      assert.equal((await device.partitions())[0].sizeBytes, 60 * MIB);
      await resize(init, mounted.target, "device");
      assert.ok((await mounted.usage()).totalBytes - before.totalBytes > 20 * MIB);
      await writeFile(init, `${mounted.target}/file`, new Uint8Array(noise(40 * MIB)));
      await assert.rejects(resizePartition(init, device, 1, 64 * MIB), { code: "EBUSY" });
      await assert.rejects(resizePartition(init, device, 2, 64 * MIB), { code: "EINVAL" });
      disk.resize(128 * MIB);
      await resizePartition(init, device, 2, 64 * MIB);
      assert.equal((await device.partitions())[1].sizeBytes, 64 * MIB);
      await assert.rejects(
        resizePartition(init, device, 3, MIB),
        /^DeviceNotFoundError: \/dev\/vd\w+ has no partition 3; it has 1, 2/,
      );
    }
    const part = join(folder.path, "part.img");
    run("dd", `if=${path}`, `of=${part}`, "bs=1M", "skip=1", "count=60", "status=none");
    checkImage(part, "ext4");
  });

  test("a disk in memory grows, and shrinks back, below what is mounted", async () => {
    const disk = new MemoryDisk(new Uint8Array(readFileSync(makeImage(folder.path, "ext4"))));
    await using device = await attachDisk(kernel, disk);
    await using mounted = await mount(kernel, { source: device.path });
    const before = (await mounted.usage()).totalBytes;
    disk.resize(64 * MIB);
    disk.resize(48 * MIB);
    await deviceResized(init, device);
    await deviceResized(init, device);
    await resize(init, mounted.target, "device");
    const grown = (await mounted.usage()).totalBytes - before;
    assert.ok(grown > 12 * MIB && grown <= 16 * MIB);
    await assert.rejects(resize(init, mounted.target, 64 * MIB), /more than the 50331648/);
    await writeFile(init, `${mounted.target}/file`, new Uint8Array(noise(36 * MIB)));
    await syncFilesystem(init, mounted.target);
  });

  test("a frozen file system is whole on its device, and its writers wait", async () => {
    for (const type of ["ext4", "xfs", "btrfs", "f2fs"] as const) {
      await using image = await open(type);
      const path = `${image.target}/file`;
      await writeFile(init, path, text.encode("before"));
      let writing: Promise<number>;
      const fd = await init.openat(AT_FDCWD, path, O_RDWR, 0);
      const copy = join(folder.path, `${type}-frozen.img`);
      {
        await using frozen = await freeze(init, image.target);
        writing = init.pwrite64(fd, text.encode("after!"), 6, 0);
        assert.equal(await isSettled(writing), false);
        copyFileSync(image.path, copy);
        // XFS leaves a record in its log, so that what was unlinked and open is seen to.
        if (type !== "xfs") checkImage(copy, type);
        await assert.rejects(freeze(init, image.target), { code: "EBUSY" });
        await assert.rejects(init.umount2(image.target, 0), { code: "EBUSY" });
        assert.equal(text.decode(await readFile(init, path)), "before");
        await frozen.thaw();
        await frozen.thaw();
      }
      assert.equal(await writing, 6);
      assert.equal(text.decode(await readFile(init, path)), "after!");
      await init.close(fd);
      const duplicate = type === "xfs" ? { options: "nouuid" } : {};
      // While the original is there, Btrfs takes no second one of the same identifier.
      if (type !== "btrfs") {
        await using copied = await mountImage(kernel, copy, type, duplicate);
        assert.equal(text.decode(await readFile(init, `${copied.target}/file`)), "before");
      }
      await assert.rejects(thaw(init, image.target), { code: "EINVAL", path: image.target });
    }
    await assert.rejects(freeze(init, "/proc"), { code: "EOPNOTSUPP", path: "/proc" });
  });

  test("what is frozen cannot be unmounted, and what others thawed is no loss", async () => {
    const path = makeImage(folder.path, "ext4");
    using disk = new FileDisk(path);
    await using device = await attachDisk(kernel, disk);
    const mounted = await mount(kernel, { source: device.path });
    const open = (await readDirectory(init, "/proc/self/fd")).length;
    const frozen = await freeze(init, mounted.target);
    await assert.rejects(init.umount2(mounted.target, 0), { code: "EBUSY" });
    await thaw(init, mounted.target);
    await assert.rejects(frozen.thaw(), { code: "EINVAL" });
    assert.equal((await readDirectory(init, "/proc/self/fd")).length, open);
    await mounted.unmount();
    checkImage(path, "ext4");
  });

  test("a kernel halts with a file system frozen", async () => {
    const path = makeImage(folder.path, "ext4");
    const other = await Kernel.boot({ image: "fs", memoryMiB: 32 });
    using disk = new FileDisk(path);
    const device = await attachDisk(other, disk);
    const { target } = await mount(other, { source: device.path });
    await writeFile(other.init, `${target}/file`, text.encode("frozen"));
    const frozen = await freeze(other.init, target);
    await other.halt();
    await frozen[Symbol.asyncDispose]().catch(() => {});
    checkImage(path, "ext4");
  });

  test("what is free is given back to the device", async () => {
    for (const type of ["ext4", "xfs", "btrfs", "f2fs", "vfat"] as const) {
      const path = makeImage(folder.path, type, ...(type === "vfat" ? ["-F", "16"] : []));
      const disk = new MemoryDisk(new Uint8Array(readFileSync(path)));
      await using device = await attachDisk(kernel, disk);
      // F2FS gives it back by itself otherwise, some time.
      const options = type === "f2fs" ? { options: "nodiscard" } : {};
      await using mounted = await mount(kernel, { source: device.path, ...options });
      const content = new Uint8Array(noise(6 * MIB));
      await writeFile(init, `${mounted.target}/kept`, content);
      await writeFile(init, `${mounted.target}/gone`, content);
      await syncFilesystem(init, mounted.target);
      await init.unlinkat(AT_FDCWD, `${mounted.target}/gone`, 0);
      await syncFilesystem(init, mounted.target);
      const before = disk.allocatedBytes;
      const trimmed = await trim(init, mounted.target);
      assert.ok(trimmed >= 6 * MIB, `${type}: ${trimmed}`);
      assert.ok(before - disk.allocatedBytes > 5 * MIB);
      assert.deepEqual(await readFile(init, `${mounted.target}/kept`), content);
    }
  });

  test("only a part is given back, if so asked", async () => {
    const path = makeImage(folder.path, "ext4");
    await using device = await attachDisk(
      kernel,
      new MemoryDisk(new Uint8Array(readFileSync(path))),
    );
    await using mounted = await mount(kernel, { source: device.path });
    const { target } = mounted;
    await assert.rejects(trim(init, target, { minimumBytes: 2 ** 40 }), { code: "EINVAL" });
    const first = { lengthBytes: 16 * MIB };
    const trimmed = await trim(init, target, first);
    assert.ok(trimmed > 0 && trimmed <= 16 * MIB);
    assert.ok((await trim(init, target, { offsetBytes: 16 * MIB })) > 0);
    await assert.rejects(trim(init, "/proc"), { code: "ENOTTY", path: "/proc" });
    await assert.rejects(trim(init, target, { offsetBytes: NaN }), { code: "ERR_INVALID_OPTION" });
    await using image = await open("ext4");
    await assert.rejects(trim(init, image.target), { code: "EOPNOTSUPP", path: image.target });
  });

  test("a file system has a name, and gets another", async () => {
    const native: Readonly<Partial<Record<NativeType, (path: string) => string>>> = {
      ext4: (path) => run("e2label", path).trim(),
      xfs: (path) => /label = "(.*)"/.exec(run("xfs_admin", "-l", path))?.[1] ?? "",
      btrfs: (path) => run("btrfs", "filesystem", "label", path).trim(),
      f2fs: (path) => run("blkid", "-p", "-s", "LABEL", "-o", "value", path).trim(),
    };
    for (const [type, labelOf] of Object.entries(native) as [NativeType, (p: string) => string][]) {
      const path = makeImage(folder.path, type, type === "f2fs" ? "-l" : "-L", "before");
      {
        await using image = await mountImage(kernel, path, type);
        assert.equal(await getLabel(init, image.target), "before");
        await setLabel(init, image.target, "nächster");
        assert.equal(await getLabel(init, image.target), "nächster");
        await assert.rejects(setLabel(init, image.target, "x".repeat(256)), /has 256 bytes, more/);
        await assert.rejects(setLabel(init, image.target, "a\0b"), /NUL/);
        if (type === "ext4" || type === "xfs")
          await assert.rejects(setLabel(init, image.target, "seventeen letters"), {
            code: "ERR_INVALID_OPTION",
          });
      }
      assert.equal(labelOf(path), "nächster");
    }
    await using image = await open("vfat");
    await assert.rejects(getLabel(init, image.target), { code: "ENOTTY", path: image.target });
  });

  test("what was written is lasting after a sync", async () => {
    await using image = await open("ext4");
    const fd = await init.openat(AT_FDCWD, `${image.target}/file`, O_CREAT | O_RDWR, 0o644);
    await init.write(fd, text.encode("lasting"), 7);
    assert.equal(readFileSync(image.path).includes("lasting"), false);
    await syncFilesystem(init, fd);
    assert.ok(readFileSync(image.path).includes("lasting"));
    await init.close(fd);
    const directory = await init.openat(AT_FDCWD, image.target, O_RDONLY, 0);
    await syncFilesystem(init, directory);
    await init.close(directory);
    await assert.rejects(syncFilesystem(init, directory), { code: "EBADF" });
  });
});
