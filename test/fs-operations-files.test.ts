// Operations on single files: extended attributes, access control lists, attributes, shared bytes,
// extents.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { AT_FDCWD, O_PATH, O_RDONLY, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { SEEK_CUR, SEEK_SET } from "../src/abi/constants/ioctl.ts";
import {
  changeAttributes,
  changeFsxattr,
  dataRanges,
  decodeAcl,
  dedupe,
  encodeAcl,
  fileExtents,
  getAcl,
  getAttributes,
  getFsxattr,
  getXattr,
  listRawXattrs,
  listXattrs,
  readFile,
  reflink,
  reflinkRange,
  removeXattr,
  setAcl,
  setXattr,
  stat,
  usage,
} from "../src/fs/index.ts";
import type { AclEntry } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { makeImage, mountImage, writeFile } from "./fs-operations.ts";
import type { MountedImage } from "./fs-operations.ts";
import { noise, run, temporaryFolder } from "./images/native.ts";
import { text, viewOf } from "./kernel.ts";

/** What setfacl -m u:1000:rw,g:2000:r gives a file of mode 0644. */
const LIST: readonly AclEntry[] = [
  { tag: "user", permissions: 6 },
  { tag: "user", id: 1000, permissions: 6 },
  { tag: "group", permissions: 4 },
  { tag: "group", id: 2000, permissions: 4 },
  { tag: "mask", permissions: 6 },
  { tag: "other", permissions: 4 },
];

