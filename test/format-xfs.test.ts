// XFS, made without a kernel: xfs_repair finds nothing, and the kernel uses and grows it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { Formatted, XfsOptions } from "../src/format/index.ts";
import { probe } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { live } from "./images/life.ts";
import { run, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;
const GIB = 1 << 30;
const UUID = "01234567-89ab-4cde-8f01-23456789abcd";
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

suite("xfs without a kernel", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "xfs.img");
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 256 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  async function make(
    sizeBytes: number,
    options: Partial<XfsOptions> = {},
    blockSizeBytes = 512,
  ): Promise<Formatted> {
    using disk = new FileDisk(path, { createBytes: sizeBytes, blockSizeBytes });
    return await mkfs(disk, { type: "xfs", zeroed: true, ...options });
  }

  function check(): void {
    const said = run("sh", "-c", 'exec xfs_repair -n "$0" 2>&1', path);
    assert.deepEqual(
      said.split("\n").filter((line) => line && !USUAL.test(line)),
      [],
    );
  }

  /** A field of the superblock, as xfs_db shows it. */
  const field = (name: string) =>
    run("xfs_db", "-r", "-c", "sb 0", "-c", `print ${name}`, path).trim();

  async function use(blockSizeBytes = 512): Promise<void> {
    using disk = new FileDisk(path, { blockSizeBytes });
    await live(kernel, disk, { type: "xfs" });
  }

  test("the smallest has 32 MiB", async () => {
    assert.equal((await make(LEAST_BYTES)).sizeBytes, LEAST_BYTES);
    check();
    await use();
    check();
    await assert.rejects(make(LEAST_BYTES - 512), (error) => {
      assert.ok(error instanceof MkfsError);
      assert.equal(error.code, "ENOSPC");
      assert.match(error.message, /at least 33554432$/);
      return true;
    });
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
      const { sizeBytes } = await make(bytes, options, blockSizeBytes);
      assert.equal(sizeBytes, bytes - (bytes % BLOCK_BYTES));
      assert.equal(field("agcount"), `agcount = ${groups}`);
      assert.equal(field("dblocks"), `dblocks = ${sizeBytes / BLOCK_BYTES}`);
      check();
      await use(blockSizeBytes);
      check();
    });

  test("any size and option gives what xfs_repair accepts", async () => {
    const options = fc.record(
      {
        reverseMapping: fc.boolean(),
        largeExtentCounts: fc.boolean(),
        timeSeconds: fc.integer({ min: 0, max: LAST_SECONDS }),
        label: fc.string({ unit: "binary-ascii", maxLength: 12 }),
      },
      { requiredKeys: [] },
    );
    const sizes = fc.oneof(
      fc.integer({ min: LEAST_BYTES / 4096, max: (600 * MIB) / 4096 }),
      fc.integer({ min: LEAST_BYTES / 4096, max: 2 ** 26 }),
    );
    await fc.assert(
      fc.asyncProperty(
        sizes,
        options,
        fc.constantFrom(512, 1024, 2048, 4096),
        async (n, o, unit) => {
          fc.pre(!o.label?.includes("\0"));
          const formatted = await make(n * 4096, o, unit);
          check();
          assert.equal(formatted.label, o.label ?? "");
        },
      ),
      { numRuns: 20, seed: 42 },
    );
  });

  test("groups and log are those of mkfs.xfs", async () => {
    const fields = ["agblocks", "agcount", "agblklog", "logblocks", "imax_pct", "rootino"];
    for (const bytes of [300 * MIB, GIB + 8192, 700 * GIB, 1024 * GIB, 4096 * GIB, 4097 * GIB]) {
      await make(bytes, { reverseMapping: false });
      const ours = fields.map(field);
      using disk = new FileDisk(path, { createBytes: bytes });
      assert.equal(disk.sizeBytes, bytes);
      run("mkfs.xfs", "-q", path);
      assert.deepEqual(ours, fields.map(field), `${bytes}`);
    }
  });

  test("it grows while it is mounted", async () => {
    await make(300 * MIB);
    using disk = new FileDisk(path);
    const args = new Uint8Array(GROWFS_BYTES);
    const view = new DataView(args.buffer);
    view.setBigUint64(0, BigInt((2 * GIB) / BLOCK_BYTES), true);
    view.setUint32(8, 25, true);
    const { before, after } = await live(kernel, disk, {
      type: "xfs",
      grow: {
        resize: () => disk.resize(2 * GIB),
        tell: ({ init }, fd) => init.ioctl(fd, XFS_IOC_FSGROWFSDATA, args),
      },
    });
    assert.ok(before.totalBytes < 300 * MIB);
    assert.ok(after.totalBytes > 1900 * MIB);
    check();
  });

  test("nothing of an earlier XFS comes back, whatever it was", async () => {
    await make(200 * MIB);
    for (let i = 0; i < 2; i++) {
      await use();
      using disk = new FileDisk(path);
      await mkfs(disk, { type: "xfs" });
      check();
    }
    await use();
    check();
  });

  test("every copy of the superblock can replace the first", async () => {
    await make(200 * MIB);
    using disk = new FileDisk(path);
    disk.write(new Uint8Array(512), 0);
    assert.throws(check);
    run("xfs_repair", path);
    check();
    await use();
    check();
  });

  test("what was on the disk does no harm, and part of it can be used", async () => {
    const start = 8 * MIB;
    const size = 96 * MIB;
    const old = new Uint8Array(128 * MIB).fill(0xa5);
    const disk = new MemoryDisk(old, { blockSizeBytes: 4096 });
    await mkfs(disk, { type: "xfs", startBytes: start, sizeBytes: size });
    const bytes = disk.bytes();
    assert.ok(bytes.subarray(0, start).every((byte) => byte === 0xa5));
    assert.ok(bytes.subarray(start + size).every((byte) => byte === 0xa5));
    using file = new FileDisk(path, { createBytes: size });
    file.write(bytes.subarray(start, start + size), 0);
    check();
    await use();
    check();
  });

  test("label, UUID and time are what was asked for, and the same bytes come of the same seed", async () => {
    const label = "zwölf Bytes"; // 12 of them
    const options = { label, uuid: UUID, timeSeconds: 981173106 };
    await make(64 * MIB, options);
    check();
    const bytes = readFileSync(path);
    const read = async (at: number, length: number) => bytes.subarray(at, at + length);
    const content = await probe(read, bytes.length);
    assert.deepEqual([content?.type, content?.label, content?.uuid], ["xfs", label, UUID]);
    const time = run("xfs_db", "-r", "-c", "inode 128", "-c", "print v3.crtime.sec", path);
    assert.equal(Date.parse(time.split("=")[1]) / 1000, 981173106);
    await make(64 * MIB, options);
    assert.ok(readFileSync(path).equals(bytes));
  });

  test("what cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(64 * MIB);
    for (const [options, message] of [
      [{ label: "thirteen char" }, /^MkfsError: EINVAL: option "label": .* at most 12$/],
      [{ timeSeconds: LAST_SECONDS + 1 }, /^MkfsError: EINVAL: option "timeSeconds"/],
      [{ uuid: "1234-ABCD" }, /^MkfsError: EINVAL: option "uuid"/],
    ] as const)
      await assert.rejects(mkfs(disk, { type: "xfs", ...options }), message);
    assert.equal(disk.allocatedBytes, 0);
  });
});
