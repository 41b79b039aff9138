// Routes (rtnetlink(7), ip-route(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../abi/constants/netlink.ts";
import {
  RTAX_ADVMSS,
  RTAX_CC_ALGO,
  RTAX_CWND,
  RTAX_FEATURES,
  RTAX_HOPLIMIT,
  RTAX_INITCWND,
  RTAX_INITRWND,
  RTAX_LOCK,
  RTAX_MTU,
  RTAX_QUICKACK,
  RTAX_REORDERING,
  RTAX_RTO_MIN,
  RTAX_RTT,
  RTAX_RTTVAR,
  RTAX_SSTHRESH,
  RTAX_WINDOW,
  RTA_CACHEINFO,
  RTA_DST,
  RTA_EXPIRES,
  RTA_GATEWAY,
  RTA_IIF,
  RTA_IP_PROTO,
  RTA_MARK,
  RTA_METRICS,
  RTA_MULTIPATH,
  RTA_NH_ID,
  RTA_OIF,
  RTA_PREF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_SPORT,
  RTA_DPORT,
  RTA_SRC,
  RTA_TABLE,
  RTA_UID,
  RTA_VIA,
  RTM_DELROUTE,
  RTM_F_CLONED,
  RTM_F_LOOKUP_TABLE,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTNH_F_DEAD,
  RTNH_F_LINKDOWN,
  RTNH_F_OFFLOAD,
  RTNH_F_ONLINK,
  RTNH_F_PERVASIVE,
  RTNH_F_TRAP,
  RTNH_F_UNRESOLVED,
  RTN_BLACKHOLE,
  RTN_PROHIBIT,
  RTN_THROW,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTPROT_STATIC,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_MAIN,
  RT_TABLE_UNSPEC,
} from "../abi/constants/rtnetlink.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "../abi/constants/socket.ts";
import { RtaCacheinfo, Rtmsg, Rtnexthop, Rtvia } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { familyOf, formatIp, ip, networkOf, parseIp, parsePrefix } from "./address.ts";
import type { IpPrefix } from "./address.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import {
  atLeast,
  be16,
  bitNames,
  bitsOf,
  named,
  readOnly,
  text,
  u32,
  u8,
  whole,
} from "./netlink/codec.ts";
import type { Codec, Value } from "./netlink/codec.ts";
import { MalformedMessageError } from "./netlink/errors.ts";
import { compose } from "./netlink/message.ts";
import { aligned } from "./netlink/writer.ts";
import { PROTOCOLS, ROUTE_TYPES, SCOPES, TABLES, numberOf } from "./route-names.ts";
import type { Device, Session } from "./session.ts";

const TCP_CA_NAME_MAX = 16;
/** What the kernel takes a route's table to be that does not fit 8 bits. */
const MAX_SMALL_TABLE = 0xff;

/** @internal */
export const ROUTE_FLAGS = {
  dead: RTNH_F_DEAD,
  pervasive: RTNH_F_PERVASIVE,
  onlink: RTNH_F_ONLINK,
  offload: RTNH_F_OFFLOAD,
  linkdown: RTNH_F_LINKDOWN,
  unresolved: RTNH_F_UNRESOLVED,
  trap: RTNH_F_TRAP,
} as const;

export type RouteFlag = keyof typeof ROUTE_FLAGS;

const metrics = new AttributeSet({
  /** Bits of metrics that path discovery leaves alone: 1 << 2 is the MTU's. */
  locked: [RTAX_LOCK, u32],
  mtu: [RTAX_MTU, u32],
  window: [RTAX_WINDOW, u32],
  rtt: [RTAX_RTT, u32],
  rttVariance: [RTAX_RTTVAR, u32],
  slowStartThreshold: [RTAX_SSTHRESH, u32],
  congestionWindow: [RTAX_CWND, u32],
  advertisedMss: [RTAX_ADVMSS, u32],
  reordering: [RTAX_REORDERING, u32],
  hopLimit: [RTAX_HOPLIMIT, u32],
  initialCongestionWindow: [RTAX_INITCWND, u32],
  features: [RTAX_FEATURES, u32],
  minRetransmitMs: [RTAX_RTO_MIN, u32],
  initialReceiveWindow: [RTAX_INITRWND, u32],
  quickAck: [RTAX_QUICKACK, u32],
  congestionControl: [RTAX_CC_ALGO, text(TCP_CA_NAME_MAX)],
});

