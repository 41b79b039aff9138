// Routes and next hops as `ip route` and `ip nexthop` show them.

import type { NextHop, NextHopObject, Route, RouteMetrics } from "../../../net/index.ts";
import type { Flags } from "../command.ts";

/** As iproute2 calls them, in the order of their numbers. */
export const METRICS = {
  mtu: "mtu",
  window: "window",
  rtt: "rtt",
  rttvar: "rttVariance",
  ssthresh: "slowStartThreshold",
  cwnd: "congestionWindow",
  advmss: "advertisedMss",
  reordering: "reordering",
  hoplimit: "hopLimit",
  initcwnd: "initialCongestionWindow",
  rto_min: "minRetransmitMs",
  initrwnd: "initialReceiveWindow",
  quickack: "quickAck",
  congctl: "congestionControl",
} as const satisfies Readonly<Record<string, keyof RouteMetrics>>;

/** The table that is shown; routes of others say theirs. */
export interface RouteView {
  readonly flags: Flags;
  readonly table: string | number;
  /** Whose routes are asked for: it goes without saying. */
  readonly device?: string;
}

const isOther = (address: string, destination: string): boolean =>
  destination !== "default" && address.includes(":") !== destination.includes(":");

function gatewayRecord(gateway: string | undefined, destination: string) {
  if (gateway === undefined) return {};
  if (!isOther(gateway, destination)) return { gateway };
  return { via: { family: gateway.includes(":") ? "inet6" : "inet", host: gateway } };
}

function gatewayText(gateway: string | undefined, destination: string): string[] {
  if (gateway === undefined) return [];
  const family = isOther(gateway, destination) ? (gateway.includes(":") ? "inet6 " : "inet ") : "";
  return [`via ${family}${gateway}`];
}

/** A whole address stands without its length. */
function wholeText(destination: string): string {
  const [address = "", length] = destination.split("/");
  return length === (address.includes(":") ? "128" : "32") ? address : destination;
}

const destinationText = ({ destination }: Route): string => wholeText(destination);

function metricsOf({ metrics }: Route): [string, unknown][] {
  return Object.entries(METRICS).flatMap(([name, key]): [string, unknown][] => {
    const value = metrics?.[key];
    return value === undefined ? [] : [[name, value]];
  });
}

/** Several ways stand for themselves, and say what one would say of the route. */
const isSingle = ({ nextHops }: Route): boolean => nextHops === undefined;

const tellsTable = ({ table = "main" }: Route, view: RouteView): boolean =>
  view.table === "all" && table !== "main";

export function routeRecord(route: Route, view: RouteView): Record<string, unknown> {
  const { destination, type, device, protocol, scope, preferredSource, metric } = route;
  const metrics = metricsOf(route);
  return {
    ...((type !== "unicast" || view.flags.details) && { type }),
    dst: destinationText(route),
    ...(route.source !== undefined && { from: route.source }),
    ...(route.nextHopId !== undefined && { nhid: route.nextHopId }),
    ...(isSingle(route) && {
      ...gatewayRecord(route.gateway, destination),
      ...(device !== undefined && device !== view.device && { dev: device }),
    }),
    ...(tellsTable(route, view) && { table: String(route.table) }),
    ...((protocol !== "boot" || view.flags.details) && { protocol }),
    ...((scope !== "global" || view.flags.details) && { scope }),
    ...(preferredSource !== undefined && { prefsrc: preferredSource }),
    ...(metric !== undefined && { metric }),
    flags: route.flags ?? [],
    ...(route.expiresSeconds !== undefined && { expires: route.expiresSeconds }),
    ...(metrics.length && { metrics: [Object.fromEntries(metrics)] }),
    ...(route.nextHops && { nexthops: route.nextHops.map((hop) => hopRecord(hop, destination)) }),
    ...(route.preference !== undefined && { pref: route.preference }),
  };
}

function hopRecord({ gateway, device, weight = 1, flags = [] }: NextHop, destination: string) {
  return {
    ...gatewayRecord(gateway, destination),
    ...(device !== undefined && { dev: device }),
    weight,
    flags,
  };
}

