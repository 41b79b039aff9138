// Neighbours: which hardware address an IP address has on a link; and the forwarding tables of
// bridges and VXLANs (ip-neighbour(8), bridge(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../abi/constants/netlink.ts";
import {
  NDA_DST,
  NDA_IFINDEX,
  NDA_LLADDR,
  NDA_MASTER,
  NDA_PORT,
  NDA_PROBES,
  NDA_VLAN,
  NDA_VNI,
  NTF_EXT_LEARNED,
  NTF_MASTER,
  NTF_OFFLOADED,
  NTF_PROXY,
  NTF_ROUTER,
  NTF_SELF,
  NTF_STICKY,
  NTF_USE,
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "../abi/constants/rtnetlink.ts";
import { AF_BRIDGE, AF_UNSPEC } from "../abi/constants/socket.ts";
import { Ndmsg } from "../abi/structs/netlink.ts";
import { formatIp, ip, mac, parseIp } from "./address.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, be16, bitNames, bitsOf, u16, u32 } from "./netlink/codec.ts";
import { compose } from "./netlink/message.ts";
import { Names, numberOf } from "./route-names.ts";
import type { Device, Session } from "./session.ts";

const STATES = new Names(
  {
    none: 0,
    incomplete: NUD_INCOMPLETE,
    reachable: NUD_REACHABLE,
    stale: NUD_STALE,
    delay: NUD_DELAY,
    probe: NUD_PROBE,
    failed: NUD_FAILED,
    "no-arp": NUD_NOARP,
    permanent: NUD_PERMANENT,
  },
  0xffff,
);

const FLAGS = {
  use: NTF_USE,
  self: NTF_SELF,
  master: NTF_MASTER,
  proxy: NTF_PROXY,
  "externally-learned": NTF_EXT_LEARNED,
  offloaded: NTF_OFFLOADED,
  sticky: NTF_STICKY,
  router: NTF_ROUTER,
} as const;

export type NeighbourFlag = keyof typeof FLAGS;

const attributes = new AttributeSet({
  address: [NDA_DST, ip],
  hardwareAddress: [NDA_LLADDR, mac],
  probes: [NDA_PROBES, u32],
  vlan: [NDA_VLAN, u16],
  port: [NDA_PORT, be16],
  vni: [NDA_VNI, u32],
  viaIndex: [NDA_IFINDEX, u32],
  masterIndex: [NDA_MASTER, u32],
});

/** A neighbour as the kernel has it. */
export interface Neighbour {
  readonly device: Device;
  /** Its IP address; of a VXLAN's entry: where frames for the hardware address go. */
  readonly address?: string;
  /** Undefined as long as it is not known. */
  readonly hardwareAddress?: string;
  /** "reachable", "stale", "failed", "permanent"… */
  readonly state: string | number;
  readonly flags: readonly (NeighbourFlag | `0x${string}`)[];
  readonly vlan?: number;
  readonly port?: number;
  readonly vni?: number;
}

/** A neighbour to be known. */
export interface NeighbourSpec {
  readonly address: string;
  readonly device: Device;
  readonly hardwareAddress?: string;
  /** Default "permanent". */
  readonly state?: string | number;
  readonly flags?: readonly NeighbourFlag[];
}

/** An entry of a forwarding table, in and out. */
export interface ForwardingSpec {
  /** The bridge's port, or the VXLAN. */
  readonly device: Device;
  readonly hardwareAddress: string;
  /** Of a VXLAN: the host where it is. */
  readonly address?: string;
  readonly vlan?: number;
  readonly vni?: number;
  readonly port?: number;
  /** "self": of the device; "master": of its bridge. Default: "self" with an address. */
  readonly flags?: readonly NeighbourFlag[];
  /** Default "permanent". */
  readonly state?: string | number;
}

/** With numbers for interfaces. @internal */
export function readNeighbour(
  payload: Uint8Array,
): Omit<Neighbour, "device"> & { device: number; family: number } {
  atLeast(payload, Ndmsg.size);
  const header = Ndmsg.from(payload);
  const {
    probes: _,
    viaIndex: __,
    masterIndex: ___,
    ...rest
  } = attributes.read(payload.subarray(Ndmsg.size));
  return {
    family: header.ndm_family,
    device: header.ndm_ifindex,
    ...rest,
    state: STATES.nameOf(header.ndm_state),
    flags: bitNames(header.ndm_flags, FLAGS),
  };
}

/** Neighbours of the namespace that the process is in. */
export class Neighbours {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All neighbours by IP, or those of one interface. @throws {UnknownDeviceError} */
  list(device?: Device, options?: CallOptions): Promise<Neighbour[]> {
    return this.#list(AF_UNSPEC, device, options);
  }

  /** Entries of forwarding tables, all or those of one bridge's port or VXLAN. */
  forwarding(device?: Device, options?: CallOptions): Promise<Neighbour[]> {
    return this.#list(AF_BRIDGE, device, options);
  }

  async #list(family: number, device?: Device, options?: CallOptions): Promise<Neighbour[]> {
    const index = device === undefined ? 0 : await this.#session.indexOf(device, "device", options);
    const header = Ndmsg.alloc();
    header.ndm_family = family;
    const all = compose({ type: RTM_GETNEIGH, header: header.bytes });
    const messages = await this.#session.route.dump(all, "list neighbours", options);
    const nameOf = this.#session.naming(options);
    const found: Neighbour[] = [];
    for (const { payload } of messages) {
      const { family: ofEntry, ...entry } = readNeighbour(payload);
      if ((ofEntry === AF_BRIDGE) !== (family === AF_BRIDGE)) continue;
      if (index && entry.device !== index) continue;
      found.push({ ...entry, device: await nameOf(entry.device) });
    }
    return found;
  }

  /** Add a neighbour. @throws {NetlinkError} EEXIST if it is known */
  async add(neighbour: NeighbourSpec, options?: CallOptions): Promise<void> {
    await this.#change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, "add", neighbour, options);
  }

  /** Add a neighbour, or change it. */
  async replace(neighbour: NeighbourSpec, options?: CallOptions): Promise<void> {
    await this.#change(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "replace", neighbour, options);
  }

  /** Forget a neighbour. @throws {NetlinkError} ENOENT if it is not known */
  async delete(neighbour: NeighbourSpec, options?: CallOptions): Promise<void> {
    await this.#change(RTM_DELNEIGH, 0, "delete", neighbour, options);
  }

  async #change(
    type: number,
    flags: number,
    verb: string,
    { address, device, hardwareAddress, state, flags: names = [] }: NeighbourSpec,
    options?: CallOptions,
  ): Promise<void> {
    const { family, bytes } = parseIp(address, "address");
    const header = Ndmsg.alloc();
    header.ndm_family = family;
    header.ndm_ifindex = await this.#session.indexOf(device, "device", options);
    header.ndm_state = numberOf(STATES, state ?? NUD_PERMANENT, "state");
    header.ndm_flags = bitsOf(names, FLAGS, "flags");
    const message = compose({ type, flags, header: header.bytes }, [
      attributes,
      { address: formatIp(bytes), ...(hardwareAddress !== undefined && { hardwareAddress }) },
    ]);
    const what = `${verb} the neighbour ${address} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }

  /** Add an entry to a forwarding table. @throws {NetlinkError} EEXIST */
  async addForwarding(entry: ForwardingSpec, options?: CallOptions): Promise<void> {
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    await this.#forward(RTM_NEWNEIGH, flags, "add", entry, options);
  }

  /** Remove an entry of a forwarding table. @throws {NetlinkError} ENOENT */
  async deleteForwarding(entry: ForwardingSpec, options?: CallOptions): Promise<void> {
    await this.#forward(RTM_DELNEIGH, 0, "delete", entry, options);
  }

  async #forward(
    type: number,
    flags: number,
    verb: string,
    entry: ForwardingSpec,
    options?: CallOptions,
  ): Promise<void> {
    const { device, state, flags: names, ...rest } = entry;
    const header = Ndmsg.alloc();
    header.ndm_family = AF_BRIDGE;
    header.ndm_ifindex = await this.#session.indexOf(device, "device", options);
    header.ndm_state = numberOf(STATES, state ?? NUD_PERMANENT, "state");
    header.ndm_flags = bitsOf(
      names ?? [rest.address === undefined ? "master" : "self"],
      FLAGS,
      "flags",
    );
    const message = compose({ type, flags, header: header.bytes }, [attributes, rest]);
    const what = `${verb} the forwarding entry ${entry.hardwareAddress} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }
}
