// Processes: what belongs to each alone, how they signal each other, and how they end.

import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_RDWR } from "../src/abi/constants/fcntl.ts";
import { CLONE_FILES, CLONE_NEWUTS } from "../src/abi/constants/sched.ts";
import {
  SIGCHLD,
  SIGKILL,
  SIGTERM,
  SIGUSR1,
  SIGUSR2,
  SIG_BLOCK,
} from "../src/abi/constants/signal.ts";
import { CLOCK_MONOTONIC } from "../src/abi/constants/time.ts";
import { P_PID, WEXITED, WNOHANG } from "../src/abi/constants/wait.ts";
import { SignalfdSiginfo } from "../src/abi/structs/io.ts";
import { NewUtsname, Siginfo } from "../src/abi/structs/process.ts";
import { KernelStoppedError, TaskExitedError } from "../src/index.ts";
import type { Kernel, Process } from "../src/index.ts";
import {
  SIGSET_BYTES,
  boot,
  cwd,
  isSettled,
  list,
  pipe,
  rejection,
  signals,
  text,
  timespec,
  until,
  viewOf,
} from "./kernel.ts";

const CLD_EXITED = 1;
const CLD_KILLED = 2;

let kernel: Kernel;

before(async () => {
  kernel = await boot();
});

after(() => kernel.halt());

/** Waits for ever, unless a signal comes. */
function waitForEver(process: Process): Promise<number> {
  return process.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, timespec(1e6 * 1e9), null);
}

suite("a process has its own", () => {
  test("credentials", async () => {
    const one = await kernel.process({ uid: 1000, gid: 100, groups: [5, 6] });
    const two = await kernel.process();
    assert.deepEqual([await one.getuid(), await one.geteuid()], [1000, 1000]);
    assert.deepEqual([await one.getgid(), await one.getegid()], [100, 100]);
    const groups = new Int32Array(8);
    assert.equal(await one.getgroups(8, new Uint8Array(groups.buffer)), 2);
    assert.deepEqual([...groups.subarray(0, 2)], [5, 6]);
    assert.equal(await two.getuid(), 0);
    // They count, on every thread.
    const file = await two.openat(AT_FDCWD, "/tmp/secret", O_CREAT | O_RDWR, 0o600);
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => one.openat(AT_FDCWD, "/tmp/secret", O_RDWR, 0)),
    );
    for (const result of results) {
      assert.equal(result.status, "rejected");
      assert.equal(result.reason.code, "EACCES");
    }
    await assert.rejects(one.chroot("/tmp"), { code: "EPERM" });
    await assert.rejects(one.kill(two.pid, SIGKILL), { code: "EPERM" });
    await two.close(file);
    await one.exit();
    await two.exit();
  });

  test("umask", async () => {
    const one = await kernel.process({ umask: 0o077 });
    const two = await kernel.process();
    assert.equal(await one.umask(0o007), 0o077);
    assert.equal(await two.umask(0), 0o022);
    assert.equal(await one.umask(0o007), 0o007);
    await one.exit();
    await two.exit();
  });

  test("working directory", async () => {
    const one = await kernel.process({ cwd: "/proc" });
    const two = await kernel.process();
    assert.equal(await cwd(one), "/proc");
    assert.equal(await cwd(two), "/");
    await one.chdir("sys");
    assert.equal(await cwd(one), "/proc/sys");
    // On all its threads.
    const cwds = await Promise.all(Array.from({ length: 5 }, () => cwd(one)));
    assert.deepEqual(new Set(cwds), new Set(["/proc/sys"]));
    assert.equal(await cwd(two), "/");
    await one.exit();
    await two.exit();
  });

  test("root directory", async () => {
    await kernel.init.mkdirat(AT_FDCWD, "/tmp/jail", 0o755);
    await kernel.init.mkdirat(AT_FDCWD, "/tmp/jail/inside", 0o755);
    const jailed = await kernel.process({ root: "/tmp/jail", cwd: "inside" });
    assert.equal(await cwd(jailed), "/inside");
    assert.deepEqual(await list(jailed, "/"), ["inside"]);
    assert.deepEqual(await list(jailed, "/../.."), ["inside"]);
    await assert.rejects(jailed.openat(AT_FDCWD, "/proc/version", 0, 0), { code: "ENOENT" });
    assert.ok((await list(kernel.init, "/")).includes("proc"));
    await jailed.exit();
  });

  test("descriptors", async () => {
    const one = await kernel.process();
    const two = await kernel.process();
    const [reader, writer] = await pipe(one);
    assert.deepEqual([reader, writer], [0, 1]);
    await assert.rejects(two.write(writer, new Uint8Array(1), 1), { code: "EBADF" });
    assert.deepEqual(await pipe(two), [0, 1]);
    await one.write(writer, Uint8Array.of(1), 1);
    await two.write(1, Uint8Array.of(2), 1);
    const byte = new Uint8Array(1);
    await one.read(0, byte, 1);
    assert.equal(byte[0], 1);
    await two.read(0, byte, 1);
    assert.equal(byte[0], 2);
    await one.exit();
    await two.exit();
  });

  test("name of the system, if it wants", async () => {
    const name = async (process: Process) => {
      const bytes = new Uint8Array(NewUtsname.size);
      await process.uname(bytes);
      return text.decode(new NewUtsname(viewOf(bytes)).nodename).replace(/\0.*/s, "");
    };
    const before = await name(kernel.init);
    const other = await kernel.init.fork({ flags: CLONE_NEWUTS }).catch((error: unknown) => error);
    // A small kernel has no namespaces.
    if (!(other instanceof Error)) {
      const process = other as Process;
      await process.sethostname(text.encode("other"), 5);
      assert.equal(await name(process), "other");
      await process.exit();
    } else assert.equal((other as Error & { code: string }).code, "EINVAL");
    assert.equal(await name(kernel.init), before);
  });
});