/** What TCP takes from a route: milliseconds, bytes or segments. */
export type RouteMetrics = Value<typeof metrics>;

/** A gateway of the other family: a number for that, and an address. */
const via: Codec<string> = {
  write(to, value) {
    const address = parseIp(value, to.path);
    const header = Rtvia.alloc();
    header.rtvia_family = address.family;
    to.put(header.bytes);
    to.put(address.bytes);
  },
  read(payload) {
    atLeast(payload, Rtvia.size);
    return formatIp(payload.subarray(Rtvia.size));
  },
};

const gatewayAttributes = new AttributeSet({
  gateway: [RTA_GATEWAY, ip],
  via: [RTA_VIA, via],
});

/** A next hop with a number for its interface. */
interface RawHop {
  deviceIndex: number;
  weight: number;
  flags: readonly (RouteFlag | `0x${string}`)[];
  gateway?: string;
  via?: string;
}

const nextHops: Codec<readonly RawHop[]> = {
  write(to, hops) {
    for (const { deviceIndex, weight, flags, ...gateways } of hops) {
      const at = to.reserve(Rtnexthop.size);
      gatewayAttributes.write(to, gateways);
      const header = new Rtnexthop(to.view, at);
      header.rtnh_len = to.length - at;
      header.rtnh_flags = bitsOf(flags, ROUTE_FLAGS, "flags");
      header.rtnh_hops = whole(weight, 1, 256, "weight") - 1;
      header.rtnh_ifindex = deviceIndex;
    }
  },
  read(payload) {
    const hops: RawHop[] = [];
    for (let at = 0; at < payload.length;) {
      const rest = payload.subarray(at);
      atLeast(rest, Rtnexthop.size);
      const header = Rtnexthop.from(rest);
      if (header.rtnh_len < Rtnexthop.size || header.rtnh_len > rest.length)
        throw new MalformedMessageError(`a next hop of ${header.rtnh_len} bytes`);
      hops.push({
        deviceIndex: header.rtnh_ifindex,
        weight: header.rtnh_hops + 1,
        flags: bitNames(header.rtnh_flags, ROUTE_FLAGS),
        ...gatewayAttributes.read(rest.subarray(Rtnexthop.size, header.rtnh_len)),
      });
      at += aligned(header.rtnh_len);
    }
    return hops;
  },
};

const cacheInfo = readOnly({
  read(payload: Uint8Array) {
    atLeast(payload, RtaCacheinfo.size);
    const { rta_expires, rta_error } = RtaCacheinfo.from(payload);
    return { expires: rta_expires, error: rta_error };
  },
});

const attributes = new AttributeSet({
  destination: [RTA_DST, ip],
  source: [RTA_SRC, ip],
  inputIndex: [RTA_IIF, u32],
  deviceIndex: [RTA_OIF, u32],
  gateway: [RTA_GATEWAY, ip],
  via: [RTA_VIA, via],
  metric: [RTA_PRIORITY, u32],
  preferredSource: [RTA_PREFSRC, ip],
  metrics: [RTA_METRICS, metrics],
  nextHops: [RTA_MULTIPATH, nextHops],
  table: [RTA_TABLE, u32],
  mark: [RTA_MARK, u32],
  preference: [RTA_PREF, named(u8, { medium: 0, high: 1, low: 3 })],
  expiresSeconds: [RTA_EXPIRES, u32],
  nextHopId: [RTA_NH_ID, u32],
  userId: [RTA_UID, u32],
  protocol: [RTA_IP_PROTO, u8],
  sourcePort: [RTA_SPORT, be16],
  destinationPort: [RTA_DPORT, be16],
  cache: [RTA_CACHEINFO, cacheInfo],
});

/** One of several ways that a route leads. */
export interface NextHop {
  /** May be of the other family. */
  readonly gateway?: string;
  readonly device?: Device;
  /** 1 to 256. Default 1. */
  readonly weight?: number;
  readonly flags?: readonly (RouteFlag | `0x${string}`)[];
}

