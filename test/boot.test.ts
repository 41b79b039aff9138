// LKL's boot test, in both kinds of memory: what a kernel does as soon as it runs.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { EPOLLIN, EPOLL_CTL_ADD } from "../src/abi/constants/epoll.ts";
import { EFD_NONBLOCK, EFD_SEMAPHORE } from "../src/abi/constants/eventfd.ts";
import { AT_FDCWD, O_CREAT, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../src/abi/constants/mman.ts";
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from "../src/abi/constants/time.ts";
import { TFD_NONBLOCK, TFD_TIMER_ABSTIME } from "../src/abi/constants/timerfd.ts";
import { EpollEvent } from "../src/abi/structs/io.ts";
import { NewUtsname, Sysinfo } from "../src/abi/structs/process.ts";
import { KernelItimerspec } from "../src/abi/structs/time.ts";
import { readFile } from "../src/fs/files.ts";
import { readMounts } from "../src/fs/mounts.ts";
import { KernelStoppedError, SystemError } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import { boot, clockNs, memories, pipe, text, threads, timespec, until, viewOf } from "./kernel.ts";

const MS = 1e6;
const COUNTER_BYTES = 8;

/** A timerfd that rings once at a time of its clock. */
async function timerAt(kernel: Kernel, ns: number): Promise<number> {
  const fd = await kernel.init.timerfd_create(CLOCK_MONOTONIC, 0);
  const spec = new Uint8Array(KernelItimerspec.size);
  spec.set(timespec(ns), KernelItimerspec.offsets.it_value);
  await kernel.init.timerfd_settime64(fd, TFD_TIMER_ABSTIME, spec, null);
  return fd;
}

for (const { kind, shared } of memories) {
  suite(`a kernel in ${kind}`, () => {
    let kernel: Kernel;

    before(async () => {
      kernel = await boot({ shared });
    });

    after(() => kernel.halt());

    test("has this kind of memory", () => {
      assert.equal(kernel.memory.object.buffer instanceof SharedArrayBuffer, shared);
    });

    test("is Linux", async () => {
      const bytes = new Uint8Array(NewUtsname.size);
      await kernel.init.uname(bytes);
      const name = new NewUtsname(viewOf(bytes));
      assert.equal(text.decode(name.sysname).replace(/\0.*/s, ""), "Linux");
      const banner = [...kernel.log].find((record) => record.text.startsWith("Linux version"));
      const release = text.decode(name.release).replace(/\0.*/s, "");
      assert.ok(banner?.text.includes(release), `${banner?.text} names ${release}`);
    });

    test("gives its first process the number 1", async () => {
      assert.equal(await kernel.init.getpid(), 1);
      assert.equal(kernel.init.pid, 1);
      assert.equal(await kernel.init.getppid(), 0);
    });

    test("has the system's file systems mounted", async () => {
      const mounts = await readMounts(kernel.init);
      const targets = new Set(mounts.map(({ type, target }) => `${type} ${target}`));
      for (const mount of ["proc /proc", "sysfs /sys", "devtmpfs /dev", "tmpfs /tmp"])
        assert.ok(targets.has(mount), mount);
    });

    test("keeps what is written to a file", async () => {
      const { init } = kernel;
      const fd = await init.openat(AT_FDCWD, "/tmp/kept", O_CREAT | O_RDWR, 0o644);
      assert.equal(await init.write(fd, text.encode("kept"), 4), 4);
      await init.close(fd);
      assert.equal(text.decode(await readFile(init, "/tmp/kept")), "kept");
      await init.unlinkat(AT_FDCWD, "/tmp/kept", 0);
    });

    test("runs 65 calls of one process at once, each on a task of its own", async () => {
      const process = await kernel.process();
      const [reader, writer] = await pipe(process);
      const buffers = Array.from({ length: 65 }, () => new Uint8Array(1));
      const reads = buffers.map((buffer) => process.read(reader, buffer, 1));
      // The leader, and a thread each.
      await until(async () => (await threads(kernel, process)) === 66);
      await process.write(
        writer,
        Uint8Array.from({ length: 65 }, (_, i) => i),
        65,
      );
      assert.deepEqual(
        await Promise.all(reads),
        reads.map(() => 1),
      );
      assert.deepEqual(
        buffers.map(([byte]) => byte).toSorted((a, b) => a - b),
        buffers.map((_, i) => i),
      );
      await process.exit();
    });

    test("tells the time of the world", async () => {
      const early = Date.now() * MS;
      const wall = await clockNs(kernel.init, CLOCK_REALTIME);
      const late = Date.now() * MS;
      // The kernel's own steps, and what the engine rounds.
      const slack = 20 * MS;
      assert.ok(early - slack <= wall && wall <= late + slack, `${early} ${wall} ${late}`);
      const first = await clockNs(kernel.init, CLOCK_MONOTONIC);
      const second = await clockNs(kernel.init, CLOCK_MONOTONIC);
      assert.ok(first <= second);
    });

    test("sleeps for as long as it is told to", async () => {
      const start = performance.now();
      const before = await clockNs(kernel.init, CLOCK_MONOTONIC);
      await kernel.init.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(30 * MS), null);
      const after = await clockNs(kernel.init, CLOCK_MONOTONIC);
      assert.ok(after - before >= 30 * MS, `${after - before} ns of the kernel's`);
      assert.ok(performance.now() - start >= 29, "of real time");
    });

    test("rings several timers in the order of their deadlines", async () => {
      const now = await clockNs(kernel.init, CLOCK_MONOTONIC);
      const rang: number[] = [];
      const delays = [40, 10, 50, 20, 30];
      await Promise.all(
        delays.map(async (ms) => {
          const fd = await timerAt(kernel, now + ms * MS);
          const count = new Uint8Array(COUNTER_BYTES);
          await kernel.init.read(fd, count, COUNTER_BYTES);
          assert.equal(viewOf(count).getBigUint64(0, true), 1n);
          rang.push(ms);
          await kernel.init.close(fd);
        }),
      );
      assert.deepEqual(
        rang,
        delays.toSorted((a, b) => a - b),
      );
    });

    test("does not ring a timer before its time", async () => {
      const fd = await kernel.init.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
      const spec = new Uint8Array(KernelItimerspec.size);
      spec.set(timespec(3600e9), KernelItimerspec.offsets.it_value);
      await kernel.init.timerfd_settime64(fd, 0, spec, null);
      await assert.rejects(kernel.init.read(fd, new Uint8Array(COUNTER_BYTES), COUNTER_BYTES), {
        code: "EAGAIN",
      });
      await kernel.init.close(fd);
    });

    test("counts events", async () => {
      const { init } = kernel;
      const fd = await init.eventfd2(3, EFD_SEMAPHORE | EFD_NONBLOCK);
      const count = new Uint8Array(COUNTER_BYTES);
      for (let i = 0; i < 3; i++) {
        assert.equal(await init.read(fd, count, COUNTER_BYTES), COUNTER_BYTES);
        assert.equal(viewOf(count).getBigUint64(0, true), 1n);
      }
      await assert.rejects(init.read(fd, count, COUNTER_BYTES), { code: "EAGAIN" });
      await init.close(fd);
    });

    test("waits for several descriptors at once", async () => {
      const { init } = kernel;
      const [reader, writer] = await pipe(init);
      const event = await init.eventfd2(0, 0);
      const epoll = await init.epoll_create1(0);
      for (const fd of [reader, event]) {
        const bytes = new Uint8Array(EpollEvent.size);
        const wish = new EpollEvent(viewOf(bytes));
        wish.events = EPOLLIN;
        wish.data = BigInt(fd);
        await init.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, bytes);
      }
      const events = new Uint8Array(4 * EpollEvent.size);
      const ready = async (timeoutMs: number) => {
        const count = await init.epoll_pwait(epoll, events, 4, timeoutMs, null, 0);
        const fds = Array.from({ length: count }, (_, i) =>
          Number(new EpollEvent(viewOf(events), i * EpollEvent.size).data),
        );
        return fds.toSorted((a, b) => a - b);
      };
      assert.deepEqual(await ready(0), []);
      assert.deepEqual(await ready(5), []);
      const waiting = ready(-1);
      await init.write(writer, new Uint8Array(1), 1);
      assert.deepEqual(await waiting, [reader]);
      const one = new Uint8Array(BigUint64Array.of(1n).buffer);
      await init.write(event, one, COUNTER_BYTES);
      assert.deepEqual(
        await ready(-1),
        [reader, event].toSorted((a, b) => a - b),
      );
      for (const fd of [reader, writer, event, epoll]) await init.close(fd);
    });

    test("reads an empty pipe's end, and fails to write to one that nobody reads", async () => {
      const { init } = kernel;
      const [reader, writer] = await pipe(init);
      const reading = init.read(reader, new Uint8Array(1), 1);
      await init.close(writer);
      assert.equal(await reading, 0);
      await init.close(reader);
      const [other, end] = await pipe(init);
      await init.close(other);
      await assert.rejects(init.write(end, new Uint8Array(1), 1), { code: "EPIPE" });
      await init.close(end);
    });

    test("maps memory and takes it back", async () => {
      const { init } = kernel;
      const free = async () => {
        const bytes = new Uint8Array(Sysinfo.size);
        await init.sysinfo(bytes);
        const info = new Sysinfo(viewOf(bytes));
        return info.freeram * info.mem_unit;
      };
      const MIB = 1 << 20;
      const before = await free();
      const address = await init.mmap2(
        0,
        4 * MIB,
        PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS,
        -1,
        0,
      );
      assert.ok(address > 0 && address < kernel.memory.size);
      assert.ok(kernel.memory.subarray(address, 4 * MIB).every((byte) => byte === 0));
      assert.ok((await free()) <= before - 4 * MIB);
      await init.munmap(address, 4 * MIB);
      assert.ok((await free()) > before - MIB);
    });

    test("fills buffers with random bytes", async () => {
      const [a, b] = [new Uint8Array(64), new Uint8Array(64)];
      assert.equal(await kernel.init.getrandom(a, 64, 0), 64);
      assert.equal(await kernel.init.getrandom(b, 64, 0), 64);
      assert.notDeepEqual(a, b);
    });

    test("counts its pauses, tasks and switches", async () => {
      const { switches, tasks } = kernel.stats;
      const process = await kernel.process();
      await process.getpid();
      assert.ok(kernel.stats.switches > switches);
      assert.ok(kernel.stats.tasks > tasks);
      await process.exit();
    });
  });
}

