// What several rounds measured, by name.

import { median } from "../measure.ts";

export class Samples {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values) values.push(value);
    else this.#values.set(name, [value]);
  }

  /** The median of what was added; undefined if nothing was. */
  find(name: string): number | undefined {
    const values = this.#values.get(name);
    return values && median(values);
  }

  /** The median of what was added. */
  of(name: string): number {
    const value = this.find(name);
    if (value === undefined) throw new Error(`nothing was measured as ${name}`);
    return value;
  }
}

/** Seconds that it takes. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/**
 * Seconds of the processor's time that it takes, by all threads of this process. What else a busy
 * machine does is not in it, and for work that never waits it is the same on an idle one.
 */
export async function processorTimed(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
