// What is measured beside this library, and what is expected of the comparison.

import { isRate } from "../measure.ts";
import type { Row } from "../measure.ts";

/** The names of other ways to an image, as the table has them. */
export const LOOP = "loop mount";
export const FUSE = "fuse2fs";
export const EXT2FS = "node-ext2fs";

/** How many times as fast as those this library should be, whatever is measured. */
const TIMES: Readonly<Record<string, number>> = { [FUSE]: 4, [EXT2FS]: 50 };

/**
 * A row of the table: this library, beside another way.
 *
 * @param theirs undefined if this machine does not have that way
 * @param times how many times as fast this library should be, if that is asked
 */
export function beside(
  item: string,
  unit: string,
  ours: number,
  name: string,
  theirs: number | undefined,
  times = TIMES[name],
): Row {
  const row = { item: `${item}, beside ${name}`, value: ours, unit, native: theirs ?? null };
  if (theirs === undefined || times === undefined) return row;
  return { ...row, goal: isRate(unit) ? theirs * times : theirs / times };
}
