// What can stand where the cursor of a command is: what the command, understood up to there, expects.

import { COMMAND_NAMES, parseWords } from "./commands.ts";
import { objectNamed, OBJECT_NAMES } from "./ip/index.ts";
import { CURSOR, WordError, Words } from "./words.ts";

/** Words that may stand behind those given; "" in the place of an interface's name. */
export function expectedAfter(words: readonly string[]): readonly string[] {
  const first = words[0];
  if (first === undefined) return [...COMMAND_NAMES, ...OBJECT_NAMES];
  if (!COMMAND_NAMES.includes(first) && objectNamed(first) === undefined) return [];
  try {
    parseWords(new Words([...words, CURSOR]));
    return [];
  } catch (error) {
    if (error instanceof WordError) return error.known;
    throw error;
  }
}
