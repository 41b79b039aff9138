// The packet filter as `nft list` shows it.

import type {
  Matched,
  NftAction,
  NftChain,
  NftElement,
  NftFamily,
  NftMatch,
  NftRule,
  NftSet,
  NftStatements,
  NftTableName,
  Network,
} from "../../../net/index.ts";
import type { Context } from "../command.ts";
import { CommandError } from "../errors.ts";
import { ICMPV6_TYPES, ICMP_TYPES } from "../nft/rule.ts";

/** What is listed. */
export interface Listing {
  readonly what:
    | "ruleset"
    | "tables"
    | "table"
    | "chain"
    | "chains"
    | "sets"
    | "set"
    | "map"
    | "maps"
    | "counters"
    | "counter"
    | "flowtables";
  readonly of?: NftTableName;
  readonly name?: string;
  readonly family?: NftFamily;
  readonly handles: boolean;
  readonly json: boolean;
}

/** All that a table has. */
interface Contents {
  readonly family: NftFamily;
  readonly name: string;
  readonly handle: number;
  readonly chains: readonly NftChain[];
  readonly rules: readonly NftRule[];
  readonly sets: readonly { readonly set: NftSet; readonly elements: readonly NftElement[] }[];
  readonly counters: readonly { name: string; packets: number; bytes: number }[];
  readonly flowTables: readonly {
    name: string;
    priority: number;
    devices: readonly string[];
    counter?: boolean;
  }[];
}

async function contentsOf(
  network: Network,
  { family, name, handle }: { family: NftFamily; name: string; handle: number },
): Promise<Contents> {
  const of = { family, table: name };
  const own = <T extends { family: NftFamily }>(all: readonly T[]) =>
    all.filter((one) => one.family === family);
  const sets = [];
  for (const set of own(await network.nft.sets(of)))
    sets.push({ set, elements: await network.nft.elements(of, set.name) });
  return {
    family,
    name,
    handle,
    chains: own(await network.nft.chains(of)),
    rules: own(await network.nft.rules(of)),
    sets,
    counters: own(await network.nft.counters(of)),
    flowTables: own(await network.nft.flowTables(of)),
  };
}

/** Tell what there is. @throws {CommandError} ENOENT */
export async function listRuleset(context: Context, listing: Listing): Promise<void> {
  const { network } = context;
  const { what, of, name, family } = listing;
  const tables = (await network.nft.tables(of?.family ?? family)).filter(
    (one) => of === undefined || one.name === of.table,
  );
  if (of && !tables.length)
    throw new CommandError("ENOENT", `there is no table ${of.family} ${of.table}: nft list tables`);
  const contents: Contents[] = [];
  for (const one of tables) contents.push(await contentsOf(network, one));
  const shown = contents.map((one) => partOf(one, what, name));
  if (name !== undefined && shown.every(isEmpty))
    throw new CommandError("ENOENT", `there is no ${what} ${name} in ${of?.family} ${of?.table}`);
  if (listing.json || context.json) {
    await context.write(`${JSON.stringify({ nftables: shown.flatMap(recordsOf) })}\n`);
    return;
  }
  const text =
    what === "tables"
      ? shown.map((one) => `table ${one.family} ${one.name}\n`)
      : shown.map((one) => tableText(one, listing));
  if (text.length) await context.write(text.join(""));
}

const isEmpty = ({ chains, sets, counters, flowTables }: Contents): boolean =>
  !chains.length &&
  !sets.some(({ set }) => !isAnonymous(set)) &&
  !counters.length &&
  !flowTables.length;

/** Only what was asked for. Sets of rules stay: rules show them. */
function partOf(all: Contents, what: Listing["what"], name: string | undefined): Contents {
  const named = (one: { name: string }) => name === undefined || one.name === name;
  const anonymous = all.sets.filter(({ set }) => isAnonymous(set));
  const none = { ...all, chains: [], rules: [], sets: anonymous, counters: [], flowTables: [] };
  if (what === "tables") return none;
  if (what === "chain" || what === "chains")
    return {
      ...none,
      chains: all.chains.filter(named),
      rules: what === "chain" ? all.rules.filter(({ chain }) => chain === name) : [],
    };
  if (what === "counter" || what === "counters")
    return { ...none, counters: all.counters.filter(named) };
  if (what === "flowtables") return { ...none, flowTables: all.flowTables };
  if (what === "ruleset" || what === "table") return all;
  const maps = what === "map" || what === "maps";
  const wanted = all.sets.filter(
    ({ set }) => named(set) && !isAnonymous(set) && (set.map !== undefined) === maps,
  );
  return { ...none, sets: [...anonymous, ...wanted] };
}

