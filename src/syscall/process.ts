// A process: a task of the kernel with descriptors, root, directory and credentials of its
// own, whose calls the application makes.
//
// Invariants: the leader makes no call of the application's. It makes threads (clones of
// itself that share all it has) and what has to be true of all of them. A thread is free
// (in #free) or makes one call; a call waits (in #waiting) only while all threads that
// there may be are busy.

import { SystemCalls } from "../abi/calls.ts";
import type { Argument, CallDescriptor, CallOptions } from "../abi/calls.ts";
import {
  CLONE_FILES,
  CLONE_FS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VM,
} from "../abi/constants/sched.ts";
import { SIGCHLD } from "../abi/constants/signal.ts";
import { WEXITED, P_PID } from "../abi/constants/wait.ts";
import { errno } from "../abi/errno.ts";
import { NR } from "../abi/numbers.ts";
import type { CallName } from "../abi/numbers.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Machine } from "../machine/machine.ts";
import { TaskExitedError } from "../machine/user.ts";
import type { UserTask } from "../machine/user.ts";
import type { Arena } from "./arena.ts";
import type { Mapper } from "./arena.ts";
import { KernelBuffer } from "./buffer.ts";
import { DisposedError, SystemError, isError } from "./errors.ts";
import { Marshalled, namesAmong, placeDirect } from "./marshal.ts";
import type { Series } from "./series.ts";

const THREAD_FLAGS =
  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
const WORDS = 6;

/** How many calls of one process may be in the kernel at once. */
export const DEFAULT_MAX_THREADS = 256;
/** As many threads as the kernel can number (PID_MAX_DEFAULT). */
export const MAX_THREADS = 32768;
/** Free threads beyond this many end. */
const MAX_FREE_THREADS = 64;

/**
 * Calls that change what belongs to one thread alone, though a process is meant, as libc
 * sees to elsewhere: made by the leader, when no other thread is left to differ from it.
 */
const WHOLE_PROCESS: ReadonlySet<number> = new Set(
  (
    [
      "setuid",
      "setgid",
      "setreuid",
      "setregid",
      "setresuid",
      "setresgid",
      "setfsuid",
      "setfsgid",
      "setgroups",
      "capset",
      "unshare",
      "setns",
      "seccomp",
      "personality",
      "prctl",
      "rt_sigprocmask",
      "landlock_restrict_self",
    ] as const satisfies readonly CallName[]
  ).map((name) => NR[name]),
);

/** How a process ended. */
export interface ExitStatus {
  /** What it gave to exit(), or null if a signal ended it. */
  readonly code: number | null;
  /** The signal that ended it, or null. */
  readonly signal: number | null;
}

/** What the processes of one kernel share. */
export interface ProcessContext {
  readonly machine: Machine;
  readonly arena: Arena;
  readonly mapper: Mapper;
  /** Told of every process that is made, and when it has ended. */
  added(process: Process): void;
  removed(process: Process): void;
}

type Run = (thread: UserTask) => void;
/** Starts a call on a thread. */
type Start = (thread: UserTask, done: (result: number) => void, fail: (why: Error) => void) => void;

/** A call that waits for a thread. */
interface Waiting {
  readonly run: Run;
  readonly fail: (why: Error) => void;
}

/**
 * A process of the kernel. Its methods are the system calls, by the kernel's names: each makes
 * the call in the context of this process, suspends as long as the kernel lets it wait, and
 * rejects with a {@link SystemError}. Any number may be in flight; up to `maxThreads` of
 * them are in the kernel at once. Strings and byte arrays are copied; a {@link KernelBuffer}
 * is used in place.
 */
export class Process extends SystemCalls {
  readonly #context: ProcessContext;
  readonly #leader: UserTask;
  /** The process id as its parent sees it. */
  readonly pid: number;
  readonly #parent: Process | null;
  readonly #maxThreads: number;
  readonly #threads = new Set<UserTask>();
  readonly #free: UserTask[] = [];
  #waiting: Waiting[] = [];
  #spawning = 0;
  /** The leader's work, one thing after the other. */
  #leading: Promise<unknown> = Promise.resolve();
  /** Being set up: the leader makes the calls itself, one by one. */
  #settingUp = false;
  #closed: Promise<void> | null = null;
  /** Why no call can be made any more. */
  #ended: Error | null = null;
  readonly #rejectExited: (why: Error) => void;
  /** Settles when the process ended. Rejects if the kernel stops before. */
  readonly exited: Promise<ExitStatus>;

