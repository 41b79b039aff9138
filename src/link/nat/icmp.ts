// What is said about packets: echoes, and why one did not arrive (RFC 792, RFC 4443).

import {
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_HOST_UNREACH,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_PORT_UNREACH,
  IPPROTO_ICMP,
} from "../../abi/constants/in.ts";
import {
  ICMPV6_ADDR_UNREACH,
  ICMPV6_ADM_PROHIBITED,
  ICMPV6_DEST_UNREACH,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  ICMPV6_NOROUTE,
  ICMPV6_PORT_UNREACH,
  IPPROTO_ICMPV6,
} from "../../abi/constants/in6.ts";
import { addWords, finish } from "../checksum.ts";
import type { Frame } from "../frame.ts";
import { isIpv6 } from "./address.ts";
import { put16 } from "./bytes.ts";
import { headerBytes, packetFrame, pseudoSum } from "./packet.ts";
import type { Packet, Route } from "./packet.ts";

/** Type, code, checksum, and four bytes of which each type makes its own. */
const ICMP_BYTES = 8;
const CHECKSUM = 2;
/** What is quoted of a packet: RFC 792, and as much as fits the least that IPv6 passes (RFC 4443, 2.4). */
const QUOTED_PAYLOAD_BYTES = 8;
export const MIN_MTU6 = 1280;

/** Why a packet did not arrive. */
export type Unreachable = "network" | "host" | "port" | "prohibited";

const CODES: Readonly<Record<Unreachable, readonly [v4: number, v6: number]>> = {
  network: [ICMP_NET_UNREACH, ICMPV6_NOROUTE],
  host: [ICMP_HOST_UNREACH, ICMPV6_ADDR_UNREACH],
  port: [ICMP_PORT_UNREACH, ICMPV6_PORT_UNREACH],
  prohibited: [ICMP_PKT_FILTERED, ICMPV6_ADM_PROHIBITED],
};

/** A message, whose checksum is made. */
export function icmpFrame(route: Route, message: Uint8Array): Frame {
  const protocol = isIpv6(route.target) ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
  const sum = isIpv6(route.target) ? pseudoSum(route, protocol, message.length) : 0;
  put16(message, CHECKSUM, 0);
  put16(message, CHECKSUM, finish(addWords(sum, message, 0, message.length)));
  return packetFrame(route, protocol, message);
}

/** Whether a packet asks for an echo. */
export function isEcho({ protocol, payload, source }: Packet): boolean {
  if (payload.length < ICMP_BYTES) return false;
  return isIpv6(source)
    ? protocol === IPPROTO_ICMPV6 && payload[0] === ICMPV6_ECHO_REQUEST
    : protocol === IPPROTO_ICMP && payload[0] === ICMP_ECHO;
}

/** The echo that a packet asks for. */
export function echoFrame({ source, target, payload }: Packet): Frame {
  const reply = payload.slice();
  reply[0] = isIpv6(source) ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY;
  return icmpFrame({ source: target, target: source }, reply);
}

/** What is said of a packet later, of its begin. */
export function quote({ bytes, source }: Packet): Uint8Array<ArrayBuffer> {
  const most = isIpv6(source)
    ? MIN_MTU6 - headerBytes(source) - ICMP_BYTES
    : 4 * (bytes[0] & 15) + QUOTED_PAYLOAD_BYTES;
  return bytes.slice(0, most);
}

/** Tell a guest that what it sent did not arrive: by a quote of that. */
export function unreachableFrame(
  route: Route,
  why: Unreachable,
  quoted: Uint8Array<ArrayBuffer>,
): Frame {
  const six = isIpv6(route.target);
  const message = new Uint8Array(ICMP_BYTES + quoted.length);
  message[0] = six ? ICMPV6_DEST_UNREACH : ICMP_DEST_UNREACH;
  message[1] = CODES[why][six ? 1 : 0];
  message.set(quoted, ICMP_BYTES);
  return icmpFrame(route, message);
}
