// Kinds of links, and what each has besides what all links have (IFLA_INFO_DATA).

import {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_BROADCAST,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  BR_STATE_BLOCKING,
  BR_STATE_DISABLED,
  BR_STATE_FORWARDING,
  BR_STATE_LEARNING,
  BR_STATE_LISTENING,
  IFLA_ADDRESS,
  IFLA_BOND_ACTIVE_SLAVE,
  IFLA_BOND_AD_LACP_RATE,
  IFLA_BOND_ALL_SLAVES_ACTIVE,
  IFLA_BOND_ARP_INTERVAL,
  IFLA_BOND_ARP_IP_TARGET,
  IFLA_BOND_DOWNDELAY,
  IFLA_BOND_FAIL_OVER_MAC,
  IFLA_BOND_LP_INTERVAL,
  IFLA_BOND_MIIMON,
  IFLA_BOND_MIN_LINKS,
  IFLA_BOND_MODE,
  IFLA_BOND_NUM_PEER_NOTIF,
  IFLA_BOND_PACKETS_PER_SLAVE,
  IFLA_BOND_PRIMARY,
  IFLA_BOND_RESEND_IGMP,
  IFLA_BOND_SLAVE_LINK_FAILURE_COUNT,
  IFLA_BOND_SLAVE_MII_STATUS,
  IFLA_BOND_SLAVE_PERM_HWADDR,
  IFLA_BOND_SLAVE_PRIO,
  IFLA_BOND_SLAVE_QUEUE_ID,
  IFLA_BOND_SLAVE_STATE,
  IFLA_BOND_TLB_DYNAMIC_LB,
  IFLA_BOND_UPDELAY,
  IFLA_BOND_USE_CARRIER,
  IFLA_BOND_XMIT_HASH_POLICY,
  IFLA_BRPORT_BCAST_FLOOD,
  IFLA_BRPORT_COST,
  IFLA_BRPORT_FAST_LEAVE,
  IFLA_BRPORT_GUARD,
  IFLA_BRPORT_ISOLATED,
  IFLA_BRPORT_LEARNING,
  IFLA_BRPORT_LOCKED,
  IFLA_BRPORT_MCAST_FLOOD,
  IFLA_BRPORT_MODE,
  IFLA_BRPORT_NEIGH_SUPPRESS,
  IFLA_BRPORT_NO,
  IFLA_BRPORT_PRIORITY,
  IFLA_BRPORT_PROTECT,
  IFLA_BRPORT_PROXYARP,
  IFLA_BRPORT_STATE,
  IFLA_BRPORT_UNICAST_FLOOD,
  IFLA_BRPORT_VLAN_TUNNEL,
  IFLA_BR_AGEING_TIME,
  IFLA_BR_FDB_MAX_LEARNED,
  IFLA_BR_FDB_N_LEARNED,
  IFLA_BR_FORWARD_DELAY,
  IFLA_BR_GROUP_FWD_MASK,
  IFLA_BR_HELLO_TIME,
  IFLA_BR_MAX_AGE,
  IFLA_BR_MCAST_QUERIER,
  IFLA_BR_MCAST_SNOOPING,
  IFLA_BR_PRIORITY,
  IFLA_BR_ROOT_PATH_COST,
  IFLA_BR_ROOT_PORT,
  IFLA_BR_STP_STATE,
  IFLA_BR_TOPOLOGY_CHANGE,
  IFLA_BR_VLAN_DEFAULT_PVID,
  IFLA_BR_VLAN_FILTERING,
  IFLA_BR_VLAN_PROTOCOL,
  IFLA_BR_VLAN_STATS_ENABLED,
  IFLA_GENEVE_COLLECT_METADATA,
  IFLA_GENEVE_ID,
  IFLA_GENEVE_PORT,
  IFLA_GENEVE_REMOTE,
  IFLA_GENEVE_REMOTE6,
  IFLA_GENEVE_TOS,
  IFLA_GENEVE_TTL,
  IFLA_GENEVE_UDP_CSUM,
  IFLA_IFNAME,
  IFLA_IPVLAN_FLAGS,
  IFLA_IPVLAN_MODE,
  IFLA_MACVLAN_BC_QUEUE_LEN,
  IFLA_MACVLAN_FLAGS,
  IFLA_MACVLAN_MACADDR_COUNT,
  IFLA_MACVLAN_MODE,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_NET_NS_PID,
  IFLA_NUM_RX_QUEUES,
  IFLA_NUM_TX_QUEUES,
  IFLA_TUN_GROUP,
  IFLA_TUN_MULTI_QUEUE,
  IFLA_TUN_OWNER,
  IFLA_TUN_PERSIST,
  IFLA_TUN_PI,
  IFLA_TUN_TYPE,
  IFLA_TUN_VNET_HDR,
  IFLA_TXQLEN,
  IFLA_VLAN_EGRESS_QOS,
  IFLA_VLAN_FLAGS,
  IFLA_VLAN_ID,
  IFLA_VLAN_INGRESS_QOS,
  IFLA_VLAN_PROTOCOL,
  IFLA_VLAN_QOS_MAPPING,
  IFLA_VRF_TABLE,
  IFLA_VXLAN_AGEING,
  IFLA_VXLAN_COLLECT_METADATA,
  IFLA_VXLAN_DF,
  IFLA_VXLAN_GBP,
  IFLA_VXLAN_GROUP,
  IFLA_VXLAN_GROUP6,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_L2MISS,
  IFLA_VXLAN_L3MISS,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LIMIT,
  IFLA_VXLAN_LINK,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_PORT_RANGE,
  IFLA_VXLAN_PROXY,
  IFLA_VXLAN_TOS,
  IFLA_VXLAN_TTL,
  IFLA_VXLAN_UDP_CSUM,
  IPVLAN_F_PRIVATE,
  IPVLAN_F_VEPA,
  IPVLAN_MODE_L2,
  IPVLAN_MODE_L3,
  IPVLAN_MODE_L3S,
  MACVLAN_FLAG_NODST,
  MACVLAN_FLAG_NOPROMISC,
  MACVLAN_MODE_BRIDGE,
  MACVLAN_MODE_PASSTHRU,
  MACVLAN_MODE_PRIVATE,
  MACVLAN_MODE_SOURCE,
  MACVLAN_MODE_VEPA,
  VLAN_FLAG_BRIDGE_BINDING,
  VLAN_FLAG_GVRP,
  VLAN_FLAG_LOOSE_BINDING,
  VLAN_FLAG_MVRP,
  VLAN_FLAG_REORDER_HDR,
} from "../abi/constants/if_link.ts";
import {
  GRE_CSUM,
  GRE_KEY,
  GRE_SEQ,
  IFLA_GRE_COLLECT_METADATA,
  IFLA_GRE_FWMARK,
  IFLA_GRE_IFLAGS,
  IFLA_GRE_IGNORE_DF,
  IFLA_GRE_IKEY,
  IFLA_GRE_LINK,
  IFLA_GRE_LOCAL,
  IFLA_GRE_OFLAGS,
  IFLA_GRE_OKEY,
  IFLA_GRE_PMTUDISC,
  IFLA_GRE_REMOTE,
  IFLA_GRE_TOS,
  IFLA_GRE_TTL,
  IFLA_IPTUN_ENCAP_LIMIT,
  IFLA_IPTUN_FWMARK,
  IFLA_IPTUN_LINK,
  IFLA_IPTUN_LOCAL,
  IFLA_IPTUN_PMTUDISC,
  IFLA_IPTUN_PROTO,
  IFLA_IPTUN_REMOTE,
  IFLA_IPTUN_TOS,
  IFLA_IPTUN_TTL,
} from "../abi/constants/if_tunnel.ts";
import { ETH_P_8021AD, ETH_P_8021Q } from "../abi/constants/packet.ts";
import { VETH_INFO_PEER } from "../abi/constants/rtnetlink.ts";
import { Ifinfomsg, IflaVlanFlags, IflaVlanQosMapping } from "../abi/structs/netlink.ts";
import { forIpv6, ip, ipv4, mac } from "./address.ts";
import { AttributeSet, list } from "./netlink/attributes.ts";
import {
  atLeast,
  be16,
  be32,
  bitNames,
  bits,
  bitsOf,
  flag,
  named,
  readOnly,
  record,
  s32,
  scaled,
  text,
  u16,
  u32,
  u8,
  whole,
  yes,
} from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";

