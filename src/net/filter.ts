// Filters of traffic control: which class a packet goes to, or what else is done with it
// (tc-flower(8), tc-matchall(8), tc-fw(8), tc-u32(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../abi/constants/netlink.ts";
import {
  ETH_P_8021Q,
  ETH_P_ALL,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
} from "../abi/constants/packet.ts";
import {
  TCA_ACT_KIND,
  TCA_ACT_OPTIONS,
  TCA_EGRESS_MIRROR,
  TCA_EGRESS_REDIR,
  TCA_FLOWER_ACT,
  TCA_FLOWER_CLASSID,
  TCA_FLOWER_INDEV,
  TCA_FLOWER_KEY_ETH_DST,
  TCA_FLOWER_KEY_ETH_SRC,
  TCA_FLOWER_KEY_ETH_TYPE,
  TCA_FLOWER_KEY_IPV4_DST,
  TCA_FLOWER_KEY_IPV4_DST_MASK,
  TCA_FLOWER_KEY_IPV4_SRC,
  TCA_FLOWER_KEY_IPV4_SRC_MASK,
  TCA_FLOWER_KEY_IPV6_DST,
  TCA_FLOWER_KEY_IPV6_DST_MASK,
  TCA_FLOWER_KEY_IPV6_SRC,
  TCA_FLOWER_KEY_IPV6_SRC_MASK,
  TCA_FLOWER_KEY_IP_PROTO,
  TCA_FLOWER_KEY_SCTP_DST,
  TCA_FLOWER_KEY_SCTP_SRC,
  TCA_FLOWER_KEY_TCP_DST,
  TCA_FLOWER_KEY_TCP_SRC,
  TCA_FLOWER_KEY_UDP_DST,
  TCA_FLOWER_KEY_UDP_SRC,
  TCA_FLOWER_KEY_VLAN_ID,
  TCA_FW_ACT,
  TCA_FW_CLASSID,
  TCA_FW_MASK,
  TCA_GACT_PARMS,
  TCA_INGRESS_MIRROR,
  TCA_INGRESS_REDIR,
  TCA_MATCHALL_ACT,
  TCA_MATCHALL_CLASSID,
  TCA_MIRRED_PARMS,
  TCA_SKBEDIT_MARK,
  TCA_SKBEDIT_PARMS,
  TCA_SKBEDIT_PRIORITY,
  TC_ACT_OK,
  TC_ACT_PIPE,
  TC_ACT_SHOT,
  TC_ACT_STOLEN,
  TC_H_CLSACT,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  TCA_U32_ACT,
  TCA_U32_CLASSID,
  TCA_U32_SEL,
} from "../abi/constants/pkt_sched.ts";
import {
  RTM_DELTFILTER,
  RTM_GETTFILTER,
  RTM_NEWTFILTER,
  TCA_KIND,
  TCA_OPTIONS,
} from "../abi/constants/rtnetlink.ts";
import { TcGact, TcMirred, TcSkbedit, Tcmsg } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { forIpv6, formatIp, ip, ipOf, mac, networkOf, parsePrefix } from "./address.ts";
import { police } from "./filter-police.ts";
import type { Police } from "./filter-police.ts";
import { u32Keys } from "./filter-u32.ts";
import type { U32Key } from "./filter-u32.ts";
import { IFNAMSIZ } from "./link-kinds.ts";
import { AttributeSet, list } from "./netlink/attributes.ts";
import {
  atLeast,
  be16,
  mapped,
  named,
  record,
  text,
  u16,
  u32,
  u8,
  whole,
} from "./netlink/codec.ts";
import type { Value } from "./netlink/codec.ts";
import { compose } from "./netlink/message.ts";
import { PROTOCOLS as TRANSPORTS, protocolOf } from "./nft/match.ts";
import { formatHandle, parseHandle } from "./qdisc.ts";
import { Names, numberOf } from "./route-names.ts";
import type { Device, Session } from "./session.ts";

