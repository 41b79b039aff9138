// Disks in a kernel, what is recognised on them, mounts, directories and files.

import assert from "node:assert/strict";
import { lstatSync, openSync, closeSync, readFileSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { MemoryDisk } from "../src/disk/memory-disk.ts";
import { openDirectory } from "../src/fs/directory.ts";
import {
  attachDisk,
  knownTypes,
  listVolumes,
  mount,
  MountError,
  NotMountableError,
  probe,
  readChunks,
  readDirectory,
  readFile,
  readLink,
  readMounts,
  readText,
  stat,
  usage,
  walk,
} from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { SystemError } from "../src/syscall/errors.ts";
import {
  emptyImage,
  ext4Image,
  noise,
  NOT_UTF8,
  placeImage,
  run,
  runWith,
  SAMPLE_SECONDS,
  sampleTree,
  temporaryFolder,
} from "./images/native.ts";

/** What blkid says of an image. */
function blkid(path: string): Record<string, string> {
  // A raw label may have spaces and letters that other formats escape.
  const value = (tag: string) => {
    try {
      return run("blkid", "-p", "-o", "value", "-s", tag, path).replace(/\n$/, "");
    } catch {
      return "";
    }
  };
  return { type: value("TYPE"), label: value("LABEL"), uuid: value("UUID") };
}

const probeFile = (path: string) => {
  const bytes = readFileSync(path);
  return probe(async (at, length) => bytes.subarray(at, at + length), bytes.length);
};
const probeBytes = (size: number, ...parts: [number, string | Uint8Array][]) => {
  const bytes = Buffer.alloc(size);
  for (const [at, part] of parts)
    bytes.set(typeof part === "string" ? Buffer.from(part, "latin1") : part, at);
  return probe(async (at, length) => bytes.subarray(at, at + length), size);
};

suite("superblocks are recognised as blkid does", () => {
  const folder = temporaryFolder();
  after(() => folder[Symbol.dispose]());

  const formats: Record<string, [mib: number, command: string, ...args: string[]]> = {
    ext2: [8, "mke2fs", "-q", "-F", "-t", "ext2", "-L", "label two"],
    ext3: [16, "mke2fs", "-q", "-F", "-t", "ext3", "-L", "three"],
    ext4: [16, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "sixteen letters!"],
    "ext4 without journal": [16, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal"],
    "external journal": [8, "mke2fs", "-q", "-F", "-O", "journal_dev", "-L", "log"],
    xfs: [320, "mkfs.xfs", "-q", "-L", "xfs label"],
    btrfs: [128, "mkfs.btrfs", "-q", "-L", "a label of btrfs, which may be long"],
    f2fs: [64, "mkfs.f2fs", "-q", "-l", "flash"],
    FAT12: [2, "mkfs.vfat", "-F", "12", "-n", "TWELVE"],
    FAT16: [20, "mkfs.vfat", "-F", "16", "-n", "SIX TEEN"],
    FAT32: [64, "mkfs.vfat", "-F", "32", "-n", "BOOT"],
    "FAT32 without label": [64, "mkfs.vfat", "-F", "32"],
    exfat: [16, "mkfs.exfat", "-L", "exLabel"],
    swap: [4, "mkswap", "-q", "-L", "swaplabel"],
  };
  for (const [name, [mib, command, ...args]] of Object.entries(formats)) {
    test(name, async () => {
      const path = emptyImage(join(folder.path, `${name}.img`), mib);
      run(command, ...args, path);
      const found = await probeFile(path);
      const { type = "", label = "", uuid = "" } = { ...found };
      assert.deepEqual({ type, label, uuid }, blkid(path));
    });
  }

  test("squashfs and erofs", async () => {
    const root = sampleTree(folder.path);
    const squash = join(folder.path, "squash.img");
    run("mksquashfs", root, squash, "-quiet", "-no-progress", "-comp", "zstd");
    const found = await probeFile(squash);
    assert.equal(found?.type, "squashfs");
    assert.equal(found?.title, "SquashFS (zstd)");
    const ero = join(folder.path, "ero.img");
    run("mkfs.erofs", ero, root);
    assert.equal((await probeFile(ero))?.type, "erofs");
    assert.equal((await probeFile(ero))?.uuid, blkid(ero)["uuid"]);
  });

  test("minix", async () => {
    for (const version of ["1", "2", "3"]) {
      const path = emptyImage(join(folder.path, "minix.img"), 4);
      run("mkfs.minix", `-${version}`, path);
      assert.deepEqual(await probeFile(path), {
        type: "minix",
        title: "Minix",
        kind: "filesystem",
        version,
      });
    }
  });
});

test("what cannot be mounted is named", async () => {
  const md = Buffer.from("fc4e2ba901000000", "hex");
  const cases: [string, string, ...[number, string | Uint8Array][]][] = [
    ["crypto_LUKS", "encrypted", [0, "LUKS\xba\xbe\0\x02"]],
    ["BitLocker", "encrypted", [3, "-FVE-FS-"]],
    ["LVM2_member", "member", [512, "LABELONE"], [536, "LVM2 001"]],
    ["linux_raid_member", "member", [4096, md]],
    ["linux_raid_member", "member", [0, md]],
    ["linux_raid_member", "member", [(1 << 20) - 8192, md]],
    ["linux_raid_member", "member", [(1 << 20) - 65536, Buffer.from("fc4e2ba900000000", "hex")]],
    ["ntfs3", "filesystem", [3, "NTFS    "]],
    ["iso9660", "filesystem", [32768, "\x01CD001\x01"]],
    ["udf", "filesystem", [32768, "\0BEA01"], [34816, "\0NSR03"]],
    ["hfsplus", "filesystem", [1024, "H+"]],
    ["apfs", "filesystem", [32, "NXSB"]],
    ["reiserfs", "filesystem", [0x10034, "ReIsEr2Fs"]],
    ["qcow2", "container", [0, "QFI\xfb"]],
    ["gzip", "container", [0, "\x1f\x8b\x08"]],
    ["xz", "container", [0, "\xfd7zXZ\0"]],
    ["tar", "container", [257, "ustar\0"]],
  ];
  for (const [type, kind, ...parts] of cases) {
    const found = await probeBytes(1 << 20, ...parts);
    assert.equal(found?.type, type);
    assert.equal(found?.kind, kind, type);
  }
  assert.equal(await probeBytes(1 << 20), null);
  assert.equal(await probeBytes(0), null);
});

test("a probe survives noise", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const bytes = noise(80_000, seed);
    // A boot sector's fields decide what else is read.
    bytes.set(Buffer.from(seed % 2 ? "EXFAT   " : "NTFS    "), 3);
    await probe(async (at, length) => bytes.subarray(at, at + length), bytes.length);
  }
});

