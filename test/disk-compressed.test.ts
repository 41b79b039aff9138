// Compressed images as disks, compared with the tools that make them.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { openAsBlob, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import fc from "fast-check";

import { BlobDisk, MemoryDisk, openCompressed } from "../src/disk/index.ts";
import type { CompressedDiskOptions, Disk } from "../src/disk/index.ts";
import { attachDisk, mount, readText } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";
import { ext4Image, noise, sampleTree, temporaryFolder } from "./images/native.ts";

const MIB = 1048576;
const folder = temporaryFolder();
after(() => folder[Symbol.dispose]());

/** What a tool makes of bytes. */
function packed(bytes: Uint8Array, command: string, ...args: string[]): Uint8Array<ArrayBuffer> {
  const options = { input: bytes, maxBuffer: 256 * MIB };
  // As with a file, of which zstd knows the size.
  const size = command === "zstd" ? [`--stream-size=${bytes.length}`] : [];
  return new Uint8Array(execFileSync(command, [...size, ...args, "-c"], options));
}

interface Tool {
  readonly format: string;
  readonly command: string;
  /** Options that make other kinds of streams. */
  readonly variants: readonly (readonly string[])[];
}

const tools: Tool[] = [
  { format: "gzip", command: "gzip", variants: [["-6"], ["-1"], ["-9", "--no-name"]] },
  {
    format: "xz",
    command: "xz",
    variants: [
      ["-6"],
      ["-0", "--check=crc32"],
      ["-1", "--check=none"],
      ["-9e", "--check=sha256", "-T1"],
      ["-2", "--block-size=300000"],
      ["--lzma2=dict=64KiB,lc=0,lp=3,pb=0"],
    ],
  },
  {
    format: "zstd",
    command: "zstd",
    variants: [
      ["-3"],
      ["--fast=5", "--no-check"],
      ["-19", "-B300000"],
      ["--ultra", "-22"],
      ["-1", "--long=27"],
      ["-7", "--no-content-size"],
    ],
  },
];

/** Text, noise, long repeats, and zeroes: what makes compressors do all that they can. */
function mixed(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const text = Buffer.from("all work and no play makes a dull disk; ".repeat(3000));
  const quarter = Math.floor(length / 5);
  bytes.set(readFileSync(process.execPath).subarray(1 << 20, (1 << 20) + quarter));
  bytes.set(text.subarray(0, Math.min(text.length, quarter)), quarter);
  bytes.set(noise(quarter), 2 * quarter);
  bytes.set(bytes.subarray(0, quarter), 4 * quarter);
  return bytes;
}

async function open(
  bytes: Uint8Array<ArrayBuffer>,
  options: CompressedDiskOptions = {},
): Promise<Awaited<ReturnType<typeof openCompressed>>> {
  return openCompressed(new Blob([bytes]), options);
}

async function whole(disk: Disk): Promise<Uint8Array> {
  const bytes = new Uint8Array(disk.sizeBytes);
  await disk.read(bytes, 0);
  return bytes;
}

/** A disk, which may say that it is as large as can be, holds these bytes and zeroes. */
async function assertContent(disk: Disk, expected: Uint8Array): Promise<void> {
  const bytes = new Uint8Array(65536);
  for (let at = 0; at < disk.sizeBytes; at += bytes.length) {
    const part = bytes.subarray(0, disk.sizeBytes - at);
    await disk.read(part, at);
    const rest = new Uint8Array(part.length);
    rest.set(expected.subarray(at, at + part.length));
    assertBytes(part, rest);
  }
}

/** What reading all of an image fails with. */
async function failure(bytes: Uint8Array<ArrayBuffer>, options?: CompressedDiskOptions) {
  try {
    using disk = await open(bytes, options);
    await whole(disk);
  } catch (error) {
    return error as Error & { code?: string };
  }
  return undefined;
}