const PROTOCOLS = new Names(
  { all: ETH_P_ALL, ip: ETH_P_IP, ipv6: ETH_P_IPV6, arp: ETH_P_ARP, "802.1q": ETH_P_8021Q },
  0xffff,
);

/** Where packets come in and go out, of a device with the discipline clsact or ingress. */
const SIDES = new Map([
  ["ingress", (TC_H_CLSACT & 0xffff0000) | TC_H_MIN_INGRESS],
  ["egress", (TC_H_CLSACT & 0xffff0000) | TC_H_MIN_EGRESS],
]);

const MAX_PRIORITY = 0xffff;

// --- Actions -------------------------------------------------------------------------------------

const gact = record(
  TcGact.size,
  (view) => ({ action: new TcGact(view).action }),
  (view, { action }) => {
    new TcGact(view).action = action;
  },
);

const mirred = record(
  TcMirred.size,
  (view) => {
    const { action, eaction, ifindex } = new TcMirred(view);
    return { action, operation: eaction, deviceIndex: ifindex };
  },
  (view, value) => {
    const raw = new TcMirred(view);
    raw.action = value.action;
    raw.eaction = value.operation;
    raw.ifindex = value.deviceIndex;
  },
);

const skbedit = record(
  TcSkbedit.size,
  (view) => ({ action: new TcSkbedit(view).action }),
  (view, { action }) => {
    new TcSkbedit(view).action = action;
  },
);

const action = new AttributeSet(
  { kind: [TCA_ACT_KIND, text()] },
  {
    selector: "kind",
    type: TCA_ACT_OPTIONS,
    cases: {
      gact: ["gact", new AttributeSet({ parameters: [TCA_GACT_PARMS, gact] })],
      police: ["police", police],
      mirred: ["mirred", new AttributeSet({ parameters: [TCA_MIRRED_PARMS, mirred] })],
      skbedit: [
        "skbedit",
        new AttributeSet({
          parameters: [TCA_SKBEDIT_PARMS, skbedit],
          priority: [TCA_SKBEDIT_PRIORITY, u32],
          mark: [TCA_SKBEDIT_MARK, u32],
        }),
      ],
    },
  },
);

type RawAction = Value<typeof action>;

/** What is done with a packet; those that leave it go on with the next. */
export type FilterAction =
  | "drop"
  | "pass"
  /** It goes out of another device instead; with `ingress`, it comes in there. */
  | { readonly redirect: Device; readonly ingress?: boolean }
  /** A copy of it does. */
  | { readonly mirror: Device; readonly ingress?: boolean }
  | { readonly mark: number }
  /** What is more than a rate is dropped. */
  | { readonly police: Police }
  /** The class of a discipline: "1:10". */
  | { readonly priority: string };

// --- Filters -------------------------------------------------------------------------------------

const actions = list(action);
const classId = mapped(u32, formatHandle, parseHandle);

const flowerAttributes = new AttributeSet({
  classId: [TCA_FLOWER_CLASSID, classId],
  inputDevice: [TCA_FLOWER_INDEV, text(IFNAMSIZ)],
  actions: [TCA_FLOWER_ACT, actions],
  etherDestination: [TCA_FLOWER_KEY_ETH_DST, mac],
  etherSource: [TCA_FLOWER_KEY_ETH_SRC, mac],
  etherType: [TCA_FLOWER_KEY_ETH_TYPE, be16],
  transport: [TCA_FLOWER_KEY_IP_PROTO, named(u8, TRANSPORTS)],
  source: [TCA_FLOWER_KEY_IPV4_SRC, ip, forIpv6(TCA_FLOWER_KEY_IPV6_SRC)],
  sourceMask: [TCA_FLOWER_KEY_IPV4_SRC_MASK, ip, forIpv6(TCA_FLOWER_KEY_IPV6_SRC_MASK)],
  destination: [TCA_FLOWER_KEY_IPV4_DST, ip, forIpv6(TCA_FLOWER_KEY_IPV6_DST)],
  destinationMask: [TCA_FLOWER_KEY_IPV4_DST_MASK, ip, forIpv6(TCA_FLOWER_KEY_IPV6_DST_MASK)],
  tcpSource: [TCA_FLOWER_KEY_TCP_SRC, be16],
  tcpDestination: [TCA_FLOWER_KEY_TCP_DST, be16],
  udpSource: [TCA_FLOWER_KEY_UDP_SRC, be16],
  udpDestination: [TCA_FLOWER_KEY_UDP_DST, be16],
  sctpSource: [TCA_FLOWER_KEY_SCTP_SRC, be16],
  sctpDestination: [TCA_FLOWER_KEY_SCTP_DST, be16],
  vlanId: [TCA_FLOWER_KEY_VLAN_ID, u16],
});