suite("errors of calls", () => {
  let kernel: Kernel;

  before(async () => {
    kernel = await boot();
  });

  after(() => kernel.halt());

  /** What it is, and how it looks. */
  const cases: readonly [string, number, string, string[], (kernel: Kernel) => Promise<number>][] =
    [
      ["ENOENT", -2, "openat", ["/none"], ({ init }) => init.openat(AT_FDCWD, "/none", 0, 0)],
      ["EBADF", -9, "close", [], ({ init }) => init.close(1000)],
      ["EINVAL", -22, "eventfd2", [], ({ init }) => init.eventfd2(0, 0x7000)],
      ["ENOTDIR", -20, "chdir", ["/proc/version"], ({ init }) => init.chdir("/proc/version")],
      ["EEXIST", -17, "mkdirat", ["/proc"], ({ init }) => init.mkdirat(AT_FDCWD, "/proc", 0o755)],
      ["ESRCH", -3, "kill", [], ({ init }) => init.kill(999_999, 0)],
      [
        "ENODEV",
        -19,
        "mount",
        ["none", "/tmp"],
        ({ init }) => init.mount("none", "/tmp", "nonefs", 0, null),
      ],
      ["ENAMETOOLONG", -36, "chdir", ["x".repeat(256)], ({ init }) => init.chdir("x".repeat(256))],
      [
        "EINVAL",
        -22,
        "renameat2",
        ["/tmp", "/tmp/x"],
        ({ init }) => init.renameat2(AT_FDCWD, "/tmp", AT_FDCWD, "/tmp/x", 99),
      ],
    ];

  for (const [code, errno, syscall, [path, dest], call] of cases) {
    test(`${syscall}: ${code}`, async () => {
      await assert.rejects(call(kernel), (error: unknown) => {
        assert.ok(error instanceof SystemError);
        assert.deepEqual(
          {
            name: error.name,
            code: error.code,
            errno: error.errno,
            syscall: error.syscall,
            path: error.path,
            dest: error.dest,
          },
          { name: "SystemError", code, errno, syscall, path, dest },
        );
        const names = [path, dest].filter((name) => name !== undefined).map((name) => `'${name}'`);
        assert.ok(error.message.startsWith(`${code}: `));
        assert.ok(error.message.endsWith([`, ${syscall}`, names.join(" -> ")].join(" ").trimEnd()));
        return true;
      });
    });
  }
});

