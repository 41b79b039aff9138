// A machine: memory, CPU, threads, clock and log, with one kernel running in it.
//
// Invariants: a machine runs until it stops, once, for one reason (#why). From then on no
// import returns into the kernel, every stack is unwound and every call rejected.

import { suspending as suspendingNames } from "../abi/host.ts";
import type { HostImports } from "../abi/host.ts";
import { currentFrames, kernelFrames } from "./backtrace.ts";
import { Board, encodeCommandLine } from "./board.ts";
import type { IrqLine } from "./board.ts";
import type { Clock } from "./clock.ts";
import { Cpu } from "./cpu.ts";
import { InvalidOptionError, KernelPanicError, KernelStoppedError } from "./errors.ts";
import type { KernelImage } from "./image.ts";
import { promising, suspending } from "./jspi.ts";
import type { KernelLog } from "./log.ts";
import { MAX_MEMORY_BYTES, MIN_MEMORY_BYTES, Memory } from "./memory.ts";
import type { Random } from "./random.ts";
import { Threads, UNWIND } from "./threads.ts";
import { UserTasks } from "./user.ts";
import type { UserTask } from "./user.ts";

/** The imports that belong to devices. */
export type DeviceImports = {
  [Name in keyof HostImports as Name extends `virtio_${string}` ? Name : never]: HostImports[Name];
};

/** What devices see of their machine. */
export interface DeviceHost {
  readonly memory: Memory;
  readonly log: KernelLog;
  raise(line: IrqLine): void;
  /** Settles, never rejects, when the machine has stopped, with the reason. */
  readonly stopped: Promise<Error>;
  readonly running: boolean;
}

export interface MachineOptions {
  image: KernelImage;
  /** A multiple of 64 KiB from {@link MIN_MEMORY_BYTES} to {@link MAX_MEMORY_BYTES}. */
  memoryBytes: number;
  /** Whether the memory is a SharedArrayBuffer, for use from several threads. */
  shared: boolean;
  commandLine: string;
  clock: Clock;
  random: Random;
  /** The log, empty; records come from the start. */
  log: KernelLog;
  /** Makes the device side of the contract. */
  devices: (host: DeviceHost) => DeviceImports;
}

interface KernelExports {
  readonly boot: WebAssembly.ExportValue;
  readonly thread: WebAssembly.ExportValue;
  readonly syscall: WebAssembly.ExportValue;
  readonly lkl_board: WebAssembly.Global;
  readonly __indirect_function_table: WebAssembly.Table;
}

const LOG_TAIL_LINES = 40;
const encoder = new TextEncoder();

function allocate(sizeBytes: number, shared: boolean): Memory {
  const mib = (n: number) => `${n / 1048576} MiB`;
  if (!Number.isInteger(sizeBytes) || sizeBytes % 65536)
    throw new InvalidOptionError("memoryMiB", `${mib(sizeBytes)} is no multiple of 64 KiB`);
  if (sizeBytes < MIN_MEMORY_BYTES || sizeBytes > MAX_MEMORY_BYTES)
    throw new InvalidOptionError(
      "memoryMiB",
      `${mib(sizeBytes)}: a kernel can have ${mib(MIN_MEMORY_BYTES)} to ${mib(MAX_MEMORY_BYTES)}`,
    );
  try {
    return new Memory(sizeBytes, shared);
  } catch (cause) {
    throw new InvalidOptionError(
      "memoryMiB",
      `this process has no room for ${mib(sizeBytes)} more (${(cause as Error).message})`,
    );
  }
}

// (module (import "p" "run" (func (param i32) (result i32))))
const PROGRAM_CHECK = [
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f,
  0x02, 0x09, 0x01, 0x01, 0x70, 0x03, 0x72, 0x75, 0x6e, 0x00, 0x00,
];
let programCheck: WebAssembly.Module | undefined;

/** The kernel would not survive a call of anything else. @throws {TypeError} */
function checkProgram(body: WebAssembly.ExportValue): void {
  try {
    programCheck ??= new WebAssembly.Module(Uint8Array.from(PROGRAM_CHECK));
    void new WebAssembly.Instance(programCheck, { p: { run: body } });
    // An import may be a function of JavaScript, an element of a table may not.
    new WebAssembly.Table({ element: "anyfunc", initial: 1 }).set(0, body);
  } catch (cause) {
    throw new TypeError("what is to be run is no WebAssembly function (i32) → i32", { cause });
  }
}

export class Machine implements DeviceHost {
  readonly memory: Memory;
  readonly log: KernelLog;
  readonly cpu: Cpu;
  readonly threads: Threads;
  readonly users: UserTasks;
  /** Settles, never rejects, when the machine has stopped, with the reason. */
  readonly stopped: Promise<Error>;
  readonly #board: Board;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #devices: DeviceImports;
  #exports!: KernelExports;
  #startThread!: (task: number) => Promise<void>;
  #why: Error | null = null;
  readonly #freeSlots: number[] = [];
  #settleStopped!: (why: Error) => void;

