// Copy on write over a disk: what is below stays as it is, and everything else is as on one disk.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import fc from "fast-check";

import { BlobDisk, MemoryDisk, OverlayDisk } from "../src/disk/index.ts";
import type { Disk } from "../src/disk/index.ts";
import { attachDisk, mount, readText } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";
import { ext4Image, run, sampleTree, temporaryFolder } from "./images/native.ts";

const MIB = 1048576;
const folder = temporaryFolder();
after(() => folder[Symbol.dispose]());
const tree = sampleTree(folder.path);

/** A disk over another whose answers come later, and not in order. */
class LaterDisk implements Disk {
  readonly synchronous = false;
  readonly readOnly = false;
  readonly blockSizeBytes = 512;
  readonly under: MemoryDisk;
  readonly #turns: () => number;
  /** Rejects the operations for which it is true. */
  fails: (operation: string) => boolean = () => false;
  readonly done: string[] = [];

  constructor(under: MemoryDisk, turns: () => number = () => 1) {
    this.under = under;
    this.#turns = turns;
  }

  get sizeBytes(): number {
    return this.under.sizeBytes;
  }

  async #later(operation: string, work: () => void): Promise<void> {
    for (let turns = this.#turns(); turns > 0; turns--)
      await new Promise<void>((resolve) => void setImmediate(resolve));
    if (this.fails(operation)) throw new Error(`no ${operation}`);
    work();
    this.done.push(operation);
  }

  read(into: Uint8Array, offset: number): Promise<void> {
    return this.#later("read", () => this.under.read(into, offset));
  }

  write(from: Uint8Array, offset: number): Promise<void> {
    return this.#later("write", () => this.under.write(from, offset));
  }

  flush(): Promise<void> {
    return this.#later("flush", () => this.under.flush());
  }

  discard(offset: number, length: number): Promise<void> {
    return this.#later("discard", () => this.under.discard(offset, length));
  }

  resize(sizeBytes: number): Promise<void> {
    return this.#later("resize", () => this.under.resize(sizeBytes));
  }

  close(): void {}
}

diskContract("OverlayDisk, nothing written", () => ({
  disk: new OverlayDisk(new MemoryDisk(pattern(MIB + 512), { readOnly: true })),
}));
diskContract("OverlayDisk, all written", async () => {
  const disk = new OverlayDisk(new MemoryDisk(MIB, { blockSizeBytes: 4096 }));
  await disk.write(pattern(MIB), 0);
  return { disk };
});
diskContract("OverlayDisk of a Blob", () => ({
  disk: new OverlayDisk(new BlobDisk(new Blob([pattern(MIB)]))),
}));
diskContract("OverlayDisk, asynchronous above", async () => {
  const upper = new LaterDisk(new MemoryDisk(2 * MIB));
  const disk = new OverlayDisk(new MemoryDisk(pattern(MIB)), { upper });
  await disk.write(pattern(66048, 65024), 65024);
  return { disk };
});
diskContract("OverlayDisk in a file, larger than its base", () => {
  const upper = new FileDisk(join(folder.path, "upper.img"), { createBytes: 2 * MIB });
  upper.write(new Uint8Array(MIB).fill(0xee), 0);
  const disk = new OverlayDisk(new MemoryDisk(pattern(MIB)), { upper, sizeBytes: 2 * MIB });
  void disk.write(pattern(MIB, MIB), MIB);
  return { disk, done: () => upper.close() };
});

// --- Against a plain disk -----------------------------------------------------------------------

const BLOCKS = 48;

type Step =
  | {
      readonly kind: "write" | "zero" | "discard" | "read";
      at: number;
      blocks: number;
      fill: number;
    }
  | { readonly kind: "resize"; blocks: number }
  | { readonly kind: "flush" | "commit" | "drop" };

const place = { at: fc.nat(BLOCKS - 1), blocks: fc.integer({ min: 1, max: 12 }) };
const range = fc.record({
  kind: fc.constantFrom("write", "zero", "discard", "read"),
  ...place,
  fill: fc.integer({ min: 1, max: 255 }),
});
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: range },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("resize"), blocks: fc.nat(BLOCKS + 16) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("flush", "commit", "drop") }) },
  ),
  { maxLength: 40 },
);

