// Numbers with units, as tc(8) has them, and others of fetch's options.

import { UsageError } from "../errors.ts";

const RATES: Readonly<Record<string, number>> = { kbit: 1e-3, mbit: 1, gbit: 1e3 };
const TIMES: Readonly<Record<string, number>> = { ms: 1, s: 1e3 };
const MAX_MBPS = 1e6;
const MAX_MS = 2 ** 31 - 1;

function split(text: string): [number: number, unit: string] {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)([a-z%]*)$/i.exec(text) ?? [];
  return [number ? Number(number) : NaN, unit.toLowerCase()];
}

function scaled(
  option: string,
  text: string,
  units: Readonly<Record<string, number>>,
  most: number,
  example: string,
): number {
  const [number, unit] = split(text);
  const value = number * (units[unit] ?? NaN);
  if (!(value > 0 && value <= most))
    throw new UsageError("fetch", `--${option} ${text}: it is like ${example}`);
  return value;
}

export const toMbps = (option: string, text: string): number =>
  scaled(option, text, RATES, MAX_MBPS, "10mbit, 500kbit or 1gbit");

export const toMs = (option: string, text: string): number =>
  scaled(option, text, TIMES, MAX_MS, "20ms or 1s");

/** As a part of 1. */
export function toProbability(option: string, text: string): number {
  const [number, unit] = split(text);
  if (unit !== "%" || !(number >= 0 && number <= 100))
    throw new UsageError("fetch", `--${option} ${text}: it is like 1% or 0.1%`);
  return number / 100;
}

/** Seconds, maybe with a fraction, in milliseconds. */
export function secondsToMs(option: string, text: string): number {
  const [number, unit] = split(text);
  const ms = Math.round(number * 1000);
  if (unit || !(ms >= 1 && ms <= MAX_MS))
    throw new UsageError("fetch", `--${option} ${text}: it is a number of seconds, such as 2.5`);
  return ms;
}

export function toNumber(option: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(number >= least && number <= most))
    throw new UsageError("fetch", `--${option} ${text}: it is a number from ${least} to ${most}`);
  return number;
}
