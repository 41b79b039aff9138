// What follows `ip link add … type KIND`: parameters of kinds of links.

import type { LinkChanges } from "../../../net/index.ts";
import { both, constant, put } from "../parameters.ts";
import type { Options, Reader, Readers } from "../parameters.ts";
import { address, choice, mac, number, onOff } from "../values.ts";
import { wordOf, unknownWord } from "../words.ts";
import type { Words } from "../words.ts";
import { device } from "./verbs.ts";

/** What only a running network knows: numbers of interfaces, namespaces. */
export interface Later {
  /** The options of the kind. */
  options?: Options;
  /** Names of interfaces whose numbers go to these places of a kind's options. */
  readonly indexes: { readonly option: string; readonly device: string }[];
  /** The namespace of a veth's other end. */
  peerNamespace?: string;
}

/** Parameters of a kind, which go to its options. */
type Kind = (options: Options, later: Later) => Readers;

const below =
  (later: Later, option = "deviceIndex"): Reader =>
  (words) => {
    later.indexes.push({ option, device: device(words) });
  };
const hundredths = (words: Words): number => number(words) / 100;
const ttl = (words: Words): number => (words.accept("inherit", "auto") ? 0 : number(words, 0, 255));

const VLAN_FLAGS = {
  reorder_hdr: "reorderHeader",
  gvrp: "gvrp",
  mvrp: "mvrp",
  loose_binding: "looseBinding",
  bridge_binding: "bridgeBinding",
} as const;

function vlan(options: Options): Readers {
  const flag =
    (name: string): Reader =>
    (words) => {
      const flags = new Set((options.flags ?? ["reorderHeader"]) as string[]);
      if (onOff(words)) flags.add(name);
      else flags.delete(name);
      options.flags = [...flags];
    };
  return {
    id: put(options, "id", (words) => number(words, 0, 4095)),
    protocol: put(options, "protocol", (words) => {
      const given = words.take("a protocol").toLowerCase();
      const known = ["802.1q", "802.1ad"];
      if (!known.includes(given)) throw unknownWord(given, "protocol", known);
      return given;
    }),
    ...Object.fromEntries(Object.entries(VLAN_FLAGS).map(([word, name]) => [word, flag(name)])),
  };
}

const bridge: Kind = (options) => ({
  stp_state: put(options, "stp", onOff),
  priority: put(options, "priority", (words) => number(words, 0, 0xffff)),
  forward_delay: put(options, "forwardDelaySeconds", hundredths),
  hello_time: put(options, "helloTimeSeconds", hundredths),
  max_age: put(options, "maxAgeSeconds", hundredths),
  ageing_time: put(options, "ageingTimeSeconds", hundredths),
  group_fwd_mask: put(options, "groupForwardMask", (words) => number(words, 0, 0xffff)),
  vlan_filtering: put(options, "vlanFiltering", onOff),
  vlan_protocol: put(options, "vlanProtocol", (words) =>
    choice(words, ["802.1q", "802.1ad", "802.1Q"]).toLowerCase(),
  ),
  vlan_default_pvid: put(options, "vlanDefaultPvid", (words) => number(words, 0, 4094)),
  vlan_stats_enabled: put(options, "vlanStatistics", onOff),
  mcast_snooping: put(options, "multicastSnooping", onOff),
  mcast_querier: put(options, "multicastQuerier", onOff),
});

const vxlan: Kind = (options, later) => ({
  id: put(options, "id", (words) => number(words, 0, 0xffffff)),
  vni: put(options, "id", (words) => number(words, 0, 0xffffff)),
  remote: put(options, "remote", address),
  group: put(options, "remote", address),
  local: put(options, "local", address),
  dev: below(later),
  dstport: put(options, "port", (words) => number(words, 0, 0xffff)),
  srcport: put(options, "sourcePorts", (words) => ({
    low: number(words, 0, 0xffff),
    high: number(words, 0, 0xffff),
  })),
  ttl: put(options, "ttl", ttl),
  tos: put(options, "tos", (words) => number(words, 0, 255)),
  ageing: put(options, "ageingSeconds", (words) => number(words)),
  maxaddress: put(options, "limit", (words) => number(words)),
  external: constant(options, "collectMetadata", true),
  gbp: constant(options, "groupPolicy", true),
  ...both(options, "learning", "learning"),
  ...both(options, "proxy", "proxy"),
  ...both(options, "l2miss", "l2Miss"),
  ...both(options, "l3miss", "l3Miss"),
  ...both(options, "udpcsum", "udpChecksum"),
});

