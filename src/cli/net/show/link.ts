// Links as `ip link` shows them.

import {
  ARPHRD_IP6GRE,
  ARPHRD_IPGRE,
  ARPHRD_NETLINK,
  ARPHRD_RAWIP,
  ARPHRD_SIT,
  ARPHRD_TUNNEL,
  ARPHRD_TUNNEL6,
  ARPHRD_VOID,
} from "../../../abi/constants/packet.ts";
import type { Link } from "../../../net/index.ts";
import type { Flags } from "../command.ts";
import { kindRecord, kindText, portRecord, portText } from "./link-kinds.ts";

/** In iproute2's order. */
const FLAG_NAMES: readonly (readonly [flag: string, name: string])[] = [
  ["loopback", "LOOPBACK"],
  ["broadcast", "BROADCAST"],
  ["point-to-point", "POINTOPOINT"],
  ["multicast", "MULTICAST"],
  ["no-arp", "NOARP"],
  ["all-multicast", "ALLMULTI"],
  ["promiscuous", "PROMISC"],
];
const LAST_NAMES: readonly (readonly [flag: string, name: string])[] = [
  ["up", "UP"],
  ["lower-up", "LOWER_UP"],
];
/** Bits of linux/if.h that links have no names for: they come as one number. */
const OTHER_BITS: readonly (readonly [bit: number, name: string])[] = [
  [0x400, "MASTER"],
  [0x800, "SLAVE"],
  [0x4, "DEBUG"],
  [0x8000, "DYNAMIC"],
  [0x4000, "AUTOMEDIA"],
  [0x2000, "PORTSEL"],
  [0x20, "NOTRAILERS"],
];
const LAST_BITS: readonly (readonly [bit: number, name: string])[] = [
  [0x20000, "DORMANT"],
  [0x40000, "ECHO"],
];

const TYPES = new Map<string | number, string>([
  [ARPHRD_TUNNEL, "ipip"],
  [ARPHRD_TUNNEL6, "tunnel6"],
  [ARPHRD_SIT, "sit"],
  [ARPHRD_IPGRE, "gre"],
  [ARPHRD_IP6GRE, "gre6"],
  [ARPHRD_NETLINK, "netlink"],
  [ARPHRD_RAWIP, "rawip"],
  [ARPHRD_VOID, "void"],
]);

const typeText = ({ type }: Link): string => TYPES.get(type) ?? `${type}`;

/** "UP", "LOWERLAYERDOWN"… */
const stateText = ({ state = "unknown" }: Link): string =>
  String(state).replaceAll("-", "").toUpperCase();

/** The names between the angles. */
export function flagNames(link: Link, all: readonly Link[]): string[] {
  const { flags } = link;
  const has = (flag: string) => flags.some((one) => one === flag);
  const rest = Number(flags.find((one) => one.startsWith("0x")) ?? 0);
  const named = (names: typeof FLAG_NAMES) =>
    names.filter(([flag]) => has(flag)).map(([, name]) => name);
  const bits = (names: typeof OTHER_BITS) =>
    names.filter(([bit]) => (rest & bit) !== 0).map(([, name]) => name);
  const lower = link.linkNamespaceId === undefined && all.find((one) => one.name === link.link);
  return [
    ...(has("up") && !has("running") ? ["NO-CARRIER"] : []),
    ...named(FLAG_NAMES),
    ...bits(OTHER_BITS),
    ...named(LAST_NAMES),
    ...bits(LAST_BITS),
    ...(lower && !lower.up ? ["M-DOWN"] : []),
  ];
}

/** What is below: a name, or a number in another namespace. */
const lowerRecord = ({ link }: Link) =>
  link === undefined ? {} : typeof link === "number" ? { link_index: link } : { link };

/** "v0@v1", "v0@if4" */
export function nameText({ name, link }: Link): string {
  if (link === undefined) return name;
  return `${name}@${typeof link === "number" ? `if${link}` : link}`;
}

const groupText = ({ group = 0 }: Link): string => (group ? String(group) : "default");

