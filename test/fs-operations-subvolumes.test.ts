// Subvolumes and snapshots of Btrfs. What the native tool reads from the image is the same.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_RDONLY } from "../src/abi/constants/fcntl.ts";
import {
  createSubvolume,
  deleteSubvolume,
  getDefaultSubvolume,
  listSubvolumes,
  mount,
  readText,
  setDefaultSubvolume,
  setSubvolumeReadOnly,
  snapshot,
  subvolumeId,
  TOP_SUBVOLUME,
} from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { makeImage, mountImage, writeFile } from "./fs-operations.ts";
import { run, temporaryFolder } from "./images/native.ts";
import { text } from "./kernel.ts";

suite("subvolumes", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  let init: Process;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
    ({ init } = kernel);
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });
  const pathsOf = async (target: string) =>
    (await listSubvolumes(init, target)).map(({ path }) => path).toSorted();

  test("are made, listed with where they are, and deleted", async () => {
    const image = makeImage(folder.path, "btrfs", "-L", "made");
    {
      await using mounted = await mountImage(kernel, image, "btrfs");
      const { target } = mounted;
      assert.deepEqual(await listSubvolumes(init, target), []);
      const started = BigInt(Date.now()) * 1_000_000n;
      await createSubvolume(init, `${target}/first/`);
      await init.mkdirat(AT_FDCWD, `${target}/first/directory`, 0o755);
      await createSubvolume(init, `${target}/first/directory/ünï 名`);
      await createSubvolume(init, new TextEncoder().encode(`${target}/second`));
      const list = await listSubvolumes(init, `${target}/first/directory`);
      assert.deepEqual(
        list.map(({ path, readOnly }) => ({ path, readOnly })),
        [
          { path: "first", readOnly: false },
          { path: "first/directory/ünï 名", readOnly: false },
          { path: "second", readOnly: false },
        ],
      );
      const [first, inner, second] = list;
      assert.deepEqual(
        [first, inner, second].map(({ parentId }) => parentId),
        [TOP_SUBVOLUME, first.id, TOP_SUBVOLUME],
      );
      assert.equal(await subvolumeId(init, `${target}/first/directory`), first.id);
      assert.equal(await subvolumeId(init, target), TOP_SUBVOLUME);
      assert.match(first.uuid ?? "", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      assert.equal(first.parentUuid, undefined);
      assert.ok(Math.abs(Number(first.createdNs - started)) < 60e9);
      await assert.rejects(deleteSubvolume(init, `${target}/first`), { code: "ENOTEMPTY" });
      await writeFile(init, `${target}/second/file`, text.encode("x"));
      await deleteSubvolume(init, `${target}/second`);
      assert.deepEqual(await pathsOf(target), ["first", "first/directory/ünï 名"]);
    }
    const tree = run("btrfs", "inspect-internal", "dump-tree", "-t", "root", image);
    const names = [...tree.matchAll(/root backref key .* name (.*)$/gm)].map(([, name]) => name);
    assert.deepEqual(names.toSorted(), ["first", "ünï 名"]);
  });

  test("snapshots keep what was, read-only or not", async () => {
    await using mounted = await mountImage(kernel, makeImage(folder.path, "btrfs"), "btrfs");
    const { target } = mounted;
    await createSubvolume(init, `${target}/live`);
    await writeFile(init, `${target}/live/file`, text.encode("before"));
    await snapshot(init, `${target}/live`, `${target}/kept`, { readOnly: true });
    const fd = await init.openat(AT_FDCWD, `${target}/live`, O_RDONLY, 0);
    await snapshot(init, fd, `${target}/branch`);
    await init.close(fd);
    await writeFile(init, `${target}/live/file`, text.encode("after"));
    await writeFile(init, `${target}/branch/file`, text.encode("branched"));
    assert.equal(await readText(init, `${target}/kept/file`), "before");
    assert.equal(await readText(init, `${target}/branch/file`), "branched");
    await assert.rejects(writeFile(init, `${target}/kept/file`, text.encode("no")), {
      code: "EROFS",
    });
    const [live, kept, branch] = await listSubvolumes(init, target);
    assert.deepEqual(
      [live, kept, branch].map(({ readOnly }) => readOnly),
      [false, true, false],
    );
    assert.equal(kept.parentUuid, live.uuid);
    assert.ok(kept.uuid !== live.uuid && live.uuid);
    await setSubvolumeReadOnly(init, `${target}/kept`, false);
    await writeFile(init, `${target}/kept/file`, text.encode("now"));
    await setSubvolumeReadOnly(init, `${target}/kept`, true);
    assert.equal((await listSubvolumes(init, target))[1].readOnly, true);
    await deleteSubvolume(init, `${target}/kept`);
    assert.deepEqual(await pathsOf(target), ["branch", "live"]);
  });

  test("one of them is mounted instead of the top, by name or by default", async () => {
    const image = makeImage(folder.path, "btrfs", "-L", "default");
    let id: number;
    {
      await using mounted = await mountImage(kernel, image, "btrfs");
      const { target } = mounted;
      await createSubvolume(init, `${target}/a`);
      await createSubvolume(init, `${target}/a/b`);
      await writeFile(init, `${target}/a/b/file`, text.encode("in b"));
      id = await subvolumeId(init, `${target}/a/b`);
      const options = { type: "btrfs", subvol: "a/b" } as const;
      await using beside = await mount(kernel, { source: mounted.device.path, options });
      assert.equal(await readText(init, `${beside.target}/file`), "in b");
      assert.equal(await subvolumeId(init, beside.target), id);
      // The list is that of the whole file system, from wherever it is asked for.
      assert.deepEqual(await pathsOf(beside.target), ["a", "a/b"]);
      await assert.rejects(
        mount(kernel, { source: mounted.device.path, options: { type: "btrfs", subvol: "none" } }),
        /^MountError: ENOENT/,
      );
      assert.equal(await getDefaultSubvolume(init, target), TOP_SUBVOLUME);
      await setDefaultSubvolume(init, target, id);
      assert.equal(await getDefaultSubvolume(init, target), id);
      await assert.rejects(deleteSubvolume(init, `${target}/a/b`), { code: "EPERM" });
      await assert.rejects(setDefaultSubvolume(init, target, 999), { code: "ENOENT" });
      await assert.rejects(setDefaultSubvolume(init, target, 4), { code: "ERR_INVALID_OPTION" });
    }
    await using mounted = await mountImage(kernel, image, "btrfs");
    assert.equal(await readText(init, `${mounted.target}/file`), "in b");
    await setDefaultSubvolume(init, mounted.target, TOP_SUBVOLUME);
  });

  test("there may be more than one answer of the kernel holds", async () => {
    await using mounted = await mountImage(kernel, makeImage(folder.path, "btrfs"), "btrfs");
    const names = Array.from({ length: 100 }, (_, i) => `s${String(i).padStart(3, "0")}`);
    for (const name of names) await createSubvolume(init, `${mounted.target}/${name}`);
    assert.deepEqual(await pathsOf(mounted.target), names);
    for (const name of names.slice(0, 50)) await deleteSubvolume(init, `${mounted.target}/${name}`);
    assert.deepEqual(await pathsOf(mounted.target), names.slice(50));
  });

  test("what cannot be one says why", async () => {
    await using mounted = await mountImage(kernel, makeImage(folder.path, "btrfs"), "btrfs");
    await using ext4 = await mountImage(kernel, makeImage(folder.path, "ext4"), "ext4");
    const { target } = mounted;
    await createSubvolume(init, `${target}/there`);
    await assert.rejects(createSubvolume(init, `${target}/there`), {
      code: "EEXIST",
      path: `${target}/there`,
    });
    await init.mkdirat(AT_FDCWD, `${target}/mere`, 0o755);
    await assert.rejects(deleteSubvolume(init, `${target}/mere`), { code: "EINVAL" });
    await assert.rejects(deleteSubvolume(init, `${target}/nowhere`), { code: "ENOENT" });
    await assert.rejects(snapshot(init, `${target}/mere`, `${target}/x`), { code: "EINVAL" });
    await assert.rejects(createSubvolume(init, "/"), /option "path": "\/" has no name/);
    await assert.rejects(createSubvolume(init, ""), /option "path": "" has no name/);
    await assert.rejects(
      createSubvolume(init, `${target}/${"x".repeat(256)}`),
      /at most 255 bytes/,
    );
    await assert.rejects(createSubvolume(init, "relative/x"), { code: "ENOENT" });
    for (const attempt of [
      createSubvolume(init, `${ext4.target}/x`),
      listSubvolumes(init, ext4.target),
      subvolumeId(init, ext4.target),
      getDefaultSubvolume(init, ext4.target),
    ])
      await assert.rejects(attempt, /^NotBtrfsError: .* is on ext4: only btrfs has such a thing/);
    await using user = await kernel.process({ uid: 1000 });
    await assert.rejects(listSubvolumes(user, target), { code: "EPERM" });
  });
});
