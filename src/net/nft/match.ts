// What a rule looks at, said in a packet's words, and the expressions that look at it.

import {
  IPPROTO_DCCP,
  IPPROTO_ESP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_IGMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from "../../abi/constants/in.ts";
import { IPPROTO_ICMPV6 } from "../../abi/constants/in6.ts";
import {
  NFPROTO_BRIDGE,
  NFPROTO_INET,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFPROTO_NETDEV,
  NFT_LOOKUP_F_INV,
  NFT_REG_1,
  NF_CT_STATE_INVALID_BIT,
  NF_CT_STATE_UNTRACKED_BIT,
  IP_CT_ESTABLISHED,
  IP_CT_NEW,
  IP_CT_RELATED,
} from "../../abi/constants/netfilter.ts";
import { ETH_P_IP, ETH_P_IPV6 } from "../../abi/constants/packet.ts";
import { AF_INET } from "../../abi/constants/socket.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { parsePrefix } from "../address.ts";
import { whole } from "../netlink/codec.ts";
import { expr } from "./expressions.ts";
import type { NftExpression } from "./expressions.ts";
import type { NftElement } from "./set.ts";
import { dataTypes } from "./types.ts";
import type { NftDataType } from "./types.ts";

export const PROTOCOLS = {
  icmp: IPPROTO_ICMP,
  igmp: IPPROTO_IGMP,
  tcp: IPPROTO_TCP,
  udp: IPPROTO_UDP,
  dccp: IPPROTO_DCCP,
  gre: IPPROTO_GRE,
  esp: IPPROTO_ESP,
  icmpv6: IPPROTO_ICMPV6,
  sctp: IPPROTO_SCTP,
  udplite: IPPROTO_UDPLITE,
} as const;

const WITH_PORTS: ReadonlySet<number> = new Set([
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_DCCP,
  IPPROTO_SCTP,
  IPPROTO_UDPLITE,
]);

/** The bit of a state of connection tracking (NF_CT_STATE_BIT). */
const stateBit = (state: number): number => 1 << (state + 1);

/** Bits of the states of connections. */
export const STATES = {
  invalid: NF_CT_STATE_INVALID_BIT,
  established: stateBit(IP_CT_ESTABLISHED),
  related: stateBit(IP_CT_RELATED),
  new: stateBit(IP_CT_NEW),
  untracked: NF_CT_STATE_UNTRACKED_BIT,
} as const;

export type ConnectionState = keyof typeof STATES;

/** A value; what is between two; what is in a set, or is one of several; or any but that. */
export type Matched<T> =
  | T
  | { readonly from: T; readonly to: T }
  | { readonly set: string }
  /** One of these: they are in a set without a name of its own, that goes with the rule. */
  | { readonly anyOf: readonly (T | { readonly from: T; readonly to: T })[] }
  | { readonly not: Exclude<Matched<T>, { readonly not: unknown }> };

/** What a packet has to be: all that is given. */
export interface NftMatch {
  /** Where it came in; "eth*" is all that begin so. */
  readonly inputDevice?: Matched<string>;
  /** Where it goes out. */
  readonly outputDevice?: Matched<string>;
  /** "10.0.0.0/8", "fd00::1". */
  readonly source?: Matched<string>;
  readonly destination?: Matched<string>;
  /** "tcp", "udp", "icmp"…, or a number. */
  readonly protocol?: keyof typeof PROTOCOLS | number;
  /** Of a protocol that has ports. */
  readonly sourcePort?: Matched<number>;
  readonly destinationPort?: Matched<number>;
  /** Of the protocol icmp or icmpv6. */
  readonly icmpType?: Matched<number>;
  /** One of these. */
  readonly state?: readonly ConnectionState[];
  readonly mark?: Matched<number>;
  /** Of its connection. */
  readonly connectionMark?: Matched<number>;
  /** Who has the socket that it is from. */
  readonly userId?: Matched<number>;
  readonly family?: "ipv4" | "ipv6";
}

const MATCH_NAMES: Readonly<Record<keyof NftMatch, true>> = {
  inputDevice: true,
  outputDevice: true,
  source: true,
  destination: true,
  protocol: true,
  sourcePort: true,
  destinationPort: true,
  icmpType: true,
  state: true,
  mark: true,
  connectionMark: true,
  userId: true,
  family: true,
};

/** A set without a name of its own, for one rule. */
export interface AnonymousSet {
  readonly type: NftDataType;
  readonly elements: readonly NftElement[];
  /** What looks into it. The set's number is put there when it has one. */
  readonly lookup: NftExpression;
}

/** The name of such a set; the kernel puts a number there. */
export const ANONYMOUS = "__set%d";

/** How values of one kind are compared. */
interface Comparison<T> {
  readonly type: NftDataType;
  readonly option: string;
  readonly bytesOf: (value: T) => Uint8Array;
  readonly sets: AnonymousSet[];
}

function compareEach<T extends string | number>(
  value: Matched<T>,
  comparison: Comparison<T>,
  equal = true,
): NftExpression[] {
  const { bytesOf, option } = comparison;
  if (typeof value !== "object" || value === null) {
    const data = { value: bytesOf(value) };
    return [expr("cmp", { source: NFT_REG_1, operator: equal ? "==" : "!=", data })];
  }
  if ("not" in value) return compareEach(value.not as Matched<T>, comparison, !equal);
  if ("set" in value)
    return [
      expr("lookup", {
        set: value.set,
        source: NFT_REG_1,
        ...(!equal && { flags: NFT_LOOKUP_F_INV }),
      }),
    ];
  if ("anyOf" in value) {
    if (!Array.isArray(value.anyOf) || !value.anyOf.length)
      throw new InvalidOptionError(option, '"anyOf" is a list of values');
    const lookup = expr("lookup", {
      set: ANONYMOUS,
      source: NFT_REG_1,
      ...(!equal && { flags: NFT_LOOKUP_F_INV }),
    });
    const elements = value.anyOf.map((one) =>
      typeof one === "object" ? { key: one.from, to: one.to } : { key: one },
    );
    comparison.sets.push({ type: comparison.type, elements, lookup });
    return [lookup];
  }
  if (!("from" in value && "to" in value))
    throw new InvalidOptionError(
      option,
      "it is a value, { from, to }, { set }, { anyOf } or { not }",
    );
  return [
    expr("range", {
      source: NFT_REG_1,
      operator: equal ? "==" : "!=",
      from: { value: bytesOf(value.from) },
      to: { value: bytesOf(value.to) },
    }),
  ];
}

const load = (key: Parameters<typeof metaOf>[0]) => metaOf(key);
function metaOf(
  key: "mark" | "iifname" | "oifname" | "skuid" | "nfproto" | "l4proto" | "protocol",
): NftExpression {
  return expr("meta", { key, target: NFT_REG_1 });
}

function part(
  base: "link" | "network" | "transport",
  offset: number,
  length: number,
): NftExpression {
  return expr("payload", { target: NFT_REG_1, base, offset, length });
}

const equals = (value: Uint8Array): NftExpression =>
  expr("cmp", { source: NFT_REG_1, operator: "==", data: { value } });

/** What the rest of a rule relies on is looked at once, and first. */
export class MatchCompiler {
  readonly #family: number;
  readonly #expressions: NftExpression[] = [];
  #network: number | undefined;
  /** Sets that have to be made for what was compiled. */
  readonly sets: AnonymousSet[] = [];

  /** @param family NFPROTO_… of the table */
  constructor(family: number) {
    this.#family = family;
    if (family === NFPROTO_IPV4 || family === NFPROTO_IPV6) this.#network = family;
  }

  /** The family of the network header, as far as it is known. */
  get network(): number | undefined {
    return this.#network;
  }

  /** @throws {InvalidOptionError} */
  compile(match: NftMatch): NftExpression[] {
    for (const name of Object.keys(match))
      if (!Object.hasOwn(MATCH_NAMES, name))
        throw new InvalidOptionError(
          `match.${name}`,
          `unknown: it is one of ${Object.keys(MATCH_NAMES).join(", ")}`,
        );
    const { inputDevice, outputDevice, family, state, mark, connectionMark, userId } = match;
    if (inputDevice !== undefined) this.#device("iifname", inputDevice, "match.inputDevice");
    if (outputDevice !== undefined) this.#device("oifname", outputDevice, "match.outputDevice");
    if (family !== undefined)
      this.#need(family === "ipv4" ? NFPROTO_IPV4 : NFPROTO_IPV6, "match.family");
    if (match.source !== undefined) this.#address(match.source, "source");
    if (match.destination !== undefined) this.#address(match.destination, "destination");
    this.#transport(match);
    if (state !== undefined) this.#state(state);
    if (mark !== undefined) this.#add(load("mark"), ...this.#compare(mark, "mark", "match.mark"));
    if (connectionMark !== undefined)
      this.#add(
        expr("ct", { key: "mark", target: NFT_REG_1 }),
        ...this.#compare(connectionMark, "mark", "match.connectionMark"),
      );
    if (userId !== undefined)
      this.#add(load("skuid"), ...this.#compare(userId, "mark", "match.userId"));
    return this.#expressions;
  }

  /** Compares what is in the register. */
  #compare<T extends string | number>(
    value: Matched<T>,
    type: NftDataType,
    option: string,
  ): NftExpression[] {
    const bytesOf = (one: T) => dataTypes[type].write(one, option);
    return compareEach(value, { type, option, bytesOf, sets: this.sets });
  }

  #add(...expressions: readonly NftExpression[]): void {
    this.#expressions.push(...expressions);
  }

  /** Only packets of one family from here on. */
  #need(family: number, option: string): void {
    if (this.#network === family) return;
    if (this.#network !== undefined)
      throw new InvalidOptionError(option, "the rule cannot be of IPv4 and of IPv6");
    this.#network = family;
    if (this.#family === NFPROTO_INET) this.#add(load("nfproto"), equals(Uint8Array.of(family)));
    else if (this.#family === NFPROTO_BRIDGE || this.#family === NFPROTO_NETDEV) {
      const protocol = family === NFPROTO_IPV4 ? ETH_P_IP : ETH_P_IPV6;
      this.#add(load("protocol"), equals(dataTypes.inet_service.write(protocol, option)));
    } else throw new InvalidOptionError(option, "tables of this family see no IP addresses");
  }

  #device(key: "iifname" | "oifname", value: Matched<string>, option: string): void {
    const bytesOf = (name: string) => {
      const bytes = dataTypes.ifname.write(name, option);
      return name.endsWith("*") ? bytes.slice(0, name.length - 1) : bytes;
    };
    const comparison = { type: "ifname", option, bytesOf, sets: this.sets } as const;
    this.#add(load(key), ...compareEach(value, comparison));
  }

  #address(value: Matched<string>, which: "source" | "destination"): void {
    const option = `match.${which}`;
    const sample = sampleOf(value);
    const known = sample === undefined ? this.#network : undefined;
    if (sample === undefined && known === undefined)
      throw new InvalidOptionError(option, 'a set of addresses needs "family" here');
    const prefix = sample === undefined ? undefined : parsePrefix(sample, option);
    // Networks in a set are the set's: what is looked up there is the whole address.
    const masked = prefix && !isAnyOf(value) ? prefix : undefined;
    const v4 = prefix ? prefix.family === AF_INET : known === NFPROTO_IPV4;
    this.#need(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6, option);
    const length = v4 ? 4 : 16;
    // Where the headers have them: RFC 791 and RFC 8200.
    const offset = (v4 ? 12 : 8) + (which === "destination" ? length : 0);
    this.#add(part("network", offset, length));
    if (masked && masked.prefixLength < length * 8) {
      const mask = maskOf(length, masked.prefixLength);
      const zero = new Uint8Array(length);
      this.#add(
        expr("bitwise", {
          source: NFT_REG_1,
          target: NFT_REG_1,
          length,
          mask: { value: mask },
          xor: { value: zero },
        }),
      );
    }
    const bytesOf = (text: string) => {
      const { bytes, prefixLength } = parsePrefix(text, option);
      if (bytes.length !== length)
        throw new InvalidOptionError(option, `"${text}" is of the other family`);
      const mask = maskOf(length, prefixLength);
      return bytes.map((byte, index) => byte & mask[index]);
    };
    const type = v4 ? "ipv4_addr" : "ipv6_addr";
    this.#add(...compareEach(value, { type, option, bytesOf, sets: this.sets }));
  }

  #transport({ protocol, sourcePort, destinationPort, icmpType }: NftMatch): void {
    const number = protocol === undefined ? undefined : protocolOf(protocol);
    if (number !== undefined) this.#add(load("l4proto"), equals(Uint8Array.of(number)));
    for (const [name, port, offset] of [
      ["sourcePort", sourcePort, 0],
      ["destinationPort", destinationPort, 2],
    ] as const) {
      if (port === undefined) continue;
      if (number === undefined || !WITH_PORTS.has(number))
        throw new InvalidOptionError(`match.${name}`, 'it needs a "protocol" that has ports');
      this.#add(
        part("transport", offset, 2),
        ...this.#compare(port, "inet_service", `match.${name}`),
      );
    }
    if (icmpType === undefined) return;
    if (number !== IPPROTO_ICMP && number !== IPPROTO_ICMPV6)
      throw new InvalidOptionError("match.icmpType", 'it needs the "protocol" icmp or icmpv6');
    this.#add(part("transport", 0, 1), ...this.#compare(icmpType, "inet_proto", "match.icmpType"));
  }

  #state(states: readonly ConnectionState[]): void {
    let bits = 0;
    for (const state of states) {
      if (!Object.hasOwn(STATES, state))
        throw new InvalidOptionError(
          "match.state",
          `${state}: it is one of ${Object.keys(STATES).join(", ")}`,
        );
      bits |= STATES[state];
    }
    const zero = new Uint8Array(4);
    this.#add(
      expr("ct", { key: "state", target: NFT_REG_1 }),
      expr("bitwise", {
        source: NFT_REG_1,
        target: NFT_REG_1,
        length: 4,
        mask: { value: dataTypes.mark.write(bits, "match.state") },
        xor: { value: zero },
      }),
      expr("cmp", { source: NFT_REG_1, operator: "!=", data: { value: zero } }),
    );
  }
}

/** An address among what is to be matched, or undefined if it is a set. */
function sampleOf(value: Matched<string>): string | undefined {
  if (typeof value === "string") return value;
  if ("not" in value) return sampleOf(value.not);
  if ("from" in value) return value.from;
  if (!("anyOf" in value)) return undefined;
  const [first] = value.anyOf;
  return typeof first === "object" ? first.from : first;
}

const isAnyOf = (value: Matched<string>): boolean =>
  typeof value === "object" && ("not" in value ? isAnyOf(value.not) : "anyOf" in value);

function maskOf(lengthBytes: number, prefixLength: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, index) => {
    const kept = Math.min(8, Math.max(0, prefixLength - index * 8));
    return (0xff00 >> kept) & 0xff;
  });
}

/** @throws {InvalidOptionError} */
export function protocolOf(protocol: string | number): number {
  if (typeof protocol === "number") return whole(protocol, 0, 255, "match.protocol");
  if (!Object.hasOwn(PROTOCOLS, protocol))
    throw new InvalidOptionError(
      "match.protocol",
      `${protocol}: it is one of ${Object.keys(PROTOCOLS).join(", ")}, or a number`,
    );
  return PROTOCOLS[protocol as keyof typeof PROTOCOLS];
}
