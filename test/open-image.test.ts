// openImage(): from any source to files, and back into the image.

import assert from "node:assert/strict";
import { chmodSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { DiskError, HttpDisk, MemoryDisk, OverlayDisk } from "../src/disk/index.ts";
import { mkfs } from "../src/format/index.ts";
import { readFile, readText } from "../src/fs/index.ts";
import { Kernel, openImage } from "../src/index.ts";
import type { ImageSource, MountedVolume } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { emptyImage, noise, run, runWith, temporaryFolder } from "./images/native.ts";
import { serve } from "./range-server.ts";

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

test("what cannot be written is mounted read-only, unless it is told to be written", async () => {
  using folder = temporaryFolder();
  await using image = await openImage(ext4(folder.path), { readOnly: true });
  const volume = image.volume();
  await assert.rejects(volume.mount({ readOnly: false }), { name: "MountError", code: "EACCES" });
  await using mounted = await volume.mount();
  assert.equal(await readText(mounted.process, "/hello"), "hello, world\n");
  await assert.rejects(write(mounted, "/new", "x"), { code: "EROFS" });
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

/** Mount the only volume of an image, to be read. @returns what it is refused with */
async function refusal(source: ImageSource): Promise<Error> {
  await using image = await openImage(source, { readOnly: true });
  const error: unknown = await image
    .volume()
    .mount({ readOnly: true })
    .then(
      () => null,
      (why: unknown) => why,
    );
  assert.ok(error instanceof Error, "it was mounted");
  return error;
}

test("what is no image names the file and the volume, and asks what may be wrong", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "some.img");
  for (const [bytes, saw] of [
    [noise(MIB), /the first bytes are 3c 5e/],
    [new Uint8Array(MIB), /the first 64 KiB are all zeroes/],
    [new Uint8Array(0), /it is empty/],
  ] as const) {
    writeFileSync(path, bytes);
    const { name, message } = await refusal(path);
    assert.equal(name, "NotMountableError");
    assert.match(message, saw);
    assert.match(message, /is it a disk image, whole and not encrypted\?/);
    assert.ok(message.endsWith(`; this is volume 0 (nothing known) of ${path}`), message);
  }
  using server = await serve(new Uint8Array(MIB));
  for (const [source, called] of [
    [new Blob([new Uint8Array(MIB)]), "volume 0 (nothing known)"],
    [new File([new Uint8Array(MIB)], "my.img"), "volume 0 (nothing known) of my.img"],
    [new URL(`file://${path}`), `volume 0 (nothing known) of ${path}`],
    [`${server.url}?secret`, `volume 0 (nothing known) of ${server.url}`],
  ] as const) {
    writeFileSync(path, new Uint8Array(MIB));
    const { message } = await refusal(source);
    assert.ok(message.endsWith(`; this is ${called}`), message);
  }
  writeFileSync(path, "just text\n");
  await assert.rejects(openImage(path), {
    name: "DiskError",
    message: /^EINVAL: .*some\.img: a size of 10 bytes .*is it a disk image, and complete\?/,
  });
});

test("what was not copied to its end says so", async () => {
  using folder = temporaryFolder();
  for (const [type, mib, command, ...args] of [
    ["ext4", 16, "mke2fs", "-q", "-F", "-t", "ext4"],
    ["xfs", 320, "mkfs.xfs", "-q"],
    ["btrfs", 128, "mkfs.btrfs", "-q"],
  ] as const) {
    const path = emptyImage(join(folder.path, `${type}.img`), mib);
    run(command, ...args, path);
    truncateSync(path, (mib / 2) * MIB);
    const { name, message } = await refusal(path);
    assert.equal(name, "MountError");
    assert.match(message, /was it copied, or unpacked, to its end\?/);
    assert.ok(message.endsWith(`; this is volume 0 (${type}) of ${path}`), message);
  }
  const path = join(folder.path, "squashfs.img");
  writeFileSync(join(folder.path, "content"), noise(400_000));
  run("mksquashfs", join(folder.path, "content"), path, "-quiet");
  truncateSync(path, 200_000);
  assert.match((await refusal(path)).message, /EINVAL.*squashfs.*: is it whole,.*squashfs\.img$/);
});

test("features that the kernel does not know are named, and what they leave possible", async () => {
  using folder = temporaryFolder();
  const ext4At = (name: string, offset: number) => {
    const path = emptyImage(join(folder.path, name), 16);
    run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", path);
    const bytes = readFileSync(path);
    // The highest bit of s_feature_incompat or s_feature_ro_compat (fs/ext4/ext4.h).
    bytes[1024 + offset + 3] |= 0x80;
    writeFileSync(path, bytes);
    return path;
  };
  const xfs = emptyImage(join(folder.path, "xfs.img"), 320);
  run("mkfs.xfs", "-q", xfs);
  run("xfs_db", "-x", "-c", "sb 0", "-c", "write -d features_incompat 0x40000000", xfs);
  for (const [path, flags] of [
    [ext4At("incompatible.img", 0x60), /\(80000000\)/],
    [xfs, /\(0x40000000\)/],
  ] as const) {
    const { message } = await refusal(path);
    assert.match(message, flags);
    assert.match(message, /features that are newer than this kernel, and cannot be read without/);
    assert.ok(message.endsWith(` of ${path}`), message);
  }
  const path = ext4At("compatible.img", 0x64);
  await using image = await openImage(path);
  await assert.rejects(
    image.volume().mount(),
    /\(80000000\).*: mount it read-only; this is volume 0 \(ext4\) of .*compatible\.img$/,
  );
  await using mounted = await image.volume().mount({ readOnly: true });
  assert.deepEqual(await mounted.fs.promises.readdir("/"), ["lost+found"]);
});

test("an image that shrinks underneath, and one that is full, are errors, and why is told", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "changing.img");
  const tree = join(folder.path, "tree");
  run("mkdir", tree);
  writeFileSync(join(tree, "large"), noise(4 * MIB));
  run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, path, "16M");
  const errors: unknown[] = [];
  {
    await using image = await openImage(path, { onError: (error) => errors.push(error) });
    await using mounted = await image.volume().mount();
    const { promises } = mounted.fs;
    // Nothing that was not written is reported as done, and what there was stays.
    const writing = promises.writeFile("/more", new Uint8Array(32 * MIB));
    await assert.rejects(writing, { code: "ENOSPC", syscall: "write" });
    assert.ok((await promises.stat("/more")).size < 16 * MIB);
    await promises.unlink("/more");
    assert.equal(errors.length, 0);
  }
  run("e2fsck", "-fn", path);
  {
    const options = { readOnly: true, onError: (error: unknown) => errors.push(error) };
    await using image = await openImage(path, options);
    await using mounted = await image.volume().mount({ readOnly: true });
    assert.equal((await mounted.fs.promises.stat("/large")).size, 4 * MIB);
    truncateSync(path, MIB);
    await assert.rejects(mounted.fs.promises.readFile("/large"), { code: "EIO" });
  }
  const [why] = errors;
  assert.ok(why instanceof DiskError);
  assert.deepEqual([why.code, why.path], ["EIO", path]);
  assert.match(why.message, /changing\.img: .*shorter|shrunk|ends/);
});

test("a server that disappears in mid-read is an I/O error, and the error names it", async () => {
  using folder = temporaryFolder();
  const path = join(folder.path, "served.img");
  const tree = join(folder.path, "tree");
  run("mkdir", tree);
  writeFileSync(join(tree, "large"), noise(4 * MIB));
  run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, path, "16M");
  using server = await serve(readFileSync(path));
  const errors: unknown[] = [];
  // It is not asked again and again.
  using disk = await HttpDisk.open(server.url, { retries: 0 });
  await using image = await openImage(disk, { onError: (error) => errors.push(error) });
  await using mounted = await image.volume().mount({ readOnly: true });
  assert.equal((await mounted.fs.promises.stat("/large")).size, 4 * MIB);
  server.stop();
  await assert.rejects(mounted.fs.promises.readFile("/large"), { code: "EIO" });
  const [why] = errors;
  assert.ok(why instanceof DiskError);
  assert.deepEqual([why.code, why.path], ["EIO", server.url]);
});

test("what cannot be opened is refused with a reason, and nothing is left behind", async () => {
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
