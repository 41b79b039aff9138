// Links: network interfaces, made, changed, listed and removed (rtnetlink(7), ip-link(8)).

import type { CallOptions } from "../abi/calls.ts";
import {
  IFF_ALLMULTI,
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_PROMISC,
  IFF_RUNNING,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_ALLMULTI,
  IFLA_ALT_IFNAME,
  IFLA_BROADCAST,
  IFLA_CARRIER,
  IFLA_CARRIER_CHANGES,
  IFLA_GROUP,
  IFLA_GRO_MAX_SIZE,
  IFLA_GSO_IPV4_MAX_SIZE,
  IFLA_GSO_MAX_SEGS,
  IFLA_GSO_MAX_SIZE,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET6_ADDR_GEN_MODE,
  IFLA_INET6_TOKEN,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINK,
  IFLA_LINKINFO,
  IFLA_LINKMODE,
  IFLA_LINK_NETNSID,
  IFLA_MASTER,
  IFLA_MAX_MTU,
  IFLA_MIN_MTU,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  IFLA_NET_NS_PID,
  IFLA_NUM_RX_QUEUES,
  IFLA_NUM_TX_QUEUES,
  IFLA_OPERSTATE,
  IFLA_PERM_ADDRESS,
  IFLA_PROMISCUITY,
  IFLA_PROP_LIST,
  IFLA_QDISC,
  IFLA_STATS64,
  IFLA_TSO_MAX_SEGS,
  IFLA_TSO_MAX_SIZE,
  IFLA_TXQLEN,
  IF_OPER_DORMANT,
  IF_OPER_DOWN,
  IF_OPER_LOWERLAYERDOWN,
  IF_OPER_NOTPRESENT,
  IF_OPER_TESTING,
  IF_OPER_UNKNOWN,
  IF_OPER_UP,
  IN6_ADDR_GEN_MODE_EUI64,
  IN6_ADDR_GEN_MODE_NONE,
  IN6_ADDR_GEN_MODE_RANDOM,
  IN6_ADDR_GEN_MODE_STABLE_PRIVACY,
} from "../abi/constants/if_link.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../abi/constants/netlink.ts";
import { ARPHRD_ETHER, ARPHRD_LOOPBACK, ARPHRD_NONE } from "../abi/constants/packet.ts";
import {
  RTM_DELLINK,
  RTM_DELLINKPROP,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTM_NEWLINKPROP,
} from "../abi/constants/rtnetlink.ts";
import { AF_INET6 } from "../abi/constants/socket.ts";
import { Ifinfomsg, RtnlLinkStats64 } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { ipv6, mac } from "./address.ts";
import { IFNAMSIZ, kinds, portKinds } from "./link-kinds.ts";
import type { LinkKind } from "./link-kinds.ts";
import { AttributeSet, list, transparent } from "./netlink/attributes.ts";
import type { Variant } from "./netlink/attributes.ts";
import { atLeast, bitNames, named, readOnly, s32, text, u32, u8, yes } from "./netlink/codec.ts";
import type { Value } from "./netlink/codec.ts";
import { NetlinkError } from "./netlink/errors.ts";
import { compose } from "./netlink/message.ts";
import { UnknownDeviceError, checkDevice } from "./session.ts";
import type { Device, Session } from "./session.ts";

/** With its NUL (linux/if.h). */
const ALTIFNAMSIZ = 128;
const IFALIASZ = 256;

const information: Variant<typeof kinds> = {
  selector: "kind",
  type: IFLA_INFO_DATA,
  cases: kinds,
};
const portInformation: Variant<typeof portKinds> = {
  selector: "portKind",
  type: IFLA_INFO_SLAVE_DATA,
  cases: portKinds,
};

const linkInfo = new AttributeSet(
  { kind: [IFLA_INFO_KIND, text()], portKind: [IFLA_INFO_SLAVE_KIND, text()] },
  information,
  portInformation,
);

const inet6 = new AttributeSet({
  addressGeneration: [
    IFLA_INET6_ADDR_GEN_MODE,
    named(u8, {
      eui64: IN6_ADDR_GEN_MODE_EUI64,
      none: IN6_ADDR_GEN_MODE_NONE,
      "stable-privacy": IN6_ADDR_GEN_MODE_STABLE_PRIVACY,
      random: IN6_ADDR_GEN_MODE_RANDOM,
    }),
  ],
  token: [IFLA_INET6_TOKEN, ipv6],
});