/** A set that a rule has for itself. */
const isAnonymous = ({ flags }: NftSet): boolean => flags.includes("anonymous");

const HEAD = "\t";
const BODY = "\t\t";

function tableText(table: Contents, { handles }: Listing): string {
  const handle = (number: number) => (handles ? ` # handle ${number}` : "");
  const block = (head: string, lines: readonly string[]) =>
    `${HEAD}${head}\n${lines.map((line) => `${BODY}${line}\n`).join("")}${HEAD}}\n`;
  const parts = [
    ...table.counters.map((one) =>
      block(`counter ${one.name} {`, [`packets ${one.packets} bytes ${one.bytes}`]),
    ),
    ...table.sets
      .filter(({ set }) => !isAnonymous(set))
      .map(({ set, elements }) =>
        block(
          `${set.map === undefined ? "set" : "map"} ${set.name} {${handle(set.handle)}`,
          setLines(set, elements),
        ),
      ),
    ...table.flowTables.map((one) =>
      block(`flowtable ${one.name} {`, [
        `hook ingress priority ${priorityText(one.priority, "ingress")}`,
        `devices = { ${one.devices.join(", ")} }`,
        ...(one.counter ? ["counter"] : []),
      ]),
    ),
    ...table.chains.map((chain) =>
      block(`chain ${chain.name} {${handle(chain.handle)}`, [
        ...hookLines(chain),
        ...table.rules
          .filter((rule) => rule.chain === chain.name)
          .map((rule) => `${ruleText(rule, table)}${handle(rule.handle)}`),
      ]),
    ),
  ];
  return `table ${table.family} ${table.name} {${handle(table.handle)}\n${parts.join("\n")}}\n`;
}

const PRIORITIES: readonly (readonly [number: number, name: string])[] = [
  [-300, "raw"],
  [-150, "mangle"],
  [-100, "dstnat"],
  [0, "filter"],
  [50, "security"],
  [100, "srcnat"],
];

/** As nft says it: by a name that is near, if there is one. */
function priorityText(priority: number, hook: NftChain["hook"]): string {
  const near = PRIORITIES.find(([number, name]) => {
    if (name === "dstnat" && hook !== "prerouting" && hook !== "output") return false;
    if (name === "srcnat" && hook !== "postrouting" && hook !== "input") return false;
    return Math.abs(priority - number) <= 10;
  });
  if (!near) return String(priority);
  const apart = priority - near[0];
  return apart ? `${near[1]} ${apart > 0 ? "+" : "-"} ${Math.abs(apart)}` : near[1];
}

function hookLines({ hook, type, priority = 0, policy, device }: NftChain): string[] {
  if (hook === undefined) return [];
  const on = device === undefined ? "" : ` device "${device}"`;
  return [
    `type ${type} hook ${hook}${on} priority ${priorityText(priority, hook)}; policy ${policy ?? "accept"};`,
  ];
}

const UNITS: readonly (readonly [ms: number, unit: string])[] = [
  [864e5, "d"],
  [36e5, "h"],
  [6e4, "m"],
  [1e3, "s"],
  [1, "ms"],
];

function durationText(ms: number): string {
  let left = Math.round(ms);
  const parts = UNITS.flatMap(([length, unit]) => {
    const count = Math.floor(left / length);
    left -= count * length;
    return count ? [`${count}${unit}`] : [];
  });
  return parts.join("") || "0s";
}

function setLines(set: NftSet, elements: readonly NftElement[]): string[] {
  const flags = set.flags.filter((one) => one !== "map" && !(one === "timeout" && set.timeoutMs));
  const sorted = elements.toSorted((a, b) =>
    String(a.key).localeCompare(String(b.key), "en", { numeric: true }),
  );
  return [
    `type ${set.type}${set.map === undefined ? "" : ` : ${set.map}`}`,
    ...(set.size === undefined ? [] : [`size ${set.size}`]),
    ...(flags.length ? [`flags ${flags.join(",")}`] : []),
    ...(set.timeoutMs === undefined ? [] : [`timeout ${durationText(set.timeoutMs)}`]),
    ...(elements.length ? [`elements = { ${sorted.map(elementText).join(", ")} }`] : []),
  ];
}

/** A range that is a network is shown as one. */
function rangeText(key: string | number, to: string | number): string {
  const v4 = (text: string | number) =>
    String(text)
      .split(".")
      .reduce((value, part) => value * 256 + Number(part), 0);
  if (String(key).includes(".")) {
    const size = v4(to) - v4(key) + 1;
    const bits = Math.log2(size);
    if (Number.isInteger(bits) && v4(key) % size === 0) return `${key}/${32 - bits}`;
  }
  return `${key}-${to}`;
}

