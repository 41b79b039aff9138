// bridge: ports of bridges, their VLANs, and what bridges know of where stations are.

import type { ForwardingSpec, Link, NeighbourFlag } from "../../../net/index.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { flagsOf, inNamespace } from "../ip/index.ts";
import { bridgePort } from "../ip/link-kinds.ts";
import { device, needed, verbOf } from "../ip/verbs.ts";
import {
  forwardingRecord,
  forwardingText,
  portRecord,
  portText,
  vlanRecord,
  vlanText,
} from "../show/bridge.ts";
import type { PortVlans } from "../show/bridge.ts";
import { address, mac, number } from "../values.ts";
import { unknownWord, WordError, wordOf } from "../words.ts";
import type { Words } from "../words.ts";

const OBJECTS: Readonly<Record<string, (words: Words, flags: Flags) => Command>> = {
  link,
  fdb,
  vlan,
};

/** `bridge -j vlan show dev eth0` */
export function bridge(words: Words): Command {
  const flags = flagsOf(words);
  const names = Object.keys(OBJECTS);
  const given = words.take("an object");
  const name = wordOf(given, names);
  if (name === undefined) throw unknownWord(given, "object of bridge", names);
  return inNamespace(OBJECTS[name](words, flags), flags);
}

function link(words: Words, flags: Flags): Command {
  return verbOf(words, flags, { set: setPort, show: ports, list: ports }, "show", "bridge link");
}

function setPort(words: Words): Command {
  const options: Record<string, unknown> = {};
  let name: string | undefined;
  words.parameters(
    {
      dev: (rest) => void (name = device(rest)),
      self: () => {},
      master: () => {},
      ...bridgePort(options),
    },
    "word of bridge link set",
  );
  const target = needed(name, "dev");
  return ({ network }) => network.link.set(target, { bridgePort: options });
}

function ports(words: Words, flags: Flags): Command {
  let name: string | undefined;
  words.parameters({ dev: (rest) => void (name = device(rest)) }, "word of bridge link show");
  return async (context) => {
    if (name !== undefined) await context.network.link.get(name);
    const all = await context.network.link.list();
    const wanted = all.filter(
      (one) => one.portKind === "bridge" && (name === undefined || one.name === name),
    );
    await show(
      context,
      flags,
      wanted,
      (one: Link) => portRecord(one, all, flags),
      (one: Link) => portText(one, all, flags),
    );
  };
}

function fdb(words: Words, flags: Flags): Command {
  return verbOf(
    words,
    flags,
    {
      add: (rest) => changeEntry(rest, "addForwarding"),
      append: (rest) => changeEntry(rest, "addForwarding"),
      delete: (rest) => changeEntry(rest, "deleteForwarding"),
      show: entries,
      list: entries,
    },
    "show",
    "bridge fdb",
  );
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function changeEntry(words: Words, verb: "addForwarding" | "deleteForwarding"): Command {
  const spec: Partial<Mutable<ForwardingSpec>> = {};
  const flags: NeighbourFlag[] = [];
  const state = (name: string) => () => void (spec.state = name);
  words.parameters(
    {
      dev: (rest) => void (spec.device = device(rest)),
      dst: (rest) => void (spec.address = address(rest)),
      vlan: (rest) => void (spec.vlan = number(rest, 1, 4094)),
      vni: (rest) => void (spec.vni = number(rest, 0, 0xffffff)),
      port: (rest) => void (spec.port = number(rest, 1, 0xffff)),
      self: () => void flags.push("self"),
      master: () => void flags.push("master"),
      sticky: () => void flags.push("sticky"),
      extern_learn: () => void flags.push("externally-learned"),
      permanent: state("permanent"),
      local: state("permanent"),
      static: state("no-arp"),
      dynamic: state("reachable"),
    },
    "word of bridge fdb",
    (rest) => {
      if (spec.hardwareAddress !== undefined) return false;
      spec.hardwareAddress = mac(rest);
      return true;
    },
  );
  if (spec.hardwareAddress === undefined) throw new WordError("a hardware address is missing");
  const entry: ForwardingSpec = {
    ...spec,
    hardwareAddress: spec.hardwareAddress,
    device: needed(spec.device, "dev"),
    // As bridge(8): of the device itself, if it is not said otherwise.
    flags: flags.includes("self") || flags.includes("master") ? flags : [...flags, "self"],
  };
  return ({ network }) => network.neighbour[verb](entry);
}

function entries(words: Words, flags: Flags): Command {
  let name: string | undefined;
  let of: string | undefined;
  words.parameters(
    {
      dev: (rest) => void (name = device(rest)),
      brport: (rest) => void (name = device(rest)),
      br: (rest) => void (of = device(rest)),
    },
    "word of bridge fdb show",
  );
  return async (context) => {
    const { network } = context;
    if (of !== undefined) await network.link.get(of);
    const links = await network.link.list();
    const all = await network.neighbour.forwarding(name);
    const masterOf = (port: string | number) => links.find((one) => one.name === port)?.master;
    const wanted = all.filter(
      ({ device: port }) => of === undefined || port === of || masterOf(port) === of,
    );
    await show(
      context,
      flags,
      wanted,
      (one) => forwardingRecord(one, masterOf(one.device), name === undefined),
      (one) => forwardingText(one, masterOf(one.device), name === undefined),
    );
  };
}

function vlan(words: Words, flags: Flags): Command {
  return verbOf(
    words,
    flags,
    {
      add: (rest) => changeVlan(rest, "add"),
      delete: (rest) => changeVlan(rest, "delete"),
      show: vlans,
      list: vlans,
    },
    "show",
    "bridge vlan",
  );
}

function changeVlan(words: Words, verb: "add" | "delete"): Command {
  let name: string | undefined;
  let id: { id: number; to?: number } | undefined;
  const options: { pvid?: boolean; untagged?: boolean } = {};
  words.parameters(
    {
      dev: (rest) => void (name = device(rest)),
      vid: (rest) => {
        const given = rest.take("a VLAN's number");
        const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(given) ?? [];
        if (from === undefined || Number(from) < 1 || Number(to ?? from) > 4094)
          throw new WordError(`vid "${given}": it is a number from 1 to 4094, or like 2-10`);
        id = { id: Number(from), ...(to !== undefined && { to: Number(to) }) };
      },
      pvid: () => void (options.pvid = true),
      untagged: () => void (options.untagged = true),
      self: () => {},
      master: () => {},
    },
    `word of bridge vlan ${verb}`,
  );
  const target = needed(name, "dev");
  const spec = { ...needed(id, "vid"), ...options };
  return ({ network }) => network.bridgeVlan[verb](target, spec);
}

function vlans(words: Words, flags: Flags): Command {
  let name: string | undefined;
  words.parameters({ dev: (rest) => void (name = device(rest)) }, "word of bridge vlan show");
  return async (context) => {
    const all = await context.network.bridgeVlan.list(name);
    const byPort = new Map<string | number, PortVlans>();
    for (const { device: port, ...one } of all) {
      const entry = byPort.get(port) ?? { device: port, vlans: [] };
      entry.vlans.push(one);
      byPort.set(port, entry);
    }
    const head = flags.json || context.json || !byPort.size ? "" : "port              vlan-id  \n";
    if (head) await context.write(head);
    await show(context, flags, [...byPort.values()], vlanRecord, vlanText);
  };
}
