// Tasks in user mode: the host gives them system calls to make.
//
// Invariants: a task has at most one call, from call() until its promise settles. While
// it has none the kernel does not read its registers. The holder is the task that is in
// user mode on the CPU and suspended in enter(); every other user task sleeps in the
// kernel (`asleep`), is in a call, or is about to enter.

import {
  LKL_USER_BUSY,
  LKL_USER_CALL,
  LKL_USER_INTERRUPT,
  LKL_USER_RETURNED,
  LKL_USER_RUN,
  LKL_USER_WAIT,
  PtRegs,
} from "../abi/host.ts";
import { IRQ } from "./board.ts";
import type { Cpu } from "./cpu.ts";
import type { Memory } from "./memory.ts";
import { UNWIND } from "./threads.ts";

const REG_NR = PtRegs.offsets.nr >> 2;
const REG_ARGS = PtRegs.offsets.args >> 2;
const REG_RET = PtRegs.offsets.ret >> 2;
const REG_ABORT = PtRegs.offsets.abort >> 2;
const REG_CHILD = PtRegs.offsets.child >> 2;
const NO_EVENT = -1;
/**
 * How many microtasks a task keeps the CPU from others that want it: what the caller does
 * with a result is often the next call, and then sleeping and waking up cost more than it.
 */
const GRACE_MICROTASKS = 8;

/** The task ended, by itself or by a signal, before its call returned. */
export class TaskExitedError extends Error {
  override readonly name = "TaskExitedError";
  readonly code = "ERR_TASK_EXITED";
  readonly pid: number;
  /** As in waitid(): the low 7 bits are the signal, if any; the next 8 the exit code. */
  readonly status: number;

  constructor(pid: number, status: number) {
    const how = status & 0x7f ? `was killed by signal ${status & 0x7f}` : "exited";
    super(`task ${pid} ${how}`);
    this.pid = pid;
    this.status = status;
  }
}

/** A task of the kernel whose user mode is the host. */
export class UserTask {
  readonly #tasks: UserTasks;
  /** The address of its task_struct. */
  readonly address: number;
  readonly pid: number;
  readonly tgid: number;
  /** Its pt_regs, as an index of 32-bit words; 0 until it first enters user mode. */
  regs = 0;
  event: number = NO_EVENT;
  /** Sleeps in the kernel until it is named in user_next(). */
  asleep = false;
  resolve: ((result: number) => void) | null = null;
  reject: ((why: Error) => void) | null = null;
  /** Exit status once it ended. */
  exited: number | null = null;
  /** Called when it ended. */
  onExit: ((status: number) => void) | null = null;

  constructor(tasks: UserTasks, address: number, pid: number, tgid: number) {
    this.#tasks = tasks;
    this.address = address;
    this.pid = pid;
    this.tgid = tgid;
  }

  get busy(): boolean {
    return this.resolve !== null;
  }

  /**
   * Make a system call. `resolve` gets what the kernel returns, a negative errno included, and
   * `reject` why it never will. Must not be called while the task is busy.
   */
  start(
    nr: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
    resolve: (result: number) => void,
    reject: (why: Error) => void,
  ): void {
    this.#tasks.start(this, LKL_USER_CALL, nr, a, b, c, d, e, f, resolve, reject);
  }

  /** As {@link start}, with a promise. */
  call(nr: number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): Promise<number> {
    return new Promise((resolve, reject) => this.start(nr, a, b, c, d, e, f, resolve, reject));
  }

  /** Run the WebAssembly function (i32) → i32 in this slot of the kernel's table. */
  run(
    slot: number,
    argument: number,
    resolve: (result: number) => void,
    reject: (why: Error) => void,
  ): void {
    this.#tasks.start(this, LKL_USER_RUN, slot, argument, 0, 0, 0, 0, 0, resolve, reject);
  }

  /** End the call with EINTR if it sleeps, or does so later, interruptibly. */
  abort(): void {
    this.#tasks.abort(this);
  }

  /** The task that this one's last clone() made. */
  get child(): number {
    return this.#tasks.register(this, REG_CHILD) >>> 0;
  }
}

export class UserTasks {
  readonly #memory: Memory;
  readonly #cpu: Cpu;
  readonly #tasks = new Map<number, UserTask>();
  /** Tasks that ended before anybody asked for them, by the address that they had. */
  readonly #unclaimed = new Map<number, UserTask>();
  readonly #expected = new Map<number, PromiseWithResolvers<UserTask>>();
  #attention: UserTask[] = [];
  #holder: UserTask | null = null;
  #resume: ((event: number) => void) | null = null;
  #abandon: ((why: Error) => void) | null = null;
  /** Microtasks left to the holder, if they are counted; else 0. */
  #grace = 0;
  #waitsForGrace = false;
  #failed: Error | null = null;
  /** How many calls were begun, by all tasks. */
  begun = 0;

  constructor(memory: Memory, cpu: Cpu) {
    this.#memory = memory;
    this.#cpu = cpu;
  }

