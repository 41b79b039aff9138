// Virtual time that passes while something is under way.

import type { VirtualClock } from "../../../src/index.ts";

const STEP_NS = 1e6;

/** Let time pass, a little at a time, until `work` is done. */
export async function pass<T>(clock: VirtualClock, work: Promise<T>, stepNs = STEP_NS): Promise<T> {
  let over = false;
  const end = () => {
    over = true;
  };
  work.then(end, end);
  while (!over) await clock.advance(stepNs);
  return work;
}
