// f2fs, made without a kernel: fsck.f2fs finds nothing, and the kernel uses it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { F2fsFeature, F2fsOptions, Formatted } from "../src/format/index.ts";
import { probe } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { live } from "./images/life.ts";
import { run, temporaryFolder } from "./images/native.ts";
import { viewOf } from "./kernel.ts";

const MIB = 1 << 20;
const GIB = 1 << 30;
const TIB = 2 ** 40;
const UUID = "01234567-89ab-4cde-8f01-23456789abcd";
const LEAST_BYTES = 52 * MIB;

const FEATURES = [
  "extra_attr",
  "project_quota",
  "inode_checksum",
  "flexible_inline_xattr",
  "inode_crtime",
  "verity",
  "sb_checksum",
  "compression",
] as const satisfies readonly F2fsFeature[];

/** What fsck.f2fs and dump.f2fs say of the numbers that mkfs.f2fs computes. */
const GEOMETRY =
  /^(block_count|section_count|segment_count\w*|\w+_blkaddr|cp_payload|user_block_count|\w+_segment_count|\w+_bitmap_bytesize) .*$/gm;

suite("f2fs without a kernel", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "f2fs.img");
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 384 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  async function make(
    sizeBytes: number,
    options: Partial<F2fsOptions> = {},
    blockSizeBytes = 512,
  ): Promise<Formatted> {
    using disk = new FileDisk(path, { createBytes: sizeBytes, blockSizeBytes });
    return await mkfs(disk, { type: "f2fs", zeroed: true, ...options });
  }

  function check(): void {
    const said = run("sh", "-c", 'exec fsck.f2fs --dry-run "$0" 2>&1', path);
    assert.match(said, /^\[FSCK\] other corrupted bugs +\[Ok\.\.\]$/m);
    assert.doesNotMatch(said, /invalid|fail|assert|corrupted(?! bugs +\[Ok)/i);
  }

  const geometry = () => run("dump.f2fs", "-d", "1", path).match(GEOMETRY);

  async function use({ blockSizeBytes = 512, warns = false } = {}): Promise<void> {
    using disk = new FileDisk(path, { blockSizeBytes });
    await live(kernel, disk, { type: "f2fs", warns });
  }

  test("the smallest has 52 MiB", async () => {
    assert.equal((await make(LEAST_BYTES)).sizeBytes, LEAST_BYTES);
    check();
    await use();
    check();
    await assert.rejects(make(LEAST_BYTES - 512), (error) => {
      assert.ok(error instanceof MkfsError);
      assert.equal(error.code, "ENOSPC");
      assert.match(error.message, /at least 54525952$/);
      return true;
    });
  });

  test("the largest has 16 TiB", async () => {
    const disk = new MemoryDisk(16 * TIB + 512);
    await assert.rejects(mkfs(disk, { type: "f2fs", zeroed: true }), /^MkfsError: EFBIG: /);
    assert.equal(disk.allocatedBytes, 0);
    const options = { type: "f2fs", zeroed: true, sizeBytes: 16 * TIB } as const;
    assert.equal((await mkfs(disk, options)).sizeBytes, 16 * TIB);
  });

  for (const [bytes, features, blockSizeBytes] of [
    [64 * MIB + 1536, FEATURES, 512],
    [700 * MIB, [], 4096],
    [GIB, ["extra_attr", "compression"], 512],
    [100 * GIB, ["sb_checksum"], 512],
  ] as const)
    test(`${bytes} bytes in sectors of ${blockSizeBytes} with ${features.join()} are used`, async () => {
      const { sizeBytes } = await make(bytes, { features }, blockSizeBytes);
      assert.equal(sizeBytes, bytes - (bytes % 4096));
      check();
      await use({ blockSizeBytes });
      check();
    });

  // This kernel has no memory map: it finds no 128 MiB at a stretch for a bitmap of all its segments.
  test("1 TiB is what fsck.f2fs accepts", async () => {
    await make(TIB, { features: FEATURES });
    check();
  });

  test("any size and option gives what fsck.f2fs accepts", async () => {
    const features = fc.uniqueArray(fc.constantFrom(...FEATURES));
    const options = fc.record(
      {
        timeSeconds: fc.integer({ min: 0, max: 2 ** 34 - 1 }),
        label: fc
          .string({ unit: "grapheme", maxLength: 20 })
          .filter((text) => !text.includes("\0")),
      },
      { requiredKeys: [] },
    );
    const sizes = fc.integer({ min: LEAST_BYTES / 512, max: (3 * GIB) / 512 });
    await fc.assert(
      fc.asyncProperty(sizes, options, features, async (sectors, options, chosen) => {
        const features = chosen.length ? ["extra_attr" as const, ...chosen] : [];
        const formatted = await make(sectors * 512, { ...options, features });
        check();
        assert.equal(formatted.label, options.label ?? "");
      }),
      { numRuns: 12, seed: 42 },
    );
  });

  test("areas are those of mkfs.f2fs", async () => {
    for (const mib of [52, 54, 56, 63, 100, 127, 300, 525, 526, 530, 700, 1024, 20_000]) {
      await make(mib * MIB);
      const ours = geometry();
      assert.ok(ours && ours.length > 15);
      using disk = new FileDisk(path, { createBytes: mib * MIB });
      assert.equal(disk.sizeBytes, mib * MIB);
      run("mkfs.f2fs", "-q", "-t", "0", path);
      assert.deepEqual(ours, geometry(), `${mib} MiB`);
    }
  });

  // What mkfs.f2fs 1.15 made of disks for which it needs long.
  for (const [tebibytes, sit, nat, ssa, main, reserved, overprovision, payload] of [
    [1, 38, 82, 1024, 523_141, 1007, 2051, 0],
    [15, 560, 120, 15_359, 7_848_278, 4008, 7930, 5],
  ] as const)
    test(`areas are those of mkfs.f2fs: ${tebibytes} TiB`, async () => {
      const disk = new MemoryDisk(tebibytes * TIB);
      await mkfs(disk, { type: "f2fs", zeroed: true });
      const read = (at: number, length: number) => {
        const bytes = new Uint8Array(length);
        disk.read(bytes, at);
        return viewOf(bytes);
      };
      const superblock = read(1024, 3072);
      const u32 = (at: number) => superblock.getUint32(at, true);
      assert.deepEqual([56, 60, 64, 68].map(u32), [sit, nat, ssa, main]);
      assert.equal(u32(1664), payload);
      const checkpoint = read(2 * MIB, 4096);
      assert.equal(checkpoint.getUint32(24, true), reserved);
      assert.equal(checkpoint.getUint32(28, true), overprovision);
    });

  test("what was on the disk does no harm, and part of it can be used", async () => {
    const start = 8 * MIB;
    const size = 96 * MIB;
    const old = new Uint8Array(128 * MIB).fill(0xa5);
    const disk = new MemoryDisk(old, { blockSizeBytes: 4096 });
    await mkfs(disk, { type: "f2fs", startBytes: start, sizeBytes: size });
    const bytes = disk.bytes();
    assert.ok(bytes.subarray(0, start).every((byte) => byte === 0xa5));
    assert.ok(bytes.subarray(start + size).every((byte) => byte === 0xa5));
    using file = new FileDisk(path, { createBytes: size });
    file.write(bytes.subarray(start, start + size), 0);
    check();
    await use({ blockSizeBytes: 4096 });
    check();
  });

  test("nothing of an earlier f2fs comes back, whatever it was", async () => {
    await make(64 * MIB);
    for (let i = 0; i < 2; i++) {
      await use();
      using disk = new FileDisk(path);
      await mkfs(disk, { type: "f2fs" });
      check();
    }
    await use();
    check();
  });

  test("the kernel replaces a damaged superblock by its copy", async () => {
    await make(64 * MIB);
    {
      using disk = new FileDisk(path);
      disk.write(new Uint8Array(4096), 0);
    }
    await use({ warns: true });
    check();
    const [first, second] = [0, 4096].map((at) => readFileSync(path).subarray(at, at + 4096));
    assert.ok(first.equals(second));
  });

  test("label, UUID and time are what was asked for, and the same bytes come of the same seed", async () => {
    const label = "名前".repeat(50);
    const random = (into: Uint8Array) => void into.fill(7);
    const options = { label, uuid: UUID, timeSeconds: 981173106, random };
    await make(64 * MIB, options);
    check();
    const bytes = readFileSync(path);
    const read = async (at: number, length: number) => bytes.subarray(at, at + length);
    const content = await probe(read, bytes.length);
    assert.deepEqual([content?.type, content?.label, content?.uuid], ["f2fs", label, UUID]);
    assert.match(run("dump.f2fs", "-i", "3", path), /i_mtime\s+\[0x3a7b8372 : 981173106\]/);
    await make(64 * MIB, options);
    assert.ok(readFileSync(path).equals(bytes));
  });

  test("a label has up to 511 units", async () => {
    const label = `${"名前".repeat(255)}x`;
    assert.equal((await make(64 * MIB, { label })).label, label);
    check();
    const name = readFileSync(path).subarray(1024 + 124, 1024 + 124 + 1024);
    assert.equal(new TextDecoder("utf-16le").decode(name), `${label}\0`);
  });

  test("what cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(64 * MIB);
    for (const [options, message] of [
      [{ label: "x".repeat(512) }, /^MkfsError: EINVAL: option "label": .* at most 511$/],
      [{ label: "a\0b" }, /^MkfsError: EINVAL: option "label"/],
      [{ uuid: "1234-ABCD" }, /^MkfsError: EINVAL: option "uuid"/],
      [{ features: ["compression"] }, /^MkfsError: EINVAL: option "features": .* "extra_attr"/],
      [{ features: ["casefold" as F2fsFeature] }, /^MkfsError: EINVAL: option "features"/],
    ] as const)
      await assert.rejects(mkfs(disk, { type: "f2fs", ...options }), message);
    assert.equal(disk.allocatedBytes, 0);
  });
});