/** Counters since the link was made. */
export interface LinkStatistics {
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxErrors: number;
  readonly txErrors: number;
  readonly rxDropped: number;
  readonly txDropped: number;
  /** There was no room for them. */
  readonly rxMissed: number;
  readonly txCarrierErrors: number;
  readonly multicast: number;
  readonly collisions: number;
}

function readStatistics(bytes: Uint8Array): LinkStatistics {
  atLeast(bytes, RtnlLinkStats64.size);
  const raw = RtnlLinkStats64.from(bytes);
  return {
    rxPackets: Number(raw.rx_packets),
    txPackets: Number(raw.tx_packets),
    rxBytes: Number(raw.rx_bytes),
    txBytes: Number(raw.tx_bytes),
    rxErrors: Number(raw.rx_errors),
    txErrors: Number(raw.tx_errors),
    rxDropped: Number(raw.rx_dropped),
    txDropped: Number(raw.tx_dropped),
    rxMissed: Number(raw.rx_missed_errors),
    txCarrierErrors: Number(raw.tx_carrier_errors),
    multicast: Number(raw.multicast),
    collisions: Number(raw.collisions),
  };
}

const readOnlyU32 = readOnly(u32);

const STATES = {
  unknown: IF_OPER_UNKNOWN,
  "not-present": IF_OPER_NOTPRESENT,
  down: IF_OPER_DOWN,
  "lower-layer-down": IF_OPER_LOWERLAYERDOWN,
  testing: IF_OPER_TESTING,
  dormant: IF_OPER_DORMANT,
  up: IF_OPER_UP,
} as const;

/** All attributes of links that we know, by the names that they have in objects. */
export const linkAttributes = new AttributeSet({
  name: [IFLA_IFNAME, text(IFNAMSIZ)],
  address: [IFLA_ADDRESS, mac],
  broadcast: [IFLA_BROADCAST, mac],
  permanentAddress: [IFLA_PERM_ADDRESS, readOnly(mac)],
  mtu: [IFLA_MTU, u32],
  minMtu: [IFLA_MIN_MTU, readOnlyU32],
  maxMtu: [IFLA_MAX_MTU, readOnlyU32],
  txQueueLength: [IFLA_TXQLEN, u32],
  link: [IFLA_LINK, u32],
  linkNamespaceId: [IFLA_LINK_NETNSID, s32],
  master: [IFLA_MASTER, u32],
  alias: [IFLA_IFALIAS, text(IFALIASZ)],
  group: [IFLA_GROUP, u32],
  state: [IFLA_OPERSTATE, named(u8, STATES)],
  carrier: [IFLA_CARRIER, yes(u8)],
  carrierChanges: [IFLA_CARRIER_CHANGES, readOnlyU32],
  /** Whether it waits for somebody to say that it may be used (IF_LINK_MODE_DORMANT). */
  dormant: [IFLA_LINKMODE, readOnly(yes(u8))],
  /** How many want all that is on the wire. */
  promiscuity: [IFLA_PROMISCUITY, readOnlyU32],
  /** How many want all groups. */
  allMulticasts: [IFLA_ALLMULTI, readOnlyU32],
  qdisc: [IFLA_QDISC, readOnly(text())],
  txQueues: [IFLA_NUM_TX_QUEUES, u32],
  rxQueues: [IFLA_NUM_RX_QUEUES, u32],
  gsoMaxBytes: [IFLA_GSO_MAX_SIZE, u32],
  gsoIpv4MaxBytes: [IFLA_GSO_IPV4_MAX_SIZE, u32],
  gsoMaxSegments: [IFLA_GSO_MAX_SEGS, u32],
  groMaxBytes: [IFLA_GRO_MAX_SIZE, readOnlyU32],
  tsoMaxBytes: [IFLA_TSO_MAX_SIZE, readOnlyU32],
  tsoMaxSegments: [IFLA_TSO_MAX_SEGS, readOnlyU32],
  otherNames: [IFLA_PROP_LIST, list(text(ALTIFNAMSIZ), { type: IFLA_ALT_IFNAME })],
  statistics: [IFLA_STATS64, readOnly({ read: readStatistics })],
  families: [IFLA_AF_SPEC, transparent(new AttributeSet({ inet6: [AF_INET6, inet6] }))],
  info: [IFLA_LINKINFO, transparent(linkInfo)],
  namespacePid: [IFLA_NET_NS_PID, u32],
  namespaceFd: [IFLA_NET_NS_FD, u32],
});

