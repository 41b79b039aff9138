// How a thing is measured: rounds, medians, and what it is compared with.

/** One line of the table. */
export interface Row {
  readonly item: string;
  readonly value: number;
  readonly unit: string;
  /** The same by another way, in the same run; null if this machine does not have that way. */
  readonly native?: number | null;
  /** What it should not exceed (or fall below, for rates). */
  readonly goal?: number;
}

/** Of a rate more is better, of all else less. */
export const isRate = (unit: string): boolean => unit.endsWith("/s");

/** How many times as fast as what is beside it. */
export function timesAsFast({ value, unit, native }: Row): number | undefined {
  if (!native) return undefined;
  return isRate(unit) ? value / native : native / value;
}

/** Whether a row reaches its goal; undefined if it has none. */
export function isReached({ value, unit, goal }: Row): boolean | undefined {
  if (goal === undefined) return undefined;
  return isRate(unit) ? value >= goal : value <= goal;
}

/** A question that a benchmark answers. */
export interface Benchmark {
  readonly question: string;
  run(): Promise<Row[]>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Nanoseconds that one of `count` operations takes: the median of rounds, after a warm-up. */
export async function timePerOperation(
  count: number,
  operations: (count: number) => Promise<unknown>,
  rounds = 7,
): Promise<number> {
  await operations(Math.ceil(count / 4));
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await operations(count);
    results.push(((performance.now() - start) * 1e6) / count);
  }
  return median(results);
}
