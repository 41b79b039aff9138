// ip route: where packets go.

import { parsePrefix } from "../../../net/address.ts";
import type { NextHop, Route, RouteMetrics } from "../../../net/index.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { METRICS, foundRecord, foundText, routeRecord, routeText } from "../show/route.ts";
import { address, network as networkWord, number } from "../values.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { device, needed, verbOf } from "./verbs.ts";

export const route = (words: Words, flags: Flags): Command =>
  verbOf(
    words,
    flags,
    {
      list,
      show: list,
      lst: list,
      get,
      add: (rest, own) => change(rest, own, "add"),
      append: (rest, own) => change(rest, own, "append"),
      change: (rest, own) => change(rest, own, "replace"),
      chg: (rest, own) => change(rest, own, "replace"),
      replace: (rest, own) => change(rest, own, "replace"),
      delete: (rest, own) => change(rest, own, "delete"),
      flush,
    },
    "list",
    "ip route",
  );

const TYPES = [
  "unicast",
  "local",
  "broadcast",
  "multicast",
  "throw",
  "unreachable",
  "prohibit",
  "blackhole",
  "anycast",
] as const;
const SCOPES = ["global", "site", "link", "host", "nowhere"] as const;
const PROTOCOLS = ["kernel", "boot", "static", "ra", "dhcp", "bgp", "ospf", "rip", "isis"] as const;

export function table(words: Words): string | number {
  const given = words.take("a table");
  if (/^\d+$/.test(given)) return tableName(Number(given));
  if (["main", "local", "default", "all"].includes(given)) return given;
  throw new WordError(`table "${given}": it is main, local, default or a number`);
}

/** Those that have a name go by it. */
const tableName = (number: number): string | number =>
  ({ 255: "local", 254: "main", 253: "default" })[number] ?? number;

export const protocol = (words: Words): string | number =>
  /^\d+$/.test(words.next ?? "") ? number(words, 0, 255) : words.oneOf(PROTOCOLS, "protocol");

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `via 10.0.0.1`, `via inet6 fe80::1` */
function via(words: Words): string {
  words.accept("inet", "inet6");
  return address(words);
}

const metric = (words: Words): number => number(words);

/** `mtu 1400`, `mtu lock 1400`, `congctl bbr`, `rto_min 200ms`. */
function metricWords(metrics: RouteMetrics) {
  const put = (name: keyof typeof METRICS) => (words: Words) => {
    const key = METRICS[name];
    if (key === "congestionControl") metrics[key] = words.take("an algorithm");
    else if (name === "rto_min") {
      const given = words.take("a time");
      const [, digits, unit] = /^(\d+)(ms|s)?$/.exec(given) ?? [];
      if (digits === undefined) throw new WordError(`rto_min "${given}": it is like 200ms`);
      metrics[key] = Number(digits) * (unit === "s" ? 1000 : 1);
    } else {
      // Bits of what path discovery leaves alone: that of the MTU is the second.
      if (words.accept("lock")) metrics.locked = (metrics.locked ?? 0) | (1 << lockBit(name));
      metrics[key] = number(words);
    }
  };
  return Object.fromEntries(
    (Object.keys(METRICS) as (keyof typeof METRICS)[]).map((name) => [name, put(name)]),
  );
}

/** The number of a metric, RTAX_…: they are in their order, from RTAX_MTU (2) on. */
const lockBit = (name: keyof typeof METRICS): number => Object.keys(METRICS).indexOf(name) + 2;

function readHop(words: Words): NextHop {
  const hop: Mutable<NextHop> = {};
  const flags: "onlink"[] = [];
  while (words.next !== undefined && words.next !== "nexthop") {
    if (words.accept("via")) hop.gateway = via(words);
    else if (words.accept("dev")) hop.device = device(words);
    else if (words.accept("weight")) hop.weight = number(words, 1, 256);
    else if (words.accept("onlink")) flags.push("onlink");
    else
      throw new WordError(
        `"${words.next}" is no word of a next hop; there are via, dev, weight, onlink`,
      );
  }
  return flags.length ? { ...hop, flags } : hop;
}

