// ip netns: network namespaces, and commands in them.

import { show, within } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { verbOf } from "./verbs.ts";

/** Understands a command. */
export type Parse = (words: Words) => Command;

export const netns = (words: Words, flags: Flags, parse: Parse): Command =>
  verbOf(
    words,
    flags,
    {
      list,
      show: list,
      lst: list,
      add: (rest) => {
        const name = nameOf(rest);
        return ({ world }) => world.add(name);
      },
      delete: (rest) => {
        const name = nameOf(rest);
        return ({ world }) => world.delete(name);
      },
      exec: (rest) => exec(rest, parse),
    },
    "list",
    "ip netns",
  );

function nameOf(words: Words): string {
  const name = words.take("a namespace's name");
  if (!/^[\w.-]{1,64}$/.test(name) || name === "." || name === "..")
    throw new WordError(`"${name}": a name has letters, digits, ".", "-" and "_"`);
  words.end();
  return name;
}

/** Commands of ours: there are no programs to be executed. */
function exec(words: Words, parse: Parse): Command {
  const name = words.take("a namespace's name");
  if (words.done) throw new WordError("what is to be done there?");
  const command = parse(words);
  return (context) => command(within(context, name));
}

function list(words: Words, flags: Flags): Command {
  words.end();
  return (context) =>
    show(
      context,
      flags,
      context.world.names,
      (name) => ({ name }),
      (name) => `${name}\n`,
    );
}
