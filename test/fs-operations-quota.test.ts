// Quotas of users, groups and projects: counted, kept, and found by the native tools.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD } from "../src/abi/constants/fcntl.ts";
import {
  changeFsxattr,
  createSubvolume,
  disableQgroups,
  disableQuota,
  enableQgroups,
  enableQuota,
  getQuota,
  getQuotaGrace,
  limitSubvolume,
  listQgroups,
  listQuotas,
  quotaState,
  setQuota,
  setQuotaGrace,
  snapshot,
  subvolumeId,
} from "../src/fs/index.ts";
import type { QuotaKind } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { makeImage, mountImage, writeFile } from "./fs-operations.ts";
import type { NativeType } from "./fs-operations.ts";
import { run, temporaryFolder } from "./images/native.ts";
import { until } from "./kernel.ts";

const MIB = 1 << 20;
const KINDS: readonly QuotaKind[] = ["user", "group", "project"];

interface Maker {
  readonly make: readonly string[];
  readonly options: string;
  /** What a file beyond a hard limit fails with. */
  readonly full: Readonly<Record<QuotaKind, string>>;
}

const MAKERS: Readonly<Partial<Record<NativeType, Maker>>> = {
  ext4: {
    make: ["-O", "quota,project", "-E", "quotatype=usrquota:grpquota:prjquota"],
    options: "usrquota,grpquota,prjquota",
    full: { user: "EDQUOT", group: "EDQUOT", project: "EDQUOT" },
  },
  xfs: {
    make: [],
    options: "usrquota,grpquota,prjquota",
    full: { user: "EDQUOT", group: "EDQUOT", project: "ENOSPC" },
  },
  f2fs: {
    make: ["-O", "extra_attr,quota,project_quota"],
    options: "usrquota,grpquota,prjquota",
    full: { user: "EDQUOT", group: "EDQUOT", project: "EDQUOT" },
  },
};

