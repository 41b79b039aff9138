// Rules: which routing table a packet's route is looked up in (ip-rule(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../abi/constants/netlink.ts";
import {
  FIB_RULE_INVERT,
  FRA_DPORT_RANGE,
  FRA_DST,
  FRA_FWMARK,
  FRA_FWMASK,
  FRA_GOTO,
  FRA_IIFNAME,
  FRA_IP_PROTO,
  FRA_L3MDEV,
  FRA_OIFNAME,
  FRA_PRIORITY,
  FRA_PROTOCOL,
  FRA_SPORT_RANGE,
  FRA_SRC,
  FRA_SUPPRESS_PREFIXLEN,
  FRA_TABLE,
  FRA_UID_RANGE,
  FR_ACT_BLACKHOLE,
  FR_ACT_GOTO,
  FR_ACT_NOP,
  FR_ACT_PROHIBIT,
  FR_ACT_TO_TBL,
  FR_ACT_UNREACHABLE,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
  RT_TABLE_UNSPEC,
} from "../abi/constants/rtnetlink.ts";
import { AF_INET, AF_INET6 } from "../abi/constants/socket.ts";
import { FibRuleHdr, FibRulePortRange, FibRuleUidRange } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { formatIp, ip, networkOf, parsePrefix } from "./address.ts";
import { IFNAMSIZ } from "./link-kinds.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, record, s32, text, u32, u8, whole, yes } from "./netlink/codec.ts";
import { compose } from "./netlink/message.ts";
import { Names, PROTOCOLS, TABLES, numberOf } from "./route-names.ts";
import type { Session } from "./session.ts";

const MAX_SMALL_TABLE = 0xff;

const ACTIONS = new Names({
  table: FR_ACT_TO_TBL,
  goto: FR_ACT_GOTO,
  nop: FR_ACT_NOP,
  blackhole: FR_ACT_BLACKHOLE,
  unreachable: FR_ACT_UNREACHABLE,
  prohibit: FR_ACT_PROHIBIT,
});

/** From the first to the last. */
export interface NumberRange {
  readonly start: number;
  readonly end: number;
}

const ports = record<NumberRange>(
  FibRulePortRange.size,
  (view) => {
    const { start, end } = new FibRulePortRange(view);
    return { start, end };
  },
  (view, { start, end }, option) => {
    const raw = new FibRulePortRange(view);
    raw.start = whole(start, 0, 0xffff, option("start"));
    raw.end = whole(end, 0, 0xffff, option("end"));
  },
);

const users = record<NumberRange>(
  FibRuleUidRange.size,
  (view) => {
    const { start, end } = new FibRuleUidRange(view);
    return { start, end };
  },
  (view, { start, end }, option) => {
    const raw = new FibRuleUidRange(view);
    raw.start = whole(start, 0, 0xffffffff, option("start"));
    raw.end = whole(end, 0, 0xffffffff, option("end"));
  },
);

const attributes = new AttributeSet({
  priority: [FRA_PRIORITY, u32],
  to: [FRA_DST, ip],
  from: [FRA_SRC, ip],
  inputDevice: [FRA_IIFNAME, text(IFNAMSIZ)],
  outputDevice: [FRA_OIFNAME, text(IFNAMSIZ)],
  mark: [FRA_FWMARK, u32],
  markMask: [FRA_FWMASK, u32],
  table: [FRA_TABLE, u32],
  goto: [FRA_GOTO, u32],
  // −1: none.
  suppressPrefixLength: [FRA_SUPPRESS_PREFIXLEN, s32],
  l3Device: [FRA_L3MDEV, yes(u8)],
  users: [FRA_UID_RANGE, users],
  ipProtocol: [FRA_IP_PROTO, u8],
  sourcePorts: [FRA_SPORT_RANGE, ports],
  destinationPorts: [FRA_DPORT_RANGE, ports],
  protocol: [FRA_PROTOCOL, u8],
});

/** A rule, in and out: all that is given has to fit a packet. */
export interface Rule {
  /** Default: that of the addresses, or IPv4. */
  readonly family?: "ipv4" | "ipv6";
  /** Rules are tried from the lowest on. Default: one less than the first of those that can change. */
  readonly priority?: number;
  /** Packets from there: "10.0.0.0/8". */
  readonly from?: string;
  readonly to?: string;
  readonly inputDevice?: string;
  readonly outputDevice?: string;
  readonly mark?: number;
  readonly markMask?: number;
  readonly users?: NumberRange;
  /** Number of IPPROTO_… */
  readonly ipProtocol?: number;
  readonly sourcePorts?: NumberRange;
  readonly destinationPorts?: NumberRange;
  /** Packets of a VRF, whose table is taken. */
  readonly l3Device?: boolean;
  /** Packets for which it does not hold. */
  readonly not?: boolean;
  /** Default "table". */
  readonly action?: string | number;
  /** "main", "local", "default", or a number. Default "main". */
  readonly table?: string | number;
  /** The priority of the rule to go on with. */
  readonly goto?: number;
  /** Routes with so many bits or fewer are passed over. */
  readonly suppressPrefixLength?: number;
  /** Who made it. */
  readonly protocol?: string | number;
}

