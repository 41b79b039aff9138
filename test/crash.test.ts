// A crash stays inside: it ends one kernel, says why, and nothing else.

import assert from "node:assert/strict";
import { before, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_RDWR, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { KernelPanicError, WallClock } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import { boot, isSettled, memories, pipe, rejection, text, timespec } from "./kernel.ts";
import { compileProgram, loadProgram } from "./programs.ts";

const MIB = 1 << 20;
let program: WebAssembly.Module;

before(async () => {
  program = await compileProgram("trouble");
});

/**
 * Crash a kernel that has calls of all kinds in flight, beside one that must not notice.
 *
 * @returns what it ended with
 */
async function crash(
  kernel: Kernel,
  how: (kernel: Kernel, process: Process) => Promise<unknown>,
): Promise<KernelPanicError> {
  await using neighbour = await boot();
  const process = await kernel.process({ maxThreads: 4 });
  const [reader, writer] = await pipe(neighbour.init);
  const undisturbed = neighbour.init.read(reader, new Uint8Array(1), 1);
  const calls = [
    process.read((await pipe(process))[0], new Uint8Array(1), 1),
    process.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(3600e9), null),
    kernel.init.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(3600e9), null),
    process.exited,
  ];
  const settled = Promise.allSettled(calls);
  assert.equal(await isSettled(settled), false);

  const culprit = rejection(how(kernel, process));
  const why = await kernel.stopped;
  assert.ok(why instanceof KernelPanicError, String(why));
  assert.equal(await culprit, why);
  for (const result of await settled) {
    assert.equal(result.status, "rejected");
    assert.equal(result.reason, why);
  }
  // Later calls as well, of every kind.
  assert.equal(kernel.running, false);
  for (const call of [
    () => kernel.init.getpid(),
    () => process.read(0, new Uint8Array(1), 1),
    () => process.fork(),
    () => kernel.process(),
    () => kernel.init.buffer(16),
    () => process.run(kernel.syscall),
  ])
    await assert.rejects(call, (error) => error === why || error instanceof TypeError);
  await process.exit();
  await kernel.halt();
  kernel.dispose();

  assert.equal(why.code, "ERR_KERNEL_PANIC");
  assert.equal(why.name, "KernelPanicError");
  assert.ok(why.message.includes(why.reason));
  assert.ok(why.logTail.length > 0, "the log's tail");
  assert.equal(await isSettled(undisturbed), false);
  await neighbour.init.write(writer, Uint8Array.of(1), 1);
  assert.equal(await undisturbed, 1);
  return why;
}

async function runCulprit(name: string, kernel: Kernel, process: Process): Promise<number> {
  return process.run((await loadProgram(program, kernel))[name]);
}

for (const { kind, shared } of memories) {
  suite(`in ${kind}`, () => {
    test("a trap ends the kernel, with the names of the functions that led there", async () => {
      const why = await crash(await boot({ shared }), (kernel, process) =>
        runCulprit("trap", kernel, process),
      );
      assert.match(why.reason, /^trap: .*unreachable/);
      assert.ok(why.backtrace.includes("lkl_user_mode"), why.backtrace.join(" "));
      assert.match(why.message, /in lkl_user_mode/);
      assert.ok(why.cause instanceof WebAssembly.RuntimeError);
    });

    test("an access outside of memory ends the kernel", async () => {
      const why = await crash(await boot({ shared }), (kernel, process) =>
        runCulprit("outside", kernel, process),
      );
      assert.match(why.reason, /^trap: .*(out of bounds|memory)/);
    });

    test("the engine's stack overflows", async () => {
      const why = await crash(await boot({ shared }), (kernel, process) =>
        runCulprit("deep", kernel, process),
      );
      assert.match(why.reason, /stack overflow|out of bounds/);
    });

    test("memory runs out: when nobody is left to be killed for it, the kernel panics", async () => {
      await using neighbour = await boot();
      const kernel = await boot({ shared, memoryMiB: 16 });
      const { init } = kernel;
      const [reader] = await pipe(init);
      const waiting = rejection(init.read(reader, new Uint8Array(1), 1));
      const file = await init.openat(AT_FDCWD, "/tmp/full", O_CREAT | O_RDWR, 0o600);
      const why = await rejection(
        (async () => {
          for (;;) await init.write(file, new Uint8Array(MIB), MIB);
        })(),
      );
      assert.ok(why instanceof KernelPanicError, String(why));
      assert.match(why.reason, /memory/i);
      assert.ok(why.backtrace.includes("panic"), why.backtrace.join(" "));
      assert.ok(why.logTail.some((line) => line.includes(`not syncing: ${why.reason}`)));
      assert.equal(await kernel.stopped, why);
      assert.equal(await waiting, why);
      assert.equal(await neighbour.init.getpid(), 1);
    });
  });
}

