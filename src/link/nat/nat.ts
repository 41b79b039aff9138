// Host NAT: a network whose way out are ordinary sockets of the host. No root, no devices.
//
// Guests see a network of 24 bits, and one of 64 bits for IPv6, with a gateway, which is the host (.2, ::2),
// and a DNS server (.3, ::3): the addresses that QEMU's user networking has made known. DHCP and router
// advertisements tell them so. Their TCP connections end here and go on as streams of the host's, their
// datagrams leave by ports of the host's.
//
// Invariant: at most MAX_PINGS echo requests to the world wait for their answer.

import { IPPROTO_TCP, IPPROTO_UDP } from "../../abi/constants/in.ts";
import { IPPROTO_ICMPV6 } from "../../abi/constants/in6.ts";
import {
  ETH_ALEN,
  ETH_DATA_LEN,
  ETH_HLEN,
  ETH_MAX_MTU,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
} from "../../abi/constants/packet.ts";
import { VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_UDP_L4 } from "../../abi/constants/virtio.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { setHold } from "../../machine/hold.ts";
import { LinkError } from "../errors.ts";
import type { Frame } from "../frame.ts";
import { parseMac } from "../mac.ts";
import { complete } from "../offload.ts";
import { Uplink } from "../uplink.ts";
import type { UplinkOptions } from "../uplink.ts";
import { BROADCAST, NONE, bytesOf, formatAddress, isIpv6, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { u16, u32 } from "./bytes.ts";
import { Connections } from "./connections.ts";
import { datagramFrames, readDatagram } from "./datagram.ts";
import { DhcpServer } from "./dhcp.ts";
import { Flows } from "./flows.ts";
import type { Purpose } from "./flows.ts";
import { Reassembly } from "./fragments.ts";
import { MIN_MTU6, echoFrame, isEcho, quote, unreachableFrame } from "./icmp.ts";
import type { Unreachable } from "./icmp.ts";
import { asksForRouter, routerFrame } from "./ndp.ts";
import { Neighbours } from "./neighbours.ts";
import { readPacket } from "./packet.ts";
import type { Packet } from "./packet.ts";
import { skip } from "./pieces.ts";
import { AddressPlan } from "./plan.ts";
import type { End, Place } from "./plan.ts";
import type {
  HostFailure,
  HostListener,
  HostSockets,
  HostStream,
  StreamListener,
} from "./sockets.ts";

const MAX_PINGS = 64;
/** What the headers of a segment take at most: with options of IPv4, or some extensions of IPv6. */
const MAX_HEADER_BYTES = 256;
const FIRST_LEASE = 15;
const LAST_LEASE = 254;
const MASK = 0xffffff00;
const MIN_MTU = 576;
const DEFAULT_KEEP_ALIVE_MS = 60_000;
/** How often guests are told of the gateway, as long as they do not ask (RFC 4861, section 6.2.1). */
const ADVERTISE_MS = 600_000;
const MAC = "52:55:0a:00:02:02";
const LOOPBACK = "127.0.0.1";
const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;

/** What a guest is told of a host that cannot be reached; nothing of a connection that is refused. */
const UNREACHABLE: Readonly<Partial<Record<HostFailure, Unreachable>>> = {
  unreachable: "host",
  "no-network": "network",
  prohibited: "prohibited",
};

/** A port of the host that leads to a guest. */
export interface Forward {
  readonly protocol?: "tcp" | "udp";
  /** Where the host listens. Default 127.0.0.1. */
  readonly hostAddress?: string;
  /** 0: a free one. */
  readonly hostPort: number;
  /** The guest, by IPv4 or IPv6. Default: the first that DHCP gives an address, .15. */
  readonly guestAddress?: string;
  readonly guestPort: number;
}

/** Where guests want to go. */
export interface Destination {
  readonly protocol: "tcp" | "udp" | "icmp";
  /** An address of the host's world: those of the gateway are 127.0.0.1 and ::1 here. */
  readonly address: string;
  /** 0 for icmp, which ICMPv6 is called, too. */
  readonly port: number;
}

export interface HostNatOptions extends UplinkOptions {
  /** The network of the guests, which ends in .0. Default 10.0.2.0. */
  readonly network?: string;
  /** Their network of IPv6, of 64 bits. Default fd6c:696e:7578::; null: there is no IPv6. */
  readonly network6?: string | null;
  /** Where DNS questions go: addresses of servers, with ports if not 53: "127.0.0.1:5353". */
  readonly nameservers: readonly string[];
  /**
   * Whether guests may go there: somewhere else they find nobody. Default: everywhere, the host's own
   * loopback, which they reach by the gateway's address, included.
   */
  readonly allow?: (destination: Destination) => boolean;
  /** Bytes of a packet, 576 to 65535; from 1280 on there is IPv6. Default 1500. */
  readonly mtu?: number;
  /** How often a guest that is silent is asked whether its connections are still there. Default 60 000. */
  readonly keepAliveMs?: number;
}

export class HostNat extends Uplink {
  readonly #mtu: number;
  readonly #sockets: HostSockets;
  readonly #plan: AddressPlan;
  readonly #mac: Uint8Array = parseMac(MAC);
  readonly #allow: (destination: Destination) => boolean;
  readonly #neighbours: Neighbours;
  readonly #connections: Connections;
  readonly #flows: Flows;
  readonly #reassembly = new Reassembly();
  readonly #dhcp: DhcpServer;
  readonly #listeners = new Set<HostListener>();
  #advertiser: ReturnType<typeof setInterval> | undefined;
  #pings = 0;

  /** @param sockets those of the platform: `hostNat()` of "liblinux/node" has them @throws {InvalidOptionError} */
  constructor(sockets: HostSockets, options: HostNatOptions) {
    super("nat", options);
    const { mtu = ETH_DATA_LEN, keepAliveMs = DEFAULT_KEEP_ALIVE_MS } = options;
    if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > ETH_MAX_MTU)
      throw new InvalidOptionError("mtu", `${mtu}: it is ${MIN_MTU} to ${ETH_MAX_MTU}`);
    if (!(keepAliveMs > 0))
      throw new InvalidOptionError("keepAliveMs", `${keepAliveMs} is not positive`);
    const network6 = mtu < MIN_MTU6 ? null : options.network6;
    const plan = new AddressPlan({ ...options, network6 });
    this.#sockets = sockets;
    this.#plan = plan;
    this.#mtu = mtu;
    this.#allow = options.allow ?? (() => true);
    this.#flows = new Flows(sockets, (...what) => this.#deliverDatagram(...what));
    const { own, gateway, linkLocal, isGuest } = plan;
    this.#neighbours = new Neighbours(
      { mac: this.#mac, own, asks: gateway, asks6: linkLocal, isGuest },
      (frame) => this.arrived(frame),
    );
    this.#connections = new Connections({
      mtu,
      keepAliveMs,
      wayTo: (target) => this.#wayTo(target),
      deliver: (frame, guest) => this.#neighbours.send(guest, frame),
      unreachable: (guest, quoted, why) => {
        const reason = UNREACHABLE[why];
        if (reason) this.#unreachable(guest, quoted, reason);
        return reason !== undefined;
      },
    });
    const number = (address: Address) => u32(bytesOf(address), 0);
    this.#dhcp = new DhcpServer({
      server: number(gateway),
      router: number(gateway),
      dns: number(plan.dns),
      mask: MASK,
      first: number(plan.host(FIRST_LEASE)),
      last: number(plan.host(LAST_LEASE)),
      mtu,
    });
    this.opened();
  }

  // --- For the application -------------------------------------------------------------------

  /** The gateway's address: by it, guests reach the host's loopback. */
  get gateway(): string {
    return formatAddress(this.#plan.gateway);
  }

  /** The gateway's address of IPv6, by which guests reach the host's ::1. Null: there is no IPv6. */
  get gateway6(): string | null {
    return this.#plan.network6 === null ? null : formatAddress(this.#plan.gateway6);
  }

  /** The DNS server's address. */
  get dns(): string {
    return formatAddress(this.#plan.dns);
  }

  /** The DNS server's address of IPv6. Null: there is no IPv6. */
  get dns6(): string | null {
    return this.#plan.network6 === null ? null : formatAddress(this.#plan.dns6);
  }

  /** TCP connections that there are. */
  get connections(): number {
    return this.#connections.count;
  }

  /** Ports of guests that send datagrams. */
  get flows(): number {
    return this.#flows.count;
  }

  /**
   * Let a port of the host lead to a guest. Ends with the NAT, or by `close`.
   *
   * @throws {LinkError} EIO if the port is taken @throws {InvalidOptionError}
   */
  async forwardPort(forward: Forward): Promise<{ port: number; close: () => Promise<void> }> {
    const { protocol = "tcp", hostAddress = LOOPBACK, hostPort, guestPort } = forward;
    const guest = this.#guestOf(forward);
    for (const [option, port] of Object.entries({ hostPort, guestPort }))
      if (!Number.isInteger(port) || port < 0 || port > 65535)
        throw new InvalidOptionError(option, `${port} is not a port`);
    if (protocol === "udp" && isIpv6(guest) !== hostAddress.includes(":"))
      throw new InvalidOptionError(
        "hostAddress",
        `"${hostAddress}": datagrams to ${formatAddress(guest)} come in by IPv${isIpv6(guest) ? 6 : 4}, too`,
      );
    try {
      if (protocol === "udp") {
        const to = { address: guest, port: guestPort };
        const place = { address: hostAddress, port: hostPort };
        const { port, close } = await this.#flows.forward(place, to);
        return { port, close: async () => close() };
      }
      const listener = await this.#sockets.listen(
        hostAddress,
        hostPort,
        (stream, address, port) => {
          const from = this.#plan.aliasOf({ address, port }, guest);
          const connection = this.#connections.open({ address: guest, port: guestPort }, from);
          if (connection) connection.ask(stream);
          else stream(NOBODY).destroy();
        },
      );
      this.#listeners.add(listener);
      return {
        port: listener.port,
        close: async () => {
          this.#listeners.delete(listener);
          await listener.close();
        },
      };
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      throw new LinkError("EIO", `cannot forward port ${hostPort}: ${problem}`, error);
    }
  }

  /** End it: connections are reset, then the port loses its carrier. */
  override async close(): Promise<void> {
    this.#connections.abort();
    await super.close();
  }

  #guestOf({ guestAddress }: Forward): Address {
    if (guestAddress === undefined) return this.#plan.host(FIRST_LEASE);
    const guest = parseAddress(guestAddress);
    if (guest === undefined)
      throw new InvalidOptionError("guestAddress", `"${guestAddress}" is not an IP address`);
    if (!this.#plan.isGuest(guest))
      throw new InvalidOptionError(
        "guestAddress",
        `"${guestAddress}" is not in the guests' network`,
      );
    return guest;
  }

  // --- The link ------------------------------------------------------------------------------

  protected override get takesOffload(): boolean {
    return true;
  }

  protected override get backlogBytes(): number {
    return 0;
  }

  protected override more(): void {
    this.#connections.room();
  }

  protected override async release(): Promise<void> {
    clearInterval(this.#advertiser);
    this.#connections.abort();
    this.#flows.close();
    await Promise.all(Array.from(this.#listeners, (listener) => listener.close()));
  }

  protected override transmit(frame: Frame): void {
    if (frame.gsoType === VIRTIO_NET_HDR_GSO_UDP_L4) {
      for (const bytes of complete(frame)) this.#receive(bytes, false);
      return;
    }
    if (frame.gsoType === VIRTIO_NET_HDR_GSO_NONE) {
      this.#receive(frame.bytes(), frame.needsChecksum);
      return;
    }
    this.#receiveLong(frame);
  }

  /** A segment of TCP that is as good uncut, and copied only to where it goes. */
  #receiveLong(frame: Frame): void {
    const head = frame.head(MAX_HEADER_BYTES).slice(0, MAX_HEADER_BYTES);
    const packet = this.#read(head, true, frame.lengthBytes);
    if (!packet) return;
    const isSegment =
      frame.needsChecksum &&
      packet.protocol === IPPROTO_TCP &&
      !packet.more &&
      packet.offset === 0 &&
      packet.lengthBytes === frame.lengthBytes - ETH_HLEN;
    const passes =
      isSegment && this.#plan.isGuest(packet.source) && !this.#plan.isForAll(packet.target);
    if (!passes || !this.#connections.receive(packet, skip(frame.segments, head.length)))
      this.droppedFrames++;
  }

  #receive(bytes: Uint8Array<ArrayBuffer>, unsummed: boolean): void {
    if (u16(bytes, 2 * ETH_ALEN) === ETH_P_ARP) this.#neighbours.receiveArp(bytes);
    const packet = this.#read(bytes, unsummed);
    if (!packet) return;
    if (!packet.more && packet.offset === 0) this.#packet(packet, bytes);
    else {
      const whole = this.#reassembly.add(packet);
      if (whole) this.#packet(whole, bytes);
    }
  }

  /** @param frameBytes how long the frame is of which this is the begin */
  #read(
    bytes: Uint8Array<ArrayBuffer>,
    unsummed: boolean,
    frameBytes = bytes.length,
  ): Packet | null {
    const type = u16(bytes, 2 * ETH_ALEN);
    const isIp = type === ETH_P_IP || (type === ETH_P_IPV6 && this.#plan.network6 !== null);
    if (!isIp) return null;
    const packet = readPacket(bytes, unsummed, frameBytes);
    if (!packet) this.droppedFrames++;
    else if (this.#plan.isGuest(packet.source))
      this.#neighbours.learn(packet.source, bytes, ETH_ALEN);
    return packet;
  }

  #packet(packet: Packet, frame: Uint8Array<ArrayBuffer>): void {
    const { protocol, source, target } = packet;
    if (protocol === IPPROTO_ICMPV6 && isIpv6(source)) {
      this.#neighbours.receiveNdp(packet, frame);
      if (asksForRouter(packet)) this.#advertise();
    }
    if (protocol === IPPROTO_UDP && this.#configures(packet, frame)) return;
    if (!this.#plan.isGuest(source)) {
      if (!isIpv6(source)) this.droppedFrames++;
    } else if (this.#plan.isForAll(target)) return;
    else if (protocol === IPPROTO_UDP) this.#datagram(packet);
    else if (protocol === IPPROTO_TCP) {
      if (!this.#connections.receive(packet)) this.droppedFrames++;
    } else if (isEcho(packet)) this.#echo(packet);
  }

  /** Where in the host's world a guest's target is; null if it is nowhere there, or may not be. */
  #placeOf(protocol: Destination["protocol"], target: Address, port: number): Place | null {
    const place = this.#plan.placeOf(target, port);
    // Questions about names are not the guest's doing.
    if (!place || this.#plan.isDns(target)) return place;
    return this.#allow({ protocol, ...place }) ? place : null;
  }

  /** How to connect to where a guest wants to. */
  #wayTo({ address, port }: End): ((listener: StreamListener) => HostStream) | null {
    const to = this.#placeOf("tcp", address, port);
    return to && ((listener) => this.#sockets.connect(to.address, to.port, listener));
  }

  // --- ICMP ----------------------------------------------------------------------------------

  #echo(packet: Packet): void {
    const { source, target } = packet;
    const reply = echoFrame(packet);
    const answer = () => void this.#neighbours.send(source, reply);
    if (this.#plan.own.includes(target)) return answer();
    const to = this.#placeOf("icmp", target, 0);
    if (!to) return this.#unreachable(source, quote(packet), "host");
    if (!this.#sockets.ping || this.#pings >= MAX_PINGS) return;
    this.#pings++;
    void this.#sockets
      .ping(to.address)
      .then((alive) => {
        if (alive && this.error === null) answer();
      })
      .catch(() => {})
      .finally(() => this.#pings--);
  }

  /** Tell a guest that what it sent did not arrive. */
  #unreachable(guest: Address, quoted: Uint8Array<ArrayBuffer>, why: Unreachable): void {
    const route = { source: this.#plan.gatewayOf(guest), target: guest };
    this.#neighbours.send(guest, unreachableFrame(route, why, quoted));
  }

  // --- What guests are told of the network ---------------------------------------------------

  /** Say that we are a router, now and from now on. */
  #advertise(): void {
    const { linkLocal: address, network6: prefix, dns6: dns } = this.#plan;
    if (prefix === null) return;
    const mtu = this.#mtu;
    const say = () =>
      this.#neighbours.sendToAll(routerFrame({ address, mac: this.#mac, prefix, dns, mtu }));
    say();
    if (this.#advertiser !== undefined) return;
    this.#advertiser = setInterval(say, ADVERTISE_MS);
    setHold(this.#advertiser, false);
  }

  /** Whether a packet is for the DHCP server, which answers it. */
  #configures(packet: Packet, frame: Uint8Array): boolean {
    const { source, target } = packet;
    if (target !== this.#plan.gateway && target !== BROADCAST) return false;
    const datagram = readDatagram(packet);
    if (datagram?.targetPort !== DHCP_SERVER_PORT || datagram.sourcePort !== DHCP_CLIENT_PORT)
      return false;
    const answer = this.#dhcp.answer(datagram.payload);
    if (!answer) return true;
    // Whoever has no address yet is reached by its station's.
    const route = {
      source: this.#plan.gateway,
      target: source === NONE ? BROADCAST : source,
    };
    const ports = { sourcePort: DHCP_SERVER_PORT, targetPort: DHCP_CLIENT_PORT };
    for (const reply of datagramFrames(route, ports, answer, this.#mtu))
      this.#neighbours.sendTo(frame.subarray(ETH_ALEN, 2 * ETH_ALEN), reply);
    return true;
  }

  // --- UDP -----------------------------------------------------------------------------------

  #datagram(packet: Packet): void {
    const datagram = readDatagram(packet);
    if (!datagram) {
      this.droppedFrames++;
      return;
    }
    const { source, target } = packet;
    const { sourcePort, targetPort, payload } = datagram;
    const to = this.#placeOf("udp", target, targetPort);
    const isDns = this.#plan.isDns(target);
    if (!to) return this.#unreachable(source, quote(packet), isDns ? "port" : "host");
    const guest = { address: source, port: sourcePort };
    this.#flows.send(guest, payload, to, isDns ? "names" : "data", (why) =>
      this.#unreachable(source, quote(packet), UNREACHABLE[why] ?? "port"),
    );
  }

  #deliverDatagram(guest: End, bytes: Uint8Array, place: Place, purpose: Purpose): void {
    const { address: target, port: targetPort } = guest;
    const from = purpose === "names" ? this.#plan.dnsOf(target) : this.#plan.aliasOf(place, target);
    const route = { source: from.address, target };
    const ports = { sourcePort: from.port, targetPort };
    for (const frame of datagramFrames(route, ports, bytes, this.#mtu))
      this.#neighbours.send(target, frame);
  }
}

/** Listens to a stream that nobody wants. */
const NOBODY = {
  opened(): void {},
  data(): void {},
  ended(): void {},
  failed(): void {},
};
