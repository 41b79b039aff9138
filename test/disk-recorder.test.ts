// The recorder: its contract as a disk, its log, and the states that it makes from it.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import fc from "fast-check";

import { MemoryDisk, RecorderDisk } from "../src/disk/index.ts";
import type { CrashState } from "../src/disk/index.ts";
import { seededRandom } from "../src/index.ts";
import { assertBytes, diskContract, pattern } from "./contract/disk.ts";
import { TestDisk } from "./virtio-support.ts";

const MIB = 1048576;
const BLOCK = 512;
const BLOCKS = 64;

diskContract("RecorderDisk", () => ({ disk: new RecorderDisk(new MemoryDisk(pattern(MIB))) }));
diskContract("RecorderDisk, read-only", () => ({
  disk: new RecorderDisk(new MemoryDisk(pattern(MIB), { readOnly: true })),
}));

/** Operations on blocks: what is written has a number that nothing else has. */
type Step =
  | {
      readonly kind: "write" | "zeroes" | "discard";
      readonly block: number;
      readonly count: number;
    }
  | { readonly kind: "flush" };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.constant({ kind: "flush" as const }),
    fc.record({
      kind: fc.constantFrom<"write" | "zeroes" | "discard">("write", "write", "zeroes", "discard"),
      block: fc.nat(BLOCKS - 8),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  ),
  { maxLength: 40 },
);

function perform(disk: RecorderDisk, list: readonly Step[]): void {
  for (const [number, step] of list.entries()) {
    if (step.kind === "flush") void disk.flush();
    else {
      const offset = step.block * BLOCK;
      const length = step.count * BLOCK;
      if (step.kind === "write") void disk.write(new Uint8Array(length).fill(number + 1), offset);
      else if (step.kind === "zeroes") void disk.writeZeroes!(offset, length, false);
      else void disk.discard!(offset, length);
    }
  }
}

async function made(disk: RecorderDisk, state: CrashState): Promise<Uint8Array> {
  const into = new MemoryDisk(BLOCKS * BLOCK);
  await disk.replayState(into, state);
  return into.bytes();
}