/** A route, in and out. */
export interface Route {
  /** "10.1.0.0/16", "fd00::/8"; "default" is all of IPv4, or of IPv6 if the gateway is of that. */
  readonly destination: string;
  /** May be of the other family. */
  readonly gateway?: string;
  readonly device?: Device;
  /** Several ways in place of `gateway` and `device`. */
  readonly nextHops?: readonly NextHop[];
  /** Of routes to the same destination the lowest is taken. */
  readonly metric?: number;
  /** The address that connections along it come from, if they have none. */
  readonly preferredSource?: string;
  /** Of IPv6: only for packets from there. */
  readonly source?: string;
  /** "main", "local", "default", or a number. Default "main". */
  readonly table?: string | number;
  /** "unicast", "blackhole", "unreachable"… Default "unicast". */
  readonly type?: string | number;
  /** Default: what fits. */
  readonly scope?: string | number;
  /** Who made it: "static", "kernel", "dhcp"… Default "static". */
  readonly protocol?: string | number;
  readonly flags?: readonly (RouteFlag | `0x${string}`)[];
  readonly metrics?: RouteMetrics;
  readonly expiresSeconds?: number;
  /** Of IPv6, among routers that are as good: "low", "medium", "high" (RFC 4191). */
  readonly preference?: "low" | "medium" | "high" | number;
  /** A next-hop object in place of gateways and devices: its number. */
  readonly nextHopId?: number;
}

/** A route with numbers in the place of interfaces' names. @internal */
export interface RawRoute extends Omit<Route, "device" | "nextHops"> {
  readonly device?: number;
  readonly nextHops?: readonly (Omit<NextHop, "device"> & { readonly device?: number })[];
  readonly cloned: boolean;
}

function prefixText(family: number, address: string | undefined, length: number): string {
  if (address === undefined && length === 0) return "default";
  return `${address ?? formatIp(new Uint8Array(family === AF_INET ? 4 : 16))}/${length}`;
}

/** @internal */
export function readRoute(payload: Uint8Array): RawRoute {
  atLeast(payload, Rtmsg.size);
  const header = Rtmsg.from(payload);
  const told = attributes.read(payload.subarray(Rtmsg.size));
  const gateway = told.gateway ?? told.via;
  const { metric, preferredSource, expiresSeconds, preference, nextHopId } = told;
  const hops = told.nextHops?.map(({ deviceIndex, via, gateway = via, ...rest }) => ({
    ...rest,
    ...(gateway !== undefined && { gateway }),
    ...(deviceIndex && { device: deviceIndex }),
  }));
  return {
    destination: prefixText(header.rtm_family, told.destination, header.rtm_dst_len),
    ...(header.rtm_src_len > 0 && {
      source: prefixText(header.rtm_family, told.source, header.rtm_src_len),
    }),
    ...(gateway !== undefined && { gateway }),
    ...(told.deviceIndex !== undefined && { device: told.deviceIndex }),
    ...(hops && { nextHops: hops }),
    ...(metric !== undefined && { metric }),
    ...(preferredSource !== undefined && { preferredSource }),
    table: TABLES.nameOf(told.table ?? header.rtm_table),
    type: ROUTE_TYPES.nameOf(header.rtm_type),
    scope: SCOPES.nameOf(header.rtm_scope),
    protocol: PROTOCOLS.nameOf(header.rtm_protocol),
    flags: bitNames(header.rtm_flags & 0xff, ROUTE_FLAGS),
    ...(told.metrics && { metrics: told.metrics }),
    ...(expiresSeconds !== undefined && { expiresSeconds }),
    ...(preference !== undefined && { preference }),
    ...(nextHopId !== undefined && { nextHopId }),
    cloned: (header.rtm_flags & RTM_F_CLONED) !== 0,
  };
}

/** The destination's family is the gateway's if it does not say. @throws {InvalidOptionError} */
function destinationOf({ destination, gateway, nextHops, preferredSource }: Route): IpPrefix {
  if (destination !== "default") return parsePrefix(destination, "destination");
  const hint = gateway ?? nextHops?.[0]?.gateway ?? preferredSource;
  const family = hint === undefined ? AF_INET : parseIp(hint, "gateway").family;
  return { family, bytes: new Uint8Array(family === AF_INET ? 4 : 16), prefixLength: 0 };
}

const TYPES_WITHOUT_HOP = new Set([RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW]);

