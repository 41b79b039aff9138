// f2fs, made without a kernel: fsck.f2fs finds nothing, and the kernel uses it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs } from "../src/format/index.ts";
import type { F2fsFeature, F2fsOptions } from "../src/format/index.ts";
import { run } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";
import { checkLeast, commonTests, Workshop } from "./images/workshop.ts";
import { viewOf } from "./kernel.ts";

type Options = Omit<F2fsOptions, "type">;

const MIB = 1 << 20;
const GIB = 1 << 30;
const TIB = 2 ** 40;
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

function check(path: string): void {
  const said = run("sh", "-c", 'exec fsck.f2fs --dry-run "$0" 2>&1', path);
  assert.match(said, /^\[FSCK\] other corrupted bugs +\[Ok\.\.\]$/m);
  assert.doesNotMatch(said, /invalid|fail|assert|corrupted(?! bugs +\[Ok)/i);
}

suite("f2fs without a kernel", () => {
  const workshop = new Workshop<Options>({
    type: "f2fs",
    memoryMiB: 128,
    mkfs: (disk, options) => mkfs(disk, { type: "f2fs", ...options }),
    check,
    timeOf: (path) =>
      Number(/i_mtime\s+\[0x\s*\w+ : (\d+)\]/.exec(run("dump.f2fs", "-i", "3", path))?.[1]),
    label: "名前".repeat(50),
    longLabel: "x".repeat(512),
  });
  const { path } = workshop;

  const geometry = () => run("dump.f2fs", "-d", "1", path).match(GEOMETRY);

  commonTests(workshop);

  test("the smallest has 52 MiB", async () => {
    await checkLeast(workshop, LEAST_BYTES, {});
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
      const { sizeBytes } = await workshop.make(bytes, { features }, blockSizeBytes);
      assert.equal(sizeBytes, bytes - (bytes % 4096));
      workshop.check();
      await workshop.use({}, blockSizeBytes);
      workshop.check();
    });

  // This kernel has no memory map: it finds no 128 MiB at a stretch for a bitmap of all its segments.
  test("1 TiB is what fsck.f2fs accepts", async () => {
    await workshop.make(TIB, { features: FEATURES });
    workshop.check();
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
        const formatted = await workshop.make(sectors * 512, { ...options, features });
        workshop.check();
        assert.equal(formatted.label, options.label ?? "");
      }),
      { numRuns: 12, seed: 42 },
    );
  });

  test("areas are those of mkfs.f2fs", async () => {
    for (const mib of [52, 54, 56, 63, 100, 127, 300, 525, 526, 530, 700, 1024, 20_000]) {
      await workshop.make(mib * MIB, {});
      const ours = geometry();
      assert.ok(ours && ours.length > 15);
      new VolatileDisk(path, { createBytes: mib * MIB }).close();
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

  test("the kernel replaces a damaged superblock by its copy", async () => {
    await workshop.make(64 * MIB, {});
    {
      using disk = new VolatileDisk(path);
      disk.write(new Uint8Array(4096), 0);
    }
    await workshop.use({ warns: true });
    workshop.check();
    const [first, second] = [0, 4096].map((at) => readFileSync(path).subarray(at, at + 4096));
    assert.ok(first.equals(second));
  });

  test("a label has up to 511 units", async () => {
    const label = `${"名前".repeat(255)}x`;
    assert.equal((await workshop.make(64 * MIB, { label })).label, label);
    workshop.check();
    const name = readFileSync(path).subarray(1024 + 124, 1024 + 124 + 1024);
    assert.equal(new TextDecoder("utf-16le").decode(name), `${label}\0`);
  });

  test("features that cannot be are refused before anything is written", async () => {
    const disk = new MemoryDisk(64 * MIB);
    for (const [features, message] of [
      [["compression"], /^MkfsError: EINVAL: option "features": .* "extra_attr"/],
      [["casefold" as F2fsFeature], /^MkfsError: EINVAL: option "features"/],
    ] as const)
      await assert.rejects(mkfs(disk, { type: "f2fs", features }), message);
    assert.equal(disk.allocatedBytes, 0);
  });
});
