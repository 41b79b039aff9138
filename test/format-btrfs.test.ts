// btrfs, made without a kernel: btrfs check finds nothing, and the kernel uses and grows it.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import fc from "fast-check";

import { BTRFS_IOC_RESIZE } from "../src/abi/constants/btrfs.ts";
import { BtrfsIoctlVolArgs } from "../src/abi/structs/btrfs.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { BtrfsOptions, Formatted } from "../src/format/index.ts";
import { run } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";
import { checkLeast, commonTests, Workshop } from "./images/workshop.ts";
import { viewOf } from "./kernel.ts";

type Options = Omit<BtrfsOptions, "type">;

const MIB = 1 << 20;
const GIB = 1 << 30;

/** The smallest disks, by options. */
const LEAST: readonly [bytes: number, options: Options][] = [
  [6 * MIB, {}],
  [11 * MIB, { mixed: true, metadata: "dup" }],
  [45 * MIB, { mixed: false, metadata: "single" }],
  [81 * MIB, { mixed: false }],
];

suite("btrfs without a kernel", () => {
  const workshop = new Workshop<Options>({
    type: "btrfs",
    memoryMiB: 128,
    mkfs: (disk, options) => mkfs(disk, { type: "btrfs", ...options }),
    check: (path) => void run("btrfs", "check", "--readonly", "--check-data-csum", path),
    timeOf: (path) => {
      const tree = run("btrfs", "inspect-internal", "dump-tree", "-t", "fs", path);
      return Number(/otime (\d+)/.exec(tree)?.[1]);
    },
    label: `${"ü".repeat(127)}x`, // 255 bytes
    longLabel: "ü".repeat(128),
  });
  const { path } = workshop;

  commonTests(workshop);

  for (const [bytes, options] of LEAST)
    test(`the smallest with ${JSON.stringify(options)} has ${bytes >> 20} MiB`, async () => {
      await checkLeast(workshop, bytes, options);
    });

  for (const [bytes, options] of [
    [109 * MIB, {}],
    [GIB + 512, {}],
    [100 * GIB, { blockGroupTree: true }],
    [1024 * GIB, {}],
  ] as const)
    test(`${bytes} bytes with ${JSON.stringify(options)} are used`, async () => {
      const formatted = await workshop.make(bytes, options);
      assert.equal(formatted.sizeBytes, bytes - (bytes % 4096));
      workshop.check();
      await workshop.use();
      workshop.check();
    });

  test("any size and option gives what btrfs check accepts", async () => {
    const sizes = fc.oneof(
      fc.integer({ min: 6 * 2048, max: 128 * 2048 }),
      fc.integer({ min: 128 * 2048, max: 2 ** 31 }),
    );
    const options = fc.record(
      {
        metadata: fc.constantFrom("dup", "single"),
        blockGroupTree: fc.boolean(),
        mixed: fc.boolean(),
        timeSeconds: fc.integer({ min: 0, max: 2 ** 34 - 1 }),
        label: fc.string({ unit: "grapheme", maxLength: 20 }),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(sizes, options, async (sectors, options) => {
        let formatted: Formatted;
        try {
          formatted = await workshop.make(sectors * 512, options);
        } catch (error) {
          assert.ok(error instanceof MkfsError);
          const refused = options.label?.includes("\0") || (options.blockGroupTree ?? false);
          assert.ok(error.code === "ENOSPC" || (refused && error.code === "EINVAL"), String(error));
          return;
        }
        workshop.check();
        assert.equal(formatted.label, options.label ?? "");
      }),
      { numRuns: 25, seed: 42 },
    );
  });

  test("it grows while it is mounted", async () => {
    await workshop.make(300 * MIB, {});
    const args = new Uint8Array(BtrfsIoctlVolArgs.size);
    new BtrfsIoctlVolArgs(viewOf(args)).name.set(new TextEncoder().encode("max"));
    const { before, after } = await workshop.grow(2 * GIB, ({ init }, fd) =>
      init.ioctl(fd, BTRFS_IOC_RESIZE, args),
    );
    assert.equal(before.totalBytes, 300 * MIB);
    assert.equal(after.totalBytes, 2 * GIB);
    workshop.check();
  });

  test("every copy of the superblock can replace the first", async () => {
    await workshop.make(260 * GIB, {});
    for (const copy of ["0", "1", "2"]) run("btrfs", "check", "--readonly", "-s", copy, path);
    {
      using disk = new VolatileDisk(path);
      disk.write(new Uint8Array(4096), 65536);
    }
    assert.throws(() => workshop.check());
    // btrfs-rescue(8): it ends with 2 when something was recovered.
    assert.throws(() => run("btrfs", "rescue", "super-recover", "-y", path), { status: 2 });
    workshop.check();
    await workshop.use();
    workshop.check();
  });

  test("options that cannot be are refused before anything is written", async () => {
    const disk = new MemoryDisk(200 * MIB);
    for (const [options, message] of [
      [{ metadata: "raid1" as "dup" }, /^MkfsError: EINVAL: option "metadata"/],
      [{ mixed: true, blockGroupTree: true }, /^MkfsError: EINVAL: option "blockGroupTree"/],
    ] as const)
      await assert.rejects(mkfs(disk, { type: "btrfs", ...options }), message);
    assert.equal(disk.allocatedBytes, 0);
  });
});
