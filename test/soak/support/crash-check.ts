// Tries states that a power failure can leave: each is mounted by a kernel, compared with what was
// promised, unmounted; some are then given to the native checker too.

import { closeSync, openSync, truncateSync } from "node:fs";
import { join } from "node:path";

import { AT_FDCWD, O_RDONLY } from "../../../src/abi/constants/fcntl.ts";
import { RecorderDisk } from "../../../src/disk/index.ts";
import type { CrashState } from "../../../src/disk/index.ts";
import { attachDisk, readEntries, openDirectory } from "../../../src/fs/index.ts";
import { Kernel, VirtualClock, seededRandom } from "../../../src/index.ts";
import type { KernelBuffer, LogRecord } from "../../../src/index.ts";
import { check } from "./journalled.ts";
import type { Journalled } from "./journalled.ts";
import type { FoundFile, Ledger } from "./ledger.ts";
import { UndoDisk } from "./undo-disk.ts";
import type { Copy } from "./undo-disk.ts";
import { Workload } from "./workload.ts";

const BLOCK_BYTES = 4096;
const TARGET = "/mnt";
const BUFFER_BYTES = 1 << 18;
/** Levels of the log up to this one are errors (KERN_ERR). */
const ERROR_LEVEL = 3;
/** Directories that the native tools make. */
const NATIVE = new Set(["/lost+found"]);

export interface Recording {
  readonly kind: Journalled;
  readonly base: Uint8Array<ArrayBuffer>;
  readonly recorder: RecorderDisk;
  readonly ledger: Ledger;
  /** How often a call that promises wrote something, and flushed nothing. */
  readonly forgotten: number;
}

const bootOptions = (clock: VirtualClock) =>
  ({ image: "full", memoryMiB: 128, clock, random: 1 }) as const;

/** Work on a file system, and record all that it does to its disk. */
export async function record(
  kind: Journalled,
  base: Uint8Array<ArrayBuffer>,
  seed: number,
  steps: number,
): Promise<Recording> {
  const clock = new VirtualClock({ epochMs: Date.UTC(2026, 0, 1) });
  const kernel = await Kernel.boot(bootOptions(clock));
  const recorder = new RecorderDisk(new UndoDisk(base.slice(), BLOCK_BYTES));
  const { init } = kernel;
  const driven = <T>(work: Promise<T>) => clock.drive(work);
  const device = await driven(attachDisk(kernel, recorder));
  await init.mkdirat(AT_FDCWD, TARGET, 0o755);
  await driven(init.mount(device.path, TARGET, kind.type, 0, kind.mountOptions));
  const { forgets } = kind;
  const place = { process: init, root: TARGET, recorder, clock, forgets };
  const workload = new Workload(place, seed);
  await driven(workload.start());
  for (let i = 0; i < steps; i++) await driven(workload.step());
  kernel.dispose();
  return { kind, base, recorder, ledger: workload.ledger, forgotten: workload.forgotten };
}

export interface Loss {
  readonly state: CrashState;
  readonly problems: readonly string[];
}

export interface Tally {
  states: number;
  checked: number;
  readonly losses: Loss[];
}

export interface CheckOptions {
  readonly folder: string;
  readonly seed: number;
  /** Random subsets between two flushes. */
  readonly subsets: number;
  /** The native checker looks at each so manieth state. */
  readonly checkEvery: number;
  /** Of all states, each so manieth is tried. */
  readonly tryEvery: number;
}

/** Whether what survived is what was written first. */
function isInOrder({ log }: RecorderDisk, { durable, survivors }: CrashState): boolean {
  const last = survivors.at(-1) ?? durable;
  let writes = 0;
  for (let i = durable; i <= last; i++) if (log[i] && log[i].kind !== "flush") writes++;
  return survivors.length === 0 || writes === survivors.length;
}

/** A native check at work, on a file that is not to be touched meanwhile. */
interface Slot {
  readonly copy: Copy;
  readonly path: string;
  busy: Promise<void>;
}

const SLOTS = 2;

export class CrashChecker implements AsyncDisposable {
  readonly #recording: Recording;
  readonly #options: CheckOptions;
  readonly #disk: UndoDisk;
  readonly #clock = new VirtualClock({ epochMs: Date.UTC(2026, 0, 2) });
  readonly #slots: Slot[] = [];
  readonly #errors: LogRecord[] = [];
  readonly #tally: Tally = { states: 0, checked: 0, losses: [] };
  #kernel: Kernel | null = null;
  #buffer: KernelBuffer | null = null;
  #source = "";

