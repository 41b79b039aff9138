// nft: tables, chains, rules, sets and counters of the packet filter, in the words of nft(8).

import { readFileSync } from "node:fs";

import type {
  NftChainSpec,
  NftElement,
  NftFamily,
  NftFlowTableSpec,
  NftHook,
  NftSet,
  NftSetFlag,
  NftSetSpec,
  NftTableName,
} from "../../../net/index.ts";
import type { NftBatch } from "../../../net/index.ts";
import type { NftDataType } from "../../../net/index.ts";
import type { SetShape } from "../../../net/nft/set.ts";
import { dataTypes } from "../../../net/nft/types.ts";
import type { Command, Context } from "../command.ts";
import { CommandError } from "../errors.ts";
import { listRuleset } from "../show/nft.ts";
import type { Listing } from "../show/nft.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { readRule } from "./rule.ts";
import { Tokens } from "./tokens.ts";

/** What is changed together: by the first failure all of it is undone. */
interface Work {
  readonly batch: NftBatch;
  readonly context: Context;
  /** Sets that are made in the same text. */
  readonly shapes: Map<string, SetShape>;
}

type Change = (work: Work) => void | Promise<void>;

const FAMILIES: readonly NftFamily[] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];

/** `nft [-j] [-a] COMMAND…`, `nft -f FILE` */
export function nft(words: Words): Command {
  const listing = { handles: false, json: false };
  let file: string | undefined;
  while (words.next?.startsWith("-")) {
    const given = words.take("an option");
    if (given === "-a" || given === "--handle") listing.handles = true;
    else if (given === "-j" || given === "--json") listing.json = true;
    else if (given === "-f" || given === "--file") file = words.take("a file");
    else if (given !== "-n" && given !== "-s")
      throw unknownWord(given, "option of nft", ["-a", "-f", "-j", "-n"]);
  }
  if (file !== undefined) {
    words.end();
    return commandOf(readScript(file), listing);
  }
  if (words.done) throw new WordError("what is to be done? e.g. nft list ruleset");
  // Quotes count, which words have no more.
  const written = /^\s*nft(?:\s+-\S+)*\s+([^]*)$/.exec(words.text)?.[1];
  const text = written ?? words.rest.join(" ");
  words.takeRest();
  return commandOf(text, listing);
}

function readScript(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new WordError(`${path}: ${(error as NodeJS.ErrnoException).code}: it cannot be read`);
  }
}

function commandOf(text: string, listing: Pick<Listing, "handles" | "json">): Command {
  const tokens = new Tokens(text);
  const changes: Change[] = [];
  const lists: Listing[] = [];
  for (tokens.skipEnds(); !tokens.done; tokens.skipEnds()) {
    if (tokens.accept("list")) lists.push(readListing(tokens, listing));
    else changes.push(...readStatement(tokens));
    if (!tokens.ended) throw new WordError(`"${tokens.next ?? "…"}": nothing is expected there`);
  }
  return async (context) => {
    const work: Work = { batch: context.network.nft.batch(), context, shapes: new Map() };
    for (const change of changes) await change(work);
    await work.batch.commit();
    for (const one of lists) await listRuleset(context, one);
  };
}

/** `inet filter`, or `filter` of the family ip. */
function tableName(tokens: Tokens): NftTableName {
  const family = FAMILIES.find((one) => one === tokens.next);
  if (family !== undefined) tokens.accept(family);
  return { family: family ?? "ip", table: tokens.take("a table") };
}

function readListing(tokens: Tokens, flags: Pick<Listing, "handles" | "json">): Listing {
  const known = [
    "ruleset",
    "tables",
    "table",
    "chain",
    "chains",
    "sets",
    "set",
    "map",
    "maps",
    "counters",
    "counter",
    "flowtables",
  ] as const;
  const given = tokens.take("what is listed");
  const what = known.find((one) => one === given);
  if (what === undefined) throw unknownWord(given, "thing to list", known);
  if (what === "table") return { ...flags, what, of: tableName(tokens) };
  if (["chain", "set", "map", "counter"].includes(what)) {
    const of = tableName(tokens);
    return { ...flags, what, of, name: tokens.take("a name") };
  }
  const family = FAMILIES.find((one) => one === tokens.next);
  if (family !== undefined) tokens.accept(family);
  return { ...flags, what, ...(family !== undefined && { family }) };
}

const VERBS = ["add", "create", "insert", "delete", "destroy", "flush"] as const;
type Verb = (typeof VERBS)[number];

