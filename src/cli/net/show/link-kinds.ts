// What links have by their kind, as `ip -d link` shows it.

import type { Link } from "../../../net/index.ts";

/** Something of a kind: its name and value in JSON, and as text if that is another. */
type Pair = readonly [key: string, value: unknown, text?: string];

const onOff = (value: unknown): string => (value ? "on" : "off");
const oneZero = (value: boolean | undefined): number | undefined =>
  value === undefined ? undefined : value ? 1 : 0;
/** Seconds in hundredths, as bridges have them. */
const hundredths = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : Math.round(seconds * 100);

const protocolText = (protocol: unknown): string => String(protocol).replace("1q", "1Q");

const VLAN_FLAGS: Readonly<Record<string, string>> = {
  reorderHeader: "REORDER_HDR",
  gvrp: "GVRP",
  mvrp: "MVRP",
  looseBinding: "LOOSE_BINDING",
  bridgeBinding: "BRIDGE_BINDING",
};

function vlanPairs({ vlan }: Link): Pair[] {
  const flags = (vlan?.flags ?? []).map((flag) => VLAN_FLAGS[flag] ?? flag);
  return [
    ["protocol", protocolText(vlan?.protocol)],
    ["id", vlan?.id],
    ["flags", flags, flags.length ? `<${flags.join(",")}>` : ""],
  ];
}

function bridgePairs({ bridge: has }: Link): Pair[] {
  return [
    ["forward_delay", hundredths(has?.forwardDelaySeconds)],
    ["hello_time", hundredths(has?.helloTimeSeconds)],
    ["max_age", hundredths(has?.maxAgeSeconds)],
    ["ageing_time", hundredths(has?.ageingTimeSeconds)],
    ["stp_state", oneZero(has?.stp)],
    ["priority", has?.priority],
    ["vlan_filtering", oneZero(has?.vlanFiltering)],
    ["vlan_protocol", has?.vlanProtocol === undefined ? undefined : protocolText(has.vlanProtocol)],
    ["root_port", has?.rootPort],
    ["root_path_cost", has?.rootPathCost],
    ["topology_change", oneZero(has?.topologyChange)],
    [
      "group_fwd_mask",
      has?.groupForwardMask === undefined ? undefined : String(has.groupForwardMask),
    ],
    ["vlan_default_pvid", has?.vlanDefaultPvid],
    ["vlan_stats_enabled", oneZero(has?.vlanStatistics)],
    ["mcast_snooping", oneZero(has?.multicastSnooping)],
    ["mcast_querier", oneZero(has?.multicastQuerier)],
  ];
}

/** An interface by its number; undefined if none is meant. */
const nameOf = (index: number | undefined, all: readonly Link[]): string | number | undefined =>
  index ? (all.find((one) => one.index === index)?.name ?? `if${index}`) : undefined;

function vxlanPairs({ vxlan: has }: Link, all: readonly Link[]): Pair[] {
  const ports = has?.sourcePorts;
  const { low = 0, high = 0 } = ports ?? {};
  return [
    ["id", has?.id],
    [has?.remote?.includes(":") ? "remote6" : "remote", has?.remote, remoteText(has?.remote)],
    [has?.local?.includes(":") ? "local6" : "local", has?.local, localText(has?.local)],
    ["link", nameOf(has?.deviceIndex, all), `dev ${nameOf(has?.deviceIndex, all)}`],
    ["port_range", { low, high }, `srcport ${low} ${high}`],
    ["port", has?.port, `dstport ${has?.port}`],
    ["learning", has?.learning, has?.learning === false ? "nolearning" : ""],
    ["proxy", has?.proxy || undefined, "proxy"],
    ["l2miss", has?.l2Miss || undefined, "l2miss"],
    ["l3miss", has?.l3Miss || undefined, "l3miss"],
    ["ttl", has?.ttl, has?.ttl ? `ttl ${has.ttl}` : "ttl auto"],
    ["tos", has?.tos || undefined],
    ["ageing", has?.ageingSeconds],
    ["limit", has?.limit || undefined, `maxaddr ${has?.limit}`],
    ["udp_csum", has?.udpChecksum, has?.udpChecksum === false ? "noudpcsum" : "udpcsum"],
  ];
}

const remoteText = (remote: string | undefined) =>
  /^(22[4-9]|23\d|ff)/i.test(remote ?? "") ? `group ${remote}` : `remote ${remote}`;
const localText = (local: string | undefined) => `local ${local}`;

function bondPairs({ bond: has }: Link): Pair[] {
  return [
    ["mode", has?.mode],
    ["miimon", has?.miimonMs],
    ["updelay", has?.upDelayMs],
    ["downdelay", has?.downDelayMs],
    ["use_carrier", oneZero(has?.useCarrier)],
    ["arp_interval", has?.arpIntervalMs],
    ["fail_over_mac", has?.failOverMac],
    ["xmit_hash_policy", has?.hashPolicy],
    ["resend_igmp", has?.resendIgmp],
    ["num_peer_notif", has?.peerNotifications, `num_grat_arp ${has?.peerNotifications}`],
    ["all_slaves_active", oneZero(has?.allPortsActive)],
    ["min_links", has?.minLinks],
    ["lp_interval", has?.learningIntervalSeconds],
    ["packets_per_slave", has?.packetsPerPort],
    ["ad_lacp_rate", has?.lacpRate, `lacp_rate ${has?.lacpRate}`],
    ["tlb_dynamic_lb", oneZero(has?.dynamicBalance)],
  ];
}

