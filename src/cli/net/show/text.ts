// Rates, sizes and times as tc(8) writes them.

const TIMES = [
  [1000, "s"],
  [1, "ms"],
  [1e-3, "us"],
] as const;

/** Three digits that mean something, and none that do not. */
const short = (value: number): string => String(Number(value.toPrecision(3)));

/** Milliseconds as `10ms`, `1.5s`, `20us`. */
export function timeText(ms: number): string {
  const [factor, unit] = TIMES.find(([least]) => Math.abs(ms) >= least) ?? [1e-3, "us"];
  return `${short(ms / factor)}${unit}`;
}

const RATES = ["bit", "Kbit", "Mbit", "Gbit", "Tbit"];

/** Bytes per second as `10Mbit`; what is not even stays in the smaller unit. */
export function rateText(bytesPerSecond: number): string {
  let value = bytesPerSecond * 8;
  let unit = 0;
  while (unit < RATES.length - 1 && value >= 1000 && (value % 1000 === 0 || value >= 1e6)) {
    value = Math.floor(value / 1000);
    unit++;
  }
  return `${value}${RATES[unit]}`;
}

const MIB = 1 << 20;

/** Bytes as `1600b`, `15Kb`, `32Mb`. */
export function sizeText(bytes: number): string {
  const [mega, kilo] = [Math.round(bytes / MIB), Math.round(bytes / 1024)];
  if (bytes >= MIB && Math.abs(mega * MIB - bytes) < 1024) return `${mega}Mb`;
  if (bytes >= 1024 && Math.abs(kilo * 1024 - bytes) < 16) return `${kilo}Kb`;
  return `${bytes}b`;
}

/** A part of 1 as `5%`. */
export const partText = (part: number): string => `${Number((part * 100).toPrecision(6))}%`;

/** A part of 1 as the kernel has it, without what it lost by that. */
export const partNumber = (part: number): number => Number(part.toPrecision(6));

/** Only what there is. */
export const known = (...parts: readonly (string | false | undefined)[]): string =>
  parts.filter((part) => part !== undefined && part !== false && part !== "").join(" ");
