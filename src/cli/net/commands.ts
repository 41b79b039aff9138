// The commands, by their names: how each is understood.

import type { Command } from "./command.ts";
import { ip, objectNamed, OBJECT_NAMES } from "./ip/index.ts";
import type { Line } from "./lines.ts";
import { tc } from "./tc/index.ts";
import { unknownWord, WordError, Words } from "./words.ts";

type Parse = (words: Words) => Command;

interface Known {
  readonly parse: Parse;
  readonly usage: string;
  readonly about: string;
}

const COMMANDS: Readonly<Record<string, Known>> = {
  ip: {
    parse: (words) => ip(words, parseWords),
    usage: "ip [-j] [-d] [-s] [-4|-6] [-br] [-n NAME] OBJECT [VERB...]",
    about: `${OBJECT_NAMES.filter((name) => name !== "neighbor").join(", ")}; "ip" can be left out`,
  },
  tc: {
    parse: tc,
    usage: "tc [-j] [-s] [-n NAME] qdisc|class|filter [VERB...]",
    about: "traffic control: queueing disciplines, their classes, filters",
  },
};

/** Names of commands, and what may stand in their place. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** Usage and what they do. */
export const COMMAND_HELP: readonly (readonly [usage: string, about: string])[] = Object.values(
  COMMANDS,
).map(({ usage, about }) => [usage, about]);

/** Understand a command. Objects of ip stand for themselves, as in `ip -batch`. @throws {WordError} */
export function parseWords(words: Words): Command {
  const given = words.next ?? "";
  if (Object.hasOwn(COMMANDS, given)) {
    words.take("a command");
    return COMMANDS[given].parse(words);
  }
  if (given.startsWith("-") || objectNamed(given) !== undefined) return ip(words, parseWords);
  throw unknownWord(given, "command", [...COMMAND_NAMES, ...OBJECT_NAMES]);
}

/** @throws {WordError} that says where */
export function parseLine({ words, text, place }: Line): Command {
  try {
    return parseWords(new Words(words, text));
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    throw new WordError(`${text.split("\n")[0]}: ${error.problem}`, { place, known: error.known });
  }
}
