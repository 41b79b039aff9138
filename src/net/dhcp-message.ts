// DHCP's messages, and the packets that they travel in (RFC 2131, RFC 2132).

import { IPPROTO_UDP } from "../abi/constants/in.ts";
import { Iphdr, Udphdr } from "../abi/structs/socket.ts";
import { formatIp, parseIp } from "./address.ts";

export const SERVER_PORT = 67;
export const CLIENT_PORT = 68;

const FIXED_BYTES = 240;
const COOKIE = 0x63825363;
const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const ETHERNET = 1;
/** Answer to all: who has no address yet takes nothing else. */
const BROADCAST = 0x8000;
/** As BOOTP had it: some relays pass no less. */
const LEAST_BYTES = 300;
const TTL = 64;

const OPTION = {
  pad: 0,
  subnetMask: 1,
  routers: 3,
  nameservers: 6,
  hostname: 12,
  domain: 15,
  mtu: 26,
  address: 50,
  leaseSeconds: 51,
  overload: 52,
  type: 53,
  server: 54,
  wanted: 55,
  message: 56,
  renewSeconds: 58,
  rebindSeconds: 59,
  clientId: 61,
  search: 119,
  end: 255,
} as const;

export const TYPES = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
} as const;

export type DhcpType = keyof typeof TYPES;

/** A message. Addresses are text; what is not said is left out. */
export interface DhcpMessage {
  readonly type: DhcpType;
  readonly transaction: number;
  readonly hardwareAddress: Uint8Array;
  /** What the client has. */
  readonly clientAddress?: string;
  /** What it is given. */
  readonly yourAddress?: string;
  readonly requestedAddress?: string;
  readonly server?: string;
  readonly subnetMask?: string;
  readonly routers?: readonly string[];
  readonly nameservers?: readonly string[];
  readonly hostname?: string;
  readonly domain?: string;
  readonly mtu?: number;
  readonly leaseSeconds?: number;
  readonly renewSeconds?: number;
  readonly rebindSeconds?: number;
  /** Why a server says no. */
  readonly message?: string;
  /** Whether the answer is to go to all. */
  readonly broadcast?: boolean;
}

const ip4 = (text: string): Uint8Array => parseIp(text, "address").bytes;

function number(value: number, bytes: 2 | 4): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  if (bytes === 2) view.setUint16(0, value);
  else view.setUint32(0, value);
  return new Uint8Array(view.buffer);
}

/** The options of a message, in the order of their numbers but for the type, which is first. */
function optionsOf(message: DhcpMessage): (readonly [number, Uint8Array])[] {
  const text = (value: string) => new TextEncoder().encode(value);
  const addresses = (list: readonly string[]) =>
    Uint8Array.from(list.flatMap((one) => [...ip4(one)]));
  const { requestedAddress, server, hostname, leaseSeconds, renewSeconds, rebindSeconds } = message;
  const { subnetMask, routers, nameservers, domain, mtu, message: said } = message;
  const asks = message.type === "discover" || message.type === "request";
  const { wanted, subnetMask: mask, routers: gateways, nameservers: dns } = OPTION;
  const list = [mask, gateways, dns, OPTION.domain, OPTION.mtu, OPTION.leaseSeconds, OPTION.search];
  const all: (readonly [number, Uint8Array | undefined])[] = [
    [OPTION.type, Uint8Array.of(TYPES[message.type])],
    [OPTION.subnetMask, subnetMask === undefined ? undefined : ip4(subnetMask)],
    [OPTION.routers, routers && addresses(routers)],
    [OPTION.nameservers, nameservers && addresses(nameservers)],
    [OPTION.hostname, hostname === undefined ? undefined : text(hostname)],
    [OPTION.domain, domain === undefined ? undefined : text(domain)],
    [OPTION.mtu, mtu === undefined ? undefined : number(mtu, 2)],
    [OPTION.address, requestedAddress === undefined ? undefined : ip4(requestedAddress)],
    [OPTION.leaseSeconds, leaseSeconds === undefined ? undefined : number(leaseSeconds, 4)],
    [OPTION.server, server === undefined ? undefined : ip4(server)],
    [wanted, asks ? Uint8Array.from(list) : undefined],
    [OPTION.message, said === undefined ? undefined : text(said)],
    [OPTION.renewSeconds, renewSeconds === undefined ? undefined : number(renewSeconds, 4)],
    [OPTION.rebindSeconds, rebindSeconds === undefined ? undefined : number(rebindSeconds, 4)],
    [OPTION.clientId, asks ? Uint8Array.of(ETHERNET, ...message.hardwareAddress) : undefined],
  ];
  return all.flatMap(([code, value]) => (value ? [[code, value] as const] : []));
}