async function whole(disk: Disk): Promise<Uint8Array> {
  const bytes = new Uint8Array(disk.sizeBytes);
  await disk.read(bytes, 0);
  return bytes;
}

/** Do one step on the overlay and on what it should be like. @returns what has to settle */
function take(step: Step, overlay: OverlayDisk, model: MemoryDisk): void | Promise<void> {
  if (!("at" in step)) {
    if (step.kind !== "resize") return overlay[step.kind === "drop" ? "flush" : step.kind]();
    model.resize(step.blocks * 512);
    return overlay.resize(step.blocks * 512);
  }
  const offset = step.at * 512;
  const length = Math.min(step.blocks * 512, model.sizeBytes - offset);
  if (length <= 0) return undefined;
  const bytes = new Uint8Array(length).fill(step.fill);
  switch (step.kind) {
    case "write":
      model.write(bytes, offset);
      return overlay.write(bytes, offset);
    case "zero":
    case "discard":
      model.writeZeroes(offset, length);
      return step.kind === "zero"
        ? overlay.writeZeroes(offset, length)
        : overlay.discard(offset, length);
    case "read": {
      const expected = new Uint8Array(length);
      model.read(expected, offset);
      const answer = overlay.read(bytes, offset);
      return answer
        ? answer.then(() => assertBytes(bytes, expected))
        : assertBytes(bytes, expected);
    }
  }
}

const options = { seed: 7, numRuns: 150 };

test("a synchronous overlay is like a plain disk, and its base like one from commit to commit", async () => {
  const property = fc.asyncProperty(steps, async (list) => {
    const base = new MemoryDisk(pattern(BLOCKS * 512));
    let model = new MemoryDisk(pattern(BLOCKS * 512));
    let committed = model.bytes();
    using overlay = new OverlayDisk(base);
    for (const step of list) {
      assert.equal(take(step, overlay, model), undefined);
      if (step.kind === "commit") committed = model.bytes();
      if (step.kind === "drop") {
        assert.equal(overlay.drop(), undefined);
        model = new MemoryDisk(committed.slice());
      }
      if (step.kind === "commit" || step.kind === "drop") assert.equal(overlay.changedBytes, 0);
      assert.equal(overlay.sizeBytes, model.sizeBytes);
      assertBytes(await whole(overlay), model.bytes());
      assertBytes(base.bytes(), committed);
    }
  });
  await fc.assert(property, options);
});

/** Steps that touch none of the same blocks, so that they may be under way at once. */
function groups(list: readonly Step[]): Step[][] {
  const out: Step[][] = [];
  let busy = new Set<number>();
  let group: Step[] = [];
  for (const step of list) {
    const blocks = "at" in step ? Array.from({ length: step.blocks }, (_, i) => step.at + i) : [-1];
    if (step.kind === "resize" || step.kind === "drop" || blocks.some((n) => busy.has(n))) {
      out.push(group);
      group = [];
      busy = new Set();
    }
    group.push(step);
    for (const n of blocks) if (n >= 0) busy.add(n);
    if (step.kind === "resize") {
      out.push(group);
      group = [];
      busy = new Set();
    }
  }
  return [...out, group];
}

test("an asynchronous overlay is like a plain disk with many requests at once", async () => {
  const delays = fc.array(fc.nat(4), { minLength: 1, maxLength: 30 });
  const property = fc.asyncProperty(steps, delays, fc.boolean(), async (list, turns, above) => {
    let n = 0;
    const next = () => turns[n++ % turns.length];
    const base = new LaterDisk(new MemoryDisk(pattern(BLOCKS * 512)), next);
    const model = new MemoryDisk(pattern(BLOCKS * 512));
    const upper = new LaterDisk(new MemoryDisk((BLOCKS + 16) * 512), next);
    using overlay = new OverlayDisk(base, above ? { upper } : {});
    for (const group of groups(list))
      await Promise.all(group.map(async (step) => take(step, overlay, model)));
    assertBytes(await whole(overlay), model.bytes());
    await overlay.commit();
    assert.equal(overlay.changedBytes, 0);
    assertBytes(base.under.bytes(), model.bytes());
    assertBytes(await whole(overlay), model.bytes());
  });
  await fc.assert(property, { ...options, numRuns: 100 });
});