suite("RecorderDisk", () => {
  test("the log done again makes the same disk", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (list) => {
        const memory = new MemoryDisk(BLOCKS * BLOCK);
        const disk = new RecorderDisk(memory);
        perform(disk, list);
        assert.equal(disk.log.length, list.length);
        const again = new MemoryDisk(BLOCKS * BLOCK);
        await disk.replay(again, 0, disk.log.length);
        assertBytes(again.bytes(), memory.bytes());
      }),
    );
  });

  test("in every state is what was flushed, and of the rest nothing but what was done", async () => {
    const property = fc.asyncProperty(steps, fc.nat(1000), async (list, seed) => {
      const disk = new RecorderDisk(new MemoryDisk(BLOCKS * BLOCK));
      perform(disk, list);
      for (const state of disk.states({ random: seededRandom(seed), subsets: 3 })) {
        assert.equal(state.durable, disk.durableAt(state.cut));
        const lasting = new MemoryDisk(BLOCKS * BLOCK);
        await disk.replay(lasting, 0, state.durable);
        const before = lasting.bytes();
        const bytes = await made(disk, state);
        const later = list.slice(state.durable, state.cut);
        for (let block = 0; block < BLOCKS; block++) {
          const at = block * BLOCK;
          const value = bytes[at];
          assert.ok(
            bytes.subarray(at, at + BLOCK).every((byte) => byte === value),
            "a block is torn",
          );
          const changed = later.some(
            (step, i) =>
              step.kind !== "flush" &&
              block >= step.block &&
              block < step.block + step.count &&
              value === (step.kind === "write" ? state.durable + i + 1 : 0),
          );
          assert.ok(value === before[at] || changed, `block ${block} is ${value}`);
        }
      }
    });
    await fc.assert(property);
  });

  test("the same seed makes the same states, and of no subset two", () => {
    const disk = new RecorderDisk(new MemoryDisk(BLOCKS * BLOCK));
    for (let i = 0; i < 30; i++) {
      void disk.write(new Uint8Array(8 * BLOCK).fill(i), (i % 7) * 8 * BLOCK);
      if (i % 6 === 5) void disk.flush();
    }
    const list = (seed: number) => [...disk.states({ random: seededRandom(seed), subsets: 20 })];
    assert.deepEqual(list(5), list(5));
    assert.notDeepEqual(list(5), list(6));
    const states = list(5);
    assert.equal(new Set(states.map((state) => JSON.stringify(state))).size, states.length);
    assert.ok(states.length > 80, `${states.length} states`);
    const torn = states.filter(({ tornBytes }) => tornBytes !== undefined);
    assert.ok(torn.length > 10);
    assert.ok(torn.every(({ tornBytes }) => tornBytes! % BLOCK === 0 && tornBytes! < 8 * BLOCK));
  });

  test("a write is torn where a block of the disk begins", () => {
    const disk = new RecorderDisk(new MemoryDisk(MIB));
    void disk.write(new Uint8Array(16384), 512);
    const options = { random: seededRandom(1), subsets: 50, atomicBytes: 4096 };
    const torn = new Set([...disk.states(options)].map(({ tornBytes }) => tornBytes));
    torn.delete(undefined);
    assert.deepEqual(
      [...torn].toSorted((a, b) => a! - b!),
      [3584, 7680, 11776, 15872],
    );
  });

  test("a flush makes lasting what had ended when it began", async () => {
    const inner = new TestDisk(MIB, false);
    const held = new Map<string, () => void>();
    inner.before = (operation, offset) =>
      new Promise((resolve) => void held.set(`${operation} ${offset}`, resolve));
    const disk = new RecorderDisk(inner);
    const first = disk.write(new Uint8Array(512).fill(1), 512);
    held.get("write 512")!();
    await first;
    const late = disk.write(new Uint8Array(512).fill(2), 1024);
    const flush = disk.flush();
    held.get("write 1024")!();
    await late;
    held.get("flush 0")!();
    await flush;
    assert.deepEqual(
      disk.log.map(({ kind }) => kind),
      ["write", "write", "flush"],
    );
    assert.equal(disk.durableAt(3), 1);
    const survivors = [...disk.states({ random: seededRandom(1) })].map((state) =>
      state.survivors.join(),
    );
    assert.ok(survivors.includes("1"));
  });

  test("what fails is not in the log", async () => {
    const inner = new TestDisk(MIB, false);
    const disk = new RecorderDisk(inner);
    inner.before = () => Promise.reject(new Error("broken"));
    await assert.rejects(async () => disk.write(new Uint8Array(512), 0), /broken/);
    await assert.rejects(async () => disk.flush(), /broken/);
    assert.deepEqual([disk.log.length, disk.logBytes], [0, 0]);
  });

  test("several buffers are one write", () => {
    const disk = new RecorderDisk(new MemoryDisk(MIB));
    disk.writeVector!([pattern(512), pattern(1024)], 4096);
    assert.equal(disk.log.length, 1);
    const [entry] = disk.log;
    assert.ok(entry.kind === "write" && entry.bytes.length === 1536 && entry.offsetBytes === 4096);
  });

  test("a log that is full refuses to go on, and says what to do", async () => {
    const memory = new MemoryDisk(MIB);
    const disk = new RecorderDisk(memory, { maxLogBytes: 10_000 });
    void disk.write(new Uint8Array(8192).fill(1), 0);
    assert.throws(() => disk.write(new Uint8Array(8192).fill(2), 0), {
      name: "DiskError",
      code: "ENOSPC",
      message: /the recording has 8256 bytes and may have 10000: raise maxLogBytes/,
    });
    assert.equal(memory.bytes()[0], 1);
    const later = new RecorderDisk(new TestDisk(MIB, false), { maxLogBytes: 100 });
    await assert.rejects(async () => later.write(new Uint8Array(512), 0), { code: "ENOSPC" });
    assert.throws(() => new RecorderDisk(memory, { maxLogBytes: 0 }), {
      code: "ERR_INVALID_OPTION",
    });
  });

  test("a state is not made on a disk that is ahead of it", async () => {
    const disk = new RecorderDisk(new MemoryDisk(MIB));
    void disk.write(new Uint8Array(512), 0);
    await assert.rejects(
      disk.replayState(new MemoryDisk(MIB), { cut: 0, durable: 0, survivors: [] }, 1),
      RangeError,
    );
  });
});
