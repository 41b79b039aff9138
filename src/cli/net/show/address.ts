// Addresses as `ip addr` shows them: behind their link.

import type { InterfaceAddress, Link } from "../../../net/index.ts";
import type { Flags } from "../command.ts";
import { briefRecord, briefText, linkRecord, linkText } from "./link.ts";

/** What the kernel calls a time without end. */
const FOREVER = 0xffffffff;

/** In iproute2's order. What is not permanent is "dynamic". */
const FLAG_NAMES: readonly (readonly [flag: string, name: string])[] = [
  ["secondary", "secondary"],
  ["tentative", "tentative"],
  ["deprecated", "deprecated"],
  ["home-address", "home"],
  ["no-dad", "nodad"],
  ["optimistic", "optimistic"],
  ["dad-failed", "dadfailed"],
  ["manage-temporary", "mngtmpaddr"],
  ["no-prefix-route", "noprefixroute"],
  ["multicast-join", "autojoin"],
  ["stable-privacy", "stable-privacy"],
];

function flagNames({ flags, address }: InterfaceAddress): string[] {
  const isIpv6 = address.includes(":");
  const names = FLAG_NAMES.filter(([flag]) => flags.some((one) => one === flag)).map(
    // The same bit: an address that changes from time to time.
    ([, name]) => (name === "secondary" && isIpv6 ? "temporary" : name),
  );
  return flags.includes("permanent") ? names : [...names, "dynamic"];
}

function split({ address, peer }: InterfaceAddress) {
  const [local = "", length = ""] = address.split("/");
  return { local, prefixlen: Number(length), ...(peer !== undefined && { address: peer }) };
}

const briefAddress = (one: InterfaceAddress) => ({
  ...split(one),
  ...(one.metric !== undefined && { metric: one.metric }),
});

const life = (seconds: number): number => (seconds === Infinity ? FOREVER : seconds);
const lifeText = (seconds: number): string => (seconds === Infinity ? "forever" : `${seconds}sec`);

/** As it stands on one line. */
function shortText(one: InterfaceAddress): string {
  const { local, prefixlen, address } = split(one);
  const peer = address === undefined ? "" : ` peer ${address}`;
  return `${local}${peer}/${prefixlen}${one.metric === undefined ? "" : ` metric ${one.metric}`}`;
}

export function addressRecord(one: InterfaceAddress): Record<string, unknown> {
  return {
    family: one.address.includes(":") ? "inet6" : "inet",
    ...split(one),
    ...(one.metric !== undefined && { metric: one.metric }),
    ...(one.broadcast !== undefined && { broadcast: one.broadcast }),
    scope: one.scope,
    ...Object.fromEntries(flagNames(one).map((name) => [name, true])),
    ...(one.label !== undefined && { label: one.label }),
    valid_life_time: life(one.validSeconds),
    preferred_life_time: life(one.preferredSeconds),
  };
}

/** The two lines of an address. */
export function addressText(one: InterfaceAddress): string {
  const { local, prefixlen, address } = split(one);
  const words = [
    one.address.includes(":") ? "inet6" : "inet",
    address === undefined ? `${local}/${prefixlen}` : `${local} peer ${address}/${prefixlen}`,
    ...(one.metric === undefined ? [] : [`metric ${one.metric}`]),
    ...(one.broadcast === undefined ? [] : [`brd ${one.broadcast}`]),
    `scope ${one.scope}`,
    ...flagNames(one),
    // Where a label would be is a space.
    one.label ?? "",
  ];
  return (
    `    ${words.join(" ")}\n` +
    `       valid_lft ${lifeText(one.validSeconds)} preferred_lft ${lifeText(one.preferredSeconds)}\n`
  );
}

/** A link with its addresses. */
export interface Addressed {
  readonly link: Link;
  readonly addresses: readonly InterfaceAddress[];
}

export function addressedRecord(
  { link, addresses }: Addressed,
  all: readonly Link[],
  flags: Flags,
): Record<string, unknown> {
  if (flags.brief) return { ...briefRecord(link), addr_info: addresses.map(briefAddress) };
  return { ...linkRecord(link, all, flags, false), addr_info: addresses.map(addressRecord) };
}

export function addressedText(
  { link, addresses }: Addressed,
  all: readonly Link[],
  flags: Flags,
): string {
  if (flags.brief) return briefText(link, addresses.map(shortText));
  const head = linkText(link, all, flags, false);
  return head + addresses.map(addressText).join("");
}