const FLAGS = {
  up: IFF_UP,
  broadcast: IFF_BROADCAST,
  loopback: IFF_LOOPBACK,
  "point-to-point": IFF_POINTOPOINT,
  running: IFF_RUNNING,
  "no-arp": IFF_NOARP,
  promiscuous: IFF_PROMISC,
  "all-multicast": IFF_ALLMULTI,
  multicast: IFF_MULTICAST,
  "lower-up": IFF_LOWER_UP,
} as const;

export type LinkFlag = keyof typeof FLAGS;

const TYPES = new Map([
  [ARPHRD_ETHER, "ether"],
  [ARPHRD_LOOPBACK, "loopback"],
  [ARPHRD_NONE, "none"],
]);

type Attributes = Value<typeof linkAttributes>;
type Kinds = Omit<Value<typeof linkInfo>, "kind" | "portKind">;

/** What all links have that the kernel tells as it is. */
type Told = Omit<
  Attributes,
  "name" | "link" | "master" | "info" | "families" | "namespacePid" | "namespaceFd" | "newIndex"
>;

/** A link as the kernel has it: with an object named like its kind, for what that has. */
export interface Link extends Told, Kinds {
  readonly index: number;
  readonly name: string;
  /** "vlan", "veth"…; undefined for those of drivers, and for lo. */
  readonly kind?: string;
  /** "ether", "loopback", "none", or the number of linux/if_arp.h. */
  readonly type: string | number;
  /** Whether it is to be used. */
  readonly up: boolean;
  readonly flags: readonly (LinkFlag | `0x${string}`)[];
  /** The link below; its number if that is in another namespace or gone. */
  readonly link?: Device;
  /** The bridge, bond or VRF that it is a part of. */
  readonly master?: Device;
  readonly portKind?: string;
  readonly inet6?: Value<typeof inet6>;
}

/** A network namespace: that of a process, or of a descriptor of its file (/proc/PID/ns/net). */
export type Namespace = { readonly pid: number } | { readonly fd: number };

/** What a link is to be like. What is left out stays, or is the kernel's choice. */
export interface LinkChanges extends Kinds {
  /** A new name. */
  name?: string;
  up?: boolean;
  arp?: boolean;
  multicast?: boolean;
  allMulticast?: boolean;
  promiscuous?: boolean;
  /** Hardware address, "02:00:5e:10:00:01". */
  address?: string;
  broadcast?: string;
  mtu?: number;
  txQueueLength?: number;
  alias?: string;
  group?: number;
  /** The bridge, bond or VRF that it becomes a part of; null: of none. */
  master?: Device | null;
  carrier?: boolean;
  gsoMaxBytes?: number;
  /** Of IPv4 alone; setting `gsoMaxBytes` to at most 65536 sets this, too. */
  gsoIpv4MaxBytes?: number;
  gsoMaxSegments?: number;
  inet6?: Value<typeof inet6>;
  /** Where it goes: from then on it is that namespace's. */
  namespace?: Namespace;
}

/** A link to be made. */
export interface LinkSpec extends LinkChanges {
  /** Up to 15 bytes. */
  name: string;
  kind: LinkKind | (string & {});
  /** The link below, of a vlan, macvlan or ipvlan. */
  link?: Device;
  /** The number that it gets; default: the next. */
  index?: number;
  txQueues?: number;
  rxQueues?: number;
}

const SPEC: Readonly<Record<keyof LinkSpec, true>> = {
  ...(Object.fromEntries(
    [...Object.keys(kinds), ...Object.keys(portKinds)].map((k) => [k, true]),
  ) as Record<keyof Kinds, true>),
  name: true,
  kind: true,
  link: true,
  index: true,
  up: true,
  arp: true,
  multicast: true,
  allMulticast: true,
  promiscuous: true,
  address: true,
  broadcast: true,
  mtu: true,
  txQueueLength: true,
  txQueues: true,
  rxQueues: true,
  alias: true,
  group: true,
  master: true,
  carrier: true,
  gsoMaxBytes: true,
  gsoIpv4MaxBytes: true,
  gsoMaxSegments: true,
  inet6: true,
  namespace: true,
};