for (const { format, command, variants } of tools) {
  const pack = (bytes: Uint8Array, ...args: string[]) => packed(bytes, command, ...args);

  diskContract(`openCompressed() of ${format}`, async () => ({
    disk: await open(pack(pattern(MIB + 512))),
  }));
  diskContract(`openCompressed() of ${format} in a disk, kept in a disk`, async () => {
    const source = new BlobDisk(new Blob([pack(pattern(MIB))]));
    const store = new MemoryDisk(new Uint8Array(MIB).fill(0xee));
    return { disk: await openCompressed(source, { store, blockSizeBytes: 4096 }) };
  });

  suite(`${format} images`, () => {
    const content = mixed(3 * MIB);

    for (const variant of variants)
      test(`of ${command} ${variant.join(" ")}`, async () => {
        using disk = await open(pack(content, ...variant));
        assert.equal(disk.format, format);
        assert.equal(disk.sizeBytes, content.length);
        assertBytes(await whole(disk), content);
        assert.equal(disk.readyBytes, content.length);
      });

    test("of any length, filled up to a block", async () => {
      for (const length of [0, 1, 511, 513, 65536, 131073]) {
        using disk = await open(pack(content.subarray(0, length)));
        const expected = new Uint8Array(Math.ceil(length / 512) * 512);
        expected.set(content.subarray(0, length));
        assertBytes(await whole(disk), expected);
      }
    });

    test("of several streams, whose lengths are no blocks, and zeroes behind", async () => {
      const cuts = [0, 100_001, 100_002, 1_000_000, content.length];
      const parts = cuts.slice(1).map((cut, i) => pack(content.subarray(cuts[i], cut)));
      const bytes = new Uint8Array(
        Buffer.concat([...parts, pack(new Uint8Array(0)), Buffer.alloc(4096)]),
      );
      for (const order of [
        [0, 1],
        [1, 0],
      ]) {
        using disk = await open(bytes);
        const half = Math.floor(content.length / 1024) * 512;
        const halves = [new Uint8Array(half), new Uint8Array(content.length - half)];
        for (const n of order) await disk.read(halves[n], n * half);
        assertBytes(Buffer.concat(halves), content);
      }
    });

    test("are decompressed no further than they are read, where the size is known", async () => {
      using disk = await open(pack(content), { sizeBytes: content.length });
      assert.equal(disk.readyBytes, 0);
      const bytes = new Uint8Array(4096);
      await disk.read(bytes, MIB);
      assertBytes(bytes, content.subarray(MIB, MIB + 4096));
      assert.ok(disk.readyBytes > MIB && disk.readyBytes < 3 * MIB, `${disk.readyBytes} bytes`);
      await disk.read(bytes, 0);
      assertBytes(bytes, content.subarray(0, 4096));
      using half = await open(pack(content), { sizeBytes: content.length / 2 });
      assertBytes(await whole(half), content.subarray(0, content.length / 2));
      const longer = { sizeBytes: content.length + 512 };
      const message = new RegExp(`holds ${content.length} bytes, not ${longer.sizeBytes}`);
      const reading = async () => {
        using more = await open(pack(content), longer);
        await more.read(bytes, content.length - 3584);
      };
      await assert.rejects(reading, { code: "EIO", message });
    });

    test("are read in any order, many parts at once", async () => {
      const bytes = pack(content);
      const places = fc.array(
        fc.tuple(fc.nat(content.length / 512 - 1), fc.integer({ min: 1, max: 400 })),
        {
          minLength: 1,
          maxLength: 12,
        },
      );
      const property = fc.asyncProperty(places, fc.boolean(), async (list, known) => {
        using disk = await open(bytes, known ? { sizeBytes: content.length } : {});
        await Promise.all(
          list.map(async ([block, blocks]) => {
            const offset = block * 512;
            const into = new Uint8Array(Math.min(blocks * 512, content.length - offset));
            await disk.read(into, offset);
            assertBytes(into, content.subarray(offset, offset + into.length));
          }),
        );
      });
      await fc.assert(property, { seed: 5, numRuns: 6 });
    });

    test("that are cut short fail, and what comes before can be read", async () => {
      const bytes = pack(content);
      for (const length of [bytes.length - 1, bytes.length >> 1, 20, 7]) {
        const error = await failure(bytes.slice(0, length));
        assert.equal(error?.code, "EIO", `${length}: ${error?.message}`);
        assert.match(error.message, /cut short|no end/);
        assert.ok(error.message.includes(`is damaged ${format}`), error.message);
      }
    });

    test("that are damaged in the middle can be read up to there, and no further", async () => {
      const bytes = pack(content);
      bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 64);
      using disk = await open(bytes, { sizeBytes: content.length });
      const start = new Uint8Array(4096);
      await disk.read(start, 0);
      assertBytes(start, content.subarray(0, 4096));
      for (let i = 0; i < 2; i++)
        await assert.rejects(whole(disk), {
          name: "DiskError",
          code: "EIO",
          message: new RegExp(`is damaged ${format} near byte \\d+: `),
        });
      await disk.read(start, 0);
      assertBytes(start, content.subarray(0, 4096));
    });

    test("that are damaged anywhere fail, or hold the same bytes all the same", async () => {
      const small = mixed(60_000);
      const bytes = pack(small);
      const property = fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const damaged = bytes.slice();
          damaged[at] ^= flip;
          try {
            using disk = await open(damaged);
            // Times and names in headers are nobody's business.
            await assertContent(disk, small);
          } catch (error) {
            assert.equal((error as Error).name, "DiskError", String(error));
            assert.match((error as { code: string }).code, /^(EIO|EINVAL)$/);
          }
        },
      );
      await fc.assert(property, { seed: 11, numRuns: 200 });
    });

    test("followed by something else fail", async () => {
      const error = await failure(
        new Uint8Array([...pack(pattern(512)), ...Buffer.from("junk!junk!junk!!")]),
      );
      assert.equal(error?.code, "EIO", String(error));
    });
  });
}