/** Begins a call that waits until the kernel ends: nobody counts this event up. */
async function startWaiting(process: Process): Promise<{ call: Promise<number> }> {
  const fd = await process.eventfd2(0, 0);
  return { call: process.read(fd, new Uint8Array(COUNTER_BYTES), COUNTER_BYTES) };
}

suite("the end", () => {
  test("halt() ends all that was made from the kernel, and may be called twice", async () => {
    const kernel = await boot();
    const process = await kernel.process();
    const killed = (await startWaiting(process)).call;
    const stopped = (await startWaiting(kernel.init)).call;
    const settled = Promise.all([
      assert.rejects(killed, { code: "ERR_TASK_EXITED" }),
      assert.rejects(stopped, { code: "ERR_KERNEL_STOPPED" }),
    ]);
    await Promise.all([kernel.halt(), kernel.halt()]);
    await settled;
    await kernel.halt();
    assert.equal(kernel.running, false);
    assert.ok((await kernel.stopped) instanceof KernelStoppedError);
    assert.deepEqual([...kernel.processes], []);
    await assert.rejects(kernel.init.getpid(), { code: "ERR_KERNEL_STOPPED", how: "halted" });
    await assert.rejects(process.getpid(), { code: "ERR_TASK_EXITED" });
    await assert.rejects(kernel.process(), { code: "ERR_KERNEL_STOPPED" });
    await assert.rejects(kernel.init.buffer(16), { code: "ERR_KERNEL_STOPPED" });
  });

  test("halt() needs no thread of pid 1's", async () => {
    const kernel = await boot({ maxThreads: 1 });
    const { call } = await startWaiting(kernel.init);
    const settled = assert.rejects(call, { code: "ERR_KERNEL_STOPPED" });
    await kernel.halt();
    await settled;
  });

  test("reboot() gives another kernel with the same options", async () => {
    const kernel = await boot({ commandLine: "quiet" });
    const fd = await kernel.init.openat(AT_FDCWD, "/tmp/gone", O_CREAT | O_RDWR, 0o644);
    await kernel.init.close(fd);
    await using next = await kernel.reboot();
    await assert.rejects(kernel.init.getpid(), { how: "restarted" });
    assert.match(text.decode(await readFile(next.init, "/proc/cmdline")), /\bquiet\b/);
    await assert.rejects(next.init.openat(AT_FDCWD, "/tmp/gone", 0, 0), { code: "ENOENT" });
  });

  test("dispose() stops at once, and is known to all", async () => {
    const kernel = await boot();
    const { call } = await startWaiting(kernel.init);
    kernel.dispose();
    kernel.dispose();
    await assert.rejects(call, { code: "ERR_KERNEL_STOPPED", how: "disposed" });
    await assert.rejects(kernel.init.getpid(), { how: "disposed" });
    await kernel.halt();
  });

  test("await using halts", async () => {
    let seen: Kernel;
    {
      await using kernel = await boot();
      seen = kernel;
      assert.ok(kernel.running);
    }
    assert.equal(seen.running, false);
    await assert.rejects(seen.init.getpid(), { how: "halted" });
  });

  test("the power-off call of an application ends the kernel too", async () => {
    const kernel = await boot();
    await assert.rejects(kernel.init.reboot(0xfee1dead, 672274793, 0x4321fedc, null), {
      code: "ERR_KERNEL_STOPPED",
    });
    assert.equal(((await kernel.stopped) as KernelStoppedError).how, "halted");
  });
});
