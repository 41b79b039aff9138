// What the tests of the core share: kernels to try, and the values that calls take.

import { readFileSync } from "node:fs";

import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../src/abi/constants/fcntl.ts";
import { KernelTimespec } from "../src/abi/structs/time.ts";
import { Kernel, KernelImage } from "../src/index.ts";
import type { BootOptions, Process } from "../src/index.ts";

const { LIBLINUX_TEST_IMAGE } = process.env;

/** The kernel under test: the profile "fs", or the file that LIBLINUX_TEST_IMAGE names. */
const image: NonNullable<BootOptions["image"]> =
  LIBLINUX_TEST_IMAGE === undefined ? "fs" : new KernelImage(readFileSync(LIBLINUX_TEST_IMAGE));

/** Boot the kernel under test. */
export function boot(options: BootOptions = {}): Promise<Kernel> {
  return Kernel.boot({ image, memoryMiB: 32, ...options });
}

/** Both kinds of memory that a kernel can have. */
export const memories = [
  { kind: "unshared memory", shared: false },
  { kind: "shared memory", shared: true },
] as const;

/** Whether the full count of the endurance tests was asked for, by `npm run soak`. */
export const soaking = process.env.LIBLINUX_SOAK !== undefined;

/** How often an endurance test repeats: in `npm run soak`, and elsewhere. */
export function repeats(soak: number, otherwise: number): number {
  return soaking ? soak : otherwise;
}

/** The bytes of a record, for its accessors. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** For sizes of sigset_t. */
export const SIGSET_BYTES = 8;

/** A sigset_t. */
export function signals(...numbers: number[]): Uint8Array {
  const set = new Uint8Array(SIGSET_BYTES);
  for (const number of numbers) set[(number - 1) >> 3] |= 1 << ((number - 1) & 7);
  return set;
}

/** A struct __kernel_timespec. */
export function timespec(ns: number): Uint8Array {
  const bytes = new Uint8Array(KernelTimespec.size);
  const record = new KernelTimespec(viewOf(bytes));
  record.tv_sec = BigInt(Math.floor(ns / 1e9));
  record.tv_nsec = BigInt(ns % 1e9);
  return bytes;
}

/** What a clock of the kernel shows, in nanoseconds. */
export async function clockNs(process: Process, clock: number): Promise<number> {
  const bytes = new Uint8Array(KernelTimespec.size);
  await process.clock_gettime64(clock, bytes);
  const { tv_sec, tv_nsec } = new KernelTimespec(viewOf(bytes));
  return Number(tv_sec) * 1e9 + Number(tv_nsec);
}

/** A pipe's descriptors: for reading, and for writing. */
export async function pipe(process: Process, flags = 0): Promise<[number, number]> {
  const fds = new Int32Array(2);
  await process.pipe2(new Uint8Array(fds.buffer), flags);
  return [fds[0], fds[1]];
}

export const text = {
  encode: (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value),
  decode: (value: Uint8Array): string => new TextDecoder().decode(value),
};

/** The working directory of a process. */
export async function cwd(process: Process): Promise<string> {
  const bytes = new Uint8Array(4096);
  return text.decode(bytes.subarray(0, (await process.getcwd(bytes, bytes.length)) - 1));
}

/** The names in a directory, but "." and "..". */
export async function list(process: Process, path: string): Promise<string[]> {
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
  const bytes = new Uint8Array(65536);
  const names: string[] = [];
  for (;;) {
    const length = await process.getdents64(fd, bytes, bytes.length);
    if (!length) break;
    for (let at = 0; at < length; at += viewOf(bytes).getUint16(at + 16, true))
      names.push(text.decode(bytes.subarray(at + 19, bytes.indexOf(0, at + 19))));
  }
  await process.close(fd);
  return names.filter((name) => name !== "." && name !== "..");
}

/** Ask again until something is true; the test runner's limit ends it if it never is. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** How many threads a process has: its leader and one for each call that is in the kernel. */
export async function threads(kernel: Kernel, process: Process): Promise<number> {
  return (await list(kernel.init, `/proc/${process.pid}/task`)).length;
}

/** Whether a promise is settled by now, in as far as the event loop can tell after some turns. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 20; turn++)
    await new Promise<void>((resolve) => void setImmediate(resolve));
  return settled;
}

/** What a promise is rejected with; an error if it is not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the promise was fulfilled");
}
