// A thread that mounts damaged images, one after the other, and looks at all that is in them.
// The thread that started it watches its counters, for a kernel that never comes back blocks this one.

import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { gunzipSync, gzipSync } from "node:zlib";

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
} from "../../../src/abi/constants/fcntl.ts";
import { MNT_DETACH, MS_NODEV, MS_RDONLY } from "../../../src/abi/constants/mount.ts";
import { SIGKILL } from "../../../src/abi/constants/signal.ts";
import { STATX_BASIC_STATS } from "../../../src/abi/constants/stat.ts";
import { LinuxDirent64, Statfs64, Statx } from "../../../src/abi/structs/fs.ts";
import { attachDisk } from "../../../src/fs/index.ts";
import {
  Kernel,
  KernelPanicError,
  KernelStoppedError,
  SystemError,
  TaskExitedError,
  VirtualClock,
} from "../../../src/index.ts";
import type { KernelBuffer, Process } from "../../../src/index.ts";
import { COUNTER } from "./hostile.ts";
import type { HostileEvent, HostileWork } from "./hostile.ts";
import { Mutator } from "./mutate.ts";
import { UndoDisk } from "./undo-disk.ts";

const TARGET = "/mnt";
const BUFFER_BYTES = 65536;
/** What is looked at of one image: a damaged one may have no end. */
const MAX_ENTRIES = 250;
const MAX_DEPTH = 6;
/** How long an image may take before its process is killed. */
const TIMEOUT_MS = 10_000;
/** How long that may take before its kernel is ended. */
const KILL_MS = 5_000;
/** After so many images the one that is not damaged must still be mountable. */
const CONTROL_EVERY = 100;

const work = workerData as HostileWork;
const counters = new Int32Array(work.counters);
const disk = new UndoDisk(new Uint8Array(work.image).slice());
const mutator = new Mutator(work.type, disk);
/** Put a damaged image on the disk. */
function damage(seed: number): void {
  const file = work.files?.[seed >> 1];
  if (file === undefined) mutator.mutate(seed);
  else disk.write(gunzipSync(readFileSync(file)), 0);
}

const report = (event: HostileEvent): void => parentPort!.postMessage(event);
const warnings = new Set<string>();

const count = (counter: number): number => Atomics.add(counters, counter, 1);

/** Keep a damaged image, to be looked at. @returns where it is */
function keep(seed: number): string {
  disk.undo();
  damage(seed);
  const path = join(tmpdir(), `liblinux-hostile-${work.type}-${seed}.img.gz`);
  writeFileSync(path, gzipSync(disk.bytes));
  return path;
}

/** A kernel that the disk is attached to. */
class Patient {
  readonly kernel: Kernel;
  /** Looks at the images, and can be killed. */
  readonly process: Process;
  readonly clock: VirtualClock;
  readonly source: string;
  readonly buffer: KernelBuffer;
  #entries = 0;

  private constructor(parts: Pick<Patient, "kernel" | "process" | "clock" | "source" | "buffer">) {
    this.kernel = parts.kernel;
    this.process = parts.process;
    this.clock = parts.clock;
    this.source = parts.source;
    this.buffer = parts.buffer;
  }

  static async boot(): Promise<Patient> {
    const clock = new VirtualClock({ epochMs: Date.UTC(2026, 0, 1) });
    const kernel = await Kernel.boot({ image: "full", memoryMiB: 128, clock, random: 1 });
    kernel.log.listen(({ text }) => {
      if (!/^(WARNING|BUG|kernel BUG|Oops)/.test(text) || warnings.has(text)) return;
      warnings.add(text);
      report({ kind: "warning", seed: counters[COUNTER.current], text });
    });
    const { path: source } = await clock.drive(attachDisk(kernel, disk));
    // Who looked for partitions lets go of the device a little later.
    await clock.advance(1e9);
    await kernel.init.mkdirat(AT_FDCWD, TARGET, 0o755);
    const process = await kernel.process();
    const buffer = await process.buffer(BUFFER_BYTES);
    return new Patient({ kernel, process, clock, source, buffer });
  }

