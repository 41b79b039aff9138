// Connection tracking: what the kernel knows of connections that pass (conntrack(8)).

import type { CallOptions } from "../abi/calls.ts";
import {
  CTA_COUNTERS_BYTES,
  CTA_COUNTERS_ORIG,
  CTA_COUNTERS_PACKETS,
  CTA_COUNTERS_REPLY,
  CTA_ID,
  CTA_IP_V4_DST,
  CTA_IP_V4_SRC,
  CTA_IP_V6_DST,
  CTA_IP_V6_SRC,
  CTA_MARK,
  CTA_PROTOINFO,
  CTA_PROTOINFO_TCP,
  CTA_PROTOINFO_TCP_STATE,
  CTA_PROTO_DST_PORT,
  CTA_PROTO_ICMPV6_CODE,
  CTA_PROTO_ICMPV6_ID,
  CTA_PROTO_ICMPV6_TYPE,
  CTA_PROTO_ICMP_CODE,
  CTA_PROTO_ICMP_ID,
  CTA_PROTO_ICMP_TYPE,
  CTA_PROTO_NUM,
  CTA_PROTO_SRC_PORT,
  CTA_STATUS,
  CTA_TIMEOUT,
  CTA_TUPLE_IP,
  CTA_TUPLE_ORIG,
  CTA_TUPLE_PROTO,
  CTA_TUPLE_REPLY,
  CTA_ZONE,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_NEW,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DST_NAT,
  IPS_DYING,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_HELPER,
  IPS_OFFLOAD,
  IPS_SEEN_REPLY,
  IPS_SEQ_ADJUST,
  IPS_SRC_NAT,
  NFNLGRP_CONNTRACK_DESTROY,
  NFNLGRP_CONNTRACK_NEW,
  NFNLGRP_CONNTRACK_UPDATE,
  NFNL_SUBSYS_CTNETLINK,
  TCP_CONNTRACK_CLOSE,
  TCP_CONNTRACK_CLOSE_WAIT,
  TCP_CONNTRACK_ESTABLISHED,
  TCP_CONNTRACK_FIN_WAIT,
  TCP_CONNTRACK_LAST_ACK,
  TCP_CONNTRACK_NONE,
  TCP_CONNTRACK_SYN_RECV,
  TCP_CONNTRACK_SYN_SENT,
  TCP_CONNTRACK_SYN_SENT2,
  TCP_CONNTRACK_TIME_WAIT,
} from "../abi/constants/netfilter.ts";
import { NETLINK_NETFILTER, NLM_F_CREATE, NLM_F_EXCL } from "../abi/constants/netlink.ts";
import { AF_INET, AF_INET6, AF_UNSPEC } from "../abi/constants/socket.ts";
import { Nfgenmsg } from "../abi/structs/netlink.ts";
import { forIpv6, ip, parseIp } from "./address.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, be16, be32, be64, bits, named, u8 } from "./netlink/codec.ts";
import type { Value } from "./netlink/codec.ts";
import { compose } from "./netlink/message.ts";
import type { Message } from "./netlink/message.ts";
import { Subscription } from "./netlink/subscription.ts";
import type { SubscriptionOptions } from "./netlink/subscription.ts";
import { PROTOCOLS } from "./nft/match.ts";
import type { Session } from "./session.ts";

const protocols = new AttributeSet({
  protocol: [CTA_PROTO_NUM, named(u8, PROTOCOLS)],
  sourcePort: [CTA_PROTO_SRC_PORT, be16],
  destinationPort: [CTA_PROTO_DST_PORT, be16],
  icmpId: [CTA_PROTO_ICMP_ID, be16],
  icmpType: [CTA_PROTO_ICMP_TYPE, u8],
  icmpCode: [CTA_PROTO_ICMP_CODE, u8],
  icmpv6Id: [CTA_PROTO_ICMPV6_ID, be16],
  icmpv6Type: [CTA_PROTO_ICMPV6_TYPE, u8],
  icmpv6Code: [CTA_PROTO_ICMPV6_CODE, u8],
});

