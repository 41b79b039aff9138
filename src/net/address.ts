// Addresses as text: "10.0.0.1", "fe80::1%2", "10.0.0.0/8", "02:00:5e:10:00:01".

import { AF_INET, AF_INET6 } from "../abi/constants/socket.ts";
import { formatIpv6, ipv4Bytes, ipv6Bytes } from "../link/ip.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Alternate } from "./netlink/attributes.ts";
import { mapped, raw } from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";

const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
const IPV4_BITS = 32;
const IPV6_BITS = 128;

/** An IP address in bytes. */
export interface IpAddress {
  readonly family: number;
  /** In network order: 4 or 16. */
  readonly bytes: Uint8Array;
  /** The interface of a link-local address, as written behind "%": a name or a number. */
  readonly zone?: string;
}

/** An address, and how many of its bits are the network's. */
export interface IpPrefix extends IpAddress {
  readonly prefixLength: number;
}

/** The address that a text is, or undefined if it is none. */
export function ipOf(text: string): IpAddress | undefined {
  const [plain = "", zone, ...rest] = text.split("%");
  if (rest.length || zone === "") return undefined;
  const v4 = ipv4Bytes(plain);
  if (v4) return zone === undefined ? { family: AF_INET, bytes: v4 } : undefined;
  const v6 = ipv6Bytes(plain);
  return v6 && { family: AF_INET6, bytes: v6, ...(zone !== undefined && { zone }) };
}

/** @throws {InvalidOptionError} if the text is no IP address */
export function parseIp(text: string, option: string): IpAddress {
  const address = typeof text === "string" ? ipOf(text) : undefined;
  if (!address)
    throw new InvalidOptionError(
      option,
      `"${text}" is no IP address: it is like 10.0.0.1 or fe80::1`,
    );
  return address;
}

/**
 * An address with a prefix length: "10.0.0.1/24". Without one it is the whole address.
 *
 * @throws {InvalidOptionError}
 */
export function parsePrefix(text: string, option: string): IpPrefix {
  const [plain = "", length, ...rest] = typeof text === "string" ? text.split("/") : [];
  const address = ipOf(plain);
  if (!address || rest.length)
    throw new InvalidOptionError(
      option,
      `"${text}" is no IP address: it is like 10.0.0.1/24 or fd00::1/64`,
    );
  const most = address.family === AF_INET ? IPV4_BITS : IPV6_BITS;
  if (length !== undefined && !(/^\d{1,3}$/.test(length) && Number(length) <= most))
    throw new InvalidOptionError(
      option,
      `"${text}": the number behind "/" is one from 0 to ${most}`,
    );
  return { ...address, prefixLength: length === undefined ? most : Number(length) };
}

/** The same prefix with zeroes behind it: the network of an address. */
export function networkOf({ bytes, prefixLength, ...rest }: IpPrefix): IpPrefix {
  const masked = bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefixLength - index * 8));
    return byte & (0xff00 >> kept);
  });
  return { ...rest, bytes: masked, prefixLength };
}

/** The text of 4 or 16 bytes; of any other number of them, hexadecimal digits. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === IPV4_BYTES) return bytes.join(".");
  if (bytes.length === IPV6_BYTES) return formatIpv6(bytes);
  return hex(bytes).join("");
}

const hex = (bytes: Uint8Array): string[] =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));

/** AF_INET or AF_INET6, by the number of bytes. */
export function familyOf(bytes: Uint8Array): number {
  return bytes.length === IPV4_BYTES ? AF_INET : AF_INET6;
}

/** An IPv4 or IPv6 address in an attribute. A zone has no place there. */
export const ip: Codec<string> = mapped(raw, formatIp, (text, option) => {
  const { bytes, zone } = parseIp(text, option);
  if (zone !== undefined)
    throw new InvalidOptionError(option, `"${text}": name the interface by itself, without "%"`);
  return bytes;
});

function only(family: number, name: string): Codec<string> {
  return mapped(raw, formatIp, (text, option) => {
    const address = parseIp(text, option);
    if (address.family !== family || address.zone !== undefined)
      throw new InvalidOptionError(option, `"${text}" is no ${name} address`);
    return address.bytes;
  });
}

export const ipv4 = only(AF_INET, "IPv4");
export const ipv6 = only(AF_INET6, "IPv6");

/** For an attribute that has IPv4 addresses, where this one has those of IPv6. */
export function forIpv6(type: number): Alternate {
  return { type, has: (value) => typeof value === "string" && value.includes(":") };
}

/** A hardware address: bytes in hexadecimal with colons between them. */
export const mac: Codec<string> = mapped(raw, formatMac, parseMac);

export function formatMac(bytes: Uint8Array): string {
  return hex(bytes).join(":");
}

/** @throws {InvalidOptionError} */
export function parseMac(text: string, option: string): Uint8Array {
  if (typeof text !== "string" || !/^[\da-f]{2}(:[\da-f]{2})*$/i.test(text))
    throw new InvalidOptionError(
      option,
      `"${text}" is no hardware address: it is like 02:00:5e:10:00:01`,
    );
  return Uint8Array.from(text.split(":"), (part) => parseInt(part, 16));
}
