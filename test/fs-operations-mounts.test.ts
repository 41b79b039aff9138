// The options of mounts by name, and directories mounted over each other.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { AT_FDCWD } from "../src/abi/constants/fcntl.ts";
import { FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING } from "../src/abi/constants/mount.ts";
import {
  attachDisk,
  formatMountOptions,
  mount,
  mountOverlay,
  readDirectory,
  readMounts,
  readText,
  stat,
} from "../src/fs/index.ts";
import type { FilesystemOptions, OptionsOf, OptionsType } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { makeImage, mountImage, writeFile } from "./fs-operations.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";
import { text } from "./kernel.ts";

type All<Type extends OptionsType> = {
  readonly [Name in keyof Required<OptionsOf<Type>>]: unknown;
};

const EXT: All<"ext4"> = {
  dataMode: "writeback",
  discard: true,
  errors: "continue",
  commitSeconds: 9,
  barrier: false,
  noload: true,
  journalChecksum: true,
  journalAsyncCommit: true,
  delayedAllocation: false,
  usrquota: true,
  grpquota: true,
  prjquota: true,
  noquota: true,
  acl: true,
  grpid: true,
  reservedUid: 5,
  reservedGid: 6,
  superblock: 1,
  minixDf: true,
  initInodeTables: false,
  stripeBlocks: 16,
  maxDirectoryKiB: 64,
};

const OWNERS = { uid: 1000, gid: 1001, umask: 0o27, fmask: 0o133, dmask: 0o22 };

/** A value of every option that there is. */
const SAMPLES: {
  readonly [Type in "ext4" | "xfs" | "btrfs" | "f2fs" | "vfat" | "exfat"]: All<Type>;
} = {
  ext4: EXT,
  xfs: {
    discard: true,
    nouuid: true,
    norecovery: true,
    usrquota: true,
    grpquota: true,
    prjquota: true,
    uqnoenforce: true,
    gqnoenforce: true,
    pqnoenforce: true,
    noquota: true,
    allocationBytes: 65536,
    logBuffers: 4,
    logBufferBytes: 65536,
    inode64: false,
    largeIo: true,
    filestreams: true,
    wsync: true,
    grpid: true,
    logDevice: "/dev/null",
    realtimeDevice: "/dev/null",
  },
  btrfs: {
    compress: { algorithm: "zstd", level: 5 },
    compressForce: { algorithm: "lzo" },
    subvol: "/",
    subvolid: 5,
    degraded: true,
    device: "/dev/vda",
    spaceCache: "v2",
    noSpaceCache: true,
    clearCache: true,
    discard: "async",
    noDiscard: true,
    ssd: false,
    ssdSpread: true,
    autodefrag: true,
    datacow: false,
    datasum: false,
    treelog: false,
    barrier: false,
    acl: false,
    commitSeconds: 20,
    flushOnCommit: true,
    maxInlineBytes: 1024,
    metadataRatio: 3,
    threadPool: 2,
    skipBalance: true,
    userSubvolRmAllowed: true,
    rescue: "usebackuproot",
  },
  f2fs: {
    discard: false,
    discardUnit: "segment",
    backgroundGc: "off",
    gcMerge: true,
    mode: "lfs",
    allocMode: "reuse",
    fsyncMode: "strict",
    errors: "remount-ro",
    barrier: false,
    norecovery: true,
    compressAlgorithm: { algorithm: "zstd", level: 3 },
    compressLogSize: 3,
    compressExtension: "txt",
    compressChecksum: true,
    compressMode: "user",
    inlineData: false,
    inlineDentry: false,
    inlineXattr: false,
    extentCache: false,
    flushMerge: true,
    activeLogs: "4",
    usrquota: true,
    grpquota: true,
    prjquota: true,
    noquota: true,
    acl: false,
    xattrs: false,
    reservedBlocks: 10,
    reservedUid: 5,
    reservedGid: 6,
    memory: "low",
  },
  vfat: {
    ...OWNERS,
    allowUtime: 0o20,
    codepage: 437,
    iocharset: "iso8859-1",
    utf8: false,
    shortname: "winnt",
    check: "strict",
    errors: "continue",
    discard: true,
    flush: true,
    utc: true,
    timeOffsetMinutes: -60,
    quiet: true,
    showexec: true,
    sysImmutable: true,
    rodir: true,
    usefree: true,
    dos1xfloppy: true,
  },
  exfat: {
    ...OWNERS,
    allowUtime: 0o20,
    iocharset: "utf8",
    errors: "continue",
    discard: true,
    keepLastDots: true,
    sysTz: true,
    timeOffsetMinutes: 60,
  },
};

