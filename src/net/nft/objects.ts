// Tables, chains, rules, sets and counters of nf_tables: as they are said, and as the kernel has
// them.

import {
  NFPROTO_ARP,
  NFPROTO_BRIDGE,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFPROTO_NETDEV,
  NFTA_CHAIN_COUNTERS,
  NFTA_CHAIN_HANDLE,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_POLICY,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_TYPE,
  NFTA_CHAIN_USE,
  NFTA_COUNTER_BYTES,
  NFTA_COUNTER_PACKETS,
  NFTA_HOOK_DEV,
  NFTA_HOOK_HOOKNUM,
  NFTA_HOOK_PRIORITY,
  NFTA_LIST_ELEM,
  NFTA_OBJ_DATA,
  NFTA_OBJ_HANDLE,
  NFTA_OBJ_NAME,
  NFTA_OBJ_TABLE,
  NFTA_OBJ_TYPE,
  NFTA_OBJ_USE,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_HANDLE,
  NFTA_RULE_POSITION,
  NFTA_RULE_TABLE,
  NFTA_RULE_USERDATA,
  NFTA_SET_DATA_LEN,
  NFTA_SET_DATA_TYPE,
  NFTA_SET_DESC,
  NFTA_SET_DESC_SIZE,
  NFTA_SET_ELEM_DATA,
  NFTA_SET_ELEM_EXPIRATION,
  NFTA_SET_ELEM_EXPR,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_SET_ID,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_SET_ELEM_TIMEOUT,
  NFTA_SET_FLAGS,
  NFTA_SET_HANDLE,
  NFTA_SET_ID,
  NFTA_SET_KEY_LEN,
  NFTA_SET_KEY_TYPE,
  NFTA_SET_NAME,
  NFTA_SET_TABLE,
  NFTA_SET_TIMEOUT,
  NFTA_TABLE_FLAGS,
  NFTA_TABLE_HANDLE,
  NFTA_TABLE_NAME,
  NFTA_TABLE_USE,
  NFT_CHAIN_MAXNAMELEN,
  NFT_OBJECT_COUNTER,
  NFT_OBJ_MAXNAMELEN,
  NFT_SET_ANONYMOUS,
  NFT_SET_CONSTANT,
  NFT_SET_EVAL,
  NFT_SET_INTERVAL,
  NFT_SET_MAP,
  NFT_SET_MAXNAMELEN,
  NFT_SET_TIMEOUT,
  NFT_TABLE_F_DORMANT,
  NFT_TABLE_MAXNAMELEN,
  NFT_USERDATA_MAXLEN,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_INGRESS,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NF_IP_PRI_FILTER,
  NF_IP_PRI_MANGLE,
  NF_IP_PRI_NAT_DST,
  NF_IP_PRI_NAT_SRC,
  NF_IP_PRI_RAW,
  NF_IP_PRI_SECURITY,
  NF_NETDEV_EGRESS,
  NF_NETDEV_INGRESS,
} from "../../abi/constants/netfilter.ts";
import { Nfgenmsg } from "../../abi/structs/netlink.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { IFNAMSIZ } from "../link-kinds.ts";
import { AttributeSet, list } from "../netlink/attributes.ts";
import { atLeast, be32, be64, bits, mapped, named, raw, text } from "../netlink/codec.ts";
import type { Codec, Value } from "../netlink/codec.ts";
import type { Message } from "../netlink/message.ts";
import type { NftStatements } from "./action.ts";
import { decompile } from "./decompile.ts";
import type { NftRuleWords } from "./decompile.ts";
import { data, expressions, setExpression } from "./expressions.ts";
import type { NftExpression } from "./expressions.ts";
import { flowTableAttributes, flowTableOf } from "./flow-table.ts";
import type { NftFlowTable } from "./flow-table.ts";
import type { NftMatch } from "./match.ts";
import type { NftDataType } from "./types.ts";

const FAMILIES = {
  ip: NFPROTO_IPV4,
  ip6: NFPROTO_IPV6,
  inet: NFPROTO_INET,
  arp: NFPROTO_ARP,
  bridge: NFPROTO_BRIDGE,
  netdev: NFPROTO_NETDEV,
} as const;

/** "inet" is IPv4 and IPv6. */
export type NftFamily = keyof typeof FAMILIES;

/** @throws {InvalidOptionError} */
export function familyNumber(family: NftFamily): number {
  if (!Object.hasOwn(FAMILIES, family))
    throw new InvalidOptionError(
      "family",
      `${family}: it is one of ${Object.keys(FAMILIES).join(", ")}`,
    );
  return FAMILIES[family];
}

