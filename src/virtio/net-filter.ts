// Which frames a network device gives to its driver: those for its address, for the groups and the
// VLANs that the driver named, or all of them (virtio 1.2, section 5.1.6.5).

import { ETH_ALEN, ETH_HLEN, ETH_P_8021Q } from "../abi/constants/packet.ts";
import { BROADCAST, isGroup, macAt } from "../link/mac.ts";

/** Addresses of one kind that a filter holds; if there are more, it lets all of that kind pass. */
export const MAX_FILTERED_ADDRESSES = 256;
/** What of a frame is looked at: its header, and a VLAN's tag. */
export const FILTERED_BYTES: number = ETH_HLEN + 2;

const VLANS = 4096;
const VLAN_MASK = VLANS - 1;
const COUNT_BYTES = 4;

export class ReceiveFilter {
  /** Whether everything passes. */
  promiscuous = true;
  allMulticast = false;
  /** Whether only VLANs that were named pass. */
  filtersVlans = false;
  /** The device's own address. */
  address = 0;
  /** Null: all of them. */
  #unicast: Set<number> | null = new Set();
  #multicast: Set<number> | null = new Set();
  readonly #vlans = new Uint32Array(VLANS / 32);

  /** As it is before a driver has said anything: everything passes. */
  reset(): void {
    this.promiscuous = true;
    this.allMulticast = false;
    this.#unicast = new Set();
    this.#multicast = new Set();
    this.#vlans.fill(0);
  }

  /** Whether a frame that begins with these bytes, at least {@link FILTERED_BYTES}, passes. */
  passes(head: Uint8Array): boolean {
    if (this.promiscuous) return true;
    if (this.filtersVlans && !this.#passesVlan(head)) return false;
    const target = macAt(head, 0);
    if (target === this.address || target === BROADCAST) return true;
    if (!isGroup(target)) return this.#unicast === null || this.#unicast.has(target);
    return this.allMulticast || this.#multicast === null || this.#multicast.has(target);
  }

  #passesVlan(head: Uint8Array): boolean {
    if (((head[12] << 8) | head[13]) !== ETH_P_8021Q) return true;
    const vlan = ((head[14] << 8) | head[15]) & VLAN_MASK;
    return (this.#vlans[vlan >> 5] & (1 << (vlan & 31))) !== 0;
  }

  /** Let a VLAN pass, or not. */
  setVlan(vlan: number, passes: boolean): void {
    const bit = 1 << (vlan & 31);
    if (passes) this.#vlans[(vlan & VLAN_MASK) >> 5] |= bit;
    else this.#vlans[(vlan & VLAN_MASK) >> 5] &= ~bit;
  }

  /** The two tables of VIRTIO_NET_CTRL_MAC_TABLE_SET: stations, and groups. False if they are none. */
  setAddresses(bytes: Uint8Array): boolean {
    const tables: (Set<number> | null)[] = [];
    let at = 0;
    for (let table = 0; table < 2; table++) {
      if (at + COUNT_BYTES > bytes.length) return false;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const count = view.getUint32(at, true);
      at += COUNT_BYTES;
      if (count * ETH_ALEN > bytes.length - at) return false;
      const addresses = new Set<number>();
      for (let i = 0; i < count && i < MAX_FILTERED_ADDRESSES; i++)
        addresses.add(macAt(bytes, at + i * ETH_ALEN));
      tables.push(count > MAX_FILTERED_ADDRESSES ? null : addresses);
      at += count * ETH_ALEN;
    }
    [this.#unicast, this.#multicast] = tables;
    return true;
  }
}
