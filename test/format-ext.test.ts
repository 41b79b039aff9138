// ext2, ext3 and ext4, made without a kernel: they are as mke2fs would make them, e2fsck finds
// nothing, and the kernel uses and grows them.

import assert from "node:assert/strict";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { EXT4_IOC_RESIZE_FS } from "../src/abi/constants/ext4.ts";
import { AT_FDCWD } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { ExtFeature, ExtOptions, Formatted } from "../src/format/index.ts";
import { attachDisk, mount, probe } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { seededRandom } from "../src/machine/random.ts";
import { live } from "./images/life.ts";
import { run, SAMPLE_SECONDS, temporaryFolder } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";
import { boot, viewOf } from "./kernel.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;
const UUID = "01234567-89ab-4cde-8f01-23456789abcd";
const TYPES = ["ext2", "ext3", "ext4"] as const;

/** What dumpe2fs tells that does not depend on chance, time, or where a program puts things. */
const COMPARABLE = [
  "Filesystem features",
  "Default mount options",
  "Filesystem state",
  "Errors behavior",
  "Inode count",
  "Block count",
  "Reserved block count",
  "Free blocks",
  "Free inodes",
  "First block",
  "Block size",
  "Group descriptor size",
  "Reserved GDT blocks",
  "Blocks per group",
  "Inodes per group",
  "Inode blocks per group",
  "First meta block group",
  "Flex block group size",
  "Maximum mount count",
  "Check interval",
  "First inode",
  "Inode size",
  "Required extra isize",
  "Journal inode",
  "Default directory hash",
  "Journal backup",
  "Checksum type",
  "Total journal size",
  "Journal features",
];