function tunnelPairs(link: Link, all: readonly Link[]): Pair[] {
  const has = link.ipip ?? link.sit ?? link.ip6tnl ?? link.gre ?? link.gretap ?? link.ip6gre;
  const keyed = link.gre ?? link.gretap ?? link.ip6gre;
  const dotted = (key: number | undefined) =>
    key === undefined ? undefined : [24, 16, 8, 0].map((shift) => (key >>> shift) & 255).join(".");
  return [
    ["remote", has?.remote],
    ["local", has?.local],
    ["link", nameOf(has?.deviceIndex, all), `dev ${nameOf(has?.deviceIndex, all)}`],
    ["ttl", has?.ttl, has?.ttl ? `ttl ${has.ttl}` : "ttl inherit"],
    ["pmtudisc", has?.pathMtuDiscovery, has?.pathMtuDiscovery ? "pmtudisc" : "nopmtudisc"],
    ["ikey", keyed?.inputKey ? dotted(keyed.inputKey) : undefined],
    ["okey", keyed?.outputKey ? dotted(keyed.outputKey) : undefined],
  ];
}

const PAIRS: Readonly<Record<string, (link: Link, all: readonly Link[]) => Pair[]>> = {
  vlan: vlanPairs,
  bridge: bridgePairs,
  vxlan: vxlanPairs,
  bond: bondPairs,
  ipip: tunnelPairs,
  sit: tunnelPairs,
  ip6tnl: tunnelPairs,
  gre: tunnelPairs,
  gretap: tunnelPairs,
  ip6gre: tunnelPairs,
  vrf: ({ vrf }) => [["table", vrf?.table]],
  macvlan: ({ macvlan }) => [
    ["mode", macvlan?.mode],
    ["bcqueuelen", macvlan?.broadcastQueue],
  ],
  macvtap: ({ macvtap }) => [
    ["mode", macvtap?.mode],
    ["bcqueuelen", macvtap?.broadcastQueue],
  ],
  ipvlan: ({ ipvlan }) => [["mode", ipvlan?.mode]],
  geneve: ({ geneve }) => [
    ["id", geneve?.id],
    ["remote", geneve?.remote],
    ["port", geneve?.port, `dstport ${geneve?.port}`],
    ["udp_csum", geneve?.udpChecksum, geneve?.udpChecksum === false ? "noudpcsum" : "udpcsum"],
  ],
};

const FLAGS = [
  ["hairpin", "hairpin"],
  ["guard", "guard"],
  ["root_block", "rootBlock"],
  ["fastleave", "fastLeave"],
  ["learning", "learning"],
  ["flood", "flood"],
] as const;
const MORE_FLAGS = [
  ["proxy_arp", "proxyArp"],
  ["mcast_flood", "multicastFlood"],
  ["bcast_flood", "broadcastFlood"],
  ["neigh_suppress", "neighbourSuppress"],
  ["vlan_tunnel", "vlanTunnel"],
  ["isolated", "isolated"],
  ["locked", "locked"],
] as const;

/** What a link has as a port of a bridge. */
export function bridgePortPairs({ bridgePort: has }: Link): Pair[] {
  const switches = (names: typeof FLAGS | typeof MORE_FLAGS) =>
    names.map(([key, name]): Pair => [key, has?.[name], `${key} ${onOff(has?.[name])}`]);
  const number = has?.number;
  return [
    ["state", has?.state],
    ["priority", has?.priority],
    ["cost", has?.cost],
    ...switches(FLAGS),
    ["no", hex(number), `port_no ${hex(number)}`],
    ...switches(MORE_FLAGS),
  ];
}

const hex = (value: number | undefined) =>
  value === undefined ? undefined : `0x${value.toString(16)}`;

function portPairs(link: Link): Pair[] {
  if (link.portKind === "bridge") return bridgePortPairs(link);
  if (link.portKind !== "bond") return [];
  const { bondPort: has } = link;
  return [
    ["state", String(has?.state).toUpperCase(), `state ${String(has?.state).toUpperCase()}`],
    ["mii_status", has?.miiStatus === 0 ? "UP" : "DOWN"],
    ["link_failure_count", has?.failures],
    ["perm_hwaddr", has?.permanentAddress],
    ["queue_id", has?.queue],
    ["prio", has?.priority],
  ];
}

const there = (pairs: readonly Pair[]) => pairs.filter(([, value]) => value !== undefined);

export const recordOf = (pairs: readonly Pair[]): Record<string, unknown> =>
  Object.fromEntries(there(pairs).map(([key, value]) => [key, value]));

/** Each with a space behind it. */
export const pairsText = (pairs: readonly Pair[]): string =>
  there(pairs)
    .map(([key, value, text]) => text ?? `${key} ${String(value)}`)
    .filter((text) => text !== "")
    .map((text) => `${text} `)
    .join("");

const kindPairs = (link: Link, all: readonly Link[]): Pair[] =>
  PAIRS[link.kind ?? ""]?.(link, all) ?? [];

export function kindRecord(
  link: Link,
  all: readonly Link[],
): { info_data?: Record<string, unknown> } {
  const pairs = kindPairs(link, all);
  return pairs.length ? { info_data: recordOf(pairs) } : {};
}

export const kindText = (link: Link, all: readonly Link[]): string =>
  pairsText(kindPairs(link, all));

export function portRecord(link: Link): { info_slave_data?: Record<string, unknown> } {
  const pairs = portPairs(link);
  return pairs.length ? { info_slave_data: recordOf(pairs) } : {};
}

export const portText = (link: Link): string => pairsText(portPairs(link));
