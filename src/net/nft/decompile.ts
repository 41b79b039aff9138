// Expressions back to what a rule was said to look at and to do, as far as they are such as the
// compiler makes them.

import {
  IP_CT_ESTABLISHED,
  IP_CT_NEW,
  IP_CT_RELATED,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_LIMIT_F_INV,
  NFT_LOOKUP_F_INV,
  NFT_OBJECT_COUNTER,
  NF_CT_STATE_INVALID_BIT,
  NF_CT_STATE_UNTRACKED_BIT,
  NF_NAT_RANGE_PROTO_RANDOM,
} from "../../abi/constants/netfilter.ts";
import { ETH_P_IP, ETH_P_IPV6 } from "../../abi/constants/packet.ts";
import type { NftAction, NftLimit, NftStatements } from "./action.ts";
import { REJECTIONS } from "./action.ts";
import type { NftExpression } from "./expressions.ts";
import { PROTOCOLS, STATES } from "./match.ts";
import type { ConnectionState, Matched, NftMatch } from "./match.ts";
import { dataTypes } from "./types.ts";
import type { NftDataType } from "./types.ts";

/** What a rule says. */
export interface NftRuleWords extends NftStatements {
  readonly match?: NftMatch;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reads expressions one after the other. What does not fit ends it by this. */
class NotOurs extends Error {}

class Reader {
  readonly #expressions: readonly NftExpression[];
  #at = 0;

  constructor(expressions: readonly NftExpression[]) {
    this.#expressions = expressions;
  }

  get done(): boolean {
    return this.#at >= this.#expressions.length;
  }

  /** The next expression; it is passed by take(). */
  get next(): NftExpression {
    return this.#expressions[this.#at] ?? {};
  }

