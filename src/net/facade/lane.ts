// Calls on sockets, one right behind the other.
//
// Invariants: at most one job is between two of its yields with a call, and it alone uses the
// memory; it keeps nothing there while it waits at a gate. No call of a job waits in the kernel:
// every socket is non-blocking, and readiness is waited for elsewhere (reactor.ts). So a job that
// comes after another on the same descriptor finds it as the other left it, and one thread does for
// all. While there are jobs that thread makes call after call without leaving the kernel for
// JavaScript's queues; what it settles meanwhile the application gets when it pauses.

import type { CallName } from "../../abi/numbers.ts";
import { NR } from "../../abi/numbers.ts";
import { KernelSockaddrStorage } from "../../abi/structs/socket.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import { SystemError, isError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import { CallWords } from "../../syscall/series.ts";
import type { Series } from "../../syscall/series.ts";
import { asBytes } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { putEndpoint, takeEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Gate, Job, Task } from "./job.ts";

/** What one call sends or receives at most. */
export const DATA_BYTES = 256 << 10;
/** Room for any option's value. */
const VALUE_BYTES = 4096;
const NAME_BYTES = KernelSockaddrStorage.size;
const LENGTH_BYTES = 4;
/** Where in the memory what is. */
const VALUE_AT = DATA_BYTES;
const NAME_AT = VALUE_AT + VALUE_BYTES;
const NAME_LENGTH_AT = NAME_AT + NAME_BYTES;
const VALUE_LENGTH_AT = NAME_LENGTH_AT + LENGTH_BYTES;
const MEMORY_BYTES = VALUE_LENGTH_AT + LENGTH_BYTES;

/** A call's result, which has to be none of its errors. @throws {SystemError} */
export function succeeded(result: number, name: CallName): number {
  if (isError(result)) throw new SystemError(result, name);
  return result;
}

/** What is told of a lane's pauses. */
export interface Watcher {
  /** No job is left: a last one, that may find more of them, or null. */
  look(): Task | null;
  /** The thread goes on. */
  started(): void;
  /** It pauses. */
  paused(): void;
  /** It could not make a call. */
  broken(why: Error): void;
}

/** The one place where sockets make their calls, and the kernel memory that they use for it. */
export class Lane implements Series {
  readonly process: Process;
  readonly #buffer: KernelBuffer;
  readonly #words = new CallWords();
  #tasks: Task[] = [];
  /** The first that has not begun. */
  #next = 0;
  /** The one whose call is being made. */
  #current: Task | null = null;
  #busy = false;
  #looked = false;
  #closed: Error | null = null;
  #closing: (() => void) | null = null;
  watcher: Watcher | null = null;
  /** What is sent, or was received: {@link DATA_BYTES}. */
  readonly data: number;
  readonly dataBytes: Bytes;
  /** A socket's address, and the length of it. */
  readonly name: number;
  readonly nameLength: number;
  /** An option's value, and the length of it. */
  readonly value: number;
  readonly valueBytes: Uint8Array;
  readonly valueLength: number;
  readonly #view: DataView;

  static async open(process: Process): Promise<Lane> {
    return new Lane(process, await process.buffer(MEMORY_BYTES));
  }

  private constructor(process: Process, buffer: KernelBuffer) {
    this.process = process;
    this.#buffer = buffer;
    this.#view = buffer.view;
    const { address, bytes } = buffer;
    this.data = address;
    this.dataBytes = asBytes(bytes.subarray(0, DATA_BYTES));
    this.value = address + VALUE_AT;
    this.valueBytes = bytes.subarray(VALUE_AT, VALUE_AT + VALUE_BYTES);
    this.name = address + NAME_AT;
    this.nameLength = address + NAME_LENGTH_AT;
    this.valueLength = address + VALUE_LENGTH_AT;
  }

  // --- Jobs ----------------------------------------------------------------------------------

