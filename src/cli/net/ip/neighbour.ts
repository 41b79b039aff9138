// ip neighbour: which hardware addresses IP addresses have.

import type { NeighbourFlag } from "../../../net/index.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { neighbourRecord, neighbourText } from "../show/rule.ts";
import { address, mac } from "../values.ts";
import type { Words } from "../words.ts";
import { device, needed, verbOf } from "./verbs.ts";

export const neighbour = (words: Words, flags: Flags): Command =>
  verbOf(
    words,
    flags,
    {
      add: (rest) => change(rest, "add"),
      change: (rest) => change(rest, "replace"),
      replace: (rest) => change(rest, "replace"),
      delete: (rest) => change(rest, "delete"),
      show: list,
      list,
      lst: list,
      flush,
    },
    "show",
    "ip neighbour",
  );

const STATES = [
  "permanent",
  "reachable",
  "stale",
  "noarp",
  "none",
  "incomplete",
  "delay",
  "probe",
  "failed",
] as const;

const state = (words: Words): string => words.oneOf(STATES, "state").replace("noarp", "no-arp");

function change(words: Words, verb: "add" | "replace" | "delete"): Command {
  let to: string | undefined;
  let name: string | undefined;
  let hardwareAddress: string | undefined;
  let wanted: string | undefined;
  const flags: NeighbourFlag[] = [];
  words.parameters(
    {
      to: (rest) => void (to = address(rest)),
      dev: (rest) => void (name = device(rest)),
      lladdr: (rest) => void (hardwareAddress = mac(rest)),
      nud: (rest) => void (wanted = state(rest)),
      proxy: (rest) => {
        flags.push("proxy");
        to = address(rest);
      },
      router: () => void flags.push("router"),
      extern_learn: () => void flags.push("externally-learned"),
    },
    `word of ip neighbour ${verb}`,
    (rest) => {
      if (to !== undefined) return false;
      to = address(rest);
      return true;
    },
  );
  const spec = {
    address: needed(to, "to"),
    device: needed(name, "dev"),
    ...(hardwareAddress !== undefined && { hardwareAddress }),
    ...(wanted !== undefined && { state: wanted }),
    ...(flags.length && { flags }),
  };
  return ({ network }) => network.neighbour[verb](spec);
}

interface NeighbourFilter {
  device?: string;
  to?: string;
  state?: string;
}

function readFilter(words: Words, what: string): NeighbourFilter {
  const filter: NeighbourFilter = {};
  words.parameters(
    {
      dev: (rest) => void (filter.device = device(rest)),
      to: (rest) => void (filter.to = address(rest)),
      nud: (rest) => void (filter.state = rest.accept("all") ? "all" : state(rest)),
    },
    what,
    (rest) => {
      if (filter.to !== undefined) return false;
      filter.to = address(rest);
      return true;
    },
  );
  return filter;
}

/** Those that nobody asked for are left out, as by ip(8). */
async function found(
  network: Parameters<Command>[0]["network"],
  filter: NeighbourFilter,
  { family }: Flags,
) {
  const all = await network.neighbour.list(filter.device);
  return all.filter(
    ({ address: to = "", state: is }) =>
      (family === undefined || to.includes(":") === (family === "ipv6")) &&
      (filter.to === undefined || filter.to === to) &&
      (filter.state === "all" ||
        (filter.state === undefined ? is !== "no-arp" && is !== "none" : is === filter.state)),
  );
}

function list(words: Words, flags: Flags): Command {
  const filter = readFilter(words, "word of ip neighbour show");
  return async (context) => {
    const wanted = await found(context.network, filter, flags);
    await show(context, flags, wanted, neighbourRecord, neighbourText);
  };
}

function flush(words: Words, flags: Flags): Command {
  const filter = readFilter(words, "word of ip neighbour flush");
  return async ({ network }) => {
    for (const one of await found(network, filter, flags))
      if (one.state !== "permanent" && one.address !== undefined)
        await network.neighbour.delete({ address: one.address, device: one.device });
  };
}
