// Next-hop objects: where routes lead to, made once for any number of them (ip-nexthop(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../abi/constants/netlink.ts";
import {
  NEXTHOP_GRP_TYPE_MPATH,
  NEXTHOP_GRP_TYPE_RES,
  NHA_BLACKHOLE,
  NHA_FDB,
  NHA_GATEWAY,
  NHA_GROUP,
  NHA_GROUP_TYPE,
  NHA_ID,
  NHA_OIF,
  NHA_RES_GROUP,
  NHA_RES_GROUP_BUCKETS,
  NHA_RES_GROUP_IDLE_TIMER,
  NHA_RES_GROUP_UNBALANCED_TIMER,
  RTM_DELNEXTHOP,
  RTM_GETNEXTHOP,
  RTM_NEWNEXTHOP,
  RTPROT_STATIC,
} from "../abi/constants/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../abi/constants/socket.ts";
import { NexthopGrp, Nhmsg } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { ip, parseIp } from "./address.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import {
  atLeast,
  bitNames,
  bitsOf,
  flag,
  named,
  scaled,
  u16,
  u32,
  whole,
} from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";
import { compose } from "./netlink/message.ts";
import { PROTOCOLS, SCOPES, numberOf } from "./route-names.ts";
import { ROUTE_FLAGS } from "./route.ts";
import type { RouteFlag } from "./route.ts";
import type { Device, Session } from "./session.ts";

const MAX_WEIGHT = 256;
/** Of USER_HZ a second: what the kernel tells user space times in. */
const TICKS = 100;

/** One of a group. */
export interface NextHopMember {
  readonly id: number;
  /** 1 to 256. Default 1. */
  readonly weight?: number;
}

const group: Codec<readonly NextHopMember[]> = {
  write(to, members) {
    for (const { id, weight = 1 } of members) {
      const raw = NexthopGrp.alloc();
      raw.id = whole(id, 1, 0xffffffff, "id");
      raw.weight = whole(weight, 1, MAX_WEIGHT, "weight") - 1;
      to.put(raw.bytes);
    }
  },
  read(payload) {
    const members: NextHopMember[] = [];
    for (let at = 0; at + NexthopGrp.size <= payload.length; at += NexthopGrp.size) {
      const raw = NexthopGrp.from(payload.subarray(at));
      members.push({ id: raw.id, weight: raw.weight + 1 });
    }
    return members;
  },
};

const resilient = new AttributeSet({
  buckets: [NHA_RES_GROUP_BUCKETS, u16],
  idleSeconds: [NHA_RES_GROUP_IDLE_TIMER, scaled(u32, TICKS)],
  unbalancedSeconds: [NHA_RES_GROUP_UNBALANCED_TIMER, scaled(u32, TICKS)],
});

const attributes = new AttributeSet({
  id: [NHA_ID, u32],
  group: [NHA_GROUP, group],
  groupType: [
    NHA_GROUP_TYPE,
    named(u16, { multipath: NEXTHOP_GRP_TYPE_MPATH, resilient: NEXTHOP_GRP_TYPE_RES }),
  ],
  blackhole: [NHA_BLACKHOLE, flag],
  deviceIndex: [NHA_OIF, u32],
  gateway: [NHA_GATEWAY, ip],
  forwarding: [NHA_FDB, flag],
  resilient: [NHA_RES_GROUP, resilient],
});

/** A next hop to be made. It has a gateway and a device, or it is a blackhole, or a group. */
export interface NextHopSpec {
  /** By which routes name it. Default: one that is free. */
  readonly id?: number;
  readonly gateway?: string;
  readonly device?: Device;
  /** Others, among which packets are shared out. */
  readonly group?: readonly NextHopMember[];
  /** Of a group: "resilient" keeps flows where they are when members change. Default "multipath". */
  readonly groupType?: "multipath" | "resilient" | number;
  readonly resilient?: {
    buckets?: number;
    idleSeconds?: number;
    unbalancedSeconds?: number;
  };
  /** What comes is dropped. */
  readonly blackhole?: boolean;
  /** For forwarding tables of VXLANs, not for routes. */
  readonly forwarding?: boolean;
  /** Of a device or a blackhole; default: the gateway's, or "ipv4". */
  readonly family?: "ipv4" | "ipv6";
  /** Who made it: "static", "boot"… Default "static". */
  readonly protocol?: string | number;
  readonly flags?: readonly (RouteFlag | `0x${string}`)[];
}