/** With its NUL (linux/if.h). */
export const IFNAMSIZ = 16;
/** Of USER_HZ a second: what the kernel tells user space times in. */
const TICKS = 100;

const interfaceName = text(IFNAMSIZ);
const readOnlyU32 = readOnly(u32);

const VLAN_PROTOCOLS = { "802.1q": ETH_P_8021Q, "802.1ad": ETH_P_8021AD } as const;

const VLAN_FLAGS = {
  reorderHeader: VLAN_FLAG_REORDER_HDR,
  gvrp: VLAN_FLAG_GVRP,
  looseBinding: VLAN_FLAG_LOOSE_BINDING,
  mvrp: VLAN_FLAG_MVRP,
  bridgeBinding: VLAN_FLAG_BRIDGE_BINDING,
} as const;

type VlanFlag = keyof typeof VLAN_FLAGS | `0x${string}`;

/** Bits with a mask of those that are meant: all of them. */
const vlanFlags: Codec<readonly VlanFlag[]> = {
  write(to, value) {
    const record = IflaVlanFlags.alloc();
    record.flags = bitsOf(value, VLAN_FLAGS, to.path);
    record.mask = Object.values(VLAN_FLAGS).reduce((all, bit) => all | bit, record.flags);
    to.put(record.bytes);
  },
  read(payload) {
    atLeast(payload, IflaVlanFlags.size);
    return bitNames(IflaVlanFlags.from(payload).flags, VLAN_FLAGS);
  },
};