const matchall = new AttributeSet({
  classId: [TCA_MATCHALL_CLASSID, classId],
  actions: [TCA_MATCHALL_ACT, actions],
});

const fw = new AttributeSet({
  classId: [TCA_FW_CLASSID, classId],
  actions: [TCA_FW_ACT, actions],
  mask: [TCA_FW_MASK, u32],
});

const u32Attributes = new AttributeSet({
  classId: [TCA_U32_CLASSID, classId],
  keys: [TCA_U32_SEL, u32Keys],
  actions: [TCA_U32_ACT, actions],
});

const attributes = new AttributeSet(
  { kind: [TCA_KIND, text()] },
  {
    selector: "kind",
    type: TCA_OPTIONS,
    cases: {
      flower: ["flower", flowerAttributes],
      matchall: ["matchall", matchall],
      fw: ["fw", fw],
      u32: ["u32", u32Attributes],
    },
  },
);

/** What a packet has to be for a filter of the kind "flower": all that is given. */
export interface FlowerMatch {
  readonly inputDevice?: string;
  readonly etherSource?: string;
  readonly etherDestination?: string;
  readonly vlanId?: number;
  /** "10.0.0.0/8", "fd00::1". */
  readonly source?: string;
  readonly destination?: string;
  /** "tcp", "udp", "icmp"…, or a number; the filter's protocol is "ip" or "ipv6". */
  readonly transport?: keyof typeof TRANSPORTS | number;
  /** Of tcp, udp or sctp. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** A filter, in and out. */
export interface Filter {
  readonly kind: "flower" | "matchall" | "fw" | "u32" | (string & {});
  /** Of the discipline or class "1:"; "ingress" or "egress" of a device with clsact. Default "root". */
  readonly parent?: string;
  /** Filters are tried from the lowest on. Default: before those that are there. */
  readonly priority?: number;
  /** "all", "ip", "ipv6", "arp", "802.1q", or a number. Default: what fits. */
  readonly protocol?: string | number;
  readonly handle?: number;
  readonly match?: FlowerMatch;
  /** Of u32: all of them have to fit. */
  readonly keys?: readonly U32Key[];
  /** Of fw: the mark of packets that it takes. */
  readonly mark?: number;
  /** Where they go: "1:10". */
  readonly classId?: string;
  readonly actions?: readonly FilterAction[];
}

const FILTER_NAMES = [
  "kind",
  "parent",
  "priority",
  "protocol",
  "handle",
  "match",
  "keys",
  "mark",
  "classId",
  "actions",
  "device",
];
const MATCH_NAMES = [
  "inputDevice",
  "etherSource",
  "etherDestination",
  "vlanId",
  "source",
  "destination",
  "transport",
  "sourcePort",
  "destinationPort",
];

function checkNames(value: object, names: readonly string[], where: string): void {
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new InvalidOptionError(`${where}${unknown}`, `unknown: it is one of ${names.join(", ")}`);
}

/** @throws {InvalidOptionError} */
function parentNumber(parent: string): number {
  // 0 is the discipline at the root, whatever its handle is.
  if (parent === "root") return 0;
  return (SIDES.get(parent) ?? parseHandle(parent, "parent")) >>> 0;
}

function parentName(parent: number): string {
  for (const [name, number] of SIDES) if (number >>> 0 === parent) return name;
  return formatHandle(parent);
}

/** An address and its mask. */
function addressOf(which: "source" | "destination", value: string) {
  const prefix = networkOf(parsePrefix(value, `match.${which}`));
  const all = { ...prefix, bytes: prefix.bytes.map(() => 0xff) };
  return {
    [which]: formatIp(prefix.bytes),
    [`${which}Mask`]: formatIp(networkOf(all).bytes),
  };
}

const WITH_PORTS = ["tcp", "udp", "sctp"] as const;

function flowerValue(match: FlowerMatch, etherType: number): Value<typeof flowerAttributes> {
  checkNames(match, MATCH_NAMES, "match.");
  const { source, destination, transport, sourcePort, destinationPort, ...rest } = match;
  const isIp = etherType === ETH_P_IP || etherType === ETH_P_IPV6;
  if (transport !== undefined && !isIp)
    throw new InvalidOptionError("match.transport", 'the filter\'s "protocol" is ip or ipv6 then');
  const number = transport === undefined ? undefined : protocolOf(transport);
  const kind = WITH_PORTS.find((name) => TRANSPORTS[name] === number);
  const ports: Record<string, number> = {};
  for (const [name, port] of Object.entries({ Source: sourcePort, Destination: destinationPort })) {
    if (port === undefined) continue;
    const option = `match.${name.toLowerCase()}Port`;
    if (!kind) throw new InvalidOptionError(option, 'it needs the "transport" tcp, udp or sctp');
    ports[`${kind}${name}`] = whole(port, 0, 0xffff, option);
  }
  return {
    ...rest,
    ...(etherType !== ETH_P_ALL && { etherType }),
    ...(number !== undefined && { transport: number }),
    ...(source !== undefined && addressOf("source", source)),
    ...(destination !== undefined && addressOf("destination", destination)),
    ...ports,
  };
}

/** How many bits of a mask are set, from its beginning on. */
function lengthOf(mask: string | undefined): number | undefined {
  const address = mask === undefined ? undefined : ipOf(mask);
  if (!address) return undefined;
  const digits = Array.from(address.bytes, (byte) => byte.toString(2).padStart(8, "0"));
  const all = digits.join("");
  return all.includes("0") ? all.indexOf("0") : all.length;
}

function matchOf(told: Value<typeof flowerAttributes>): FlowerMatch {
  const { source, destination, sourceMask, destinationMask, transport } = told;
  const sourcePort = told.tcpSource ?? told.udpSource ?? told.sctpSource;
  const destinationPort = told.tcpDestination ?? told.udpDestination ?? told.sctpDestination;
  const { inputDevice, etherSource, etherDestination, vlanId } = told;
  return {
    ...(inputDevice !== undefined && { inputDevice }),
    ...(etherSource !== undefined && { etherSource }),
    ...(etherDestination !== undefined && { etherDestination }),
    ...(vlanId !== undefined && { vlanId }),
    ...(source !== undefined && { source: `${source}/${lengthOf(sourceMask) ?? 0}` }),
    ...(destination !== undefined && {
      destination: `${destination}/${lengthOf(destinationMask) ?? 0}`,
    }),
    ...(transport !== undefined && { transport }),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
  };
}

/** The protocol that a filter's addresses are of, if it does not say. */
function etherTypeOf({ protocol, match }: Filter): number {
  if (protocol !== undefined) return numberOf(PROTOCOLS, protocol, "protocol");
  const address = match?.source ?? match?.destination;
  if (address === undefined) return ETH_P_ALL;
  return parsePrefix(address, "match.source").bytes.length === 4 ? ETH_P_IP : ETH_P_IPV6;
}

/** A number in the network's order, as the kernel has it in half of a word. */
const swapped = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);

