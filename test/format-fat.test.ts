// FAT12, FAT16, FAT32 and exFAT, made without a kernel: fsck finds nothing, and the kernel uses them.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { AT_FDCWD } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { ExfatOptions, Formatted, VfatOptions } from "../src/format/index.ts";
import { attachDisk, mount, probe } from "../src/fs/index.ts";
import type { Kernel } from "../src/index.ts";
import { seededRandom } from "../src/machine/random.ts";
import { live } from "./images/life.ts";
import { run, SAMPLE_SECONDS, temporaryFolder } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";
import { boot } from "./kernel.ts";

type Options = VfatOptions | ExfatOptions;

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIB = 2 ** 40;

suite("FAT and exFAT without a kernel", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "fat.img");
  let kernel: Kernel;
  before(async () => {
    kernel = await boot({ memoryMiB: 128 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  async function make(sizeBytes: number, options: Options): Promise<Formatted> {
    using disk = new VolatileDisk(path, { createBytes: sizeBytes });
    return await mkfs(disk, { zeroed: true, ...options });
  }

  /** Fails if it finds anything. @returns what it says */
  function check({ type }: { type: string }): string {
    if (type === "exfat") {
      const text = run("fsck.exfat", "-n", path);
      assert.match(text, /: clean\. directories \d+, files \d+\s*$/);
      return text;
    }
    const lines = run("fsck.fat", "-n", "-v", path).split("\n");
    const end = lines.findIndex((line) => /sectors total/.test(line));
    const unusual = lines
      .slice(end + 1)
      .filter((line) => !/^Checking |^$|: \d+ files, \d+\/\d+ clusters$/.test(line));
    assert.deepEqual(unusual, []);
    return lines.join("\n");
  }

  async function use(type: string): Promise<void> {
    using disk = new VolatileDisk(path);
    await live(kernel, disk, { type });
  }

  async function content() {
    const bytes = readFileSync(path);
    return await probe(async (at, length) => bytes.subarray(at, at + length), bytes.length);
  }

  const least: readonly (readonly [leastBytes: number, options: Options])[] = [
    [18 * 512, { type: "vfat" }],
    [5 * 512, { type: "vfat", rootEntries: 16 }],
    [4132 * 512, { type: "vfat", fatBits: 16 }],
    [66597 * 512, { type: "vfat", fatBits: 32 }],
    [MIB, { type: "exfat" }],
    [64 * MIB + 128 * KIB, { type: "exfat", clusterSizeBytes: 16 * MIB }],
  ];
  for (const [bytes, options] of least)
    test(`the smallest with ${JSON.stringify(options)} has ${bytes} bytes`, async () => {
      const formatted = await make(bytes, options);
      assert.equal(formatted.sizeBytes, bytes);
      check(options);
      {
        using disk = new VolatileDisk(path);
        await using device = await attachDisk(kernel, disk);
        await using mounted = await mount(kernel, { source: device.path });
        assert.equal(mounted.type, options.type);
        await kernel.init.mkdirat(AT_FDCWD, `${mounted.target}/folder`, 0o755);
      }
      check(options);
      await assert.rejects(make(bytes - 512, options), (error) => {
        assert.ok(error instanceof MkfsError);
        assert.equal(error.code, "ENOSPC");
        assert.match(error.message, new RegExp(`needs at least ${bytes}$`));
        return true;
      });
    });

  for (const [bytes, bits] of [
    [1440 * KIB, 12],
    [2880 * KIB, 12],
    [7 * MIB + 512, 12],
    [8 * MIB, 16],
    [511 * MIB + 7 * 512, 16],
    [512 * MIB, 32],
    [GIB + 77 * 512, 32],
    [100 * GIB, 32],
    [TIB, 32],
  ] as const)
    test(`${bytes} bytes are FAT${bits}, and used`, async () => {
      assert.equal((await make(bytes, { type: "vfat" })).sizeBytes, bytes);
      assert.ok(statSync(path).blocks * 512 < MIB);
      assert.match(check({ type: "vfat" }), new RegExp(`, ${bits} bit entries`));
      await use("vfat");
      check({ type: "vfat" });
    });

  test("floppy disks are as the BIOS knows them", async () => {
    await make(1440 * KIB, { type: "vfat" });
    const ours = check({ type: "vfat" });
    run("mkfs.fat", path);
    const layout = (text: string) => text.match(/^.*(per|Media|entr|starts|clusters|heads).*$/gm);
    assert.deepEqual(layout(ours), layout(check({ type: "vfat" })));
  });

  for (const bytes of [7 * MIB + 512, 256 * MIB, GIB + 77 * 512, 100 * GIB, TIB])
    test(`${bytes} bytes are exFAT, and used`, async () => {
      assert.equal((await make(bytes, { type: "exfat" })).sizeBytes, bytes);
      assert.ok(statSync(path).blocks * 512 < MIB);
      check({ type: "exfat" });
      await use("exfat");
      check({ type: "exfat" });
    });

  test("exFAT has the table of letters that the specification recommends", async () => {
    await make(8 * MIB, { type: "exfat" });
    const ours = run("dump.exfat", path);
    run("mkfs.exfat", path);
    const table = (text: string) => /Upcase table size: *\t*(\d+)/.exec(text)?.[1];
    assert.equal(table(ours), table(run("dump.exfat", path)));
    const native = readFileSync(path);
    const start = (native.readUInt32LE(88) + 8) * 512; // The second cluster of 4 KiB.
    const letters = native.subarray(start, start + 5836);
    await make(8 * MIB, { type: "exfat" });
    assert.ok(readFileSync(path).includes(letters));
    // The kernel compares names by it.
    using disk = new VolatileDisk(path);
    await using device = await attachDisk(kernel, disk);
    await using mounted = await mount(kernel, { source: device.path });
    await kernel.init.mkdirat(AT_FDCWD, `${mounted.target}/ünï φ`, 0o755);
    await kernel.init.unlinkat(AT_FDCWD, `${mounted.target}/ÜNÏ Φ`, 0x200);
  });

  test("any size and option gives what fsck accepts", async () => {
    const sectors = fc.oneof(
      fc.integer({ min: 1, max: 16 * 2048 }),
      fc.integer({ min: 16 * 2048, max: 2 ** 22 }),
    );
    const cluster = fc.constantFrom(512, 1024, 4096, 32768, 65536);
    const options: fc.Arbitrary<Options> = fc.oneof(
      fc.record(
        {
          type: fc.constant("vfat" as const),
          fatBits: fc.constantFrom(12, 16, 32),
          clusterSizeBytes: cluster,
          rootEntries: fc.integer({ min: 16, max: 2048 }),
        },
        { requiredKeys: ["type"] },
      ),
      fc.record(
        { type: fc.constant("exfat" as const), clusterSizeBytes: cluster },
        { requiredKeys: ["type"] },
      ),
    );
    await fc.assert(
      fc.asyncProperty(sectors, options, async (sectors, options) => {
        try {
          await make(sectors * 512, options);
        } catch (error) {
          if (!(error instanceof MkfsError)) throw error;
          if (error.code === "EINVAL")
            return assert.ok(
              options.type === "vfat" && options.rootEntries && options.fatBits === 32,
            );
          // The size that it names will do.
          const other = /^(ENOSPC: .* at least|EFBIG: .* at most) (\d+)/.exec(error.message);
          assert.ok(other, error.message);
          await make(Number(other[2]), options);
        }
        check(options);
      }),
      { numRuns: 80, seed: 42 },
    );
  });

  test("what was on the disk does no harm, and part of it can be used", async () => {
    const start = MIB;
    const cases: readonly (readonly [Options, number])[] = [
      [{ type: "vfat" }, 12 * MIB],
      [{ type: "vfat", fatBits: 32 }, 36 * MIB],
      [{ type: "exfat" }, 16 * MIB],
    ];
    for (const [options, size] of cases) {
      const disk = new MemoryDisk(new Uint8Array(40 * MIB).fill(0xa5));
      await mkfs(disk, { ...options, startBytes: start, sizeBytes: size });
      const bytes = disk.bytes();
      assert.ok(bytes.subarray(0, start).every((byte) => byte === 0xa5));
      assert.ok(bytes.subarray(start + size).every((byte) => byte === 0xa5));
      const image = Buffer.from(bytes.subarray(start, start + size));
      const hidden =
        options.type === "exfat" ? Number(image.readBigUInt64LE(64)) : image.readUInt32LE(28);
      assert.equal(hidden * 512, start);
      writeFileSync(path, image);
      check(options);
      await use(options.type);
      check(options);
    }
  });

  test("disks with blocks of 4096 bytes", async () => {
    const cases: readonly (readonly [Options, number])[] = [
      [{ type: "vfat" }, 16],
      [{ type: "vfat" }, 600],
      [{ type: "exfat" }, 16],
    ];
    for (const [options, mib] of cases) {
      const createBytes = mib * MIB;
      using disk = new VolatileDisk(path, { createBytes, blockSizeBytes: 4096 });
      await mkfs(disk, { ...options, zeroed: true });
      check(options);
      await live(kernel, disk, { type: options.type });
      check(options);
    }
  });

  test("label, serial number and time are what was asked for, and one seed makes the same bytes", async () => {
    const cases: readonly (readonly [Options, string])[] = [
      [{ type: "vfat", label: "my disk_1" }, "MY DISK_1"],
      [{ type: "exfat", label: "Ünï 名前 🙂" }, "Ünï 名前 🙂"],
    ];
    for (const [options, label] of cases) {
      const more = { uuid: "12ab-34CD", timeSeconds: SAMPLE_SECONDS };
      const formatted = await make(16 * MIB, { ...options, ...more });
      assert.deepEqual([formatted.label, formatted.uuid], [label, "12AB-34CD"]);
      check(options);
      const found = await content();
      assert.deepEqual(
        [found?.type, found?.label, found?.uuid],
        [options.type, label, "12AB-34CD"],
      );
      await make(16 * MIB, { ...options, ...more, random: seededRandom(3) });
      const bytes = readFileSync(path);
      await make(16 * MIB, { ...options, ...more, random: seededRandom(3) });
      assert.ok(readFileSync(path).equals(bytes));
    }
    await make(16 * MIB, { type: "exfat", volumeGuid: "01234567-89ab-4cde-8f01-23456789abcd" });
    const guid = [0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xde, 0x4c, 0x8f, 0x01, 0x23, 0x45];
    assert.ok(readFileSync(path).includes(Uint8Array.from(guid)));
    await use("exfat");
  });

  test("what cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(64 * MIB);
    const cases: readonly (readonly [RegExp, Options])[] = [
      [/label.*more than 11/, { type: "vfat", label: "x".repeat(12) }],
      [/label.*ASCII/, { type: "vfat", label: "ü" }],
      [/label.*ASCII/, { type: "vfat", label: "a.b" }],
      [/label.*space/, { type: "vfat", label: " a" }],
      [/uuid.*12AB-34CD/, { type: "vfat", uuid: "1234" }],
      [/fatBits.*13/, { type: "vfat", fatBits: 13 as 12 }],
      [/clusterSizeBytes.*from 512 to 65536/, { type: "vfat", clusterSizeBytes: 131072 }],
      [/rootEntries.*grows/, { type: "vfat", fatBits: 32, rootEntries: 512 }],
      [/rootEntries/, { type: "vfat", rootEntries: 3 }],
      [/label.*11 UTF-16/, { type: "exfat", label: "x".repeat(12) }],
      [/label.*control/, { type: "exfat", label: "a\nb" }],
      [/label.*surrogate/, { type: "exfat", label: "\udc00" }],
      [/clusterSizeBytes.*1000/, { type: "exfat", clusterSizeBytes: 1000 }],
      [/volumeGuid/, { type: "exfat", volumeGuid: "x" }],
    ];
    for (const [message, options] of cases) {
      await assert.rejects(mkfs(disk, options), (error) => {
        assert.ok(error instanceof MkfsError, String(error));
        assert.equal(error.code, "EINVAL");
        assert.match(error.message, message);
        return true;
      });
      assert.equal(disk.allocatedBytes, 0);
    }
    const large = new MemoryDisk(3 * TIB);
    await assert.rejects(mkfs(large, { type: "vfat" }), /EFBIG.*at most 2199023255040/);
  });
});