/** What is in the header, or not as it is in an attribute. */
const ELSEWHERE: ReadonlySet<string> = new Set<keyof LinkSpec>([
  "up",
  "arp",
  "multicast",
  "allMulticast",
  "promiscuous",
  "master",
  "inet6",
  "namespace",
  "kind",
  "link",
  "index",
  "txQueues",
  "rxQueues",
]);

function checkNames(spec: object): void {
  for (const name of Object.keys(spec))
    if (!Object.hasOwn(SPEC, name))
      throw new InvalidOptionError(name, `unknown: it is one of ${Object.keys(SPEC).join(", ")}`);
}

/** The header of a request: flags are those that are given. */
function headerOf(index: number, spec: LinkChanges): Uint8Array {
  const header = Ifinfomsg.alloc();
  header.ifi_index = index;
  const switches: readonly (readonly [boolean | undefined, number])[] = [
    [spec.up, IFF_UP],
    [spec.arp === undefined ? undefined : !spec.arp, IFF_NOARP],
    [spec.multicast, IFF_MULTICAST],
    [spec.allMulticast, IFF_ALLMULTI],
    [spec.promiscuous, IFF_PROMISC],
  ];
  for (const [wanted, bit] of switches) {
    if (wanted === undefined) continue;
    header.ifi_change |= bit;
    if (wanted) header.ifi_flags |= bit;
  }
  return header.bytes;
}

/** What a message of a link says, with numbers for other links. @throws {MalformedMessageError} */
export function readLink(payload: Uint8Array): Link & { link?: number; master?: number } {
  atLeast(payload, Ifinfomsg.size);
  const header = Ifinfomsg.from(payload);
  const { name, info, families, ...told } = linkAttributes.read(payload.subarray(Ifinfomsg.size));
  const flags = bitNames(header.ifi_flags, FLAGS);
  return {
    index: header.ifi_index,
    name: name ?? "",
    type: TYPES.get(header.ifi_type) ?? header.ifi_type,
    up: flags.includes("up"),
    flags,
    ...told,
    ...info,
    ...(families?.inet6 && { inet6: families.inet6 }),
  };
}

/** Links of the namespace that the process is in. */
export class Links {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** All links, in the order of their numbers. */
  async list(options?: CallOptions): Promise<Link[]> {
    const all = compose({ type: RTM_GETLINK, header: Ifinfomsg.alloc().bytes });
    const messages = await this.#session.route.dump(all, "list links", options);
    const links = messages.map(({ payload }) => readLink(payload));
    const names = new Map(links.map(({ index, name }) => [index, name]));
    return links.map((link) => withNames(link, (index) => names.get(index) ?? index));
  }