/** Routes of the namespace that the process is in. */
export class Routes {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /**
   * Routes of one table, or of all.
   *
   * @param filter table: default "main"; "all" is all of them
   */
  async list(
    filter: { table?: string | number; family?: "ipv4" | "ipv6" } = {},
    options?: CallOptions,
  ): Promise<Route[]> {
    const { table = "main", family } = filter;
    const header = Rtmsg.alloc();
    header.rtm_family = family === undefined ? AF_UNSPEC : family === "ipv4" ? AF_INET : AF_INET6;
    const wanted = table === "all" ? undefined : numberOf(TABLES, table, "table");
    const all = compose({ type: RTM_GETROUTE, header: header.bytes });
    const messages = await this.#session.route.dump(all, "list routes", options);
    const nameOf = this.#session.naming(options);
    const routes: Route[] = [];
    for (const { payload } of messages) {
      const route = readRoute(payload);
      if (route.cloned) continue;
      if (wanted !== undefined && route.table !== TABLES.nameOf(wanted)) continue;
      routes.push(await withNames(route, nameOf));
    }
    return routes;
  }

  /** The route that a packet to an address would take. @throws {NetlinkError} ENETUNREACH… */
  async get(
    destination: string,
    spec: { from?: string; device?: Device; mark?: number } = {},
    options?: CallOptions,
  ): Promise<Route> {
    const to = parseIp(destination, "destination");
    const { from, device, mark } = spec;
    const source = from === undefined ? undefined : parseIp(from, "from");
    const header = Rtmsg.alloc();
    header.rtm_family = to.family;
    header.rtm_dst_len = to.bytes.length * 8;
    if (source) header.rtm_src_len = source.bytes.length * 8;
    // IPv6 always tells the table, and takes no such flag.
    if (to.family === AF_INET) header.rtm_flags = RTM_F_LOOKUP_TABLE;
    const index = device === undefined ? undefined : await this.#session.indexOf(device, "device");
    const request = compose({ type: RTM_GETROUTE, header: header.bytes }, [
      attributes,
      {
        destination: formatIp(to.bytes),
        ...(source && { source: formatIp(source.bytes) }),
        ...(index !== undefined && { deviceIndex: index }),
        ...(mark !== undefined && { mark }),
      },
    ]);
    const what = `find the route to ${destination}`;
    const [answer] = await this.#session.route.request(request, what, options);
    if (!answer) throw new MalformedMessageError("no route in the answer");
    return withNames(readRoute(answer.payload), this.#session.naming(options));
  }

  /**
   * Add a route.
   *
   * @throws {NetlinkError} EEXIST if there is one, ENETUNREACH if its gateway cannot be reached
   * @throws {InvalidOptionError} @throws {UnknownDeviceError}
   */
  async add(route: Route, options?: CallOptions): Promise<void> {
    await this.#change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, "add", route, options);
  }

  /** Add a route behind those to the same destination: of IPv6, one more way. */
  async append(route: Route, options?: CallOptions): Promise<void> {
    await this.#change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, "append", route, options);
  }

  /** Add a route, or put it in the place of the one to the same destination. */
  async replace(route: Route, options?: CallOptions): Promise<void> {
    await this.#change(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "replace", route, options);
  }

  /** Remove a route: what is given has to fit. @throws {NetlinkError} ESRCH if there is none */
  async delete(route: Route, options?: CallOptions): Promise<void> {
    await this.#change(RTM_DELROUTE, 0, "delete", route, options);
  }

  async #change(
    type: number,
    flags: number,
    verb: string,
    route: Route,
    options?: CallOptions,
  ): Promise<void> {
    const message = await this.#compose(type, flags, route, options);
    const what = `${verb} the route to ${route.destination}`;
    await this.#session.route.request(message, what, options);
  }

