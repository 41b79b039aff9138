// A kernel: the machine it runs in, its devices, its processes.
//
// Invariants: a kernel runs from boot() until it stops, once. Whatever is made from it
// (processes, mounts, buffers) ends with it.

import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "./abi/constants/mman.ts";
import {
  LINUX_REBOOT_CMD_POWER_OFF,
  LINUX_REBOOT_CMD_RESTART,
  LINUX_REBOOT_MAGIC1,
  LINUX_REBOOT_MAGIC2,
} from "./abi/constants/reboot.ts";
import { CLONE_FILES } from "./abi/constants/sched.ts";
import { SIGCHLD, SIGPIPE } from "./abi/constants/signal.ts";
import { mountSystem, unmountAll } from "./fs/mounts.ts";
import { WallClock } from "./machine/clock.ts";
import type { Clock } from "./machine/clock.ts";
import { InvalidOptionError, KernelStoppedError } from "./machine/errors.ts";
import { KernelImage } from "./machine/image.ts";
import { KernelLog } from "./machine/log.ts";
import type { LogRecord } from "./machine/log.ts";
import { Machine } from "./machine/machine.ts";
import type { Memory } from "./machine/memory.ts";
import { seededRandom, systemRandom } from "./machine/random.ts";
import type { Random } from "./machine/random.ts";
import { loadImage } from "./platform/image.ts";
import type { Profile } from "./platform/image.ts";
import { Arena } from "./syscall/arena.ts";
import type { Mapper } from "./syscall/arena.ts";
import { DEFAULT_MAX_THREADS, MAX_THREADS, Process } from "./syscall/process.ts";
import type { ProcessContext } from "./syscall/process.ts";
import { VirtioBus } from "./virtio/bus.ts";
import type { VirtioDevice } from "./virtio/device.ts";
import type { DeviceError } from "./virtio/errors.ts";

const SIG_IGN = 1;
const SIG_DFL = 0;
const SIGSET_BYTES = 8;
/** Room for a struct sigaction of which only the handler is not 0. */
const SIGACTION_BYTES = 32;
const MIB = 1048576;

/** How to boot a kernel. Every field may be left out. */
export interface BootOptions {
  /** The kernel: a profile of the package (default "full"), or a binary of your own. */
  image?: Profile | KernelImage | Uint8Array<ArrayBuffer>;
  /** Memory of the machine in MiB, 16 to 3584; the host commits it when touched. Default 64. */
  memoryMiB?: number;
  /** Use a SharedArrayBuffer, so that other threads can see the memory. Default false. */
  shared?: boolean;
  /** Documentation/admin-guide/kernel-parameters.rst says what it may contain. */
  commandLine?: string;
  /** Default: the wall clock. */
  clock?: Clock;
  /** A source of random bytes, or a seed for one that repeats. Default: the engine's. */
  random?: Random | number;
  /** Called with each record of the log, from the first on. */
  console?: (record: LogRecord) => void;
  /** The devices that are there at the start. */
  devices?: readonly VirtioDevice[];
  /** Called when a device breaks: it refuses every request from then on. */
  onDeviceError?: (error: DeviceError, device: VirtioDevice) => void;
  /** How many calls of one process may be in the kernel at once. Default 256. */
  maxThreads?: number;
}

/** What a process starts with. */
export interface ProcessOptions {
  uid?: number;
  gid?: number;
  /** Supplementary groups. Default none. */
  groups?: readonly number[];
  /** Its root directory. Default "/". */
  root?: string;
  /** Its working directory, inside the root. Default "/". */
  cwd?: string;
  /** Default 0o022. */
  umask?: number;
  /** How many of its calls may be in the kernel at once. Default: the kernel's. */
  maxThreads?: number;
}

/** A running Linux kernel. */
export class Kernel {
  readonly #machine: Machine;
  readonly #bus: VirtioBus;
  readonly #clock: Clock;
  readonly #options: BootOptions;
  readonly #processes: Set<Process>;
  #ending: Promise<void> | null = null;
  /** Pid 1: runs with all rights, is always there, and does for simple uses. */
  readonly init: Process;
  /** How long it took from switching on to user mode, in milliseconds of real time. */
  readonly bootMs: number;