  take(): NftExpression {
    if (this.done) throw new NotOurs("an expression is missing");
    return this.#expressions[this.#at++];
  }
}

/** What is compared with what was loaded. */
function comparison<T>(reader: Reader, valueOf: (bytes: Uint8Array) => T): Matched<T> {
  const { cmp, range, lookup } = reader.take();
  const bytesOf = (data: { value?: Uint8Array } | undefined) => {
    if (!data?.value) throw new NotOurs("a comparison without a value");
    return data.value;
  };
  const wrap = (value: Exclude<Matched<T>, { not: unknown }>, equal: boolean): Matched<T> =>
    equal ? value : { not: value };
  if (cmp && (cmp.operator === "==" || cmp.operator === "!="))
    return wrap(valueOf(bytesOf(cmp.data)) as Exclude<T, { not: unknown }>, cmp.operator === "==");
  if (range) {
    const value = { from: valueOf(bytesOf(range.from)), to: valueOf(bytesOf(range.to)) };
    return wrap(value, range.operator === "==");
  }
  if (lookup?.set !== undefined && lookup.target === undefined) {
    const value = { set: lookup.set } as Exclude<Matched<T>, { not: unknown }>;
    return wrap(value, !((lookup.flags ?? 0) & NFT_LOOKUP_F_INV));
  }
  throw new NotOurs("no comparison");
}

const numberOf =
  (type: NftDataType) =>
  (bytes: Uint8Array): number =>
    Number(dataTypes[type].read(bytes));

/** A name of an interface, or the beginning of names. */
function deviceOf(bytes: Uint8Array): string {
  const name = String(dataTypes.ifname.read(bytes));
  return bytes.length < dataTypes.ifname.lengthBytes ? `${name}*` : name;
}

function single(value: Matched<number>): number {
  if (typeof value !== "number") throw new NotOurs("one value is expected");
  return value;
}

const FAMILIES = new Map<number, "ipv4" | "ipv6">([
  [NFPROTO_IPV4, "ipv4"],
  [NFPROTO_IPV6, "ipv6"],
  [ETH_P_IP, "ipv4"],
  [ETH_P_IPV6, "ipv6"],
]);

function familyOf(value: Matched<number>): "ipv4" | "ipv6" {
  const family = FAMILIES.get(single(value));
  if (!family) throw new NotOurs("another family");
  return family;
}

/** What each key of a packet's data about data says in a match. */
const META: Readonly<Record<string, (reader: Reader, match: Mutable<NftMatch>) => void>> = {
  iifname(reader, match) {
    match.inputDevice = comparison(reader, deviceOf);
  },
  oifname(reader, match) {
    match.outputDevice = comparison(reader, deviceOf);
  },
  nfproto(reader, match) {
    match.family = familyOf(comparison(reader, numberOf("inet_proto")));
  },
  protocol(reader, match) {
    match.family = familyOf(comparison(reader, numberOf("inet_service")));
  },
  l4proto(reader, match) {
    const number = single(comparison(reader, numberOf("inet_proto")));
    const names = Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[];
    match.protocol = names.find((name) => PROTOCOLS[name] === number) ?? number;
  },
  mark(reader, match) {
    match.mark = comparison(reader, numberOf("mark"));
  },
  skuid(reader, match) {
    match.userId = comparison(reader, numberOf("mark"));
  },
};

function readMeta(reader: Reader, match: Mutable<NftMatch>): void {
  const key = String(reader.take().meta?.key);
  if (!Object.hasOwn(META, key)) throw new NotOurs("another key");
  META[key](reader, match);
}

/** How many bits of a mask are set; undefined if they are not those at its beginning. */
function lengthOf(mask: Uint8Array): number | undefined {
  const digits = Array.from(mask, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const length = digits.includes("0") ? digits.indexOf("0") : digits.length;
  return digits.includes("1", length) ? undefined : length;
}

function readAddress(reader: Reader, bytes: number): Matched<string> {
  const type = bytes === 4 ? "ipv4_addr" : "ipv6_addr";
  let suffix = "";
  if (reader.next.bitwise) {
    const mask = reader.take().bitwise?.mask?.value;
    const length = mask && lengthOf(mask);
    if (length === undefined) throw new NotOurs("another mask");
    suffix = `/${length}`;
  }
  return comparison(reader, (value) => `${dataTypes[type].read(value)}${suffix}`);
}

function readPayload(reader: Reader, match: Mutable<NftMatch>): void {
  const { base, offset = 0, length = 0, source } = reader.take().payload ?? {};
  if (source !== undefined) throw new NotOurs("it writes");
  if (base === "network") {
    const places = {
      "12,4": "source",
      "16,4": "destination",
      "8,16": "source",
      "24,16": "destination",
    };
    const which = places[`${offset},${length}` as keyof typeof places];
    if (which !== "source" && which !== "destination") throw new NotOurs("another field");
    match[which] = readAddress(reader, length);
    return;
  }
  if (base !== "transport") throw new NotOurs("another header");
  if (offset === 0 && length === 1) match.icmpType = comparison(reader, numberOf("inet_proto"));
  else if (offset === 0 && length === 2)
    match.sourcePort = comparison(reader, numberOf("inet_service"));
  else if (offset === 2 && length === 2)
    match.destinationPort = comparison(reader, numberOf("inet_service"));
  else throw new NotOurs("another field");
}

const STATE_BITS = [IP_CT_ESTABLISHED, IP_CT_RELATED, IP_CT_NEW].reduce(
  (bits, state) => bits | (1 << (state + 1)),
  NF_CT_STATE_INVALID_BIT | NF_CT_STATE_UNTRACKED_BIT,
);

function readConnection(reader: Reader, match: Mutable<NftMatch>): void {
  const { key } = reader.take().ct ?? {};
  if (key === "mark") {
    match.connectionMark = comparison(reader, numberOf("mark"));
    return;
  }
  if (key !== "state") throw new NotOurs("another key");
  const mask = reader.take().bitwise?.mask?.value;
  const { cmp } = reader.take();
  const bits = mask ? numberOf("mark")(mask) : 0;
  const zero = cmp?.data?.value?.every((byte) => byte === 0) ?? false;
  if (cmp?.operator !== "!=" || !zero || bits === 0 || bits & ~STATE_BITS)
    throw new NotOurs("another comparison of the state");
  match.state = (Object.keys(STATES) as ConnectionState[]).filter((name) => bits & STATES[name]);
}

/** Whether an expression is one of a match: it loads something to compare. */
function loads({ meta, payload, ct }: NftExpression): boolean {
  return (meta ?? payload ?? ct)?.target !== undefined;
}

function readMatch(reader: Reader): NftMatch {
  const match: Mutable<NftMatch> = {};
  while (loads(reader.next)) {
    if (reader.next.meta) readMeta(reader, match);
    else if (reader.next.payload) readPayload(reader, match);
    else readConnection(reader, match);
  }
  // Addresses say of which family they are; sets do not.
  const literal = [match.source, match.destination].some(
    (value) => value !== undefined && !JSON.stringify(value).includes('"set"'),
  );
  if (literal) delete match.family;
  return match;
}

const VERDICTS = new Set<unknown>(["accept", "drop", "return", "continue"]);

function readVerdict(code: string | number | undefined, chain = ""): NftAction {
  if (code === "jump") return { jump: chain };
  if (code === "goto") return { goto: chain };
  if (!VERDICTS.has(code)) throw new NotOurs("another verdict");
  return code as "accept" | "drop" | "return" | "continue";
}

/** Values that were put into registers, for what comes behind. */
function readValues(reader: Reader): Uint8Array[] {
  const values: Uint8Array[] = [];
  while (reader.next.immediate?.data?.value) {
    const { immediate } = reader.take();
    if (immediate?.data?.value) values.push(immediate.data.value);
  }
  return values;
}

function readTranslation(reader: Reader, [first, second]: readonly Uint8Array[]): NftAction {
  const { nat, redirect } = reader.take();
  if (redirect && first && !second) return { redirect: numberOf("inet_service")(first) };
  if (!nat || !first) throw new NotOurs("another translation");
  const type = first.length === 4 ? "ipv4_addr" : "ipv6_addr";
  const address = String(dataTypes[type].read(first));
  const port = second && { port: numberOf("inet_service")(second) };
  return nat.type === "snat" ? { snat: address, ...port } : { dnat: address, ...port };
}

function readReject({ type, code }: NonNullable<NftExpression["reject"]>): NftAction {
  if (type === "tcp-reset") return { reject: "tcp-reset" };
  const names = Object.keys(REJECTIONS) as (keyof typeof REJECTIONS)[];
  const name = names.find((one) => REJECTIONS[one] === code);
  if (type !== "icmpx" || !name) throw new NotOurs("another answer");
  return { reject: name };
}

function readLimit({
  rate = 0,
  perSeconds = 1,
  burst,
  of,
  flags = 0,
}: NonNullable<NftExpression["limit"]>): NftLimit {
  return {
    rate,
    perSeconds,
    ...(of !== undefined && typeof of === "string" && { of }),
    ...(burst !== undefined && { burst }),
    ...(flags & NFT_LIMIT_F_INV && { over: true }),
  };
}

function readStatement(reader: Reader, into: Mutable<NftStatements>): void {
  const values = readValues(reader);
  if (values.length) {
    const { meta, ct } = reader.next;
    if (meta?.key === "mark") into.setMark = numberOf("mark")(values[0]);
    else if (ct?.key === "mark") into.setConnectionMark = numberOf("mark")(values[0]);
    else {
      into.action = readTranslation(reader, values);
      return;
    }
    reader.take();
    return;
  }
  // It has nothing to be said of it: there is its name alone.
  if (reader.next.name === "notrack") {
    reader.take();
    into.notrack = true;
    return;
  }
  const { limit, counter, objref, log, immediate, masquerade, reject, queue, flowOffload } =
    reader.take();
  if (limit) into.limit = readLimit(limit);
  else if (counter) into.counter = { packets: counter.packets ?? 0, bytes: counter.bytes ?? 0 };
  else if (objref?.type === NFT_OBJECT_COUNTER && objref.name !== undefined)
    into.counter = objref.name;
  else if (log) into.log = log;
  else if (immediate?.data?.verdict)
    into.action = readVerdict(immediate.data.verdict.code, immediate.data.verdict.chain);
  else if (masquerade) into.action = masqueradeOf(masquerade.flags);
  else if (reject) into.action = readReject(reject);
  else if (queue?.number !== undefined) into.action = { queue: queue.number };
  else if (flowOffload?.table !== undefined) into.action = { flow: flowOffload.table };
  else throw new NotOurs("another expression");
}

function masqueradeOf(flags = 0): NftAction {
  return flags & NF_NAT_RANGE_PROTO_RANDOM ? { masquerade: "random" } : "masquerade";
}

/** What a rule says, or undefined if there is more to it than we have words for. */
export function decompile(expressions: readonly NftExpression[]): NftRuleWords | undefined {
  const reader = new Reader(expressions);
  try {
    const match = readMatch(reader);
    const statements: Mutable<NftStatements> = {};
    while (!reader.done) readStatement(reader, statements);
    return { ...(Object.keys(match).length && { match }), ...statements };
  } catch (error) {
    if (error instanceof NotOurs) return undefined;
    throw error;
  }
}
