// XFS, made without a kernel: xfs_repair finds nothing, and the kernel uses and grows it.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs } from "../src/format/index.ts";
import type { XfsOptions } from "../src/format/index.ts";
import { run } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";
import { checkLeast, commonTests, Workshop } from "./images/workshop.ts";

type Options = Omit<XfsOptions, "type">;

const MIB = 1 << 20;
const GIB = 1 << 30;
const LEAST_BYTES = 32 * MIB;
const BLOCK_BYTES = 4096;
/** XFS_IOC_FSGROWFSDATA of the kernel's fs/xfs/libxfs/xfs_fs.h, and struct xfs_growfs_data. */
const XFS_IOC_FSGROWFSDATA = 0x4010_586e;
const GROWFS_BYTES = 16;
/** 2486-07-02 20:20:24 UTC. */
const LAST_SECONDS = 16_299_260_424;

/** What xfs_repair always says, where there is nothing to repair. */
const USUAL =
  /^(Phase \d| {8}- |No modify flag set|Cannot get host|Repair may fail|the image and the host)/;

function check(path: string): void {
  const said = run("sh", "-c", 'exec xfs_repair -n "$0" 2>&1', path);
  assert.deepEqual(
    said.split("\n").filter((line) => line && !USUAL.test(line)),
    [],
  );
}

suite("xfs without a kernel", () => {
  const workshop = new Workshop<Options>({
    type: "xfs",
    memoryMiB: 256,
    mkfs: (disk, options) => mkfs(disk, { type: "xfs", ...options }),
    check,
    timeOf: (path) => {
      const time = run("xfs_db", "-r", "-c", "inode 128", "-c", "print v3.crtime.sec", path);
      return Date.parse(time.split("=")[1]) / 1000;
    },
    label: "zwölf Bytes", // 12 of them
    longLabel: "thirteen char",
  });
  const { path } = workshop;

  /** A field of the superblock, as xfs_db shows it. */
  const field = (name: string) =>
    run("xfs_db", "-r", "-c", "sb 0", "-c", `print ${name}`, path).trim();

  commonTests(workshop);

  test("the smallest has 32 MiB", async () => {
    await checkLeast(workshop, LEAST_BYTES, {});
  });

  for (const [bytes, groups, options, blockSizeBytes] of [
    [LEAST_BYTES, 2, { largeExtentCounts: true }, 4096],
    [64 * MIB, 4, { largeExtentCounts: true }, 512],
    [300 * MIB - 512, 4, { reverseMapping: false }, 512],
    [299 * MIB, 4, {}, 2048],
    [500 * MIB, 4, {}, 4096],
    [GIB + 1536, 4, {}, 512],
    [100 * GIB, 4, { largeExtentCounts: true }, 512],
    [1024 * GIB, 4, {}, 512],
    [5 * 1024 * GIB + 48 * MIB, 6, {}, 512],
  ] as const)
    test(`${bytes} bytes in sectors of ${blockSizeBytes} with ${JSON.stringify(options)} are used`, async () => {
      const { sizeBytes } = await workshop.make(bytes, options, blockSizeBytes);
      assert.equal(sizeBytes, bytes - (bytes % BLOCK_BYTES));
      assert.equal(field("agcount"), `agcount = ${groups}`);
      assert.equal(field("dblocks"), `dblocks = ${sizeBytes / BLOCK_BYTES}`);
      workshop.check();
      await workshop.use({}, blockSizeBytes);
      workshop.check();
    });

  test("any size and option gives what xfs_repair accepts", async () => {
    const options = fc.record(
      {
        reverseMapping: fc.boolean(),
        largeExtentCounts: fc.boolean(),
        timeSeconds: fc.integer({ min: 0, max: LAST_SECONDS }),
        label: fc
          .string({ unit: "binary-ascii", maxLength: 12 })
          .filter((text) => !text.includes("\0")),
      },
      { requiredKeys: [] },
    );
    const sizes = fc.oneof(
      fc.integer({ min: LEAST_BYTES / 4096, max: (600 * MIB) / 4096 }),
      fc.integer({ min: LEAST_BYTES / 4096, max: 2 ** 26 }),
    );
    const units = fc.constantFrom(512, 1024, 2048, 4096);
    await fc.assert(
      fc.asyncProperty(sizes, options, units, async (blocks, options, unit) => {
        const formatted = await workshop.make(blocks * 4096, options, unit);
        workshop.check();
        assert.equal(formatted.label, options.label ?? "");
      }),
      { numRuns: 20, seed: 42 },
    );
  });

  test("groups and log are those of mkfs.xfs", async () => {
    const fields = ["agblocks", "agcount", "agblklog", "logblocks", "imax_pct", "rootino"];
    for (const bytes of [300 * MIB, GIB + 8192, 700 * GIB, 1024 * GIB, 4096 * GIB, 4097 * GIB]) {
      await workshop.make(bytes, { reverseMapping: false });
      const ours = fields.map(field);
      new VolatileDisk(path, { createBytes: bytes }).close();
      run("mkfs.xfs", "-q", path);
      assert.deepEqual(ours, fields.map(field), `${bytes}`);
    }
  });

  test("it grows while it is mounted", async () => {
    await workshop.make(300 * MIB, {});
    const args = new Uint8Array(GROWFS_BYTES);
    const view = new DataView(args.buffer);
    view.setBigUint64(0, BigInt((2 * GIB) / BLOCK_BYTES), true);
    view.setUint32(8, 25, true);
    const { before, after } = await workshop.grow(2 * GIB, ({ init }, fd) =>
      init.ioctl(fd, XFS_IOC_FSGROWFSDATA, args),
    );
    assert.ok(before.totalBytes < 300 * MIB);
    assert.ok(after.totalBytes > 1900 * MIB);
    workshop.check();
  });

  test("every copy of the superblock can replace the first", async () => {
    await workshop.make(200 * MIB, {});
    {
      using disk = new VolatileDisk(path);
      disk.write(new Uint8Array(512), 0);
    }
    assert.throws(() => workshop.check());
    run("xfs_repair", path);
    workshop.check();
    await workshop.use();
    workshop.check();
  });

  test("a time that cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(64 * MIB);
    await assert.rejects(
      mkfs(disk, { type: "xfs", timeSeconds: LAST_SECONDS + 1 }),
      /^MkfsError: EINVAL: option "timeSeconds"/,
    );
    assert.equal(disk.allocatedBytes, 0);
  });
});
