// Ports of bridges, their VLANs and stations, as `bridge` shows them.

import type { BridgeVlanSpec, Link, Neighbour } from "../../../net/index.ts";
import type { Flags } from "../command.ts";
import { bridgePortPairs, pairsText, recordOf } from "./link-kinds.ts";
import { flagNames, nameText } from "./link.ts";

/** What is told without being asked for details. */
const USUAL: ReadonlySet<string> = new Set(["state", "priority", "cost"]);

const usualPairs = (link: Link) => bridgePortPairs(link).filter(([key]) => USUAL.has(key));
const otherPairs = (link: Link) =>
  bridgePortPairs(link).filter(([key]) => !USUAL.has(key) && key !== "no");

export function portRecord(
  link: Link,
  all: readonly Link[],
  flags: Flags,
): Record<string, unknown> {
  return {
    ifindex: link.index,
    ...(link.link !== undefined &&
      (typeof link.link === "number" ? { link_index: link.link } : { link: link.link })),
    ifname: link.name,
    flags: flagNames(link, all),
    mtu: link.mtu,
    master: link.master,
    ...recordOf(usualPairs(link)),
    ...(flags.details && recordOf(otherPairs(link))),
  };
}

export function portText(link: Link, all: readonly Link[], flags: Flags): string {
  const head =
    `${link.index}: ${nameText(link)}: <${flagNames(link, all).join(",")}> ` +
    `mtu ${link.mtu} master ${link.master} ${pairsText(usualPairs(link))}`;
  return `${head}\n${flags.details ? `    ${pairsText(otherPairs(link))}\n` : ""}`;
}

const FLAGS: readonly (readonly [flag: string, name: string])[] = [
  ["self", "self"],
  ["externally-learned", "extern_learn"],
  ["offloaded", "offload"],
  ["sticky", "sticky"],
];

const STATES: Readonly<Record<string, string>> = {
  permanent: "permanent",
  "no-arp": "static",
  stale: "stale",
  reachable: "",
};

const entryFlags = ({ flags }: Neighbour): string[] =>
  FLAGS.filter(([flag]) => flags.some((one) => one === flag)).map(([, name]) => name);

/** Told only of what a bridge knows, not of what its device does. */
const masterOf = (entry: Neighbour, master: string | number | undefined) =>
  entry.flags.includes("self") ? undefined : (master ?? entry.device);

/** @param named whether the port is told: it goes without saying if it was asked for */
export function forwardingRecord(
  entry: Neighbour,
  master: string | number | undefined,
  named: boolean,
): Record<string, unknown> {
  const of = masterOf(entry, master);
  return {
    mac: entry.hardwareAddress,
    ...(named && { ifname: entry.device }),
    ...(entry.address !== undefined && { dst: entry.address }),
    ...(entry.vlan !== undefined && { vlan: entry.vlan }),
    ...(entry.port !== undefined && { port: entry.port }),
    ...(entry.vni !== undefined && { vni: entry.vni }),
    flags: entryFlags(entry),
    ...(of !== undefined && { master: of }),
    state: STATES[entry.state] ?? String(entry.state),
  };
}

export function forwardingText(
  entry: Neighbour,
  master: string | number | undefined,
  named: boolean,
): string {
  const of = masterOf(entry, master);
  const words = [
    `${entry.hardwareAddress}${named ? ` dev ${entry.device}` : ""}`,
    ...(entry.address === undefined ? [] : [`dst ${entry.address}`]),
    ...(entry.vlan === undefined ? [] : [`vlan ${entry.vlan}`]),
    ...(entry.port === undefined ? [] : [`port ${entry.port}`]),
    ...(entry.vni === undefined ? [] : [`vni ${entry.vni}`]),
    ...entryFlags(entry),
    ...(of === undefined ? [] : [`master ${of}`]),
    STATES[entry.state] ?? String(entry.state),
  ];
  return `${words.join(" ")}\n`;
}

/** A port with its VLANs. */
export interface PortVlans {
  readonly device: string | number;
  readonly vlans: BridgeVlanSpec[];
}

const vlanFlags = ({ pvid, untagged }: BridgeVlanSpec): string[] => [
  ...(pvid ? ["PVID"] : []),
  ...(untagged ? ["Egress Untagged"] : []),
];

export const vlanRecord = ({ device, vlans }: PortVlans): Record<string, unknown> => ({
  ifname: device,
  vlans: vlans.map((one) => {
    const flags = vlanFlags(one);
    return Object.assign(
      { vlan: one.id },
      one.to === undefined ? {} : { vlanEnd: one.to },
      flags.length ? { flags } : {},
    );
  }),
});

const NAME_WIDTH = 17;

export const vlanText = ({ device, vlans }: PortVlans): string =>
  vlans
    .map((one, i) => {
      const range = one.to === undefined ? `${one.id}` : `${one.id}-${one.to}`;
      const name = (i ? "" : String(device)).padEnd(NAME_WIDTH);
      return `${name} ${[range, ...vlanFlags(one)].join(" ")}\n`;
    })
    .join("");
