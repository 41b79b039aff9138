// Partition tables that were written here: what sfdisk, sgdisk, the kernel and the reader of this
// package see in them.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { DiskError, MemoryDisk } from "../src/disk/index.ts";
import { mkfs, MkfsError, partition } from "../src/format/index.ts";
import type { PartitionOptions, PartitionSpec } from "../src/format/index.ts";
import { attachDisk } from "../src/fs/index.ts";
import type { Kernel } from "../src/index.ts";
import { seededRandom } from "../src/machine/random.ts";
import { FileDisk } from "../src/platform/node/index.ts";
import { run, temporaryFolder } from "./images/native.ts";
import { boot } from "./kernel.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const ID = "01234567-89ab-cdef-0123-456789abcdef";

interface NativePartition {
  readonly node: string;
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly uuid?: string;
  readonly name?: string;
  readonly bootable?: boolean;
}

interface NativeTable {
  readonly label: string;
  readonly id: string;
  /** Not there if there are none. */
  readonly partitions?: readonly NativePartition[];
}

/** The numbers of the partitions, of which sfdisk shows those of an image's path. */
function numberOf({ node }: NativePartition): number {
  return Number(/\d+$/.exec(node)?.[0]);
}

suite("partition", () => {
  const folder = temporaryFolder();
  let count = 0;
  let kernel: Kernel;
  before(async () => {
    kernel = await boot();
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  /** A sparse disk with a table, as sfdisk reads it. */
  async function made(sizeBytes: number, options: PartitionOptions) {
    const path = join(folder.path, `${count++}.img`);
    using disk = new FileDisk(path, { createBytes: sizeBytes });
    const table = await partition(disk, { random: seededRandom(count), ...options });
    const native = JSON.parse(run("sfdisk", "--json", path)).partitiontable as NativeTable;
    return { path, table, native };
  }

  /** What sfdisk and the kernel see is what was made. */
  async function check(sizeBytes: number, options: PartitionOptions): Promise<void> {
    const { path, table, native } = await made(sizeBytes, options);
    assert.equal(native.label, options.table === "gpt" ? "gpt" : "dos");
    assert.equal(native.id.toLowerCase().replace(/^0x/, ""), table.id);
    const seen = (native.partitions ?? [])
      .filter(({ type }) => type !== "f")
      .map((one) => ({
        number: numberOf(one),
        startBytes: one.start * 512,
        sizeBytes: one.size * 512,
        typeId: one.type.toLowerCase().padStart(2, "0"),
      }));
    const expected = table.partitions.map(({ uuid, ...rest }) => {
      assert.ok(uuid);
      return rest;
    });
    assert.deepEqual(seen, expected);
    assert.match(run("sfdisk", "--verify", path), /No errors detected/);
    if (options.table === "gpt") assert.match(run("sgdisk", "-v", path), /No problems found/);
    using disk = new FileDisk(path);
    await using device = await attachDisk(kernel, disk);
    const found = (await device.partitions()).filter(({ entry }) => entry?.typeId !== "0f");
    assert.deepEqual(
      found.map(({ number, startBytes, sizeBytes, entry }) => ({
        number,
        startBytes,
        sizeBytes,
        typeId: entry?.typeId,
        uuid: entry?.uuid,
      })),
      table.partitions,
    );
    // An empty MBR has nothing that tells it from any other boot sector.
    if (found.length) assert.equal((await device.table())?.id, table.id);
  }

  test("GPT: each kind of type, name and identifier", async () => {
    const partitions: PartitionSpec[] = [
      { type: "esp", sizeBytes: 64 * MIB, name: "EFI", uuid: ID.replace("0", "f") },
      { type: "bios-boot", sizeBytes: MIB, bootable: true },
      { sizeBytes: "rest", name: "ünï 名前 🙂" },
      { type: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", sizeBytes: 10 * MIB + 512 },
      { type: "swap", sizeBytes: 128 * MIB, name: "x".repeat(36) },
    ];
    await check(GIB, { table: "gpt", id: ID, partitions });
    const { native, table } = await made(GIB, { table: "gpt", id: ID, partitions });
    assert.equal(table.id, ID);
    assert.deepEqual(
      native.partitions?.map(({ name }) => name),
      ["EFI", undefined, "ünï 名前 🙂", undefined, "x".repeat(36)],
    );
    assert.equal(native.partitions?.[0].uuid?.toLowerCase(), ID.replace("0", "f"));
    assert.equal(table.partitions[2].startBytes, 66 * MIB);
    // The last ones are at the end, and all begin at a MiB.
    assert.ok(table.partitions.every(({ startBytes }) => startBytes % MIB === 0));
    const last = table.partitions[4];
    assert.ok(last.startBytes + last.sizeBytes > GIB - 2 * MIB);
  });

  test("MBR: primary partitions, and logical ones in an extended one", async () => {
    await check(GIB, { table: "mbr", partitions: [{ bootable: true }] });
    await check(GIB, {
      table: "mbr",
      id: "89ABCDEF",
      partitions: [
        { sizeBytes: MIB },
        { type: "esp", sizeBytes: MIB },
        { type: 0xda },
        { type: "swap", sizeBytes: MIB },
      ],
    });
    for (const logical of [2, 3, 20]) {
      const partitions: PartitionSpec[] = Array.from({ length: 3 + logical }, (_, i) => ({
        sizeBytes: (i + 1) * MIB,
        type: i % 2 ? "fat32" : "linux",
      }));
      await check(GIB, { table: "mbr", partitions });
      partitions[partitions.length - 2] = { sizeBytes: "rest" };
      await check(GIB, { table: "mbr", partitions });
    }
    await check(GIB, {
      table: "mbr",
      partitions: [100, 200, 300, 400, 500].map((mib) => ({
        startBytes: mib * MIB + 512,
        sizeBytes: 100 * MIB - 512,
      })),
    });
  });

  test("as many as there can be, and none", async () => {
    const many = Array.from({ length: 128 }, () => ({ sizeBytes: MIB }));
    await check(300 * MIB, { table: "gpt", partitions: many });
    await check(300 * MIB, { table: "mbr", partitions: many.slice(0, 59) });
    // sfdisk follows a chain no longer, but the kernel does.
    const disk = new MemoryDisk(300 * MIB);
    const { partitions } = await partition(disk, { table: "mbr", partitions: many });
    await using device = await attachDisk(kernel, disk);
    const numbers = (await device.partitions()).map(({ number }) => number);
    assert.deepEqual(
      numbers.filter((number) => number !== 4),
      partitions.map(({ number }) => number),
    );
    const { native } = await made(MIB, { table: "gpt", partitions: [] });
    assert.equal(native.partitions, undefined);
    await assert.rejects(
      made(300 * MIB, { table: "gpt", partitions: [...many, {}] }),
      /EINVAL.*129 are more than 128/,
    );
  });

  test("sizes from the least to 1 TiB, and beyond what MBR can count", async () => {
    const small = { partitions: [{}], alignmentBytes: 512 } as const;
    await check(69 * 512, { table: "gpt", ...small });
    await assert.rejects(made(67 * 512, { table: "gpt", ...small }), /ENOSPC.*at least 34816/);
    await check(1024, { table: "mbr", ...small });
    await assert.rejects(made(512, { table: "mbr", ...small }), /ENOSPC/);
    for (const table of ["gpt", "mbr"] as const)
      await check(2 ** 40, { table, partitions: [{ sizeBytes: 2 ** 39 }, {}] });
    await check(2 ** 43, { table: "gpt", partitions: [{}] });
    await assert.rejects(made(2 ** 43, { table: "mbr", partitions: [{}] }), {
      name: "MkfsError",
      code: "EFBIG",
      syscall: "partition",
    });
  });

  test("disks with blocks of 4096 bytes", async () => {
    for (const table of ["gpt", "mbr"] as const) {
      const disk = new MemoryDisk(256 * MIB, { blockSizeBytes: 4096 });
      const partitions = [1, 2, 3, 4, 5].map((mib) => ({ sizeBytes: mib * MIB }));
      const made = await partition(disk, { table, partitions: [...partitions, {}] });
      await using device = await attachDisk(kernel, disk);
      const found = (await device.partitions()).filter(({ entry }) => entry?.typeId !== "0f");
      assert.deepEqual(
        found.map(({ number, startBytes, sizeBytes }) => [number, startBytes, sizeBytes]),
        made.partitions.map(({ number, startBytes, sizeBytes }) => [number, startBytes, sizeBytes]),
      );
    }
  });

  test("what is wrong is said, and nothing is written", async () => {
    const cases: readonly (readonly [RegExp, Omit<PartitionOptions, "table">, ("gpt" | "mbr")?])[] =
      [
        [
          /partitions 1 and 2 overlap at 2097152/,
          { partitions: [{ startBytes: MIB, sizeBytes: 2 * MIB }, { startBytes: 2 * MIB }] },
        ],
        [/partitions 1 and 2 cannot both take the same rest/, { partitions: [{}, {}] }],
        [/partition 1 begins before 17408/, { partitions: [{ startBytes: 512 }] }],
        [/partition 1 ends beyond/, { partitions: [{ startBytes: MIB, sizeBytes: 64 * MIB }] }],
        [/ENOSPC.*partition 2 gets none/, { partitions: [{ sizeBytes: 63 * MIB - 17408 }, {}] }],
        [/ENOSPC.*partition 1 ends 2\d+ later/, { partitions: [{ sizeBytes: 65 * MIB }] }],
        [/no multiple of the disk's blocks/, { partitions: [{ sizeBytes: 1000 }] }],
        [
          /"nonsense" is neither a GUID nor one of linux, esp/,
          { partitions: [{ type: "nonsense" }] },
        ],
        [/131 is a byte of MBR/, { partitions: [{ type: 0x83 }] }],
        [/MBR has no "bios-boot"/, { partitions: [{ type: "bios-boot" }] }, "mbr"],
        [/15 is no byte, or an extended one/, { partitions: [{ type: 15 }] }, "mbr"],
        [/neither names nor UUIDs/, { partitions: [{ name: "x" }] }, "mbr"],
        [
          /only one partition/,
          { partitions: [{ bootable: true, sizeBytes: MIB }, { bootable: true }] },
          "mbr",
        ],
        [/no signature/, { id: "xyz", partitions: [] }, "mbr"],
        [/"xyz" is no UUID/, { id: "xyz", partitions: [] }],
        [/36 UTF-16 units/, { partitions: [{ name: "x".repeat(37) }] }],
        [/the same uuid/, { partitions: [{ uuid: ID, sizeBytes: MIB }, { uuid: ID }] }],
        [/alignmentBytes.*1000/, { alignmentBytes: 1000, partitions: [] }],
        [
          /needs a block before it/,
          {
            partitions: [
              ...[1, 2, 3, 4].map((mib) => ({ startBytes: mib * MIB, sizeBytes: MIB })),
              { startBytes: 6 * MIB },
            ],
          },
          "mbr",
        ],
        [
          /must be in order/,
          {
            partitions: [2, 4, 6, 20, 10].map((mib) => ({ startBytes: mib * MIB, sizeBytes: MIB })),
          },
          "mbr",
        ],
      ];
    for (const [message, options, table = "gpt"] of cases) {
      const disk = new MemoryDisk(64 * MIB);
      await assert.rejects(partition(disk, { table, ...options }), (error) => {
        assert.ok(error instanceof MkfsError);
        assert.match(error.message, message);
        assert.equal(error.syscall, "partition");
        return true;
      });
      assert.equal(disk.allocatedBytes, 0);
    }
    const disk = new MemoryDisk(64 * MIB, { readOnly: true });
    await assert.rejects(partition(disk, { table: "gpt", partitions: [] }), { code: "EROFS" });
  });

  test("a disk that fails gives EIO, with its reason", async () => {
    const failure = new DiskError("EIO", "worn out");
    const disk = new MemoryDisk(64 * MIB);
    disk.write = () => {
      throw failure;
    };
    await assert.rejects(partition(disk, { table: "gpt", partitions: [{}] }), {
      code: "EIO",
      cause: failure,
    });
  });

  test("older tables and signatures around the partitions are gone", async () => {
    const disk = new MemoryDisk(16 * MIB);
    await partition(disk, { table: "gpt", partitions: [{}] });
    await partition(disk, { table: "mbr", partitions: [{ sizeBytes: MIB }] });
    const path = join(folder.path, "old.img");
    writeFileSync(path, disk.bytes());
    assert.equal(run("wipefs", "--noheadings", "--output", "TYPE", path).trim(), "dos");
    await mkfs(disk, { type: "swap" });
    writeFileSync(path, disk.bytes());
    assert.equal(run("wipefs", "--noheadings", "--output", "TYPE", path).trim(), "swap");
  });

  test("what is in a partition stays", async () => {
    const disk = new MemoryDisk(16 * MIB);
    await mkfs(disk, { type: "swap", label: "kept", startBytes: MIB, sizeBytes: 8 * MIB });
    await partition(disk, { table: "gpt", partitions: [{ sizeBytes: 8 * MIB, type: "swap" }] });
    const path = join(folder.path, "kept.img");
    writeFileSync(path, disk.bytes());
    assert.match(run("blkid", "-p", "-O", `${MIB}`, path), /LABEL="kept".*TYPE="swap"/);
  });

  test("the same seed makes the same table", async () => {
    const tables = [1, 1, 2].map(async (seed) => {
      const disk = new MemoryDisk(8 * MIB);
      await partition(disk, { table: "gpt", partitions: [{}], random: seededRandom(seed) });
      return disk.bytes();
    });
    const [first, again, other] = await Promise.all(tables);
    assert.deepEqual(first, again);
    assert.notDeepEqual(first, other);
  });

  test("any wish that is granted is granted as both sfdisk and the kernel see it", async () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 64 }).map((mib) => mib * MIB),
      fc.integer({ min: 1, max: 99999 }).map((sectors) => sectors * 512),
    );
    const spec: fc.Arbitrary<PartitionSpec> = fc.record(
      { sizeBytes: size, type: fc.constantFrom("linux", "swap", "esp", "raid") },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("gpt" as const, "mbr" as const),
        fc.integer({ min: 40, max: 999_999 }),
        fc.array(spec, { maxLength: 9 }),
        async (table, sectors, partitions) => {
          try {
            await check(sectors * 512, { table, partitions });
          } catch (error) {
            if (!(error instanceof MkfsError)) throw error;
            assert.ok(["ENOSPC", "EINVAL"].includes(error.code), error.message);
          }
        },
      ),
      { numRuns: 40, seed: 7 },
    );
  });
});
