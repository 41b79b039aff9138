// Holds a packet of the kernel's against what the script expects.

import { Mismatch } from "./errors.ts";
import {
  ACE_FLAGS,
  ECN_MASK,
  FLAG_ACK,
  FLAG_AE,
  FLAG_CWR,
  FLAG_ECE,
  FLAG_FIN,
  FLAG_PSH,
  FLAG_RST,
  FLAG_SYN,
  FLAG_URG,
} from "./packet.ts";
import type { IpHeader, TcpSegment } from "./packet.ts";
import type { IpFields, TcpSpec } from "./script.ts";
import { TCPOPT_TIMESTAMP, formatOptions, timestampOf } from "./tcp-options.ts";

/** @throws {Mismatch} */
export function check(name: string, expected: number, actual: number): void {
  if (expected === actual) return;
  const show = (value: number) => `${value} (0x${value.toString(16)})`;
  throw new Mismatch(
    `live packet field ${name}: expected: ${show(expected)} vs actual: ${show(actual)}`,
  );
}

/** @throws {Mismatch} */
export function verifyIp({ tos, ttl }: IpFields, actual: IpHeader): void {
  if (tos === "ect01") {
    const ecn = actual.tos & ECN_MASK;
    if (ecn !== 1 && ecn !== 2)
      throw new Mismatch(`live packet field ip_ecn: expected: 0x1 or 0x2 vs actual: 0x${ecn}`);
  } else if (tos) check(tos.mask === ECN_MASK ? "ip_ecn" : "tos", tos.value, actual.tos & tos.mask);
  if (ttl !== undefined) check("ttl", ttl, actual.ttl);
}

const FLAGS = [
  ["tcp_fin", FLAG_FIN],
  ["tcp_syn", FLAG_SYN],
  ["tcp_rst", FLAG_RST],
  ["tcp_psh", FLAG_PSH],
  ["tcp_ack", FLAG_ACK],
  ["tcp_urg", FLAG_URG],
] as const;
const ECN_FLAGS = [
  ["tcp_ece", FLAG_ECE],
  ["tcp_cwr", FLAG_CWR],
  ["tcp_ae", FLAG_AE],
] as const;
const KNOWN_FLAGS = 0x1ff;

function verifyFlags(spec: TcpSpec, actual: TcpSegment): void {
  const each = spec.ace ? FLAGS : [...FLAGS, ...ECN_FLAGS];
  for (const [name, flag] of each)
    check(name, Number((spec.flags & flag) !== 0), Number((actual.flags & flag) !== 0));
  if (spec.ace) {
    const counter = (flags: number) =>
      ACE_FLAGS.reduce((sum, flag, bit) => sum | (flags & flag ? 1 << bit : 0), 0);
    check("tcp_ace", counter(spec.flags), counter(actual.flags));
  }
  check("tcp_reserved_bits", 0, actual.flags & ~KNOWN_FLAGS);
}

function verifyOptions(
  spec: TcpSpec,
  actual: TcpSegment,
  timestampToleranceTicks: number | undefined,
): void {
  if (spec.options === null) return;
  const fail = (what: string): never => {
    throw new Mismatch(
      `${what}: expected: <${formatOptions(spec.options ?? [])}> vs ` +
        `actual: <${formatOptions(actual.options)}>`,
    );
  };
  if (spec.options.length !== actual.options.length) fail("bad outbound TCP options");
  for (const [index, expected] of spec.options.entries()) {
    const { kind, data } = actual.options[index];
    if (kind !== expected.kind) fail("bad outbound TCP options");
    if (kind === TCPOPT_TIMESTAMP) continue;
    if (data.length !== expected.data.length || data.some((byte, at) => byte !== expected.data[at]))
      fail(`bad value of outbound TCP option ${kind}`);
  }
  const [expected, sent] = [timestampOf(spec.options), timestampOf(actual.options)];
  if (timestampToleranceTicks === undefined || !expected || !sent) return;
  if (Math.abs((sent.value - expected.value) | 0) > timestampToleranceTicks)
    fail("bad outbound TCP timestamp value");
}

/**
 * @param actual with the script's sequence numbers and timestamps
 * @param timestampToleranceTicks how far timestamps may be off; undefined: they are not looked at
 * @throws {Mismatch}
 */
export function verifyTcp(
  spec: TcpSpec,
  actual: TcpSegment,
  timestampToleranceTicks: number | undefined,
): void {
  if (spec.payloadBytes !== actual.payload.length)
    throw new Mismatch(
      `live packet payload: expected ${spec.payloadBytes} bytes vs actual ${actual.payload.length} bytes`,
    );
  verifyFlags(spec, actual);
  check("tcp_seq", spec.sequence, actual.sequence);
  check("tcp_ack_seq", spec.acknowledgment, actual.acknowledgment);
  if (spec.window !== undefined) check("tcp_window", spec.window, actual.window);
  check("tcp_urg_ptr", spec.urgent, actual.urgent);
  verifyOptions(spec, actual, timestampToleranceTicks);
  verifyPayload(actual.payload);
}

/** Scripts send nothing but zeroes. @throws {Mismatch} */
export function verifyPayload(payload: Uint8Array): void {
  const at = payload.findIndex((byte) => byte !== 0);
  if (at >= 0)
    throw new Mismatch(
      `incorrect outbound data payload: expected: 0 at ${at} vs actual: ${payload[at]}`,
    );
}

/**
 * Whether two segments of the kernel's are parts of what a script has as one.
 *
 * @throws {Mismatch} if the second does not go on where the first ends, as a part of it would
 */
export function verifyContinues(first: TcpSegment, second: TcpSegment): void {
  // The last of them may end what was sent, and push it.
  const mayDiffer = FLAG_FIN | FLAG_PSH | FLAG_CWR;
  for (const [name, flag] of [...FLAGS, ...ECN_FLAGS])
    if (!(flag & mayDiffer))
      check(name, Number((first.flags & flag) !== 0), Number((second.flags & flag) !== 0));
  check("tcp_seq", (first.sequence + first.payload.length) >>> 0, second.sequence);
  check("tcp_ack_seq", first.acknowledgment, second.acknowledgment);
}