suite("partitions", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "fs" });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  for (const label of ["gpt", "dos"]) {
    test(`${label}: as sfdisk has them`, async () => {
      const path = emptyImage(join(folder.path, `${label}.img`), 40);
      const script =
        label === "gpt"
          ? 'label: gpt\nsize=10MiB, type=uefi, name="EFI boot"\nsize=5MiB, type=swap, name=ßwap\ntype=linux\n'
          : "label: dos\nsize=10MiB, type=c, bootable\nsize=20MiB, type=5\nsize=4MiB, type=82\nsize=5MiB, type=83\nsize=3MiB, type=83\n";
      runWith(script, "sfdisk", "--quiet", path);
      const native = JSON.parse(run("sfdisk", "--json", path)).partitiontable;
      await using device = await attachDisk(kernel, new FileDisk(path, { readOnly: true }));
      const table = await device.table();
      assert.equal(table?.type, label === "gpt" ? "gpt" : "mbr");
      assert.equal(table?.id?.toLowerCase(), native.id.toLowerCase().replace("0x", ""));
      const partitions = await device.partitions();
      const found = partitions.map(({ number, startBytes, entry }) => ({
        number,
        start: startBytes / 512,
        // Of an extended partition the kernel shows the table only.
        size: entry!.sizeBytes / 512,
        type: entry?.typeId,
        name: entry?.name,
        bootable: entry?.bootable,
      }));
      const expected = native.partitions.map(
        (one: {
          node: string;
          start: number;
          size: number;
          type: string;
          name?: string;
          bootable?: boolean;
        }) => ({
          number: Number(/\d+$/.exec(one.node.replace(path, ""))?.[0]),
          start: one.start,
          size: one.size,
          type: one.type.toLowerCase().padStart(2, "0"),
          name: one.name,
          bootable: Boolean(one.bootable),
        }),
      );
      assert.deepEqual(found, expected);
      assert.ok(partitions.every(({ entry }) => entry?.typeName && entry.uuid));
    });
  }

  for (const [what, at, length] of [
    ["header", 512, 8],
    ["header's checksum", 512 + 16, 4],
    ["entries", 1024, 512],
  ] as const) {
    test(`gpt: the copy at the end counts where the ${what} is damaged`, async () => {
      const path = emptyImage(join(folder.path, "damaged.img"), 40);
      runWith("label: gpt\nsize=10MiB\n\nsize=5MiB, name=two\n", "sfdisk", "--quiet", path);
      const bytes = readFileSync(path);
      bytes.fill(0x55, at, at + length);
      await using device = await attachDisk(kernel, new MemoryDisk(bytes));
      assert.equal((await device.table())?.fromBackup, true);
      const found = (await device.partitions()).map(({ number, startBytes, sizeBytes, entry }) => [
        number,
        startBytes >> 20,
        sizeBytes >> 20,
        entry?.name,
      ]);
      assert.deepEqual(found, [
        [1, 1, 10, undefined],
        [2, 11, 5, "two"],
      ]);
    });
  }

  test("file systems inside are volumes", async () => {
    const path = emptyImage(join(folder.path, "volumes.img"), 64);
    runWith("label: gpt\nstart=2048, size=16MiB\ntype=swap\n", "sfdisk", "--quiet", path);
    const part = emptyImage(join(folder.path, "part.img"), 16);
    run("mkfs.vfat", "-n", "BOOT", part);
    placeImage(path, 2048 * 512, part);
    await using device = await attachDisk(kernel, new FileDisk(path, { readOnly: true }));
    const volumes = await listVolumes(kernel, device);
    assert.deepEqual(
      volumes.map(({ number, content }) => [number, content?.type, content?.label]),
      [
        [1, "vfat", "BOOT"],
        [2, undefined, undefined],
      ],
    );
  });
});