  /** @returns whether it could be mounted */
  async examine(writes: boolean): Promise<boolean> {
    const { process } = this;
    const flags = MS_NODEV | (writes ? 0 : MS_RDONLY);
    const mounting = process.mount(this.source, TARGET, work.type, flags, work.options);
    if ((await tolerate(mounting)) === null) return false;
    this.#entries = 0;
    await tolerate(process.statfs64(TARGET, Statfs64.size, new Uint8Array(Statfs64.size)));
    await this.#look(TARGET, 0);
    if (writes) await this.#write();
    await this.unmount();
    return true;
  }

  async unmount(): Promise<void> {
    await this.kernel.init.umount2(TARGET, 0);
  }

  /** When its process was killed. @returns whether nothing is mounted any more */
  async rest(): Promise<boolean> {
    try {
      await this.unmount();
    } catch (error) {
      return error instanceof SystemError && error.code === "EINVAL";
    }
    return true;
  }

  /** What works without end takes no time of this clock, and so is never made to share the CPU. */
  async kill(): Promise<void> {
    this.clock.delay(1e9);
    await this.kernel.init.kill(this.process.pid, SIGKILL);
  }

  /** Look at a directory and all below it. */
  async #look(path: string, depth: number): Promise<void> {
    const { process } = this;
    const fd = await tolerate(process.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0));
    if (fd === null) return;
    const names: string[] = [];
    while (this.#entries < MAX_ENTRIES) {
      const length = await tolerate(process.getdents64(fd, this.buffer, 4096));
      if (!length) break;
      const bytes = this.buffer.bytes.slice(0, length);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < length; at += new LinuxDirent64(view, at).d_reclen) {
        const start = at + LinuxDirent64.offsets.d_name;
        names.push(Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString("latin1"));
        this.#entries++;
      }
    }
    await process.close(fd);
    for (const name of names)
      if (name !== "." && name !== "..") await this.#lookAt(`${path}/${name}`, depth);
  }

  async #lookAt(path: string, depth: number): Promise<void> {
    const { process } = this;
    const bytes = Buffer.from(path, "latin1");
    const stat = Statx.alloc();
    const found = process.statx(
      AT_FDCWD,
      bytes,
      AT_SYMLINK_NOFOLLOW,
      STATX_BASIC_STATS,
      stat.bytes,
    );
    if ((await tolerate(found)) === null) return;
    await tolerate(process.listxattr(bytes, new Uint8Array(1024), 1024));
    await tolerate(process.readlinkat(AT_FDCWD, bytes, this.buffer, 4096));
    if (depth < MAX_DEPTH) await this.#look(path, depth + 1);
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const fd = await tolerate(process.openat(AT_FDCWD, bytes, flags, 0));
    if (fd === null) return;
    await tolerate(process.read(fd, this.buffer, BUFFER_BYTES));
    const end = stat.stx_size - 4096n;
    if (end > 0n) await tolerate(process.pread64(fd, this.buffer, BUFFER_BYTES, end));
    await process.close(fd);
  }

  async #write(): Promise<void> {
    const { process } = this;
    const at = (name: string) => `${TARGET}/${name}`;
    const fd = await tolerate(process.openat(AT_FDCWD, at("new"), O_CREAT | O_RDWR, 0o644));
    if (fd !== null) {
      await tolerate(process.pwrite64(fd, new Uint8Array(10_000).fill(1), 10_000, 3000));
      await tolerate(process.fsync(fd));
      await process.close(fd);
    }
    await tolerate(process.renameat2(AT_FDCWD, at("new"), AT_FDCWD, at("directory/newer"), 0));
    await tolerate(process.unlinkat(AT_FDCWD, at("small"), 0));
    await tolerate(process.truncate64(at("large"), 70_000));
    await tolerate(process.mkdirat(AT_FDCWD, at("directory/made"), 0o755));
    await tolerate(process.sync());
  }
}