function readAction(raw: RawAction): { known?: FilterAction; device?: number } {
  const { gact: verdict, mirred: sent, skbedit: edited, police: bounded } = raw;
  if (bounded) return { known: { police: bounded } };
  if (verdict?.parameters)
    return { known: verdict.parameters.action === TC_ACT_SHOT ? "drop" : "pass" };
  if (sent?.parameters) {
    const { operation, deviceIndex: device } = sent.parameters;
    const ingress = operation === TCA_INGRESS_REDIR || operation === TCA_INGRESS_MIRROR;
    const side = ingress ? { ingress } : {};
    const redirects = operation === TCA_EGRESS_REDIR || operation === TCA_INGRESS_REDIR;
    return {
      device,
      known: redirects ? { redirect: device, ...side } : { mirror: device, ...side },
    };
  }
  if (edited?.mark !== undefined) return { known: { mark: edited.mark } };
  if (edited?.priority !== undefined) return { known: { priority: formatHandle(edited.priority) } };
  return {};
}

/** With numbers for devices. @internal */
export function readFilter(payload: Uint8Array): Filter & { device: number; handle: number } {
  atLeast(payload, Tcmsg.size);
  const header = Tcmsg.from(payload);
  const {
    kind = "",
    flower,
    matchall: all,
    fw: marked,
    u32: words,
  } = attributes.read(payload.subarray(Tcmsg.size));
  const told = flower ?? all ?? marked ?? words ?? {};
  const found = (told.actions ?? []).map(readAction).flatMap(({ known }) => known ?? []);
  const match = flower && matchOf(flower);
  return {
    device: header.tcm_ifindex,
    kind,
    parent: parentName(header.tcm_parent),
    priority: header.tcm_info >>> 16,
    protocol: PROTOCOLS.nameOf(swapped(header.tcm_info & 0xffff)),
    handle: header.tcm_handle,
    ...(match && Object.keys(match).length && { match }),
    ...(kind === "fw" && { mark: header.tcm_handle }),
    ...(words?.keys && { keys: words.keys }),
    ...(told.classId !== undefined && { classId: told.classId }),
    ...(found.length && { actions: found }),
  };
}

