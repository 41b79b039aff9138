// Time: of the wall, and one that the application owns: it moves as told, and repeats.

import assert from "node:assert/strict";
import { suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from "../src/abi/constants/time.ts";
import { TFD_TIMER_ABSTIME } from "../src/abi/constants/timerfd.ts";
import { KernelItimerspec } from "../src/abi/structs/time.ts";
import { stat } from "../src/fs/index.ts";
import { VirtualClock } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import { boot, clockNs, isSettled, memories, pipe, text, timespec } from "./kernel.ts";

const SECOND = 1e9;

function sleep(process: Process, ns: number): Promise<number> {
  return process.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(ns), null);
}

/** Write a line to the kernel's log. */
async function say(process: Process, line: string): Promise<void> {
  const fd = await process.openat(AT_FDCWD, "/dev/kmsg", O_WRONLY, 0);
  const bytes = text.encode(`<5>${line}\n`);
  await process.write(fd, bytes, bytes.length);
  await process.close(fd);
}

/** Processes that sleep and speak, over and over, and draw random numbers. */
async function simulation(shared: boolean, seed: number): Promise<string> {
  const clock = new VirtualClock();
  const kernel = await boot({ clock, random: seed, shared, commandLine: "printk.devkmsg=on" });
  const speakers = Array.from({ length: 5 }, async (_, number) => {
    const process = await kernel.process();
    for (let round = 0; round < 10; round++) {
      const dice = new Uint8Array(2);
      await process.getrandom(dice, 2, 0);
      await sleep(process, (1 + dice[0]) * 1e6 * (number + 1));
      await say(process, `speaker ${number}, round ${round}: ${dice[1]}`);
    }
    await process.exit();
  });
  await clock.drive(Promise.all(speakers));
  await clock.advance(SECOND);
  await kernel.halt();
  return kernel.log.text;
}

for (const { kind, shared } of memories) {
  suite(`a virtual clock, in ${kind}`, () => {
    test("with the same seed, every run has the same log, byte for byte", async () => {
      const [first, second] = [await simulation(shared, 7), await simulation(shared, 7)];
      assert.equal(first.match(/speaker \d, round \d/g)?.length, 50);
      assert.equal(first, second);
      assert.notEqual(first, await simulation(shared, 8));
    });

    test("a sleep ends when time was moved that far, and no earlier", async () => {
      const clock = new VirtualClock();
      const kernel = await boot({ clock, shared });
      const sleeping = sleep(kernel.init, 5 * SECOND);
      await clock.advance(4 * SECOND);
      assert.equal(await isSettled(sleeping), false);
      await clock.advance(2 * SECOND);
      assert.equal(await sleeping, 0);
      await kernel.halt();
    });
  });
}

