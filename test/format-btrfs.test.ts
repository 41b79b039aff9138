// btrfs, made without a kernel: btrfs check finds nothing, and the kernel uses and grows it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { BTRFS_IOC_RESIZE } from "../src/abi/constants/btrfs.ts";
import { BtrfsIoctlVolArgs } from "../src/abi/structs/btrfs.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { BtrfsOptions, Formatted } from "../src/format/index.ts";
import { probe } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { live } from "./images/life.ts";
import { run, temporaryFolder } from "./images/native.ts";
import { viewOf } from "./kernel.ts";

const MIB = 1 << 20;
const GIB = 1 << 30;
const UUID = "01234567-89ab-4cde-8f01-23456789abcd";

/** The smallest disks, by options. */
const LEAST: readonly [bytes: number, options: Partial<BtrfsOptions>][] = [
  [6 * MIB, {}],
  [11 * MIB, { mixed: true, metadata: "dup" }],
  [45 * MIB, { mixed: false, metadata: "single" }],
  [81 * MIB, { mixed: false }],
];

suite("btrfs without a kernel", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "btrfs.img");
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  async function make(sizeBytes: number, options: Partial<BtrfsOptions> = {}): Promise<Formatted> {
    using disk = new FileDisk(path, { createBytes: sizeBytes });
    return await mkfs(disk, { type: "btrfs", zeroed: true, ...options });
  }

  /** Fails if it finds anything. */
  const check = () => run("btrfs", "check", "--readonly", "--check-data-csum", path);

  async function use(options?: string): Promise<void> {
    using disk = new FileDisk(path);
    await live(kernel, disk, { type: "btrfs", ...(options === undefined ? {} : { options }) });
  }

  for (const [bytes, options] of LEAST)
    test(`the smallest with ${JSON.stringify(options)} has ${bytes >> 20} MiB`, async () => {
      const formatted = await make(bytes, options);
      assert.equal(formatted.sizeBytes, bytes);
      check();
      await use();
      check();
      await assert.rejects(make(bytes - 512, options), (error) => {
        assert.ok(error instanceof MkfsError);
        assert.equal(error.code, "ENOSPC");
        assert.match(error.message, new RegExp(`needs at least ${bytes}$`));
        return true;
      });
    });

  for (const [bytes, options] of [
    [GIB + 512, {}],
    [100 * GIB, { blockGroupTree: true }],
    [1024 * GIB, {}],
  ] as const)
    test(`${bytes} bytes with ${JSON.stringify(options)} are used`, async () => {
      const formatted = await make(bytes, options);
      assert.equal(formatted.sizeBytes, bytes - (bytes % 4096));
      check();
      await use();
      check();
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
          formatted = await make(sectors * 512, options);
        } catch (error) {
          assert.ok(error instanceof MkfsError);
          const refused = options.label?.includes("\0") || (options.blockGroupTree ?? false);
          assert.ok(error.code === "ENOSPC" || (refused && error.code === "EINVAL"), String(error));
          return;
        }
        check();
        assert.equal(formatted.label, options.label ?? "");
      }),
      { numRuns: 25, seed: 42 },
    );
  });

  test("it grows while it is mounted", async () => {
    await make(300 * MIB);
    using disk = new FileDisk(path);
    const args = new Uint8Array(BtrfsIoctlVolArgs.size);
    new BtrfsIoctlVolArgs(viewOf(args)).name.set(new TextEncoder().encode("max"));
    const { before, after } = await live(kernel, disk, {
      type: "btrfs",
      grow: {
        resize: () => disk.resize(2 * GIB),
        tell: ({ init }, fd) => init.ioctl(fd, BTRFS_IOC_RESIZE, args),
      },
    });
    assert.equal(before.totalBytes, 300 * MIB);
    assert.equal(after.totalBytes, 2 * GIB);
    check();
  });

  test("nothing of an earlier btrfs comes back, whatever it was", async () => {
    await make(200 * MIB);
    for (let i = 0; i < 2; i++) {
      await use();
      using disk = new FileDisk(path);
      await mkfs(disk, { type: "btrfs" });
      check();
    }
    await use();
    check();
  });

  test("every copy of the superblock can replace the first", async () => {
    await make(260 * GIB);
    for (const copy of ["0", "1", "2"]) run("btrfs", "check", "--readonly", "-s", copy, path);
    using disk = new FileDisk(path);
    disk.write(new Uint8Array(4096), 65536);
    assert.throws(check);
    // btrfs-rescue(8): it ends with 2 when something was recovered.
    assert.throws(() => run("btrfs", "rescue", "super-recover", "-y", path), { status: 2 });
    check();
    await use();
    check();
  });

  test("what was on the disk does no harm, and part of it can be used", async () => {
    const start = 8 * MIB;
    const size = 96 * MIB;
    const old = new Uint8Array(128 * MIB).fill(0xa5);
    const disk = new MemoryDisk(old, { blockSizeBytes: 4096 });
    await mkfs(disk, { type: "btrfs", startBytes: start, sizeBytes: size });
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
    const label = `${"ü".repeat(127)}x`; // 255 bytes
    const random = (into: Uint8Array) => void into.fill(7);
    const options = { label, uuid: UUID, timeSeconds: 981173106, random };
    await make(200 * MIB, options);
    check();
    const bytes = readFileSync(path);
    const read = async (at: number, length: number) => bytes.subarray(at, at + length);
    const content = await probe(read, bytes.length);
    assert.deepEqual([content?.type, content?.label, content?.uuid], ["btrfs", label, UUID]);
    assert.match(run("btrfs", "inspect-internal", "dump-tree", path), /otime 981173106\.0/);
    await make(200 * MIB, options);
    assert.ok(readFileSync(path).equals(bytes));
  });

  test("what cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(200 * MIB);
    for (const [options, message] of [
      [{ label: "ü".repeat(128) }, /^MkfsError: EINVAL: option "label": .* at most 255$/],
      [{ uuid: "1234-ABCD" }, /^MkfsError: EINVAL: option "uuid"/],
      [{ metadata: "raid1" as "dup" }, /^MkfsError: EINVAL: option "metadata"/],
      [{ mixed: true, blockGroupTree: true }, /^MkfsError: EINVAL: option "blockGroupTree"/],
    ] as const)
      await assert.rejects(mkfs(disk, { type: "btrfs", ...options }), message);
    assert.equal(disk.allocatedBytes, 0);
  });
});