/** The bytes of a message. */
export function encodeDhcp(message: DhcpMessage, reply = false): Uint8Array {
  const options = optionsOf(message);
  const length = options.reduce((sum, [, value]) => sum + 2 + value.length, FIXED_BYTES + 1);
  const bytes = new Uint8Array(Math.max(length, LEAST_BYTES));
  const view = new DataView(bytes.buffer);
  bytes[0] = reply ? BOOTREPLY : BOOTREQUEST;
  bytes[1] = ETHERNET;
  bytes[2] = message.hardwareAddress.length;
  view.setUint32(4, message.transaction);
  view.setUint16(10, message.broadcast ? BROADCAST : 0);
  if (message.clientAddress !== undefined) bytes.set(ip4(message.clientAddress), 12);
  if (message.yourAddress !== undefined) bytes.set(ip4(message.yourAddress), 16);
  bytes.set(message.hardwareAddress.subarray(0, 16), 28);
  view.setUint32(236, COOKIE);
  let at = FIXED_BYTES;
  for (const [code, value] of options) {
    bytes[at] = code;
    bytes[at + 1] = value.length;
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  bytes[at] = OPTION.end;
  return bytes;
}

/** Options in a part of a message. One that goes on is put together (RFC 3396). */
function readOptions(bytes: Uint8Array, into: Map<number, Uint8Array>): void {
  for (let at = 0; at < bytes.length;) {
    const code = bytes[at];
    if (code === OPTION.end) return;
    if (code === OPTION.pad) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (at + 2 + length > bytes.length) return;
    const before = into.get(code) ?? new Uint8Array(0);
    into.set(code, Uint8Array.from([...before, ...bytes.subarray(at + 2, at + 2 + length)]));
    at += 2 + length;
  }
}

/** A message, or undefined if the bytes are none. */
export function decodeDhcp(bytes: Uint8Array): DhcpMessage | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(236) !== COOKIE || bytes[1] !== ETHERNET || bytes[2] > 16) return undefined;
  const options = new Map<number, Uint8Array>();
  readOptions(bytes.subarray(FIXED_BYTES), options);
  // The fields for names may have options instead.
  const overload = options.get(OPTION.overload)?.[0] ?? 0;
  if (overload & 1) readOptions(bytes.subarray(108, 236), options);
  if (overload & 2) readOptions(bytes.subarray(44, 108), options);
  const type = (Object.keys(TYPES) as DhcpType[]).find(
    (name) => TYPES[name] === options.get(OPTION.type)?.[0],
  );
  if (!type) return undefined;
  return {
    type,
    transaction: view.getUint32(4),
    hardwareAddress: bytes.slice(28, 28 + bytes[2]),
    broadcast: (view.getUint16(10) & BROADCAST) !== 0,
    ...headerAddress("clientAddress", bytes.subarray(12, 16)),
    ...headerAddress("yourAddress", bytes.subarray(16, 20)),
    ...told(options),
  };
}