const tuple = new AttributeSet({
  addresses: [
    CTA_TUPLE_IP,
    new AttributeSet({
      source: [CTA_IP_V4_SRC, ip, forIpv6(CTA_IP_V6_SRC)],
      destination: [CTA_IP_V4_DST, ip, forIpv6(CTA_IP_V6_DST)],
    }),
  ],
  protocols: [CTA_TUPLE_PROTO, protocols],
});

const counters = new AttributeSet({
  packets: [CTA_COUNTERS_PACKETS, be64],
  bytes: [CTA_COUNTERS_BYTES, be64],
});

const TCP_STATES = {
  none: TCP_CONNTRACK_NONE,
  "syn-sent": TCP_CONNTRACK_SYN_SENT,
  "syn-received": TCP_CONNTRACK_SYN_RECV,
  established: TCP_CONNTRACK_ESTABLISHED,
  "fin-wait": TCP_CONNTRACK_FIN_WAIT,
  "close-wait": TCP_CONNTRACK_CLOSE_WAIT,
  "last-ack": TCP_CONNTRACK_LAST_ACK,
  "time-wait": TCP_CONNTRACK_TIME_WAIT,
  close: TCP_CONNTRACK_CLOSE,
  "syn-sent2": TCP_CONNTRACK_SYN_SENT2,
} as const;

const STATUS = {
  expected: IPS_EXPECTED,
  "seen-reply": IPS_SEEN_REPLY,
  assured: IPS_ASSURED,
  confirmed: IPS_CONFIRMED,
  snat: IPS_SRC_NAT,
  dnat: IPS_DST_NAT,
  "sequence-adjusted": IPS_SEQ_ADJUST,
  dying: IPS_DYING,
  "fixed-timeout": IPS_FIXED_TIMEOUT,
  helper: IPS_HELPER,
  offload: IPS_OFFLOAD,
} as const;

const attributes = new AttributeSet({
  original: [CTA_TUPLE_ORIG, tuple],
  reply: [CTA_TUPLE_REPLY, tuple],
  status: [CTA_STATUS, bits(be32, STATUS)],
  protocolInformation: [
    CTA_PROTOINFO,
    new AttributeSet({
      tcp: [
        CTA_PROTOINFO_TCP,
        new AttributeSet({ state: [CTA_PROTOINFO_TCP_STATE, named(u8, TCP_STATES)] }),
      ],
    }),
  ],
  timeoutSeconds: [CTA_TIMEOUT, be32],
  mark: [CTA_MARK, be32],
  originalCounters: [CTA_COUNTERS_ORIG, counters],
  replyCounters: [CTA_COUNTERS_REPLY, counters],
  id: [CTA_ID, be32],
  zone: [CTA_ZONE, be16],
});

/** Packets of one direction. */
export interface ConnectionTuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: keyof typeof PROTOCOLS | number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmpId?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
}

/** A connection that passes. */
export interface Connection {
  /** Who began it. */
  readonly original: ConnectionTuple;
  /** What answers come as: other addresses than the original's, if it is translated. */
  readonly reply: ConnectionTuple;
  readonly id?: number;
  readonly status: readonly (keyof typeof STATUS | `0x${string}`)[];
  readonly tcpState?: keyof typeof TCP_STATES | number;
  /** When it is forgotten, if nothing comes. */
  readonly timeoutSeconds?: number;
  readonly mark?: number;
  readonly zone?: number;
  /** If the kernel counts: net.netfilter.nf_conntrack_acct. */
  readonly originalCounters?: { readonly packets?: number; readonly bytes?: number };
  readonly replyCounters?: { readonly packets?: number; readonly bytes?: number };
}

/** What happened to a connection. */
export interface ConnectionEvent {
  readonly type: "new" | "update" | "destroy";
  readonly connection: Connection;
}

function readTuple({ addresses, protocols: told = {} }: Value<typeof tuple>): ConnectionTuple {
  const { icmpv6Id, icmpv6Type, icmpv6Code, protocol = 0, ...rest } = told;
  return {
    source: addresses?.source ?? "",
    destination: addresses?.destination ?? "",
    protocol,
    ...rest,
    ...(icmpv6Id !== undefined && { icmpId: icmpv6Id }),
    ...(icmpv6Type !== undefined && { icmpType: icmpv6Type }),
    ...(icmpv6Code !== undefined && { icmpCode: icmpv6Code }),
  };
}

