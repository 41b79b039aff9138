// Runs threads that mount damaged images, and ends those that do not come back.

import { Worker } from "node:worker_threads";

/** What a thread counts, in memory that both sides see. */
export const COUNTER = {
  current: 0,
  images: 1,
  mounted: 2,
  refused: 3,
  panics: 4,
  hangs: 5,
  stuck: 6,
  /** Mounted, and then a call said that something is damaged. */
  noticed: 7,
  /** A call had no end, until its process was killed. */
  endless: 8,
} as const;

/** What a thread is to do. */
export interface HostileWork {
  readonly type: string;
  readonly writable: boolean;
  /** Mount options. */
  readonly options: string | null;
  /** An image that is not damaged. */
  readonly image: SharedArrayBuffer;
  /** Images to try instead of damaging that one, in gzip's format: two seeds for each. */
  readonly files?: readonly string[];
  readonly counters: SharedArrayBuffer;
  /** Seeds. */
  readonly from: number;
  readonly to: number;
}

/** Something to tell. */
export interface HostileEvent {
  readonly kind:
    | "panic"
    /** A call had no end, but its process could be killed, and the kernel went on. */
    | "endless"
    /** A call did not return, but the event loop turned: the kernel was ended. */
    | "hang"
    /** Nothing turned any more: the thread was ended. */
    | "block"
    /** What was mounted cannot be unmounted. */
    | "stuck"
    /** After damaged images, this kernel no longer mounts a good one. */
    | "worn"
    /** The kernel's own complaint. */
    | "warning"
    /** The host's side went wrong. */
    | "failure";
  readonly seed: number;
  readonly text: string;
}

export interface HostileTally {
  readonly images: number;
  readonly mounted: number;
  readonly refused: number;
  readonly panics: number;
  readonly hangs: number;
  readonly stuck: number;
  readonly noticed: number;
  readonly endless: number;
  readonly events: readonly HostileEvent[];
  readonly ms: number;
}

/** A thread whose counter stands still for so long is ended. */
const BLOCKED_MS = 40_000;
const LOOK_MS = 1000;

/** What is damaged. */
export interface HostileSubject {
  readonly type: string;
  readonly writable: boolean;
  readonly options?: string;
  readonly files?: readonly string[];
}

/** Mount so many damaged images, from the first seed on. */
export async function runHostile(
  what: HostileSubject,
  bytes: Uint8Array,
  from: number,
  count: number,
): Promise<HostileTally> {
  const image = new SharedArrayBuffer(bytes.length);
  new Uint8Array(image).set(bytes);
  const shared = new SharedArrayBuffer(Object.keys(COUNTER).length * 4);
  const counters = new Int32Array(shared);
  const events: HostileEvent[] = [];
  const start = performance.now();
  const to = from + count;
  for (let next = from; next < to;) {
    const { type, writable, options = null, files } = what;
    const source = { type, writable, options, image, ...(files && { files }) };
    const work: HostileWork = { ...source, counters: shared, from: next, to };
    const blockedAt = await runThread(work, counters, events);
    if (blockedAt === null) break;
    events.push({ kind: "block", seed: blockedAt, text: `for ${BLOCKED_MS} ms` });
    Atomics.add(counters, COUNTER.hangs, 1);
    next = blockedAt + 1;
  }
  const { images, mounted, refused, panics, hangs, stuck, noticed, endless } = COUNTER;
  return {
    images: counters[images],
    mounted: counters[mounted],
    refused: counters[refused],
    panics: counters[panics],
    hangs: counters[hangs],
    stuck: counters[stuck],
    noticed: counters[noticed],
    endless: counters[endless],
    events,
    ms: performance.now() - start,
  };
}

/** @returns the seed at which it did not come back, or null if it came to its end */
async function runThread(
  work: HostileWork,
  counters: Int32Array,
  events: HostileEvent[],
): Promise<number | null> {
  const worker = new Worker(new URL("hostile-worker.ts", import.meta.url), { workerData: work });
  let last = -1;
  let since = performance.now();
  let blocked: number | null = null;
  const timer = setInterval(() => {
    const current = Atomics.load(counters, COUNTER.current);
    if (current !== last) {
      last = current;
      since = performance.now();
    } else if (performance.now() - since > BLOCKED_MS) {
      blocked = current;
      void worker.terminate();
    }
  }, LOOK_MS);
  try {
    await new Promise<void>((resolve) => {
      worker.on("message", (event: HostileEvent) => events.push(event));
      worker.on("error", (error) => {
        const seed = Atomics.load(counters, COUNTER.current);
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        events.push({ kind: "failure", seed, text });
      });
      worker.on("exit", () => resolve());
    });
  } finally {
    clearInterval(timer);
  }
  return blocked;
}