  /**
   * Switch a machine on. Settles when its first task, pid 1, is in user mode.
   *
   * @throws {InvalidOptionError} @throws {KernelPanicError}
   */
  static async start(options: MachineOptions): Promise<{ machine: Machine; init: UserTask }> {
    encodeCommandLine(options.commandLine);
    const module = await options.image.module(options.shared);
    const machine = new Machine(options);
    const init = new Promise<UserTask>((resolve) => {
      machine.users.onNew = (task) => {
        machine.users.onNew = null;
        machine.cpu.booted();
        resolve(task);
      };
    });
    const started = machine.#boot(module, options.commandLine).then(() =>
      Promise.race([
        init,
        machine.stopped.then((why) => {
          throw why;
        }),
      ]),
    );
    return { machine, init: await options.clock.drive(started) };
  }

  private constructor(options: MachineOptions) {
    this.memory = allocate(options.memoryBytes, options.shared);
    this.log = options.log;
    this.stopped = new Promise((resolve) => (this.#settleStopped = resolve));
    this.#clock = options.clock;
    this.#random = options.random;
    this.#board = new Board(this.memory);
    this.cpu = new Cpu(this.memory, this.#board, options.clock);
    this.users = new UserTasks(this.memory, this.cpu);
    this.threads = new Threads(
      (task) => this.#startThread(task),
      (why) => this.#crash(why),
    );
    this.#devices = options.devices(this);
  }

  async #boot(module: WebAssembly.Module, commandLine: string): Promise<void> {
    const imports = this.#imports();
    const host: Record<string, WebAssembly.ImportValue> = {};
    const suspends = new Set<string>(suspendingNames);
    for (const [name, fn] of Object.entries(imports))
      host[name] = suspends.has(name) ? suspending(fn) : fn;
    const instance = await WebAssembly.instantiate(module, {
      env: { memory: this.memory.object },
      host,
    });
    this.#exports = instance.exports as unknown as KernelExports;
    this.#startThread = promising<[number]>(this.#exports.thread);
    this.#board.attach(this.#exports.lkl_board.value as number);
    this.#board.commandLine = commandLine;
    this.threads.run(promising<[]>(this.#exports.boot));
  }

  get running(): boolean {
    return this.#why === null;
  }

  raise(line: IrqLine): void {
    if (this.running) this.cpu.raise(line);
  }

  /** The kernel's own entry for system calls, to be imported by a WebAssembly program. */
  get syscall(): WebAssembly.ExportValue {
    return this.#exports.syscall;
  }

  /** Give a WebAssembly function a slot of the kernel's table, for {@link UserTask.run}. */
  takeSlot(body: WebAssembly.ExportValue): number {
    checkProgram(body);
    const table = this.#exports.__indirect_function_table;
    const slot = this.#freeSlots.pop() ?? table.grow(1);
    table.set(slot, body);
    return slot;
  }

  /** Give a slot back that no task will run any more. */
  giveSlot(slot: number): void {
    this.#exports.__indirect_function_table.set(slot, null);
    this.#freeSlots.push(slot);
  }

  /** Stop at once, whatever the kernel is doing. Nothing is written back. */
  dispose(): void {
    this.#stop(new KernelStoppedError("disposed"));
  }

  #stop(why: Error): void {
    if (this.#why) return;
    this.#why = why;
    this.cpu.stop();
    this.threads.unwind();
    this.users.fail(why);
    this.log.close();
    this.#settleStopped(why);
  }

  /** A stack of the kernel ended by an exception: no kernel survives that. */
  #crash(why: unknown): void {
    if (why instanceof KernelPanicError || why instanceof KernelStoppedError) this.#stop(why);
    else {
      const error = why instanceof Error ? why : new Error(String(why));
      const reason =
        error instanceof RangeError ? "the engine's stack overflowed" : `trap: ${error.message}`;
      this.#stop(this.#panic(reason, kernelFrames(error.stack), error));
    }
  }

  #panic(reason: string, frames: readonly string[], cause?: unknown): KernelPanicError {
    return new KernelPanicError(reason, this.log.tail(LOG_TAIL_LINES), frames, cause);
  }

  /** For imports that lead to code of the application, which may have stopped the machine. */
  #guard<A extends number[], R>(fn: (...args: A) => R): (...args: A) => R {
    return (...args) => {
      if (this.#why) throw UNWIND;
      const result = fn(...args);
      if (this.#why) throw UNWIND;
      return result;
    };
  }

  #imports(): HostImports {
    const { memory, cpu, users, threads } = this;
    const clock = this.#clock;
    const guarded = Object.fromEntries(
      Object.entries(this.#devices).map(([name, fn]) => [
        name,
        this.#guard(fn as (...args: number[]) => number),
      ]),
    ) as unknown as DeviceImports;
    return {
      ...guarded,
      thread_switch: threads.switch,
      cpu_idle: cpu.idle,
      cpu_yield: cpu.yield,
      cpu_poll: cpu.poll,
      cpu_backtrace: (at: number, size: number) => {
        const text = encoder.encode(currentFrames().join("\n")).subarray(0, size);
        memory.u8.set(text, at >>> 0);
        return text.length;
      },
      clock_ns: cpu.nowNs,
      clock_wall_ns: () => clock.wallNs(),
      clock_delay: (ns: number) => clock.delay(ns),
      random: (at: number, length: number) => this.#random(memory.subarray(at, length)),
      console_write: this.#guard((at: number, length: number) =>
        this.log.add(memory.text(at, length)),
      ),
      user_enter: users.enter,
      user_next: users.next,
      user_new: users.new,
      user_exit: users.exit,
      stop: (how: number) => {
        throw new KernelStoppedError(how === 0 ? "halted" : "restarted");
      },
      panic: (at: number, length: number) => {
        throw this.#panic(memory.text(at, length), currentFrames());
      },
    };
  }
}