/** @internal */
export function readRule(payload: Uint8Array): Rule {
  atLeast(payload, FibRuleHdr.size);
  const header = FibRuleHdr.from(payload);
  const { from, to, table, l3Device, suppressPrefixLength, protocol, ...rest } = attributes.read(
    payload.subarray(FibRuleHdr.size),
  );
  const number = table ?? header.table;
  return {
    family: header.family === AF_INET6 ? "ipv6" : "ipv4",
    ...rest,
    priority: rest.priority ?? 0,
    ...(from !== undefined && { from: `${from}/${header.src_len}` }),
    ...(to !== undefined && { to: `${to}/${header.dst_len}` }),
    ...(number !== RT_TABLE_UNSPEC && { table: TABLES.nameOf(number) }),
    ...(l3Device && { l3Device }),
    ...(suppressPrefixLength !== undefined &&
      suppressPrefixLength >= 0 && { suppressPrefixLength }),
    ...(header.flags & FIB_RULE_INVERT && { not: true }),
    ...(protocol !== undefined && { protocol: PROTOCOLS.nameOf(protocol) }),
    action: ACTIONS.nameOf(header.action),
  };
}

/** Rules of the namespace that the process is in. */
export class Rules {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All rules of a family, in the order in which they are tried. */
  async list(family: "ipv4" | "ipv6" = "ipv4", options?: CallOptions): Promise<Rule[]> {
    const header = FibRuleHdr.alloc();
    header.family = family === "ipv4" ? AF_INET : AF_INET6;
    const all = compose({ type: RTM_GETRULE, header: header.bytes });
    const messages = await this.#session.route.dump(all, "list rules", options);
    return messages.map(({ payload }) => readRule(payload));
  }

  /** Add a rule. @throws {NetlinkError} EEXIST @throws {InvalidOptionError} */
  async add(rule: Rule, options?: CallOptions): Promise<void> {
    const message = composeRule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
    await this.#session.route.request(message, `add the rule ${describe(rule)}`, options);
  }

  /** Remove the first rule that all that is given fits. @throws {NetlinkError} ENOENT */
  async delete(rule: Rule, options?: CallOptions): Promise<void> {
    const message = composeRule(RTM_DELRULE, 0, rule);
    await this.#session.route.request(message, `delete the rule ${describe(rule)}`, options);
  }
}

function describe({ priority, from, to, table }: Rule): string {
  return [
    ...(priority === undefined ? [] : [`${priority}:`]),
    `from ${from ?? "all"}`,
    ...(to === undefined ? [] : [`to ${to}`]),
    ...(table === undefined ? [] : [`table ${table}`]),
  ].join(" ");
}

function composeRule(type: number, flags: number, rule: Rule) {
  const { family, from, to, table, action, not, protocol, ...rest } = rule;
  const source = from === undefined ? undefined : networkOf(parsePrefix(from, "from"));
  const target = to === undefined ? undefined : networkOf(parsePrefix(to, "to"));
  const number = family && (family === "ipv4" ? AF_INET : AF_INET6);
  const families = new Set(
    [number, source?.family, target?.family].filter((one) => one !== undefined),
  );
  if (families.size > 1)
    throw new InvalidOptionError("family", "the rule's addresses are of different families");
  const header = FibRuleHdr.alloc();
  header.family = [...families][0] ?? AF_INET;
  if (source) header.src_len = source.prefixLength;
  if (target) header.dst_len = target.prefixLength;
  if (not) header.flags = FIB_RULE_INVERT;
  const adding = type === RTM_NEWRULE;
  header.action = numberOf(
    ACTIONS,
    action ?? (rest.goto === undefined ? (adding ? FR_ACT_TO_TBL : 0) : FR_ACT_GOTO),
    "action",
  );
  const looksUp = header.action === FR_ACT_TO_TBL && !rest.l3Device;
  const chosen = table ?? (looksUp && adding ? "main" : undefined);
  const tableNumber = chosen === undefined ? undefined : numberOf(TABLES, chosen, "table");
  if (tableNumber !== undefined && tableNumber <= MAX_SMALL_TABLE) header.table = tableNumber;
  return compose({ type, flags, header: header.bytes }, [
    attributes,
    {
      ...rest,
      ...(source && { from: formatIp(source.bytes) }),
      ...(target && { to: formatIp(target.bytes) }),
      ...(tableNumber !== undefined && { table: tableNumber }),
      ...(protocol !== undefined && { protocol: numberOf(PROTOCOLS, protocol, "protocol") }),
    },
  ]);
}