suite("operations on files", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  let init: Process;
  let ext4: MountedImage;
  let xfs: MountedImage;
  let btrfs: MountedImage;
  let f2fs: MountedImage;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 192 });
    ({ init } = kernel);
    const open = (type: "ext4" | "xfs" | "btrfs" | "f2fs", ...options: string[]) =>
      mountImage(kernel, makeImage(folder.path, type, ...options), type);
    ext4 = await open("ext4", "-O", "casefold,project,quota", "-E", "encoding=utf8");
    xfs = await open("xfs");
    btrfs = await open("btrfs");
    f2fs = await open("f2fs", "-O", "extra_attr,compression");
  });
  after(async () => {
    for (const image of [ext4, xfs, btrfs, f2fs]) await image[Symbol.asyncDispose]();
    await kernel.halt();
    folder[Symbol.dispose]();
  });
  const images = () => [ext4, xfs, btrfs, f2fs];

  test("extended attributes are set, got, listed and removed, by path and by descriptor", async () => {
    for (const { target } of images()) {
      const path = `${target}/xattr`;
      await writeFile(init, path, text.encode("x"));
      const fd = await init.openat(AT_FDCWD, path, O_RDWR, 0);
      await setXattr(init, path, "user.path", Uint8Array.of(0, 255, 1));
      await setXattr(init, fd, "trusted.descriptor", new Uint8Array(0));
      await setXattr(init, new TextEncoder().encode(path), "user.ünï", text.encode("名"));
      assert.deepEqual(await getXattr(init, fd, "user.path"), Uint8Array.of(0, 255, 1));
      assert.deepEqual(await getXattr(init, path, "trusted.descriptor"), new Uint8Array(0));
      const names = ["trusted.descriptor", "user.path", "user.ünï"];
      assert.deepEqual((await listXattrs(init, path)).toSorted(), names);
      assert.deepEqual((await listXattrs(init, fd)).toSorted(), names);
      await removeXattr(init, fd, "user.path");
      await removeXattr(init, path, "user.ünï");
      assert.deepEqual(await listXattrs(init, path), ["trusted.descriptor"]);
      await assert.rejects(getXattr(init, path, "user.path"), { code: "ENODATA", path });
      await assert.rejects(removeXattr(init, fd, "user.path"), { code: "ENODATA" });
      await init.close(fd);
    }
  });

  test("names of attributes need not be UTF-8, and lists and values may be long", async () => {
    const path = `${xfs.target}/long`;
    await writeFile(init, path, text.encode("x"));
    const raw = Uint8Array.of(...text.encode("user."), 0xff, 0x38);
    await setXattr(init, path, raw, text.encode("bytes"));
    assert.deepEqual(await listRawXattrs(init, path), [raw]);
    assert.deepEqual(await listXattrs(init, path), ["user.\ufffd8"]);
    assert.deepEqual(await getXattr(init, path, raw), text.encode("bytes"));
    const value = new Uint8Array(noise(65536));
    await setXattr(init, path, "user.greatest", value);
    assert.deepEqual(await getXattr(init, path, "user.greatest"), value);
    await assert.rejects(setXattr(init, path, "user.more", new Uint8Array(65537)), {
      code: "E2BIG",
    });
    const names = Array.from({ length: 40 }, (_, i) => `user.${i}${"n".repeat(200)}`);
    for (const name of names) await setXattr(init, path, name, text.encode(name));
    const listed = await listXattrs(init, path);
    assert.deepEqual(
      names.filter((name) => !listed.includes(name)),
      [],
    );
  });

  test("a symbolic link's attributes are its own unless it is followed", async () => {
    const path = `${ext4.target}/behind`;
    const link = `${ext4.target}/link`;
    await writeFile(init, path, text.encode("x"));
    await init.symlinkat("behind", AT_FDCWD, link);
    const itself = { follow: false };
    await setXattr(init, link, "trusted.link", text.encode("link"), itself);
    await setXattr(init, link, "trusted.file", text.encode("file"));
    assert.deepEqual(await listXattrs(init, path), ["trusted.file"]);
    assert.deepEqual(await listXattrs(init, link), ["trusted.file"]);
    assert.deepEqual(await listXattrs(init, link, itself), ["trusted.link"]);
    assert.deepEqual(await getXattr(init, link, "trusted.link", itself), text.encode("link"));
    await assert.rejects(setXattr(init, link, "user.link", text.encode("no"), itself), {
      code: "EPERM",
    });
    await removeXattr(init, link, "trusted.link", itself);
    assert.deepEqual(await listXattrs(init, link, itself), []);
  });

  test("an attribute is created or replaced as asked", async () => {
    const path = `${ext4.target}/modes`;
    await writeFile(init, path, text.encode("x"));
    const one = text.encode("1");
    await assert.rejects(setXattr(init, path, "user.a", one, { mode: "replace" }), {
      code: "ENODATA",
    });
    await setXattr(init, path, "user.a", one, { mode: "create" });
    await assert.rejects(setXattr(init, path, "user.a", one, { mode: "create" }), {
      code: "EEXIST",
    });
    await setXattr(init, path, "user.a", text.encode("2"), { mode: "replace" });
    assert.deepEqual(await getXattr(init, path, "user.a"), text.encode("2"));
    await assert.rejects(setXattr(init, path, "nobody.knows", one), { code: "EOPNOTSUPP" });
    const at = await init.openat(AT_FDCWD, path, O_PATH, 0);
    await assert.rejects(listXattrs(init, at), { code: "EBADF" });
    await init.close(at);
  });

  test("access control lists are obeyed, and show in the mode", async () => {
    for (const { target } of images()) {
      const path = `${target}/acl`;
      await writeFile(init, path, text.encode("x"));
      assert.equal(await getAcl(init, path), null);
      await setAcl(init, path, LIST.toReversed());
      assert.deepEqual(await getAcl(init, path), LIST);
      assert.equal((await stat(init, path)).mode, 0o664);
      await using named = await kernel.process({ uid: 1000, gid: 1000 });
      await named.openat(AT_FDCWD, path, O_RDWR, 0);
      await using other = await kernel.process({ uid: 1001, gid: 1000 });
      await assert.rejects(other.openat(AT_FDCWD, path, O_RDWR, 0), { code: "EACCES" });
      await setAcl(init, path, null);
      await setAcl(init, path, null);
      assert.equal(await getAcl(init, path), null);
      const directory = `${target}/defaults`;
      await init.mkdirat(AT_FDCWD, directory, 0o755);
      await setAcl(init, directory, LIST, "default");
      await writeFile(init, `${directory}/new`, text.encode("x"));
      assert.deepEqual(
        (await getAcl(init, `${directory}/new`))?.map(({ tag, id }) => ({ tag, id })),
        LIST.map(({ tag, id }) => ({ tag, id })),
      );
      await assert.rejects(setAcl(init, path, LIST, "default"), { code: "EACCES" });
    }
  });

  test("a list comes back as it went in, and the kernel takes what is taken here", async () => {
    const path = `${ext4.target}/lists`;
    await writeFile(init, path, text.encode("x"));
    const permissions = fc.integer({ min: 0, max: 7 });
    const named = (tag: "user" | "group") =>
      fc
        .uniqueArray(fc.integer({ min: 0, max: 0xfffffffe }), { maxLength: 6 })
        .chain((ids) =>
          fc.tuple(...ids.map((id) => permissions.map((bits) => ({ tag, id, permissions: bits })))),
        );
    const lists = fc
      .tuple(named("user"), named("group"), permissions, fc.func(fc.nat()))
      .map(([users, groups, bits, order]) =>
        [
          ...users,
          ...groups,
          ...(["user", "group", "mask", "other"] as const).map((tag) => ({
            tag,
            permissions: bits,
          })),
        ].toSorted((a, b) => order(a) - order(b)),
      );
    const key = ({ tag, id = -1, permissions }: AclEntry) => `${tag} ${id} ${permissions}`;
    await fc.assert(
      fc.asyncProperty(lists, async (list) => {
        const bytes = encodeAcl(list);
        assert.deepEqual(decodeAcl(bytes).map(key).toSorted(), list.map(key).toSorted());
        await setXattr(init, path, "system.posix_acl_access", bytes);
        assert.deepEqual(await getXattr(init, path, "system.posix_acl_access"), bytes);
      }),
      { numRuns: 50 },
    );
  });

  test("what is no access control list is refused with what is wrong with it", () => {
    const without = (tag: string) => LIST.filter((entry) => entry.tag !== tag);
    const cases: [AclEntry[], RegExp][] = [
      [without("other"), /^AclError: other:: is missing/],
      [without("mask"), /mask:: is missing/],
      [[...LIST, LIST[1]], /user:1000: is there twice/],
      [[...LIST, { tag: "user", id: -1, permissions: 0 }], /user -1: an id is/],
      [[...LIST, { tag: "user", id: 2 ** 32 - 1, permissions: 0 }], /an id is/],
      [[...LIST, { tag: "other", id: 1, permissions: 0 }], /"other" has no id/],
      [[...LIST, { tag: "user", id: 5, permissions: 8 }], /permissions 8 of user:5:/],
      [[...LIST, { tag: "all" as "user", permissions: 0 }], /tag "all": it is one of/],
    ];
    for (const [list, problem] of cases) assert.throws(() => encodeAcl(list), problem);
    assert.throws(() => decodeAcl(new Uint8Array(3)), /3 bytes are no list/);
    assert.throws(() => decodeAcl(new Uint8Array(4)), /version 0/);
    const bytes = encodeAcl(LIST);
    bytes[4] = 3;
    assert.throws(() => decodeAcl(bytes), /tag 3 at byte 4/);
  });

  test("attributes are changed by name, and hold", async () => {
    for (const { target } of images()) {
      const path = `${target}/attributes`;
      await writeFile(init, path, text.encode("x"));
      await changeAttributes(init, path, { append: true, nodump: true });
      const names = await getAttributes(init, path);
      assert.ok(names.has("append") && names.has("nodump") && !names.has("immutable"));
      await assert.rejects(init.openat(AT_FDCWD, path, O_RDWR, 0), { code: "EPERM" });
      const fd = await init.openat(AT_FDCWD, path, O_RDONLY, 0);
      await changeAttributes(init, fd, { append: false, immutable: true });
      assert.ok((await getAttributes(init, fd)).has("immutable"));
      await assert.rejects(init.unlinkat(AT_FDCWD, path, 0), { code: "EPERM" });
      await changeAttributes(init, fd, { immutable: false });
      await init.close(fd);
      assert.equal((await getAttributes(init, path)).has("immutable"), false);
    }
  });

  test("attributes that only some file systems have", async () => {
    const folds = `${ext4.target}/folds`;
    await init.mkdirat(AT_FDCWD, folds, 0o755);
    await changeAttributes(init, folds, { casefold: true });
    await writeFile(init, `${folds}/Straße`, text.encode("x"));
    assert.equal((await stat(init, `${folds}/STRASSE`)).type, "file");

    const packed = `${btrfs.target}/packed`;
    await writeFile(init, packed, new Uint8Array(0));
    await changeAttributes(init, packed, { compress: true });
    const zeroes = new Uint8Array(1 << 20).fill(65);
    await writeFile(init, packed, zeroes);
    const extents = await fileExtents(init, packed);
    assert.ok(extents.length > 1 && extents.every(({ flags }) => flags.has("encoded")));
    const plain = `${btrfs.target}/nocow`;
    await writeFile(init, plain, new Uint8Array(0));
    await changeAttributes(init, plain, { nocow: true });
    assert.ok((await getAttributes(init, plain)).has("nocow"));
    await assert.rejects(changeAttributes(init, plain, { compress: true }), { code: "EINVAL" });
    await assert.rejects(changeAttributes(init, plain, { casefold: true }), {
      code: "EOPNOTSUPP",
      path: plain,
    });
  });

  test("a change that has no effect is an error", async () => {
    const path = `${ext4.target}/extents-only`;
    await writeFile(init, path, text.encode("x"));
    await assert.rejects(
      changeAttributes(init, path, { verity: true }),
      /^AttributesIgnoredError: .*extents-only: .*verity/,
    );
    await assert.rejects(
      changeAttributes(init, path, { shiny: true } as Record<string, boolean>),
      /^InvalidOptionError: option "shiny": unknown: it is one of append, casefold/,
    );
    await assert.rejects(getAttributes(init, `${ext4.target}/nowhere`), { code: "ENOENT" });
    await assert.rejects(getAttributes(init, "/proc/version"), { code: "ENOTTY" });
  });

  test("a file counts to a project, and gives it to what is in it", async () => {
    for (const { target } of [ext4, xfs]) {
      const directory = `${target}/project`;
      await init.mkdirat(AT_FDCWD, directory, 0o755);
      await changeFsxattr(init, directory, { projectId: 77, flags: { projectInherit: true } });
      await writeFile(init, `${directory}/inside`, text.encode("x"));
      const inside = await getFsxattr(init, `${directory}/inside`);
      assert.equal(inside.projectId, 77);
      assert.ok((await getFsxattr(init, directory)).flags.has("projectInherit"));
      assert.ok((await getAttributes(init, directory)).has("projectInherit"));
    }
    const path = `${xfs.target}/large-extents`;
    await writeFile(init, path, new Uint8Array(0));
    await changeFsxattr(init, path, { extentSizeBytes: 65536, flags: { extentSize: true } });
    await init.truncate64(path, 1 << 20);
    const fd = await init.openat(AT_FDCWD, path, O_RDWR, 0);
    await init.pwrite64(fd, text.encode("x"), 1, 0);
    await init.close(fd);
    assert.equal((await getFsxattr(init, path)).extentSizeBytes, 65536);
    assert.equal((await stat(init, path)).allocatedBytes, 65536);
    const bad = (changes: Parameters<typeof changeFsxattr>[2]) =>
      changeFsxattr(init, path, changes);
    await assert.rejects(bad({ projectId: 2 ** 32 - 1 }), { code: "ERR_INVALID_OPTION" });
    await assert.rejects(bad({ extentSizeBytes: 0.5 }), { code: "ERR_INVALID_OPTION" });
    await assert.rejects(bad({ flags: { none: true } as Record<string, boolean> }), /"none"/);
  });

  test("reflinks share their bytes until one is written to", async () => {
    const bytes = new Uint8Array(noise(3 << 20));
    for (const { target } of [xfs, btrfs]) {
      const from = `${target}/from`;
      const to = `${target}/to`;
      await writeFile(init, from, bytes);
      await writeFile(init, to, new Uint8Array(4 << 20).fill(1));
      await init.syncfs(await init.openat(AT_FDCWD, target, O_RDONLY, 0));
      await reflink(init, from, to);
      assert.deepEqual(await readFile(init, to), bytes);
      const extents = await fileExtents(init, to);
      assert.ok(extents.every(({ flags }) => flags.has("shared")));
      assert.deepEqual(
        extents.map(({ physicalBytes }) => physicalBytes),
        (await fileExtents(init, from)).map(({ physicalBytes }) => physicalBytes),
      );
      const fd = await init.openat(AT_FDCWD, to, O_RDWR, 0);
      await init.pwrite64(fd, text.encode("changed"), 7, 0);
      await reflinkRange(init, fd, { offsetBytes: 0, lengthBytes: 4096 }, fd, 1 << 20);
      await init.close(fd);
      const after = await readFile(init, to);
      assert.equal(text.decode(after.subarray(1 << 20, (1 << 20) + 7)), "changed");
      assert.deepEqual(await readFile(init, from), bytes);
      await assert.rejects(reflinkRange(init, from, { offsetBytes: 1, lengthBytes: 4096 }, to, 0), {
        code: "EINVAL",
        path: to,
      });
    }
    const other = `${btrfs.target}/other`;
    await assert.rejects(reflink(init, `${xfs.target}/from`, other), { code: "EXDEV" });
    await reflink(init, `${btrfs.target}/from`, other);
    assert.deepEqual(await readFile(init, other), bytes);
    const path = `${ext4.target}/none`;
    await writeFile(init, path, text.encode("x"));
    const copy = `${ext4.target}/copy`;
    await assert.rejects(reflink(init, path, copy), { code: "EOPNOTSUPP", path: copy });
    await assert.rejects(stat(init, copy), { code: "ENOENT" });
    await writeFile(init, copy, text.encode("kept"));
    await assert.rejects(reflink(init, path, copy), { code: "EOPNOTSUPP" });
    assert.equal(text.decode(await readFile(init, copy)), "kept");
    await assert.rejects(
      reflinkRange(init, path, { offsetBytes: -1, lengthBytes: 1 }, path, 0),
      /^InvalidOptionError: option "offsetBytes": -1/,
    );
  });

  test("what is the same in two files is shared, up to where they differ", async () => {
    const bytes = new Uint8Array(noise(20 << 20, 7));
    for (const { target } of [xfs, btrfs]) {
      const [a, b] = [`${target}/a`, `${target}/b`];
      await writeFile(init, a, bytes);
      await writeFile(init, b, bytes);
      const full = (await usage(init, target)).usedBytes;
      const whole = { offsetBytes: 0, lengthBytes: bytes.length };
      assert.deepEqual(await dedupe(init, a, whole, b, 0), {
        sharedBytes: bytes.length,
        differs: false,
      });
      const fd = await init.openat(AT_FDCWD, target, O_RDONLY, 0);
      await init.syncfs(fd);
      await init.close(fd);
      assert.ok(full - (await usage(init, target)).usedBytes > bytes.length / 2);
      const different = bytes.slice();
      different[(17 << 20) + 99] ^= 1;
      await writeFile(init, b, different);
      assert.deepEqual(await dedupe(init, a, whole, b, 0), {
        sharedBytes: 17 << 20,
        differs: true,
      });
      assert.deepEqual(await readFile(init, b), different);
      await assert.rejects(
        dedupe(init, a, { offsetBytes: 0, lengthBytes: 4096 }, `${ext4.target}/lists`, 0),
        { code: "EXDEV" },
      );
    }
  });

  test("holes are between the data, wherever the descriptor is", async () => {
    for (const { target } of images()) {
      const path = `${target}/sparse`;
      await writeFile(init, path, new Uint8Array(0));
      const fd = await init.openat(AT_FDCWD, path, O_RDWR, 0);
      const piece = new Uint8Array(noise(65536));
      for (const at of [1 << 20, 5 * 2 ** 30]) await init.pwrite64(fd, piece, piece.length, at);
      await init.ftruncate64(fd, 6 * 2 ** 30);
      const expected = [
        { offsetBytes: 1 << 20, lengthBytes: 65536 },
        { offsetBytes: 5 * 2 ** 30, lengthBytes: 65536 },
      ];
      assert.deepEqual(await dataRanges(init, path), expected);
      const result = new Uint8Array(8);
      await init.llseek(fd, 0, 12345, result, SEEK_SET);
      assert.deepEqual(await dataRanges(init, fd), expected);
      await init.llseek(fd, 0, 0, result, SEEK_CUR);
      assert.equal(viewOf(result).getBigInt64(0, true), 12345n);
      const part = { offsetBytes: (1 << 20) + 4096, lengthBytes: 8192 };
      assert.deepEqual(await dataRanges(init, fd, part), [part]);
      assert.deepEqual(await dataRanges(init, fd, { offsetBytes: 2 ** 40 }), []);
      const extents = await fileExtents(init, fd);
      assert.equal(
        extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
        131072,
      );
      assert.equal(extents[0].offsetBytes, 1 << 20);
      assert.ok(extents.at(-1)?.flags.has("last"));
      const second = await fileExtents(init, fd, { offsetBytes: 2 << 20 });
      assert.deepEqual(
        second.map(({ offsetBytes }) => offsetBytes),
        [5 * 2 ** 30],
      );
      assert.deepEqual(
        await fileExtents(init, fd, { offsetBytes: 2 << 20, lengthBytes: 4096 }),
        [],
      );
      await init.close(fd);
    }
    await assert.rejects(dataRanges(init, ext4.target, { offsetBytes: -1 }), {
      code: "ERR_INVALID_OPTION",
    });
  });

  test("whatever blocks are written, data is there and only there", async () => {
    const BLOCK = 4096;
    const block = new Uint8Array(noise(BLOCK));
    const model = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });
    for (const { target } of images())
      await fc.assert(
        fc.asyncProperty(model, async (written) => {
          const path = `${target}/pattern`;
          await writeFile(init, path, new Uint8Array(0));
          const fd = await init.openat(AT_FDCWD, path, O_RDWR, 0);
          await init.ftruncate64(fd, written.length * BLOCK);
          const at = written.flatMap((data, i) => (data ? [i * BLOCK] : []));
          for (const offset of at) await init.pwrite64(fd, block, BLOCK, offset);
          for (const pieces of [await dataRanges(init, fd), await fileExtents(init, fd)]) {
            const blocks = pieces.flatMap(({ offsetBytes, lengthBytes }) =>
              Array.from({ length: lengthBytes / BLOCK }, (_, i) => offsetBytes + i * BLOCK),
            );
            assert.deepEqual(blocks, at);
          }
          await init.close(fd);
        }),
        { numRuns: 15 },
      );
  });

  test("a file of more extents than one call tells is told whole", async () => {
    const pieces = 700;
    const image = makeImage(folder.path, "ext4", "-b", "1024");
    let inode: bigint;
    let blocks: number[];
    {
      await using mounted = await mountImage(kernel, image, "ext4");
      const path = `${mounted.target}/pieces`;
      await writeFile(init, path, new Uint8Array(0));
      const fd = await init.openat(AT_FDCWD, path, O_RDWR, 0);
      for (let i = 0; i < pieces; i++) await init.pwrite64(fd, text.encode("x"), 1, i * 8192);
      const extents = await fileExtents(init, fd);
      assert.deepEqual(
        extents.map(({ offsetBytes }) => offsetBytes),
        Array.from({ length: pieces }, (_, i) => i * 8192),
      );
      assert.equal((await dataRanges(init, fd)).length, pieces);
      await init.close(fd);
      ({ inode } = await stat(init, path));
      blocks = extents.map(({ physicalBytes }) => physicalBytes / 1024);
    }
    const native = run("debugfs", "-R", `blocks <${inode}>`, image);
    const known = new Set(native.trim().split(/\s+/).map(Number));
    assert.ok(blocks.every((block) => known.has(block)));
  });

  test("the native tools see attributes, projects and access control lists", async () => {
    const image = makeImage(folder.path, "ext4", "-O", "project,quota", "-L", "native");
    {
      await using mounted = await mountImage(kernel, image, "ext4");
      const path = `${mounted.target}/file`;
      await writeFile(init, path, text.encode("x"));
      await setXattr(init, path, "user.colour", text.encode("blue"));
      await setAcl(init, path, LIST);
      await changeFsxattr(init, path, { projectId: 77 });
      await changeAttributes(init, path, { immutable: true, nodump: true, noatime: true });
    }
    const status = run("debugfs", "-R", "stat /file", image);
    assert.match(status, /Project:\s+77\b/);
    // Extents (0x80000), noatime (0x80), nodump (0x40), immutable (0x10).
    assert.match(status, /Flags: 0x800d0\b/);
    assert.match(run("debugfs", "-R", "ea_get /file user.colour", image), /blue/);
    const acl = run("debugfs", "-R", "ea_get /file system.posix_acl_access", image);
    const bytes = /= ([0-9a-f ]+)/.exec(acl)?.[1].trim().split(" ") ?? [];
    assert.deepEqual(decodeAcl(Uint8Array.from(bytes, (byte) => parseInt(byte, 16))), LIST);
  });
});
