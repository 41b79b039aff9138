// Which multicast groups a socket belongs to: ip(7), ipv6(7), RFC 3678.

import {
  IP_ADD_MEMBERSHIP,
  IP_ADD_SOURCE_MEMBERSHIP,
  IP_DROP_MEMBERSHIP,
  IP_DROP_SOURCE_MEMBERSHIP,
  MCAST_JOIN_SOURCE_GROUP,
  MCAST_LEAVE_SOURCE_GROUP,
} from "../../../abi/constants/in.ts";
import { IPV6_ADD_MEMBERSHIP, IPV6_DROP_MEMBERSHIP } from "../../../abi/constants/in6.ts";
import { SOL_IP, SOL_IPV6 } from "../../../abi/constants/socket.ts";
import {
  GroupSourceReq,
  IpMreq,
  IpMreqSource,
  Ipv6Mreq,
  KernelSockaddrStorage,
} from "../../../abi/structs/socket.ts";
import { parseIp } from "../../../net/address.ts";
import { encodeEndpoint, ipEndpoint } from "../../../net/facade/endpoint.ts";
import type { IpEndpoint, OptionKey } from "../../../net/facade/index.ts";
import { badAddressError } from "./errors.ts";

export interface Membership {
  readonly key: OptionKey;
  readonly value: Uint8Array;
}

function endpointOf(address: string): IpEndpoint {
  try {
    return ipEndpoint(address, 0);
  } catch {
    throw badAddressError(address);
  }
}

const bytesOf = (address: string): Uint8Array => parseIp(address, "address").bytes;

/** To join or leave a group, on the interface that has an address ("::%2" by number for IPv6). */
export function membership(join: boolean, group: string, on: string | undefined): Membership {
  const { family, address, scope } = endpointOf(group);
  if (family === "IPv4") {
    const record = IpMreq.alloc();
    record.bytes.set(bytesOf(address), IpMreq.offsets.imr_multiaddr);
    if (on) record.bytes.set(bytesOf(endpointOf(on).address), IpMreq.offsets.imr_interface);
    const option = join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP;
    return { key: { level: SOL_IP, option }, value: record.bytes };
  }
  const record = Ipv6Mreq.alloc();
  record.bytes.set(bytesOf(address), Ipv6Mreq.offsets.ipv6mr_multiaddr);
  record.ipv6mr_ifindex = (on ? endpointOf(on).scope : scope) ?? 0;
  const option = join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP;
  return { key: { level: SOL_IPV6, option }, value: record.bytes };
}

/** The same of a group's one sender. */
export function sourceMembership(
  join: boolean,
  source: string,
  group: string,
  on: string | undefined,
): Membership {
  const { family, address } = endpointOf(group);
  if (family === "IPv4") {
    const record = IpMreqSource.alloc();
    const { imr_multiaddr, imr_interface, imr_sourceaddr } = IpMreqSource.offsets;
    record.bytes.set(bytesOf(address), imr_multiaddr);
    record.bytes.set(bytesOf(endpointOf(source).address), imr_sourceaddr);
    if (on) record.bytes.set(bytesOf(endpointOf(on).address), imr_interface);
    const option = join ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP;
    return { key: { level: SOL_IP, option }, value: record.bytes };
  }
  const record = GroupSourceReq.alloc();
  record.gsr_interface = (on ? endpointOf(on).scope : undefined) ?? 0;
  const { gsr_group, gsr_source } = GroupSourceReq.offsets;
  record.bytes.fill(0, gsr_group, gsr_group + KernelSockaddrStorage.size);
  record.bytes.set(encodeEndpoint(endpointOf(group)), gsr_group);
  record.bytes.set(encodeEndpoint(endpointOf(source)), gsr_source);
  const option = join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP;
  return { key: { level: SOL_IPV6, option }, value: record.bytes };
}
