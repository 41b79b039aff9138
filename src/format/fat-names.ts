// What FAT and exFAT have in common: serial numbers and times.

import type { Random } from "../machine/random.ts";
import { invalid } from "./errors.ts";
import { randomU32 } from "./identity.ts";

/** A volume's serial number: random, or as blkid shows it, such as 12AB-34CD. */
export function serialNumber(random: Random, uuid: string | undefined): number {
  if (uuid === undefined) return randomU32(random);
  const digits = /^([0-9a-f]{4})-?([0-9a-f]{4})$/i.exec(uuid);
  if (!digits)
    throw invalid(
      "uuid",
      `"${uuid}": FAT has a serial number of 8 hexadecimal digits, as 12AB-34CD`,
    );
  return parseInt(`${digits[1]}${digits[2]}`, 16);
}

/** As blkid shows it. */
export function serialText(serial: number): string {
  const digits = serial.toString(16).toUpperCase().padStart(8, "0");
  return `${digits.slice(0, 4)}-${digits.slice(4)}`;
}

const FIRST_YEAR = 1980;
const LAST_YEAR = 2107;

/** A time (UTC) in FAT's two words, which know only the years 1980 to 2107. */
export function fatTime(timeSeconds: number): { readonly date: number; readonly time: number } {
  const first = Date.UTC(FIRST_YEAR, 0, 1);
  const last = Date.UTC(LAST_YEAR, 11, 31, 23, 59, 58);
  const at = new Date(Math.min(last, Math.max(first, timeSeconds * 1000)));
  const day = at.getUTCDate() | ((at.getUTCMonth() + 1) << 5);
  return {
    date: day | ((at.getUTCFullYear() - FIRST_YEAR) << 9),
    time: (at.getUTCSeconds() >> 1) | (at.getUTCMinutes() << 5) | (at.getUTCHours() << 11),
  };
}
