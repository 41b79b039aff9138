// ip rule: which table a packet's route is looked up in.

import type { NumberRange, Rule } from "../../../net/index.ts";
import { PROTOCOLS } from "../../../net/nft/match.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { ruleRecord, ruleText } from "../show/rule.ts";
import { network as networkWord, number } from "../values.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { protocol, table } from "./route.ts";
import { device, verbOf } from "./verbs.ts";

export const rule = (words: Words, flags: Flags): Command =>
  verbOf(
    words,
    flags,
    {
      list,
      show: list,
      lst: list,
      add: (rest, own) => change(rest, own, "add"),
      delete: (rest, own) => change(rest, own, "delete"),
      flush,
    },
    "list",
    "ip rule",
  );

/** `80` or `80-90`. */
function range(words: Words): NumberRange {
  const keyword = words.last;
  const given = words.take("a number, or a range");
  const [, start, end = start] = /^(\d+)(?:-(\d+))?$/.exec(given) ?? [];
  if (start === undefined) throw new WordError(`${keyword} "${given}": it is like 80 or 80-90`);
  return { start: Number(start), end: Number(end) };
}

function ipProtocol(words: Words): number {
  const given = words.take("a protocol");
  if (/^\d+$/.test(given)) return Number(given);
  const names = Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[];
  const name = names.find((one) => one === given);
  if (name === undefined) throw unknownWord(given, "protocol", names);
  return PROTOCOLS[name];
}

const ACTIONS = ["blackhole", "prohibit", "unreachable", "nop"] as const;

function change(words: Words, flags: Flags, verb: "add" | "delete"): Command {
  const spec: { -readonly [K in keyof Rule]: Rule[K] } = {};
  if (flags.family !== undefined) spec.family = flags.family;
  const from = (rest: Words) => {
    const given = networkWord(rest);
    if (given !== undefined) spec.from = given;
  };
  const to = (rest: Words) => {
    const given = networkWord(rest);
    if (given !== undefined) spec.to = given;
  };
  const mark = (rest: Words) => {
    const given = rest.take("a mark");
    const [, value, mask] = /^(0x[\da-f]+|\d+)(?:\/(0x[\da-f]+|\d+))?$/i.exec(given) ?? [];
    if (value === undefined)
      throw new WordError(`fwmark "${given}": it is like 1, 0x1 or 0x1/0xff`);
    spec.mark = Number(value);
    if (mask !== undefined) spec.markMask = Number(mask);
  };
  words.parameters(
    {
      not: () => void (spec.not = true),
      from,
      to,
      preference: (rest) => void (spec.priority = number(rest)),
      order: (rest) => void (spec.priority = number(rest)),
      priority: (rest) => void (spec.priority = number(rest)),
      fwmark: mark,
      iif: (rest) => void (spec.inputDevice = device(rest)),
      dev: (rest) => void (spec.inputDevice = device(rest)),
      oif: (rest) => void (spec.outputDevice = device(rest)),
      l3mdev: () => void (spec.l3Device = true),
      uidrange: (rest) => void (spec.users = range(rest)),
      ipproto: (rest) => void (spec.ipProtocol = ipProtocol(rest)),
      sport: (rest) => void (spec.sourcePorts = range(rest)),
      dport: (rest) => void (spec.destinationPorts = range(rest)),
      table: (rest) => void (spec.table = table(rest)),
      lookup: (rest) => void (spec.table = table(rest)),
      suppress_prefixlength: (rest) => void (spec.suppressPrefixLength = number(rest, 0, 128)),
      goto: (rest) => void (spec.goto = number(rest)),
      protocol: (rest) => void (spec.protocol = protocol(rest)),
      ...Object.fromEntries(ACTIONS.map((one) => [one, () => void (spec.action = one)])),
    },
    `word of ip rule ${verb}`,
  );
  return ({ network }) => network.rule[verb](spec);
}

function list(words: Words, flags: Flags): Command {
  let asked: string | number | undefined;
  words.parameters(
    {
      table: (rest) => void (asked = table(rest)),
      lookup: (rest) => void (asked = table(rest)),
    },
    "word of ip rule show",
  );
  return async (context) => {
    const all = await context.network.rule.list(flags.family);
    const wanted = all.filter((one) => asked === undefined || one.table === asked);
    await show(context, flags, wanted, ruleRecord, ruleText);
  };
}

/** All but the first, which is the local table's. */
function flush(words: Words, flags: Flags): Command {
  words.end();
  return async ({ network }) => {
    for (const one of await network.rule.list(flags.family))
      if (one.priority !== 0) await network.rule.delete(one);
  };
}
