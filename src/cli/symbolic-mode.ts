// Modes as chmod(1) takes them: octal, or who=what.

import { UsageError } from "./errors.ts";

/** Gives the new permissions of a file that has these. */
type Change = (mode: number, directory: boolean) => number;

const CLAUSE = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/;
const SHIFTS: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const BITS: Readonly<Record<string, number>> = { r: 4, w: 2, x: 1 };
const SET_USER = 0o4000;
const SET_GROUP = 0o2000;
const STICKY = 0o1000;
const EXECUTE = 0o111;

export function changedMode(verb: string, text: string): Change {
  if (/^[0-7]{1,4}$/.test(text)) return () => parseInt(text, 8);
  const clauses = text.split(",").map((clause) => {
    const [, who, actions] = CLAUSE.exec(clause) ?? [];
    if (who === undefined || actions === undefined)
      throw new UsageError(verb, `${text}: a mode is octal, such as 0644, or like u+x,go-w`);
    return { who: who === "" || who.includes("a") ? "ugo" : who, actions };
  });
  return (mode, directory) =>
    clauses.reduce((before, { who, actions }) => {
      let now = before;
      for (const [, operator, letters = ""] of actions.matchAll(/([-+=])([rwxXst]*)/g)) {
        const bits = bitsOf(who, letters, directory || (now & EXECUTE) !== 0);
        if (operator === "+") now |= bits;
        else if (operator === "-") now &= ~bits;
        else now = (now & ~coveredBy(who, directory)) | bits;
      }
      return now;
    }, mode);
}

function bitsOf(who: string, letters: string, execute: boolean): number {
  let bits = 0;
  for (const person of who) {
    for (const letter of letters) bits |= (BITS[letter] ?? 0) << SHIFTS[person];
    if (letters.includes("X") && execute) bits |= BITS["x"] << SHIFTS[person];
  }
  if (letters.includes("s")) bits |= specialOf(who);
  if (letters.includes("t")) bits |= STICKY;
  return bits;
}

const specialOf = (who: string) =>
  (who.includes("u") ? SET_USER : 0) | (who.includes("g") ? SET_GROUP : 0);

/** What "=" sets anew; a directory keeps its set-ID bits, as in GNU's chmod. */
function coveredBy(who: string, directory: boolean): number {
  let bits = directory ? 0 : specialOf(who);
  for (const person of who) bits |= 7 << SHIFTS[person];
  return bits;
}