// --- By itself -----------------------------------------------------------------------------------

test("an overlay tells what has changed, and takes memory only for that", async () => {
  using overlay = new OverlayDisk(new MemoryDisk(1024 ** 4));
  void overlay.write(new Uint8Array(4096), 8192);
  void overlay.write(new Uint8Array(4096), 4096);
  void overlay.discard(0, 512);
  void overlay.writeZeroes(1024 ** 3, 1024 ** 3);
  assert.equal(overlay.changedBytes, 8192 + 512 + 1024 ** 3);
  assert.deepEqual(overlay.changes(), [
    { offsetBytes: 0, lengthBytes: 512, kind: "zero" },
    { offsetBytes: 4096, lengthBytes: 8192, kind: "data" },
    { offsetBytes: 1024 ** 3, lengthBytes: 1024 ** 3, kind: "zero" },
  ]);
});

test("what is made zeroes is given back by the upper disk", () => {
  using upper = new MemoryDisk(4 * MIB);
  using overlay = new OverlayDisk(new MemoryDisk(pattern(4 * MIB)), { upper });
  void overlay.write(pattern(2 * MIB, 1), 0);
  assert.equal(upper.allocatedBytes, 2 * MIB);
  void overlay.writeZeroes(0, MIB);
  assert.equal(upper.allocatedBytes, MIB);
  void overlay.drop();
  assert.equal(upper.allocatedBytes, 0);
});

test("a read during a write sees what was there, and a failed write changes nothing", async () => {
  const upper = new LaterDisk(new MemoryDisk(MIB), () => 3);
  using overlay = new OverlayDisk(new MemoryDisk(pattern(MIB)), { upper });
  const writing = overlay.write(new Uint8Array(4096).fill(9), 0);
  const bytes = new Uint8Array(4096);
  await overlay.read(bytes, 0);
  assertBytes(bytes, pattern(4096));
  await writing;
  upper.fails = (operation) => operation === "write";
  await assert.rejects(async () => overlay.write(new Uint8Array(4096).fill(1), 4096), /no write/);
  await overlay.read(bytes, 4096);
  assertBytes(bytes, pattern(4096, 4096));
  await overlay.read(bytes, 0);
  assertBytes(bytes, new Uint8Array(4096).fill(9));
});

test("a commit that fails leaves the changes, and can be done again; nothing is forgotten unflushed", async () => {
  const base = new LaterDisk(new MemoryDisk(pattern(MIB)));
  using overlay = new OverlayDisk(base, { sizeBytes: 2 * MIB });
  await overlay.write(new Uint8Array(8192).fill(3), MIB - 4096);
  await overlay.writeZeroes(0, 4096);
  for (const operation of ["resize", "write", "flush"]) {
    base.fails = (name) => name === operation;
    await assert.rejects(async () => overlay.commit(), new RegExp(`no ${operation}`));
    assert.ok(overlay.changedBytes >= 8192);
  }
  base.fails = () => false;
  base.done.length = 0;
  const commit = overlay.commit();
  // Waits until the changes are in the base.
  const late = overlay.write(new Uint8Array(512).fill(5), 512);
  await Promise.all([commit, late]);
  assert.equal(base.done.at(-1), "flush");
  assert.deepEqual(overlay.changes(), [{ offsetBytes: 512, lengthBytes: 512, kind: "data" }]);
  const expected = new Uint8Array(2 * MIB);
  expected.set(pattern(MIB));
  expected.fill(0, 0, 4096);
  expected.fill(3, MIB - 4096, MIB + 4096);
  assertBytes(base.under.bytes(), expected);
});