/** A priority inside of the kernel, and one in the frame, of which one becomes the other. */
const qosMapping = record(
  IflaVlanQosMapping.size,
  (view) => {
    const { from, to } = new IflaVlanQosMapping(view);
    return { from, to };
  },
  (view, value, option) => {
    const target = new IflaVlanQosMapping(view);
    target.from = whole(value.from, 0, 0xffffffff, option("from"));
    target.to = whole(value.to, 0, 0xffffffff, option("to"));
  },
);

const vlan = new AttributeSet({
  id: [IFLA_VLAN_ID, u16],
  protocol: [IFLA_VLAN_PROTOCOL, named(be16, VLAN_PROTOCOLS)],
  flags: [IFLA_VLAN_FLAGS, vlanFlags],
  egressQos: [IFLA_VLAN_EGRESS_QOS, list(qosMapping, { type: IFLA_VLAN_QOS_MAPPING })],
  ingressQos: [IFLA_VLAN_INGRESS_QOS, list(qosMapping, { type: IFLA_VLAN_QOS_MAPPING })],
});

const portRange = record(
  4,
  (view) => ({ low: view.getUint16(0), high: view.getUint16(2) }),
  (view, { low, high }, option) => {
    view.setUint16(0, whole(low, 0, 0xffff, option("low")));
    view.setUint16(2, whole(high, 0, 0xffff, option("high")));
  },
);

const vxlan = new AttributeSet({
  id: [IFLA_VXLAN_ID, u32],
  /** Where frames go whose destination is not known: a host, or a multicast group. */
  remote: [IFLA_VXLAN_GROUP, ip, forIpv6(IFLA_VXLAN_GROUP6)],
  local: [IFLA_VXLAN_LOCAL, ip, forIpv6(IFLA_VXLAN_LOCAL6)],
  /** The index of the interface below. */
  deviceIndex: [IFLA_VXLAN_LINK, u32],
  port: [IFLA_VXLAN_PORT, be16],
  sourcePorts: [IFLA_VXLAN_PORT_RANGE, portRange],
  ttl: [IFLA_VXLAN_TTL, u8],
  tos: [IFLA_VXLAN_TOS, u8],
  learning: [IFLA_VXLAN_LEARNING, yes(u8)],
  ageingSeconds: [IFLA_VXLAN_AGEING, u32],
  limit: [IFLA_VXLAN_LIMIT, u32],
  proxy: [IFLA_VXLAN_PROXY, yes(u8)],
  l2Miss: [IFLA_VXLAN_L2MISS, yes(u8)],
  l3Miss: [IFLA_VXLAN_L3MISS, yes(u8)],
  udpChecksum: [IFLA_VXLAN_UDP_CSUM, yes(u8)],
  collectMetadata: [IFLA_VXLAN_COLLECT_METADATA, yes(u8)],
  groupPolicy: [IFLA_VXLAN_GBP, flag],
  dontFragment: [IFLA_VXLAN_DF, named(u8, { unset: 0, set: 1, inherit: 2 })],
});

const geneve = new AttributeSet({
  id: [IFLA_GENEVE_ID, u32],
  remote: [IFLA_GENEVE_REMOTE, ip, forIpv6(IFLA_GENEVE_REMOTE6)],
  port: [IFLA_GENEVE_PORT, be16],
  ttl: [IFLA_GENEVE_TTL, u8],
  tos: [IFLA_GENEVE_TOS, u8],
  udpChecksum: [IFLA_GENEVE_UDP_CSUM, yes(u8)],
  collectMetadata: [IFLA_GENEVE_COLLECT_METADATA, flag],
});