/** Filters of the namespace that the process is in. */
export class Filters {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Filters of a device, at one place of it. @throws {UnknownDeviceError} @throws {NetlinkError} */
  async list(device: Device, parent = "root", options?: CallOptions): Promise<Filter[]> {
    const index = await this.#session.indexOf(device, "device", options);
    const header = Tcmsg.alloc();
    header.tcm_ifindex = index;
    header.tcm_parent = parentNumber(parent);
    const all = compose({ type: RTM_GETTFILTER, header: header.bytes });
    const messages = await this.#session.route.dump(all, "list filters", options);
    const nameOf = this.#session.naming(options);
    const filters: Filter[] = [];
    for (const { payload } of messages) {
      const { device: _device, actions: done, ...filter } = readFilter(payload);
      // What has no handle is the head of a list; u32 tells of its tables, too.
      if (filter.handle === 0 || (filter.kind === "u32" && !filter.keys)) continue;
      const withNames: FilterAction[] = [];
      for (const one of done ?? []) withNames.push(await nameDevice(one, nameOf));
      filters.push({ ...filter, ...(withNames.length && { actions: withNames }) });
    }
    return filters;
  }

  /** Add a filter. @throws {NetlinkError} @throws {InvalidOptionError} @throws {UnknownDeviceError} */
  async add(device: Device, filter: Filter, options?: CallOptions): Promise<void> {
    checkNames(filter, FILTER_NAMES, "");
    const { kind, match = {}, classId: target, mark } = filter;
    const index = await this.#session.indexOf(device, "device", options);
    const etherType = etherTypeOf(filter);
    const given = await this.#actions(filter.actions ?? [], options);
    const common = {
      ...(target !== undefined && { classId: target }),
      ...(given.length && { actions: given }),
    };
    if (kind === "u32" ? !filter.keys : filter.keys)
      throw new InvalidOptionError("keys", 'filters of the kind "u32" have them, and no others');
    if (kind !== "flower" && filter.match)
      throw new InvalidOptionError("match", 'only filters of the kind "flower" have one');
    const value = {
      kind,
      ...(kind === "flower" && { flower: { ...flowerValue(match, etherType), ...common } }),
      ...(kind === "matchall" && { matchall: common }),
      ...(kind === "fw" && { fw: common }),
      ...(kind === "u32" && { u32: { ...common, keys: filter.keys ?? [] } }),
    };
    const header = this.#header(index, filter, etherType, mark);
    const head = { type: RTM_NEWTFILTER, flags: NLM_F_CREATE | NLM_F_EXCL, header };
    const what = `add a filter ${kind} to '${device}'`;
    await this.#session.route.request(compose(head, [attributes, value]), what, options);
  }