  /**
   * The task at an address, as soon as it is in user mode for the first time. It may have ended
   * there already.
   */
  at(address: number): Promise<UserTask> {
    if (this.#failed) return Promise.reject(this.#failed);
    const task = this.#tasks.get(address) ?? this.#unclaimed.get(address);
    if (task) {
      this.#unclaimed.delete(address);
      return Promise.resolve(task);
    }
    const expected = Promise.withResolvers<UserTask>();
    this.#expected.set(address, expected);
    return expected.promise;
  }

  get count(): number {
    return this.#tasks.size;
  }

  /** Called for every task that enters user mode for the first time. */
  onNew: ((task: UserTask) => void) | null = null;

  register(task: UserTask, index: number): number {
    return this.#memory.i32[task.regs + index];
  }

  /** @internal */
  start(
    task: UserTask,
    event: number,
    nr: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
    resolve: (result: number) => void,
    reject: (why: Error) => void,
  ): void {
    if (this.#failed) return reject(this.#failed);
    if (task.exited !== null) return reject(new TaskExitedError(task.pid, task.exited));
    const { i32 } = this.#memory;
    const regs = task.regs;
    i32[regs + REG_NR] = nr;
    i32[regs + REG_ARGS] = a;
    i32[regs + REG_ARGS + 1] = b;
    i32[regs + REG_ARGS + 2] = c;
    i32[regs + REG_ARGS + 3] = d;
    i32[regs + REG_ARGS + 4] = e;
    i32[regs + REG_ARGS + 5] = f;
    this.#cpu.inFlight++;
    this.begun++;
    task.resolve = resolve;
    task.reject = reject;
    if (this.#holder === task) this.#release(event);
    else {
      task.event = event;
      if (!task.asleep) return;
      task.asleep = false;
      this.#attend(task);
    }
  }

  abort(task: UserTask): void {
    if (!task.busy || task.exited !== null) return;
    // A call that the kernel has not seen yet is aborted as soon as it sleeps.
    this.#memory.i32[task.regs + REG_ABORT] = 1;
    this.#attend(task);
  }

  #attend(task: UserTask): void {
    this.#attention.push(task);
    if (this.#holder) {
      this.#cpu.mark(IRQ.User);
      this.#sleep();
    } else this.#cpu.raise(IRQ.User);
  }

  #release(event: number): void {
    const resume = this.#resume!;
    this.#holder = this.#resume = this.#abandon = null;
    this.#grace = 0;
    this.#cpu.interruptUser = null;
    this.#cpu.resume();
    resume(event);
  }

  readonly #interrupt = (): void => this.#release(LKL_USER_INTERRUPT);

  /** Import user_enter: the task is in user mode until this returns. */
  readonly enter = (
    address: number,
    regsAddress: number,
    flags: number,
  ): Promise<number> | number => {
    if (this.#failed) return Promise.reject(UNWIND);
    const task = this.#tasks.get(address >>> 0)!;
    task.regs = regsAddress >>> 2;
    if (flags & LKL_USER_RETURNED && task.resolve) {
      const { resolve } = task;
      task.resolve = task.reject = null;
      this.#cpu.inFlight--;
      this.#cpu.timerRang = false;
      resolve(this.#memory.i32[task.regs + REG_RET]);
    }
    const { event } = task;
    if (event !== NO_EVENT) {
      task.event = NO_EVENT;
      return event;
    }
    if (this.#cpu.interruptPending) return LKL_USER_INTERRUPT;
    // Hold the CPU only while calls come faster than ticks.
    if (this.#cpu.timerRang) {
      task.asleep = true;
      return LKL_USER_WAIT;
    }
    return new Promise((resolve, reject) => {
      this.#holder = task;
      this.#resume = resolve;
      this.#abandon = reject;
      this.#cpu.interruptUser = this.#interrupt;
      // With a virtual clock no tick would end it.
      if (flags & LKL_USER_BUSY || !this.#cpu.clock.real) {
        this.#grace = GRACE_MICROTASKS;
        if (!this.#waitsForGrace) this.#countGrace();
      } else this.#cpu.pause();
    });
  };

  /** The holder sleeps when its time is over. */
  #countGrace(): void {
    this.#waitsForGrace = true;
    queueMicrotask(() => {
      this.#waitsForGrace = false;
      if (!this.#grace) return;
      if (--this.#grace) this.#countGrace();
      else this.#sleep();
    });
  }

  /** The holder has no use for the CPU. */
  #sleep(): void {
    this.#holder!.asleep = true;
    this.#release(LKL_USER_WAIT);
  }

  /** Import user_next. */
  readonly next = (): number => {
    for (;;) {
      const task = this.#attention.shift();
      if (!task) return 0;
      if (task.exited === null) return task.address;
    }
  };

  /** Import user_new. */
  readonly new = (address: number, pid: number, tgid: number): void => {
    address >>>= 0;
    const task = new UserTask(this, address, pid, tgid);
    this.#tasks.set(address, task);
    this.#unclaimed.delete(address);
    this.#expected.get(address)?.resolve(task);
    this.#expected.delete(address);
    this.onNew?.(task);
  };

  /** Import user_exit. */
  readonly exit = (address: number, status: number): void => {
    const task = this.#tasks.get(address >>> 0);
    if (!task) return;
    this.#tasks.delete(address >>> 0);
    task.exited = status;
    if (task.reject) {
      this.#cpu.inFlight--;
      task.reject(new TaskExitedError(task.pid, status));
      task.resolve = task.reject = null;
    }
    if (task.onExit) task.onExit(status);
    else this.#unclaimed.set(task.address, task);
  };

  /** The machine ended: fail every call, unwind the holder. */
  fail(why: Error): void {
    this.#failed = why;
    this.#abandon?.(UNWIND);
    this.#holder = this.#resume = this.#abandon = null;
    this.#grace = 0;
    this.#cpu.interruptUser = null;
    for (const task of this.#tasks.values()) {
      const { reject } = task;
      task.resolve = task.reject = null;
      reject?.(why);
    }
    this.#cpu.inFlight = 0;
    this.#tasks.clear();
    this.#unclaimed.clear();
    for (const { reject } of this.#expected.values()) reject(why);
    this.#expected.clear();
    this.#attention = [];
  }
}
