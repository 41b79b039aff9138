// Neighbours and routers of IPv6 (RFC 4861, RFC 4862), and what routers say of name servers (RFC 8106).

import { ETH_ALEN, ETH_HLEN } from "../../abi/constants/packet.ts";
import { Ipv6hdr } from "../../abi/structs/socket.ts";
import type { Frame } from "../frame.ts";
import { IPV6_BYTES, NONE6, addressAt, addressOf, bytesOf, putAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { put16, put32 } from "./bytes.ts";
import { icmpFrame } from "./icmp.ts";
import type { Packet, Route } from "./packet.ts";

// RFC 4861, section 4.
const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const OPTION_SOURCE_MAC = 1;
const OPTION_TARGET_MAC = 2;
const OPTION_PREFIX = 3;
const OPTION_MTU = 5;
/** RFC 8106, section 5.1. */
const OPTION_DNS = 25;
/** Options are so long, or a multiple of it. */
const UNIT = 8;
/** No router has let it pass: it comes from this link. */
const FROM_THIS_LINK = 255;
const NEIGHBOUR_BYTES = 24;
const TARGET = 8;
const FLAGS = 4;
const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;
const ROUTER_BYTES = 16;
const ON_LINK = 0x80;
const AUTONOMOUS = 0x40;
const PREFIX_BITS = 64;
const HOPS = 64;
const FOREVER = 0xffffffff;
/** How long a router is one that was not heard of again, in seconds (RFC 8319 lets it be that long). */
const ROUTER_SECONDS = 65535;

export const ALL_NODES: Address = `\xff\x02${"\0".repeat(13)}\x01`;

/** What a message about neighbours says. */
export interface Neighbour {
  readonly isSolicitation: boolean;
  /** Whose station is asked for, or told. */
  readonly target: Address;
  /** The station of the one who asks, or of the target. */
  readonly mac: Uint8Array | undefined;
}

export const asksForRouter = ({ payload, hops }: Packet): boolean =>
  hops === FROM_THIS_LINK && payload[0] === ROUTER_SOLICITATION && payload[1] === 0;

export function readNeighbour({ payload, hops }: Packet): Neighbour | null {
  const [type, code] = payload;
  if (type !== NEIGHBOUR_SOLICITATION && type !== NEIGHBOUR_ADVERTISEMENT) return null;
  if (payload.length < NEIGHBOUR_BYTES || hops !== FROM_THIS_LINK || code !== 0) return null;
  const isSolicitation = type === NEIGHBOUR_SOLICITATION;
  const wanted = isSolicitation ? OPTION_SOURCE_MAC : OPTION_TARGET_MAC;
  let mac: Uint8Array | undefined;
  for (let at = NEIGHBOUR_BYTES; at + UNIT <= payload.length; at += UNIT * payload[at + 1]) {
    if (payload[at + 1] === 0) return null;
    if (payload[at] === wanted) mac = payload.slice(at + 2, at + 2 + ETH_ALEN);
  }
  return { isSolicitation, target: addressAt(payload, TARGET, IPV6_BYTES), mac };
}

/** The station of a group's address (RFC 2464, section 7). */
export const groupMac = (group: Address): Uint8Array<ArrayBuffer> =>
  Uint8Array.of(0x33, 0x33, ...bytesOf(group.slice(-4)));

/** Where who has an address listens (RFC 4291, section 2.7.1). */
const solicitedGroup = (address: Address): Address =>
  addressOf(
    Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...bytesOf(address.slice(-3))),
  );

/** A message to somebody on this link. */
function localFrame(route: Route, message: Uint8Array): Frame {
  const frame = icmpFrame(route, message);
  frame.segments[0][ETH_HLEN + Ipv6hdr.offsets.hop_limit] = FROM_THIS_LINK;
  return frame;
}

function putMac(message: Uint8Array, at: number, option: number, mac: Uint8Array): void {
  message[at] = option;
  message[at + 1] = 1;
  message.set(mac, at + 2);
}

/** Ask who has an address: a frame for {@link groupMac} of its target, which is given too. */
export function solicitation(
  own: Address,
  ownMac: Uint8Array,
  wanted: Address,
): { frame: Frame; mac: Uint8Array } {
  const message = new Uint8Array(NEIGHBOUR_BYTES + UNIT);
  message[0] = NEIGHBOUR_SOLICITATION;
  putAddress(message, TARGET, wanted);
  putMac(message, NEIGHBOUR_BYTES, OPTION_SOURCE_MAC, ownMac);
  const group = solicitedGroup(wanted);
  return { frame: localFrame({ source: own, target: group }, message), mac: groupMac(group) };
}

/** Tell who asked that we have an address; all, if it is one that has none yet. */
export function advertisement(own: Address, ownMac: Uint8Array, asker: Address): Frame {
  const message = new Uint8Array(NEIGHBOUR_BYTES + UNIT);
  message[0] = NEIGHBOUR_ADVERTISEMENT;
  message[FLAGS] = ROUTER | OVERRIDE | (asker === NONE6 ? 0 : SOLICITED);
  putAddress(message, TARGET, own);
  putMac(message, NEIGHBOUR_BYTES, OPTION_TARGET_MAC, ownMac);
  return localFrame({ source: own, target: asker === NONE6 ? ALL_NODES : asker }, message);
}

/** What a router says of itself. */
export interface Router {
  /** On the link. */
  readonly address: Address;
  readonly mac: Uint8Array;
  /** Of 64 bits: guests make their addresses of it. */
  readonly prefix: Address;
  readonly dns: Address;
  readonly mtu: number;
}

/** Tell all of a router. */
export function routerFrame({ address, mac, prefix, dns, mtu }: Router): Frame {
  const message = new Uint8Array(ROUTER_BYTES + (1 + 1 + 4 + 3) * UNIT);
  message[0] = ROUTER_ADVERTISEMENT;
  message[4] = HOPS;
  put16(message, 6, ROUTER_SECONDS);
  let at = ROUTER_BYTES;
  putMac(message, at, OPTION_SOURCE_MAC, mac);
  at += UNIT;
  message.set([OPTION_MTU, 1], at);
  put32(message, at + 4, mtu);
  at += UNIT;
  message.set([OPTION_PREFIX, 4, PREFIX_BITS, ON_LINK | AUTONOMOUS], at);
  put32(message, at + 4, FOREVER);
  put32(message, at + 8, FOREVER);
  putAddress(message, at + 16, prefix);
  at += 4 * UNIT;
  message.set([OPTION_DNS, 3], at);
  put32(message, at + 4, FOREVER);
  putAddress(message, at + 8, dns);
  return localFrame({ source: address, target: ALL_NODES }, message);
}
