// Endurance: kernels and processes come and go, at any moment, and leave nothing behind.
// The full counts run under `npm run soak`, smaller ones of the same code elsewhere.

import assert from "node:assert/strict";
import process from "node:process";
import { after, before, suite, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { AT_FDCWD, O_CREAT, O_RDWR } from "../../src/abi/constants/fcntl.ts";
import { SIGKILL } from "../../src/abi/constants/signal.ts";
import { CLOCK_MONOTONIC } from "../../src/abi/constants/time.ts";
import { KernelStoppedError, TaskExitedError, seededRandom } from "../../src/index.ts";
import type { Kernel } from "../../src/index.ts";
import { boot, pipe, repeats, timespec } from "../kernel.ts";
import { assertNoGrowth, usage } from "./support/usage.ts";

const unhandled: unknown[] = [];
const record = (why: unknown) => void unhandled.push(why);

before(() => {
  process.on("unhandledRejection", record);
});

after(() => {
  process.off("unhandledRejection", record);
  assert.deepEqual(unhandled, []);
});

/** Numbers from 0 to `limit` - 1 that repeat with the seed. */
function numbers(seed: number): (limit: number) => number {
  const random = seededRandom(seed);
  const bytes = new Uint32Array(1);
  return (limit) => {
    random(new Uint8Array(bytes.buffer));
    return bytes[0] % limit;
  };
}

/** Work of all kinds that ends only with the kernel; every call settles as one of its own. */
async function workload(kernel: Kernel, calls: Promise<unknown>[]): Promise<void> {
  for (let round = 0; ; round++) {
    const worker = await kernel.process();
    const [reader, writer] = await pipe(worker);
    const [silent] = await pipe(worker);
    const other = await worker.fork();
    for (const call of [
      worker.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(3600e9), null),
      worker.read(silent, new Uint8Array(1), 1),
    ]) {
      call.catch(() => {});
      calls.push(call);
    }
    const name = `/tmp/${round % 4}`;
    const fd = await worker.openat(AT_FDCWD, name, O_CREAT | O_RDWR, 0o600);
    const block = new Uint8Array(20_000).fill(round);
    await Promise.all([
      worker.pwrite64(fd, block, block.length, 0),
      worker.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(1e5), null),
      other.write(writer, block, 100),
      worker.read(reader, new Uint8Array(100), 100),
    ]);
    await using buffer = await worker.buffer(70_000);
    buffer.bytes.fill(1);
    await worker.pwrite64(fd, buffer, 70_000, 0);
    if (round % 2) await other.exit();
    else await kernel.init.kill(other.pid, SIGKILL);
    await worker.exit();
  }
}

suite("lives", () => {
  const boots = repeats(500, 25);
  test(`${boots} kernels boot and halt`, async () => {
    const cycle = async (shared: boolean) => {
      const kernel = await boot({ shared });
      assert.equal(await kernel.init.getpid(), 1);
      await kernel.halt();
    };
    for (let i = 0; i < 20; i++) await cycle(i % 2 === 0);
    const before = await usage();
    for (let i = 0; i < boots; i++) await cycle(i % 2 === 0);
    assertNoGrowth(before, await usage(), `${boots} kernels`);
  });

  const lives = repeats(100_000, 2000);
  test(`${lives} processes are made and end`, async () => {
    const kernel = await boot();
    const live = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const one = await kernel.process();
        assert.equal(await one.getpid(), one.pid);
        await one.exit();
      }
    };
    await live(500);
    const tasks = kernel.stats.tasks;
    const before = await usage();
    await live(lives);
    assertNoGrowth(before, await usage(), `${lives} processes`);
    assert.equal(kernel.stats.tasks, tasks);
    assert.equal(kernel.processes.size, 1);
    await kernel.halt();
  });

  test("16 kernels work at once", async () => {
    // Once before, for the engine keeps a pool of stacks.
    await crowd(1);
    const before = await usage();
    await crowd(repeats(200, 10));
    assertNoGrowth(before, await usage(), "16 kernels");
  });

  async function crowd(rounds: number): Promise<void> {
    const kernels = await Promise.all(Array.from({ length: 16 }, () => boot()));
    await Promise.all(
      kernels.map(async (kernel, number) => {
        const name = `/tmp/${number}`;
        for (let round = 0; round < rounds; round++) {
          const worker = await kernel.process();
          const [reader, writer] = await pipe(worker);
          const message = Uint8Array.of(number, round);
          const back = new Uint8Array(2);
          const fd = await worker.openat(AT_FDCWD, name, O_CREAT | O_RDWR, 0o600);
          await Promise.all([
            worker.read(reader, back, 2),
            worker.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(1e6), null),
            worker.write(writer, message, 2),
            worker.pwrite64(fd, message, 2, 0),
          ]);
          assert.deepEqual(back, message);
          await worker.pread64(fd, back, 2, 0);
          assert.deepEqual(back, message);
          await worker.exit();
        }
      }),
    );
    await Promise.all(kernels.map((kernel) => kernel.halt()));
  }

  const kills = repeats(200, 15);
  for (const end of ["dispose", "halt"] as const) {
    test(`${kills} kernels end by ${end}() at random moments of their work`, async () => {
      const random = numbers(kills);
      const cycle = async (moment: number) => {
        const kernel = await boot({ shared: moment % 2 === 0 });
        const calls: Promise<unknown>[] = [];
        const workers = [workload(kernel, calls), workload(kernel, calls)];
        const settled = Promise.allSettled(workers);
        // Some moments are turns of the event loop, others lie between the promises of one.
        for (let turn = 0; turn < moment % 60; turn++) await nextTurn();
        for (let step = 0; step < moment % 7; step++) await Promise.resolve();
        if (end === "halt") await kernel.halt();
        else kernel.dispose();
        const results = [...(await settled), ...(await Promise.allSettled(calls))];
        for (const result of results) {
          assert.equal(result.status, "rejected");
          const { reason } = result;
          const own =
            reason instanceof KernelStoppedError ||
            reason instanceof TaskExitedError ||
            // Halting closes pid 1's descriptors and kills the rest first.
            (end === "halt" && ["ESRCH", "EBADF", "ENOENT"].includes(reason.code));
          assert.ok(own, String(reason));
        }
        assert.ok((await kernel.stopped) instanceof KernelStoppedError);
        assert.equal(kernel.processes.size, 0);
      };
      for (let i = 0; i < 20; i++) await cycle(i * 11);
      const before = await usage();
      for (let i = 0; i < kills; i++) await cycle(random(1 << 16));
      assertNoGrowth(before, await usage(), `${kills} kernels`);
    });
  }
});