const bridge = new AttributeSet({
  stp: [IFLA_BR_STP_STATE, yes(u32)],
  priority: [IFLA_BR_PRIORITY, u16],
  forwardDelaySeconds: [IFLA_BR_FORWARD_DELAY, scaled(u32, TICKS)],
  helloTimeSeconds: [IFLA_BR_HELLO_TIME, scaled(u32, TICKS)],
  maxAgeSeconds: [IFLA_BR_MAX_AGE, scaled(u32, TICKS)],
  ageingTimeSeconds: [IFLA_BR_AGEING_TIME, scaled(u32, TICKS)],
  groupForwardMask: [IFLA_BR_GROUP_FWD_MASK, u16],
  vlanFiltering: [IFLA_BR_VLAN_FILTERING, yes(u8)],
  vlanProtocol: [IFLA_BR_VLAN_PROTOCOL, named(be16, VLAN_PROTOCOLS)],
  vlanDefaultPvid: [IFLA_BR_VLAN_DEFAULT_PVID, u16],
  vlanStatistics: [IFLA_BR_VLAN_STATS_ENABLED, yes(u8)],
  multicastSnooping: [IFLA_BR_MCAST_SNOOPING, yes(u8)],
  multicastQuerier: [IFLA_BR_MCAST_QUERIER, yes(u8)],
  maxLearned: [IFLA_BR_FDB_MAX_LEARNED, u32],
  learned: [IFLA_BR_FDB_N_LEARNED, readOnlyU32],
  rootPort: [IFLA_BR_ROOT_PORT, readOnly(u16)],
  rootPathCost: [IFLA_BR_ROOT_PATH_COST, readOnlyU32],
  topologyChange: [IFLA_BR_TOPOLOGY_CHANGE, readOnly(yes(u8))],
});

/** What a link has as a port of a bridge. */
const bridgePort = new AttributeSet({
  state: [
    IFLA_BRPORT_STATE,
    named(u8, {
      disabled: BR_STATE_DISABLED,
      listening: BR_STATE_LISTENING,
      learning: BR_STATE_LEARNING,
      forwarding: BR_STATE_FORWARDING,
      blocking: BR_STATE_BLOCKING,
    }),
  ],
  number: [IFLA_BRPORT_NO, readOnly(u16)],
  priority: [IFLA_BRPORT_PRIORITY, u16],
  cost: [IFLA_BRPORT_COST, u32],
  hairpin: [IFLA_BRPORT_MODE, yes(u8)],
  guard: [IFLA_BRPORT_GUARD, yes(u8)],
  rootBlock: [IFLA_BRPORT_PROTECT, yes(u8)],
  fastLeave: [IFLA_BRPORT_FAST_LEAVE, yes(u8)],
  learning: [IFLA_BRPORT_LEARNING, yes(u8)],
  flood: [IFLA_BRPORT_UNICAST_FLOOD, yes(u8)],
  multicastFlood: [IFLA_BRPORT_MCAST_FLOOD, yes(u8)],
  broadcastFlood: [IFLA_BRPORT_BCAST_FLOOD, yes(u8)],
  proxyArp: [IFLA_BRPORT_PROXYARP, yes(u8)],
  neighbourSuppress: [IFLA_BRPORT_NEIGH_SUPPRESS, yes(u8)],
  vlanTunnel: [IFLA_BRPORT_VLAN_TUNNEL, yes(u8)],
  isolated: [IFLA_BRPORT_ISOLATED, yes(u8)],
  locked: [IFLA_BRPORT_LOCKED, yes(u8)],
});