  /** One link. @throws {UnknownDeviceError} */
  async get(device: Device, options?: CallOptions): Promise<Link> {
    checkDevice(device, "device");
    const header = Ifinfomsg.alloc();
    if (typeof device === "number") header.ifi_index = device;
    const wanted = compose({ type: RTM_GETLINK, header: header.bytes }, [
      linkAttributes,
      typeof device === "string" ? { name: device } : {},
    ]);
    try {
      const [answer] = await this.#session.route.request(wanted, `get '${device}'`, options);
      if (answer) return await this.resolve(readLink(answer.payload), options);
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === "ENODEV")) throw error;
    }
    throw new UnknownDeviceError(device, "device");
  }

  /** Puts the names of other links where their numbers are. @internal */
  async resolve(
    link: Link & { link?: number; master?: number },
    options?: CallOptions,
  ): Promise<Link> {
    const names = new Map<number, Device>();
    for (const index of [link.link, link.master])
      if (index && !(index === link.link && link.linkNamespaceId !== undefined))
        names.set(index, await this.#session.nameOf(index, options));
    return withNames(link, (index) => names.get(index) ?? index);
  }

  /**
   * Make a link.
   *
   * @throws {NetlinkError} EEXIST if there is one of this name, EOPNOTSUPP for a kind that the
   *   kernel does not have
   * @throws {InvalidOptionError} @throws {UnknownDeviceError}
   */
  async add(spec: LinkSpec, options?: CallOptions): Promise<void> {
    checkNames(spec);
    if (typeof spec.name !== "string" || spec.name === "")
      throw new InvalidOptionError("name", "a link has a name of 1 to 15 bytes");
    const { link, index = 0, kind, txQueues, rxQueues } = spec;
    const attributes: Attributes = {
      ...(await this.#attributes(spec, kind, options)),
      ...(link !== undefined && { link: await this.#session.indexOf(link, "link", options) }),
      ...(txQueues !== undefined && { txQueues }),
      ...(rxQueues !== undefined && { rxQueues }),
    };
    const head = {
      type: RTM_NEWLINK,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      header: headerOf(index, spec),
    };
    const what = `add the ${kind} '${spec.name}'`;
    await this.#session.route.request(compose(head, [linkAttributes, attributes]), what, options);
  }

  /** Change a link. @throws {UnknownDeviceError} @throws {NetlinkError} @throws {InvalidOptionError} */
  async set(device: Device, changes: LinkChanges, options?: CallOptions): Promise<void> {
    checkNames(changes);
    const index = await this.#session.indexOf(device, "device", options);
    const kind = Object.keys(changes).find((name) => Object.hasOwn(kinds, name));
    const attributes = await this.#attributes(changes, kind, options);
    const message = compose({ type: RTM_NEWLINK, header: headerOf(index, changes) }, [
      linkAttributes,
      attributes,
    ]);
    await this.#request(message, device, `change the link '${device}'`, options);
  }

  /** Remove a link. @throws {UnknownDeviceError} @throws {NetlinkError} e.g. EOPNOTSUPP of lo */
  async delete(device: Device, options?: CallOptions): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const message = compose({ type: RTM_DELLINK, header: headerOf(index, {}) });
    await this.#request(message, device, `delete the link '${device}'`, options);
  }

  /** Give a link more names. @throws {NetlinkError} EEXIST @throws {UnknownDeviceError} */
  async addNames(device: Device, names: readonly string[], options?: CallOptions): Promise<void> {
    await this.#names(RTM_NEWLINKPROP, "give names to", device, names, options);
  }

  /** Take names from a link that were given to it. @throws {NetlinkError} @throws {UnknownDeviceError} */
  async deleteNames(
    device: Device,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    await this.#names(RTM_DELLINKPROP, "take names from", device, names, options);
  }

  async #names(
    type: number,
    verb: string,
    device: Device,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<void> {
    const index = await this.#session.indexOf(device, "device", options);
    const flags = type === RTM_NEWLINKPROP ? NLM_F_CREATE | NLM_F_EXCL : 0;
    const message = compose({ type, flags, header: headerOf(index, {}) }, [
      linkAttributes,
      { otherNames: names },
    ]);
    await this.#request(message, device, `${verb} the link '${device}'`, options);
  }

  async #request(
    message: ReturnType<typeof compose>,
    device: Device,
    what: string,
    options?: CallOptions,
  ): Promise<void> {
    try {
      await this.#session.route.request(message, what, options);
    } catch (error) {
      if (error instanceof NetlinkError && error.code === "ENODEV")
        throw new UnknownDeviceError(device, "device");
      throw error;
    }
  }

  async #attributes(
    spec: LinkChanges,
    kind: string | undefined,
    options?: CallOptions,
  ): Promise<Attributes> {
    const { master, inet6, namespace } = spec;
    const plain: Record<string, unknown> = {};
    const info: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(spec)) {
      if (ELSEWHERE.has(name)) continue;
      const ofKind = Object.hasOwn(kinds, name) || Object.hasOwn(portKinds, name);
      (ofKind ? info : plain)[name] = value;
    }
    if (kind !== undefined) info.kind = kind;
    const port = Object.keys(portKinds).find((name) => info[name] !== undefined);
    if (port !== undefined) info.portKind = portKinds[port as keyof typeof portKinds][0];
    const masterIndex = master && (await this.#session.indexOf(master, "master", options));
    return {
      ...plain,
      ...(Object.keys(info).length && { info }),
      ...(masterIndex !== undefined && { master: masterIndex ?? 0 }),
      ...(inet6 && { families: { inet6 } }),
      ...(namespace &&
        ("fd" in namespace ? { namespaceFd: namespace.fd } : { namespacePid: namespace.pid })),
    } as Attributes;
  }
}

function withNames(
  { link, master, ...rest }: Link & { link?: number; master?: number },
  nameOf: (index: number) => Device,
): Link {
  const elsewhere = rest.linkNamespaceId !== undefined;
  return {
    ...rest,
    ...(link && { link: elsewhere ? link : nameOf(link) }),
    ...(master && { master: nameOf(master) }),
  };
}
