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
import { STATX_BASIC_STATS } from "../../../src/abi/constants/stat.ts";
import { LinuxDirent64, Statfs64, Statx } from "../../../src/abi/structs/fs.ts";
import { attachDisk } from "../../../src/fs/index.ts";
import {
  Kernel,
  KernelPanicError,
  KernelStoppedError,
  SystemError,
  VirtualClock,
} from "../../../src/index.ts";
import type { KernelBuffer } from "../../../src/index.ts";
import { COUNTER } from "./hostile.ts";
import type { HostileEvent, HostileWork } from "./hostile.ts";
import { Mutator } from "./mutate.ts";
import { UndoDisk } from "./undo-disk.ts";

const TARGET = "/mnt";
const BUFFER_BYTES = 65536;
/** What is looked at of one image: a damaged one may have no end. */
const MAX_ENTRIES = 250;
const MAX_DEPTH = 6;
/** How long an image may take before its kernel is ended. */
const TIMEOUT_MS = 15_000;
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
  readonly clock: VirtualClock;
  readonly source: string;
  readonly buffer: KernelBuffer;
  #entries = 0;

  private constructor(kernel: Kernel, clock: VirtualClock, source: string, buffer: KernelBuffer) {
    this.kernel = kernel;
    this.clock = clock;
    this.source = source;
    this.buffer = buffer;
  }

  static async boot(): Promise<Patient> {
    const clock = new VirtualClock({ epochMs: Date.UTC(2026, 0, 1) });
    const kernel = await Kernel.boot({ image: "full", memoryMiB: 128, clock, random: 1 });
    kernel.log.listen(({ text }) => {
      if (!/^(WARNING|BUG|kernel BUG|Oops)/.test(text) || warnings.has(text)) return;
      warnings.add(text);
      report({ kind: "warning", seed: counters[COUNTER.current], text });
    });
    const { path } = await clock.drive(attachDisk(kernel, disk));
    // Who looked for partitions lets go of the device a little later.
    await clock.advance(1e9);
    await kernel.init.mkdirat(AT_FDCWD, TARGET, 0o755);
    const buffer = await kernel.init.buffer(BUFFER_BYTES);
    return new Patient(kernel, clock, path, buffer);
  }

  /** @returns whether it could be mounted */
  async examine(writes: boolean): Promise<boolean> {
    const { init } = this.kernel;
    const flags = MS_NODEV | (writes ? 0 : MS_RDONLY);
    const mounting = init.mount(this.source, TARGET, work.type, flags, work.options);
    if ((await tolerate(mounting)) === null) return false;
    this.#entries = 0;
    await tolerate(init.statfs64(TARGET, Statfs64.size, new Uint8Array(Statfs64.size)));
    await this.#look(TARGET, 0);
    if (writes) await this.#write();
    await init.umount2(TARGET, 0);
    return true;
  }

  /** Look at a directory and all below it. */
  async #look(path: string, depth: number): Promise<void> {
    const { init } = this.kernel;
    const fd = await tolerate(init.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0));
    if (fd === null) return;
    const names: string[] = [];
    while (this.#entries < MAX_ENTRIES) {
      const length = await tolerate(init.getdents64(fd, this.buffer, 4096));
      if (!length) break;
      const bytes = this.buffer.bytes.slice(0, length);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < length; at += new LinuxDirent64(view, at).d_reclen) {
        const start = at + LinuxDirent64.offsets.d_name;
        names.push(Buffer.from(bytes.subarray(start, bytes.indexOf(0, start))).toString("latin1"));
        this.#entries++;
      }
    }
    await init.close(fd);
    for (const name of names)
      if (name !== "." && name !== "..") await this.#lookAt(`${path}/${name}`, depth);
  }

  async #lookAt(path: string, depth: number): Promise<void> {
    const { init } = this.kernel;
    const bytes = Buffer.from(path, "latin1");
    const stat = Statx.alloc();
    const found = init.statx(AT_FDCWD, bytes, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, stat.bytes);
    if ((await tolerate(found)) === null) return;
    await tolerate(init.listxattr(bytes, new Uint8Array(1024), 1024));
    await tolerate(init.readlinkat(AT_FDCWD, bytes, this.buffer, 4096));
    if (depth < MAX_DEPTH) await this.#look(path, depth + 1);
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const fd = await tolerate(init.openat(AT_FDCWD, bytes, flags, 0));
    if (fd === null) return;
    await tolerate(init.read(fd, this.buffer, BUFFER_BYTES));
    const end = stat.stx_size - 4096n;
    if (end > 0n) await tolerate(init.pread64(fd, this.buffer, BUFFER_BYTES, end));
    await init.close(fd);
  }

  async #write(): Promise<void> {
    const { init } = this.kernel;
    const at = (name: string) => `${TARGET}/${name}`;
    const fd = await tolerate(init.openat(AT_FDCWD, at("new"), O_CREAT | O_RDWR, 0o644));
    if (fd !== null) {
      await tolerate(init.pwrite64(fd, new Uint8Array(10_000).fill(1), 10_000, 3000));
      await tolerate(init.fsync(fd));
      await init.close(fd);
    }
    await tolerate(init.renameat2(AT_FDCWD, at("new"), AT_FDCWD, at("directory/newer"), 0));
    await tolerate(init.unlinkat(AT_FDCWD, at("small"), 0));
    await tolerate(init.truncate64(at("large"), 70_000));
    await tolerate(init.mkdirat(AT_FDCWD, at("directory/made"), 0o755));
    await tolerate(init.sync());
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
  const timer = setTimeout(() => {
    late = true;
    patient.kernel.dispose();
  }, TIMEOUT_MS);
  try {
    noticed = false;
    const mounted = await patient.clock.drive(patient.examine(writes));
    count(mounted ? COUNTER.mounted : COUNTER.refused);
    if (mounted && noticed) count(COUNTER.noticed);
    return patient;
  } catch (error) {
    if (error instanceof KernelPanicError) {
      count(COUNTER.panics);
      const { reason, backtrace } = error;
      const tail = error.logTail.findLast((line) => /BUG|WARNING|Assert|panic/i.test(line));
      const trace = backtrace.slice(0, 6).join(" < ");
      report({ kind: "panic", seed, text: `${reason} | ${tail ?? ""} | ${trace}` });
    } else if (late && error instanceof KernelStoppedError) {
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