suite("fork", () => {
  test("copies descriptors, directory and credentials", async () => {
    const parent = await kernel.process({ uid: 1000, cwd: "/proc" });
    const [, writer] = await pipe(parent);
    const child = await parent.fork();
    assert.notEqual(child.pid, parent.pid);
    assert.equal(await child.getppid(), parent.pid);
    assert.equal(await child.getuid(), 1000);
    assert.equal(await cwd(child), "/proc");
    await child.close(writer);
    await child.chdir("/");
    assert.equal(await parent.write(writer, new Uint8Array(1), 1), 1);
    assert.equal(await cwd(parent), "/proc");
    await child.exit();
    await parent.exit();
  });

  test("may share descriptors", async () => {
    const parent = await kernel.process();
    const child = await parent.fork({ flags: CLONE_FILES });
    const [, writer] = await pipe(child);
    assert.equal(await parent.write(writer, new Uint8Array(1), 1), 1);
    await child.exit();
    assert.equal(await parent.write(writer, new Uint8Array(1), 1), 1);
    await parent.exit();
  });

  test("a parent waits for its child with waitid", async () => {
    const parent = await kernel.process();
    const child = await parent.fork();
    const info = new Uint8Array(Siginfo.size);
    assert.equal(await parent.waitid(P_PID, child.pid, info, WEXITED | WNOHANG, null), 0);
    assert.equal(new Siginfo(viewOf(info)).si_signo, 0);
    const waiting = parent.waitid(P_PID, child.pid, info, WEXITED, null);
    assert.equal(await isSettled(waiting), false);
    await kernel.init.kill(child.pid, SIGTERM);
    await waiting;
    const { si_signo, si_code } = new Siginfo(viewOf(info));
    assert.deepEqual([si_signo, si_code], [SIGCHLD, CLD_KILLED]);
    // Its si_pid, si_uid and si_status.
    const fields = new Int32Array(info.buffer, Siginfo.offsets.si_code + 4, 3);
    assert.deepEqual([...fields], [child.pid, 0, SIGTERM]);
    assert.deepEqual(await child.exited, { code: null, signal: SIGTERM });
    await assert.rejects(parent.waitid(P_PID, child.pid, info, WEXITED, null), { code: "ECHILD" });
    await parent.exit();
  });

  test("a child that exits is let go, and its parent is told", async () => {
    const parent = await kernel.process();
    await parent.rt_sigprocmask(SIG_BLOCK, signals(SIGCHLD), null, SIGSET_BYTES);
    const told = await parent.signalfd4(-1, signals(SIGCHLD), SIGSET_BYTES, 0);
    const child = await parent.fork();
    await child.exit(7);
    const info = new Uint8Array(SignalfdSiginfo.size);
    await parent.read(told, info, info.length);
    const { ssi_signo, ssi_pid, ssi_code, ssi_status } = new SignalfdSiginfo(viewOf(info));
    assert.deepEqual(
      [ssi_signo, ssi_pid, ssi_code, ssi_status],
      [SIGCHLD, child.pid, CLD_EXITED, 7],
    );
    await assert.rejects(parent.waitid(P_PID, child.pid, null, WEXITED, null), { code: "ECHILD" });
    await parent.exit();
  });

  test("fails if the parent has ended, or ends meanwhile", async () => {
    const gone = await kernel.process();
    await gone.exit();
    await assert.rejects(gone.fork());
    for (let turns = 0; turns < 20; turns++) {
      const parent = await kernel.process();
      const forks = Promise.allSettled([parent.fork(), parent.fork()]);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await kernel.init.kill(parent.pid, SIGKILL);
      await parent.exit();
      for (const fork of await forks) {
        if (fork.status === "fulfilled") await fork.value.exit();
        else assert.ok(fork.reason instanceof TaskExitedError, String(fork.reason));
      }
    }
  });

  test("survives a child that is killed before it did anything", async () => {
    const parent = await kernel.process();
    const children: Process[] = [];
    for (let turns = 0; turns < 20; turns++) {
      const forking = parent.fork();
      const killing = kernel.init.kill(-1, 0).catch(() => {});
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const pids = await list(kernel.init, `/proc/${parent.pid}/task/${parent.pid}`).then(() =>
        list(kernel.init, "/proc"),
      );
      const youngest = Math.max(...pids.map(Number).filter((pid) => pid > parent.pid), 0);
      if (youngest) await kernel.init.kill(youngest, SIGKILL).catch(() => {});
      await killing;
      children.push(await forking);
    }
    for (const child of children) await child.exit();
    assert.equal(await parent.getpid(), parent.pid);
    await parent.exit();
  });
});

