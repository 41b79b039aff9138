// What every disk does, whatever its bytes are in.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Disk } from "../../src/disk/index.ts";

/** A disk of at least 1 MiB, whose byte at offset n is n % 251 at first. */
export interface DiskSubject {
  readonly disk: Disk;
  /** Frees what close() does not. */
  readonly done?: () => void;
}

export const patternAt = (offset: number): number => offset % 251;

export function pattern(length: number, offset = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => patternAt(offset + i));
}

/** Equal bytes; deepEqual() takes its time over so many. */
export function assertBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, i) => actual[i] !== byte);
  assert.fail(`byte ${at} is ${actual[at]} instead of ${expected[at]} (${actual.length} bytes)`);
}

/** The same for disks that answer at once and for those that answer later. */
async function failsWith(code: string, work: () => void | Promise<void>): Promise<void> {
  await assert.rejects(async () => work(), { name: "DiskError", code });
}

/** Run the suite. `make` is called once per test. */
export function diskContract(name: string, make: () => DiskSubject | Promise<DiskSubject>): void {
  const on = (what: string, body: (disk: Disk) => Promise<void>): void => {
    void test(`${name}: ${what}`, async () => {
      const { disk, done } = await make();
      try {
        await body(disk);
      } finally {
        await disk.close();
        done?.();
      }
    });
  };
  const writes = (what: string, body: (disk: Disk) => Promise<void>): void =>
    on(what, async (disk) => (disk.readOnly ? refusesWrites(disk) : body(disk)));

  on("has a size in whole blocks of a power of two", async (disk) => {
    assert.equal(disk.sizeBytes % disk.blockSizeBytes, 0);
    assert.ok([512, 1024, 2048, 4096].includes(disk.blockSizeBytes));
  });

  on(
    "reads anywhere, any length, into views of shared memory if it is synchronous",
    async (disk) => {
      const size = disk.sizeBytes;
      for (const [offset, length] of [
        [0, 512],
        [4096, 65536],
        [size - 512, 512],
        [65024, 131584],
      ] as const) {
        const whole = disk.synchronous
          ? new Uint8Array(new SharedArrayBuffer(length + 64))
          : new Uint8Array(length + 64);
        await disk.read(whole.subarray(32, 32 + length), offset);
        assertBytes(new Uint8Array(whole.subarray(32, 32 + length)), pattern(length, offset));
        assert.ok(whole[31] === 0 && whole[32 + length] === 0, "reads beyond its buffer");
      }
    },
  );

  on("answers at once exactly if it says so", async (disk) => {
    const result: unknown = disk.read(new Uint8Array(512), 0);
    assert.equal(result === undefined, disk.synchronous);
    await result;
  });

  on("fails beyond its end with EIO", async (disk) => {
    await failsWith("EIO", () => disk.read(new Uint8Array(1024), disk.sizeBytes - 512));
    await failsWith("EIO", () => disk.read(new Uint8Array(512), -512));
  });

  writes("reads what was written", async (disk) => {
    const bytes = Uint8Array.from({ length: 200704 }, (_, i) => i * 7);
    await disk.write(bytes, 65024);
    await disk.flush();
    const back = new Uint8Array(bytes.length);
    await disk.read(back, 65024);
    assertBytes(back, bytes);
    const before = new Uint8Array(512);
    await disk.read(before, 64512);
    assertBytes(before, pattern(512, 64512));
    await failsWith("EIO", () => disk.write(new Uint8Array(1024), disk.sizeBytes - 512));
  });

  writes("writes zeroes, and only there", async (disk) => {
    if (!disk.writeZeroes) return;
    await disk.writeZeroes(61440, 139264, true);
    const back = new Uint8Array(524288);
    await disk.read(back, 0);
    assert.ok(back.subarray(61440, 200704).every((byte) => byte === 0));
    assertBytes(back.subarray(0, 61440), pattern(61440));
    assertBytes(back.subarray(200704), pattern(524288 - 200704, 200704));
    await failsWith("EIO", () => disk.writeZeroes!(disk.sizeBytes, 512, false));
  });

  writes("discards, and only there", async (disk) => {
    if (!disk.discard) return;
    await disk.discard(65536, 131072);
    const back = new Uint8Array(65536);
    await disk.read(back, 0);
    assertBytes(back, pattern(65536));
    await disk.read(back, 196608);
    assertBytes(back, pattern(65536, 196608));
  });

  on("transfers several buffers in turn, if it can", async (disk) => {
    if (!disk.readVector) return;
    const lengths = Array.from({ length: 1500 }, (_, i) => (i % 2 ? 0 : 512));
    const buffers = lengths.map((length) => new Uint8Array(length));
    disk.readVector(buffers, 1024);
    assertBytes(new Uint8Array(Buffer.concat(buffers)), pattern(750 * 512, 1024));
    if (disk.readOnly || !disk.writeVector) return;
    const out = buffers.map((bytes, i) => bytes.slice().fill(i));
    disk.writeVector(out, 2048);
    const back = new Uint8Array(750 * 512);
    await disk.read(back, 2048);
    assertBytes(back, new Uint8Array(Buffer.concat(out)));
  });

  on("fails with EBADF once closed, and closes twice", async (disk) => {
    await disk.close();
    await disk.close();
    await failsWith("EBADF", () => disk.read(new Uint8Array(512), 0));
  });
}

async function refusesWrites(disk: Disk): Promise<void> {
  await failsWith("EROFS", () => disk.write(new Uint8Array(512), 0));
  if (disk.writeZeroes) await failsWith("EROFS", () => disk.writeZeroes!(0, 512, false));
  if (disk.discard) await failsWith("EROFS", () => disk.discard!(0, 512));
}
