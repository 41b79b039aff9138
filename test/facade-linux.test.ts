// fs.linux: what Linux does with files and node:fs has no function for.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { createFs, mapOwners } from "../src/fs/index.ts";
import type { LinuxFs } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { makeImage, mountImage } from "./fs-operations.ts";
import type { MountedImage, NativeType } from "./fs-operations.ts";
import { noise, temporaryFolder } from "./images/native.ts";

const BLOCK = 4096;

suite("fs.linux", () => {
  const folder = temporaryFolder();
  const images: MountedImage[] = [];
  const subjects = new Map<NativeType, LinuxFs>();
  let kernel: Kernel;
  const on = (type: NativeType) => subjects.get(type)!;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 192 });
    for (const type of ["ext4", "xfs", "btrfs", "vfat"] as const) {
      const image = await mountImage(kernel, makeImage(folder.path, type), type);
      images.push(image);
      const process = await kernel.process({ root: image.target });
      subjects.set(type, createFs(process, { ownsProcess: true }));
    }
  });
  after(async () => {
    for (const fs of subjects.values()) await fs[Symbol.asyncDispose]();
    for (const image of images) await image[Symbol.asyncDispose]();
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  test("extended attributes, by name, URL, bytes, descriptor and handle", async () => {
    const { promises, linux } = on("ext4");
    await promises.writeFile("/xattr", "");
    await using handle = await promises.open("/xattr", "r+");
    await linux.setXattr("/xattr", "user.text", "tëxt");
    await linux.setXattr(handle, "user.bytes", Uint8Array.of(1, 0, 255), { mode: "create" });
    for (const target of [
      new URL("file:///xattr"),
      new TextEncoder().encode("/xattr"),
      handle.fd,
      handle,
    ]) {
      assert.equal(String(await linux.getXattr(target, "user.text")), "tëxt");
      assert.deepEqual(await linux.getXattr(target, "user.bytes"), Buffer.of(1, 0, 255));
      assert.deepEqual((await linux.listXattrs(target)).toSorted(), ["user.bytes", "user.text"]);
    }
    const raw = await linux.listXattrs(handle, { encoding: "buffer" });
    assert.deepEqual(raw.map(String).toSorted(), ["user.bytes", "user.text"]);
    await linux.removeXattr("/xattr", "user.text");
    await assert.rejects(linux.getXattr("/xattr", "user.text"), {
      name: "Error",
      code: "ENODATA",
      syscall: "getxattr",
      path: "/xattr",
      message: "ENODATA: no data available, getxattr '/xattr'",
    });
    await assert.rejects(linux.setXattr("/xattr", "user.bytes", "", { mode: "create" }), {
      code: "EEXIST",
    });
    await handle.close();
    await assert.rejects(linux.getXattr(handle, "user.bytes"), { code: "EBADF" });
    await assert.rejects(linux.getXattr("/a\0b", "user.x"), { code: "ERR_INVALID_ARG_VALUE" });
    await assert.rejects(on("vfat").linux.setXattr("/", "user.x", ""), { code: "ENOTSUP" });
  });

  test("access control lists decide who may read", async () => {
    const { promises, linux } = on("ext4");
    await promises.writeFile("/acl", "secret", { mode: 0o600 });
    assert.equal(await linux.getAcl("/acl"), null);
    const entries = [
      { tag: "user", permissions: 6 },
      { tag: "user", id: 1000, permissions: 4 },
      { tag: "group", permissions: 0 },
      { tag: "mask", permissions: 4 },
      { tag: "other", permissions: 0 },
    ] as const;
    await linux.setAcl("/acl", entries);
    assert.deepEqual(await linux.getAcl("/acl"), entries);
    const readAs = async (uid: number) => {
      const process = await kernel.process({ root: images[0].target, uid, gid: uid });
      await using fs = createFs(process, { ownsProcess: true });
      return await fs.promises.readFile("/acl", "utf8");
    };
    assert.equal(await readAs(1000), "secret");
    await assert.rejects(readAs(1001), { code: "EACCES", path: "/acl" });
    await assert.rejects(linux.setAcl("/acl", [{ tag: "user", permissions: 6 }]), {
      code: "ERR_INVALID_ACL",
    });
    await linux.setAcl("/acl", null);
    assert.equal(await linux.getAcl("/acl"), null);
  });

  test("attributes that chattr(1) and xfs_io(8) set", async () => {
    const { promises, linux } = on("ext4");
    await promises.writeFile("/kept", "");
    await linux.changeAttributes("/kept", { immutable: true });
    assert.ok((await linux.getAttributes("/kept")).has("immutable"));
    await assert.rejects(promises.unlink("/kept"), { code: "EPERM", path: "/kept" });
    await linux.changeAttributes("/kept", { immutable: false });
    await promises.unlink("/kept");
    await on("xfs").promises.writeFile("/project", "");
    await on("xfs").linux.changeFsxattr("/project", { projectId: 7 });
    assert.equal((await on("xfs").linux.getFsxattr("/project")).projectId, 7);
  });

  test("files share their bytes until one is written to", async () => {
    const bytes = Buffer.from(noise(8 * BLOCK));
    for (const type of ["xfs", "btrfs"] as const) {
      const { promises, linux } = on(type);
      await promises.writeFile("/one", bytes);
      await linux.reflink("/one", "/two");
      assert.deepEqual(await promises.readFile("/two"), bytes);
      const shared = await linux.fileExtents("/two");
      assert.ok(
        shared.every(({ flags }) => flags.has("shared")),
        type,
      );
      await using two = await promises.open("/two", "r+");
      await two.write(Buffer.alloc(BLOCK), 0, BLOCK, BLOCK);
      assert.deepEqual(await promises.readFile("/one"), bytes);
      await linux.reflinkRange("/one", { offsetBytes: BLOCK, lengthBytes: BLOCK }, two, BLOCK);
      assert.deepEqual(await promises.readFile("/two"), bytes);
      await promises.writeFile("/three", bytes);
      const whole = { offsetBytes: 0, lengthBytes: bytes.length };
      const { sharedBytes, differs } = await linux.dedupe("/one", whole, "/three", 0);
      assert.deepEqual({ sharedBytes, differs }, { sharedBytes: bytes.length, differs: false });
    }
    const { promises, linux } = on("ext4");
    await promises.writeFile("/one", bytes);
    await assert.rejects(linux.reflink("/one", "/two"), {
      code: "ENOTSUP",
      path: "/one",
      dest: "/two",
    });
    await assert.rejects(promises.stat("/two"), { code: "ENOENT" });
    await assert.rejects(linux.reflink("/none", "/two"), {
      message: "ENOENT: no such file or directory, open '/none'",
    });
  });

  test("space is taken, given back and shifted, and holes are found", async () => {
    for (const type of ["ext4", "xfs"] as const) {
      const { promises, linux } = on(type);
      await using file = await promises.open("/space", "w+");
      const range = (from: number, count: number) => ({
        offsetBytes: from * BLOCK,
        lengthBytes: count * BLOCK,
      });
      await linux.fallocate(file, "allocate", range(0, 8));
      const { size, blocks } = await file.stat();
      assert.equal(size, 8 * BLOCK);
      assert.ok(blocks * 512 >= size);
      await linux.fallocate(file, "allocate", range(8, 8), { keepSize: true });
      assert.equal((await file.stat()).size, 8 * BLOCK);
      await file.write(Buffer.alloc(8 * BLOCK, "x"), 0, 8 * BLOCK, 0);
      await file.sync();
      await linux.fallocate(file, "punchHole", range(2, 3));
      assert.deepEqual(await linux.dataRanges(file), [range(0, 2), range(5, 3)]);
      assert.equal(await linux.nextHole(file), 2 * BLOCK);
      assert.equal(await linux.nextData("/space", 2 * BLOCK), 5 * BLOCK);
      assert.equal(await linux.nextData("/space", 8 * BLOCK), null);
      assert.equal(await linux.nextHole("/space", 6 * BLOCK), 8 * BLOCK);
      await linux.fallocate(file, "collapseRange", range(2, 3));
      assert.deepEqual(await promises.readFile("/space"), Buffer.alloc(5 * BLOCK, "x"));
      await linux.fallocate(file, "insertRange", range(1, 1));
      await linux.fallocate(file, "zeroRange", range(5, 1));
      const expected = Buffer.alloc(6 * BLOCK, "x");
      expected.fill(0, BLOCK, 2 * BLOCK).fill(0, 5 * BLOCK);
      assert.deepEqual(await promises.readFile("/space"), expected);
      await linux.syncFilesystem("/");
    }
    const { linux } = on("ext4");
    const wrong = "shrink" as "allocate";
    await assert.rejects(linux.fallocate("/space", wrong, { offsetBytes: 0, lengthBytes: 1 }), {
      code: "ERR_INVALID_OPTION",
      message: /"mode": "shrink": it is one of allocate, punchHole/,
    });
    await assert.rejects(
      linux.fallocate("/space", "allocate", { offsetBytes: 0, lengthBytes: 0 }),
      {
        code: "ERR_INVALID_OPTION",
      },
    );
  });

  test("devices, pipes and sockets have names", async () => {
    const { promises, linux } = on("ext4");
    await linux.mkfifo("/fifo", 0o640);
    await linux.mknod("/null", "character device", { device: { major: 1, minor: 3 }, mode: "666" });
    await linux.mknod("/disk", "block device", { device: { major: 259, minor: 70000 } });
    await linux.mknod("/socket", "socket");
    const fifo = await promises.stat("/fifo");
    assert.ok(fifo.isFIFO());
    assert.equal(fifo.mode & 0o777, 0o640);
    const status = await promises.stat("/null");
    assert.ok(status.isCharacterDevice());
    assert.equal(status.rdev, 0x103);
    // An image's devices are not the kernel's: mounts are without.
    await assert.rejects(promises.writeFile("/null", "gone"), { code: "EACCES" });
    const disk = await promises.stat("/disk", { bigint: true });
    assert.ok(disk.isBlockDevice());
    // As gnu_dev_makedev(3) packs it.
    assert.equal(disk.rdev, (259n << 8n) | (70000n & 0xffn) | ((70000n & ~0xffn) << 12n));
    assert.ok((await promises.stat("/socket")).isSocket());
    const device = { major: 4096, minor: 0 };
    await assert.rejects(linux.mknod("/x", "block device", { device }), {
      code: "ERR_INVALID_OPTION",
    });
    await assert.rejects(linux.mkfifo("/fifo"), {
      message: "EEXIST: file already exists, mknodat '/fifo'",
    });
  });

  test("a directory is seen at another place", async () => {
    const { promises, linux } = on("ext4");
    await promises.mkdir("/from");
    await promises.mkdir("/to");
    await promises.writeFile("/from/file", "here too");
    await linux.bindMount("/from", "/to");
    assert.equal(await promises.readFile("/to/file", "utf8"), "here too");
    await promises.writeFile("/to/new", "");
    assert.deepEqual(await promises.readdir("/from"), ["file", "new"]);
    await linux.unbind("/to");
    assert.deepEqual(await promises.readdir("/to"), []);
    await linux.bindMount("/from", "/to", { readOnly: true });
    await assert.rejects(promises.writeFile("/to/new", "x"), { code: "EROFS", path: "/to/new" });
    await promises.writeFile("/from/new", "x");
    await linux.unbind("/to");
    await assert.rejects(linux.unbind("/to"), { code: "EINVAL", path: "/to" });
    await assert.rejects(linux.bindMount("/none", "/to"), { code: "ENOENT" });
    await assert.rejects(linux.bindMount("/from", "/from/file"), {
      code: "EINVAL",
      path: "/from",
      dest: "/from/file",
    });
  });

  test("a directory is seen with other owners", async () => {
    for (const type of ["ext4", "xfs", "btrfs"] as const) {
      const { promises, linux } = on(type);
      await promises.mkdir("/stored/dir", { recursive: true });
      await promises.mkdir("/shown");
      await promises.chown("/stored/dir", 3, 5);
      await using owners = await mapOwners(kernel.init, {
        users: [{ stored: 0, shown: 1000, count: 10 }],
        groups: [{ stored: 0, shown: 2000, count: 10 }],
      });
      await linux.bindMount("/stored", "/shown", { owners });
      const { uid, gid } = await promises.stat("/shown/dir");
      assert.deepEqual([uid, gid], [1003, 2005], type);
      // Who makes a file there owns it, and it is stored as the one who is mapped to that.
      await promises.chown("/shown/dir", 1007, 2007);
      const stored = await promises.stat("/stored/dir");
      assert.deepEqual([stored.uid, stored.gid], [7, 7], type);
      await linux.unbind("/shown");
    }
    await using owners = await mapOwners(kernel.init, {
      users: [{ stored: 0, shown: 1, count: 1 }],
    });
    const { promises, linux } = on("vfat");
    await promises.mkdir("/a");
    await promises.mkdir("/b");
    // FAT has no owners, but can map those that it was mounted with.
    await linux.bindMount("/a", "/b", { owners });
    assert.equal((await promises.stat("/b")).uid, 1);
    await linux.unbind("/b");
    await assert.rejects(mapOwners(kernel.init, { users: [] }), { code: "ERR_INVALID_OPTION" });
    const users = [{ stored: 0, shown: 2 ** 32, count: 1 }];
    await assert.rejects(mapOwners(kernel.init, { users }), { code: "ERR_INVALID_OPTION" });
  });

  test("an fs object that was disposed of says so", async () => {
    const fs = createFs(await kernel.process({ cwd: "/tmp" }), { ownsProcess: true });
    const file = await fs.promises.open("/tmp/file", "w+");
    await fs[Symbol.asyncDispose]();
    const said = {
      code: "ERR_DISPOSED",
      message: /^this fs object was disposed of, or its volume/,
    };
    await assert.rejects(fs.promises.stat("/tmp"), said);
    await assert.rejects(fs.promises.writeFile("/tmp/file", "x"), said);
    await assert.rejects(file.write("x"), said);
  });
});
