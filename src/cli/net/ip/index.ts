// ip: flags, an object, and what is to be done with it.

import { NO_FLAGS, within } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { unknownWord, WordError, wordOf } from "../words.ts";
import type { Words } from "../words.ts";
import { address } from "./address.ts";
import { link } from "./link.ts";
import { monitor } from "./monitor.ts";
import { neighbour } from "./neighbour.ts";
import { netns } from "./netns.ts";
import type { Parse } from "./netns.ts";
import { nexthop } from "./nexthop.ts";
import { route } from "./route.ts";
import { rule } from "./rule.ts";

/** In the order in which abbreviations are tried. */
const OBJECTS: Readonly<Record<string, (words: Words, flags: Flags, parse: Parse) => Command>> = {
  address,
  route,
  rule,
  neighbor: neighbour,
  neighbour,
  link,
  monitor,
  netns,
  nexthop,
};

export const OBJECT_NAMES: readonly string[] = Object.keys(OBJECTS);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Flags by their names; of each also the beginning. */
const FLAGS: Readonly<Record<string, (flags: Mutable<Flags>, words: Words) => void>> = {
  "-4": (flags) => void (flags.family = "ipv4"),
  "-6": (flags) => void (flags.family = "ipv6"),
  "-br": (flags) => void (flags.brief = true),
  "-brief": (flags) => void (flags.brief = true),
  "-d": (flags) => void (flags.details = true),
  "-details": (flags) => void (flags.details = true),
  "-j": (flags) => void (flags.json = true),
  "-json": (flags) => void (flags.json = true),
  "-n": (flags, words) => void (flags.namespace = words.take("a namespace's name")),
  "-netns": (flags, words) => void (flags.namespace = words.take("a namespace's name")),
  "-o": (flags) => void (flags.oneLine = true),
  "-oneline": (flags) => void (flags.oneLine = true),
  "-p": (flags) => void (flags.pretty = true),
  "-pretty": (flags) => void (flags.pretty = true),
  "-s": (flags) => void (flags.statistics = true),
  "-statistics": (flags) => void (flags.statistics = true),
  // Numbers are numbers, and there are no colours.
  "-N": () => {},
  "-c": () => {},
  "-color": () => {},
};

/** Flags before a command's object. @throws {WordError} */
export function flagsOf(words: Words, known: Readonly<typeof FLAGS> = FLAGS): Flags {
  const flags: Mutable<Flags> = { ...NO_FLAGS };
  while (words.next?.startsWith("-")) {
    const given = words.take("a flag");
    const name = wordOf(given.replace(/^--/, "-"), Object.keys(known));
    if (name !== undefined) known[name](flags, words);
    // Several letters of one flag each, as in -sd.
    else if (
      /^-[a-z46]{2,}$/i.test(given) &&
      Array.from(given.slice(1)).every((one) => `-${one}` in known)
    )
      for (const one of given.slice(1)) known[`-${one}`](flags, words);
    else throw unknownWord(given, "flag", Object.keys(known));
  }
  return flags;
}

/** A command that is done in the namespace that its flags name. */
export function inNamespace(command: Command, { namespace }: Flags): Command {
  if (namespace === undefined) return command;
  return (context) => command(within(context, namespace));
}

/** `ip -j addr show dev eth0` */
export function ip(words: Words, parse: Parse): Command {
  const flags = flagsOf(words);
  if (words.done) throw new WordError(`what of it? there are ${OBJECT_NAMES.join(", ")}`);
  const given = words.take("an object");
  const name = objectNamed(given);
  if (name === undefined) throw unknownWord(given, "object of ip", OBJECT_NAMES);
  return inNamespace(OBJECTS[name](words, flags, parse), flags);
}

/** An object of ip, by its name or the beginning of it. */
export const objectNamed = (given: string): string | undefined => wordOf(given, OBJECT_NAMES);