function elementText({ key, to, value, timeoutMs, expiresMs }: NftElement): string {
  const text = to === undefined ? String(key) : rangeText(key, to);
  const verdict =
    typeof value === "object"
      ? "jump" in value
        ? `jump ${value.jump}`
        : `goto ${value.goto}`
      : value;
  return [
    text,
    ...(timeoutMs === undefined ? [] : [`timeout ${durationText(timeoutMs)}`]),
    ...(expiresMs === undefined ? [] : [`expires ${durationText(expiresMs)}`]),
    ...(verdict === undefined ? [] : [`: ${verdict}`]),
  ].join(" ");
}

/** What values look like. */
type Write = (value: string | number) => string;

const asIs: Write = String;
const quoted: Write = (value) => `"${value}"`;
const hex: Write = (value) => `0x${Number(value).toString(16).padStart(8, "0")}`;

class RuleWriter {
  readonly #table: Contents;

  constructor(table: Contents) {
    this.#table = table;
  }

  /** `80`, `80-90`, `@set`, `{ 80, 443 }`, `!= 80` */
  value<T extends string | number>(value: Matched<T>, write: Write): string {
    if (typeof value !== "object") return write(value);
    if ("not" in value) return `!= ${this.value(value.not, write)}`;
    if ("set" in value) {
      const own = this.#table.sets.find(({ set }) => set.name === value.set && isAnonymous(set));
      return own
        ? `{ ${own.elements.map((one) => elementWith(one, write)).join(", ")} }`
        : `@${value.set}`;
    }
    if ("anyOf" in value) return `{ ${value.anyOf.map(String).join(", ")} }`;
    return `${write(value.from)}-${write(value.to)}`;
  }

  match(match: NftMatch): string[] {
    const { inputDevice, outputDevice, family, source, destination, protocol } = match;
    const { sourcePort, destinationPort, icmpType, state, mark, connectionMark, userId } = match;
    const words: string[] = [];
    if (inputDevice !== undefined) words.push(`iifname ${this.value(inputDevice, quoted)}`);
    if (outputDevice !== undefined) words.push(`oifname ${this.value(outputDevice, quoted)}`);
    const addresses = [
      ["saddr", source],
      ["daddr", destination],
    ] as const;
    if (family !== undefined && source === undefined && destination === undefined)
      words.push(`meta nfproto ${family}`);
    for (const [word, value] of addresses)
      if (value !== undefined)
        words.push(`${this.#header(value, family)} ${word} ${this.value(value, asIs)}`);
    const ports = [
      ["sport", sourcePort],
      ["dport", destinationPort],
    ] as const;
    const types = protocol === "icmpv6" ? ICMPV6_TYPES : ICMP_TYPES;
    const typeName: Write = (value) =>
      Object.entries(types).find(([, number]) => number === value)?.[0] ?? String(value);
    if (icmpType !== undefined) words.push(`${protocol} type ${this.value(icmpType, typeName)}`);
    else if (protocol !== undefined && sourcePort === undefined && destinationPort === undefined)
      words.push(`meta l4proto ${protocol}`);
    for (const [word, value] of ports)
      if (value !== undefined) words.push(`${protocol} ${word} ${this.value(value, asIs)}`);
    if (state !== undefined) words.push(`ct state ${state.join(",")}`);
    if (mark !== undefined) words.push(`meta mark ${this.value(mark, hex)}`);
    if (connectionMark !== undefined) words.push(`ct mark ${this.value(connectionMark, hex)}`);
    if (userId !== undefined) words.push(`meta skuid ${this.value(userId, asIs)}`);
    return words;
  }