/** What calls fail with where the file system is damaged. */
const DAMAGED = new Set(["EIO", "EUCLEAN", "EBADMSG", "ENODATA", "EROFS", "EFBIG"]);
/** Whether a call on this image has said so. */
let noticed = false;

/** A call that may fail, as a call: null then. */
async function tolerate(call: Promise<number>): Promise<number | null> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (DAMAGED.has(error.code)) noticed = true;
    return null;
  }
}

/** Examine what is on the disk. @returns the kernel, if it is of further use */
async function examine(patient: Patient, seed: number, writes: boolean): Promise<Patient | null> {
  let late = false;
  let ending: NodeJS.Timeout | undefined;
  const timer = setTimeout(() => {
    ending = setTimeout(() => {
      late = true;
      patient.kernel.dispose();
    }, KILL_MS);
    patient.kill().catch(() => {});
  }, TIMEOUT_MS);
  try {
    noticed = false;
    const mounted = await patient.clock.drive(patient.examine(writes));
    count(mounted ? COUNTER.mounted : COUNTER.refused);
    if (mounted && noticed) count(COUNTER.noticed);
    return patient;
  } catch (error) {
    const killed = error instanceof TaskExitedError;
    if (killed && (await patient.clock.drive(patient.rest()))) {
      count(COUNTER.endless);
      report({ kind: "endless", seed, text: patient.kernel.log.tail(1).join() });
      patient.kernel.dispose();
    } else if (error instanceof KernelPanicError) {
      count(COUNTER.panics);
      const { reason, backtrace } = error;
      const tail = error.logTail.findLast((line) => /BUG|WARNING|Assert|panic/i.test(line));
      const trace = backtrace.slice(0, 6).join(" < ");
      report({ kind: "panic", seed, text: `${reason} | ${tail ?? ""} | ${trace}` });
    } else if (killed || (late && error instanceof KernelStoppedError)) {
      count(COUNTER.hangs);
      const tail = patient.kernel.log.tail(3).join(" / ");
      report({ kind: "hang", seed, text: `${tail} (kept as ${keep(seed)})` });
    } else if (error instanceof SystemError) {
      // It was mounted, and does not go.
      count(COUNTER.stuck);
      report({ kind: "stuck", seed, text: String(error) });
      await tolerate(patient.kernel.init.umount2(TARGET, MNT_DETACH));
      patient.kernel.dispose();
    } else report({ kind: "failure", seed, text: String((error as Error).stack ?? error) });
    return null;
  } finally {
    clearTimeout(timer);
    clearTimeout(ending);
  }
}

/** Whether the image that is not damaged can be mounted, as it must. */
async function control(patient: Patient, seed: number): Promise<boolean> {
  try {
    if (await patient.clock.drive(patient.examine(false))) return true;
    report({ kind: "worn", seed, text: patient.kernel.log.tail(2).join(" / ") });
  } catch (error) {
    report({ kind: "failure", seed, text: `the undamaged image: ${String(error)}` });
  }
  patient.kernel.dispose();
  return false;
}

/** A kernel that has mounted the image that is not damaged. */
async function healthy(seed: number): Promise<Patient> {
  const patient = await Patient.boot();
  let good = false;
  await mutator.learn(async () => {
    good = await control(patient, seed);
  });
  disk.undo();
  if (!good) throw new Error("the undamaged image cannot be mounted");
  return patient;
}

disk.mark();
let patient: Patient | null = await healthy(work.from);
for (let seed = work.from; seed < work.to; seed++) {
  Atomics.store(counters, COUNTER.current, seed);
  count(COUNTER.images);
  if (patient && seed % CONTROL_EVERY === 0 && !(await control(patient, seed))) patient = null;
  disk.undo();
  patient ??= await healthy(seed);
  damage(seed);
  patient = await examine(patient, seed, work.writable && seed % 2 === 1);
  disk.undo();
}
patient?.kernel.dispose();