/** What is said of a route, by `ip route add` and others. */
function readRoute(words: Words, flags: Flags, verb: string): Route {
  const spec: Partial<Mutable<Route>> = {};
  const metrics: RouteMetrics = {};
  const hops: NextHop[] = [];
  const type = TYPES.find((one) => one === words.next);
  if (type !== undefined && words.accept(type)) spec.type = type;
  const isIpv6 = () => flags.family === "ipv6" || (spec.gateway ?? spec.source ?? "").includes(":");
  words.parameters(
    {
      to: (rest) => void (spec.destination = networkWord(rest) ?? "default"),
      via: (rest) => void (spec.gateway = via(rest)),
      dev: (rest) => void (spec.device = device(rest)),
      oif: (rest) => void (spec.device = device(rest)),
      src: (rest) => void (spec.preferredSource = address(rest)),
      from: (rest) => {
        const from = networkWord(rest);
        if (from !== undefined) spec.source = from;
      },
      table: (rest) => void (spec.table = table(rest)),
      metric: (rest) => void (spec.metric = metric(rest)),
      priority: (rest) => void (spec.metric = metric(rest)),
      preference: (rest) => void (spec.metric = metric(rest)),
      proto: (rest) => void (spec.protocol = protocol(rest)),
      protocol: (rest) => void (spec.protocol = protocol(rest)),
      scope: (rest) => {
        spec.scope = /^\d+$/.test(rest.next ?? "")
          ? number(rest, 0, 255)
          : rest.oneOf(SCOPES, "scope");
      },
      type: (rest) => void (spec.type = rest.oneOf(TYPES, "type of routes")),
      onlink: () => void (spec.flags = [...(spec.flags ?? []), "onlink"]),
      pref: (rest) =>
        void (spec.preference = rest.oneOf(["low", "medium", "high"] as const, "preference")),
      expires: (rest) => void (spec.expiresSeconds = number(rest)),
      nexthop: (rest) => void hops.push(readHop(rest)),
      nhid: (rest) => void (spec.nextHopId = number(rest, 1)),
      ...metricWords(metrics),
    },
    `word of ip route ${verb}`,
    (rest) => {
      if (spec.destination !== undefined) return false;
      spec.destination = networkWord(rest) ?? "default";
      return true;
    },
  );
  const destination = needed(spec.destination, "to");
  return {
    ...spec,
    // IPv6 has no other way to be meant by "default".
    destination: destination === "default" && isIpv6() ? "::/0" : destination,
    ...(Object.keys(metrics).length && { metrics }),
    ...(hops.length && { nextHops: hops }),
  };
}

function change(
  words: Words,
  flags: Flags,
  verb: "add" | "append" | "replace" | "delete",
): Command {
  const spec = readRoute(words, flags, verb);
  if (verb === "delete") return ({ network }) => network.route.delete(spec);
  // As iproute2: by whoever sets the machine up.
  const made = { protocol: "boot", ...spec };
  return ({ network }) => network.route[verb](made);
}

interface RouteFilter {
  table: string | number;
  device?: string;
  gateway?: string;
  protocol?: string | number;
  type?: string;
  scope?: string;
  source?: string;
  /** Just this one, or those inside of it. */
  exact?: string;
  root?: string;
}

function readFilter(words: Words, what: string): RouteFilter {
  const filter: RouteFilter = { table: "main" };
  const destination = (rest: Words) => {
    if (rest.accept("root")) filter.root = networkWord(rest) ?? "default";
    else {
      rest.accept("exact");
      filter.exact = networkWord(rest) ?? "default";
    }
  };
  words.parameters(
    {
      table: (rest) => void (filter.table = table(rest)),
      dev: (rest) => void (filter.device = device(rest)),
      oif: (rest) => void (filter.device = device(rest)),
      via: (rest) => void (filter.gateway = via(rest)),
      proto: (rest) => void (filter.protocol = protocol(rest)),
      protocol: (rest) => void (filter.protocol = protocol(rest)),
      type: (rest) => void (filter.type = rest.oneOf(TYPES, "type of routes")),
      scope: (rest) => void (filter.scope = rest.oneOf(SCOPES, "scope")),
      src: (rest) => void (filter.source = address(rest)),
      to: destination,
      root: (rest) => void (filter.root = networkWord(rest) ?? "default"),
      exact: (rest) => void (filter.exact = networkWord(rest) ?? "default"),
    },
    what,
    (rest) => {
      if (filter.exact !== undefined) return false;
      destination(rest);
      return true;
    },
  );
  return filter;
}