  /**
   * Boot a kernel. Settles when it takes calls.
   *
   * @throws {InvalidOptionError} @throws {NotAKernelError} @throws {KernelPanicError}
   * @throws {UnsupportedEngineError} where the engine cannot suspend WebAssembly
   */
  static async boot(options: BootOptions = {}): Promise<Kernel> {
    checkBootOptions(options);
    const { image = "full", clock = new WallClock(), random } = options;
    const log = new KernelLog();
    if (options.console) log.listen(options.console);
    const bus = new VirtioBus(options.devices ?? []);
    bus.onDeviceError = options.onDeviceError ?? null;
    const loaded =
      typeof image === "string"
        ? await loadImage(image)
        : image instanceof KernelImage
          ? image
          : new KernelImage(image);
    // Compiling is not booting: it is done once for all kernels.
    await loaded.module(options.shared ?? false);
    const start = performance.now();
    const { machine, init } = await Machine.start({
      image: loaded,
      memoryBytes: (options.memoryMiB ?? 64) * MIB,
      shared: options.shared ?? false,
      commandLine: options.commandLine ?? "",
      clock,
      random: typeof random === "number" ? seededRandom(random) : (random ?? systemRandom),
      log,
      devices: (host) => bus.imports(host),
    });
    const bootMs = performance.now() - start;
    const mapper = new LeaderMapper();
    const processes = new Set<Process>();
    const context: ProcessContext = {
      machine,
      mapper,
      arena: new Arena(machine.memory, mapper),
      added: (process) => processes.add(process),
      removed: (process) => processes.delete(process),
    };
    void machine.stopped.then((why) => {
      for (const process of processes) process.kernelStopped(why);
    });
    const pid1 = new Process(context, init, 1, null, options.maxThreads ?? DEFAULT_MAX_THREADS);
    mapper.leader = pid1;
    const kernel = new Kernel(options, machine, bus, clock, processes, pid1, bootMs);
    try {
      await clock.drive(pid1.setUp(() => setUpInit(pid1)));
    } catch (error) {
      machine.dispose();
      throw error;
    }
    return kernel;
  }

  private constructor(
    options: BootOptions,
    machine: Machine,
    bus: VirtioBus,
    clock: Clock,
    processes: Set<Process>,
    init: Process,
    bootMs: number,
  ) {
    this.#options = options;
    this.#machine = machine;
    this.#bus = bus;
    this.#clock = clock;
    this.#processes = processes;
    this.init = init;
    this.bootMs = bootMs;
  }

  /** The kernel's log. */
  get log(): KernelLog {
    return this.#machine.log;
  }

  /** The kernel's memory. Addresses that calls return are offsets into it. */
  get memory(): Memory {
    return this.#machine.memory;
  }

  /** Whether it takes calls. */
  get running(): boolean {
    return this.#machine.running;
  }

  /**
   * Settles, never rejects, when the kernel has stopped: with a {@link KernelStoppedError} if
   * it was told to, with a {@link KernelPanicError} if it crashed.
   */
  get stopped(): Promise<Error> {
    return this.#machine.stopped;
  }

  /** Counters since boot. */
  get stats(): { switches: number; idles: number; tasks: number } {
    const { threads, cpu, users } = this.#machine;
    return { switches: threads.switches, idles: cpu.idles, tasks: users.count };
  }

  /** The kernel's entry for system calls, for WebAssembly functions given to {@link Process.run}. */
  get syscall(): WebAssembly.ExportValue {
    return this.#machine.syscall;
  }

  /** The processes that the application has made and not ended, pid 1 among them. */
  get processes(): ReadonlySet<Process> {
    return this.#processes;
  }

  // --- Processes -------------------------------------------------------------------------

  /**
   * A new process with no descriptors. It has its own until exit() is called.
   *
   * @throws {SystemError} e.g. ENOENT for a root that is not there, EAGAIN if there are too many
   */
  async process(options: ProcessOptions = {}): Promise<Process> {
    checkProcessOptions(options);
    const { maxThreads } = options;
    const process = await this.init.fork(maxThreads === undefined ? {} : { maxThreads });
    try {
      await process.setUp(() => setUp(process, options));
    } catch (error) {
      await process.exit().catch(() => {});
      throw error;
    }
    return process;
  }

  // --- Devices ---------------------------------------------------------------------------

  /** Add a device. Settles when its driver has probed it. @throws {DeviceError} if it refuses */
  plug(device: VirtioDevice): Promise<void> {
    return this.#bus.plug(device);
  }

  /** Take a device away. What the kernel still does with it fails with EIO. Settles when its driver let go. */
  unplug(device: VirtioDevice): Promise<void> {
    return this.#bus.unplug(device);
  }

  // --- The end ---------------------------------------------------------------------------

  /**
   * Stop the kernel in good order: write back and unmount all file systems (read-only first,
   * so that journals end clean), then power off. Calls in flight reject.
   */
  halt(): Promise<void> {
    return this.#shutDown(LINUX_REBOOT_CMD_POWER_OFF);
  }