function familyName(number: number): NftFamily {
  const names = Object.keys(FAMILIES) as NftFamily[];
  return names.find((name) => FAMILIES[name] === number) ?? "inet";
}

const signed: Codec<number> = mapped(
  be32,
  (value) => value | 0,
  (value: number) => value >>> 0,
);

const tableName = text(NFT_TABLE_MAXNAMELEN);
const chainName = text(NFT_CHAIN_MAXNAMELEN);
const setName = text(NFT_SET_MAXNAMELEN);

// --- Tables --------------------------------------------------------------------------------------

export const tableAttributes = new AttributeSet({
  name: [NFTA_TABLE_NAME, tableName],
  flags: [NFTA_TABLE_FLAGS, bits(be32, { dormant: NFT_TABLE_F_DORMANT })],
  use: [NFTA_TABLE_USE, be32],
  handle: [NFTA_TABLE_HANDLE, be64],
});

export interface NftTable {
  readonly family: NftFamily;
  readonly name: string;
  readonly handle: number;
  /** How many chains, sets and so on it has. */
  readonly use: number;
  /** It is there, and does nothing. */
  readonly dormant: boolean;
}

// --- Chains --------------------------------------------------------------------------------------

const hook = new AttributeSet({
  number: [NFTA_HOOK_HOOKNUM, be32],
  priority: [NFTA_HOOK_PRIORITY, signed],
  device: [NFTA_HOOK_DEV, text(IFNAMSIZ)],
});

const counters = new AttributeSet({
  bytes: [NFTA_COUNTER_BYTES, be64],
  packets: [NFTA_COUNTER_PACKETS, be64],
});

export const chainAttributes = new AttributeSet({
  table: [NFTA_CHAIN_TABLE, tableName],
  name: [NFTA_CHAIN_NAME, chainName],
  handle: [NFTA_CHAIN_HANDLE, be64],
  hook: [NFTA_CHAIN_HOOK, hook],
  policy: [NFTA_CHAIN_POLICY, named(be32, { accept: NF_ACCEPT, drop: NF_DROP })],
  use: [NFTA_CHAIN_USE, be32],
  type: [NFTA_CHAIN_TYPE, text()],
  counters: [NFTA_CHAIN_COUNTERS, counters],
});

const INET_HOOKS = {
  prerouting: NF_INET_PRE_ROUTING,
  input: NF_INET_LOCAL_IN,
  forward: NF_INET_FORWARD,
  output: NF_INET_LOCAL_OUT,
  postrouting: NF_INET_POST_ROUTING,
  ingress: NF_INET_INGRESS,
} as const;

const NETDEV_HOOKS = { ingress: NF_NETDEV_INGRESS, egress: NF_NETDEV_EGRESS } as const;

export type NftHook = keyof typeof INET_HOOKS | keyof typeof NETDEV_HOOKS;

const PRIORITIES = {
  raw: NF_IP_PRI_RAW,
  mangle: NF_IP_PRI_MANGLE,
  dstnat: NF_IP_PRI_NAT_DST,
  filter: NF_IP_PRI_FILTER,
  security: NF_IP_PRI_SECURITY,
  srcnat: NF_IP_PRI_NAT_SRC,
} as const;

/** A chain. Without a hook it is one to jump to. */
export interface NftChainSpec {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly hook?: NftHook;
  /** Default "filter". */
  readonly type?: "filter" | "nat" | "route";
  /** Chains at one hook go from the lowest on. Default "filter", which is 0. */
  readonly priority?: number | keyof typeof PRIORITIES;
  /** What becomes of packets that no rule decides about. Default "accept". */
  readonly policy?: "accept" | "drop";
  /** Of netdev, and of ingress. */
  readonly device?: string;
}

export interface NftChain {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly handle: number;
  readonly hook?: NftHook | number;
  readonly type?: string;
  readonly priority?: number;
  readonly policy?: "accept" | "drop" | number;
  readonly device?: string;
  /** How many rules it has. */
  readonly use: number;
}

function hooksOf(family: NftFamily): Readonly<Record<string, number>> {
  return family === "netdev" ? NETDEV_HOOKS : INET_HOOKS;
}

/** @throws {InvalidOptionError} */
export function chainValues(spec: NftChainSpec): Value<typeof chainAttributes> {
  const { family, table, name, policy, device } = spec;
  if (spec.hook === undefined) return { table, name };
  const hooks = hooksOf(family);
  if (!Object.hasOwn(hooks, spec.hook))
    throw new InvalidOptionError(
      "hook",
      `${spec.hook}: in ${family} it is one of ${Object.keys(hooks).join(", ")}`,
    );
  const priority = spec.priority ?? 0;
  if (typeof priority === "string" && !Object.hasOwn(PRIORITIES, priority))
    throw new InvalidOptionError(
      "priority",
      `${priority}: it is a number or one of ${Object.keys(PRIORITIES).join(", ")}`,
    );
  return {
    table,
    name,
    type: spec.type ?? "filter",
    hook: {
      number: hooks[spec.hook],
      priority: typeof priority === "string" ? PRIORITIES[priority] : priority,
      ...(device !== undefined && { device }),
    },
    ...(policy !== undefined && { policy }),
  };
}