export function routeText(route: Route, view: RouteView): string {
  const { destination, type, device, protocol, scope, preferredSource, metric } = route;
  const words = [
    ...(type !== "unicast" || view.flags.details ? [type] : []),
    destinationText(route),
    ...(route.source === undefined ? [] : [`from ${route.source}`]),
    ...(route.nextHopId === undefined ? [] : [`nhid ${route.nextHopId}`]),
    ...(isSingle(route)
      ? [
          ...gatewayText(route.gateway, destination),
          ...(device === undefined || device === view.device ? [] : [`dev ${device}`]),
        ]
      : []),
    ...(tellsTable(route, view) ? [`table ${route.table}`] : []),
    ...(protocol !== "boot" || view.flags.details ? [`proto ${protocol}`] : []),
    ...(scope !== "global" || view.flags.details ? [`scope ${scope}`] : []),
    ...(preferredSource === undefined ? [] : [`src ${preferredSource}`]),
    ...(metric === undefined ? [] : [`metric ${metric}`]),
    ...(route.flags ?? []),
    ...(route.expiresSeconds === undefined ? [] : [`expires ${route.expiresSeconds}sec`]),
    ...metricsOf(route).map(([name, value]) => `${name} ${String(value)}`),
  ];
  const hops = (route.nextHops ?? []).map(({ gateway, device: to, weight = 1, flags = [] }) =>
    [
      "\n\tnexthop",
      ...gatewayText(gateway, destination),
      ...(to === undefined ? [] : [`dev ${to}`]),
      `weight ${weight}`,
      ...flags,
    ].join(" "),
  );
  const end = route.preference === undefined ? " " : ` pref ${route.preference}`;
  return `${words.join(" ")}${hops.map((hop) => ` ${hop}`).join("")}${end}\n`;
}

/** What `ip route get` shows: the address, not the network. */
export function foundRecord(route: Route): Record<string, unknown> {
  const { type, device, preferredSource } = route;
  return {
    ...(type !== "unicast" && { type }),
    dst: destinationText(route),
    ...(route.source !== undefined && { from: wholeText(route.source) }),
    ...gatewayRecord(route.gateway, route.destination),
    ...(device !== undefined && { dev: device }),
    ...(route.table !== "main" && { table: String(route.table) }),
    ...(preferredSource !== undefined && { prefsrc: preferredSource }),
    ...(route.metric !== undefined && { metric: route.metric }),
    flags: route.flags ?? [],
    uid: 0,
    cache: [],
    ...(route.preference !== undefined && { pref: route.preference }),
  };
}

export function foundText(route: Route): string {
  const { type, device, preferredSource } = route;
  const words = [
    ...(type === "unicast" ? [] : [type]),
    destinationText(route),
    ...(route.source === undefined ? [] : [`from ${wholeText(route.source)}`]),
    ...gatewayText(route.gateway, route.destination),
    ...(device === undefined ? [] : [`dev ${device}`]),
    ...(route.table === "main" ? [] : [`table ${route.table}`]),
    ...(preferredSource === undefined ? [] : [`src ${preferredSource}`]),
    ...(route.metric === undefined ? [] : [`metric ${route.metric}`]),
    "uid 0",
  ];
  const isIpv6 = route.destination.includes(":");
  return isIpv6
    ? `${words.filter((word) => word !== "uid 0").join(" ")} pref ${route.preference ?? "medium"}\n`
    : `${words.join(" ")} \n    cache \n`;
}

export function nextHopRecord(hop: NextHopObject): Record<string, unknown> {
  const { resilient } = hop;
  return {
    id: hop.id,
    ...(hop.group && {
      group: hop.group.map(({ id, weight = 1 }) => ({ id, ...(weight > 1 && { weight }) })),
    }),
    ...(hop.groupType === "resilient" && { type: "resilient" }),
    ...(resilient && {
      resilient_args: {
        buckets: resilient.buckets,
        idle_timer: resilient.idleSeconds,
        unbalanced_timer: resilient.unbalancedSeconds,
      },
    }),
    ...(hop.gateway !== undefined && { gateway: hop.gateway }),
    ...(hop.device !== undefined && { dev: hop.device }),
    ...(hop.scope !== "global" && { scope: hop.scope }),
    ...(hop.blackhole && { blackhole: null }),
    ...(hop.protocol !== "unspecified" && hop.protocol !== "boot" && { protocol: hop.protocol }),
    flags: hop.flags,
    ...(hop.forwarding && { fdb: null }),
  };
}

export function nextHopText(hop: NextHopObject): string {
  const { resilient } = hop;
  const group = hop.group?.map(({ id, weight = 1 }) => (weight > 1 ? `${id},${weight}` : `${id}`));
  const words = [
    `id ${hop.id}`,
    ...(group ? [`group ${group.join("/")}`] : []),
    ...(hop.groupType === "resilient" ? ["type resilient"] : []),
    ...(resilient
      ? [
          `buckets ${resilient.buckets} idle_timer ${resilient.idleSeconds}`,
          `unbalanced_timer ${resilient.unbalancedSeconds}`,
        ]
      : []),
    ...(hop.gateway === undefined ? [] : [`via ${hop.gateway}`]),
    ...(hop.device === undefined ? [] : [`dev ${hop.device}`]),
    ...(hop.scope === "global" ? [] : [`scope ${hop.scope}`]),
    ...(hop.blackhole ? ["blackhole"] : []),
    ...(hop.protocol === "unspecified" || hop.protocol === "boot" ? [] : [`proto ${hop.protocol}`]),
    ...hop.flags,
    ...(hop.forwarding ? ["fdb"] : []),
  ];
  return `${words.join(" ")} \n`;
}