function readStatement(tokens: Tokens): Change[] {
  const { next } = tokens;
  const verb = VERBS.find((one) => one === next);
  if (verb !== undefined) tokens.accept(verb);
  else if (next === undefined || !Object.hasOwn(OBJECTS, next))
    throw unknownWord(next ?? "…", "command of nft", [...VERBS, "list", ...Object.keys(OBJECTS)]);
  const given = tokens.take("what it is done with");
  if (!Object.hasOwn(OBJECTS, given))
    throw unknownWord(given, "thing of nft", Object.keys(OBJECTS));
  return OBJECTS[given](tokens, verb ?? "add");
}

const removes = (verb: Verb): boolean => verb === "delete" || verb === "destroy";

const OBJECTS: Readonly<Record<string, (tokens: Tokens, verb: Verb) => Change[]>> = {
  table,
  chain: (tokens, verb) => chain(tokens, verb, tableName(tokens)),
  rule,
  set: (tokens, verb) => set(tokens, verb, tableName(tokens), "set"),
  map: (tokens, verb) => set(tokens, verb, tableName(tokens), "map"),
  element,
  counter: (tokens, verb) => counter(tokens, verb, tableName(tokens)),
  flowtable: (tokens, verb) => flowTable(tokens, verb, tableName(tokens)),
  ruleset: (_, verb) => {
    if (verb !== "flush") throw new WordError("a ruleset is listed or flushed");
    return [
      async ({ batch, context }) => {
        for (const { family, name } of await context.network.nft.tables())
          batch.deleteTable(family, name);
      },
    ];
  },
};

function table(tokens: Tokens, verb: Verb): Change[] {
  const of = tableName(tokens);
  if (removes(verb)) return [({ batch }) => void batch.deleteTable(of.family, of.table)];
  if (verb === "flush") return [(work) => flushTable(work, of)];
  const changes: Change[] = [({ batch }) => void batch.addTable(of.family, of.table)];
  if (!tokens.accept("{")) return changes;
  // Rules and elements lead to chains, and rules to all else: chains come first, rules last.
  const others: Change[] = [];
  const rules: Change[] = [];
  for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
    const given = tokens.take("a chain, set or counter");
    if (given === "chain") {
      const [made, ...inside] = chain(tokens, "add", of);
      changes.push(made);
      rules.push(...inside);
    } else if (given === "set" || given === "map") others.push(...set(tokens, "add", of, given));
    else if (given === "counter") others.push(...counter(tokens, "add", of));
    else if (given === "flowtable") others.push(...flowTable(tokens, "add", of));
    else
      throw unknownWord(given, "part of a table", ["chain", "set", "map", "counter", "flowtable"]);
  }
  return [...changes, ...others, ...rules];
}

async function flushTable({ batch, context }: Work, of: NftTableName): Promise<void> {
  for (const { name, family } of await context.network.nft.chains(of))
    if (family === of.family) batch.deleteRule(of, name);
}

const HOOKS: readonly NftHook[] = [
  "prerouting",
  "input",
  "forward",
  "output",
  "postrouting",
  "ingress",
  "egress",
];
const TYPES = ["filter", "nat", "route"] as const;
/** Names of priorities, and their numbers (linux/netfilter_ipv4.h). */
const PRIORITIES: Readonly<Record<string, number>> = {
  raw: -300,
  mangle: -150,
  dstnat: -100,
  filter: 0,
  security: 50,
  srcnat: 100,
};

function oneOf<T extends string>(tokens: Tokens, known: readonly T[], what: string): T {
  const given = tokens.take(`a ${what}`);
  const found = known.find((one) => one === given);
  if (found === undefined) throw unknownWord(given, what, known);
  return found;
}

/** `filter`, `0`, `filter + 10`, `-100` */
function priority(tokens: Tokens): number {
  const given = tokens.take("a priority");
  if (/^-?\d+$/.test(given)) return Number(given);
  const [, name = "", joined] = /^([a-z]+)([+-]\d+)?$/.exec(given) ?? [];
  if (!Object.hasOwn(PRIORITIES, name))
    throw unknownWord(given, "priority", Object.keys(PRIORITIES));
  let value = PRIORITIES[name] + Number(joined ?? 0);
  if (tokens.next === "+" || tokens.next === "-") {
    const sign = tokens.take("a sign");
    value += Number(`${sign}${tokens.take("a number")}`);
  }
  return value;
}

