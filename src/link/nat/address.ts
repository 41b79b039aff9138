// Addresses of both versions of IP, as the NAT works with them.
//
// An address is a string with one of its bytes in each character: 4 or 16. Such strings can be compared,
// are keys of tables, and begin with their networks.

import { formatIpv6, ipv4Bytes, ipv6Bytes } from "../ip.ts";

export type Address = string;

export const IPV4_BYTES = 4;
export const IPV6_BYTES = 16;

export const isIpv6 = (address: Address): boolean => address.length === IPV6_BYTES;

/** The address in some bytes. */
export function addressAt(bytes: Uint8Array, at: number, length: number): Address {
  if (length !== IPV4_BYTES) return addressOf(bytes.subarray(at, at + length));
  return String.fromCharCode(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

export const addressOf = (bytes: Uint8Array): Address => String.fromCharCode(...bytes);

export function putAddress(bytes: Uint8Array, at: number, address: Address): void {
  for (let i = 0; i < address.length; i++) bytes[at + i] = address.charCodeAt(i);
}

export function bytesOf(address: Address): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(address.length);
  putAddress(bytes, 0, address);
  return bytes;
}

/** The address that a text is; undefined if it is none. One of IPv4 in IPv6's clothes is one of IPv4. */
export function parseAddress(text: string): Address | undefined {
  const bytes = ipv4Bytes(text) ?? ipv6Bytes(text);
  const address = bytes && addressOf(bytes);
  return address?.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
}

export function formatAddress(address: Address): string {
  const bytes = bytesOf(address);
  return isIpv6(address) ? formatIpv6(bytes) : bytes.join(".");
}

/** The sum of an address's 16-bit words, for checksums. */
export function addressSum(address: Address): number {
  let sum = 0;
  for (let i = 0; i < address.length; i += 2)
    sum += (address.charCodeAt(i) << 8) | address.charCodeAt(i + 1);
  return sum;
}

/** ::ffff:0:0/96: RFC 4291, section 2.5.5.2. */
const MAPPED: Address = `${"\0".repeat(10)}\xff\xff`;
/** 0.0.0.0 and ::, which say that a station has no address yet. */
export const NONE: Address = "\0\0\0\0";
export const NONE6: Address = "\0".repeat(IPV6_BYTES);
export const BROADCAST: Address = "\xff\xff\xff\xff";

/** Whether an address is that of many: a group's, or broadcast. */
export const isGroup = (address: Address): boolean =>
  isIpv6(address) ? address.charCodeAt(0) === 0xff : address.charCodeAt(0) >= 224;

/** Whether an address of IPv6 has a meaning on one link only (fe80::/10). */
export const isLinkLocal = (address: Address): boolean =>
  isIpv6(address) && address.charCodeAt(0) === 0xfe && (address.charCodeAt(1) & 0xc0) === 0x80;

/** Whether an address is that of whoever uses it, and so never comes from or goes to a wire. */
export function isOnesOwn(address: Address): boolean {
  if (isIpv6(address)) return address.startsWith("\0".repeat(10));
  return address.startsWith("\0") || address.startsWith("\x7f");
}