  /** Do a job after those before it, at once or when a gate opens. Settles with its outcome. */
  run<T>(job: Job<T>, gate?: Gate): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const task: Task = { job, resolve, reject };
      if (gate) gate.wait(task);
      else this.add(task);
    });
  }

  add(task: Task): void {
    if (this.#closed) {
      task.reject(this.#closed);
      return;
    }
    this.#tasks.push(task);
    this.start();
  }

  /** See to the jobs, and look for more. */
  start(): void {
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    this.#looked = false;
    this.watcher?.started();
    this.process.series(this);
  }

  /** @internal */
  next(result: number): CallWords | null {
    for (;;) {
      const task = this.#current ?? this.#take();
      if (!task) return this.#pause();
      if (this.#step(task, result)) return this.#words;
    }
  }

  #take(): Task | null {
    if (this.#next < this.#tasks.length) {
      this.#looked = false;
      return this.#tasks[this.#next++];
    }
    this.#tasks = [];
    this.#next = 0;
    if (this.#looked) return null;
    this.#looked = true;
    return this.watcher?.look() ?? null;
  }

  /** Let a job go on. @returns whether it wants a call to be made */
  #step(task: Task, result: number): boolean {
    this.#current = null;
    try {
      const { done, value } = task.job.next(result);
      if (done) task.resolve(value);
      else if (value) value.wait(task);
      else {
        this.#current = task;
        return true;
      }
    } catch (error) {
      task.reject(error as Error);
    }
    return false;
  }

  #pause(): null {
    this.#busy = false;
    this.#closing?.();
    this.watcher?.paused();
    return null;
  }

  /** @internal */
  failed(why: Error): void {
    const tasks = this.#tasks.splice(this.#next);
    const current = this.#current;
    this.#tasks = [];
    this.#next = 0;
    this.#current = null;
    this.#busy = false;
    current?.reject(why);
    for (const task of tasks) task.reject(why);
    this.#closing?.();
    this.watcher?.broken(why);
  }

  // --- For jobs ------------------------------------------------------------------------------

  /** Say which call is to be made. To be yielded. */
  call(nr: number, a: number, b = 0, c = 0, d = 0, e = 0, f = 0): undefined {
    this.#words.set(nr, a, b, c, d, e, f);
  }

  /** A call that has to succeed. @throws {SystemError} */
  *must(name: CallName, a: number, b = 0, c = 0, d = 0, e = 0): Job<number> {
    return succeeded(yield this.call(NR[name], a, b, c, d, e), name);
  }

  /** Write an address into {@link name}. @returns its length */
  putName(endpoint: Endpoint): number {
    return putEndpoint(this.#view, NAME_AT, endpoint);
  }

  /** Let the kernel write an address into {@link name}. */
  expectName(): void {
    this.#view.setUint32(NAME_LENGTH_AT, NAME_BYTES, true);
  }

  /** The address that it wrote. */
  takeName(): Endpoint | undefined {
    const length = this.#view.getUint32(NAME_LENGTH_AT, true);
    return takeEndpoint(this.#view, NAME_AT, Math.min(length, NAME_BYTES));
  }

  /** Write an int into {@link value}. @returns its length */
  putInt(value: number): number {
    this.#view.setInt32(VALUE_AT, value, true);
    return LENGTH_BYTES;
  }

  /** Let the kernel write so many bytes into {@link value}. */
  expectValue(length: number): void {
    this.#view.setUint32(VALUE_LENGTH_AT, length, true);
  }

  /** An int that it wrote. */
  takeInt(): number {
    return this.#view.getInt32(VALUE_AT, true);
  }

  /** A copy of what it wrote. */
  takeValue(): Uint8Array {
    return this.valueBytes.slice(0, this.#view.getUint32(VALUE_LENGTH_AT, true));
  }

  /** Take no job any more. Settles when those before are done. */
  async close(why: Error): Promise<void> {
    this.#closed ??= why;
    if (this.#busy) await new Promise<void>((resolve) => (this.#closing = resolve));
  }

  /** Give the memory back, once it is closed. */
  dispose(): Promise<void> {
    return this.#buffer.dispose();
  }
}