function integer(tokens: Tokens): number {
  const given = tokens.take("a number");
  if (!/^\d+$/.test(given)) throw new WordError(`"${given}" is no number`);
  return Number(given);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A chain by itself, or with rules inside when it is in a table. */
function chain(tokens: Tokens, verb: Verb, of: NftTableName): Change[] {
  const name = tokens.take("a chain");
  if (removes(verb)) return [({ batch }) => void batch.deleteChain(of, name)];
  if (verb === "flush") return [({ batch }) => void batch.deleteRule(of, name)];
  const spec: Mutable<NftChainSpec> = { ...of, name };
  const rules: Change[] = [];
  if (tokens.accept("{"))
    for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
      if (tokens.done) throw new WordError(`chain ${name}: a } is missing`);
      if (tokens.accept("type")) {
        spec.type = oneOf(tokens, TYPES, "type of chains");
        tokens.expect("hook");
        spec.hook = oneOf(tokens, HOOKS, "hook");
        if (tokens.accept("device")) spec.device = tokens.take("an interface");
        tokens.expect("priority");
        spec.priority = priority(tokens);
      } else if (tokens.accept("policy"))
        spec.policy = oneOf(tokens, ["accept", "drop"] as const, "policy");
      else {
        const words = readRule(tokens);
        rules.push(({ batch }) => void batch.addRule({ ...of, chain: name, ...words }));
      }
    }
  return [({ batch }) => void batch.addChain(spec), ...rules];
}

function rule(tokens: Tokens, verb: Verb): Change[] {
  const of = tableName(tokens);
  const name = tokens.take("a chain");
  if (removes(verb)) {
    tokens.expect("handle");
    const handle = integer(tokens);
    return [({ batch }) => void batch.deleteRule(of, name, handle)];
  }
  const place: { before?: number; after?: number } = {};
  if (tokens.accept("handle", "position"))
    place[verb === "insert" ? "before" : "after"] = integer(tokens);
  const words = readRule(tokens);
  const spec = { ...of, chain: name, ...place, ...words };
  if (verb !== "insert" || place.before !== undefined)
    return [({ batch }) => void batch.addRule(spec)];
  return [
    async ({ batch, context }) => {
      // The first, if there is one, is what it goes before.
      const [first] = await context.network.nft.rules({ ...of, chain: name });
      batch.addRule({ ...spec, ...(first && { before: first.handle }) });
    },
  ];
}

const dataType = (tokens: Tokens): NftDataType =>
  oneOf(tokens, Object.keys(dataTypes) as NftDataType[], "type of values");

/** `1h30m`, `60s` */
function duration(tokens: Tokens): number {
  const given = tokens.take("a time");
  const units: Readonly<Record<string, number>> = { d: 864e5, h: 36e5, m: 6e4, s: 1e3, ms: 1 };
  if (!/^(\d+(ms|[dhms]))+$/.test(given))
    throw new WordError(`"${given}": it is like 1h30m or 60s`);
  let sum = 0;
  for (const [, digits, unit] of given.matchAll(/(\d+)(ms|[dhms])/g))
    sum += Number(digits) * units[unit];
  return sum;
}

function set(tokens: Tokens, verb: Verb, of: NftTableName, word: "set" | "map"): Change[] {
  const name = tokens.take(`a ${word}`);
  if (removes(verb)) return [({ batch }) => void batch.deleteSet(of, name)];
  if (verb === "flush")
    return [
      async (work) => {
        const shape = await shapeOf(work, of, name);
        const all = await work.context.network.nft.elements(of, name);
        work.batch.deleteElements(of, name, all, shape);
      },
    ];
  const spec: Partial<Mutable<NftSetSpec>> = {};
  const flags: NftSetFlag[] = [];
  const elements: NftElement[] = [];
  tokens.expect("{");
  for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
    const given = tokens.take("a word of a set");
    if (given === "type") {
      spec.type = dataType(tokens);
      if (tokens.accept(":")) spec.map = tokens.accept("verdict") ? "verdict" : dataType(tokens);
    } else if (given === "flags")
      do flags.push(oneOf(tokens, ["constant", "interval", "timeout", "dynamic"] as const, "flag"));
      while (tokens.accept(","));
    else if (given === "timeout") spec.timeoutMs = duration(tokens);
    else if (given === "size") spec.size = integer(tokens);
    else if (given === "elements") {
      tokens.accept("=");
      elements.push(...readElements(tokens, spec.map));
    } else
      throw unknownWord(given, `word of a ${word}`, [
        "type",
        "flags",
        "timeout",
        "size",
        "elements",
      ]);
  }
  if (spec.type === undefined) throw new WordError(`${word} ${name}: "type" is missing`);
  const made: NftSetSpec = {
    ...of,
    name,
    ...spec,
    type: spec.type,
    ...(flags.length && { flags }),
  };
  const key = `${of.family} ${of.table} ${name}`;
  return [
    ({ batch, shapes }) => {
      shapes.set(key, made);
      batch.addSet(made, elements);
    },
  ];
}

