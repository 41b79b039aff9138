// What all that is made without a kernel shares: the order of writes, checksums, swap areas, errors.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { crc32 as nodeCrc32 } from "node:zlib";

import fc from "fast-check";

import { DiskError, MemoryDisk } from "../src/disk/index.ts";
import type { Disk } from "../src/disk/index.ts";
import { crc32, crc32c } from "../src/format/checksum.ts";
import { ImageWriter } from "../src/format/image-writer.ts";
import { mkfs } from "../src/format/index.ts";
import type { MkfsOptions } from "../src/format/index.ts";
import { Record } from "../src/format/record.ts";
import { probe } from "../src/fs/index.ts";
import { seededRandom } from "../src/machine/random.ts";
import { noise, run, temporaryFolder } from "./images/native.ts";
import { VolatileDisk } from "./images/volatile-disk.ts";

const MIB = 2 ** 20;
const text = new TextEncoder();

/** Answers later, and has no writeZeroes(). */
function slow(under: MemoryDisk): Disk {
  const later = <T extends unknown[]>(operation: (...args: T) => void) => {
    return async (...args: T) => {
      await Promise.resolve();
      operation(...args);
    };
  };
  return {
    sizeBytes: under.sizeBytes,
    blockSizeBytes: under.blockSizeBytes,
    readOnly: false,
    synchronous: false,
    read: later((into: Uint8Array, at: number) => under.read(into, at)),
    write: later((from: Uint8Array, at: number) => under.write(from, at)),
    flush: later(() => under.flush()),
    close: () => under.close(),
  };
}

suite("what is written", () => {
  test("is what a plain copy would be, with whole blocks, on any disk", async () => {
    const part = fc.record({
      offset: fc.nat(20_000),
      length: fc.integer({ min: 1, max: 3000 }),
      zero: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 20 }),
        fc.constantFrom(512, 4096),
        fc.constantFrom(0, 8192),
        fc.boolean(),
        async (parts, blockSizeBytes, startBytes, isSlow) => {
          const old = noise(65536);
          const expected = Uint8Array.from(old);
          const image = new ImageWriter(32768);
          const written: { offset: number; end: number }[] = [];
          const blocks = (offset: number, length: number) => {
            const first = offset - (offset % blockSizeBytes);
            const end = Math.ceil((offset + length) / blockSizeBytes) * blockSizeBytes;
            expected.fill(0, startBytes + first, startBytes + end);
          };
          for (const { offset, length } of parts) blocks(offset, length);
          for (const { offset, length, zero } of parts) {
            const end = offset + length;
            if (zero) image.zero(offset, length);
            else if (written.every((one) => one.end <= offset || one.offset >= end)) {
              const bytes = noise(length, offset + 1);
              image.write(offset, bytes);
              expected.set(bytes, startBytes + offset);
              written.push({ offset, end });
            } else image.zero(offset, length);
          }
          const disk = new MemoryDisk(Uint8Array.from(old), { blockSizeBytes });
          await image.apply(isSlow ? slow(disk) : disk, startBytes);
          assert.deepEqual(disk.bytes(), expected);
        },
      ),
      { numRuns: 200, seed: 5 },
    );
  });

  test("goes in few operations, each of a MiB at most", async () => {
    const image = new ImageWriter(8 * MIB);
    for (let at = 0; at < 4 * MIB; at += 4096) image.write(at, noise(4096, at));
    image.write(5 * MIB, noise(2 * MIB + 512));
    const disk = new MemoryDisk(8 * MIB);
    const steps: (readonly [number, number] | "flush")[] = [];
    const write = disk.write.bind(disk);
    disk.write = (from, at) => {
      steps.push([at / MIB, from.length]);
      write(from, at);
    };
    disk.flush = () => void steps.push("flush");
    await image.apply(disk);
    // What is at the start comes last, when the rest is lasting.
    const rest = [1, 2, 3, 5, 6].map((mib) => [mib, MIB]);
    assert.deepEqual(steps, [...rest, [7, 512], "flush", [0, MIB], "flush"]);
  });

  test("neither overlaps nor is beyond the end", async () => {
    const image = new ImageWriter(4096);
    assert.throws(() => image.write(4095, new Uint8Array(2)), RangeError);
    assert.throws(() => image.zero(-1, 1), RangeError);
    image.write(0, new Uint8Array(100));
    image.write(99, new Uint8Array(1));
    const disk = new MemoryDisk(4096);
    await assert.rejects(image.apply(disk), RangeError);
    assert.equal(disk.allocatedBytes, 0);
  });
});