  constructor(recording: Recording, options: CheckOptions) {
    this.#recording = recording;
    this.#options = options;
    this.#disk = new UndoDisk(recording.base.slice(), BLOCK_BYTES);
    for (let i = 0; i < SLOTS; i++) {
      const path = join(options.folder, `check-${i}.img`);
      const fd = openSync(path, "w+");
      truncateSync(path, recording.base.length);
      this.#slots.push({ copy: { fd, stamp: -1 }, path, busy: Promise.resolve() });
    }
  }

  async #boot(): Promise<Kernel> {
    const kernel = await Kernel.boot({
      ...bootOptions(this.#clock),
      console: (record) => void (record.level <= ERROR_LEVEL && this.#errors.push(record)),
    });
    const device = await this.#clock.drive(attachDisk(kernel, this.#disk));
    this.#source = device.path;
    // Who looked for partitions lets go of the device a little later: until then it is cached.
    await this.#clock.advance(1e9);
    await kernel.init.mkdirat(AT_FDCWD, TARGET, 0o755);
    this.#buffer = await kernel.init.buffer(BUFFER_BYTES);
    return kernel;
  }

  /** The states of the recording that a power failure can leave. */
  states(): Generator<CrashState> {
    const { seed, subsets } = this.#options;
    return this.#recording.recorder.states({ random: seededRandom(seed), subsets });
  }

  /** Try states, in the order of time. */
  async run(states: Iterable<CrashState> = this.states()): Promise<Tally> {
    const { recorder } = this.#recording;
    const { tryEvery, checkEvery } = this.#options;
    let applied = 0;
    let number = 0;
    for (const state of states) {
      if (number++ % tryEvery) continue;
      await recorder.replay(this.#disk, applied, state.durable);
      applied = state.durable;
      this.#disk.mark();
      await recorder.replayState(this.#disk, state, applied);
      await this.#try(state, this.#tally.states % checkEvery === 0);
      this.#disk.undo();
    }
    await Promise.all(this.#slots.map(({ busy }) => busy));
    return this.#tally;
  }

  async #try(state: CrashState, natively: boolean): Promise<void> {
    this.#kernel ??= await this.#boot();
    this.#errors.length = 0;
    this.#tally.states++;
    let problems: string[];
    try {
      problems = await this.#clock.drive(this.#mounted(this.#kernel, state));
    } catch (error) {
      problems = [String(error)];
      // It may be mounted still, or have crashed.
      this.#kernel.dispose();
      this.#kernel = null;
    }
    problems.push(...this.#errors.map(({ text }) => `the kernel says: ${text}`));
    if (problems.length) this.#tally.losses.push({ state, problems });
    else if (natively) await this.#checkNatively(state);
  }

  async #mounted({ init }: Kernel, state: CrashState): Promise<string[]> {
    const { kind, ledger, recorder } = this.#recording;
    const anyContent = !kind.orders && !isInOrder(recorder, state);
    await init.mount(this.#source, TARGET, kind.type, 0, kind.mountOptions);
    const found = new Map<string, FoundFile | "directory">();
    const problems: string[] = [];
    await this.#walk(init, "", found, problems);
    await init.umount2(TARGET, 0);
    return [...problems, ...ledger.problems(found, { cut: state.cut, anyContent })];
  }

  async #walk(
    init: Kernel["init"],
    path: string,
    found: Map<string, FoundFile | "directory">,
    problems: string[],
  ): Promise<void> {
    const folder = await openDirectory(init, `${TARGET}${path}`);
    const entries = await readEntries(init, folder);
    await init.close(folder);
    for (const { name, type, inode } of entries) {
      const child = `${path}/${name}`;
      if (NATIVE.has(child)) continue;
      if (found.has(child)) problems.push(`${child}: it is there twice`);
      if (type === "directory") {
        found.set(child, "directory");
        await this.#walk(init, child, found, problems);
        continue;
      }
      const fd = await init.openat(AT_FDCWD, `${TARGET}${child}`, O_RDONLY, 0);
      const length = await init.read(fd, this.#buffer, BUFFER_BYTES);
      found.set(child, { inode, content: this.#buffer!.bytes.slice(0, length) });
      await init.close(fd);
    }
  }

  /** Does not wait for the result: the next states are tried meanwhile. */
  async #checkNatively(state: CrashState): Promise<void> {
    const slot = this.#slots[this.#tally.checked++ % SLOTS];
    await slot.busy;
    this.#disk.copyTo(slot.copy);
    slot.busy = check(this.#recording.kind, slot.path).then(({ clean, output }) => {
      if (!clean) this.#tally.losses.push({ state, problems: [`the native checker: ${output}`] });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#slots.map(({ busy }) => busy));
    for (const { copy } of this.#slots) closeSync(copy.fd);
    this.#kernel?.dispose();
  }
}