suite("a mounted file system", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  let root: string;
  let image: string;
  before(async () => {
    root = sampleTree(folder.path);
    image = ext4Image(join(folder.path, "sample.img"), root, "-L", "sample");
    kernel = await Kernel.boot({ image: "fs" });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  test("has the files that went in", async () => {
    await using device = await attachDisk(kernel, new FileDisk(image, { readOnly: true }));
    assert.equal(device.readOnly, true);
    await using mounted = await mount(kernel, { source: device.path, readOnly: true });
    const at = (path: string) => `${mounted.target}/${path}`;
    assert.equal(mounted.type, "ext4");
    assert.equal(mounted.content?.label, "sample");
    assert.equal(mounted.journalSkipped, false);

    const names = (await readDirectory(kernel.init, mounted.target)).map(({ name }) => name);
    const native = readdirSync(root, { encoding: "buffer" }).map((name) =>
      new TextDecoder().decode(name),
    );
    assert.deepEqual(names.toSorted(), [...native, "lost+found"].toSorted());
    const raw = (await readDirectory(kernel.init, mounted.target)).map(({ rawName }) => rawName);
    assert.ok(raw.some((name) => NOT_UTF8.equals(name)));

    assert.equal(await readText(kernel.init, at("hello.txt")), "hello\n");
    assert.deepEqual(Buffer.from(await readFile(kernel.init, at("big"))), noise(3_000_001));
    const parts: Buffer[] = [];
    for await (const chunk of readChunks(kernel.init, at("big"))) parts.push(Buffer.from(chunk));
    assert.equal(parts.length, 3);
    assert.deepEqual(Buffer.concat(parts), noise(3_000_001));
    const target = await readLink(kernel.init, at("absolute"));
    assert.equal(Buffer.from(target).toString(), "/sub/deeper");

    const status = await stat(kernel.init, at("hello.txt"));
    const expected = lstatSync(join(root, "hello.txt"));
    assert.equal(status.type, "file");
    assert.equal(status.mode, expected.mode & 0o7777);
    assert.equal(status.sizeBytes, 6);
    assert.equal(status.links, 2);
    assert.equal(status.modifiedNs, BigInt(SAMPLE_SECONDS) * 1_000_000_000n);
    assert.equal((await stat(kernel.init, at("link"))).type, "file");
    assert.equal((await stat(kernel.init, at("link"), { follow: false })).type, "symlink");
    await assert.rejects(stat(kernel.init, at("nowhere")), { code: "ENOENT", name: "SystemError" });

    const used = await usage(kernel.init, mounted.target);
    assert.ok(used.usedBytes > 3_000_000 && used.usedBytes < used.totalBytes);
    assert.deepEqual(await mounted.usage(), used);
  });

  test("is walked in order, links not followed", async () => {
    await using device = await attachDisk(kernel, new FileDisk(image, { readOnly: true }));
    await using mounted = await mount(kernel, { source: device.path, readOnly: true });
    const fd = await openDirectory(kernel.init, mounted.target);
    const seen: string[] = [];
    await walk(kernel.init, fd, {
      entry: async ({ path, type }) => {
        seen.push(`${path.map((part) => Buffer.from(part).toString("latin1")).join("/")} ${type}`);
        return true;
      },
      failed: (error) => assert.fail(error as Error),
    });
    await kernel.init.close(fd);
    const native =
      run("find", root, "-mindepth", "1", "-printf", "%P %y\\n").split("\n").length - 1;
    assert.equal(seen.length, native + 1); // lost+found
    assert.ok(seen.includes("absolute symlink"));
    assert.ok(seen.includes("sub/deeper/secret file"));
  });

  test("its target goes with it, and its disk can be taken away", async () => {
    await using device = await attachDisk(kernel, new FileDisk(image, { readOnly: true }));
    const first = await mount(kernel, { source: device.path, readOnly: true });
    const second = await mount(kernel, { source: device.path, readOnly: true });
    assert.notEqual(first.target, second.target);
    assert.equal((await readMounts(kernel.init)).filter(({ type }) => type === "ext4").length, 2);
    await first.unmount();
    await first.unmount();
    await second.unmount();
    await assert.rejects(stat(kernel.init, second.target), { code: "ENOENT" });
  });

  test("takes what is written, in memory", async () => {
    const bytes = new Uint8Array(readFileSync(image));
    await using device = await attachDisk(kernel, new MemoryDisk(bytes));
    await using mounted = await mount(kernel, { source: device.path });
    const fd = await kernel.init.openat(-100, `${mounted.target}/new`, 0o101, 0o644);
    await kernel.init.write(fd, new TextEncoder().encode("new\n"), 4);
    await kernel.init.close(fd);
    await mounted.unmount();
    await using again = await mount(kernel, { source: device.path, readOnly: true });
    assert.equal(await readText(kernel.init, `${again.target}/new`), "new\n");
    assert.equal(again.content?.dirty, false);
  });

  test("keeps devices and programs harmless", async () => {
    await using device = await attachDisk(kernel, new FileDisk(image, { readOnly: true }));
    await using mounted = await mount(kernel, { source: device.path, readOnly: true });
    const line = (await readText(kernel.init, "/proc/self/mountinfo"))
      .split("\n")
      .find((text) => text.includes(mounted.target));
    assert.match(line ?? "", /ro,nosuid,nodev,noexec/);
  });

  test("that is damaged: the kernel's own words", async () => {
    const bytes = new Uint8Array(readFileSync(image));
    // The block size, and the number of inodes a group: neither can be.
    bytes.fill(0xff, 1024 + 24, 1024 + 28);
    await using device = await attachDisk(kernel, new MemoryDisk(bytes));
    await assert.rejects(mount(kernel, { source: device.path, readOnly: true }), (error) => {
      assert.ok(error instanceof MountError);
      assert.ok(error.kernelSays.length > 0);
      assert.match(
        error.message,
        /^E\w+: .*mounting \/dev\/vd\w as ext4; the kernel says: EXT4-fs/,
      );
      return true;
    });
    assert.deepEqual(
      (await readMounts(kernel.init)).filter(({ target }) => target.startsWith("/mnt")),
      [],
    );
  });

  test("that is none: what was seen", async () => {
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(1 << 20), /all zeroes/],
      [new Uint8Array(noise(1 << 20)), /the first bytes are ([0-9a-f]{2} ){16}"/],
      [
        new Uint8Array(Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(508)])),
        /qcow2/,
      ],
      [
        new Uint8Array(
          Buffer.concat([Buffer.from("LUKS\xba\xbe\0\x02", "latin1"), Buffer.alloc(504)]),
        ),
        /encrypted/,
      ],
    ];
    for (const [bytes, pattern] of cases) {
      await using device = await attachDisk(kernel, new MemoryDisk(bytes));
      await assert.rejects(mount(kernel, { source: device.path }), (error) => {
        assert.ok(error instanceof NotMountableError);
        assert.match(error.message, pattern);
        return true;
      });
    }
    await assert.rejects(mount(kernel, { source: "/dev/none" }), SystemError);
  });

  test("with a journal to replay, on a disk that cannot be written", async () => {
    const path = ext4Image(join(folder.path, "dirty.img"), root);
    // Superblock: the feature bit needs_recovery, as a crash leaves it.
    run("debugfs", "-w", "-R", "feature needs_recovery", path);
    const disk = () => new FileDisk(path, { readOnly: true });
    await using device = await attachDisk(kernel, disk());
    await assert.rejects(mount(kernel, { source: device.path, readOnly: true }), {
      name: "MountError",
      code: "EROFS",
    });
    await using mounted = await mount(kernel, {
      source: device.path,
      readOnly: true,
      skipJournal: true,
    });
    assert.equal(mounted.journalSkipped, true);
    assert.equal(mounted.content?.dirty, true);
    assert.equal(await readText(kernel.init, `${mounted.target}/hello.txt`), "hello\n");
  });

  test("of other kinds that this kernel has", async () => {
    const types = await knownTypes(kernel.init);
    assert.ok(types.includes("ext4") && types.includes("vfat"), types.join());
    const squash = join(folder.path, "squash.img");
    run("mksquashfs", root, squash, "-quiet", "-no-progress");
    const ero = join(folder.path, "ero.img");
    run("mkfs.erofs", ero, root);
    for (const path of [squash, ero]) await hasBig(path);
  });

  // Their files have lists of blocks instead of extents, which other code of the driver reads.
  test("of ext2 and ext3", async () => {
    for (const type of ["ext2", "ext3"]) {
      const path = emptyImage(join(folder.path, `${type}.img`), 32);
      run("mke2fs", "-q", "-F", "-t", type, "-d", root, path);
      await hasBig(path);
    }
  });

  async function hasBig(path: string): Promise<void> {
    await using device = await attachDisk(kernel, new FileDisk(path, { readOnly: true }));
    await using mounted = await mount(kernel, { source: device.path, readOnly: true });
    const big = await readFile(kernel.init, `${mounted.target}/big`);
    assert.ok(noise(3_000_001).equals(big), path);
  }
});

