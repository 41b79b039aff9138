// Where a socket is: addresses as people write them, and as the kernel has them (struct sockaddr).

import { AF_INET, AF_INET6, AF_PACKET, AF_UNIX } from "../../abi/constants/socket.ts";
import { SockaddrIn, SockaddrIn6, SockaddrLl, SockaddrUn } from "../../abi/structs/socket.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { formatIp, formatMac, ipOf, parseMac } from "../address.ts";

/** An address and a port: ip(7), ipv6(7). */
export interface IpEndpoint {
  readonly family: "IPv4" | "IPv6";
  /** Without a zone, e.g. `fe80::1`. */
  readonly address: string;
  /** 0 to 65535; of a raw socket, the protocol. */
  readonly port: number;
  /** The interface's number, of a link-local address; else 0 or missing. */
  readonly scope?: number;
}

/** A name of the file system, "" for none, or NUL and any text: unix(7). */
export interface UnixEndpoint {
  readonly family: "unix";
  readonly path: string;
}

/** An interface and what is on its wire: packet(7). */
export interface PacketEndpoint {
  readonly family: "packet";
  /** The interface's number; 0 for all of them. */
  readonly interface: number;
  /** The Ethernet type, e.g. 0x0800; 3 for every one. */
  readonly protocol: number;
  /** A hardware address, e.g. `02:00:5e:10:00:01`, or "". */
  readonly address: string;
  /** How a received packet came by (PACKET_HOST and its like). */
  readonly packetType?: number;
}

export type Endpoint = IpEndpoint | UnixEndpoint | PacketEndpoint;

const MAX_PORT = 65535;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const FAMILIES = { IPv4: AF_INET, IPv6: AF_INET6, unix: AF_UNIX, packet: AF_PACKET } as const;

/** AF_… of an endpoint. */
export function familyOf({ family }: Endpoint): number {
  return FAMILIES[family];
}

/** An address without its port, or a path. */
export function nameOf(endpoint: Endpoint): string {
  if (endpoint.family === "unix") return endpoint.path;
  return endpoint.family === "packet" ? `interface ${endpoint.interface}` : endpoint.address;
}

/** As an error shows it: `127.0.0.1:80`, or a path. */
export function describe(endpoint: Endpoint): string {
  return "port" in endpoint ? `${endpoint.address}:${endpoint.port}` : nameOf(endpoint);
}

// IPv4, which is most of it, without a view or a text in between.

const ZERO = 48;
const DOT = 46 - ZERO;

/** The address as one number, or −1 if it is not as the kernel writes it. */
function ipv4Number(text: string): number {
  let [whole, part, digits, dots] = [0, 0, 0, 0];
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit === DOT && digits) {
      whole = whole * 256 + part;
      part = digits = 0;
      dots++;
    } else if (digit >= 0 && digit <= 9 && (part || !digits)) {
      part = part * 10 + digit;
      digits++;
    } else return -1;
    if (part > 255) return -1;
  }
  return dots === 3 && digits ? whole * 256 + part : -1;
}

/**
 * The endpoint of an address and a port. What is behind "%" is an interface's number.
 *
 * @throws {InvalidOptionError}
 */
export function ipEndpoint(address: string, port: number, option = "address"): IpEndpoint {
  const plain = typeof address === "string" && ipv4Number(address) >= 0;
  const ip = plain ? undefined : ipOf(address);
  if (!plain && !ip)
    throw new InvalidOptionError(
      option,
      `"${address}" is no IP address: it is like 10.0.0.1 or fe80::1%2`,
    );
  if (!(Number.isInteger(port) && port >= 0 && port <= MAX_PORT))
    throw new InvalidOptionError("port", `${port}: it is a whole number from 0 to ${MAX_PORT}`);
  if (!ip || ip.family === AF_INET) return { family: "IPv4", address, port };
  const { zone } = ip;
  if (zone === undefined) return { family: "IPv6", address, port };
  const scope = Number(zone);
  if (!Number.isInteger(scope))
    throw new InvalidOptionError(option, `"${address}": behind "%" is an interface's number`);
  return { family: "IPv6", address: address.slice(0, address.indexOf("%")), port, scope };
}

function encodeUnix(path: string): Uint8Array {
  const name = encoder.encode(path);
  const room = SockaddrUn.size - SockaddrUn.offsets.sun_path;
  const abstract = path.startsWith("\0");
  if (name.length > (abstract ? room : room - 1))
    throw new InvalidOptionError("path", `"${path}" has more than ${room - 1} bytes`);
  if (!abstract && path.includes("\0"))
    throw new InvalidOptionError("path", "a NUL character can only come first");
  const record = SockaddrUn.alloc();
  record.sun_family = AF_UNIX;
  record.sun_path = name;
  const end = SockaddrUn.offsets.sun_path + name.length + (abstract || !name.length ? 0 : 1);
  return record.bytes.subarray(0, end);
}

