// A rule in nft's language: what a packet has to be, and what is done with it.

import { ipOf } from "../../../net/address.ts";
import type {
  ConnectionState,
  Matched,
  NftAction,
  NftMatch,
  NftStatements,
} from "../../../net/index.ts";
import { REJECTIONS } from "../../../net/nft/action.ts";
import { PROTOCOLS, STATES } from "../../../net/nft/match.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Tokens } from "./tokens.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Protocol = keyof typeof PROTOCOLS;

/** What a rule says. */
interface RuleWords extends NftStatements {
  readonly match?: NftMatch;
  readonly comment?: string;
}

/** Types of ICMP by the names that nft has for them. */
export const ICMP_TYPES: Readonly<Record<string, number>> = {
  "echo-reply": 0,
  "destination-unreachable": 3,
  redirect: 5,
  "echo-request": 8,
  "router-advertisement": 9,
  "router-solicitation": 10,
  "time-exceeded": 11,
  "parameter-problem": 12,
  "timestamp-request": 13,
  "timestamp-reply": 14,
};
export const ICMPV6_TYPES: Readonly<Record<string, number>> = {
  "destination-unreachable": 1,
  "packet-too-big": 2,
  "time-exceeded": 3,
  "parameter-problem": 4,
  "echo-request": 128,
  "echo-reply": 129,
  "mld-listener-query": 130,
  "nd-router-solicit": 133,
  "nd-router-advert": 134,
  "nd-neighbor-solicit": 135,
  "nd-neighbor-advert": 136,
  "nd-redirect": 137,
};

/** Ports that go by names. */
const SERVICES: Readonly<Record<string, number>> = {
  ftp: 21,
  ssh: 22,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  http: 80,
  ntp: 123,
  https: 443,
};

/** The order in which the kernel is given what a rule does. */
const ORDER = [
  "match",
  "limit",
  "counter",
  "log",
  "setMark",
  "setConnectionMark",
  "notrack",
  "action",
] as const;
type Step = (typeof ORDER)[number];

/** Reads values of one kind. */
type Read<T> = (text: string) => T;

const numberFrom =
  (names: Readonly<Record<string, number>>, what: string, most: number): Read<number> =>
  (text) => {
    if (Object.hasOwn(names, text)) return names[text];
    const value = /^(0x[\da-f]+|\d+)$/i.test(text) ? Number(text) : NaN;
    if (!(value >= 0 && value <= most)) throw unknownWord(text, what, Object.keys(names));
    return value;
  };

const port = numberFrom(SERVICES, "port", 0xffff);
const mark = numberFrom({}, "number", 0xffffffff);
const user = numberFrom({ root: 0 }, "user", 0xffffffff);
const name: Read<string> = (text) => text;
const address: Read<string> = (text) => {
  const [plain = ""] = text.split("/");
  if (!ipOf(plain)) throw new WordError(`"${text}" is no IP address or network`);
  return text;
};

function protocolNamed(text: string): Protocol | number {
  const names = Object.keys(PROTOCOLS) as Protocol[];
  const found = names.find((one) => one === text.replace("ipv6-icmp", "icmpv6"));
  if (found !== undefined) return found;
  if (/^\d+$/.test(text) && Number(text) < 256) return Number(text);
  throw unknownWord(text, "protocol", names);
}

/** `80`, `80-90`, `@set`, `{ 80, 443 }`, and each behind `!=`. */
function matched<T extends string | number>(tokens: Tokens, read: Read<T>): Matched<T> {
  const not = tokens.accept("!=", "!");
  if (!not) tokens.accept("==", "eq");
  const value = plainMatched(tokens, read);
  return not ? { not: value as Exclude<Matched<T>, { readonly not: unknown }> } : value;
}

/** A value, or a range. */
function valueOrRange<T extends string | number>(
  text: string,
  read: Read<T>,
): T | { from: T; to: T } {
  // Names of interfaces, and of types, may have a dash.
  const [, from, to] = /^([\da-f.:]+)-([\da-f.:]+)$/i.exec(text) ?? [];
  if (from === undefined || to === undefined || read === (name as unknown)) return read(text);
  return { from: read(from), to: read(to) };
}

