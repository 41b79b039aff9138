// ip address: addresses of interfaces.

import { parsePrefix } from "../../../net/address.ts";
import type { AddressFlag, AddressSpec, InterfaceAddress } from "../../../net/index.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { addressedRecord, addressedText } from "../show/address.ts";
import { address as plainAddress, number, prefix } from "../values.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { filterWords, linksOf } from "./link.ts";
import type { LinkFilter } from "./link.ts";
import { device, needed, verbOf } from "./verbs.ts";

export const address = (words: Words, flags: Flags): Command =>
  verbOf(
    words,
    flags,
    {
      add: (rest) => change(rest, "add"),
      change: (rest) => change(rest, "replace"),
      chg: (rest) => change(rest, "replace"),
      replace: (rest) => change(rest, "replace"),
      delete: (rest) => change(rest, "delete"),
      show: list,
      lst: list,
      list,
      flush,
    },
    "show",
    "ip address",
  );

/** Flags that may be given, by iproute2's names. */
const FLAGS: Readonly<Record<string, AddressFlag>> = {
  home: "home-address",
  nodad: "no-dad",
  optimistic: "optimistic",
  mngtmpaddr: "manage-temporary",
  noprefixroute: "no-prefix-route",
  autojoin: "multicast-join",
};

/** `100`, `100sec` or "forever". */
function lifetime(words: Words): number {
  if (words.accept("forever")) return Infinity;
  const given = words.take("seconds");
  const [, digits] = /^(\d+)(?:s|sec|secs)?$/.exec(given) ?? [];
  if (digits === undefined)
    throw new WordError(`"${given}": it is a number of seconds, or "forever"`);
  return Number(digits);
}

function change(words: Words, verb: "add" | "replace" | "delete"): Command {
  const spec: AddressSpec = {};
  let name: string | undefined;
  let given: string | undefined;
  let peer: string | undefined;
  words.parameters(
    {
      dev: (rest) => void (name = device(rest)),
      local: (rest) => void (given = prefix(rest)),
      peer: (rest) => void (peer = prefix(rest)),
      remote: (rest) => void (peer = prefix(rest)),
      broadcast: (rest) => void (spec.broadcast = broadcast(rest)),
      brd: (rest) => void (spec.broadcast = broadcast(rest)),
      label: (rest) => void (spec.label = rest.take("a label")),
      scope: (rest) => void (spec.scope = scope(rest)),
      metric: (rest) => void (spec.metric = number(rest)),
      priority: (rest) => void (spec.metric = number(rest)),
      valid_lft: (rest) => void (spec.validSeconds = lifetime(rest)),
      preferred_lft: (rest) => void (spec.preferredSeconds = lifetime(rest)),
      ...Object.fromEntries(
        Object.entries(FLAGS).map(([word, flag]) => [
          word,
          () => void (spec.flags = [...(spec.flags ?? []), flag]),
        ]),
      ),
    },
    `word of ip address ${verb}`,
    (rest) => {
      if (given !== undefined) return false;
      given = prefix(rest);
      return true;
    },
  );
  if (given === undefined) throw new WordError("an address is missing");
  const target = needed(name, "dev");
  // The length is written behind the other end.
  const [own = "", length] = given.split("/");
  const whole =
    peer?.includes("/") && length === undefined ? `${own}/${peer.split("/")[1]}` : given;
  if (peer !== undefined) spec.peer = peer.split("/")[0] ?? "";
  // Unlike our own calls, iproute2 gives no broadcast address that was not asked for.
  if (spec.broadcast === undefined) spec.broadcast = null;
  if (spec.broadcast === "+") delete spec.broadcast;
  return ({ network }) =>
    verb === "delete"
      ? network.address.delete(target, whole, spec.peer === undefined ? {} : { peer: spec.peer })
      : network.address[verb](target, whole, spec);
}

/** "+" is the network's last address. */
const broadcast = (words: Words): string => (words.accept("+") ? "+" : plainAddress(words));

function scope(words: Words): string | number {
  return /^\d+$/.test(words.next ?? "")
    ? number(words, 0, 255)
    : words.oneOf(["global", "site", "link", "host", "nowhere"], "scope");
}

interface AddressFilter extends LinkFilter {
  to?: string;
  scope?: string | number;
  label?: string;
  flags: AddressFlag[];
}

function readFilter(words: Words, what: string): AddressFilter {
  const filter: AddressFilter = { flags: [] };
  const flag = (name: AddressFlag) => () => void filter.flags.push(name);
  words.parameters(
    {
      ...filterWords(filter),
      to: (rest) => void (filter.to = prefix(rest)),
      scope: (rest) => void (filter.scope = scope(rest)),
      label: (rest) => void (filter.label = rest.take("a label")),
      permanent: flag("permanent"),
      tentative: flag("tentative"),
      deprecated: flag("deprecated"),
      secondary: flag("secondary"),
      temporary: flag("secondary"),
    },
    what,
    (rest) => {
      if (filter.device !== undefined || rest.next === undefined) return false;
      filter.device = device(rest);
      return true;
    },
  );
  return filter;
}

/** Whether an address is in a network. */
function inside(one: string, wanted: string): boolean {
  const [own, of] = [parsePrefix(one, "address"), parsePrefix(wanted, "to")];
  if (own.family !== of.family || own.prefixLength < of.prefixLength) return false;
  const bits = ({ bytes }: { bytes: Uint8Array }) =>
    Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits(own).slice(0, of.prefixLength) === bits(of).slice(0, of.prefixLength);
}

function fits(one: InterfaceAddress, filter: AddressFilter, { family }: Flags): boolean {
  const isIpv6 = one.address.includes(":");
  return (
    (family === undefined || (family === "ipv6") === isIpv6) &&
    (filter.scope === undefined || filter.scope === one.scope) &&
    (filter.label === undefined || filter.label === one.label) &&
    (filter.to === undefined || inside(one.address, filter.to)) &&
    filter.flags.every((flag) => one.flags.includes(flag))
  );
}

function list(words: Words, flags: Flags): Command {
  const filter = readFilter(words, "word of ip address show");
  const asksForSome =
    filter.to !== undefined ||
    filter.scope !== undefined ||
    filter.label !== undefined ||
    filter.flags.length > 0 ||
    flags.family !== undefined;
  return async (context) => {
    const { all, wanted } = await linksOf(context, filter);
    const found = await context.network.address.list();
    const items = wanted
      .map((link) => ({
        link,
        addresses: found.filter((one) => one.device === link.name && fits(one, filter, flags)),
      }))
      .filter(({ addresses }) => addresses.length > 0 || !asksForSome);
    await show(
      context,
      flags,
      items,
      (item) => addressedRecord(item, all, flags),
      (item) => addressedText(item, all, flags),
    );
  };
}

function flush(words: Words, flags: Flags): Command {
  const filter = readFilter(words, "word of ip address flush");
  const target = needed(filter.device, "dev");
  return async ({ network }) => {
    for (const one of await network.address.list(target))
      if (fits(one, filter, flags)) {
        // Secondary ones may be gone with their first one.
        const left = await network.address.list(target);
        if (left.some(({ address: own }) => own === one.address))
          await network.address.delete(
            target,
            one.address,
            one.peer === undefined ? {} : { peer: one.peer },
          );
      }
  };
}