  /** @internal Use {@link Kernel.process} or {@link Process.fork}. */
  constructor(
    context: ProcessContext,
    leader: UserTask,
    pid: number,
    parent: Process | null,
    maxThreads: number,
  ) {
    super();
    this.#context = context;
    this.#leader = leader;
    this.pid = pid;
    this.#parent = parent;
    this.#maxThreads = maxThreads;
    const exited = Promise.withResolvers<ExitStatus>();
    this.exited = exited.promise;
    this.exited.catch(() => {});
    this.#rejectExited = exited.reject;
    const onExit = (status: number) => {
      this.#end(new TaskExitedError(pid, status));
      exited.resolve(
        status & 0x7f
          ? { code: null, signal: status & 0x7f }
          : { code: (status >> 8) & 0xff, signal: null },
      );
    };
    leader.onExit = onExit;
    context.added(this);
    // A signal may have ended it before it was known here.
    if (leader.exited !== null) onExit(leader.exited);
  }

  /** @internal The kernel ended, and this process with it. */
  kernelStopped(why: Error): void {
    this.#end(why);
    this.#rejectExited(why);
  }

  #end(why: Error): void {
    if (this.#ended) return;
    this.#ended = why;
    this.#failWaiting(why);
    this.#context.removed(this);
  }

  /** How many calls are in the kernel or wait for a thread. */
  get callsInFlight(): number {
    return this.#threads.size - this.#free.length + this.#waiting.length;
  }

  /** How many calls all processes of the kernel have begun. @internal */
  get callsBegun(): number {
    return this.#context.machine.users.begun;
  }

  // --- Threads ---------------------------------------------------------------------------

  /** Run with a thread that is free, now or as soon as one is. */
  #withThread(run: Run, fail: (why: Error) => void): void {
    if (this.#settingUp) return run(this.#leader);
    const thread = this.#free.pop();
    if (thread) run(thread);
    else {
      this.#waiting.push({ run, fail });
      if (this.#threads.size + this.#spawning < this.#maxThreads) this.#spawn();
    }
  }

  #release(thread: UserTask): void {
    if (thread === this.#leader) return;
    if (thread.exited !== null) this.#threads.delete(thread);
    else if (this.#waiting.length) this.#waiting.shift()!.run(thread);
    else if (this.#free.length < MAX_FREE_THREADS) this.#free.push(thread);
    else this.#retire(thread);
  }

  #retire(thread: UserTask): void {
    this.#threads.delete(thread);
    const ended = () => {};
    thread.start(NR.exit, 0, 0, 0, 0, 0, 0, ended, ended);
  }

  #spawn(): void {
    this.#spawning++;
    this.#lead(async (leader) => {
      const pid = await leader.call(NR.clone, THREAD_FLAGS);
      if (isError(pid)) throw new SystemError(pid, "clone");
      return this.#context.machine.users.at(leader.child);
    }).then(
      (thread) => {
        this.#spawning--;
        this.#threads.add(thread);
        thread.onExit = () => this.#threadEnded(thread);
        this.#release(thread);
      },
      (why: unknown) => {
        this.#spawning--;
        // The call that wanted it fails: what it waits behind may be waiting for it.
        if (this.#threads.size) this.#waiting.pop()?.fail(why as Error);
        else this.#failWaiting(why as Error);
      },
    );
  }

