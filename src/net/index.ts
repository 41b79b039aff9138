// The network: links, addresses, routes and all else that rtnetlink and its kin configure.
export type { BridgeVlan, BridgeVlanSpec } from "./bridge-vlan.ts";
export type { Connection, ConnectionEvent, ConnectionTuple } from "./conntrack.ts";
export { DhcpLease, DhcpRefusedError } from "./dhcp.ts";
export type { DhcpOptions } from "./dhcp.ts";
export type { DeviceChannels, DeviceDriver, DeviceFeature, DeviceLink } from "./ethtool.ts";
export type { Police } from "./filter-police.ts";
export type { U32Key } from "./filter-u32.ts";
export type { Filter, FilterAction, FlowerMatch } from "./filter.ts";
export type { AddressFlag, AddressSpec, InterfaceAddress } from "./interface-address.ts";
export type { Link, LinkChanges, LinkFlag, LinkSpec, LinkStatistics, Namespace } from "./link.ts";
export { parseLklConfig } from "./lkl-config.ts";
export type { LklConfig, LklInterface } from "./lkl-config.ts";
export { formatResolver, parseResolver } from "./resolver-config.ts";
export type { ResolverSettings } from "./resolver-config.ts";
export { DuplicateAddressError } from "./settle.ts";
export type { WaitOptions } from "./settle.ts";
export { NetworkTimeoutError } from "./timeout.ts";
export type { LinkKind } from "./link-kinds.ts";
export type { MonitorEvent, MonitorTopic } from "./monitor.ts";
export type { ForwardingSpec, Neighbour, NeighbourFlag, NeighbourSpec } from "./neighbour.ts";
export { DumpInterruptedError, MalformedMessageError, NetlinkError } from "./netlink/errors.ts";
export { UnknownFamilyError } from "./netlink/generic.ts";
export type { Overrun, Subscription, SubscriptionOptions } from "./netlink/subscription.ts";
export type { NextHopMember, NextHopObject, NextHopSpec } from "./nexthop.ts";
export type { NftAction, NftLimit, NftStatements } from "./nft/action.ts";
export type { NftRuleWords } from "./nft/decompile.ts";
export { expr } from "./nft/expressions.ts";
export type { NftExpression } from "./nft/expressions.ts";
export type { ConnectionState, Matched, NftMatch } from "./nft/match.ts";
export { NftBatch } from "./nft/nftables.ts";
export type { NftFlowTable, NftFlowTableSpec } from "./nft/flow-table.ts";
export type { NftTableName } from "./nft/nftables.ts";
export type {
  NftChain,
  NftChainSpec,
  NftCounter,
  NftFamily,
  NftHook,
  NftRule,
  NftRuleSpec,
  NftSet,
  NftSetFlag,
  NftSetSpec,
  NftTable,
} from "./nft/objects.ts";
export type { NftElement } from "./nft/set.ts";
export type { NftDataType } from "./nft/types.ts";
export { net, Network, networkNamespace } from "./network.ts";
export type { NetworkHost } from "./network.ts";
export type { HfscOptions, ServiceCurve } from "./qdisc-hfsc.ts";
export type { RedOptions } from "./qdisc-red.ts";
export type { ClassSpec, Qdisc, QdiscSpec, QueueStatistics, TrafficClass } from "./qdisc.ts";
export type {
  HtbClassOptions,
  HtbOptions,
  NetemOptions,
  QdiscKind,
  SfqOptions,
  TbfOptions,
} from "./qdisc-kinds.ts";
export type { NextHop, Route, RouteFlag, RouteMetrics } from "./route.ts";
export type { NumberRange, Rule } from "./rule.ts";
export { UnknownDeviceError } from "./session.ts";
export type { Device } from "./session.ts";
export type {
  InetSocket,
  SocketFilter,
  SocketMemory,
  SocketProtocol,
  UnixSocket,
} from "./sockets.ts";
export { readTcpInfo, tcpInfo } from "./tcp-info.ts";
export type { TcpInfo, TcpState } from "./tcp-info.ts";
export type {
  WireGuardChanges,
  WireGuardDevice,
  WireGuardPeer,
  WireGuardPeerSpec,
} from "./wireguard.ts";