  /** Remove a filter: what `list` told, or all of one priority. @throws {NetlinkError} ENOENT */
  async delete(device: Device, filter: Filter, options?: CallOptions): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const header = this.#header(index, filter, etherTypeOf(filter), filter.mark);
    const { kind } = filter;
    const message = compose({ type: RTM_DELTFILTER, header }, [attributes, { kind }]);
    await this.#session.route.request(message, `delete a filter of '${device}'`, options);
  }

  #header(index: number, filter: Filter, etherType: number, mark: number | undefined): Uint8Array {
    const { parent = "root", priority = 0, handle } = filter;
    const header = Tcmsg.alloc();
    header.tcm_ifindex = index;
    header.tcm_parent = parentNumber(parent);
    header.tcm_handle = whole(handle ?? mark ?? 0, 0, 0xffffffff, "handle");
    const wanted = whole(priority, 0, MAX_PRIORITY, "priority");
    header.tcm_info = ((wanted << 16) | swapped(etherType)) >>> 0;
    return header.bytes;
  }

  async #actions(given: readonly FilterAction[], options?: CallOptions): Promise<RawAction[]> {
    const raw: RawAction[] = [];
    for (const [number, one] of given.entries())
      raw.push(await this.#action(one, `actions.${number}`, options));
    return raw;
  }

  async #action(one: FilterAction, option: string, options?: CallOptions): Promise<RawAction> {
    if (one === "drop" || one === "pass") {
      const parameters = { action: one === "drop" ? TC_ACT_SHOT : TC_ACT_OK };
      return { kind: "gact", gact: { parameters } };
    }
    if (typeof one === "object" && ("redirect" in one || "mirror" in one)) {
      const redirects = "redirect" in one;
      const device = redirects ? one.redirect : one.mirror;
      const deviceIndex = await this.#session.indexOf(device, option, options);
      const operation = redirects
        ? one.ingress
          ? TCA_INGRESS_REDIR
          : TCA_EGRESS_REDIR
        : one.ingress
          ? TCA_INGRESS_MIRROR
          : TCA_EGRESS_MIRROR;
      const parameters = {
        action: redirects ? TC_ACT_STOLEN : TC_ACT_PIPE,
        operation,
        deviceIndex,
      };
      return { kind: "mirred", mirred: { parameters } };
    }
    if (typeof one === "object" && "police" in one) return { kind: "police", police: one.police };
    const parameters = { action: TC_ACT_PIPE };
    if (typeof one === "object" && "mark" in one)
      return { kind: "skbedit", skbedit: { parameters, mark: one.mark } };
    if (typeof one === "object" && "priority" in one) {
      const priority = parseHandle(one.priority, option);
      return { kind: "skbedit", skbedit: { parameters, priority } };
    }
    throw new InvalidOptionError(option, `${JSON.stringify(one)}: there is no such action`);
  }
}

async function nameDevice(
  one: FilterAction,
  nameOf: (index: number) => Promise<Device>,
): Promise<FilterAction> {
  if (typeof one !== "object") return one;
  if ("redirect" in one && typeof one.redirect === "number")
    return { ...one, redirect: await nameOf(one.redirect) };
  if ("mirror" in one && typeof one.mirror === "number")
    return { ...one, mirror: await nameOf(one.mirror) };
  return one;
}