  async #compose(type: number, flags: number, route: Route, options?: CallOptions) {
    const to = networkOf(destinationOf(route));
    const removing = type === RTM_DELROUTE;
    const source = route.source === undefined ? undefined : parsePrefix(route.source, "source");
    const table = numberOf(TABLES, route.table ?? RT_TABLE_MAIN, "table");
    const header = Rtmsg.alloc();
    header.rtm_family = to.family;
    header.rtm_dst_len = to.prefixLength;
    if (source) header.rtm_src_len = source.prefixLength;
    header.rtm_table = table > MAX_SMALL_TABLE ? RT_TABLE_UNSPEC : table;
    header.rtm_type = numberOf(ROUTE_TYPES, route.type ?? (removing ? 0 : RTN_UNICAST), "type");
    header.rtm_protocol = numberOf(
      PROTOCOLS,
      route.protocol ?? (removing ? 0 : RTPROT_STATIC),
      "protocol",
    );
    header.rtm_scope = scopeOf(route, to.family, header.rtm_type, removing);
    header.rtm_flags = bitsOf(route.flags ?? [], ROUTE_FLAGS, "flags");
    const { gateway, device, metric, preferredSource, metrics, expiresSeconds } = route;
    const { preference, nextHopId } = route;
    const link = device ?? zoneOf(gateway);
    const index =
      link === undefined ? undefined : await this.#session.indexOf(link, "device", options);
    if (
      header.rtm_type === RTN_UNICAST &&
      !removing &&
      (index ?? gateway ?? nextHopId) === undefined
    )
      if (!route.nextHops?.length)
        throw new InvalidOptionError(
          "device",
          `the route to ${route.destination} leads nowhere: name a device, a gateway or next hops`,
        );
    // What is listed of a next-hop object is that object's, not the route's.
    const own = nextHopId === undefined;
    return compose({ type, flags, header: header.bytes }, [
      attributes,
      {
        ...(to.prefixLength > 0 && { destination: formatIp(to.bytes) }),
        ...(source && { source: formatIp(source.bytes) }),
        ...(gateway !== undefined && own && gatewayOf(gateway, to.family, "gateway")),
        ...(index !== undefined && own && { deviceIndex: index }),
        ...(metric !== undefined && { metric }),
        ...(preferredSource !== undefined && { preferredSource }),
        ...(metrics && { metrics }),
        ...(table > MAX_SMALL_TABLE && { table }),
        ...(expiresSeconds !== undefined && { expiresSeconds }),
        ...(preference !== undefined && { preference }),
        ...(nextHopId !== undefined && { nextHopId }),
        ...(route.nextHops &&
          own && { nextHops: await this.#hops(route.nextHops, to.family, options) }),
      },
    ]);
  }

  async #hops(hops: readonly NextHop[], family: number, options?: CallOptions): Promise<RawHop[]> {
    const raw: RawHop[] = [];
    for (const [number, { gateway, device, weight = 1, flags = [] }] of hops.entries())
      raw.push({
        deviceIndex: await this.#hopIndex(device ?? zoneOf(gateway), number, options),
        weight,
        flags,
        ...(gateway !== undefined && gatewayOf(gateway, family, `nextHops.${number}.gateway`)),
      });
    return raw;
  }

  /** 0: the kernel finds the interface by the gateway. */
  async #hopIndex(device: Device | undefined, number: number, options?: CallOptions) {
    const option = `nextHops.${number}.device`;
    return device === undefined ? 0 : this.#session.indexOf(device, option, options);
  }
}

/** The scope that fits a route, as ip-route(8) chooses it. */
function scopeOf(route: Route, family: number, type: number, removing: boolean): number {
  if (route.scope !== undefined) return numberOf(SCOPES, route.scope, "scope");
  if (family === AF_INET6) return RT_SCOPE_UNIVERSE;
  if (removing) return RT_SCOPE_NOWHERE;
  const further =
    route.gateway !== undefined || route.nextHops !== undefined || route.nextHopId !== undefined;
  return further || TYPES_WITHOUT_HOP.has(type) ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
}

/** The interface that an address of a link names behind "%". */
function zoneOf(gateway: string | undefined): Device | undefined {
  const zone = gateway === undefined ? undefined : parseIp(gateway, "gateway").zone;
  return zone !== undefined && /^\d+$/.test(zone) ? Number(zone) : zone;
}

function gatewayOf(gateway: string, family: number, option: string) {
  const { bytes } = parseIp(gateway, option);
  const text = formatIp(bytes);
  return familyOf(bytes) === family ? { gateway: text } : { via: text };
}

/** @internal */
export async function withNames(
  route: RawRoute,
  nameOf: (index: number) => Promise<Device>,
): Promise<Route> {
  const { cloned: _cloned, device, nextHops, ...rest } = route;
  const hops: NextHop[] = [];
  for (const { device: index, ...hop } of nextHops ?? [])
    hops.push({ ...hop, ...(index !== undefined && { device: await nameOf(index) }) });
  return {
    ...rest,
    ...(device !== undefined && { device: await nameOf(device) }),
    ...(nextHops && { nextHops: hops }),
  };
}
