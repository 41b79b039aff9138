// ARP (RFC 826) for Ethernet and IPv4.

import { ETH_ALEN, ETH_HLEN, ETH_P_ARP } from "../../abi/constants/packet.ts";
import { Frame } from "../frame.ts";
import { IPV4_BYTES, addressAt, putAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { put16, put32, u16, u32 } from "./bytes.ts";

const ARP_BYTES = 28;
const REQUEST = 1;
const REPLY = 2;
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER = 14;
const TARGET_MAC = 18;
const TARGET = 24;
/** Hardware and protocol, and the lengths of their addresses. */
const KIND = 0x00010800;
const LENGTHS = 0x0604;

/** Who is asked for, or answers, and who says so. */
export interface Arp {
  readonly isRequest: boolean;
  readonly sender: Address;
  readonly mac: Uint8Array<ArrayBuffer>;
  readonly target: Address;
}

export function readArp(frame: Uint8Array<ArrayBuffer>): Arp | null {
  const arp = frame.subarray(ETH_HLEN);
  if (arp.length < ARP_BYTES || u32(arp, 0) !== KIND || u16(arp, 4) !== LENGTHS) return null;
  return {
    isRequest: u16(arp, OPERATION) === REQUEST,
    sender: addressAt(arp, SENDER, IPV4_BYTES),
    mac: arp.slice(SENDER_MAC, SENDER_MAC + ETH_ALEN),
    target: addressAt(arp, TARGET, IPV4_BYTES),
  };
}

/** A frame whose addresses are left out. `targetMac`: of who asked; without, it is asked for. */
export function arpFrame(
  own: Address,
  ownMac: Uint8Array,
  target: Address,
  targetMac?: Uint8Array,
): Frame {
  const bytes = new Uint8Array(ETH_HLEN + ARP_BYTES);
  put16(bytes, 2 * ETH_ALEN, ETH_P_ARP);
  const arp = bytes.subarray(ETH_HLEN);
  put32(arp, 0, KIND);
  put16(arp, 4, LENGTHS);
  put16(arp, OPERATION, targetMac ? REPLY : REQUEST);
  arp.set(ownMac, SENDER_MAC);
  putAddress(arp, SENDER, own);
  if (targetMac) arp.set(targetMac, TARGET_MAC);
  putAddress(arp, TARGET, target);
  return Frame.of(bytes);
}
