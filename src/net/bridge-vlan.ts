// Which VLANs a bridge's ports are in, if it filters them (bridge(8), "bridge vlan").

import type { CallOptions } from "../abi/calls.ts";
import {
  BRIDGE_FLAGS_SELF,
  BRIDGE_VLAN_INFO_PVID,
  BRIDGE_VLAN_INFO_RANGE_BEGIN,
  BRIDGE_VLAN_INFO_RANGE_END,
  BRIDGE_VLAN_INFO_UNTAGGED,
  IFLA_AF_SPEC,
  IFLA_BRIDGE_FLAGS,
  IFLA_BRIDGE_VLAN_INFO,
  IFLA_EXT_MASK,
  IFLA_MASTER,
} from "../abi/constants/if_link.ts";
import {
  RTEXT_FILTER_BRVLAN_COMPRESSED,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_SETLINK,
} from "../abi/constants/rtnetlink.ts";
import { AF_BRIDGE } from "../abi/constants/socket.ts";
import { BridgeVlanInfo, Ifinfomsg } from "../abi/structs/netlink.ts";
import { AttributeSet, eachAttribute } from "./netlink/attributes.ts";
import { atLeast, u16, u32, whole } from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";
import { compose } from "./netlink/message.ts";
import type { Device, Session } from "./session.ts";

const MAX_VLAN = 4094;

/** A VLAN of a port, or with `to` several. */
export interface BridgeVlanSpec {
  readonly id: number;
  readonly to?: number;
  /** What comes in without a tag is in it. */
  readonly pvid?: boolean;
  /** What goes out has no tag. */
  readonly untagged?: boolean;
}

export interface BridgeVlan extends BridgeVlanSpec {
  /** The port, or the bridge. */
  readonly device: Device;
}

/** One VLAN, or an end of a range. */
interface Raw {
  readonly id: number;
  readonly flags: number;
}

/** What is said of a bridge and of its ports: attributes of one type, over and over. */
const specification: Codec<{ readonly self?: boolean; readonly vlans: readonly Raw[] }> = {
  nested: true,
  write(to, { self, vlans }) {
    if (self) to.attribute(IFLA_BRIDGE_FLAGS, "self", () => u16.write(to, BRIDGE_FLAGS_SELF));
    for (const { id, flags } of vlans)
      to.attribute(IFLA_BRIDGE_VLAN_INFO, "vlan", () => {
        const raw = BridgeVlanInfo.alloc();
        raw.vid = id;
        raw.flags = flags;
        to.put(raw.bytes);
      });
  },
  read(payload) {
    const vlans: Raw[] = [];
    eachAttribute(payload, (type, bytes) => {
      if (type !== IFLA_BRIDGE_VLAN_INFO) return;
      atLeast(bytes, BridgeVlanInfo.size);
      const { vid, flags } = BridgeVlanInfo.from(bytes);
      vlans.push({ id: vid, flags });
    });
    return { vlans };
  },
};

const attributes = new AttributeSet({
  specification: [IFLA_AF_SPEC, specification],
  filter: [IFLA_EXT_MASK, u32],
  master: [IFLA_MASTER, u32],
});

function rawOf({ id, to, pvid, untagged }: BridgeVlanSpec): Raw[] {
  whole(id, 1, MAX_VLAN, "id");
  const flags = (pvid ? BRIDGE_VLAN_INFO_PVID : 0) | (untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0);
  if (to === undefined) return [{ id, flags }];
  return [
    { id, flags: flags | BRIDGE_VLAN_INFO_RANGE_BEGIN },
    { id: whole(to, id + 1, MAX_VLAN, "to"), flags: flags | BRIDGE_VLAN_INFO_RANGE_END },
  ];
}

/** @internal */
export function readBridgeVlans(payload: Uint8Array): { device: number; vlans: BridgeVlanSpec[] } {
  atLeast(payload, Ifinfomsg.size);
  const told = attributes.read(payload.subarray(Ifinfomsg.size));
  const vlans: BridgeVlanSpec[] = [];
  let first: number | undefined;
  for (const { id, flags } of told.specification?.vlans ?? []) {
    if (flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) {
      first = id;
      continue;
    }
    vlans.push({
      id: first ?? id,
      ...(first !== undefined && { to: id }),
      ...(flags & BRIDGE_VLAN_INFO_PVID && { pvid: true }),
      ...(flags & BRIDGE_VLAN_INFO_UNTAGGED && { untagged: true }),
    });
    first = undefined;
  }
  return { device: Ifinfomsg.from(payload).ifi_index, vlans };
}

/** VLANs of bridges' ports, of the namespace that the process is in. */
export class BridgeVlans {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  #header(index: number): Uint8Array {
    const header = Ifinfomsg.alloc();
    header.ifi_family = AF_BRIDGE;
    header.ifi_index = index;
    return header.bytes;
  }

  /** Without asking for VLANs, bridges themselves would not be told of. */
  #dump(options?: CallOptions) {
    const all = compose({ type: RTM_GETLINK, header: this.#header(0) }, [
      attributes,
      { filter: RTEXT_FILTER_BRVLAN_COMPRESSED },
    ]);
    return this.#session.route.dump(all, "list the VLANs of bridges", options);
  }

  /** Those of all ports and bridges, or of one. @throws {UnknownDeviceError} */
  async list(device?: Device, options?: CallOptions): Promise<BridgeVlan[]> {
    const index = device === undefined ? 0 : await this.#session.indexOf(device, "device", options);
    const messages = await this.#dump(options);
    const nameOf = this.#session.naming(options);
    const found: BridgeVlan[] = [];
    for (const { payload } of messages) {
      const { device: number, vlans } = readBridgeVlans(payload);
      if (index && number !== index) continue;
      const name = await nameOf(number);
      for (const vlan of vlans) found.push({ device: name, ...vlan });
    }
    return found;
  }

  /**
   * Put a port into VLANs; of a bridge, the bridge itself.
   *
   * @throws {InvalidOptionError} @throws {NetlinkError} EOPNOTSUPP of what is no port
   */
  async add(device: Device, vlan: BridgeVlanSpec, options?: CallOptions): Promise<void> {
    await this.#change(RTM_SETLINK, "add", device, vlan, options);
  }

  /** Take a port out of VLANs. @throws {NetlinkError} */
  async delete(device: Device, vlan: BridgeVlanSpec, options?: CallOptions): Promise<void> {
    await this.#change(RTM_DELLINK, "delete", device, vlan, options);
  }

  async #change(
    type: number,
    verb: string,
    device: Device,
    vlan: BridgeVlanSpec,
    options?: CallOptions,
  ): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const vlans = rawOf(vlan);
    const self = await this.#isBridge(index, options);
    const message = compose({ type, header: this.#header(index) }, [
      attributes,
      { specification: { self, vlans } },
    ]);
    const what = `${verb} VLAN ${vlan.id} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }

  /** A bridge is told of itself by a flag; it is listed without a master, or as its own. */
  async #isBridge(index: number, options?: CallOptions): Promise<boolean> {
    const messages = await this.#dump(options);
    const masters = messages
      .filter(({ payload }) => readBridgeVlans(payload).device === index)
      .map(({ payload }) => attributes.read(payload.subarray(Ifinfomsg.size)).master ?? index);
    return masters.length > 0 && masters.every((master) => master === index);
  }
}