function headerAddress(name: "clientAddress" | "yourAddress", bytes: Uint8Array) {
  return bytes.some((byte) => byte !== 0) ? { [name]: formatIp(bytes) } : {};
}

/** The options that we know, if they have the length that they should have. */
function told(options: ReadonlyMap<number, Uint8Array>): Partial<DhcpMessage> {
  const values: Record<string, unknown> = {};
  for (const name of ["subnetMask", "server"] as const) {
    const value = options.get(OPTION[name]);
    if (value?.length === 4) values[name] = formatIp(value);
  }
  const address = options.get(OPTION.address);
  if (address?.length === 4) values.requestedAddress = formatIp(address);
  for (const name of ["routers", "nameservers"] as const) {
    const value = options.get(OPTION[name]);
    if (value && value.length >= 4)
      values[name] = Array.from({ length: value.length >> 2 }, (_, index) =>
        formatIp(value.subarray(index * 4, index * 4 + 4)),
      );
  }
  for (const name of ["hostname", "domain", "message"] as const) {
    const value = options.get(OPTION[name]);
    if (value) values[name] = new TextDecoder().decode(value).replace(/\0+$/, "");
  }
  for (const name of ["leaseSeconds", "renewSeconds", "rebindSeconds", "mtu"] as const) {
    const value = options.get(OPTION[name]);
    const view = value && new DataView(value.buffer, value.byteOffset, value.length);
    if (view?.byteLength === 4) values[name] = view.getUint32(0);
    if (view?.byteLength === 2) values[name] = view.getUint16(0);
  }
  return values;
}

/** The one's complement sum of RFC 1071. */
function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts)
    for (let at = 0; at < part.length; at += 2) sum += (part[at] << 8) | (part[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** A packet from a client that has no address, to all. */
export function wrap(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Iphdr.size + Udphdr.size + payload.length);
  const packet = Iphdr.from(bytes);
  packet.version = 4;
  packet.ihl = Iphdr.size / 4;
  packet.tot_len = bytes.length;
  packet.ttl = TTL;
  packet.protocol = IPPROTO_UDP;
  packet.daddr = 0xffffffff;
  // A checksum is no number: its bytes have the order in which they were summed up.
  const view = new DataView(bytes.buffer);
  view.setUint16(Iphdr.offsets.check, checksum(bytes.subarray(0, Iphdr.size)));
  const datagram = Udphdr.from(bytes.subarray(Iphdr.size));
  datagram.source = CLIENT_PORT;
  datagram.dest = SERVER_PORT;
  datagram.len = Udphdr.size + payload.length;
  bytes.set(payload, Iphdr.size + Udphdr.size);
  const pseudo = new Uint8Array(12);
  pseudo.set(bytes.subarray(Iphdr.offsets.saddr, Iphdr.size));
  pseudo[9] = IPPROTO_UDP;
  new DataView(pseudo.buffer).setUint16(10, datagram.len);
  const sum = checksum(pseudo, bytes.subarray(Iphdr.size)) || 0xffff;
  view.setUint16(Iphdr.size + Udphdr.offsets.check, sum);
  return bytes;
}

/**
 * What a packet to a client carries, or undefined if it is for somebody else. The checksum is not
 * looked at: between two interfaces of one machine nobody has filled it in.
 */
export function unwrap(packet: Uint8Array): Uint8Array | undefined {
  if (packet.length < Iphdr.size) return undefined;
  const header = Iphdr.from(packet);
  const start = header.ihl * 4;
  if (header.version !== 4 || header.protocol !== IPPROTO_UDP || start < Iphdr.size)
    return undefined;
  if (header.frag_off & 0x3fff || packet.length < start + Udphdr.size) return undefined;
  const datagram = Udphdr.from(packet.subarray(start));
  if (datagram.dest !== CLIENT_PORT || datagram.source !== SERVER_PORT) return undefined;
  return packet.subarray(start + Udphdr.size, Math.min(packet.length, start + datagram.len));
}