// --- Rules ---------------------------------------------------------------------------------------

/** NFTNL_UDATA_RULE_COMMENT: as nft(8) keeps them. */
const COMMENT = 0;
const MAX_COMMENT_BYTES = NFT_USERDATA_MAXLEN / 2 - 1;

/** Type, length and text with a NUL. What else there is, is not ours. */
const comment: Codec<string> = mapped(
  raw,
  (bytes) => {
    for (let at = 0; at + 2 <= bytes.length; at += 2 + bytes[at + 1])
      if (bytes[at] === COMMENT)
        return new TextDecoder()
          .decode(bytes.slice(at + 2, at + 2 + bytes[at + 1]))
          .replace(/\0$/, "");
    return "";
  },
  (value: string, option) => {
    const bytes = new TextEncoder().encode(`${value}\0`);
    if (bytes.length > MAX_COMMENT_BYTES)
      throw new InvalidOptionError(option, `it has at most ${MAX_COMMENT_BYTES - 1} bytes`);
    return Uint8Array.from([COMMENT, bytes.length, ...bytes]);
  },
);

export const ruleAttributes = new AttributeSet({
  table: [NFTA_RULE_TABLE, tableName],
  chain: [NFTA_RULE_CHAIN, chainName],
  handle: [NFTA_RULE_HANDLE, be64],
  expressions: [NFTA_RULE_EXPRESSIONS, expressions],
  position: [NFTA_RULE_POSITION, be64],
  comment: [NFTA_RULE_USERDATA, comment],
});

/** A rule: what a packet has to be, and what is done with it then. */
export interface NftRuleSpec extends NftStatements {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  /** Default: every packet. */
  readonly match?: NftMatch;
  /** Between the match and the rest: the kernel's own words, for what those do not say. */
  readonly expressions?: readonly NftExpression[];
  readonly comment?: string;
  /** Where: before the rule with this handle; default: last. */
  readonly before?: number;
  /** Where: behind the rule with this handle. */
  readonly after?: number;
}

export interface NftRule {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expressions: readonly NftExpression[];
  readonly comment?: string;
  /** What its counter says. */
  readonly counter?: { readonly packets: number; readonly bytes: number };
  /** The same as the expressions in words, as a rule is added; undefined if there are none for it. */
  readonly says?: NftRuleWords;
}

// --- Sets ----------------------------------------------------------------------------------------

const SET_FLAGS = {
  anonymous: NFT_SET_ANONYMOUS,
  constant: NFT_SET_CONSTANT,
  interval: NFT_SET_INTERVAL,
  map: NFT_SET_MAP,
  timeout: NFT_SET_TIMEOUT,
  dynamic: NFT_SET_EVAL,
} as const;

export type NftSetFlag = keyof typeof SET_FLAGS;

export const setAttributes = new AttributeSet({
  table: [NFTA_SET_TABLE, tableName],
  name: [NFTA_SET_NAME, setName],
  flags: [NFTA_SET_FLAGS, bits(be32, SET_FLAGS)],
  keyType: [NFTA_SET_KEY_TYPE, be32],
  keyBytes: [NFTA_SET_KEY_LEN, be32],
  dataType: [NFTA_SET_DATA_TYPE, be32],
  dataBytes: [NFTA_SET_DATA_LEN, be32],
  description: [NFTA_SET_DESC, new AttributeSet({ size: [NFTA_SET_DESC_SIZE, be32] })],
  id: [NFTA_SET_ID, be32],
  timeoutMs: [NFTA_SET_TIMEOUT, be64],
  handle: [NFTA_SET_HANDLE, be64],
});

/** A set, or with `map` a map. */
export interface NftSetSpec {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  /** Of the keys. */
  readonly type: NftDataType;
  /** What each key leads to: a value of a type, or a verdict. */
  readonly map?: NftDataType | "verdict";
  /** "interval": keys may be ranges and networks; "timeout": elements go after a time. */
  readonly flags?: readonly NftSetFlag[];
  /** After which elements go; default: never. */
  readonly timeoutMs?: number;
  /** At most so many elements. */
  readonly size?: number;
}

