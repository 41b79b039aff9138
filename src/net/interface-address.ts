// Addresses of interfaces (rtnetlink(7), ip-address(8)).

import type { CallOptions } from "../abi/calls.ts";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "../abi/constants/netlink.ts";
import {
  IFA_ADDRESS,
  IFA_BROADCAST,
  IFA_CACHEINFO,
  IFA_FLAGS,
  IFA_F_DADFAILED,
  IFA_F_DEPRECATED,
  IFA_F_HOMEADDRESS,
  IFA_F_MANAGETEMPADDR,
  IFA_F_MCAUTOJOIN,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_OPTIMISTIC,
  IFA_F_PERMANENT,
  IFA_F_SECONDARY,
  IFA_F_STABLE_PRIVACY,
  IFA_F_TENTATIVE,
  IFA_LABEL,
  IFA_LOCAL,
  IFA_RT_PRIORITY,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from "../abi/constants/rtnetlink.ts";
import { AF_INET, AF_UNSPEC } from "../abi/constants/socket.ts";
import { IfaCacheinfo, Ifaddrmsg } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { formatIp, ip, parsePrefix } from "./address.ts";
import type { IpPrefix } from "./address.ts";
import { IFNAMSIZ } from "./link-kinds.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, bits, record, text, u32, whole } from "./netlink/codec.ts";
import { NetlinkError } from "./netlink/errors.ts";
import { compose } from "./netlink/message.ts";
import { SCOPES, numberOf } from "./route-names.ts";
import type { Device, Session } from "./session.ts";

/** What the kernel calls a time without end. */
const FOREVER = 0xffffffff;

const FLAGS = {
  secondary: IFA_F_SECONDARY,
  "no-dad": IFA_F_NODAD,
  optimistic: IFA_F_OPTIMISTIC,
  "dad-failed": IFA_F_DADFAILED,
  "home-address": IFA_F_HOMEADDRESS,
  deprecated: IFA_F_DEPRECATED,
  tentative: IFA_F_TENTATIVE,
  permanent: IFA_F_PERMANENT,
  "manage-temporary": IFA_F_MANAGETEMPADDR,
  "no-prefix-route": IFA_F_NOPREFIXROUTE,
  "multicast-join": IFA_F_MCAUTOJOIN,
  "stable-privacy": IFA_F_STABLE_PRIVACY,
} as const;

export type AddressFlag = keyof typeof FLAGS;

const lifetimes = record(
  IfaCacheinfo.size,
  (view) => {
    const raw = new IfaCacheinfo(view);
    return { preferredSeconds: raw.ifa_prefered, validSeconds: raw.ifa_valid };
  },
  (view, { preferredSeconds, validSeconds }, option) => {
    const raw = new IfaCacheinfo(view);
    raw.ifa_prefered = whole(preferredSeconds, 0, FOREVER, option("preferredSeconds"));
    raw.ifa_valid = whole(validSeconds, 0, FOREVER, option("validSeconds"));
  },
);

const attributes = new AttributeSet({
  address: [IFA_ADDRESS, ip],
  local: [IFA_LOCAL, ip],
  broadcast: [IFA_BROADCAST, ip],
  label: [IFA_LABEL, text(IFNAMSIZ)],
  flags: [IFA_FLAGS, bits(u32, FLAGS)],
  lifetimes: [IFA_CACHEINFO, lifetimes],
  metric: [IFA_RT_PRIORITY, u32],
});

/** An address of an interface, as the kernel has it. */
export interface InterfaceAddress {
  /** "10.0.0.1/24" */
  readonly address: string;
  readonly device: Device;
  /** Of a point-to-point link: the other end. */
  readonly peer?: string;
  readonly broadcast?: string;
  /** "global", "link", "host"… */
  readonly scope: string | number;
  readonly label?: string;
  readonly flags: readonly (AddressFlag | `0x${string}`)[];
  /** How long it may begin connections; Infinity: for ever. */
  readonly preferredSeconds: number;
  /** How long it is there. */
  readonly validSeconds: number;
  readonly metric?: number;
}

/** How an address is added. */
export interface AddressSpec {
  /** The other end of a point-to-point link, with the prefix length of the address. */
  peer?: string;
  /** Default for IPv4: the network's last address; null: none. */
  broadcast?: string | null;
  scope?: string | number;
  /** Of IPv4: the interface's name, perhaps with more behind ":". */
  label?: string;
  flags?: readonly AddressFlag[];
  preferredSeconds?: number;
  validSeconds?: number;
  /** Of the route to the network. */
  metric?: number;
}

/** With numbers for interfaces. @internal */
export function readAddress(
  payload: Uint8Array,
): Omit<InterfaceAddress, "device"> & { device: number } {
  atLeast(payload, Ifaddrmsg.size);
  const header = Ifaddrmsg.from(payload);
  const { address, local, lifetimes, flags, ...rest } = attributes.read(
    payload.subarray(Ifaddrmsg.size),
  );
  const own = local ?? address ?? "";
  const seconds = (value = FOREVER) => (value === FOREVER ? Infinity : value);
  return {
    address: `${own}/${header.ifa_prefixlen}`,
    device: header.ifa_index,
    ...(local !== undefined && address !== undefined && local !== address && { peer: address }),
    scope: SCOPES.nameOf(header.ifa_scope),
    flags: flags ?? [],
    preferredSeconds: seconds(lifetimes?.preferredSeconds),
    validSeconds: seconds(lifetimes?.validSeconds),
    ...rest,
  };
}

/** The last address of a network, which all its hosts take for theirs. RFC 919. */
function broadcastOf({ family, bytes, prefixLength }: IpPrefix): string | undefined {
  if (family !== AF_INET || prefixLength > 30) return undefined;
  return formatIp(
    bytes.map((byte, index) => {
      const kept = Math.min(8, Math.max(0, prefixLength - index * 8));
      return byte | (0xff >> kept);
    }),
  );
}

/** Addresses of the namespace that the process is in. */
export class Addresses {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All addresses, or those of one interface. @throws {UnknownDeviceError} */
  async list(device?: Device, options?: CallOptions): Promise<InterfaceAddress[]> {
    const index = device === undefined ? 0 : await this.#session.indexOf(device, "device", options);
    const header = Ifaddrmsg.alloc();
    header.ifa_family = AF_UNSPEC;
    header.ifa_index = index;
    const all = compose({ type: RTM_GETADDR, header: header.bytes });
    const messages = await this.#session.route.dump(all, "list addresses", options);
    const nameOf = this.#session.naming(options);
    const found: InterfaceAddress[] = [];
    for (const { payload } of messages) {
      const address = readAddress(payload);
      if (index && address.device !== index) continue;
      found.push({ ...address, device: await nameOf(address.device) });
    }
    return found;
  }

  /**
   * Add an address to an interface: "10.0.0.1/24", "fd00::1/64".
   *
   * @throws {NetlinkError} EEXIST if it has it @throws {UnknownDeviceError}
   * @throws {InvalidOptionError} if it is no address
   */
  async add(device: Device, address: string, spec: AddressSpec = {}, options?: CallOptions) {
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    await this.#change(RTM_NEWADDR, flags, "add", device, address, spec, options);
  }

  /** Add an address, or change what it has if it is there. */
  async replace(device: Device, address: string, spec: AddressSpec = {}, options?: CallOptions) {
    const flags = NLM_F_CREATE | NLM_F_REPLACE;
    await this.#change(RTM_NEWADDR, flags, "replace", device, address, spec, options);
  }

  /**
   * Take an address from an interface; one with another end is named with that.
   *
   * @throws {NetlinkError} EADDRNOTAVAIL if it has it not
   */
  async delete(
    device: Device,
    address: string,
    spec: { readonly peer?: string } = {},
    options?: CallOptions,
  ) {
    await this.#change(RTM_DELADDR, 0, "delete", device, address, spec, options);
  }

  /** Take all addresses from an interface, or those of one family. */
  async flush(device: Device, family?: "ipv4" | "ipv6", options?: CallOptions): Promise<void> {
    for (const { address, peer, flags } of await this.list(device, options)) {
      if (family !== undefined && address.includes(":") !== (family === "ipv6")) continue;
      // Secondary ones go with their primary one, or are promoted, as the kernel is set.
      const gone = flags.includes("secondary") ? ["EADDRNOTAVAIL"] : [];
      await this.delete(device, address, peer === undefined ? {} : { peer }, options).catch(
        (error: unknown) => {
          if (!(error instanceof NetlinkError && gone.includes(error.code))) throw error;
        },
      );
    }
  }

  async #change(
    type: number,
    flags: number,
    verb: string,
    device: Device,
    address: string,
    spec: AddressSpec,
    options?: CallOptions,
  ): Promise<void> {
    const prefix = parsePrefix(address, "address");
    if (prefix.zone !== undefined)
      throw new InvalidOptionError("address", `"${address}": the interface is named by itself`);
    const index = await this.#session.indexOf(device, "device", options);
    const { peer, broadcast, scope, preferredSeconds, validSeconds, ...rest } = spec;
    const header = Ifaddrmsg.alloc();
    header.ifa_family = prefix.family;
    header.ifa_prefixlen = prefix.prefixLength;
    header.ifa_index = index;
    if (scope !== undefined) header.ifa_scope = numberOf(SCOPES, scope, "scope");
    const usual = type === RTM_NEWADDR && !peer ? broadcastOf(prefix) : undefined;
    const all = broadcast === undefined ? usual : (broadcast ?? undefined);
    const seconds = (value = Infinity) => (value === Infinity ? FOREVER : value);
    const limited = preferredSeconds !== undefined || validSeconds !== undefined;
    const message = compose({ type, flags, header: header.bytes }, [
      attributes,
      {
        local: formatIp(prefix.bytes),
        address: peer ?? formatIp(prefix.bytes),
        ...(all !== undefined && { broadcast: all }),
        ...(limited && {
          lifetimes: {
            preferredSeconds: seconds(preferredSeconds ?? validSeconds),
            validSeconds: seconds(validSeconds),
          },
        }),
        ...rest,
      },
    ]);
    const what = `${verb} the address ${address} of '${device}'`;
    await this.#session.route.request(message, what, options);
  }
}
