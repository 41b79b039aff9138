// Values in commands: numbers, addresses, rates, sizes, times, parts of 1, as tc(8) and ip(8) have them.

import { ipOf, parseMac, parsePrefix } from "../../net/address.ts";
import { unknownWord, WordError } from "./words.ts";
import type { Words } from "./words.ts";

const wrong = (given: string, keyword: string, shape: string): WordError =>
  new WordError(`${keyword} "${given}": it is ${shape}`);

/** A whole number, in decimal or behind 0x. @throws {WordError} */
export function number(words: Words, least = 0, most = 0xffffffff): number {
  const keyword = words.last;
  const given = words.take("a number");
  const value = /^(0x[\da-f]+|-?\d+)$/i.test(given) ? Number(given) : NaN;
  if (!(value >= least && value <= most))
    throw wrong(given, keyword, `a number from ${least} to ${most}`);
  return value;
}

/** "on" or "off". */
export function onOff(words: Words): boolean {
  const keyword = words.last;
  const given = words.take("on or off");
  if (["on", "1", "yes"].includes(given)) return true;
  if (["off", "0", "no"].includes(given)) return false;
  throw wrong(given, keyword, "on or off");
}

/** One of a few words, in full. */
export function choice<K extends string>(words: Words, known: readonly K[]): K {
  const keyword = words.last;
  const given = words.take(known.join(" or "));
  const found = known.find((one) => one === given);
  if (found === undefined) throw unknownWord(given, keyword, known);
  return found;
}

/** An IP address without a length. */
export function address(words: Words): string {
  const given = words.take("an address");
  if (!ipOf(given))
    throw new WordError(`"${given}" is no IP address: it is like 10.0.0.1 or fe80::1`);
  return given;
}

/** An IP address with a length, or a whole one. */
export function prefix(words: Words, what = "an address"): string {
  const given = words.take(what);
  try {
    parsePrefix(given, "address");
    return given;
  } catch {
    throw new WordError(`"${given}" is no IP address: it is like 10.0.0.1/24 or fd00::1/64`);
  }
}

/** "default", "all", "any", or a network. */
export function network(words: Words): string | undefined {
  if (words.accept("default", "all", "any")) return undefined;
  return prefix(words, "a network");
}

const MIN_MAC_BYTES = 4;

/** A hardware address. */
export function mac(words: Words): string {
  const given = words.take("a hardware address");
  try {
    const bytes = parseMac(given, "address");
    // Those of tunnels are IPv4 addresses.
    if (bytes.length >= MIN_MAC_BYTES) return given.toLowerCase();
  } catch {}
  throw new WordError(`"${given}" is no hardware address: it is like 02:00:5e:10:00:01`);
}

/** A number with a unit, in the units of the table. */
function measured(
  words: Words,
  units: Readonly<Record<string, number>>,
  what: string,
  example: string,
): number {
  const keyword = words.last;
  const given = words.take(what);
  const [, digits = "", unit = ""] = /^([\d.]+)([a-z%]*)$/i.exec(given) ?? [];
  const factor = units[unit.toLowerCase()];
  const value = Number(digits) * (factor ?? NaN);
  if (digits === "" || !Number.isFinite(value))
    throw wrong(given, keyword, `${what} such as ${example}`);
  return value;
}

const RATES: Readonly<Record<string, number>> = {
  "": 1 / 8,
  bit: 1 / 8,
  kbit: 1e3 / 8,
  mbit: 1e6 / 8,
  gbit: 1e9 / 8,
  tbit: 1e12 / 8,
  kibit: 1024 / 8,
  mibit: 1024 ** 2 / 8,
  gibit: 1024 ** 3 / 8,
  bps: 1,
  kbps: 1e3,
  mbps: 1e6,
  gbps: 1e9,
  tbps: 1e12,
};

/** A rate, in bytes per second: 10mbit, 1.5gbit; kbps and the like are bytes, as tc(8) has them. */
export const rate = (words: Words): number =>
  Math.round(measured(words, RATES, "a rate", "10mbit or 1gbit"));

const SIZES: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 1024,
  kb: 1024,
  m: 1024 ** 2,
  mb: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1024 ** 3,
  kbit: 1024 / 8,
  mbit: 1024 ** 2 / 8,
};

/** A number of bytes: 1500, 32k, 1mb. */
export const size = (words: Words): number =>
  Math.round(measured(words, SIZES, "a number of bytes", "1500, 32k or 1mb"));

const TIMES: Readonly<Record<string, number>> = {
  s: 1000,
  sec: 1000,
  secs: 1000,
  ms: 1,
  msec: 1,
  msecs: 1,
  us: 1e-3,
  usec: 1e-3,
  usecs: 1e-3,
  "": 1e-3,
  ns: 1e-6,
  nsec: 1e-6,
  nsecs: 1e-6,
};

/** A time in milliseconds: 10ms, 1s, 250us; without a unit in microseconds, as tc(8) has it. */
export const time = (words: Words): number => measured(words, TIMES, "a time", "10ms, 1s or 250us");

/** Whether a word is such as {@link time} takes, with its unit. */
export const isTime = (word: string | undefined): boolean =>
  word !== undefined && /^[\d.]+([num]?s|[num]?secs?)?$/i.test(word);

/** A part of 1: 5%, 0.5%. */
export function part(words: Words): number {
  const value = measured(words, { "%": 0.01, "": 0.01 }, "a percentage", "5% or 0.5%");
  if (value > 1) throw wrong(words.last, "percentage", "no more than 100%");
  return value;
}

export const isPart = (word: string | undefined): boolean =>
  word !== undefined && /^[\d.]+%$/.test(word);