function tupleValue(value: ConnectionTuple): Value<typeof tuple> {
  const { source, destination, icmpId, icmpType, icmpCode, ...rest } = value;
  const icmp =
    rest.protocol === "icmpv6"
      ? { icmpv6Id: icmpId, icmpv6Type: icmpType, icmpv6Code: icmpCode }
      : { icmpId, icmpType, icmpCode };
  const given = Object.fromEntries(Object.entries(icmp).filter(([, one]) => one !== undefined));
  return { addresses: { source, destination }, protocols: { ...rest, ...given } };
}

/** @internal */
export function readConnection({ payload }: Pick<Message, "payload">): Connection {
  atLeast(payload, Nfgenmsg.size);
  const {
    original = {},
    reply = {},
    protocolInformation,
    status = [],
    ...rest
  } = attributes.read(payload.subarray(Nfgenmsg.size));
  const tcpState = protocolInformation?.tcp?.state;
  return {
    original: readTuple(original),
    reply: readTuple(reply),
    status,
    ...(tcpState !== undefined && { tcpState }),
    ...rest,
  };
}

const typeNumber = (message: number): number => (NFNL_SUBSYS_CTNETLINK << 8) | message;

function headerOf(family: number): Uint8Array {
  const header = Nfgenmsg.alloc();
  header.nfgen_family = family;
  return header.bytes;
}

/** An event by the type of its message: what is new says so by its flags. */
function eventsOf(message: Message): ConnectionEvent[] {
  const { type, flags } = message;
  const fresh = flags & (NLM_F_CREATE | NLM_F_EXCL) ? "new" : "update";
  const kinds = new Map<number, ConnectionEvent["type"]>([
    [typeNumber(IPCTNL_MSG_CT_NEW), fresh],
    [typeNumber(IPCTNL_MSG_CT_DELETE), "destroy"],
  ]);
  const kind = kinds.get(type);
  return kind ? [{ type: kind, connection: readConnection(message) }] : [];
}

/** Connections that the kernel tracks: once a rule asks for their state, or translates. */
export class Connections {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All connections, or those of one family. */
  async list(family?: "ipv4" | "ipv6", options?: CallOptions): Promise<Connection[]> {
    const number = family === undefined ? AF_UNSPEC : family === "ipv4" ? AF_INET : AF_INET6;
    const all = compose({ type: typeNumber(IPCTNL_MSG_CT_GET), header: headerOf(number) });
    const socket = this.#session.socket(NETLINK_NETFILTER);
    const messages = await socket.dump(all, "list connections", options);
    return messages.map(readConnection);
  }

  /** Forget a connection: its next packet is one of a new one. @throws {NetlinkError} ENOENT */
  async delete(
    { original, zone }: Pick<Connection, "original" | "zone">,
    options?: CallOptions,
  ): Promise<void> {
    const { family } = parseIp(original.source, "original.source");
    const message = compose({ type: typeNumber(IPCTNL_MSG_CT_DELETE), header: headerOf(family) }, [
      attributes,
      { original: tupleValue(original), ...(zone !== undefined && { zone }) },
    ]);
    const what = `delete the connection of ${original.source} to ${original.destination}`;
    await this.#session.socket(NETLINK_NETFILTER).request(message, what, options);
  }

  /** Forget all connections. */
  async flush(options?: CallOptions): Promise<void> {
    const message = compose({
      type: typeNumber(IPCTNL_MSG_CT_DELETE),
      header: headerOf(AF_UNSPEC),
    });
    const socket = this.#session.socket(NETLINK_NETFILTER);
    await socket.request(message, "delete all connections", options);
  }

  /** Watch connections begin, change and end. */
  monitor(options?: SubscriptionOptions): Promise<Subscription<ConnectionEvent>> {
    const groups = [NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY];
    const { process } = this.#session;
    return Subscription.open(process, NETLINK_NETFILTER, groups, eventsOf, options);
  }
}
