// What a rule does, and the expressions that do it.

import {
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_LIMIT_F_INV,
  NFT_OBJECT_COUNTER,
  NFT_REG_1,
  NFT_REG_2,
  NFT_REG_VERDICT,
  NFT_REJECT_ICMPX_ADMIN_PROHIBITED,
  NFT_REJECT_ICMPX_HOST_UNREACH,
  NFT_REJECT_ICMPX_NO_ROUTE,
  NFT_REJECT_ICMPX_PORT_UNREACH,
  NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_SPECIFIED,
  NF_NAT_RANGE_MAP_IPS,
} from "../../abi/constants/netfilter.ts";
import { AF_INET } from "../../abi/constants/socket.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { parseIp } from "../address.ts";
import { expr } from "./expressions.ts";
import type { NftExpression } from "./expressions.ts";
import { dataTypes } from "./types.ts";

/** ICMP errors of either family, by the names of what they say. */
export const REJECTIONS = {
  "no-route": NFT_REJECT_ICMPX_NO_ROUTE,
  "port-unreachable": NFT_REJECT_ICMPX_PORT_UNREACH,
  "host-unreachable": NFT_REJECT_ICMPX_HOST_UNREACH,
  "admin-prohibited": NFT_REJECT_ICMPX_ADMIN_PROHIBITED,
} as const;

/** What becomes of the packet. */
export type NftAction =
  | "accept"
  | "drop"
  | "return"
  | "continue"
  | "masquerade"
  | { readonly jump: string }
  | { readonly goto: string }
  /** An answer: "tcp-reset", or an ICMP error. */
  | { readonly reject: "tcp-reset" | keyof typeof REJECTIONS }
  /** From another address on, and perhaps another port. */
  | { readonly snat: string; readonly port?: number }
  /** To another address, and perhaps another port. */
  | { readonly dnat: string; readonly port?: number }
  /** To this machine, at another port. */
  | { readonly redirect: number }
  /** Masquerade with ports at random. */
  | { readonly masquerade: "random" }
  /** Its connection goes into a flow table: further packets pass quickly. */
  | { readonly flow: string }
  /** To a process (nfnetlink_queue). */
  | { readonly queue: number };

/** How often: so many packets or bytes in so much time. */
export interface NftLimit {
  readonly rate: number;
  /** Default "packets". */
  readonly of?: "packets" | "bytes";
  /** Default 1. */
  readonly perSeconds?: number;
  /** How many more at once. Default 5 packets. */
  readonly burst?: number;
  /** The packets beyond, in place of those within. */
  readonly over?: boolean;
}

/** What is done besides. In the order of these. */
export interface NftStatements {
  readonly limit?: NftLimit;
  /** Count packets: from there on, or from 0; or by the counter of the table with that name. */
  readonly counter?: boolean | string | { readonly packets: number; readonly bytes: number };
  readonly log?: { readonly prefix?: string; readonly level?: number; readonly group?: number };
  readonly setMark?: number;
  readonly setConnectionMark?: number;
  /** Do not track its connection. */
  readonly notrack?: boolean;
  readonly action?: NftAction;
}

const DEFAULT_BURST = 5;

const immediate = (target: number, value: Uint8Array): NftExpression =>
  expr("immediate", { target, data: { value } });

function verdict(
  code: "accept" | "drop" | "return" | "continue" | "jump" | "goto",
  chain?: string,
) {
  return expr("immediate", {
    target: NFT_REG_VERDICT,
    data: { verdict: { code, ...(chain !== undefined && { chain }) } },
  });
}

/** Address and port for a translation are in registers. */
function translation(type: "snat" | "dnat", address: string, port: number | undefined) {
  const { family, bytes } = parseIp(address, `action.${type}`);
  return [
    immediate(NFT_REG_1, bytes),
    ...(port === undefined ? [] : [immediate(NFT_REG_2, portBytes(port))]),
    expr("nat", {
      type,
      family: family === AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6,
      addressMin: NFT_REG_1,
      ...(port !== undefined && { portMin: NFT_REG_2 }),
      flags: NF_NAT_RANGE_MAP_IPS | (port === undefined ? 0 : NF_NAT_RANGE_PROTO_SPECIFIED),
    }),
  ];
}

const portBytes = (port: number): Uint8Array => dataTypes.inet_service.write(port, "action.port");

function rejection(kind: "tcp-reset" | keyof typeof REJECTIONS): NftExpression {
  if (kind === "tcp-reset") return expr("reject", { type: "tcp-reset" });
  if (!Object.hasOwn(REJECTIONS, kind))
    throw new InvalidOptionError(
      "action.reject",
      `${kind}: it is tcp-reset, or one of ${Object.keys(REJECTIONS).join(", ")}`,
    );
  return expr("reject", { type: "icmpx", code: REJECTIONS[kind] });
}

/** @throws {InvalidOptionError} */
function actionOf(action: NftAction): NftExpression[] {
  switch (action) {
    case "accept":
    case "drop":
    case "return":
    case "continue":
      return [verdict(action)];
    case "masquerade":
      return [expr("masquerade", {})];
    default:
  }
  if (typeof action === "object") {
    if ("jump" in action) return [verdict("jump", action.jump)];
    if ("goto" in action) return [verdict("goto", action.goto)];
    if ("reject" in action) return [rejection(action.reject)];
    if ("snat" in action) return translation("snat", action.snat, action.port);
    if ("dnat" in action) return translation("dnat", action.dnat, action.port);
    if ("redirect" in action)
      return [
        immediate(NFT_REG_1, portBytes(action.redirect)),
        expr("redirect", { portMin: NFT_REG_1, flags: NF_NAT_RANGE_PROTO_SPECIFIED }),
      ];
    if ("masquerade" in action) return [expr("masquerade", { flags: NF_NAT_RANGE_PROTO_RANDOM })];
    if ("flow" in action) return [expr("flowOffload", { table: action.flow })];
    if ("queue" in action) return [expr("queue", { number: action.queue, total: 1 })];
  }
  throw new InvalidOptionError("action", `${JSON.stringify(action)}: there is no such action`);
}

const mark = (value: number, option: string) =>
  immediate(NFT_REG_1, dataTypes.mark.write(value, option));

/** The expressions of all that a rule does. @throws {InvalidOptionError} */
export function compileStatements(statements: NftStatements): NftExpression[] {
  const { limit, counter, log, setMark, setConnectionMark, notrack, action } = statements;
  const expressions: NftExpression[] = [];
  if (limit) {
    const {
      rate,
      of = "packets",
      perSeconds = 1,
      over,
      burst = of === "packets" ? DEFAULT_BURST : 0,
    } = limit;
    const flags = over ? NFT_LIMIT_F_INV : 0;
    expressions.push(expr("limit", { rate, perSeconds, burst, of, flags }));
  }
  if (typeof counter === "string")
    expressions.push(expr("objref", { type: NFT_OBJECT_COUNTER, name: counter }));
  else if (counter)
    expressions.push(expr("counter", counter === true ? { bytes: 0, packets: 0 } : counter));
  if (log) expressions.push(expr("log", log));
  if (setMark !== undefined)
    expressions.push(mark(setMark, "setMark"), expr("meta", { key: "mark", source: NFT_REG_1 }));
  if (setConnectionMark !== undefined)
    expressions.push(
      mark(setConnectionMark, "setConnectionMark"),
      expr("ct", { key: "mark", source: NFT_REG_1 }),
    );
  if (notrack) expressions.push(expr("notrack", {}));
  if (action !== undefined) expressions.push(...actionOf(action));
  return expressions;
}