suite("signals", () => {
  test("SIGKILL ends the calls that wait, and the process", async () => {
    const process = await kernel.process();
    const child = await process.fork();
    const [reader] = await pipe(child);
    const calls = [waitForEver(child), child.read(reader, new Uint8Array(1), 1)];
    const settled = Promise.allSettled(calls);
    assert.equal(await isSettled(settled), false);
    await process.kill(child.pid, SIGKILL);
    for (const result of await settled) {
      assert.equal(result.status, "rejected");
      assert.ok(result.reason instanceof TaskExitedError);
      assert.match(result.reason.message, /killed by signal 9/);
    }
    assert.deepEqual(await child.exited, { code: null, signal: SIGKILL });
    assert.equal(kernel.processes.has(child), false);
    await assert.rejects(child.getpid(), { code: "ERR_TASK_EXITED" });
    await child.exit();
    await process.exit();
  });

  test("are read from a descriptor", async () => {
    const one = await kernel.process({ uid: 1000 });
    const two = await kernel.process({ uid: 1000 });
    // Before any thread is made: the mask belongs to each, and is inherited.
    await one.rt_sigprocmask(SIG_BLOCK, signals(SIGUSR1, SIGUSR2), null, SIGSET_BYTES);
    const fd = await one.signalfd4(-1, signals(SIGUSR1, SIGUSR2), SIGSET_BYTES, 0);
    const info = new Uint8Array(SignalfdSiginfo.size);
    const reading = one.read(fd, info, info.length);
    assert.equal(await isSettled(reading), false);
    await two.kill(one.pid, SIGUSR2);
    assert.equal(await reading, SignalfdSiginfo.size);
    const { ssi_signo, ssi_pid, ssi_uid } = new SignalfdSiginfo(viewOf(info));
    assert.deepEqual([ssi_signo, ssi_pid, ssi_uid], [SIGUSR2, two.pid, 1000]);
    await one.exit();
    await two.exit();
  });

  test("are waited for", async () => {
    const process = await kernel.process();
    const set = signals(SIGUSR1);
    await process.rt_sigprocmask(SIG_BLOCK, set, null, SIGSET_BYTES);
    const info = new Uint8Array(Siginfo.size);
    const waiting = process.rt_sigtimedwait_time64(set, info, null, SIGSET_BYTES);
    assert.equal(await isSettled(waiting), false);
    await kernel.init.kill(process.pid, SIGUSR1);
    assert.equal(await waiting, SIGUSR1);
    assert.equal(new Siginfo(viewOf(info)).si_signo, SIGUSR1);
    await assert.rejects(process.rt_sigtimedwait_time64(set, info, timespec(1e6), SIGSET_BYTES), {
      code: "EAGAIN",
    });
    await process.exit();
  });

  test("do not end pid 1", async () => {
    for (const signal of [SIGKILL, SIGTERM]) await kernel.init.kill(1, signal);
    assert.equal(await kernel.init.getpid(), 1);
    const helper = await kernel.process();
    await helper.kill(1, SIGKILL);
    await helper.exit();
    assert.equal(await kernel.init.getpid(), 1);
  });

  test("a write to a pipe that nobody reads is an error, not the writer's end", async () => {
    const process = await kernel.process();
    const [reader, writer] = await pipe(process);
    await process.close(reader);
    await assert.rejects(process.write(writer, new Uint8Array(1), 1), { code: "EPIPE" });
    assert.equal(await process.getpid(), process.pid);
    await process.exit();
  });
});