/** What is refused all the same, and why. */
const REFUSED: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  ext4: { journalAsyncCommit: /in data=ordered mode/, prjquota: /quota feature not enabled/ },
  xfs: {
    norecovery: /must be read-only/,
    logDevice: /ENOTBLK: .*Invalid device/,
    realtimeDevice: /ENOTBLK: .*Invalid device/,
  },
  btrfs: { noSpaceCache: /cannot disable free-space-tree/ },
  f2fs: { norecovery: /EINVAL/, prjquota: /quota feature not enabled/ },
};

suite("mount options by name", () => {
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

  for (const [type, samples] of Object.entries(SAMPLES)) {
    test(`${type}: the kernel knows every option that has a name`, async () => {
      const path = join(folder.path, `options-${type}.img`);
      if (type === "exfat") run("mkfs.exfat", emptyImage(path, 16));
      const image =
        type === "exfat"
          ? path
          : makeImage(
              folder.path,
              type as "ext4",
              ...(type === "f2fs" ? ["-O", "extra_attr,compression"] : []),
            );
      using disk = new FileDisk(image);
      await using device = await attachDisk(kernel, disk);
      for (const [option, value] of Object.entries(samples)) {
        const options = { type, [option]: value } as FilesystemOptions;
        const refused = REFUSED[type]?.[option];
        const mounting = mount(kernel, { source: device.path, options });
        if (refused) await assert.rejects(mounting, refused);
        else await (await mounting).unmount();
      }
    });
  }

  test("the kernel knows the options of what needs no disk, or more than one of a kind", async () => {
    const samples: {
      readonly [Type in "ntfs3" | "iso9660" | "overlay" | "tmpfs"]: All<Type>;
    } = {
      ntfs3: {
        ...OWNERS,
        iocharset: "utf8",
        discard: true,
        force: true,
        sparse: true,
        nohidden: true,
        hideDotFiles: true,
        windowsNames: true,
        showmeta: true,
        sysImmutable: true,
        acl: true,
        prealloc: true,
        nocase: true,
      },
      iso9660: {
        norock: true,
        nojoliet: true,
        hide: true,
        unhide: true,
        iocharset: "utf8",
        check: "strict",
        map: "acorn",
        session: 3,
        superblock: 16,
        uid: 1,
        gid: 2,
      },
      overlay: {
        lower: ["/proc", "/sys"],
        upper: "/upper",
        work: "/work",
        redirectDir: "nofollow",
        index: "off",
        metacopy: "on",
        nfsExport: "off",
        xino: "auto",
        uuid: "null",
        userxattr: true,
        volatile: true,
        defaultPermissions: true,
      },
      tmpfs: { sizeBytes: 1048576, maxFiles: 100, mode: 0o1777, uid: 1, gid: 2 },
    };
    for (const path of ["/upper", "/work"]) await init.mkdirat(AT_FDCWD, path, 0o755);
    for (const [type, options] of Object.entries(samples))
      for (const [option, value] of Object.entries(options)) {
        const said = formatMountOptions(type as "tmpfs", { [option]: value });
        const [key, given = null] = said.split("=");
        const context = await init.fsopen(type, 0);
        const command = given === null ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
        await assert.doesNotReject(init.fsconfig(context, command, key, given, 0), said);
        await init.close(context);
      }
  });

  test("options become what mount(8) takes", () => {
    assert.equal(
      formatMountOptions("ext4", {
        dataMode: "journal",
        discard: true,
        barrier: false,
        noload: false,
        commitSeconds: 30,
        errors: undefined,
      }),
      "data=journal,discard,nobarrier,commit=30",
    );
    assert.equal(
      formatMountOptions("btrfs", { compress: { algorithm: "zstd", level: 3 }, subvol: "a b" }),
      "compress=zstd:3,subvol=a b",
    );
    assert.equal(formatMountOptions("vfat", { umask: 0o27, utf8: true }), "umask=27,utf8=1");
    assert.equal(
      formatMountOptions("overlay", { lower: ["/a:b", "/c,d"], upper: "/e\\f:g", work: "/h" }),
      "lowerdir=/a\\:b:/c\\,d,upperdir=/e\\\\f:g,workdir=/h",
    );
    assert.equal(formatMountOptions("tmpfs", {}), "");
  });

  test("what is no option says which there are, and what a value is", () => {
    const bad = (type: string, options: object, problem: RegExp) =>
      assert.throws(() => formatMountOptions(type as "ext4", options), problem);
    bad("ext4", { data: "journal" }, /option "data": ext4 has no such option; it has dataMode, /);
    bad("ext4", { toString: true }, /option "toString": ext4 has no such/);
    bad("ext4", { dataMode: "fast" }, /option "dataMode": "fast": it is one of ordered, journal/);
    bad("ext4", { commitSeconds: -1 }, /option "commitSeconds": -1: it is a whole number from 0/);
    bad("ext4", { commitSeconds: "5" }, /option "commitSeconds": "5": it is/);
    bad("ext4", { discard: "yes" }, /option "discard": "yes": it is true or false/);
    bad("btrfs", { subvol: "a,b" }, /option "subvol": "a,b": .*neither a comma/);
    bad("btrfs", { compress: { algorithm: "lzo", level: 1 } }, /option "compress": .*zstd \(level/);
    bad("btrfs", { compress: "zstd" }, /option "compress": "zstd": its algorithm is one of/);
    bad("btrfs", { compress: null }, /option "compress": its algorithm is one of/);
    bad("vfat", { umask: 0o1000 }, /option "umask": 512: it is a number from 0 to 0o777/);
    bad("overlay", { lower: [] }, /option "lower": it is a list of one path or more/);
    bad("overlay", { upper: "a\0b" }, /option "upper": .*without a NUL/);
    bad("minix", {}, /options of minix have no names here, but of ext2, ext3/);
  });

  test("no text of an option can become another option", () => {
    fc.assert(
      fc.property(fc.string(), (subvol) => {
        let formatted: string;
        try {
          formatted = formatMountOptions("btrfs", { subvol });
        } catch {
          return;
        }
        assert.equal(formatted, `subvol=${subvol}`);
        assert.equal(formatted.split(",").length, 1);
      }),
    );
  });

  test("the kernel obeys them, and says so", async () => {
    const image = makeImage(folder.path, "ext4");
    using disk = new FileDisk(image);
    await using device = await attachDisk(kernel, disk);
    const source = device.path;
    {
      const options = { type: "ext4", dataMode: "journal", commitSeconds: 77 } as const;
      await using mounted = await mount(kernel, { source, options });
      const entry = (await readMounts(init)).find(({ target }) => target === mounted.target);
      assert.match(entry?.options ?? "", /\bdata=journal\b/);
      assert.match(entry?.options ?? "", /\bcommit=77\b/);
    }
    await assert.rejects(
      mount(kernel, { source, type: "ext4", options: { type: "xfs", discard: true } }),
      /option "options": they are of xfs, but the type is ext4/,
    );
    await assert.rejects(
      mount(kernel, { source, options: { type: "xfs" } }),
      /^MountError: EINVAL: .* as xfs/,
    );
    await using plain = await mount(kernel, { source, options: "commit=66" });
    const entry = (await readMounts(init)).find(({ target }) => target === plain.target);
    assert.ok(entry?.options.includes("commit=66"));
  });
});

suite("directories over each other", () => {
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
  const names = async (path: string) =>
    (await readDirectory(init, path)).map(({ name }) => name).toSorted();

  test("changes go to the upper directory, whatever the directories are called", async () => {
    await using xfs = await mountImage(kernel, makeImage(folder.path, "xfs"), "xfs");
    await using ext4 = await mountImage(kernel, makeImage(folder.path, "ext4"), "ext4");
    await writeFile(init, `${xfs.target}/base`, text.encode("base"));
    const [first, upper, work] = ["a:b, \\c", "up:,\\", "work"].map((n) => `${ext4.target}/${n}`);
    for (const path of [first, upper, work]) await init.mkdirat(AT_FDCWD, path, 0o755);
    await writeFile(init, `${first}/first`, text.encode("first"));
    await writeFile(init, `${first}/gone`, text.encode("gone"));
    {
      const lower = [first, xfs.target];
      await using overlay = await mountOverlay(kernel, { lower, upper, work });
      assert.equal(overlay.type, "overlay");
      assert.deepEqual(await names(overlay.target), ["base", "first", "gone"]);
      await writeFile(init, `${overlay.target}/base`, text.encode("changed"));
      await init.unlinkat(AT_FDCWD, `${overlay.target}/gone`, 0);
      assert.deepEqual(await names(overlay.target), ["base", "first"]);
      assert.equal(await readText(init, `${overlay.target}/base`), "changed");
    }
    assert.equal(await readText(init, `${xfs.target}/base`), "base");
    assert.equal(await readText(init, `${upper}/base`), "changed");
    // What was deleted is a mark in the upper directory.
    assert.equal((await stat(init, `${upper}/gone`)).type, "character device");
    assert.deepEqual(await names("/mnt"), ["vda", "vdb"]);
  });

  test("without an upper directory it is read-only", async () => {
    await using ext3 = await mountImage(kernel, makeImage(folder.path, "ext3"), "ext3");
    const [a, b, target] = ["a", "b", "t"].map((name) => `${ext3.target}/${name}`);
    for (const path of [a, b, target]) await init.mkdirat(AT_FDCWD, path, 0o755);
    await writeFile(init, `${a}/file`, text.encode("x"));
    await using overlay = await mountOverlay(kernel, { lower: [a, b], target });
    assert.equal(overlay.target, target);
    assert.deepEqual(await names(target), ["file"]);
    await assert.rejects(writeFile(init, `${target}/new`, text.encode("x")), { code: "EROFS" });
  });

  test("what cannot be mounted over each other says why", async () => {
    const lower = ["/proc", "/sys"];
    const image = makeImage(folder.path, "vfat");
    const bad = (options: Parameters<typeof mountOverlay>[1], problem: RegExp) =>
      assert.rejects(mountOverlay(kernel, options), problem);
    await bad({}, /option "lower": there has to be/);
    await bad({ lower, upper: "/tmp" }, /option "work": there is one if/);
    await bad({ lower: ["/nowhere", "/proc"] }, /^MountError: ENOENT: .*overlayfs: .*nowhere/);
    await bad({ lower: ["x".repeat(5000)] }, /option "lower": all options have 5009 bytes/);
    {
      await using vfat = await mountImage(kernel, image, "vfat");
      await bad(
        { lower: [vfat.target, "/proc"] },
        /^MountError: EINVAL: .*overlay: .*not supported/,
      );
    }
    await bad({ lower, target: "/nowhere" }, /^MountError: ENOENT/);
    assert.deepEqual(await names("/mnt"), []);
  });
});