/** Addresses of one family are asked for: the link's own is of none. */
const tellsHardware = ({ family, details }: Flags, mode: boolean): boolean =>
  mode || details || family === undefined;

function hardwareRecord(link: Link): Record<string, unknown> {
  const pointToPoint = link.flags.includes("point-to-point");
  return {
    link_type: typeText(link),
    ...(link.address !== undefined && { address: link.address }),
    ...(link.broadcast !== undefined &&
      (pointToPoint
        ? { link_pointtopoint: true, broadcast: link.broadcast }
        : { broadcast: link.broadcast })),
    ...(link.linkNamespaceId !== undefined && { link_netnsid: link.linkNamespaceId }),
  };
}

/** What all commands show of a link first. `mode`: `ip addr` has none. */
export function linkRecord(
  link: Link,
  all: readonly Link[],
  flags: Flags,
  mode = true,
): Record<string, unknown> {
  const { statistics, info } = { statistics: link.statistics, info: link.kind ?? link.portKind };
  return {
    ifindex: link.index,
    ...lowerRecord(link),
    ifname: link.name,
    flags: flagNames(link, all),
    mtu: link.mtu,
    qdisc: link.qdisc,
    ...(link.master !== undefined && { master: link.master }),
    operstate: stateText(link),
    ...(mode && { linkmode: link.dormant ? "DORMANT" : "DEFAULT" }),
    group: groupText(link),
    ...(link.txQueueLength !== undefined && { txqlen: link.txQueueLength }),
    ...(tellsHardware(flags, mode) && hardwareRecord(link)),
    ...(flags.details && {
      promiscuity: link.promiscuity,
      allmulti: link.allMulticasts,
      min_mtu: link.minMtu,
      max_mtu: link.maxMtu,
      ...(info !== undefined && {
        linkinfo: {
          ...(link.kind !== undefined && { info_kind: link.kind }),
          ...kindRecord(link, all),
          ...(link.portKind !== undefined && { info_slave_kind: link.portKind }),
          ...portRecord(link),
        },
      }),
      ...(link.inet6?.addressGeneration !== undefined && {
        inet6_addr_gen_mode: generationText(link),
      }),
      num_tx_queues: link.txQueues,
      num_rx_queues: link.rxQueues,
      gso_max_size: link.gsoMaxBytes,
      gso_max_segs: link.gsoMaxSegments,
      tso_max_size: link.tsoMaxBytes,
      tso_max_segs: link.tsoMaxSegments,
      gro_max_size: link.groMaxBytes,
    }),
    ...(link.alias !== undefined && (mode || flags.details) && { ifalias: link.alias }),
    ...(flags.statistics && statistics && { stats64: statisticsRecord(link) }),
    ...(link.otherNames?.length && { altnames: link.otherNames }),
  };
}

const generationText = ({ inet6 }: Link): string =>
  String(inet6?.addressGeneration).replace("stable-privacy", "stable_secret");

function statisticsRecord({ statistics }: Link) {
  return (
    statistics && {
      rx: {
        bytes: statistics.rxBytes,
        packets: statistics.rxPackets,
        errors: statistics.rxErrors,
        dropped: statistics.rxDropped,
        over_errors: statistics.rxMissed,
        multicast: statistics.multicast,
      },
      tx: {
        bytes: statistics.txBytes,
        packets: statistics.txPackets,
        errors: statistics.txErrors,
        dropped: statistics.txDropped,
        carrier_errors: statistics.txCarrierErrors,
        collisions: statistics.collisions,
      },
    }
  );
}

/** Heads and numbers below each other. */
function columns(first: string, heads: readonly string[], values: readonly number[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, String(values[i]).length));
  const row = (cells: readonly string[]) =>
    cells.map((cell, i) => cell.padStart(widths[i])).join(" ");
  const head = heads.map((one, i) => (i ? one.padEnd(widths[i]) : one.padStart(widths[i])));
  return (
    `    ${first}: ${head.join(" ")} \n` +
    `    ${" ".repeat(first.length + 2)}${row(values.map(String))} \n`
  );
}