  #header(value: Matched<string>, family: NftMatch["family"]): "ip" | "ip6" {
    if (typeof value === "object" && "not" in value) return this.#header(value.not, family);
    const sample = typeof value === "string" ? value : "from" in value ? value.from : undefined;
    if (sample !== undefined) return sample.includes(":") ? "ip6" : "ip";
    return (family ?? (this.#table.family === "ip6" ? "ipv6" : "ipv4")) === "ipv6" ? "ip6" : "ip";
  }
}

const elementWith = ({ key, to }: NftElement, write: Write): string => {
  if (to === undefined) return write(key);
  return String(key).includes(".") ? rangeText(key, to) : `${write(key)}-${write(to)}`;
};

const PERIODS = new Map([
  [1, "second"],
  [60, "minute"],
  [3600, "hour"],
  [86_400, "day"],
  [604_800, "week"],
]);
/** What there is without being asked for. */
const USUAL_BURST = 5;

function limitText({ rate, of, perSeconds = 1, burst, over }: NonNullable<NftStatements["limit"]>) {
  const period = PERIODS.get(perSeconds) ?? `${perSeconds} seconds`;
  const [size, unit] =
    of !== "bytes"
      ? [rate, ""]
      : rate % (1 << 20) === 0
        ? [rate / (1 << 20), " mbytes"]
        : rate % 1024 === 0
          ? [rate / 1024, " kbytes"]
          : [rate, " bytes"];
  const more =
    burst && !(of !== "bytes" && burst === USUAL_BURST)
      ? ` burst ${burst} ${of === "bytes" ? "bytes" : "packets"}`
      : "";
  return `limit rate ${over ? "over " : ""}${size}${unit}/${period}${more}`;
}

const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const WARN = 4;

function logText({ prefix, level, group }: NonNullable<NftStatements["log"]>): string {
  return [
    "log",
    ...(prefix === undefined || prefix === "" ? [] : [`prefix "${prefix}"`]),
    ...(level === undefined || level === WARN ? [] : [`level ${LEVELS[level] ?? level}`]),
    ...(group === undefined ? [] : [`group ${group}`]),
  ].join(" ");
}

function actionText(action: NftAction): string {
  if (typeof action === "string") return action;
  if ("jump" in action) return `jump ${action.jump}`;
  if ("goto" in action) return `goto ${action.goto}`;
  if ("reject" in action) {
    if (action.reject === "tcp-reset") return "reject with tcp reset";
    return action.reject === "port-unreachable" ? "reject" : `reject with icmpx ${action.reject}`;
  }
  const end = (address: string, port: number | undefined) => {
    if (port === undefined) return address;
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  };
  if ("snat" in action) return `snat to ${end(action.snat, action.port)}`;
  if ("dnat" in action) return `dnat to ${end(action.dnat, action.port)}`;
  if ("redirect" in action) return `redirect to :${action.redirect}`;
  if ("masquerade" in action) return `masquerade ${action.masquerade}`;
  return "flow" in action ? `flow add @${action.flow}` : `queue to ${action.queue}`;
}

function statementsOf(says: NftStatements): string[] {
  const { limit, counter, log, setMark, setConnectionMark, notrack, action } = says;
  return [
    ...(limit ? [limitText(limit)] : []),
    ...(typeof counter === "string" ? [`counter name "${counter}"`] : []),
    ...(typeof counter === "object"
      ? [`counter packets ${counter.packets} bytes ${counter.bytes}`]
      : []),
    ...(log ? [logText(log)] : []),
    ...(setMark === undefined ? [] : [`meta mark set ${hex(setMark)}`]),
    ...(setConnectionMark === undefined ? [] : [`ct mark set ${hex(setConnectionMark)}`]),
    ...(notrack ? ["notrack"] : []),
    ...(action === undefined ? [] : [actionText(action)]),
  ];
}

/** What there are no words for is shown by the names of the kernel's expressions. */
function ruleText({ says, expressions, comment }: NftRule, table: Contents): string {
  const words = says
    ? [...(says.match ? new RuleWriter(table).match(says.match) : []), ...statementsOf(says)]
    : expressions.map((one) => `[ ${String(one.name)} ]`);
  return [...words, ...(comment === undefined ? [] : [`comment "${comment}"`])].join(" ");
}

function recordsOf(table: Contents): Record<string, unknown>[] {
  const of = { family: table.family, table: table.name };
  return [
    { table: { family: table.family, name: table.name, handle: table.handle } },
    ...table.counters.map((one) => ({ counter: { ...of, ...one } })),
    ...table.sets
      .filter(({ set }) => !isAnonymous(set))
      .map(({ set, elements }) => ({
        [set.map === undefined ? "set" : "map"]: {
          ...of,
          name: set.name,
          type: set.type,
          handle: set.handle,
          ...(set.map !== undefined && { map: set.map }),
          ...(set.flags.length && { flags: set.flags }),
          ...(elements.length && { elem: elements.map(elementText) }),
        },
      })),
    ...table.flowTables.map((one) => ({ flowtable: { ...of, ...one } })),
    ...table.chains.map((one) => ({
      chain: {
        ...of,
        name: one.name,
        handle: one.handle,
        ...(one.hook !== undefined && {
          type: one.type,
          hook: one.hook,
          prio: one.priority,
          policy: one.policy,
        }),
      },
    })),
    ...table.rules.map((one) => ({
      rule: {
        ...of,
        chain: one.chain,
        handle: one.handle,
        text: ruleText(one, table),
        ...(one.comment !== undefined && { comment: one.comment }),
        ...(one.counter && { counter: one.counter }),
      },
    })),
  ];
}
