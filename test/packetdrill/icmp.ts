// ICMP messages by their names in scripts. Numbers: RFC 792, 1191, 1812, 4443.

import { Mismatch } from "./errors.ts";
import { encode } from "./packet.ts";
import type { IcmpMessage, IpHeader, Packet } from "./packet.ts";
import type { IcmpSpec } from "./script.ts";

interface Names {
  readonly types: ReadonlyMap<string, number>;
  readonly codes: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

const V4: Names = {
  types: new Map([
    ["echo_reply", 0],
    ["unreachable", 3],
    ["source_quench", 4],
    ["redirect", 5],
    ["echo_request", 8],
    ["time_exceeded", 11],
    ["parameter_problem", 12],
  ]),
  codes: new Map([
    [
      "unreachable",
      new Map([
        ["net_unreachable", 0],
        ["host_unreachable", 1],
        ["protocol_unreachable", 2],
        ["port_unreachable", 3],
        ["frag_needed", 4],
        ["source_route_failed", 5],
        ["net_unknown", 6],
        ["host_unknown", 7],
        ["source_host_isolated", 8],
        ["net_prohibited", 9],
        ["host_prohibited", 10],
        ["net_unreachable_for_tos", 11],
        ["host_unreachable_for_tos", 12],
        ["packet_filtered", 13],
        ["precedence_violation", 14],
        ["precedence_cutoff", 15],
      ]),
    ],
    [
      "time_exceeded",
      new Map([
        ["exceed_ttl", 0],
        ["exceed_fragtime", 1],
      ]),
    ],
  ]),
};

const V6: Names = {
  types: new Map([
    ["unreachable", 1],
    ["packet_too_big", 2],
    ["time_exceeded", 3],
    ["parameter_problem", 4],
    ["echo_request", 128],
    ["echo_reply", 129],
  ]),
  codes: new Map([
    [
      "unreachable",
      new Map([
        ["no_route", 0],
        ["admin_prohibited", 1],
        ["not_neighbour", 2],
        ["addr_unreachable", 3],
        ["port_unreachable", 4],
        ["policy_fail", 5],
        ["reject_route", 6],
      ]),
    ],
    [
      "time_exceeded",
      new Map([
        ["exceed_hoplimit", 0],
        ["exceed_fragtime", 1],
      ]),
    ],
  ]),
};

/** Of the transport's header, as much as a message has to echo. */
const ECHO_BYTES = 8;

/** Type and code. @throws {Mismatch} if a name is not known */
export function icmpNumbers(spec: IcmpSpec, v4: boolean): { type: number; code: number } {
  const names = v4 ? V4 : V6;
  const type = names.types.get(spec.type);
  if (type === undefined) throw new Mismatch(`unknown ICMP type '${spec.type}'`);
  if (spec.code === undefined) return { type, code: 0 };
  const code = names.codes.get(spec.type)?.get(spec.code);
  if (code === undefined) throw new Mismatch(`unknown ICMP code '${spec.code}' of '${spec.type}'`);
  return { type, code };
}

/**
 * A message about a packet that the kernel has sent.
 *
 * @param about that packet, without its payload; null: there is none, as in an echo
 * @throws {Mismatch} if a name is not known
 */
export function icmpMessage(spec: IcmpSpec, ip: IpHeader, about: Packet | null): IcmpMessage {
  const v4 = ip.source.length === 4;
  let payload: Uint8Array = new Uint8Array(0);
  if (about) {
    const whole = encode(about);
    const header = whole.length - (about.body.protocol === "udp" ? ECHO_BYTES : 20);
    payload = whole.slice(0, header + ECHO_BYTES);
    // The lengths are those of the packet as it was sent.
    const extra = spec.echoed?.payloadBytes ?? 0;
    const view = new DataView(payload.buffer);
    const at = v4 ? 2 : 4;
    view.setUint16(at, view.getUint16(at) + extra);
  }
  // Of IPv4's "fragmentation needed" the MTU is in the lower half; IPv6's has 32 bits.
  const rest = spec.mtu ?? (spec.id ?? 0) << 16;
  return { protocol: "icmp", ...icmpNumbers(spec, v4), rest: rest >>> 0, payload };
}