function encodePacket(endpoint: PacketEndpoint): Uint8Array {
  const record = SockaddrLl.alloc();
  const address = endpoint.address ? parseMac(endpoint.address, "address") : new Uint8Array();
  record.sll_family = AF_PACKET;
  record.sll_protocol = endpoint.protocol;
  record.sll_ifindex = endpoint.interface;
  record.sll_halen = address.length;
  record.sll_addr = address;
  return record.bytes;
}

/**
 * The struct sockaddr of an endpoint.
 *
 * @throws {InvalidOptionError}
 */
export function encodeEndpoint(endpoint: Endpoint): Uint8Array {
  if (endpoint.family === "unix") return encodeUnix(endpoint.path);
  if (endpoint.family === "packet") return encodePacket(endpoint);
  const { address, port, scope = 0 } = endpoint;
  const { bytes } = ipOf(address)!;
  if (endpoint.family === "IPv4") {
    const record = SockaddrIn.alloc();
    record.sin_family = AF_INET;
    record.sin_port = port;
    record.bytes.set(bytes, SockaddrIn.offsets.sin_addr);
    return record.bytes;
  }
  const record = SockaddrIn6.alloc();
  record.sin6_family = AF_INET6;
  record.sin6_port = port;
  record.sin6_scope_id = scope;
  record.bytes.set(bytes, SockaddrIn6.offsets.sin6_addr);
  return record.bytes;
}

function decodeUnix(bytes: Uint8Array): UnixEndpoint {
  const name = bytes.slice(SockaddrUn.offsets.sun_path);
  // A name of the file system ends with NUL, which its length may include.
  const end = name[0] === 0 ? name.length : name.indexOf(0);
  return { family: "unix", path: decoder.decode(end < 0 ? name : name.subarray(0, end)) };
}

/** The endpoint of a struct sockaddr as the kernel wrote it; undefined of another family. */
export function decodeEndpoint(bytes: Uint8Array): Endpoint | undefined {
  // What is too short to tell a family is a unix socket that has no name.
  if (bytes.length < 2) return { family: "unix", path: "" };
  const family = SockaddrUn.from(bytes).sun_family;
  if (family === AF_INET) {
    const at = SockaddrIn.offsets.sin_addr;
    const { sin_port } = SockaddrIn.from(bytes);
    return { family: "IPv4", address: bytes.subarray(at, at + 4).join("."), port: sin_port };
  }
  if (family === AF_INET6) {
    const at = SockaddrIn6.offsets.sin6_addr;
    const { sin6_port: port, sin6_scope_id: scope } = SockaddrIn6.from(bytes);
    const address = formatIp(bytes.slice(at, at + 16));
    return { family: "IPv6", address, port, ...(scope && { scope }) };
  }
  if (family === AF_UNIX) return decodeUnix(bytes);
  if (family !== AF_PACKET) return undefined;
  const record = SockaddrLl.from(bytes);
  return {
    family: "packet",
    interface: record.sll_ifindex,
    protocol: record.sll_protocol,
    address: formatMac(record.sll_addr.slice(0, record.sll_halen)),
    packetType: record.sll_pkttype,
  };
}

/** Write an endpoint's struct sockaddr into memory that has room for any. @returns its length */
export function putEndpoint(view: DataView, at: number, endpoint: Endpoint): number {
  const number = endpoint.family === "IPv4" ? ipv4Number(endpoint.address) : -1;
  if (number < 0) {
    const bytes = encodeEndpoint(endpoint);
    new Uint8Array(view.buffer, view.byteOffset + at, bytes.length).set(bytes);
    return bytes.length;
  }
  const { sin_family, sin_port, sin_addr } = SockaddrIn.offsets;
  view.setUint32(at + sin_addr + 4, 0);
  view.setUint32(at + sin_addr + 8, 0);
  view.setUint16(at + sin_family, AF_INET, true);
  view.setUint16(at + sin_port, (endpoint as IpEndpoint).port);
  view.setUint32(at + sin_addr, number);
  return SockaddrIn.size;
}

/** The endpoint that the kernel wrote, in so many bytes. */
export function takeEndpoint(view: DataView, at: number, length: number): Endpoint | undefined {
  if (length !== SockaddrIn.size || view.getUint16(at, true) !== AF_INET)
    return decodeEndpoint(new Uint8Array(view.buffer, view.byteOffset + at, length));
  const { sin_port, sin_addr } = SockaddrIn.offsets;
  const number = view.getUint32(at + sin_addr);
  const address = `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
  return { family: "IPv4", address, port: view.getUint16(at + sin_port) };
}