  #threadEnded(thread: UserTask): void {
    this.#threads.delete(thread);
    const index = this.#free.indexOf(thread);
    if (index >= 0) this.#free.splice(index, 1);
  }

  #failWaiting(why: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { fail } of waiting) fail(why);
  }

  /** Do something with the leader, after what it is doing. */
  #lead<T>(work: (leader: UserTask) => Promise<T>): Promise<T> {
    const done = this.#leading.then(() => work(this.#leader));
    this.#leading = done.catch(() => {});
    return done;
  }

  /** Let the leader make a call when it is the process's only thread. */
  async #callWhole(
    start: Start,
    done: (result: number) => void,
    fail: (why: Error) => void,
  ): Promise<void> {
    try {
      const result = await this.#lead((leader) => {
        if (this.callsInFlight || this.#spawning)
          throw new Error(
            "this call changes the whole process: make it when no other call is in flight",
          );
        for (const thread of this.#free.splice(0)) this.#retire(thread);
        return new Promise<number>((resolve, reject) => start(leader, resolve, reject));
      });
      done(result);
    } catch (error) {
      fail(error as Error);
    }
  }

  // --- Calls -----------------------------------------------------------------------------

  protected override scalar(
    nr: number,
    name: CallName,
    options: CallOptions | undefined,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ): Promise<number> {
    // The common case takes no detour: a thread is free, and nothing special is asked.
    const thread = options?.signal || this.#leads(nr) ? undefined : this.#free.pop();
    return new Promise((resolve, reject) => {
      const returned = (result: number) => {
        if (isError(result)) reject(new SystemError(result, name));
        else resolve(result);
      };
      if (thread) {
        const release = (result: number) => {
          this.#release(thread);
          returned(result);
        };
        thread.start(nr, a, b, c, d, e, f, release, reject);
        return;
      }
      this.#perform(
        nr,
        options?.signal,
        (given, done, fail) => given.start(nr, a, b, c, d, e, f, done, fail),
        returned,
        reject,
      );
    });
  }

  /** Whether the leader makes this call, or none can be made. */
  #leads(nr: number): boolean {
    return this.#settingUp || this.#closed !== null || WHOLE_PROCESS.has(nr);
  }

  protected override marshalled(
    call: CallDescriptor,
    args: readonly Argument[],
    options: CallOptions | undefined,
  ): Promise<number> {
    const words = new Int32Array(WORDS);
    try {
      if (placeDirect(call, args, words))
        return new Promise((resolve, reject) =>
          this.#performWords(call, args, words, options?.signal, resolve, reject),
        );
      return this.#performStaged(new Marshalled(call, args), call, args, words, options?.signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** A call whose words are ready. */
  #performWords(
    call: CallDescriptor,
    args: readonly Argument[],
    words: Int32Array,
    signal: AbortSignal | undefined,
    done: (result: number) => void,
    fail: (why: Error) => void,
  ): void {
    const [a, b, c, d, e, f] = words as unknown as [number, number, number, number, number, number];
    this.#perform(
      call.nr,
      signal,
      (thread, returned, failed) => thread.start(call.nr, a, b, c, d, e, f, returned, failed),
      (result) => {
        if (isError(result)) fail(new SystemError(result, call.name, ...namesAmong(args)));
        else done(call.returnsAddress ? result >>> 0 : result);
      },
      fail,
    );
  }

  /** A call some of whose buffers have to be copied. */
  async #performStaged(
    marshalled: Marshalled,
    call: CallDescriptor,
    args: readonly Argument[],
    words: Int32Array,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const { arena } = this.#context;
    const { size } = marshalled;
    const block = arena.take(size) || (await arena.grow(size));
    try {
      marshalled.place(arena, block, words);
      const result = await new Promise<number>((resolve, reject) =>
        this.#performWords(call, args, words, signal, resolve, reject),
      );
      marshalled.collect(arena, block, result);
      return result;
    } finally {
      // Also after a failure: a task that was killed no longer uses the block.
      arena.give(block, size);
    }
  }

  #perform(
    nr: number,
    signal: AbortSignal | undefined,
    start: Start,
    done: (result: number) => void,
    fail: (why: Error) => void,
  ): void {
    if (this.#closed) return fail(this.#closedError());
    if (this.#ended) return fail(this.#ended);
    if (signal?.aborted) return fail(signal.reason as Error);
    if (WHOLE_PROCESS.has(nr) && !this.#settingUp) {
      void this.#callWhole(start, done, fail);
      return;
    }
    if (signal) return this.#performAbortable(signal, start, done, fail);
    this.#withThread((thread) => {
      start(
        thread,
        (result) => {
          this.#release(thread);
          done(result);
        },
        fail,
      );
    }, fail);
  }

  #performAbortable(
    signal: AbortSignal,
    start: Start,
    done: (result: number) => void,
    fail: (why: Error) => void,
  ): void {
    let thread: UserTask | null = null;
    const run: Run = (given) => {
      thread = given;
      start(
        given,
        (result) => {
          signal.removeEventListener("abort", abort);
          this.#release(given);
          if (signal.aborted && result === -errno.EINTR) fail(signal.reason as Error);
          else done(result);
        },
        (why) => {
          signal.removeEventListener("abort", abort);
          fail(why);
        },
      );
    };
    const abort = () => {
      if (thread) thread.abort();
      else {
        const index = this.#waiting.findIndex((waiting) => waiting.run === run);
        if (index >= 0) this.#waiting.splice(index, 1);
        fail(signal.reason as Error);
      }
    };
    signal.addEventListener("abort", abort, { once: true });
    this.#withThread(run, (why) => {
      signal.removeEventListener("abort", abort);
      fail(why);
    });
  }

  #closedError(): Error {
    return new DisposedError(`process ${this.pid} has exited`);
  }

  /**
   * Make calls one right behind the other on one thread, with no step of JavaScript's queues in
   * between: each costs a fraction of one that is awaited. What it is made of decides call by call,
   * and is over when it says so; a call of {@link WHOLE_PROCESS} cannot be among them.
   *
   * @internal
   */
  series(calls: Series): void {
    const failed = (why: Error) => calls.failed(why);
    const start: Start = (thread, done) => {
      const next = (result: number) => {
        let call;
        try {
          call = calls.next(result);
        } catch (error) {
          // It must not unwind the kernel, on whose stack it is.
          done(0);
          failed(error as Error);
          return;
        }
        if (call)
          thread.start(call.nr, call.a, call.b, call.c, call.d, call.e, call.f, next, failed);
        else done(0);
      };
      next(0);
    };
    this.#perform(-1, undefined, start, () => {}, failed);
  }

  /**
   * Run a WebAssembly function (i32) → i32 as a thread of this process, on the kernel's own
   * stack for it. The function may import {@link Kernel.syscall} and call it directly,
   * without JavaScript in between. A trap in it ends the kernel.
   *
   * @throws {TypeError} if it is no such function
   */
  async run(body: WebAssembly.ExportValue, argument = 0): Promise<number> {
    const { machine } = this.#context;
    const slot = machine.takeSlot(body);
    try {
      return await new Promise((resolve, reject) => {
        this.#perform(
          -1,
          undefined,
          (thread, done, fail) => thread.run(slot, argument, done, fail),
          resolve,
          reject,
        );
      });
    } finally {
      machine.giveSlot(slot);
    }
  }

  /** Kernel memory to use in calls without copies. Every process of the kernel may use it. */
  buffer(lengthBytes: number): Promise<KernelBuffer> {
    return KernelBuffer.map(this.#context.machine.memory, this.#context.mapper, lengthBytes);
  }

  // --- Life ------------------------------------------------------------------------------

  /**
   * A child: a copy of this process's descriptors, directories and credentials. The memory is
   * the same. `flags` may add CLONE_NEW… for namespaces, or CLONE_FILES to share descriptors.
   * Its end is reported to this process, as by fork().
   */
  async fork(options: { flags?: number; maxThreads?: number } = {}): Promise<Process> {
    if (this.#closed) throw this.#closedError();
    if (this.#ended) throw this.#ended;
    const { flags = 0, maxThreads = this.#maxThreads } = options;
    if (!(Number.isInteger(maxThreads) && maxThreads >= 1 && maxThreads <= MAX_THREADS))
      throw new InvalidOptionError(
        "maxThreads",
        `${maxThreads}: it is a whole number from 1 to ${MAX_THREADS}`,
      );
    return this.#lead(async (leader) => {
      const pid = await leader.call(NR.clone, CLONE_VM | SIGCHLD | flags);
      if (isError(pid)) throw new SystemError(pid, "clone");
      const child = await this.#context.machine.users.at(leader.child);
      return new Process(this.#context, child, pid, this, maxThreads);
    });
  }

  /** Make calls, one after the other, before the process has any thread. @internal */
  async setUp(calls: () => Promise<void>): Promise<void> {
    this.#settingUp = true;
    try {
      await calls();
    } finally {
      this.#settingUp = false;
    }
  }

  /** A call by the leader, whatever the threads are doing: it must not wait. @internal */
  async leaderCall(name: CallName, ...words: number[]): Promise<number> {
    const [a, b, c, d, e, f] = words;
    const result = await this.#lead((leader) => leader.call(NR[name], a, b, c, d, e, f));
    if (isError(result)) throw new SystemError(result, name);
    return result;
  }

  /**
   * End the process, as exit_group(2): its calls in flight reject, its descriptors are closed.
   * Settles when it is gone. Pid 1 ends with its kernel only.
   *
   * @param code 0 to 255
   */
  async exit(code = 0): Promise<void> {
    if (!this.#parent) throw new Error("process 1 ends with its kernel: halt that");
    await (this.#closed ??= this.#exit(code, this.#parent));
  }

  async #exit(code: number, parent: Process): Promise<void> {
    if (this.#ended) return;
    const leader = this.#leader;
    const ignore = () => {};
    await this.#leading;
    if (leader.exited === null) leader.start(NR.exit_group, code, 0, 0, 0, 0, 0, ignore, ignore);
    await this.exited.catch(ignore);
    await parent.#reap(this.pid).catch(ignore);
  }

  /** Let go of a child that ended. Children of pid 1 need none: it ignores SIGCHLD. */
  async #reap(pid: number): Promise<void> {
    if (!this.#parent || this.#closed) return;
    await this.leaderCall("waitid", P_PID, pid, 0, WEXITED, 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.exit();
  }
}