test("checksums are the usual ones", () => {
  const digits = text.encode("123456789");
  assert.equal(crc32(digits), 0xcbf43926);
  assert.equal((crc32c(0xffffffff, digits) ^ -1) >>> 0, 0xe3069283);
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (one, other) => {
      assert.equal(crc32(other, crc32(one)), nodeCrc32(other, nodeCrc32(one)));
    }),
    { numRuns: 50, seed: 1 },
  );
});

test("a number that does not fit its field is a mistake that is told", () => {
  const record = new Record(8);
  for (const value of [-1, 256, 0.5, Number.NaN])
    assert.throws(() => record.u8(0, value), RangeError);
  assert.throws(() => record.u32(0, 2 ** 32), RangeError);
  assert.throws(() => record.u64(0, -1), RangeError);
  assert.deepEqual([...record.u16(0, 0x1234).u32be(2, 1).bytes], [0x34, 0x12, 0, 0, 0, 1, 0, 0]);
});

suite("mkfs", () => {
  test("swap: what mkswap makes, with the same options", async () => {
    using folder = temporaryFolder();
    const uuid = "01234567-89ab-4cde-8f01-23456789abcd";
    for (const bytes of [40960, 40960 + 512, 5 * MIB + 4096]) {
      const disk = new MemoryDisk(bytes);
      const made = await mkfs(disk, { type: "swap", label: "größe", uuid });
      assert.equal(made.sizeBytes, bytes - (bytes % 4096));
      const path = join(folder.path, "native");
      writeFileSync(path, new Uint8Array(bytes));
      run("mkswap", "--quiet", "--pagesize", "4096", "-L", "größe", "-U", uuid, path);
      writeFileSync(join(folder.path, "ours"), disk.bytes());
      run("cmp", path, join(folder.path, "ours"));
    }
    await assert.rejects(mkfs(new MemoryDisk(40448), { type: "swap" }), {
      code: "ENOSPC",
      errno: -28,
      syscall: "mkfs",
      message: "ENOSPC: a disk of 40448 bytes is too small for swap: it needs at least 40960",
    });
  });

  test("a disk that fails half way has no file system", async () => {
    for (const type of ["ext4", "vfat", "exfat", "btrfs", "swap"] as const) {
      const options = { type, random: seededRandom(1), timeSeconds: 1 };
      let writes = 0;
      const counted = new MemoryDisk(66 * MIB);
      const write = counted.write.bind(counted);
      counted.write = (from, at) => {
        writes++;
        write(from, at);
      };
      await mkfs(counted, options);
      for (let good = 0; good < writes; good++) {
        const disk = new MemoryDisk(66 * MIB);
        await mkfs(disk, { type: "ext2" });
        const write = disk.write.bind(disk);
        let left = good;
        disk.write = (from, at) => {
          if (!left--) throw new DiskError("EIO", "worn out");
          write(from, at);
        };
        await assert.rejects(mkfs(disk, options), { name: "MkfsError", code: "EIO" });
        const read = async (at: number, length: number) => {
          const bytes = new Uint8Array(length);
          disk.read(bytes, at);
          return bytes;
        };
        assert.equal(await probe(read, disk.sizeBytes), null, `${type} after ${good} writes`);
      }
    }
  });

  test("a type that there is not, and a disk that cannot be written", async () => {
    const options = { type: "zfs" } as unknown as MkfsOptions;
    await assert.rejects(mkfs(new MemoryDisk(MIB), options), {
      code: "EINVAL",
      option: "type",
      message: 'EINVAL: option "type": there is no formatter for "zfs"',
    });
    const disk = new MemoryDisk(MIB, { readOnly: true });
    await assert.rejects(mkfs(disk, { type: "swap" }), { code: "EROFS", errno: -30 });
  });

  test("each type makes blkid and wipefs forget each other", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "image");
    const types = ["btrfs", "ext4", "vfat", "exfat", "swap", "ext2"] as const;
    using disk = new VolatileDisk(path, { createBytes: 66 * MIB });
    for (const before of types)
      for (const type of types) {
        await mkfs(disk, { type: before });
        await mkfs(disk, { type });
        const found = run("wipefs", "--noheadings", "--output", "TYPE", path).split(/\s+/);
        assert.deepEqual([...new Set(found.filter(Boolean))], [type], `${before}, then ${type}`);
      }
  });
});