  /** Halt, and boot a new kernel with the same options. */
  async reboot(): Promise<Kernel> {
    await this.#shutDown(LINUX_REBOOT_CMD_RESTART);
    return Kernel.boot(this.#options);
  }

  /** Stop at once, as if the power had failed: nothing is written back. */
  dispose(): void {
    this.#machine.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.halt();
  }

  #shutDown(command: number): Promise<void> {
    return (this.#ending ??= this.#end(command));
  }

  async #end(command: number): Promise<void> {
    if (!this.running) return;
    const problems = await this.#clock.drive(this.#writeBack());
    this.init
      .leaderCall("reboot", LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, 0)
      .catch(() => {});
    const why = await this.#clock.drive(this.stopped);
    if (!(why instanceof KernelStoppedError) || why.how === "disposed") throw why;
    if (problems.length)
      throw new AggregateError(
        problems,
        "the kernel was halted, but not all could be written back",
      );
  }

  /** Done by a process of its own: all threads that pid 1 may have can be waiting. */
  async #writeBack(): Promise<Error[]> {
    let problems: Error[] = [];
    try {
      const keeper = await this.init.fork({ flags: CLONE_FILES });
      await keeper.setUp(async () => {
        problems = await unmountAll(keeper);
      });
    } catch (error) {
      problems.push(error as Error);
    }
    return problems;
  }
}

async function handleSignal(process: Process, signal: number, handler: number): Promise<void> {
  const action = new Uint8Array(SIGACTION_BYTES);
  new DataView(action.buffer).setUint32(0, handler, true);
  await process.rt_sigaction(signal, action, null, SIGSET_BYTES);
}

/** Pid 1 lets its children go when they end, and broken pipes are errors, not signals. */
async function setUpInit(init: Process): Promise<void> {
  await handleSignal(init, SIGCHLD, SIG_IGN);
  await handleSignal(init, SIGPIPE, SIG_IGN);
  await mountSystem(init);
}

async function setUp(process: Process, options: ProcessOptions): Promise<void> {
  const { uid = 0, gid = 0, groups = [], root, cwd, umask = 0o022 } = options;
  await process.close_range(0, -1, 0);
  await handleSignal(process, SIGCHLD, SIG_DFL);
  await process.umask(umask);
  if (root !== undefined) {
    await process.chroot(root);
    await process.chdir("/");
  }
  if (cwd !== undefined) await process.chdir(cwd);
  if (groups.length)
    await process.setgroups(groups.length, new Uint8Array(Uint32Array.from(groups).buffer));
  if (gid) await process.setresgid(gid, gid, gid);
  if (uid) await process.setresuid(uid, uid, uid);
}

/** Maps memory by calls of pid 1's leader, which is never busy with anything that waits. */
class LeaderMapper implements Mapper {
  leader: Process | null = null;

  async map(lengthBytes: number): Promise<number> {
    const address = await this.leader!.leaderCall(
      "mmap2",
      0,
      lengthBytes,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0,
    );
    return address >>> 0;
  }

  async unmap(address: number, lengthBytes: number): Promise<void> {
    await this.leader!.leaderCall("munmap", address, lengthBytes);
  }
}

const BOOT_OPTIONS: Record<keyof BootOptions, true> = {
  image: true,
  memoryMiB: true,
  shared: true,
  commandLine: true,
  clock: true,
  random: true,
  console: true,
  devices: true,
  onDeviceError: true,
  maxThreads: true,
};

const PROCESS_OPTIONS: Record<keyof ProcessOptions, true> = {
  uid: true,
  gid: true,
  groups: true,
  root: true,
  cwd: true,
  umask: true,
  maxThreads: true,
};

/** The largest user or group; the next number means "as it is". */
const MAX_ID = 0xfffffffe;

function checkNames(options: object, known: object): void {
  for (const name of Object.keys(options))
    if (!(name in known))
      throw new InvalidOptionError(name, `unknown: it is one of ${Object.keys(known).join(", ")}`);
}

function checkNumber(option: string, value: number | undefined, least: number, most: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most))
    throw new InvalidOptionError(option, `${value}: it is a whole number from ${least} to ${most}`);
}

function checkBootOptions(options: BootOptions): void {
  checkNames(options, BOOT_OPTIONS);
  checkNumber("maxThreads", options.maxThreads, 1, MAX_THREADS);
}

function checkProcessOptions(options: ProcessOptions): void {
  checkNames(options, PROCESS_OPTIONS);
  checkNumber("uid", options.uid, 0, MAX_ID);
  checkNumber("gid", options.gid, 0, MAX_ID);
  for (const group of options.groups ?? []) checkNumber("groups", group, 0, MAX_ID);
  checkNumber("umask", options.umask, 0, 0o777);
}
