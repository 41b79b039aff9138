// Rules and neighbours as `ip rule` and `ip neigh` show them.

import type { Neighbour, Rule } from "../../../net/index.ts";
import { PROTOCOLS } from "../../../net/nft/match.ts";

const hex = (value: number): string => `0x${value.toString(16)}`;

const protocolName = (number: number): string =>
  Object.entries(PROTOCOLS).find(([, one]) => one === number)?.[0] ?? String(number);

/** The mask stands only if it leaves something out. */
const ALL_BITS = 0xffffffff;

function networkOf(text: string | undefined) {
  const [address = "all", length] = (text ?? "all").split("/");
  const whole = address.includes(":") ? "128" : "32";
  return { address, length: length === undefined || length === whole ? undefined : Number(length) };
}

function rangeRecord(name: string, range: { start: number; end: number } | undefined) {
  if (!range) return {};
  if (range.start === range.end) return { [name]: range.start };
  return { [`${name}_start`]: range.start, [`${name}_end`]: range.end };
}

export function ruleRecord(rule: Rule): Record<string, unknown> {
  const [from, to] = [networkOf(rule.from), networkOf(rule.to)];
  const { mark, markMask = ALL_BITS, action } = rule;
  return {
    priority: rule.priority,
    ...(rule.not && { not: null }),
    src: from.address,
    ...(from.length !== undefined && { srclen: from.length }),
    ...(rule.to !== undefined && { dst: to.address }),
    ...(to.length !== undefined && { dstlen: to.length }),
    ...(mark !== undefined && { fwmark: hex(mark) }),
    ...(mark !== undefined && markMask !== ALL_BITS && { fwmask: hex(markMask) }),
    ...(rule.inputDevice !== undefined && { iif: rule.inputDevice }),
    ...(rule.outputDevice !== undefined && { oif: rule.outputDevice }),
    ...(rule.l3Device && { l3mdev: null }),
    ...(rule.users && { uid_start: rule.users.start, uid_end: rule.users.end }),
    ...(rule.ipProtocol !== undefined && { ipproto: protocolName(rule.ipProtocol) }),
    ...rangeRecord("sport", rule.sourcePorts),
    ...rangeRecord("dport", rule.destinationPorts),
    ...(rule.table !== undefined && action === "table" && { table: String(rule.table) }),
    ...(rule.suppressPrefixLength !== undefined && {
      suppress_prefixlen: rule.suppressPrefixLength,
    }),
    ...(rule.goto !== undefined && { goto: rule.goto }),
    ...(action !== "table" && action !== "goto" && { action }),
    ...(tellsProtocol(rule) && { protocol: rule.protocol }),
  };
}

/** Those of the kernel and of nobody go without saying. */
const tellsProtocol = ({ protocol }: Rule): boolean =>
  protocol !== undefined && protocol !== "kernel" && protocol !== "unspecified";

const rangeText = (name: string, range: { start: number; end: number } | undefined): string[] =>
  range ? [`${name} ${range.start}${range.end === range.start ? "" : `-${range.end}`}`] : [];

const networkText = (text: string | undefined): string => {
  const { address, length } = networkOf(text);
  return length === undefined ? address : `${address}/${length}`;
};

export function ruleText(rule: Rule): string {
  const { mark, markMask = ALL_BITS, action } = rule;
  const words = [
    ...(rule.not ? ["not"] : []),
    `from ${networkText(rule.from)}`,
    ...(rule.to === undefined ? [] : [`to ${networkText(rule.to)}`]),
    ...(mark === undefined
      ? []
      : [`fwmark ${hex(mark)}${markMask === ALL_BITS ? "" : `/${hex(markMask)}`}`]),
    ...(rule.inputDevice === undefined ? [] : [`iif ${rule.inputDevice}`]),
    ...(rule.outputDevice === undefined ? [] : [`oif ${rule.outputDevice}`]),
    ...(rule.l3Device ? ["lookup [l3mdev-table]"] : []),
    ...(rule.users ? [`uidrange ${rule.users.start}-${rule.users.end}`] : []),
    ...(rule.ipProtocol === undefined ? [] : [`ipproto ${protocolName(rule.ipProtocol)}`]),
    ...rangeText("sport", rule.sourcePorts),
    ...rangeText("dport", rule.destinationPorts),
    ...(rule.table !== undefined && action === "table" ? [`lookup ${rule.table}`] : []),
    ...(rule.suppressPrefixLength === undefined
      ? []
      : [`suppress_prefixlength ${rule.suppressPrefixLength}`]),
    ...(rule.goto === undefined ? [] : [`goto ${rule.goto}`]),
    ...(action === "table" || action === "goto" ? [] : [String(action)]),
    ...(tellsProtocol(rule) ? [`proto ${rule.protocol}`] : []),
  ];
  return `${rule.priority}:\t${words.join(" ")}\n`;
}

const FLAGS: readonly (readonly [flag: string, name: string])[] = [
  ["router", "router"],
  ["proxy", "proxy"],
  ["externally-learned", "extern_learn"],
  ["offloaded", "offload"],
];

const neighbourFlags = ({ flags }: Neighbour): string[] =>
  FLAGS.filter(([flag]) => flags.some((one) => one === flag)).map(([, name]) => name);

const stateName = ({ state }: Neighbour): string => String(state).replaceAll("-", "").toUpperCase();

export function neighbourRecord(neighbour: Neighbour): Record<string, unknown> {
  return {
    dst: neighbour.address,
    dev: neighbour.device,
    ...(neighbour.hardwareAddress !== undefined && { lladdr: neighbour.hardwareAddress }),
    ...Object.fromEntries(neighbourFlags(neighbour).map((flag) => [flag, null])),
    state: neighbour.state === "none" ? [] : [stateName(neighbour)],
  };
}

export function neighbourText(neighbour: Neighbour): string {
  const words = [
    `${neighbour.address} dev ${neighbour.device}`,
    ...(neighbour.hardwareAddress === undefined ? [] : [`lladdr ${neighbour.hardwareAddress}`]),
    ...neighbourFlags(neighbour),
    ...(neighbour.state === "none" ? [] : [stateName(neighbour)]),
  ];
  return `${words.join(" ")} \n`;
}