const VERDICTS: ReadonlySet<string> = new Set(["accept", "drop", "return", "continue"]);

/** `{ 10.0.0.0/8, 1.1.1.1-1.1.1.9, 22 : accept, 5 timeout 1m }` */
function readElements(tokens: Tokens, map: NftSetSpec["map"]): NftElement[] {
  const elements: NftElement[] = [];
  tokens.expect("{");
  for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
    const text = tokens.take("an element");
    // A colon may be written at the key.
    const joined = map !== undefined && text.endsWith(":");
    const given = joined ? text.slice(0, -1) : text;
    const range = /^([\da-f.:]+)-([\da-f.:]+)$/i.exec(given);
    const [key = given, to] = range?.slice(1) ?? [];
    const element: Mutable<NftElement> = { key: plain(key) };
    if (to !== undefined) element.to = plain(to);
    if (tokens.accept("timeout")) element.timeoutMs = duration(tokens);
    if (joined || tokens.accept(":")) {
      const value = tokens.take("a value");
      if (value === "jump") element.value = { jump: tokens.take("a chain") };
      else if (value === "goto") element.value = { goto: tokens.take("a chain") };
      else element.value = VERDICTS.has(value) ? value : plain(value);
    }
    elements.push(element);
    tokens.accept(",");
  }
  return elements;
}

const plain = (text: string): string | number =>
  /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : text;

async function shapeOf(
  { shapes, context }: Work,
  of: NftTableName,
  name: string,
): Promise<SetShape & Pick<NftSetSpec, "map">> {
  const made = shapes.get(`${of.family} ${of.table} ${name}`);
  if (made) return made;
  const found = (await context.network.nft.sets(of)).find(
    (one: NftSet) => one.name === name && one.family === of.family,
  );
  if (!found)
    throw new CommandError("ENOENT", `there is no set "${name}" in ${of.family} ${of.table}`);
  const { type, map, flags } = found;
  if (typeof type === "number" || typeof map === "number")
    throw new CommandError(
      "EOPNOTSUPP",
      `the set "${name}" has keys of a type without a name here`,
    );
  return {
    type,
    flags: flags.filter((one): one is NftSetFlag => !one.startsWith("0x")),
    ...(map !== undefined && { map }),
  };
}

function element(tokens: Tokens, verb: Verb): Change[] {
  const of = tableName(tokens);
  const name = tokens.take("a set");
  // Whether it is a map shows with its elements.
  const elements = readElements(tokens, "verdict");
  return [
    async (work) => {
      const shape = await shapeOf(work, of, name);
      if (removes(verb)) work.batch.deleteElements(of, name, elements, shape);
      else work.batch.addElements(of, name, elements, shape);
    },
  ];
}

function counter(tokens: Tokens, verb: Verb, of: NftTableName): Change[] {
  const name = tokens.take("a counter");
  if (removes(verb)) return [({ batch }) => void batch.deleteCounter(of, name)];
  const value = { packets: 0, bytes: 0 };
  if (tokens.accept("{"))
    for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
      const given = oneOf(tokens, ["packets", "bytes"] as const, "word of a counter");
      value[given] = integer(tokens);
    }
  return [({ batch }) => void batch.addCounter(of, name, value)];
}

function flowTable(tokens: Tokens, verb: Verb, of: NftTableName): Change[] {
  const name = tokens.take("a flow table");
  if (removes(verb)) return [({ batch }) => void batch.deleteFlowTable(of, name)];
  const devices: string[] = [];
  const spec: Mutable<NftFlowTableSpec> = { ...of, name, devices };
  tokens.expect("{");
  for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
    const given = oneOf(tokens, ["hook", "devices", "counter"] as const, "word of a flow table");
    if (given === "counter") spec.counter = true;
    else if (given === "hook") {
      tokens.expect("ingress");
      tokens.expect("priority");
      spec.priority = priority(tokens);
    } else {
      tokens.accept("=");
      tokens.expect("{");
      for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
        devices.push(tokens.take("an interface"));
        tokens.accept(",");
      }
    }
  }
  return [({ batch }) => void batch.addFlowTable(spec)];
}