/** A next hop as the kernel has it. */
export interface NextHopObject extends NextHopSpec {
  readonly id: number;
  readonly scope: string | number;
  readonly protocol: string | number;
  readonly flags: readonly (RouteFlag | `0x${string}`)[];
}

/** With a number for the device. @internal */
export function readNextHop(
  payload: Uint8Array,
): Omit<NextHopObject, "device"> & { device?: number } {
  atLeast(payload, Nhmsg.size);
  const header = Nhmsg.from(payload);
  const { deviceIndex, id = 0, ...told } = attributes.read(payload.subarray(Nhmsg.size));
  return {
    id,
    ...told,
    ...(deviceIndex !== undefined && { device: deviceIndex }),
    ...(header.nh_family !== AF_UNSPEC && {
      family: header.nh_family === AF_INET ? ("ipv4" as const) : ("ipv6" as const),
    }),
    scope: SCOPES.nameOf(header.nh_scope),
    protocol: PROTOCOLS.nameOf(header.nh_protocol),
    flags: bitNames(header.nh_flags, ROUTE_FLAGS),
  };
}

function familyOf({ gateway, group: members, family, blackhole, forwarding }: NextHopSpec): number {
  if (members) return AF_UNSPEC;
  if (gateway !== undefined) return parseIp(gateway, "gateway").family;
  if (family === undefined && forwarding && !blackhole) return AF_UNSPEC;
  return family === "ipv6" ? parseIp("::", "family").family : AF_INET;
}

/** Next hops of the namespace that the process is in. */
export class NextHops {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All next hops, in the order of their numbers. */
  async list(options?: CallOptions): Promise<NextHopObject[]> {
    const all = compose({ type: RTM_GETNEXTHOP, header: Nhmsg.alloc().bytes });
    const messages = await this.#session.route.dump(all, "list next hops", options);
    const nameOf = this.#session.naming(options);
    const found: NextHopObject[] = [];
    for (const { payload } of messages) {
      const { device, ...rest } = readNextHop(payload);
      found.push({ ...rest, ...(device !== undefined && { device: await nameOf(device) }) });
    }
    return found;
  }

  /**
   * Make a next hop. @throws {NetlinkError} EEXIST if there is one of this number
   * @throws {InvalidOptionError} @throws {UnknownDeviceError}
   */
  async add(hop: NextHopSpec, options?: CallOptions): Promise<void> {
    await this.#change(NLM_F_CREATE | NLM_F_EXCL, "add", hop, options);
  }

  /** Make a next hop, or change the one of this number: routes that lead there follow. */
  async replace(hop: NextHopSpec, options?: CallOptions): Promise<void> {
    if (hop.id === undefined) throw new InvalidOptionError("id", "it says which one is replaced");
    await this.#change(NLM_F_CREATE | NLM_F_REPLACE, "replace", hop, options);
  }

  /** Remove a next hop, and the routes that lead there. @throws {NetlinkError} ENOENT */
  async delete(id: number, options?: CallOptions): Promise<void> {
    const header = Nhmsg.alloc().bytes;
    const message = compose({ type: RTM_DELNEXTHOP, header }, [attributes, { id }]);
    await this.#session.route.request(message, `delete the next hop ${id}`, options);
  }

  async #change(flags: number, verb: string, hop: NextHopSpec, options?: CallOptions) {
    const { device, family: _, protocol, flags: names = [], blackhole, forwarding, ...rest } = hop;
    const header = Nhmsg.alloc();
    header.nh_family = familyOf(hop);
    header.nh_protocol = numberOf(PROTOCOLS, protocol ?? RTPROT_STATIC, "protocol");
    header.nh_flags = bitsOf(names, ROUTE_FLAGS, "flags");
    const index =
      device === undefined ? undefined : await this.#session.indexOf(device, "device", options);
    const message = compose({ type: RTM_NEWNEXTHOP, flags, header: header.bytes }, [
      attributes,
      {
        ...rest,
        ...(index !== undefined && { deviceIndex: index }),
        ...(blackhole && { blackhole: true as const }),
        ...(forwarding && { forwarding: true as const }),
      },
    ]);
    const what = `${verb} the next hop${hop.id === undefined ? "" : ` ${hop.id}`}`;
    await this.#session.route.request(message, what, options);
  }
}