suite("quotas", () => {
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

  for (const [type, { make, options, full }] of Object.entries(MAKERS) as [NativeType, Maker][]) {
    test(`${type}: what users, groups and projects have is counted and limited`, async () => {
      const image = makeImage(folder.path, type, ...make);
      await using mounted = await mountImage(kernel, image, type, { options });
      const { target } = mounted;
      const on = { counting: true, enforcing: true };
      assert.deepEqual(await quotaState(init, target), { user: on, group: on, project: on });
      const home = `${target}/home`;
      await init.mkdirat(AT_FDCWD, home, 0o777);
      await init.fchmodat(AT_FDCWD, home, 0o777);
      await changeFsxattr(init, home, { projectId: 42, flags: { projectInherit: true } });
      await using user = await kernel.process({ uid: 1000, gid: 2000 });
      await writeFile(user, `${home}/first`, new Uint8Array(MIB).fill(1));
      const ids = { user: 1000, group: 2000, project: 42 };
      for (const kind of KINDS) {
        const id = ids[kind];
        const nobody = await getQuota(init, target, kind, 4711);
        assert.deepEqual([nobody.space.used, nobody.files.hard], [0, null]);
        // F2FS counts when it writes back, and XFS lets go of what was deleted some time later.
        await init.sync();
        const files = kind === "project" ? 2 : 1;
        let before = await getQuota(init, target, kind, id);
        await until(async () => {
          before = await getQuota(init, target, kind, id);
          return before.space.used < 1.1 * MIB && before.files.used === files;
        });
        assert.ok(before.space.used >= MIB);
        assert.equal(before.space.hard, null);
        await setQuota(init, target, kind, id, { hardBytes: 2 * MIB, softBytes: MIB / 2 });
        await setQuota(init, home, kind, id, { hardFiles: 5 });
        const limited = await getQuota(init, target, kind, id);
        assert.deepEqual([limited.space.soft, limited.space.hard], [MIB / 2, 2 * MIB]);
        assert.deepEqual([limited.files.soft, limited.files.hard], [null, 5]);
        await assert.rejects(writeFile(user, `${home}/second`, new Uint8Array(2 * MIB)), {
          code: full[kind],
        });
        await init.unlinkat(AT_FDCWD, `${home}/second`, 0);
        const listed = (await listQuotas(init, target, kind)).find((quota) => quota.id === id);
        assert.equal(listed?.space.hard, 2 * MIB);
        await setQuota(init, target, kind, id, {
          hardBytes: null,
          softBytes: null,
          hardFiles: null,
        });
      }
      await writeFile(user, `${home}/second`, new Uint8Array(2 * MIB));
    });
  }

  for (const [type, { make, options }] of Object.entries(MAKERS) as [NativeType, Maker][]) {
    if (type === "f2fs") continue;
    test(`${type}: limits are kept or not, and the time for it is set`, async () => {
      const image = makeImage(folder.path, type, ...make);
      await using mounted = await mountImage(kernel, image, type, { options });
      const { target } = mounted;
      await init.fchmodat(AT_FDCWD, target, 0o777);
      await disableQuota(init, target, "user");
      assert.deepEqual((await quotaState(init, target)).user, { counting: true, enforcing: false });
      await setQuota(init, target, "user", 7, { hardBytes: 65536 });
      await using user = await kernel.process({ uid: 7 });
      await writeFile(user, `${target}/over`, new Uint8Array(MIB));
      await enableQuota(init, target, "user");
      await assert.rejects(writeFile(user, `${target}/more`, new Uint8Array(MIB)), {
        code: "EDQUOT",
      });
      await setQuotaGrace(init, target, "user", { spaceSeconds: 3600 });
      const grace = await getQuotaGrace(init, target, "user");
      assert.equal(grace.spaceSeconds, 3600);
      await setQuotaGrace(init, target, "user", { filesSeconds: 60 });
      assert.deepEqual(await getQuotaGrace(init, target, "user"), {
        spaceSeconds: 3600,
        filesSeconds: 60,
      });
    });
  }

  test("the native tools see the same limits", async () => {
    const ext4 = makeImage(folder.path, "ext4", "-O", "quota");
    const xfs = makeImage(folder.path, "xfs");
    for (const [image, type] of [
      [ext4, "ext4"],
      [xfs, "xfs"],
    ] as const) {
      await using mounted = await mountImage(kernel, image, type, { options: "usrquota" });
      await setQuota(init, mounted.target, "user", 1234, {
        softBytes: 4 * MIB,
        hardBytes: 8 * MIB,
        hardFiles: 99,
      });
    }
    const listed = run("debugfs", "-R", "list_quota user", ext4);
    assert.match(listed, /^\s*1234\s+0\s+4096\s+8192\s+0\s+0\s+99\s*$/m);
    const dquot = run("xfs_db", "-r", "-c", "dquot -u 1234", "-c", "print", xfs);
    assert.match(dquot, /diskdq.blk_hardlimit = 2048/);
    assert.match(dquot, /diskdq.blk_softlimit = 1024/);
    assert.match(dquot, /diskdq.ino_hardlimit = 99/);
  });

  test("btrfs: what subvolumes have is counted and limited", async () => {
    const image = makeImage(folder.path, "btrfs", "-L", "qgroups");
    {
      await using mounted = await mountImage(kernel, image, "btrfs");
      const { target } = mounted;
      assert.equal(await listQgroups(init, target), null);
      await createSubvolume(init, `${target}/sub`);
      await writeFile(init, `${target}/sub/file`, new Uint8Array(MIB).fill(1));
      await assert.rejects(limitSubvolume(init, target, 256, { maxReferencedBytes: MIB }), {
        code: "ENOTCONN",
      });
      await enableQgroups(init, target);
      await snapshot(init, `${target}/sub`, `${target}/snap`);
      await writeFile(init, `${target}/snap/own`, new Uint8Array(MIB).fill(2));
      const [sub, snap] = [
        await subvolumeId(init, `${target}/sub`),
        await subvolumeId(init, `${target}/snap`),
      ];
      const of = async (id: number) => {
        const group = (await listQgroups(init, target))?.find((one) => one.id === id);
        assert.ok(group);
        return group;
      };
      const counted = await of(snap);
      assert.ok(counted.referencedBytes >= 2 * MIB && counted.referencedBytes < 2.2 * MIB);
      assert.ok(counted.exclusiveBytes >= MIB && counted.exclusiveBytes < 1.2 * MIB);
      assert.ok((await of(sub)).exclusiveBytes < MIB / 4);
      assert.deepEqual([counted.level, counted.maxReferencedBytes], [0, null]);
      await limitSubvolume(init, target, snap, { maxReferencedBytes: 3 * MIB });
      await limitSubvolume(init, target, snap, { maxExclusiveBytes: 5 * MIB });
      const limited = await of(snap);
      assert.deepEqual([limited.maxReferencedBytes, limited.maxExclusiveBytes], [3 * MIB, 5 * MIB]);
      await assert.rejects(writeFile(init, `${target}/snap/more`, new Uint8Array(4 * MIB)), {
        code: "EDQUOT",
      });
      await limitSubvolume(init, target, snap, { maxReferencedBytes: null });
      assert.equal((await of(snap)).maxReferencedBytes, null);
      await assert.rejects(limitSubvolume(init, target, 999, { maxReferencedBytes: MIB }), {
        code: "ENOENT",
      });
      await assert.rejects(limitSubvolume(init, target, snap, { maxReferencedBytes: -1 }), {
        code: "ERR_INVALID_OPTION",
      });
    }
    assert.match(run("btrfs", "inspect-internal", "dump-tree", "-t", "quota", image), /5242880/);
    await using mounted = await mountImage(kernel, image, "btrfs");
    await disableQgroups(init, mounted.target);
    assert.equal(await listQgroups(init, mounted.target), null);
    await using ext4 = await mountImage(kernel, makeImage(folder.path, "ext4"), "ext4");
    await assert.rejects(enableQgroups(init, ext4.target), /^NotBtrfsError: .* is on ext4/);
  });

  test("what counts nothing, and what is no limit, says so", async () => {
    const off = { counting: false, enforcing: false };
    for (const [type, problem] of [
      ["ext4", /^QuotaError: .*ext4 (counts nothing|does not count by user)/],
      ["xfs", /^QuotaError: .*xfs counts nothing, or was mounted without quotas/],
      ["btrfs", /^QuotaError: .*btrfs counts by subvolume/],
      ["vfat", /^QuotaError: .*vfat counts nothing/],
    ] as const) {
      await using mounted = await mountImage(kernel, makeImage(folder.path, type), type);
      assert.deepEqual(await quotaState(init, mounted.target), {
        user: off,
        group: off,
        project: off,
      });
      await assert.rejects(getQuota(init, mounted.target, "user", 0), problem);
      await assert.rejects(listQuotas(init, mounted.target, "user"), problem);
      await assert.rejects(setQuota(init, mounted.target, "user", 0, { hardFiles: 1 }), problem);
    }
    await using f2fs = await mountImage(kernel, makeImage(folder.path, "f2fs"), "f2fs");
    await assert.rejects(disableQuota(init, f2fs.target, "user"), /^QuotaError: f2fs keeps limits/);
    const image = makeImage(folder.path, "xfs");
    await using mounted = await mountImage(kernel, image, "xfs", { options: "usrquota" });
    const { target } = mounted;
    await assert.rejects(enableQuota(init, target, "user"), { code: "EEXIST" });
    await assert.rejects(
      getQuota(init, target, "group", 0),
      /^QuotaError: .*xfs does not count by group: .*grpquota/,
    );
    const bad = (limits: Parameters<typeof setQuota>[4], problem: RegExp) =>
      assert.rejects(setQuota(init, target, "user", 1, limits), problem);
    await bad({ hardBytes: 1000 }, /option "hardBytes": 1000: a limit is a multiple of 1024/);
    await bad({ softFiles: 0 }, /option "softFiles": 0: a limit is a whole number above 0/);
    await bad({ softFiles: 5, hardFiles: 4 }, /option "softFiles": it is more than hardFiles/);
    await assert.rejects(getQuota(init, target, "user", -1), /option "id": -1/);
    await assert.rejects(getQuota(init, target, "all" as "user", 1), /option "kind": all/);
    await assert.rejects(setQuotaGrace(init, target, "user", { spaceSeconds: 0 }), /spaceSeconds/);
    await using user = await kernel.process({ uid: 1 });
    await assert.rejects(setQuota(user, target, "user", 1, { hardFiles: 1 }), { code: "EPERM" });
  });
});
