// What the tests of file systems that are made without a kernel have in common.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { MemoryDisk } from "../../src/disk/index.ts";
import type { Disk } from "../../src/disk/index.ts";
import { MkfsError } from "../../src/format/index.ts";
import type { CommonOptions, Formatted } from "../../src/format/index.ts";
import { probe } from "../../src/fs/index.ts";
import { Kernel } from "../../src/index.ts";
import { seededRandom } from "../../src/machine/random.ts";
import { live } from "./life.ts";
import type { Life } from "./life.ts";
import { SAMPLE_SECONDS, temporaryFolder } from "./native.ts";
import { VolatileDisk } from "./volatile-disk.ts";

const MIB = 1 << 20;
const UUID = "01234567-89ab-4cde-8f01-23456789abcd";

export interface Craft<Options extends CommonOptions> {
  readonly type: string;
  readonly memoryMiB: number;
  readonly mkfs: (disk: Disk, options: Options) => Promise<Formatted>;
  /** Fails if the native checker finds anything. */
  readonly check: (path: string) => void;
  /** When the root directory was made, as the native tools show it. */
  readonly timeOf: (path: string) => number;
  /** A long label, of not only ASCII. */
  readonly label: string;
  /** One that is too long by one. */
  readonly longLabel: string;
}

/** A kernel and an image file, for the suite in which it is made. */
export class Workshop<Options extends CommonOptions> {
  readonly craft: Craft<Options>;
  readonly path: string;
  readonly #folder = temporaryFolder();
  #kernel: Kernel | null = null;

  constructor(craft: Craft<Options>) {
    this.craft = craft;
    this.path = join(this.#folder.path, `${craft.type}.img`);
    before(async () => {
      this.#kernel = await Kernel.boot({ image: "full", memoryMiB: craft.memoryMiB });
    });
    after(async () => {
      await this.#kernel?.halt();
      this.#folder[Symbol.dispose]();
    });
  }

  /** Make it in a new, sparse image. */
  async make(sizeBytes: number, options: Options, blockSizeBytes = 512): Promise<Formatted> {
    using disk = new VolatileDisk(this.path, { createBytes: sizeBytes, blockSizeBytes });
    return await this.craft.mkfs(disk, { zeroed: true, ...options });
  }

  check(): void {
    this.craft.check(this.path);
  }

  /** Let the kernel use what is in the image. */
  async use(
    life: Partial<Life> = {},
    blockSizeBytes = 512,
  ): Promise<Awaited<ReturnType<typeof live>>> {
    using disk = new VolatileDisk(this.path, { blockSizeBytes });
    return await live(this.#kernel!, disk, { type: this.craft.type, ...life });
  }

  /** Let it use that, and make it larger, as `tell` does. */
  async grow(sizeBytes: number, tell: NonNullable<Life["grow"]>["tell"]): ReturnType<typeof live> {
    using disk = new VolatileDisk(this.path);
    const grow = { resize: () => disk.resize(sizeBytes), tell };
    return await live(this.#kernel!, disk, { type: this.craft.type, grow });
  }
}

/** The smallest: with a sector less, the error says how many bytes it takes. */
export async function checkLeast<Options extends CommonOptions>(
  workshop: Workshop<Options>,
  leastBytes: number,
  options: Options,
): Promise<void> {
  assert.equal((await workshop.make(leastBytes, options)).sizeBytes, leastBytes);
  workshop.check();
  await workshop.use();
  workshop.check();
  await assert.rejects(workshop.make(leastBytes - 512, options), (error) => {
    assert.ok(error instanceof MkfsError);
    assert.equal(error.code, "ENOSPC");
    assert.match(error.message, new RegExp(`needs at least ${leastBytes}$`));
    return true;
  });
}

/** Tests that hold for every kind of file system. */
export function commonTests(workshop: Workshop<CommonOptions>): void {
  const { path, craft } = workshop;
  const { type, label } = craft;

  test("nothing of an earlier one comes back, whatever it was", async () => {
    await workshop.make(200 * MIB, {});
    for (let i = 0; i < 2; i++) {
      await workshop.use();
      using disk = new VolatileDisk(path);
      await craft.mkfs(disk, {});
      workshop.check();
    }
    await workshop.use();
    workshop.check();
  });

  test("what was on the disk does no harm, and part of it can be used", async () => {
    const start = 8 * MIB;
    const size = 96 * MIB;
    const disk = new MemoryDisk(Buffer.alloc(128 * MIB, 0xa5), { blockSizeBytes: 4096 });
    await craft.mkfs(disk, { startBytes: start, sizeBytes: size });
    const bytes = Buffer.from(disk.bytes().buffer);
    const untouched = Buffer.alloc(bytes.length - start - size, 0xa5);
    assert.ok(bytes.subarray(0, start).equals(untouched.subarray(0, start)));
    assert.ok(bytes.subarray(start + size).equals(untouched));
    {
      using file = new VolatileDisk(path, { createBytes: size });
      file.write(bytes.subarray(start, start + size), 0);
    }
    workshop.check();
    await workshop.use({}, 4096);
    workshop.check();
  });

  test("label, UUID and time are what was asked for, and the same bytes come of the same seed", async () => {
    const make = () =>
      workshop.make(128 * MIB, {
        label,
        uuid: UUID,
        timeSeconds: SAMPLE_SECONDS,
        random: seededRandom(1),
      });
    const formatted = await make();
    assert.deepEqual([formatted.type, formatted.label, formatted.uuid], [type, label, UUID]);
    workshop.check();
    const bytes = readFileSync(path);
    const read = async (at: number, length: number) => bytes.subarray(at, at + length);
    const content = await probe(read, bytes.length);
    assert.deepEqual([content?.type, content?.label, content?.uuid], [type, label, UUID]);
    assert.equal(craft.timeOf(path), SAMPLE_SECONDS);
    await make();
    assert.ok(readFileSync(path).equals(bytes));
  });

  test("a label or UUID that cannot be is refused before anything is written", async () => {
    const disk = new MemoryDisk(200 * MIB);
    for (const [options, message] of [
      [{ label: craft.longLabel }, /^MkfsError: EINVAL: option "label": .* at most \d+$/],
      [{ label: "a\0b" }, /^MkfsError: EINVAL: option "label"/],
      [{ uuid: "1234-ABCD" }, /^MkfsError: EINVAL: option "uuid"/],
    ] as const)
      await assert.rejects(craft.mkfs(disk, options), message);
    assert.equal(disk.allocatedBytes, 0);
  });
}