suite("what the application gave", () => {
  test("a source of random bytes that throws", async () => {
    let failing = false;
    const cause = new Error("no more luck");
    const kernel = await boot({
      random: (bytes) => {
        if (failing) throw cause;
        bytes.fill(4);
      },
    });
    const why = await crash(kernel, async () => {
      failing = true;
      // The kernel asks its source again now and then only.
      for (;;) {
        await kernel.init.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(1e6), null);
        const fd = await kernel.init.openat(AT_FDCWD, "/dev/urandom", O_WRONLY, 0);
        await kernel.init.ioctl(fd, 0x5207, 0);
        await kernel.init.close(fd);
      }
    });
    assert.match(why.reason, /no more luck/);
    assert.equal(why.cause, cause);
  });

  test("a clock that throws", async () => {
    let failing = false;
    const clock = new (class extends WallClock {
      override nowNs(): number {
        if (failing) throw new Error("the spring broke");
        return super.nowNs();
      }
    })();
    const kernel = await boot({ clock });
    const why = await crash(kernel, async (_, process) => {
      failing = true;
      for (;;) await process.clock_gettime64(CLOCK_MONOTONIC, new Uint8Array(16));
    });
    assert.match(why.reason, /the spring broke/);
  });

  test("a listener of the console that stops its kernel", async () => {
    let lines = 0;
    const booted: Kernel[] = [];
    const kernel = await boot({
      console: () => {
        if (booted.length) lines++;
        booted[0]?.dispose();
      },
    });
    booted.push(kernel);
    const fd = await kernel.init.openat(AT_FDCWD, "/dev/kmsg", O_WRONLY, 0);
    await assert.rejects(kernel.init.write(fd, text.encode("<1>stop\n"), 8), {
      code: "ERR_KERNEL_STOPPED",
    });
    assert.equal(lines, 1);
  });
});

suite("not a crash", () => {
  test("a program that behaves, many times", async () => {
    await using kernel = await boot();
    const process = await kernel.process();
    const { add_one, getpid, spin, yield: yields } = await loadProgram(program, kernel);
    for (let i = 0; i < 100; i++) assert.equal(await process.run(add_one, i), i + 1);
    assert.equal(await process.run(add_one, -5), -4);
    assert.equal(await process.run(getpid), process.pid);
    // Turns of the event loop and other calls while it runs.
    const results = await Promise.all([
      process.run(yields, 1000),
      process.run(yields, 1000),
      process.getpid(),
      process.run(spin, 1_000_000),
    ]);
    assert.deepEqual(results, [0, 0, process.pid, 0]);
    await process.exit();
  });

  test("what is no such function is refused, and the kernel goes on", async () => {
    await using kernel = await boot();
    const wrong: unknown[] = [kernel.syscall, (x: number) => x, null, 5];
    for (const body of wrong)
      await assert.rejects(kernel.init.run(body as WebAssembly.ExportValue), TypeError);
    assert.equal(await kernel.init.getpid(), 1);
  });
});
