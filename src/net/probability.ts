// Parts of 1, as the kernel's packet scheduler has them.

import { InvalidOptionError } from "../machine/errors.ts";

/** All of it. */
const MAX = 0xffffffff;

/** @throws {InvalidOptionError} if it is no part of 1 */
export function toProbability(value: number, option: string): number {
  if (!(typeof value === "number" && value >= 0 && value <= 1))
    throw new InvalidOptionError(option, `${String(value)}: it is a number from 0 to 1`);
  return Math.round(value * MAX);
}

export const fromProbability = (value: number): number => value / MAX;