suite("the end of a process", () => {
  test("exit() closes its descriptors and rejects its calls", async () => {
    const parent = await kernel.process();
    const [reader, writer] = await pipe(parent);
    const child = await parent.fork();
    await parent.close(writer);
    const sleeping = rejection(waitForEver(child));
    const reading = parent.read(reader, new Uint8Array(1), 1);
    assert.equal(await isSettled(reading), false);
    await child.exit(200);
    assert.equal(await reading, 0);
    assert.ok((await sleeping) instanceof TaskExitedError);
    assert.deepEqual(await child.exited, { code: 200, signal: null });
    await assert.rejects(child.getpid(), { code: "ERR_DISPOSED" });
    await child.exit();
    await parent.exit();
  });

  test("await using ends it", async () => {
    let seen: Process;
    {
      await using process = await kernel.process();
      seen = process;
      assert.ok(kernel.processes.has(process));
    }
    assert.equal(kernel.processes.has(seen), false);
    assert.deepEqual(await seen.exited, { code: 0, signal: null });
  });

  test("pid 1 cannot exit, and goes on", async () => {
    await assert.rejects(kernel.init.exit(), /halt/);
    assert.equal(await kernel.init.getpid(), 1);
    assert.ok(kernel.running);
  });

  test("its tasks and its place in /proc go with it", async () => {
    const tasks = kernel.stats.tasks;
    const process = await kernel.process();
    const calls = Promise.allSettled(Array.from({ length: 20 }, () => waitForEver(process)));
    await until(() => kernel.stats.tasks >= tasks + 21);
    await process.exit();
    await calls;
    await until(() => kernel.stats.tasks <= tasks);
    assert.ok(!(await list(kernel.init, "/proc")).includes(String(process.pid)));
  });

  test("its calls reject when its kernel stops, also those that were not begun", async () => {
    const other = await boot();
    const process = await other.process({ maxThreads: 1 });
    const results = Promise.allSettled([waitForEver(process), process.getpid(), process.fork()]);
    other.dispose();
    for (const result of await results) {
      assert.equal(result.status, "rejected");
      assert.ok(result.reason instanceof KernelStoppedError);
    }
    assert.ok((await rejection(process.exited)) instanceof KernelStoppedError);
    await process.exit();
  });
});

test("a call for which the kernel has no room for a thread is refused", async () => {
  await using kernel = await boot();
  const process = await kernel.process({ maxThreads: 4096 });
  const [reader, writer] = await pipe(process);
  const calls = 300;
  const reads = Array.from({ length: calls }, () =>
    process.read(reader, new Uint8Array(1), 1).then(
      () => "read",
      (error: unknown) => (error as NodeJS.ErrnoException).code,
    ),
  );
  let refused = 0;
  for (const read of reads)
    void read.then((result) => {
      if (result === "EAGAIN") refused++;
    });
  await until(() => refused > 0);
  // Refused, too, unless the kernel has ended a thread of its own meanwhile: but it is settled.
  const wrote = await process
    .write(writer, new Uint8Array(calls), calls)
    .catch((error: unknown) => {
      assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
      return 0;
    });
  assert.ok(wrote === 0 || wrote === calls);
  await process.exit();
  const results = await Promise.all(reads);
  // Those that had not begun when the process ended are told that it has.
  const ends = new Set(["read", "EAGAIN", "ERR_TASK_EXITED", "ERR_DISPOSED"]);
  assert.ok(results.every((result) => ends.has(result ?? "")));
});
