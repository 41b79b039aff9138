// Scripts, changed by chance: packets that no peer would send, and calls that no program would make.

import type { Dice } from "../../src/link/dice.ts";

/** What happens at a time: packets and calls, but not commands and code. */
const EVENT = /^\s*(?:\+?[\d.]+(?:~\+?[\d.]+)?|\*)(?:\.\.\.[\d.]+)?\s+[<>a-z]/;
const FLAGS = "FSRPEWAU.-";
const EXTREMES = [0, 1, 255, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

function pick<T>(dice: Dice, from: readonly T[]): T {
  return from[dice.below(from.length)];
}

function otherNumber(dice: Dice, text: string): string {
  const value = Number(text);
  const near = [value + 1, value - 1, value + 1000, value * 2];
  return String(Math.max(0, pick(dice, dice.chance(0.5) ? near : EXTREMES)));
}

const U32 = 2 ** 32;
const MAX_PAYLOAD = 60000;

/** Other sequence numbers that fit each other: `5:105(100)`. */
function otherSequence(dice: Dice, start: string, length: string): string {
  const isStart = dice.chance(0.5);
  const first = isStart ? Number(otherNumber(dice, start)) : Number(start);
  const bytes = isStart ? Number(length) : Number(otherNumber(dice, length)) % MAX_PAYLOAD;
  const from = Math.min(first, U32 - 1 - bytes);
  return `${from}:${from + bytes}(${bytes})`;
}

/** Change one number of an event, but for its time, or a packet's flags. */
function changeLine(dice: Dice, line: string): string {
  const start = line.search(/[<>a-z]/);
  const [time, rest] = [line.slice(0, start), line.slice(start)];
  if (/^[<>]/.test(rest) && dice.chance(0.3)) {
    const flags = Array.from({ length: 1 + dice.below(3) }, () => pick(dice, Array.from(FLAGS)));
    return time + rest.replace(/^([<>]\s+(?:[[(].*?[\])]\s+)?)\S+/, `$1${flags.join("")}`);
  }
  const sequence = /\b(\d+):\d+\((\d+)\)/.exec(rest);
  if (sequence && dice.chance(0.5)) {
    const [whole, first, bytes] = sequence;
    return time + rest.replace(whole, otherSequence(dice, first, bytes));
  }
  const numbers = [...rest.matchAll(/\b\d+\b/g)];
  if (numbers.length === 0) return line;
  const { 0: text, index } = pick(dice, numbers);
  return time + rest.slice(0, index) + otherNumber(dice, text) + rest.slice(index + text.length);
}

/** A script in which something is changed, left out, or there twice. */
export function mutate(script: string, dice: Dice): string {
  const lines = script.split("\n");
  for (let changes = 1 + dice.below(3); changes > 0; changes--) {
    const events = lines.flatMap((line, index) => (EVENT.test(line) ? [index] : []));
    const at = pick(dice, events);
    const kind = dice.below(10);
    if (kind === 0) lines.splice(at, 1);
    else if (kind === 1) lines.splice(at, 0, lines[at]);
    else lines[at] = changeLine(dice, lines[at]);
  }
  return lines.join("\n");
}