suite("ext without a kernel", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "ext.img");
  let kernel: Kernel;
  before(async () => {
    kernel = await boot({ memoryMiB: 128 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  async function make(sizeBytes: number, options: ExtOptions): Promise<Formatted> {
    using disk = new VolatileDisk(path, { createBytes: sizeBytes });
    return await mkfs(disk, { zeroed: true, ...options });
  }

  /** Fails if it finds anything, or says anything but what it is doing. */
  function check(): void {
    const lines = run("e2fsck", "-f", "-n", path).trim().split("\n");
    const unusual = lines.filter((line) => !/^Pass |^Blocks |files .* blocks$|^$/.test(line));
    assert.deepEqual(unusual, []);
  }

  function header(image: string): Record<string, string> {
    const lines = run("dumpe2fs", "-h", image).split("\n");
    return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2)));
  }

  async function use(type: string): Promise<void> {
    using disk = new VolatileDisk(path);
    await live(kernel, disk, { type });
  }

  test("superblocks say the same as those of mke2fs", async () => {
    const other = join(folder.path, "native.img");
    for (const type of TYPES)
      for (const mib of [1, 9, 64, 511, 600, 4096, 100 * 1024, 1024 * 1024]) {
        // Without checksums all inode tables are initialised, which takes its time.
        if (type !== "ext4" && mib > 5000) continue;
        if (type === "ext3" && mib === 1) continue;
        await make(mib * MIB, { type });
        rmSync(other, { force: true });
        run("mke2fs", "-q", "-F", "-t", type, "-E", "lazy_journal_init=1", other, `${mib}M`);
        const [ours, native] = [path, other].map((image) => {
          const all = header(image);
          return COMPARABLE.map((name) => [name, all[name]?.split(" ").toSorted().join(" ")]);
        });
        assert.deepEqual(ours, native, `${type} of ${mib} MiB`);
      }
  });

  const least: readonly (readonly [leastBytes: number, options: ExtOptions])[] = [
    [26 * KIB, { type: "ext2" }],
    [38 * KIB, { type: "ext2", blockSizeBytes: 2048 }],
    [56 * KIB, { type: "ext2", blockSizeBytes: 4096 }],
    [2 * MIB, { type: "ext3" }],
    [26 * KIB, { type: "ext4" }],
    [2 * MIB, { type: "ext4", features: { has_journal: true } }],
    [8 * MIB, { type: "ext4", features: { has_journal: true }, blockSizeBytes: 4096 }],
  ];
  for (const [bytes, options] of least)
    test(`the smallest with ${JSON.stringify(options)} has ${bytes} bytes`, async () => {
      const formatted = await make(bytes, options);
      assert.equal(formatted.sizeBytes, bytes);
      check();
      {
        using disk = new VolatileDisk(path);
        await using device = await attachDisk(kernel, disk);
        await using mounted = await mount(kernel, { source: device.path });
        await kernel.init.mkdirat(AT_FDCWD, `${mounted.target}/directory`, 0o755);
      }
      check();
      await assert.rejects(make(bytes - 512, options), (error) => {
        assert.ok(error instanceof MkfsError);
        assert.equal(error.code, "ENOSPC");
        assert.match(error.message, new RegExp(`needs at least ${bytes}$`));
        return true;
      });
    });

  for (const [bytes, options] of [
    [GIB + 40 * MIB + 77 * 512, { type: "ext2" }],
    [GIB + 512, { type: "ext3", blockSizeBytes: 1024 }],
    [100 * GIB, { type: "ext4" }],
    [TIB, { type: "ext4" }],
  ] as const satisfies readonly (readonly [number, ExtOptions])[])
    test(`${bytes} bytes with ${JSON.stringify(options)} are used`, async () => {
      const formatted = await make(bytes, options);
      assert.equal(formatted.sizeBytes, bytes - (bytes % formatted.blockSizeBytes));
      assert.ok(statSync(path).blocks * 512 < 32 * MIB);
      check();
      await use(options.type);
      check();
    });

  test("it grows while it is mounted", async () => {
    for (const [options, from, to] of [
      [{ type: "ext4" }, 64 * MIB, 300 * MIB],
      [{ type: "ext4", features: { meta_bg: true } }, 600 * MIB, 4 * GIB],
      [{ type: "ext4", features: { orphan_file: true, "64bit": false } }, GIB, 3 * GIB],
      [{ type: "ext3" }, 100 * MIB, 400 * MIB],
    ] as const satisfies readonly (readonly [ExtOptions, number, number])[]) {
      const { blockSizeBytes } = await make(from, options);
      using disk = new VolatileDisk(path);
      const blocks = new Uint8Array(8);
      viewOf(blocks).setBigUint64(0, BigInt(to / blockSizeBytes), true);
      const { before, after } = await live(kernel, disk, {
        type: options.type,
        // What is not initialised yet shall stay so: it is a sparse file.
        options: "noinit_itable",
        grow: {
          resize: () => disk.resize(to),
          tell: ({ init }, fd) => init.ioctl(fd, EXT4_IOC_RESIZE_FS, blocks),
        },
      });
      assert.ok(before.totalBytes < from && after.totalBytes > 0.9 * to);
      check();
    }
  });

  const supported: readonly ExtFeature[] = [
    "orphan_file",
    "metadata_csum_seed",
    "fast_commit",
    "inline_data",
    "large_dir",
    "ea_inode",
    "encrypt",
    "casefold",
    "stable_inodes",
    "verity",
    "project",
    "quota",
  ];

  test("features are turned on and off by name", async () => {
    for (const feature of supported) {
      const features = { [feature]: true, ...(feature === "stable_inodes" && { encrypt: true }) };
      await make(64 * MIB, { type: "ext4", features });
      check();
      assert.ok(header(path)["Filesystem features"].split(" ").includes(feature), feature);
    }
    const all = Object.fromEntries(supported.map((name) => [name, true]));
    await make(GIB, { type: "ext4", features: all });
    check();
    for (const [off, gone] of [
      ["has_journal", "has_journal"],
      ["extent", "extent 64bit"],
      ["64bit", "64bit"],
      ["metadata_csum", "metadata_csum"],
      ["flex_bg", "flex_bg"],
      ["sparse_super", "sparse_super resize_inode"],
      ["resize_inode", "resize_inode"],
      ["filetype", "filetype"],
      ["dir_index", "dir_index"],
      ["extra_isize", "extra_isize"],
    ] as const) {
      await make(100 * MIB, { type: "ext4", features: { [off]: false } });
      check();
      const on = header(path)["Filesystem features"].split(" ");
      assert.ok(!gone.split(" ").some((name) => on.includes(name)), off);
      await use("ext4");
      check();
    }
    for (const features of [{ uninit_bg: true }, { uninit_bg: true, flex_bg: false }]) {
      await make(GIB, { type: "ext4", features });
      check();
      await use("ext4");
      check();
    }
  });

  test("quota files have the bytes of those of mke2fs", async () => {
    const native = join(folder.path, "native.img");
    for (const [rootUid, rootGid] of [
      [0, 0],
      [70000, 3],
      [2 ** 32 - 2, 300],
    ]) {
      await make(64 * MIB, {
        type: "ext4",
        features: { quota: true, project: true },
        rootUid,
        rootGid,
      });
      check();
      rmSync(native, { force: true });
      const more = ["-O", "quota,project", "-E", `root_owner=${rootUid}:${rootGid}`];
      run("mke2fs", "-q", "-F", "-t", "ext4", ...more, native, "64M");
      for (const inode of [3, 4, 12]) {
        const [ours, theirs] = [path, native].map((image) => {
          const dump = join(folder.path, "quota");
          run("debugfs", "-R", `dump <${inode}> ${dump}`, image);
          return readFileSync(dump);
        });
        assert.ok(ours.length >= 6144 && ours.equals(theirs), `inode ${inode}`);
      }
    }
  });

  test("a kernel that has all features uses them", async () => {
    await using full = await Kernel.boot({ image: "full", memoryMiB: 64 });
    const features = Object.fromEntries(supported.map((name) => [name, true]));
    for (const blockSizeBytes of [1024, 4096] as const) {
      await make(300 * MIB, { type: "ext4", features, blockSizeBytes });
      check();
      using disk = new VolatileDisk(path);
      await live(full, disk, { type: "ext4" });
      check();
    }
  });

  test("any size and option gives what e2fsck accepts", async () => {
    const sectors = fc.oneof(
      fc.integer({ min: 1, max: 16 * 2048 }),
      fc.integer({ min: 16 * 2048, max: 2 ** 22 }),
    );
    const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const options = fc.record({
      type: fc.constantFrom(...TYPES),
      blockSizeBytes: optional(fc.constantFrom(1024, 2048, 4096)),
      inodeSizeBytes: optional(fc.constantFrom(128, 256, 512, 1024)),
      bytesPerInode: optional(fc.integer({ min: 1024, max: 2 ** 22 })),
      inodes: optional(fc.integer({ min: 1, max: 99999 })),
      reservedPercent: optional(fc.double({ min: 0, max: 50, noNaN: true })),
      groupsPerFlex: optional(fc.constantFrom(1, 2, 8, 64, 256)),
      features: fc.subarray([...supported, "uninit_bg", "meta_bg"] as ExtFeature[]),
    });
    await fc.assert(
      fc.asyncProperty(sectors, options, async (sectors, { features, ...rest }) => {
        const given = Object.entries(rest).filter(([, value]) => value !== undefined);
        const names = rest.type === "ext4" ? features : [];
        const wanted: ExtOptions = {
          type: rest.type,
          ...Object.fromEntries(given),
          features: Object.fromEntries(names.map((name) => [name, true])),
          timeSeconds: SAMPLE_SECONDS,
        };
        try {
          await make(sectors * 512, wanted);
        } catch (error) {
          if (!(error instanceof MkfsError)) throw error;
          if (error.code === "EINVAL" && names.length) return; // They exclude each other.
          const enough = /^ENOSPC: .* at least (\d+)$/.exec(error.message);
          assert.ok(enough, error.message);
          await make(Number(enough[1]), wanted);
        }
        check();
      }),
      { numRuns: 50, seed: 42 },
    );
  });

  test("what was on the disk does no harm, and part of it can be used", async () => {
    const start = 8 * MIB;
    const size = 96 * MIB;
    const disk = new MemoryDisk(new Uint8Array(128 * MIB).fill(0xa5), { blockSizeBytes: 512 });
    // So many inodes that their tables are left to the kernel.
    const options = { type: "ext4", bytesPerInode: 1024 } as const;
    await mkfs(disk, { ...options, startBytes: start, sizeBytes: size });
    const bytes = disk.bytes();
    assert.ok(bytes.subarray(0, start).every((byte) => byte === 0xa5));
    assert.ok(bytes.subarray(start + size).every((byte) => byte === 0xa5));
    writeFileSync(path, bytes.subarray(start, start + size));
    assert.match(run("dumpe2fs", path), /Group 4:.*\[INODE_UNINIT, BLOCK_UNINIT\]/);
    check();
    await use("ext4");
    check();
  });

  test("a disk with blocks of 4096 bytes", async () => {
    const disk = new MemoryDisk(16 * MIB, { blockSizeBytes: 4096 });
    await assert.rejects(mkfs(disk, { type: "ext4", blockSizeBytes: 1024 }), /EINVAL/);
    assert.equal((await mkfs(disk, { type: "ext4" })).blockSizeBytes, 4096);
    await live(kernel, disk, { type: "ext4" });
    writeFileSync(path, disk.bytes());
    check();
  });

  test("label, UUID, owner and time are what was asked for, and one seed makes the same bytes", async () => {
    const label = "ünï 名前 x"; // 14 bytes
    const options: ExtOptions = {
      type: "ext4",
      label,
      uuid: UUID.toUpperCase(),
      timeSeconds: 2 ** 32 + SAMPLE_SECONDS,
      rootUid: 70000,
      rootGid: 5,
      random: seededRandom(1),
    };
    const formatted = await make(64 * MIB, options);
    assert.equal(formatted.uuid, UUID);
    check();
    const bytes = readFileSync(path);
    const read = async (at: number, length: number) => bytes.subarray(at, at + length);
    const content = await probe(read, bytes.length);
    assert.deepEqual([content?.type, content?.label, content?.uuid], ["ext4", label, UUID]);
    const root = run("debugfs", "-R", "stat <2>", path);
    assert.match(root, /User: 70000 {3}Group: +5/);
    assert.match(root, /crtime: 0x3a7b8372:00000001 -- Tue Mar 12 10:33:22 2137/);
    await make(64 * MIB, { ...options, random: seededRandom(1) });
    assert.ok(readFileSync(path).equals(bytes));
  });

  test("what cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(64 * MIB);
    const cases: readonly (readonly [RegExp, Partial<ExtOptions>])[] = [
      [/label.*17 bytes.*at most 16$/, { label: "x".repeat(17) }],
      [/label.*NUL/, { label: "a\0b" }],
      [/label.*surrogate/, { label: "\ud800" }],
      [/uuid/, { uuid: "1234" }],
      [/blockSizeBytes.*8192/, { blockSizeBytes: 8192 }],
      [/inodeSizeBytes.*300 is no power of two/, { inodeSizeBytes: 300 }],
      [/inodeSizeBytes.*2048 is not in 128 to 1024/, { inodeSizeBytes: 2048 }],
      [/2038/, { inodeSizeBytes: 128, timeSeconds: 2 ** 31 }],
      [/timeSeconds/, { timeSeconds: -1 }],
      [/reservedPercent/, { reservedPercent: 51 }],
      [/reservedPercent/, { reservedPercent: Number.NaN }],
      [/journalSizeBytes.*1000 is not in 1048576/, { journalSizeBytes: 1000 }],
      [/no journal without/, { type: "ext2", journalSizeBytes: 4 * MIB }],
      [/extent is of ext4/, { type: "ext3", features: { extent: true } }],
      [/there is no nonsense; there are has_journal/, { features: { nonsense: true } as object }],
      [
        /metadata_csum and uninit_bg exclude/,
        { features: { metadata_csum: true, uninit_bg: true } },
      ],
      [/orphan_file needs has_journal/, { features: { orphan_file: true, has_journal: false } }],
      [/rootUid/, { rootUid: -1 }],
      [/rootGid/, { rootGid: 2 ** 32 - 1 }],
      [/rootGid.*1.5 is no whole number/, { rootGid: 1.5 }],
      [/startBytes.*100/, { startBytes: 100 }],
      [/beyond the disk's end/, { startBytes: MIB, sizeBytes: 64 * MIB }],
    ];
    for (const [message, options] of cases) {
      await assert.rejects(mkfs(disk, { type: "ext4", ...options }), (error) => {
        assert.ok(error instanceof MkfsError, String(error));
        assert.equal(error.code, "EINVAL");
        assert.match(error.message, message);
        return true;
      });
      assert.equal(disk.allocatedBytes, 0);
    }
    await assert.rejects(
      mkfs(new MemoryDisk(2 ** 45), { type: "ext4", features: { "64bit": false } }),
      /EFBIG.*17592186040320/,
    );
  });
});