test("many disks come and go", async () => {
  await using kernel = await Kernel.boot({ image: "fs" });
  const devices = [];
  for (let i = 0; i < 30; i++) devices.push(await attachDisk(kernel, new MemoryDisk(1 << 20)));
  assert.equal(new Set(devices.map(({ path }) => path)).size, 30);
  for (const device of devices) await device.detach();
  await using again = await attachDisk(kernel, new MemoryDisk(2 << 20));
  assert.equal(again.sizeBytes, 2 << 20);
  assert.equal(Number(await readText(kernel.init, `/sys/block/${again.name}/size`)), 4096);
});

test("a kernel that stops takes mounts and devices with it", async () => {
  const folder = temporaryFolder();
  const image = ext4Image(join(folder.path, "stop.img"), sampleTree(folder.path));
  const kernel = await Kernel.boot({ image: "fs" });
  const device = await attachDisk(kernel, new FileDisk(image, { readOnly: true }));
  const mounted = await mount(kernel, { source: device.path, readOnly: true });
  const chunks = readChunks(kernel.init, `${mounted.target}/big`);
  await chunks.next();
  kernel.dispose();
  await assert.rejects(chunks.next(), { name: "KernelStoppedError" });
  await assert.rejects(mounted.usage(), { name: "KernelStoppedError" });
  await assert.rejects(mounted.unmount(), { name: "KernelStoppedError" });
  await mounted[Symbol.asyncDispose]();
  await device[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test("a disk that was cut short is an error of the calls, not of the kernel", async () => {
  const folder = temporaryFolder();
  const image = ext4Image(join(folder.path, "cut.img"), sampleTree(folder.path));
  await using kernel = await Kernel.boot({ image: "fs" });
  await using device = await attachDisk(kernel, new FileDisk(image, { readOnly: true }));
  await using mounted = await mount(kernel, { source: device.path, readOnly: true });
  const fd = openSync(image, "r+");
  writeSync(fd, "x");
  closeSync(fd);
  run("truncate", "-s", "1M", image);
  await assert.rejects(readFile(kernel.init, `${mounted.target}/big`), { code: "EIO" });
  folder[Symbol.dispose]();
});
