// Minix's file system, made without a kernel: the bytes are those of mkfs.minix, fsck.minix finds
// nothing, and the kernel uses it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError } from "../src/format/index.ts";
import type { Formatted, MinixOptions } from "../src/format/index.ts";
import { Kernel } from "../src/index.ts";
import { live } from "./images/life.ts";
import { run, SAMPLE_SECONDS, temporaryFolder } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const VERSIONS = [1, 2, 3] as const;

suite("Minix without a kernel", () => {
  const folder = temporaryFolder();
  const path = join(folder.path, "minix.img");
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 64 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  async function make(
    sizeBytes: number,
    options: Omit<MinixOptions, "type"> = {},
  ): Promise<Formatted> {
    using disk = new VolatileDisk(path, { createBytes: sizeBytes });
    return await mkfs(disk, { type: "minix", zeroed: true, ...options });
  }

  /** Fails if it finds anything. */
  const check = () => assert.equal(run("fsck.minix", "-f", path).split("\n", 2)[1] ?? "", "");

  test("the bytes are those of mkfs.minix", async () => {
    for (const version of VERSIONS)
      for (const kib of [100, 1234, 20480, 65000]) {
        await make(kib * 1024, { version, timeSeconds: SAMPLE_SECONDS });
        const ours = readFileSync(path);
        check();
        const maps = version === 3 ? 1024 + 6 : 1024 + 4;
        const root = 1024 * (2 + ours.readUInt16LE(maps) + ours.readUInt16LE(maps + 2));
        assert.equal(ours.readUInt32LE(root + (version === 1 ? 8 : 12)), SAMPLE_SECONDS);
        new VolatileDisk(path, { createBytes: kib * 1024 }).close();
        run("mkfs.minix", `-${version}`, "-n", version === 3 ? "60" : "30", path);
        const theirs = readFileSync(path);
        // But for the times of the root.
        for (const bytes of [ours, theirs])
          bytes.fill(0, root + (version === 1 ? 8 : 12), root + (version === 1 ? 12 : 24));
        assert.ok(ours.equals(theirs), `version ${version}, ${kib} KiB`);
      }
  });

  for (const [version, leastKib] of [
    [1, 7],
    [2, 7],
    [3, 7],
  ] as const)
    test(`the smallest of version ${version} has ${leastKib} KiB`, async () => {
      await make(leastKib * 1024, { version });
      check();
      await assert.rejects(make(leastKib * 1024 - 512, { version }), (error) => {
        assert.ok(error instanceof MkfsError);
        assert.equal(error.code, "ENOSPC");
        assert.match(error.message, new RegExp(`needs at least ${leastKib * 1024}$`));
        return true;
      });
    });

  for (const [version, bytes] of [
    [1, 60 * MIB],
    [2, 60 * MIB + 512],
    [3, GIB],
    [3, 256 * GIB],
  ] as const)
    test(`${bytes} bytes of version ${version} are used`, async () => {
      await make(bytes, { version });
      check();
      using disk = new VolatileDisk(path);
      await live(kernel, disk, { type: "minix" });
      check();
    });

  test("any size and number of inodes gives what fsck.minix accepts", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...VERSIONS),
        fc.integer({ min: 40, max: 130_000 }),
        fc.option(fc.integer({ min: 1, max: 70_000 }), { nil: undefined }),
        async (version, sectors, inodes) => {
          const options = inodes === undefined ? { version } : { version, inodes };
          try {
            await make(sectors * 512, options);
          } catch (error) {
            assert.ok(error instanceof MkfsError);
            const enough = /^ENOSPC: .* at least (\d+)$/.exec(error.message);
            assert.ok(enough, error.message);
            await make(Number(enough[1]), options);
          }
          check();
        },
      ),
      { numRuns: 30, seed: 42 },
    );
  });

  test("what cannot be is refused", async () => {
    const disk = new MemoryDisk(MIB);
    for (const [message, options] of [
      [/label.*none/, { label: "x" }],
      [/uuid.*none/, { uuid: "x" }],
      [/version.*4 is not 1, 2 or 3/, { version: 4 as 3 }],
      [/inodes.*0 are too few/, { inodes: 0 }],
      [/2106/, { timeSeconds: 2 ** 32 }],
    ] as const)
      await assert.rejects(mkfs(disk, { type: "minix", ...options }), message);
    const large = new MemoryDisk(GIB);
    await assert.rejects(mkfs(large, { type: "minix", version: 1 }), /EFBIG.*67107840/);
    const wide = new MemoryDisk(MIB, { blockSizeBytes: 4096 });
    await assert.rejects(mkfs(wide, { type: "minix" }), /EINVAL.*less than the disk's/);
  });
});