const bond = new AttributeSet({
  mode: [
    IFLA_BOND_MODE,
    named(u8, {
      "balance-rr": BOND_MODE_ROUNDROBIN,
      "active-backup": BOND_MODE_ACTIVEBACKUP,
      "balance-xor": BOND_MODE_XOR,
      broadcast: BOND_MODE_BROADCAST,
      "802.3ad": BOND_MODE_8023AD,
      "balance-tlb": BOND_MODE_TLB,
      "balance-alb": BOND_MODE_ALB,
    }),
  ],
  /** Index of the link that is used now. */
  activeIndex: [IFLA_BOND_ACTIVE_SLAVE, u32],
  /** Index of the link that is used whenever it can be. */
  primaryIndex: [IFLA_BOND_PRIMARY, u32],
  miimonMs: [IFLA_BOND_MIIMON, u32],
  upDelayMs: [IFLA_BOND_UPDELAY, u32],
  downDelayMs: [IFLA_BOND_DOWNDELAY, u32],
  useCarrier: [IFLA_BOND_USE_CARRIER, yes(u8)],
  arpIntervalMs: [IFLA_BOND_ARP_INTERVAL, u32],
  arpTargets: [IFLA_BOND_ARP_IP_TARGET, list(ipv4, { first: 0 })],
  failOverMac: [IFLA_BOND_FAIL_OVER_MAC, named(u8, { none: 0, active: 1, follow: 2 })],
  hashPolicy: [
    IFLA_BOND_XMIT_HASH_POLICY,
    named(u8, {
      layer2: 0,
      "layer3+4": 1,
      "layer2+3": 2,
      "encap2+3": 3,
      "encap3+4": 4,
      "vlan+srcmac": 5,
    }),
  ],
  resendIgmp: [IFLA_BOND_RESEND_IGMP, u32],
  peerNotifications: [IFLA_BOND_NUM_PEER_NOTIF, u8],
  allPortsActive: [IFLA_BOND_ALL_SLAVES_ACTIVE, yes(u8)],
  minLinks: [IFLA_BOND_MIN_LINKS, u32],
  learningIntervalSeconds: [IFLA_BOND_LP_INTERVAL, u32],
  packetsPerPort: [IFLA_BOND_PACKETS_PER_SLAVE, u32],
  lacpRate: [IFLA_BOND_AD_LACP_RATE, named(u8, { slow: 0, fast: 1 })],
  dynamicBalance: [IFLA_BOND_TLB_DYNAMIC_LB, yes(u8)],
});

/** What a link has as a part of a bond. */
const bondPort = new AttributeSet({
  state: [IFLA_BOND_SLAVE_STATE, readOnly(named(u8, { active: 0, backup: 1 }))],
  miiStatus: [IFLA_BOND_SLAVE_MII_STATUS, readOnly(u8)],
  failures: [IFLA_BOND_SLAVE_LINK_FAILURE_COUNT, readOnlyU32],
  permanentAddress: [IFLA_BOND_SLAVE_PERM_HWADDR, readOnly(mac)],
  queue: [IFLA_BOND_SLAVE_QUEUE_ID, u16],
  priority: [IFLA_BOND_SLAVE_PRIO, s32],
});

const macvlan = new AttributeSet({
  mode: [
    IFLA_MACVLAN_MODE,
    named(u32, {
      private: MACVLAN_MODE_PRIVATE,
      vepa: MACVLAN_MODE_VEPA,
      bridge: MACVLAN_MODE_BRIDGE,
      passthru: MACVLAN_MODE_PASSTHRU,
      source: MACVLAN_MODE_SOURCE,
    }),
  ],
  flags: [
    IFLA_MACVLAN_FLAGS,
    bits(u16, { noPromiscuous: MACVLAN_FLAG_NOPROMISC, noDestination: MACVLAN_FLAG_NODST }),
  ],
  broadcastQueue: [IFLA_MACVLAN_BC_QUEUE_LEN, u32],
  sources: [IFLA_MACVLAN_MACADDR_COUNT, readOnlyU32],
});

const ipvlan = new AttributeSet({
  mode: [
    IFLA_IPVLAN_MODE,
    named(u16, { l2: IPVLAN_MODE_L2, l3: IPVLAN_MODE_L3, l3s: IPVLAN_MODE_L3S }),
  ],
  flags: [IFLA_IPVLAN_FLAGS, bits(u16, { private: IPVLAN_F_PRIVATE, vepa: IPVLAN_F_VEPA })],
});

const vrf = new AttributeSet({ table: [IFLA_VRF_TABLE, u32] });

/** The constants are those of the header on the wire, which the kernel does not swap. */
const greFlags = bits(u16, { checksum: GRE_CSUM, key: GRE_KEY, sequence: GRE_SEQ });

