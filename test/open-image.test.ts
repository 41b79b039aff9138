// openImage(): from any source to files, and back into the image.

import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk, OverlayDisk } from "../src/disk/index.ts";
import { mkfs } from "../src/format/index.ts";
import { readFile, readText } from "../src/fs/index.ts";
import { Kernel, openImage } from "../src/index.ts";
import type { MountedVolume } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { run, runWith, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;

/** An ext4 image with one file. */
function ext4(folder: string, name = "disk.img", label = "small"): string {
  const path = join(folder, name);
  const tree = join(folder, "tree");
  run("mkdir", "-p", tree);
  writeFileSync(join(tree, "hello"), "hello, world\n");
  run("mke2fs", "-q", "-t", "ext4", "-L", label, "-d", tree, path, "8M");
  return path;
}

/** A disk with a FAT and an ext4 partition. */
function partitioned(folder: string): string {
  const path = join(folder, "parted.img");
  run("truncate", "-s", "32M", path);
  runWith("label: gpt\nsize=8MiB, name=boot\nsize=16MiB, name=root\n", "sfdisk", "-q", path);
  const bytes = readFileSync(path);
  const fat = join(folder, "fat.img");
  run("mkfs.vfat", "-C", "-n", "BOOT", fat, "8192");
  readFileSync(fat).copy(bytes, MIB);
  readFileSync(ext4(folder)).copy(bytes, 9 * MIB);
  writeFileSync(path, bytes);
  return path;
}

async function write(volume: MountedVolume, path: string, text: string): Promise<void> {
  const { process } = volume;
  const fd = await process.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
  const bytes = new TextEncoder().encode(text);
  assert.equal(await process.write(fd, bytes, bytes.length), bytes.length);
  await process.close(fd);
}

test("an image is opened from a path, a URL, a Blob, bytes and a disk", async () => {
  using folder = temporaryFolder();
  const path = ext4(folder.path);
  const bytes = new Uint8Array(readFileSync(path));
  const sources = [
    path,
    new URL(`file://${path}`),
    new Blob([bytes]),
    bytes,
    new MemoryDisk(bytes.slice()),
  ];
  for (const source of sources) {
    await using image = await openImage(source, { readOnly: true });
    const volume = image.volume();
    assert.deepEqual([volume.number, volume.type, volume.label], [0, "ext4", "small"]);
    await using mounted = await volume.mount({ readOnly: true });
    assert.equal(await readText(mounted.process, "/hello"), "hello, world\n");
  }
});

test("what was written is in the image when it is closed, and e2fsck finds nothing", async () => {
  using folder = temporaryFolder();
  const path = ext4(folder.path);
  {
    await using image = await openImage(path);
    const mounted = await image.volume().mount();
    await write(mounted, "/new", "kept");
    // Neither unmounted nor exited: closing the image sees to both.
  }
  run("e2fsck", "-fn", path);
  assert.equal(run("debugfs", "-R", "cat /new", path), "kept");
});

test("volumes are found by number, label and UUID", async () => {
  using folder = temporaryFolder();
  await using image = await openImage(partitioned(folder.path), { readOnly: true });
  assert.deepEqual(image.volumes.map(String), ['1 (vfat "BOOT")', '2 (ext4 "small")']);
  const root = image.volume(2);
  const [disk] = image.roots;
  assert.deepEqual(disk.children, image.volumes);
  assert.equal(root.parent, disk);
  assert.equal(disk.parent, null);
  assert.equal(disk.sizeBytes, image.devices[0].sizeBytes);
  assert.equal(image.volume("small"), root);
  assert.equal(image.volume(root.uuid), root);
  assert.throws(() => image.volume(), {
    code: "ERR_VOLUME_NOT_FOUND",
    message: 'there are several volumes: 1 (vfat "BOOT"), 2 (ext4 "small"); name one',
  });
  assert.throws(() => image.volume("nowhere"), { code: "ERR_VOLUME_NOT_FOUND" });
  const usage = await root.usage();
  assert.ok(usage.totalBytes > 4 * MIB && usage.usedBytes < usage.totalBytes);
});

test("a user of the volume is who the options say", async () => {
  using folder = temporaryFolder();
  await using image = await openImage(new Uint8Array(readFileSync(ext4(folder.path))));
  const volume = image.volume();
  await using user = await volume.mount({ uid: 1000, gid: 1000 });
  await assert.rejects(write(user, "/forbidden", ""), { code: "EACCES" });
  await using root = await volume.mount({ umask: 0o077 });
  await write(root, "/private", "x");
  await assert.rejects(readFile(user.process, "/private"), { code: "EACCES" });
});

test("images share a kernel that is given, and leave it running", async () => {
  using folder = temporaryFolder();
  await using kernel = await Kernel.boot({ image: "fs" });
  {
    await using left = await openImage(ext4(folder.path, "left.img", "left"), { kernel });
    await using right = await openImage(ext4(folder.path, "right.img", "right"), { kernel });
    await using from = await left.volume().mount({ readOnly: true });
    await using to = await right.volume().mount();
    await write(to, "/copy", await readText(from.process, "/hello"));
  }
  assert.ok(kernel.running);
  assert.equal(kernel.processes.size, 1);
  assert.equal(run("debugfs", "-R", "cat /copy", join(folder.path, "right.img")), "hello, world\n");
});

test("compressed images, and images of a server, are read as they are", async () => {
  using folder = temporaryFolder();
  const path = ext4(folder.path);
  for (const [tool, suffix] of [
    ["gzip", "gz"],
    ["xz", "xz"],
    ["zstd", "zst"],
  ] as const) {
    run(tool, "-q", "-k", path);
    await using image = await openImage(`${path}.${suffix}`);
    assert.ok(image.devices[0].readOnly);
    await using mounted = await image.volume().mount({ readOnly: true });
    assert.equal(await mounted.fs.promises.readFile("/hello", "utf8"), "hello, world\n");
  }
  const bytes = readFileSync(path);
  const server = createServer((request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const [start, end] = [Number(from ?? 0), Math.min(Number(to ?? Infinity), bytes.length - 1)];
    response.writeHead(206, { "content-range": `bytes ${start}-${end}/${bytes.length}` });
    response.end(bytes.subarray(start, end + 1));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    await using image = await openImage(`http://127.0.0.1:${port}/disk.img`);
    await using mounted = await image.volume().mount({ readOnly: true });
    assert.equal(await mounted.fs.promises.readFile("/hello", "utf8"), "hello, world\n");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("an overlay keeps changes apart until it is committed", async () => {
  using folder = temporaryFolder();
  const path = ext4(folder.path);
  const before = readFileSync(path);
  chmodSync(path, 0o444);
  {
    await using image = await openImage(path, { overlay: true });
    await using mounted = await image.volume().mount();
    await mounted.fs.promises.writeFile("/hello", "changed");
    assert.equal(await mounted.fs.promises.readFile("/hello", "utf8"), "changed");
  }
  assert.ok(readFileSync(path).equals(before));
  chmodSync(path, 0o644);
  const disk = new OverlayDisk(new FileDisk(path));
  {
    await using image = await openImage(disk);
    await using mounted = await image.volume().mount();
    await mounted.fs.promises.writeFile("/hello", "changed");
  }
  await disk.commit();
  run("e2fsck", "-fn", path);
  assert.equal(run("debugfs", "-R", "cat /hello", path), "changed");
});

test("what is no image is refused with a reason, and nothing is left behind", async () => {
  using folder = temporaryFolder();
  await assert.rejects(openImage(join(folder.path, "missing.img")), {
    name: "DiskError",
    code: "ENOENT",
  });
  await assert.rejects(openImage([]), { code: "ERR_INVALID_OPTION" });
  await assert.rejects(openImage(7 as unknown as string), {
    code: "ERR_INVALID_OPTION",
    message: /a path, a URL, a Blob, a Uint8Array or a Disk/,
  });
  await using image = await openImage(new Uint8Array(MIB));
  await assert.rejects(image.volume().mount(), {
    code: "ERR_NOT_MOUNTABLE",
    message: /the first 64 KiB are all zeroes/,
  });
});

test("a journal on a read-only source is explained, skipped, or replayed in an overlay", async () => {
  for (const type of ["ext4", "xfs", "btrfs"] as const) {
    const disk = new MemoryDisk(320 * MIB);
    await mkfs(disk, { type });
    const crashing = await openImage(disk);
    const { fs } = await crashing.volume().mount();
    const file = await fs.promises.open("/file", "w");
    await file.write("synced");
    await file.sync();
    crashing.kernel.dispose();
    const source = new Blob([disk.bytes()]);
    await using image = await openImage(source);
    await assert.rejects(image.volume().mount({ readOnly: true }), {
      name: "MountError",
      message: /journal has to be replayed, which writes: open the image with an overlay/,
    });
    await using skipped = await image.volume().mount({ readOnly: true, skipJournal: true });
    assert.ok(skipped.journalSkipped);
    await using over = await openImage(source, { overlay: true });
    await using mounted = await over.volume().mount();
    assert.equal(await mounted.fs.promises.readFile("/file", "utf8"), "synced");
  }
});

test("an F2FS is known by its second superblock, and by all of a long label", async () => {
  const label = "ä".repeat(511);
  const disk = new MemoryDisk(64 * MIB);
  await mkfs(disk, { type: "f2fs", label });
  disk.writeZeroes(0, 4096);
  await using image = await openImage(disk);
  const volume = image.volume();
  assert.deepEqual([volume.type, volume.label], ["f2fs", label]);
  await using mounted = await volume.mount();
  await mounted.fs.promises.writeFile("/file", "there");
});

test("the disks of one btrfs are opened together", async () => {
  using folder = temporaryFolder();
  const paths = ["a.img", "b.img"].map((name) => join(folder.path, name));
  for (const path of paths) run("truncate", "-s", "128M", path);
  run("mkfs.btrfs", "-q", "-d", "raid1", "-m", "raid1", ...paths);
  {
    await using image = await openImage(paths);
    await using mounted = await image.volumes[1].mount();
    await write(mounted, "/both", "on two disks");
  }
  run("btrfs", "check", "--readonly", paths[0]);
  await using alone = await openImage(paths[1], { readOnly: true });
  await assert.rejects(alone.volume().mount({ readOnly: true }), { name: "MountError" });
  await using degraded = await alone.volume().mount({ readOnly: true, options: "degraded" });
  assert.equal(await readText(degraded.process, "/both"), "on two disks");
});