test("commits that cannot be are refused", () => {
  using closed = new OverlayDisk(new MemoryDisk(pattern(MIB), { readOnly: true }));
  void closed.write(new Uint8Array(512), 0);
  assert.throws(() => closed.commit(), { code: "EROFS", message: /base is read-only/ });
  assert.equal(closed.changedBytes, 512);
  const fixed: Disk = {
    synchronous: true,
    readOnly: false,
    blockSizeBytes: 512,
    sizeBytes: 1024,
    read: () => {},
    write: () => {},
    flush: () => {},
    close: () => {},
  };
  using overlay = new OverlayDisk(fixed, { sizeBytes: 2048 });
  assert.throws(() => overlay.commit(), { code: "EINVAL", message: /cannot be resized/ });
});

test("upper disks that cannot be are refused", () => {
  const base = new MemoryDisk(MIB);
  const refused = (upper: Disk, message: RegExp, sizeBytes = MIB) =>
    assert.throws(() => new OverlayDisk(base, { upper, sizeBytes }), { code: "EINVAL", message });
  refused(new MemoryDisk(MIB, { readOnly: true }), /read-only/);
  refused(new MemoryDisk(MIB, { blockSizeBytes: 4096 }), /blocks of 4096 bytes, its base of 512/);
  refused(new MemoryDisk(MIB), /has 1048576 bytes, and 2097152/, 2 * MIB);
  refused(new MemoryDisk(MIB), /1000 bytes is not a multiple/, 1000);
});

test("an overlay tells its kernel that it was resized, and closes without its base", async () => {
  const base = new MemoryDisk(pattern(MIB));
  const overlay = new OverlayDisk(base);
  const sizes: number[] = [];
  const stop = overlay.onResize(() => sizes.push(overlay.sizeBytes));
  void overlay.resize(2 * MIB);
  void overlay.drop();
  stop();
  void overlay.resize(4 * MIB);
  assert.deepEqual(sizes, [2 * MIB, MIB]);
  overlay.close();
  assert.throws(() => overlay.commit(), { code: "EBADF" });
  assert.throws(() => overlay.drop(), { code: "EBADF" });
  assert.equal(base.sizeBytes, MIB);
  assertBytes(base.bytes(), pattern(MIB));
});

test("a kernel writes ext4 over a file, grows it, and the file changes only by commit", async () => {
  const path = ext4Image(join(folder.path, "precious.img"), tree);
  const before = readFileSync(path);
  {
    using base = new FileDisk(path);
    using overlay = new OverlayDisk(base);
    await using kernel = await Kernel.boot({ image: "fs" });
    {
      await using device = await attachDisk(kernel, overlay);
      await using mounted = await mount(kernel, { source: device.path });
      const fd = await kernel.init.openat(-100, `${mounted.target}/new`, 0o101, 0o644);
      await kernel.init.write(fd, new TextEncoder().encode("new\n"), 4);
      await kernel.init.close(fd);
      assert.equal(await readText(kernel.init, `${mounted.target}/new`), "new\n");
    }
    assert.ok(overlay.changedBytes > 0 && overlay.changedBytes < 4 * MIB);
    assert.ok(readFileSync(path).equals(before), "the base was written to");
    void overlay.resize(48 * MIB);
    void overlay.commit();
  }
  assert.equal(readFileSync(path).length, 48 * MIB);
  run("e2fsck", "-fn", path);
  assert.equal(run("debugfs", "-R", "cat /new", path), "new\n");
});

test("a kernel writes ext4 over a Blob, which nobody can write", async () => {
  const path = ext4Image(join(folder.path, "blob.img"), tree);
  const blob = new Blob([readFileSync(path)]);
  using overlay = new OverlayDisk(new BlobDisk(blob));
  {
    await using kernel = await Kernel.boot({ image: "fs" });
    await using device = await attachDisk(kernel, overlay);
    await using mounted = await mount(kernel, { source: device.path });
    const fd = await kernel.init.openat(-100, `${mounted.target}/hello.txt`, 0o1, 0);
    await kernel.init.write(fd, new TextEncoder().encode("HELLO"), 5);
    await kernel.init.close(fd);
  }
  await using kernel = await Kernel.boot({ image: "fs" });
  await using device = await attachDisk(kernel, overlay);
  await using mounted = await mount(kernel, { source: device.path, readOnly: true });
  assert.equal(await readText(kernel.init, `${mounted.target}/hello.txt`), "HELLO\n");
  await assert.rejects(async () => overlay.commit(), { code: "EROFS" });
});
