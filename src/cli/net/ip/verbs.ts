// What the objects of ip have in common: verbs, flags and interfaces' names.

import type { Command, Flags } from "../command.ts";
import { CURSOR, wordOf, unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";

export type Verb = (words: Words, flags: Flags) => Command;

/**
 * A verb, which may be abbreviated; without one the first of the names in `usual`.
 *
 * @param verbs in the order in which abbreviations are tried
 */
export function verbOf(
  words: Words,
  flags: Flags,
  verbs: Readonly<Record<string, Verb>>,
  usual: string,
  what: string,
): Command {
  const names = Object.keys(verbs);
  if (words.done) return verbs[usual](words, flags);
  const given = words.take("a verb");
  const found = wordOf(given, names);
  if (found === undefined) throw unknownWord(given, `verb of ${what}`, names);
  return verbs[found](words, flags);
}

/** An interface's name, behind "dev" or by itself. */
export function device(words: Words): string {
  const name = words.take("an interface's name");
  if (name === CURSOR) throw new WordError("which interface?", { known: [""] });
  if (name.length > 15 || /[/\s]/.test(name))
    throw new WordError(
      `"${name}": an interface's name has up to 15 letters, none of them / or space`,
    );
  return name;
}

/** What has to be there. @throws {WordError} that names it */
export function needed<T>(value: T | undefined, keyword: string): T {
  if (value === undefined) throw new WordError(`"${keyword}" is missing`);
  return value;
}