suite("a virtual clock", () => {
  test("stands still while nobody moves it", async () => {
    const clock = new VirtualClock();
    const kernel = await boot({ clock });
    const before = clock.nowNs();
    const first = await clockNs(kernel.init, CLOCK_MONOTONIC);
    assert.equal(await isSettled(sleep(kernel.init, 1)), false);
    assert.equal(await clockNs(kernel.init, CLOCK_MONOTONIC), first);
    assert.equal(clock.nowNs(), before);
    kernel.dispose();
  });

  test("moves by exactly what it is told, and the kernel sees it", async () => {
    const clock = new VirtualClock();
    const kernel = await boot({ clock });
    await clock.runUntilIdle();
    const [before, seen] = [clock.nowNs(), await clockNs(kernel.init, CLOCK_MONOTONIC)];
    await clock.advance(123_456_789);
    assert.equal(clock.nowNs() - before, 123_456_789);
    assert.equal((await clockNs(kernel.init, CLOCK_MONOTONIC)) - seen, 123_456_789);
    assert.throws(() => clock.advance(-1), RangeError);
    assert.throws(() => clock.advance(NaN), RangeError);
    kernel.dispose();
  });

  test("has a time of day", async () => {
    const epochMs = Date.UTC(2030, 0, 1);
    const clock = new VirtualClock({ epochMs });
    const kernel = await boot({ clock });
    await clock.advance(SECOND);
    const wall = await clockNs(kernel.init, CLOCK_REALTIME);
    assert.ok(wall >= epochMs * 1e6 + SECOND && wall < epochMs * 1e6 + 60 * SECOND, `${wall}`);
    kernel.dispose();
  });

  test("rings timers in their order, each at its time", async () => {
    const clock = new VirtualClock();
    const kernel = await boot({ clock });
    const { init } = kernel;
    const start = await clockNs(init, CLOCK_MONOTONIC);
    const rang: [number, number][] = [];
    const seconds = [7, 3, 9, 1, 5];
    for (const second of seconds) {
      const fd = await init.timerfd_create(CLOCK_MONOTONIC, 0);
      const spec = new Uint8Array(KernelItimerspec.size);
      spec.set(timespec(start + second * SECOND), KernelItimerspec.offsets.it_value);
      await init.timerfd_settime64(fd, TFD_TIMER_ABSTIME, spec, null);
      void init.read(fd, new Uint8Array(8), 8).then(async () => {
        const now = await clockNs(init, CLOCK_MONOTONIC);
        rang.push([second, Math.round((now - start) / SECOND)]);
      });
    }
    await clock.advance(4 * SECOND);
    assert.deepEqual(rang, [
      [1, 1],
      [3, 3],
    ]);
    await clock.runUntilIdle(clock.nowNs() + 6 * SECOND);
    assert.deepEqual(
      rang,
      seconds.toSorted((a, b) => a - b).map((second) => [second, second]),
    );
    kernel.dispose();
  });

  test("is shared by kernels, which sleep and wake in the order of their events", async () => {
    const clock = new VirtualClock();
    const kernels = [await boot({ clock }), await boot({ clock })];
    const woke: string[] = [];
    const sleeper = async (kernel: Kernel, name: string, periods: number[]) => {
      for (const seconds of periods) {
        await sleep(kernel.init, seconds * SECOND);
        woke.push(`${name} +${seconds}`);
      }
    };
    const both = Promise.all([
      sleeper(kernels[0], "a", [1, 3, 2]),
      sleeper(kernels[1], "b", [2, 3, 4]),
    ]);
    await clock.advance(4.5 * SECOND);
    assert.deepEqual(woke, ["a +1", "b +2", "a +3"]);
    await clock.drive(both);
    assert.deepEqual(woke, ["a +1", "b +2", "a +3", "b +3", "a +2", "b +4"]);
    await kernels[0].halt();
    assert.equal(await kernels[1].init.getpid(), 1);
    await kernels[1].halt();
  });

  test("lets kernels boot and halt at once", async () => {
    const clock = new VirtualClock();
    const kernels = await Promise.all([boot({ clock }), boot({ clock }), boot({ clock })]);
    await Promise.all(kernels.map((kernel) => kernel.halt()));
  });

  test("may be driven through a boot", async () => {
    const clock = new VirtualClock();
    const kernel = await clock.drive(boot({ clock }));
    await clock.drive(kernel.halt());
  });

  test("moves on without a kernel that was disposed", async () => {
    const clock = new VirtualClock();
    const kernel = await boot({ clock });
    const [reader] = await pipe(kernel.init);
    const calls = Promise.allSettled([
      sleep(kernel.init, SECOND),
      kernel.init.read(reader, new Uint8Array(1), 1),
    ]);
    const moved = clock.advance(10 * SECOND);
    kernel.dispose();
    await calls;
    await moved;
    await clock.advance(SECOND);
    assert.equal(clock.nextDeadlineNs, Infinity);
  });
});

test("files have the time of now, although the event loop never turns", async () => {
  await using kernel = await boot();
  const { init } = kernel;
  const TICK_MS = 10;
  for (let n = 0; n < 20; n++) {
    // Longer than a tick, in which no timer of this process can ring.
    for (const end = Date.now() + 2 * TICK_MS; Date.now() < end;);
    const startMs = Date.now();
    for (let calls = 0; calls < 16; calls++) await init.getpid();
    const fd = await init.openat(AT_FDCWD, `/file-${n}`, O_CREAT | O_WRONLY, 0o644);
    await init.close(fd);
    const { modifiedNs } = await stat(init, `/file-${n}`);
    const behindMs = startMs - Number(modifiedNs / 1_000_000n);
    assert.ok(behindMs <= TICK_MS + 1, `${behindMs} ms behind`);
  }
});
