// Waiting so long and not longer, by the kernel's clock: with a virtual one in its time.

import { CLOCK_MONOTONIC } from "../abi/constants/time.ts";
import { KernelTimespec } from "../abi/structs/time.ts";
import type { Process } from "../syscall/process.ts";

/** What was waited for did not happen in time. */
export class NetworkTimeoutError extends Error {
  override readonly name = "NetworkTimeoutError";
  readonly code = "ETIMEDOUT";
  readonly timeoutMs: number;

  constructor(what: string, timeoutMs: number) {
    super(`${what}: nothing in ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** Sleep in the kernel. @throws the reason of the signal, when that fires */
export async function sleep(process: Process, ms: number, signal?: AbortSignal): Promise<void> {
  const time = KernelTimespec.alloc();
  time.tv_sec = BigInt(Math.floor(ms / 1000));
  time.tv_nsec = BigInt(Math.round((ms % 1000) * 1e6));
  await process.clock_nanosleep_time64(CLOCK_MONOTONIC, 0, time.bytes, null, signal && { signal });
}

/** What the kernel's clock shows, in milliseconds since it booted. */
export async function clockMs(process: Process): Promise<number> {
  const time = KernelTimespec.alloc();
  await process.clock_gettime64(CLOCK_MONOTONIC, time.bytes);
  return Number(time.tv_sec) * 1000 + Number(time.tv_nsec) / 1e6;
}

/**
 * Do something that ends when its signal fires: after a time, or when the caller's does.
 *
 * @throws {NetworkTimeoutError} if the time is up before
 */
export async function within<T>(
  process: Process,
  timeoutMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const over = new AbortController();
  const all = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
  // It is told to stop when the work is done, and its end is waited for: it uses the process.
  const timer = sleep(process, timeoutMs, stop.signal).then(
    () => over.abort(new NetworkTimeoutError(what, timeoutMs)),
    () => {},
  );
  try {
    return await work(all);
  } finally {
    stop.abort(new Error("it is done"));
    await timer;
  }
}
