// What this process uses: that it does not grow with how often something was done.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

const MIB = 1 << 20;
/** A kernel that runs has a timer at one moment, and at another one none. */
const SPARE_HANDLES = 4;

export interface Usage {
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly mappings: number;
  readonly handles: number;
}

/** What the process uses when all that can be collected is. */
export async function usage(): Promise<Usage> {
  assert.ok(globalThis.gc, "run Node with --expose-gc");
  for (let i = 0; i < 5; i++) {
    // Also what the engine would keep for the next objects.
    await globalThis.gc({ type: "major", execution: "async", flavor: "last-resort" });
    await nextTurn();
  }
  return {
    rssBytes: process.memoryUsage.rss(),
    heapBytes: process.memoryUsage().heapUsed,
    mappings: existsSync("/proc/self/maps")
      ? readFileSync("/proc/self/maps", "latin1").split("\n").length
      : 0,
    handles: process.getActiveResourcesInfo().length,
  };
}

/** No growth with the count; the engine's own caches and fragments may stay. */
export function assertNoGrowth(before: Usage, after: Usage, what: string): void {
  assert.ok(
    after.handles <= before.handles + SPARE_HANDLES,
    `${before.handles} handles before, ${after.handles} after ${what}`,
  );
  assert.ok(
    after.mappings <= before.mappings + 80,
    `${before.mappings} mappings before, ${after.mappings} after ${what}`,
  );
  assert.ok(
    after.heapBytes <= before.heapBytes + 8 * MIB,
    `${before.heapBytes / MIB} MiB of objects before, ${after.heapBytes / MIB} after ${what}`,
  );
  assert.ok(
    after.rssBytes <= before.rssBytes + 48 * MIB,
    `${before.rssBytes / MIB} MiB before, ${after.rssBytes / MIB} after ${what}`,
  );
}