const gre = new AttributeSet({
  deviceIndex: [IFLA_GRE_LINK, u32],
  local: [IFLA_GRE_LOCAL, ip],
  remote: [IFLA_GRE_REMOTE, ip],
  ttl: [IFLA_GRE_TTL, u8],
  tos: [IFLA_GRE_TOS, u8],
  inputFlags: [IFLA_GRE_IFLAGS, greFlags],
  outputFlags: [IFLA_GRE_OFLAGS, greFlags],
  inputKey: [IFLA_GRE_IKEY, be32],
  outputKey: [IFLA_GRE_OKEY, be32],
  pathMtuDiscovery: [IFLA_GRE_PMTUDISC, yes(u8)],
  ignoreDontFragment: [IFLA_GRE_IGNORE_DF, yes(u8)],
  collectMetadata: [IFLA_GRE_COLLECT_METADATA, flag],
  mark: [IFLA_GRE_FWMARK, u32],
});

/** Of ipip, sit and ip6tnl. */
const tunnel = new AttributeSet({
  deviceIndex: [IFLA_IPTUN_LINK, u32],
  local: [IFLA_IPTUN_LOCAL, ip],
  remote: [IFLA_IPTUN_REMOTE, ip],
  ttl: [IFLA_IPTUN_TTL, u8],
  tos: [IFLA_IPTUN_TOS, u8],
  protocol: [IFLA_IPTUN_PROTO, named(u8, { any: 0, ipip: 4, ipv6: 41 })],
  pathMtuDiscovery: [IFLA_IPTUN_PMTUDISC, yes(u8)],
  encapsulationLimit: [IFLA_IPTUN_ENCAP_LIMIT, u8],
  mark: [IFLA_IPTUN_FWMARK, u32],
});

/** Made by a process that opens /dev/net/tun; netlink only tells of it. */
const tun = new AttributeSet({
  type: [IFLA_TUN_TYPE, readOnly(named(u8, { tun: 1, tap: 2 }))],
  owner: [IFLA_TUN_OWNER, readOnlyU32],
  group: [IFLA_TUN_GROUP, readOnlyU32],
  persistent: [IFLA_TUN_PERSIST, readOnly(yes(u8))],
  packetInformation: [IFLA_TUN_PI, readOnly(yes(u8))],
  virtioHeader: [IFLA_TUN_VNET_HDR, readOnly(yes(u8))],
  multiQueue: [IFLA_TUN_MULTI_QUEUE, readOnly(yes(u8))],
});

const peerAttributes = new AttributeSet({
  name: [IFLA_IFNAME, interfaceName],
  address: [IFLA_ADDRESS, mac],
  mtu: [IFLA_MTU, u32],
  txQueueLength: [IFLA_TXQLEN, u32],
  txQueues: [IFLA_NUM_TX_QUEUES, u32],
  rxQueues: [IFLA_NUM_RX_QUEUES, u32],
  namespacePid: [IFLA_NET_NS_PID, u32],
  namespaceFd: [IFLA_NET_NS_FD, u32],
});

/** The other end of a veth: a link's message inside of an attribute. */
const peer: Codec<ReturnType<typeof peerAttributes.read>> = {
  nested: true,
  nameOf: (type) => peerAttributes.nameOf(type),
  write(to, value) {
    to.reserve(Ifinfomsg.size);
    peerAttributes.write(to, value);
  },
  read(payload) {
    atLeast(payload, Ifinfomsg.size);
    return peerAttributes.read(payload.subarray(Ifinfomsg.size));
  },
};

const veth = new AttributeSet({ peer: [VETH_INFO_PEER, peer] });

/** What links have by their kind, and the kernel's name of that. */
export const kinds = {
  bond: ["bond", bond],
  bridge: ["bridge", bridge],
  geneve: ["geneve", geneve],
  gre: ["gre", gre],
  gretap: ["gretap", gre],
  ip6gre: ["ip6gre", gre],
  ip6gretap: ["ip6gretap", gre],
  ip6tnl: ["ip6tnl", tunnel],
  ipip: ["ipip", tunnel],
  ipvlan: ["ipvlan", ipvlan],
  macvlan: ["macvlan", macvlan],
  macvtap: ["macvtap", macvlan],
  sit: ["sit", tunnel],
  tun: ["tun", tun],
  veth: ["veth", veth],
  vlan: ["vlan", vlan],
  vrf: ["vrf", vrf],
  vxlan: ["vxlan", vxlan],
} as const;

/** What links have by the kind of what they are a part of. */
export const portKinds = {
  bridgePort: ["bridge", bridgePort],
  bondPort: ["bond", bondPort],
} as const;

/** Kinds that links of can be made by name: those above, and these that have no options. */
export type LinkKind = Exclude<keyof typeof kinds, "tun"> | "dummy" | "ifb" | "wireguard" | "nlmon";