const canonical = (destination: string): string => {
  if (destination === "default") return destination;
  const { bytes, prefixLength } = parsePrefix(destination, "to");
  return `${bytes.join(".")}/${prefixLength}`;
};

function inside(destination: string, root: string): boolean {
  if (root === "default") return true;
  if (destination === "default") return false;
  const [own, of] = [parsePrefix(destination, "to"), parsePrefix(root, "root")];
  const bits = ({ bytes }: { bytes: Uint8Array }) =>
    Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return (
    own.family === of.family &&
    own.prefixLength >= of.prefixLength &&
    bits(own).slice(0, of.prefixLength) === bits(of).slice(0, of.prefixLength)
  );
}

function fits(one: Route, filter: RouteFilter): boolean {
  return (
    (filter.device === undefined || one.device === filter.device) &&
    (filter.gateway === undefined || one.gateway === filter.gateway) &&
    (filter.protocol === undefined || one.protocol === filter.protocol) &&
    (filter.type === undefined || one.type === filter.type) &&
    (filter.scope === undefined || one.scope === filter.scope) &&
    (filter.source === undefined || one.preferredSource === filter.source) &&
    (filter.exact === undefined || canonical(one.destination) === canonical(filter.exact)) &&
    (filter.root === undefined || inside(one.destination, filter.root))
  );
}

/** Of IPv4, unless another family or all tables are asked for. */
function families({ family }: Flags, filter: RouteFilter): readonly ("ipv4" | "ipv6")[] {
  if (family !== undefined) return [family];
  const asked = filter.exact ?? filter.root;
  if (asked?.includes(":")) return ["ipv6"];
  return filter.table === "all" ? ["ipv4", "ipv6"] : ["ipv4"];
}

function list(words: Words, flags: Flags): Command {
  const filter = readFilter(words, "word of ip route show");
  const { device: name } = filter;
  const view = { flags, table: filter.table, ...(name !== undefined && { device: name }) };
  return async (context) => {
    const { network } = context;
    if (filter.device !== undefined) await network.link.get(filter.device);
    const found: Route[] = [];
    for (const family of families(flags, filter))
      found.push(...(await network.route.list({ table: filter.table, family })));
    const wanted = found.filter((one) => fits(one, filter));
    await show(
      context,
      flags,
      wanted,
      (one) => routeRecord(one, view),
      (one) => routeText(one, view),
    );
  };
}

function get(words: Words, flags: Flags): Command {
  const spec: { from?: string; device?: string; mark?: number } = {};
  let to: string | undefined;
  words.parameters(
    {
      to: (rest) => void (to = address(rest)),
      from: (rest) => void (spec.from = address(rest)),
      oif: (rest) => void (spec.device = device(rest)),
      dev: (rest) => void (spec.device = device(rest)),
      mark: (rest) => void (spec.mark = number(rest)),
    },
    "word of ip route get",
    (rest) => {
      if (to !== undefined) return false;
      to = address(rest);
      return true;
    },
  );
  const target = needed(to, "to");
  return async (context) => {
    const found = await context.network.route.get(target, spec);
    await show(context, flags, [found], foundRecord, foundText);
  };
}

function flush(words: Words, flags: Flags): Command {
  if (words.done) throw new WordError("which routes? e.g. ip route flush dev eth0, or table main");
  const filter = readFilter(words, "word of ip route flush");
  return async ({ network }) => {
    for (const family of families(flags, filter))
      for (const one of await network.route.list({ table: filter.table, family }))
        if (fits(one, filter)) await network.route.delete(one);
  };
}