export interface NftSet {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly handle: number;
  /** The number of nft(8), if it is none of ours. */
  readonly type: NftDataType | number;
  readonly map?: NftDataType | "verdict" | number;
  readonly flags: readonly (NftSetFlag | `0x${string}`)[];
  readonly timeoutMs?: number;
  readonly size?: number;
}

const element = new AttributeSet({
  key: [NFTA_SET_ELEM_KEY, data],
  data: [NFTA_SET_ELEM_DATA, data],
  flags: [NFTA_SET_ELEM_FLAGS, be32],
  timeoutMs: [NFTA_SET_ELEM_TIMEOUT, be64],
  expiresMs: [NFTA_SET_ELEM_EXPIRATION, be64],
  expression: [NFTA_SET_ELEM_EXPR, setExpression],
});

export type RawElement = Value<typeof element>;

export const elementsAttributes = new AttributeSet({
  table: [NFTA_SET_ELEM_LIST_TABLE, tableName],
  set: [NFTA_SET_ELEM_LIST_SET, setName],
  setId: [NFTA_SET_ELEM_LIST_SET_ID, be32],
  elements: [NFTA_SET_ELEM_LIST_ELEMENTS, list(element, { type: NFTA_LIST_ELEM })],
});

// --- Counters with names ---------------------------------------------------------------------------

export const objectAttributes = new AttributeSet({
  table: [NFTA_OBJ_TABLE, tableName],
  name: [NFTA_OBJ_NAME, text(NFT_OBJ_MAXNAMELEN)],
  type: [NFTA_OBJ_TYPE, be32],
  counter: [NFTA_OBJ_DATA, counters],
  use: [NFTA_OBJ_USE, be32],
  handle: [NFTA_OBJ_HANDLE, be64],
});

export interface NftCounter {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
  /** How many rules count with it. */
  readonly use: number;
}

// --- Read ------------------------------------------------------------------------------------------

function split({ payload }: Message): { family: NftFamily; rest: Uint8Array } {
  atLeast(payload, Nfgenmsg.size);
  const header = Nfgenmsg.from(payload);
  return { family: familyName(header.nfgen_family), rest: payload.subarray(Nfgenmsg.size) };
}

/** @internal */
export function readTable(message: Message): NftTable {
  const { family, rest } = split(message);
  const { name = "", handle = 0, use = 0, flags = [] } = tableAttributes.read(rest);
  return { family, name, handle, use, dormant: flags.includes("dormant") };
}

/** @internal */
export function readChain(message: Message): NftChain {
  const { family, rest } = split(message);
  const { table = "", name = "", handle = 0, use = 0, ...more } = chainAttributes.read(rest);
  const { hook: at, type, policy } = more;
  const number = at?.number;
  const hooks = hooksOf(family);
  const hookName = Object.keys(hooks).find((one) => hooks[one] === number) as NftHook | undefined;
  return {
    family,
    table,
    name,
    handle,
    use,
    ...(number !== undefined && { hook: hookName ?? number }),
    ...(type !== undefined && { type }),
    ...(at?.priority !== undefined && { priority: at.priority }),
    ...(policy !== undefined && { policy }),
    ...(at?.device !== undefined && { device: at.device }),
  };
}

/** @internal */
export function readFlowTable(message: Message): NftFlowTable {
  const { family, rest } = split(message);
  return flowTableOf(family, flowTableAttributes.read(rest));
}

/** @internal */
export function readNftRule(message: Message): NftRule {
  const { family, rest } = split(message);
  const told = ruleAttributes.read(rest);
  const { table = "", chain = "", handle = 0, comment: said, expressions: all = [] } = told;
  const counter = all.find((one) => one.counter)?.counter;
  const says = decompile(all);
  return {
    family,
    table,
    chain,
    handle,
    expressions: all,
    ...(said !== undefined && said !== "" && { comment: said }),
    ...(counter && { counter: { packets: counter.packets ?? 0, bytes: counter.bytes ?? 0 } }),
    ...(says && { says }),
  };
}

/** @internal */
export function readRawSet(message: Message): { family: NftFamily } & Value<typeof setAttributes> {
  const { family, rest } = split(message);
  return { family, ...setAttributes.read(rest) };
}

/** @internal */
export function readElements(message: Message): readonly RawElement[] {
  return elementsAttributes.read(split(message).rest).elements ?? [];
}

/** @internal */
export function readCounter(message: Message): NftCounter | undefined {
  const { family, rest } = split(message);
  const { table = "", name = "", type, counter, use = 0 } = objectAttributes.read(rest);
  if (type !== NFT_OBJECT_COUNTER) return undefined;
  return { family, table, name, packets: counter?.packets ?? 0, bytes: counter?.bytes ?? 0, use };
}
