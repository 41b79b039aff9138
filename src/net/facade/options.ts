// Socket options by the kernel's names: socket(7), ip(7), ipv6(7), tcp(7), udp(7), packet(7).

import * as ip from "../../abi/constants/in.ts";
import * as ip6 from "../../abi/constants/in6.ts";
import * as packet from "../../abi/constants/packet.ts";
import * as socket from "../../abi/constants/socket.ts";
import * as tcp from "../../abi/constants/tcp.ts";
import * as udp from "../../abi/constants/udp.ts";
import { Linger } from "../../abi/structs/socket.ts";
import { KernelTimespec } from "../../abi/structs/time.ts";
import { InvalidOptionError } from "../../machine/errors.ts";

type Names<Constants, Prefix extends string> = Extract<keyof Constants, `${Prefix}${string}`>;

/** The name of an option, e.g. `TCP_NODELAY`. */
export type OptionName =
  | Names<typeof socket, "SO_">
  | Names<typeof tcp, "TCP_">
  | Names<typeof ip, "IP_" | "MCAST_">
  | Names<typeof ip6, "IPV6_">
  | Names<typeof udp, "UDP_">
  | Names<typeof packet, "PACKET_">;

/** A number (an int), a text, the bytes of a structure, or a flag. */
export type OptionValue = number | boolean | string | Uint8Array;

/** Which option it is: what getsockopt(2) takes. */
export interface OptionKey {
  readonly level: number;
  readonly option: number;
}

/** From the longest prefix that fits. */
const LEVELS: readonly (readonly [string, number, Readonly<Record<string, unknown>>])[] = [
  ["SO_", socket.SOL_SOCKET, socket],
  ["TCP_", socket.SOL_TCP, tcp],
  ["IP_", socket.SOL_IP, ip],
  ["MCAST_", socket.SOL_IP, ip],
  ["IPV6_", socket.SOL_IPV6, ip6],
  ["UDP_", socket.SOL_UDP, udp],
  ["PACKET_", socket.SOL_PACKET, packet],
];

/** Options that are texts. */
const TEXTS: ReadonlySet<string> = new Set<OptionName>([
  "SO_BINDTODEVICE",
  "TCP_CONGESTION",
  "TCP_ULP",
]);
/** Options that are times: given in milliseconds, 0 for none. */
const TIMES: ReadonlySet<string> = new Set<OptionName>(["SO_RCVTIMEO", "SO_SNDTIMEO"]);
const INT_BYTES = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The numbers of an option.
 *
 * @param level of the options that IPv4 and IPv6 share (MCAST_…), if it is not IPv4's
 * @throws {InvalidOptionError} for a name that is none
 */
export function keyOf(name: OptionName, level?: number): OptionKey {
  for (const [prefix, ofPrefix, constants] of LEVELS) {
    const option = constants[name];
    if (name.startsWith(prefix) && typeof option === "number")
      return { level: level ?? ofPrefix, option };
  }
  throw new InvalidOptionError("name", `"${name}" is no socket option`);
}

/** Seconds of SO_LINGER: whole ones, or null for none. */
export function encodeLinger(seconds: number | null): Uint8Array {
  const record = Linger.alloc();
  record.l_onoff = seconds === null ? 0 : 1;
  record.l_linger = seconds ?? 0;
  return record.bytes;
}

function encodeTime(ms: number): Uint8Array {
  const record = KernelTimespec.alloc();
  record.tv_sec = BigInt(Math.floor(ms / 1000));
  record.tv_nsec = BigInt(Math.floor((ms % 1000) * 1000));
  return record.bytes;
}

/** @throws {InvalidOptionError} for what the option cannot be */
export function encodeOption(name: OptionName, value: OptionValue): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") {
    if (!TEXTS.has(name)) throw new InvalidOptionError(name, `"${value}": it is no text`);
    return encoder.encode(value);
  }
  if (TEXTS.has(name)) throw new InvalidOptionError(name, `${value}: it is a text`);
  const number = Number(value);
  if (TIMES.has(name)) return encodeTime(number);
  if (!(Number.isInteger(number) && number >= -0x80000000 && number <= 0xffffffff))
    throw new InvalidOptionError(name, `${value}: it is a whole number of 32 bits`);
  const bytes = new Uint8Array(INT_BYTES);
  new DataView(bytes.buffer).setInt32(0, number, true);
  return bytes;
}

/** What the kernel gave, as text or as a number; as bytes if it is neither. */
export function decodeOption(name: OptionName, bytes: Uint8Array): number | string | Uint8Array {
  if (TEXTS.has(name)) {
    const end = bytes.indexOf(0);
    return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (TIMES.has(name) && bytes.length === KernelTimespec.size) {
    const { tv_sec, tv_nsec } = KernelTimespec.from(bytes);
    // A struct __kernel_sock_timeval has microseconds where this one has nanoseconds.
    return Number(tv_sec) * 1000 + Number(tv_nsec) / 1000;
  }
  if (bytes.length === INT_BYTES) return view.getInt32(0, true);
  return bytes.length === 1 ? view.getUint8(0) : bytes;
}