const MODES = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
] as const;

const bond: Kind = (options, later) => ({
  mode: put(options, "mode", (words) => {
    if (/^[0-6]$/.test(words.next ?? "")) return MODES[number(words, 0, 6)];
    return choice(words, MODES);
  }),
  miimon: put(options, "miimonMs", (words) => number(words)),
  updelay: put(options, "upDelayMs", (words) => number(words)),
  downdelay: put(options, "downDelayMs", (words) => number(words)),
  use_carrier: put(options, "useCarrier", onOff),
  arp_interval: put(options, "arpIntervalMs", (words) => number(words)),
  arp_ip_target: put(options, "arpTargets", (words) => words.take("addresses").split(",")),
  active_slave: below(later, "activeIndex"),
  primary: below(later, "primaryIndex"),
  fail_over_mac: put(options, "failOverMac", (words) =>
    choice(words, ["none", "active", "follow"]),
  ),
  xmit_hash_policy: put(options, "hashPolicy", (words) =>
    choice(words, ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"]),
  ),
  resend_igmp: put(options, "resendIgmp", (words) => number(words, 0, 255)),
  min_links: put(options, "minLinks", (words) => number(words)),
  all_slaves_active: put(options, "allPortsActive", onOff),
  lacp_rate: put(options, "lacpRate", (words) => choice(words, ["slow", "fast"])),
  packets_per_slave: put(options, "packetsPerPort", (words) => number(words, 0, 0xffff)),
});

const macvlan: Kind = (options) => ({
  mode: put(options, "mode", (words) =>
    choice(words, ["private", "vepa", "bridge", "passthru", "source"]),
  ),
  bcqueuelen: put(options, "broadcastQueue", (words) => number(words)),
});

const ipvlan: Kind = (options) => ({
  mode: put(options, "mode", (words) => choice(words, ["l2", "l3", "l3s"])),
  private: constant(options, "flags", ["private"]),
  vepa: constant(options, "flags", ["vepa"]),
});

const endpoints = (options: Options, later: Later): Readers => ({
  remote: put(options, "remote", address),
  local: put(options, "local", address),
  ttl: put(options, "ttl", ttl),
  tos: put(options, "tos", (words) => (words.accept("inherit") ? 1 : number(words, 0, 255))),
  dev: below(later),
  pmtudisc: constant(options, "pathMtuDiscovery", true),
  nopmtudisc: constant(options, "pathMtuDiscovery", false),
  fwmark: put(options, "mark", (words) => number(words)),
});

const tunnel: Kind = (options, later) => ({
  ...endpoints(options, later),
  encaplimit: put(options, "encapsulationLimit", (words) => number(words, 0, 255)),
});

const gre: Kind = (options, later) => {
  const add = (side: "input" | "output", flag: string) => {
    const name = `${side}Flags`;
    options[name] = [...new Set([...((options[name] ?? []) as string[]), flag])];
  };
  const key =
    (...sides: readonly ("input" | "output")[]): Reader =>
    (words) => {
      const given = number(words);
      for (const side of sides) {
        add(side, "key");
        options[`${side}Key`] = given;
      }
    };
  const flags =
    (flag: string, ...sides: readonly ("input" | "output")[]): Reader =>
    () => {
      for (const side of sides) add(side, flag);
    };
  return {
    ...endpoints(options, later),
    key: key("input", "output"),
    ikey: key("input"),
    okey: key("output"),
    csum: flags("checksum", "input", "output"),
    icsum: flags("checksum", "input"),
    ocsum: flags("checksum", "output"),
    seq: flags("sequence", "input", "output"),
    iseq: flags("sequence", "input"),
    oseq: flags("sequence", "output"),
    ignore_df: constant(options, "ignoreDontFragment", true),
    external: constant(options, "collectMetadata", true),
  };
};

const geneve: Kind = (options) => ({
  id: put(options, "id", (words) => number(words, 0, 0xffffff)),
  vni: put(options, "id", (words) => number(words, 0, 0xffffff)),
  remote: put(options, "remote", address),
  dstport: put(options, "port", (words) => number(words, 0, 0xffff)),
  ttl: put(options, "ttl", ttl),
  tos: put(options, "tos", (words) => number(words, 0, 255)),
  external: constant(options, "collectMetadata", true),
  ...both(options, "udpcsum", "udpChecksum"),
});

/** `peer name v1 [address …] [mtu …] [netns NAME]`: the words of a link again. */
const veth: Kind = (options, later) => {
  const peer: Options = {};
  return {
    peer: (words) => {
      options.peer = peer;
      words.parameters(
        {
          name: put(peer, "name", device),
          address: put(peer, "address", mac),
          mtu: put(peer, "mtu", (rest) => number(rest, 0, 65535)),
          txqueuelen: put(peer, "txQueueLength", (rest) => number(rest)),
          numtxqueues: put(peer, "txQueues", (rest) => number(rest, 1)),
          numrxqueues: put(peer, "rxQueues", (rest) => number(rest, 1)),
          netns: (rest) => {
            later.peerNamespace = rest.take("a namespace's name");
          },
        },
        "word of a veth's peer",
        (rest) => {
          // `peer v1` is short for `peer name v1`.
          if (peer.name !== undefined) return false;
          peer.name = device(rest);
          return true;
        },
      );
    },
  };
};

const vrf: Kind = (options) => ({ table: put(options, "table", (words) => number(words, 1)) });
const none: Kind = () => ({});

/** Kinds by the kernel's names, with the names that their options have. */
const KINDS: Readonly<Record<string, readonly [option: keyof LinkChanges | null, kind: Kind]>> = {
  dummy: [null, none],
  bridge: ["bridge", bridge],
  vlan: ["vlan", vlan],
  veth: ["veth", veth],
  bond: ["bond", bond],
  vxlan: ["vxlan", vxlan],
  macvlan: ["macvlan", macvlan],
  macvtap: ["macvtap", macvlan],
  ipvlan: ["ipvlan", ipvlan],
  vrf: ["vrf", vrf],
  wireguard: [null, none],
  ifb: [null, none],
  nlmon: [null, none],
  gre: ["gre", gre],
  gretap: ["gretap", gre],
  ip6gre: ["ip6gre", gre],
  ip6gretap: ["ip6gretap", gre],
  ipip: ["ipip", tunnel],
  sit: ["sit", tunnel],
  ip6tnl: ["ip6tnl", tunnel],
  geneve: ["geneve", geneve],
};

/** A kind with its parameters. @throws {WordError} that tells those that there are */
export function readKind(words: Words, spec: Options, later: Later): string {
  const kind = words.take("a kind of links");
  if (!Object.hasOwn(KINDS, kind)) throw unknownWord(kind, "kind of links", Object.keys(KINDS));
  const [option, readers] = KINDS[kind];
  const options: Options = {};
  later.options = options;
  words.parameters(readers(options, later), `parameter of ${kind}`);
  if (option !== null && (Object.keys(options).length || later.indexes.length))
    spec[option] = options;
  return kind;
}

const PORT = {
  hairpin: "hairpin",
  guard: "guard",
  root_block: "rootBlock",
  fastleave: "fastLeave",
  learning: "learning",
  flood: "flood",
  mcast_flood: "multicastFlood",
  bcast_flood: "broadcastFlood",
  proxy_arp: "proxyArp",
  neigh_suppress: "neighbourSuppress",
  vlan_tunnel: "vlanTunnel",
  isolated: "isolated",
  locked: "locked",
} as const;

const STATES = ["disabled", "listening", "learning", "forwarding", "blocking"] as const;

/** Parameters of a bridge's port: of `ip link set … type bridge_slave` and `bridge link set`. */
export function bridgePort(options: Options): Readers {
  return {
    state: put(options, "state", (words) => {
      if (/^[0-4]$/.test(words.next ?? "")) return STATES[number(words, 0, 4)];
      return STATES[STATES.indexOf(wordOf(choice(words, STATES), STATES) ?? "disabled")];
    }),
    priority: put(options, "priority", (words) => number(words, 0, 63)),
    cost: put(options, "cost", (words) => number(words, 1, 65535)),
    ...Object.fromEntries(
      Object.entries(PORT).map(([word, name]) => [word, put(options, name, onOff)]),
    ),
  };
}

/** Parameters of a bond's part. */
export const bondPort = (options: Options): Readers => ({
  queue_id: put(options, "queue", (words) => number(words, 0, 0xffff)),
  prio: put(options, "priority", (words) => number(words, -(2 ** 31), 2 ** 31 - 1)),
});