function plainMatched<T extends string | number>(tokens: Tokens, read: Read<T>): Matched<T> {
  if (tokens.accept("{")) {
    const anyOf: (T | { from: T; to: T })[] = [];
    for (tokens.skipEnds(); !tokens.accept("}"); tokens.skipEnds()) {
      anyOf.push(valueOrRange(tokens.take("a value"), read));
      tokens.accept(",");
    }
    if (!anyOf.length) throw new WordError("{ }: there is no value in it");
    return { anyOf };
  }
  const text = tokens.take("a value");
  if (text.startsWith("@")) return { set: text.slice(1) };
  return valueOrRange(text, read);
}

class RuleReader {
  readonly #tokens: Tokens;
  readonly #match: Mutable<NftMatch> = {};
  readonly #statements: Mutable<NftStatements> = {};
  #comment: string | undefined;
  #step = 0;

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  read(): RuleWords {
    const tokens = this.#tokens;
    while (!tokens.ended) {
      const { next } = tokens;
      const word = tokens.take("a word of a rule");
      if (next === undefined || !Object.hasOwn(WORDS, word))
        throw unknownWord(word, "word of a rule", Object.keys(WORDS));
      WORDS[word](this, tokens, word);
    }
    const words = Object.keys(this.#statements).length + Object.keys(this.#match).length;
    if (!words) throw new WordError("a rule says what a packet is, or what is done with it");
    return {
      ...(Object.keys(this.#match).length && { match: this.#match }),
      ...this.#statements,
      ...(this.#comment !== undefined && { comment: this.#comment }),
    };
  }

  set comment(text: string) {
    this.#comment = text;
  }

  /** What is looked at comes first, and everything once. */
  look<K extends keyof NftMatch>(key: K, value: NftMatch[K]): void {
    this.#advance("match");
    if (this.#match[key] !== undefined && this.#match[key] !== value)
      throw new WordError(`a rule looks at ${key} once: use a set, { … }, or two rules`);
    this.#match[key] = value;
  }

  /** Only packets of a protocol are meant, if it was not said. */
  need(protocol: Protocol): void {
    this.#match.protocol ??= protocol;
  }

  do<K extends Exclude<Step, "match">>(step: K, value: NftStatements[K]): void {
    this.#advance(step);
    if (this.#statements[step] !== undefined) throw new WordError(`a rule has one ${step}`);
    this.#statements[step] = value;
  }

  #advance(step: Step): void {
    const at = ORDER.indexOf(step);
    if (at < this.#step)
      throw new WordError(
        `${step} stands before ${ORDER[this.#step]} here: the order is ${ORDER.join(", ")}`,
      );
    this.#step = at;
  }
}

type Word = (rule: RuleReader, tokens: Tokens, word: string) => void;

const devices =
  (key: "inputDevice" | "outputDevice"): Word =>
  (rule, tokens) =>
    rule.look(key, matched(tokens, name));

/** `ip saddr`, `ip6 daddr`, `ip protocol`. */
const header =
  (family: "ipv4" | "ipv6"): Word =>
  (rule, tokens, word) => {
    const fields = ["saddr", "daddr", "protocol", "nexthdr"] as const;
    const field = tokens.take(`a field of ${word}`);
    if (field === "saddr" || field === "daddr") {
      const value = matched(tokens, address);
      // Values say of which family they are; sets do not.
      if (JSON.stringify(value).includes('"set"')) rule.look("family", family);
      rule.look(field === "saddr" ? "source" : "destination", value);
    } else if (field === "protocol" || field === "nexthdr") {
      rule.look("family", family);
      rule.look("protocol", protocolNamed(single(tokens)));
    } else throw unknownWord(field, `field of ${word}`, fields);
  };

/** What cannot be one of several. */
function single(tokens: Tokens): string {
  tokens.accept("==");
  if (tokens.next === "{" || tokens.next === "!=")
    throw new WordError("one protocol is expected: there are no sets of them here");
  return tokens.take("a value");
}

/** `tcp dport 80` */
const ports: Word = (rule, tokens, word) => {
  const field = tokens.take(`a field of ${word}`);
  if (field !== "sport" && field !== "dport")
    throw unknownWord(field, `field of ${word}`, ["sport", "dport"]);
  if (word !== "th") rule.look("protocol", protocolNamed(word));
  rule.look(field === "sport" ? "sourcePort" : "destinationPort", matched(tokens, port));
};

const icmp =
  (types: Readonly<Record<string, number>>): Word =>
  (rule, tokens, word) => {
    tokens.expect("type");
    rule.look("protocol", protocolNamed(word));
    rule.look("icmpType", matched(tokens, numberFrom(types, "type", 255)));
  };

const connection: Word = (rule, tokens) => {
  const field = tokens.take("a field of ct");
  if (field === "state") {
    const braces = tokens.accept("{");
    const states: ConnectionState[] = [];
    do {
      const names = Object.keys(STATES) as ConnectionState[];
      const given = tokens.take("a state");
      const found = names.find((one) => one === given);
      if (found === undefined) throw unknownWord(given, "state of connections", names);
      states.push(found);
    } while (tokens.accept(","));
    if (braces) tokens.expect("}");
    rule.look("state", states);
  } else if (field === "mark") {
    if (tokens.accept("set")) rule.do("setConnectionMark", mark(tokens.take("a mark")));
    else rule.look("connectionMark", matched(tokens, mark));
  } else throw unknownWord(field, "field of ct", ["state", "mark"]);
};

const meta: Word = (rule, tokens) => {
  const given = tokens.take("a field of meta");
  if (!Object.hasOwn(META, given)) throw unknownWord(given, "field of meta", Object.keys(META));
  META[given](rule, tokens, given);
};

const families: Readonly<Record<string, "ipv4" | "ipv6">> = {
  ip: "ipv4",
  ip6: "ipv6",
  ipv4: "ipv4",
  ipv6: "ipv6",
};
const family: Word = (rule, tokens) => {
  const given = single(tokens);
  if (!Object.hasOwn(families, given)) throw unknownWord(given, "family", ["ipv4", "ipv6"]);
  rule.look("family", families[given]);
};

const packetMark: Word = (rule, tokens) => {
  if (tokens.accept("set")) rule.do("setMark", mark(tokens.take("a mark")));
  else rule.look("mark", matched(tokens, mark));
};
const userId: Word = (rule, tokens) => rule.look("userId", matched(tokens, user));

const META: Readonly<Record<string, Word>> = {
  iifname: devices("inputDevice"),
  iif: devices("inputDevice"),
  oifname: devices("outputDevice"),
  oif: devices("outputDevice"),
  l4proto: (rule, tokens) => rule.look("protocol", protocolNamed(single(tokens))),
  nfproto: family,
  protocol: family,
  mark: packetMark,
  skuid: userId,
};

const PERIODS: Readonly<Record<string, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  week: 604_800,
};
const BYTES: Readonly<Record<string, number>> = { bytes: 1, kbytes: 1024, mbytes: 1 << 20 };

/** `limit rate [over] 10/second [burst 5 packets]`, `limit rate 1 mbytes/second` */
const limit: Word = (rule, tokens) => {
  tokens.expect("rate");
  const over = tokens.accept("over");
  let text = tokens.take("a rate such as 10/second");
  if (!text.includes("/")) text += ` ${tokens.take("a rate such as 10 mbytes/second")}`;
  const [, digits, unit, period = ""] = /^(\d+)(?: (\w+))?\/(\w+)$/.exec(text) ?? [];
  const perSeconds = PERIODS[period];
  if (digits === undefined || perSeconds === undefined || (unit && !BYTES[unit]))
    throw new WordError(`limit rate "${text}": it is like 10/second or 1 mbytes/second`);
  let burst: number | undefined;
  if (tokens.accept("burst")) {
    burst = mark(tokens.take("a number"));
    const of = tokens.take("packets or bytes");
    burst *= BYTES[of] ?? 1;
  }
  rule.do("limit", {
    rate: Number(digits) * (unit ? BYTES[unit] : 1),
    perSeconds,
    ...(unit && { of: "bytes" as const }),
    ...(over && { over }),
    ...(burst !== undefined && { burst }),
  });
};

const counter: Word = (rule, tokens) => {
  if (tokens.accept("name")) rule.do("counter", tokens.take("a counter's name"));
  else if (tokens.accept("packets")) {
    const packets = mark(tokens.take("a number"));
    tokens.expect("bytes");
    rule.do("counter", { packets, bytes: mark(tokens.take("a number")) });
  } else rule.do("counter", true);
};

const LEVELS = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

const log: Word = (rule, tokens) => {
  const value: { prefix?: string; level?: number; group?: number } = {};
  for (;;) {
    if (tokens.accept("prefix")) value.prefix = tokens.take("a text");
    else if (tokens.accept("group")) value.group = mark(tokens.take("a number"));
    else if (tokens.accept("level")) {
      const given = tokens.take("a level");
      if (!LEVELS.includes(given)) throw unknownWord(given, "level", LEVELS);
      value.level = LEVELS.indexOf(given);
    } else break;
  }
  rule.do("log", value);
};

const verdict: Word = (rule, _, word) => rule.do("action", word as "accept" | "drop");
const chain: Word = (rule, tokens, word) => {
  const target = tokens.take("a chain");
  rule.do("action", word === "jump" ? { jump: target } : { goto: target });
};

const reject: Word = (rule, tokens) => {
  if (!tokens.accept("with")) {
    rule.do("action", { reject: "port-unreachable" });
    return;
  }
  const kind = tokens.take("a kind of answer");
  if (kind === "tcp") {
    tokens.expect("reset");
    rule.need("tcp");
    rule.do("action", { reject: "tcp-reset" });
    return;
  }
  if (!["icmp", "icmpv6", "icmpx"].includes(kind))
    throw unknownWord(kind, "kind of answer", ["tcp", "icmp", "icmpv6", "icmpx"]);
  tokens.accept("type");
  const names = Object.keys(REJECTIONS) as (keyof typeof REJECTIONS)[];
  const given = tokens.take("a type");
  const found = names.find((one) => one === given);
  if (found === undefined) throw unknownWord(given, "type of answer", names);
  rule.do("action", { reject: found });
};

/** `10.0.0.2:8080`, `[fd00::2]:80`, `10.0.0.2` */
function target(tokens: Tokens): { address: string; port?: number } {
  tokens.accept("ip", "ip6");
  tokens.expect("to");
  const given = tokens.take("an address");
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([\d.]+|[^[\]]*:[^[\]]*:[^[\]]*))(?::(\d+))?$/.exec(given) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || !ipOf(host))
    throw new WordError(`"${given}": it is like 10.0.0.2, 10.0.0.2:8080 or [fd00::2]:8080`);
  return { address: host, ...(digits !== undefined && { port: port(digits) }) };
}

const translate: Word = (rule, tokens, word) => {
  const { address: host, ...rest } = target(tokens);
  const action: NftAction = word === "snat" ? { snat: host, ...rest } : { dnat: host, ...rest };
  rule.do("action", action);
};

const redirect: Word = (rule, tokens) => {
  tokens.expect("to");
  rule.do("action", { redirect: port(tokens.take("a port").replace(/^:/, "")) });
};

const WORDS: Readonly<Record<string, Word>> = {
  ...META,
  meta,
  ip: header("ipv4"),
  ip6: header("ipv6"),
  tcp: ports,
  udp: ports,
  sctp: ports,
  dccp: ports,
  udplite: ports,
  th: ports,
  icmp: icmp(ICMP_TYPES),
  icmpv6: icmp(ICMPV6_TYPES),
  ct: connection,
  limit,
  counter,
  log,
  notrack: (rule) => rule.do("notrack", true),
  accept: verdict,
  drop: verdict,
  return: verdict,
  continue: verdict,
  jump: chain,
  goto: chain,
  reject,
  masquerade: (rule, tokens) =>
    rule.do("action", tokens.accept("random") ? { masquerade: "random" } : "masquerade"),
  snat: translate,
  dnat: translate,
  redirect,
  queue: (rule, tokens) => {
    tokens.accept("num", "to");
    rule.do("action", { queue: mark(tokens.take("a number")) });
  },
  flow: (rule, tokens) => {
    tokens.expect("add");
    rule.do("action", { flow: tokens.take("a flow table").replace(/^@/, "") });
  },
  comment: (rule, tokens) => {
    rule.comment = tokens.take("a text");
  },
};

/** A rule, up to its end. @throws {WordError} */
export const readRule = (tokens: Tokens): RuleWords => new RuleReader(tokens).read();