test("every kind of checksum notices one bit", async () => {
  // Noise is stored as it is, so that nothing else would notice.
  const content = new Uint8Array(noise(100_000));
  const place = Buffer.from(content.subarray(50_000, 50_016));
  for (const [command, ...args] of [
    ["gzip"],
    ["zstd"],
    ["xz", "--check=crc32"],
    ["xz", "--check=crc64"],
    ["xz", "--check=sha256"],
  ]) {
    const bytes = packed(content, command, ...args);
    (await open(bytes)).close();
    const at = Buffer.from(bytes).indexOf(place);
    assert.ok(at > 0, command);
    bytes[at] ^= 4;
    const error = await failure(bytes);
    assert.match(String(error?.message), /checksum is another/, `${command} ${args.join(" ")}`);
  }
});

test("memory is taken only for what is not zeroes", async () => {
  const image = new Uint8Array(64 * MIB);
  image.set(pattern(MIB), 32 * MIB);
  const store = new MemoryDisk(0);
  using disk = await open(packed(image, "gzip"), { store });
  assertBytes(await whole(disk), image);
  assert.equal(store.sizeBytes, image.length, "the store is as large as the image");
  const before = process.memoryUsage().arrayBuffers;
  using own = await open(packed(image, "gzip"));
  assert.equal(own.readyBytes, image.length);
  assert.ok(process.memoryUsage().arrayBuffers - before < 32 * MIB);
});

test("opening tells how far it is, and can be ended", async () => {
  const bytes = packed(mixed(4 * MIB), "gzip");
  const seen: number[] = [];
  (await open(bytes, { onProgress: (done, total) => seen.push(done / total) })).close();
  assert.ok(seen.length > 10 && seen.every((part, i) => part >= (seen[i - 1] ?? 0)));
  assert.equal(seen.at(-1), 1);
  const abort = new AbortController();
  const onProgress = () => abort.abort();
  await assert.rejects(open(bytes, { signal: abort.signal, onProgress }), { name: "AbortError" });
});

test("what is not compressed, or cannot be kept, is refused", async () => {
  await assert.rejects(open(pattern(MIB)), {
    code: "EINVAL",
    message: /is compressed by none of gzip.*: unpack it first, or open it as it is/,
  });
  await assert.rejects(open(new Uint8Array(0)), { code: "EINVAL" });
  const bytes = packed(pattern(MIB), "gzip");
  for (const store of [
    new MemoryDisk(MIB, { readOnly: true }),
    new MemoryDisk(MIB, { blockSizeBytes: 4096 }),
  ])
    await assert.rejects(open(bytes, { store }), { code: "EINVAL", message: /the store/ });
  await assert.rejects(open(bytes, { sizeBytes: 1000 }), { code: "EINVAL" });
});

test("a source that fails once is read again", async () => {
  const image = mixed(2 * MIB);
  const disk = new MemoryDisk(packed(image, "gzip"), { readOnly: true });
  let failing = false;
  const source = {
    sizeBytes: disk.sizeBytes,
    blockSizeBytes: 512,
    path: "flaky.gz",
    read: (into: Uint8Array, offset: number) => {
      if (failing && offset > 0) throw new Error("unplugged");
      disk.read(into, offset);
    },
  };
  using opened = await openCompressed(source, { sizeBytes: image.length });
  await opened.read(new Uint8Array(512), 0);
  failing = true;
  await assert.rejects(whole(opened), { message: "unplugged" });
  failing = false;
  assertBytes(await whole(opened), image);
});

suite("a compressed ext4 image in a kernel", () => {
  let image: string;
  before(() => {
    image = ext4Image(join(folder.path, "disk.img"), sampleTree(folder.path));
  });

  for (const { format, command } of tools)
    test(`of ${format}, kept in a file`, async () => {
      const path = `${image}.${format}`;
      writeFileSync(path, packed(readFileSync(image), command));
      using store = new FileDisk(join(folder.path, `store.${format}`), { createBytes: 0 });
      using disk = await openCompressed(await openAsBlob(path), { store });
      await using kernel = await Kernel.boot({ image: "fs" });
      await using device = await attachDisk(kernel, disk);
      await using mounted = await mount(kernel, { source: device.path, readOnly: true });
      assert.equal(await readText(kernel.init, `${mounted.target}/hello.txt`), "hello\n");
    });
});