function statisticsText({ statistics }: Link): string {
  if (!statistics) return "";
  const { rxBytes, rxPackets, rxErrors, rxDropped, rxMissed, multicast } = statistics;
  const { txBytes, txPackets, txErrors, txDropped, txCarrierErrors, collisions } = statistics;
  const common = [" bytes", "packets", "errors", "dropped"];
  return (
    columns(
      "RX",
      [...common, " missed", "  mcast"],
      [rxBytes, rxPackets, rxErrors, rxDropped, rxMissed, multicast],
    ) +
    columns(
      "TX",
      [...common, "carrier", "collsns"],
      [txBytes, txPackets, txErrors, txDropped, txCarrierErrors, collisions],
    )
  );
}

/** The lines of a link, up to what is behind. */
export function linkText(link: Link, all: readonly Link[], flags: Flags, mode = true): string {
  const { txQueueLength } = link;
  const between = link.flags.includes("point-to-point") ? "peer" : "brd";
  const head = [
    `${link.index}: ${nameText(link)}: <${flagNames(link, all).join(",")}>`,
    `mtu ${link.mtu} qdisc ${link.qdisc}`,
    ...(link.master === undefined ? [] : [`master ${link.master}`]),
    `state ${stateText(link)}`,
    ...(mode ? [`mode ${link.dormant ? "DORMANT" : "DEFAULT"}`] : []),
    `group ${groupText(link)}`,
    ...(txQueueLength ? [`qlen ${txQueueLength}`] : []),
  ].join(" ");
  const address = [
    `    link/${typeText(link)}`,
    ...(link.address === undefined ? [] : [link.address]),
    ...(link.broadcast === undefined ? [] : [`${between} ${link.broadcast}`]),
    ...(link.linkNamespaceId === undefined ? [] : [`link-netnsid ${link.linkNamespaceId}`]),
  ].join(" ");
  // Without an address a space is behind the type, as there would be one.
  const bare = link.address === undefined && link.linkNamespaceId === undefined ? " " : "";
  return [
    tellsHardware(flags, mode)
      ? `${head}\n${address}${bare}${flags.details ? detailsText(link, all) : ""}\n`
      : `${head}\n`,
    link.alias === undefined || !(mode || flags.details) ? "" : `    alias ${link.alias}\n`,
    flags.statistics ? statisticsText(link) : "",
    ...(link.otherNames ?? []).map((name) => `    altname ${name}\n`),
  ].join("");
}

function detailsText(link: Link, all: readonly Link[]): string {
  const kind = link.kind === undefined ? "" : `\n    ${link.kind} ${kindText(link, all)}`;
  const port = link.portKind === undefined ? "" : `\n    ${link.portKind}_slave ${portText(link)}`;
  const generation =
    link.inet6?.addressGeneration === undefined ? "" : `addrgenmode ${generationText(link)} `;
  const receiving = link.rxQueues === undefined ? "" : `numrxqueues ${link.rxQueues} `;
  return (
    ` promiscuity ${link.promiscuity}  allmulti ${link.allMulticasts} ` +
    `minmtu ${link.minMtu} maxmtu ${link.maxMtu} ${kind}${port}${generation}` +
    `numtxqueues ${link.txQueues} ${receiving}` +
    `gso_max_size ${link.gsoMaxBytes} gso_max_segs ${link.gsoMaxSegments} ` +
    `tso_max_size ${link.tsoMaxBytes} tso_max_segs ${link.tsoMaxSegments} ` +
    `gro_max_size ${link.groMaxBytes} `
  );
}

/** One line, in columns: `ip -br link`. */
export const briefText = (link: Link, rest: readonly string[]): string =>
  `${nameText(link).padEnd(16)} ${stateText(link).padEnd(14)} ${rest.map((one) => `${one} `).join("")}\n`;

export const briefRecord = (link: Link): Record<string, unknown> => ({
  ...lowerRecord(link),
  ifname: link.name,
  operstate: stateText(link),
});
