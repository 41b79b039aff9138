// Host NAT: a network whose way out are ordinary sockets of the host. No root, no devices.
//
// Guests see a network of 24 bits with a gateway, which is the host (.2), a DNS server (.3) and a DHCP
// server (.2): the addresses that QEMU's user networking has made known. Their TCP connections end here
// and go on as streams of the host's, their datagrams leave by ports of the host's.
//
// Invariant: a connection is in #connections from the first segment until it is forgotten; there are at
// most MAX_CONNECTIONS.

import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../abi/constants/in.ts";
import {
  ETH_ALEN,
  ETH_DATA_LEN,
  ETH_MAX_MTU,
  ETH_P_ARP,
  ETH_P_IP,
} from "../../abi/constants/packet.ts";
import { VIRTIO_NET_HDR_GSO_UDP_L4 } from "../../abi/constants/virtio.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { addWords, finish } from "../checksum.ts";
import { LinkError } from "../errors.ts";
import type { Frame } from "../frame.ts";
import { parseMac } from "../mac.ts";
import { complete } from "../offload.ts";
import { Uplink } from "../uplink.ts";
import type { UplinkOptions } from "../uplink.ts";
import { DhcpServer } from "./dhcp.ts";
import { Flows } from "./flows.ts";
import { Reassembly } from "./fragments.ts";
import { Neighbours } from "./neighbours.ts";
import {
  IP_BYTES,
  TCP_BYTES,
  datagramFrames,
  formatIpv4,
  packetFrame,
  parseIpv4,
  put16,
  readDatagram,
  readPacket,
  readSegment,
  segmentFrame,
  u16,
} from "./packet.ts";
import type { Packet, Route, Segment } from "./packet.ts";
import type { HostListener, HostSockets } from "./sockets.ts";
import { ACK, RST, SYN, TcpConnection } from "./tcp.ts";
import type { TcpHost } from "./tcp.ts";

/** TCP connections that there can be at once; further ones are refused. */
export const MAX_CONNECTIONS = 16_384;
/** Echo requests to the world that can wait for their answer at once. */
const MAX_PINGS = 64;

const GATEWAY_HOST = 2;
const DNS_HOST = 3;
const FIRST_LEASE = 15;
const LAST_LEASE = 254;
const MASK = 0xffffff00;
const BROADCAST = 0xffffffff;
const DEFAULT_NETWORK = "10.0.2.0";
const MIN_MTU = 576;
const DEFAULT_KEEP_ALIVE_MS = 60_000;
const MAC = "52:55:0a:00:02:02";
const LOOPBACK = "127.0.0.1";
const DNS_PORT = 53;
const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;

/** RFC 792. */
const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const UNREACHABLE_HOST = 1;
const ECHO = 8;
const ICMP_BYTES = 8;

/** A port of the host that leads to a guest. */
export interface Forward {
  readonly protocol?: "tcp" | "udp";
  /** Where the host listens. Default 127.0.0.1. */
  readonly hostAddress?: string;
  /** 0: a free one. */
  readonly hostPort: number;
  /** The guest. Default: the first that DHCP gives an address, .15. */
  readonly guestAddress?: string;
  readonly guestPort: number;
}

/** Where guests want to go. */
export interface Destination {
  readonly protocol: "tcp" | "udp" | "icmp";
  /** An address of the host's world: that of the gateway is 127.0.0.1 here. */
  readonly address: string;
  /** 0 for icmp. */
  readonly port: number;
}

export interface HostNatOptions extends UplinkOptions {
  /** The network of the guests, which ends in .0. Default 10.0.2.0. */
  readonly network?: string;
  /** Where DNS questions go: addresses of servers, with ports if not 53: "127.0.0.1:5353". */
  readonly nameservers: readonly string[];
  /**
   * Whether guests may go there: somewhere else they find nobody. Default: everywhere, the host's own
   * loopback, which they reach by the gateway's address, included.
   */
  readonly allow?: (destination: Destination) => boolean;
  /** Bytes of a packet, 576 to 65535. Default 1500. */
  readonly mtu?: number;
  /** How often a guest that is silent is asked whether its connections are still there. Default 60 000. */
  readonly keepAliveMs?: number;
}

export class HostNat extends Uplink implements TcpHost {
  /** For its connections. */
  readonly mss: number;
  readonly #sockets: HostSockets;
  readonly #network: number;
  readonly #mtu: number;
  readonly #nameserver: { address: string; port: number } | null;
  readonly #allow: (destination: Destination) => boolean;
  readonly #neighbours: Neighbours;
  readonly #connections = new Map<string, TcpConnection>();
  readonly #flows: Flows;
  readonly #reassembly = new Reassembly();
  readonly #dhcp: DhcpServer;
  readonly #listeners = new Set<HostListener>();
  readonly #keepAliveMs: number;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  #pings = 0;

  /** @param sockets those of the platform: `hostNat()` of "liblinux/node" has them @throws {InvalidOptionError} */
  constructor(sockets: HostSockets, options: HostNatOptions) {
    super("nat", options);
    const { network = DEFAULT_NETWORK, mtu = ETH_DATA_LEN } = options;
    const address = parseIpv4(network);
    if (address === undefined || (address & 255) !== 0)
      throw new InvalidOptionError("network", `"${network}": it is written as ${DEFAULT_NETWORK}`);
    if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > ETH_MAX_MTU)
      throw new InvalidOptionError("mtu", `${mtu}: it is ${MIN_MTU} to ${ETH_MAX_MTU}`);
    const { keepAliveMs = DEFAULT_KEEP_ALIVE_MS } = options;
    if (!(keepAliveMs > 0))
      throw new InvalidOptionError("keepAliveMs", `${keepAliveMs} is not positive`);
    this.#keepAliveMs = keepAliveMs;
    this.#sockets = sockets;
    this.#network = address;
    this.#mtu = mtu;
    this.mss = mtu - IP_BYTES - TCP_BYTES;
    this.#nameserver = nameserverOf(options.nameservers);
    this.#allow = options.allow ?? (() => true);
    this.#flows = new Flows(sockets, (guest, guestPort, bytes, from, port) =>
      this.#deliverDatagram(guest, guestPort, bytes, from, port),
    );
    this.#neighbours = new Neighbours(
      parseMac(MAC),
      [this.#gateway, this.#dns],
      (address) => this.#isGuest(address),
      (frame) => this.arrived(frame),
    );
    this.#dhcp = new DhcpServer({
      server: this.#gateway,
      router: this.#gateway,
      dns: this.#dns,
      mask: MASK,
      first: address + FIRST_LEASE,
      last: address + LAST_LEASE,
      mtu,
    });
    this.opened();
  }

  get #gateway(): number {
    return this.#network + GATEWAY_HOST;
  }

  get #dns(): number {
    return this.#network + DNS_HOST;
  }

  // --- For the application -------------------------------------------------------------------

  /** The gateway's address: by it, guests reach the host's loopback. */
  get gateway(): string {
    return formatIpv4(this.#gateway);
  }

  /** The DNS server's address. */
  get dns(): string {
    return formatIpv4(this.#dns);
  }

  /** TCP connections that there are. */
  get connections(): number {
    return this.#connections.size;
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
    const { guestAddress = formatIpv4(this.#network + FIRST_LEASE) } = forward;
    const guest = parseIpv4(guestAddress);
    if (guest === undefined)
      throw new InvalidOptionError("guestAddress", `"${guestAddress}" is not an IPv4 address`);
    for (const [option, port] of Object.entries({ hostPort, guestPort }))
      if (!Number.isInteger(port) || port < 0 || port > 65535)
        throw new InvalidOptionError(option, `${port} is not a port`);
    try {
      if (protocol === "udp") {
        const { port, close } = await this.#flows.forward(hostAddress, hostPort, guest, guestPort);
        return { port, close: async () => close() };
      }
      const listener = await this.#sockets.listen(hostAddress, hostPort, (stream, from, port) => {
        const connection = this.#connection(this.#aliasOf(from), port, guest, guestPort);
        if (connection) connection.ask(stream);
        else stream(NOBODY).destroy();
      });
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

  // --- The link ------------------------------------------------------------------------------

  protected override get takesOffload(): boolean {
    return true;
  }

  protected override get backlogBytes(): number {
    return 0;
  }

  protected override more(): void {
    for (const connection of this.#connections.values()) connection.room();
  }

  protected override async release(): Promise<void> {
    for (const connection of this.#connections.values()) connection.destroy();
    this.#flows.close();
    await Promise.all(Array.from(this.#listeners, (listener) => listener.close()));
  }

  protected override transmit(frame: Frame): void {
    if (frame.gsoType === VIRTIO_NET_HDR_GSO_UDP_L4) {
      for (const bytes of complete(frame)) this.#receive(bytes, false);
      return;
    }
    // Segments of TCP are as good uncut.
    this.#receive(frame.bytes(), frame.needsChecksum);
  }

  #receive(bytes: Uint8Array<ArrayBuffer>, unsummed: boolean): void {
    const type = u16(bytes, 2 * ETH_ALEN);
    if (type === ETH_P_ARP) this.#neighbours.receive(bytes);
    if (type !== ETH_P_IP) return;
    const packet = readPacket(bytes, unsummed);
    if (!packet) {
      this.droppedFrames++;
      return;
    }
    if (this.#isGuest(packet.source))
      this.#neighbours.learn(packet.source, bytes.slice(ETH_ALEN, 2 * ETH_ALEN));
    if (!packet.more && packet.offset === 0) this.#packet(packet, bytes);
    else {
      const whole = this.#reassembly.add(packet);
      if (whole) this.#packet(whole, bytes);
    }
  }

  #packet(packet: Packet, frame: Uint8Array): void {
    if (packet.protocol === IPPROTO_UDP) this.#datagram(packet, frame);
    else if (!this.#isGuest(packet.source)) this.droppedFrames++;
    else if (packet.protocol === IPPROTO_TCP) this.#segment(packet);
    else if (packet.protocol === IPPROTO_ICMP) this.#icmp(packet);
  }

  #isGuest(address: number): boolean {
    return (
      (address & MASK) >>> 0 === this.#network && address !== this.#gateway && address !== this.#dns
    );
  }

  // --- Where to ------------------------------------------------------------------------------

  /** Where in the host's world a guest's target is; null if it may not go there. */
  #translate(
    protocol: Destination["protocol"],
    target: number,
    port: number,
  ): { address: string; port: number } | null {
    let to = { address: formatIpv4(target), port };
    if (target === this.#gateway) to = { address: LOOPBACK, port };
    else if (target === this.#dns) {
      if (port !== DNS_PORT || !this.#nameserver) return null;
      return this.#nameserver;
    } else if (this.#isGuest(target) || target === BROADCAST || target >>> 28 >= 14) return null;
    return this.#allow({ protocol, ...to }) ? to : null;
  }

  /** As which address guests see one of the host's world. */
  #aliasOf(address: string): number {
    const number = parseIpv4(address);
    return number === undefined || number >>> 24 === 127 || this.#isGuest(number)
      ? this.#gateway
      : number;
  }

  // --- TCP -----------------------------------------------------------------------------------

  /** A new connection between an address of the world's and a guest's; null if there are too many. */
  #connection(
    address: number,
    port: number,
    guest: number,
    guestPort: number,
    begin: Uint8Array<ArrayBuffer> | null = null,
  ): TcpConnection | null {
    const key = `${guest}:${guestPort} ${address}:${port}`;
    if (this.#connections.has(key) || this.#connections.size >= MAX_CONNECTIONS) return null;
    const route = { source: address, target: guest };
    const connection = new TcpConnection(this, key, route, { port, guestPort }, begin);
    this.#connections.set(key, connection);
    this.#keepAlive ??= setInterval(() => {
      for (const one of this.#connections.values()) one.probe();
    }, this.#keepAliveMs);
    return connection;
  }

  #segment(packet: Packet): void {
    const segment = readSegment(packet);
    if (!segment) {
      this.droppedFrames++;
      return;
    }
    const { source, target } = packet;
    const { sourcePort, targetPort, flags } = segment;
    const key = `${source}:${sourcePort} ${target}:${targetPort}`;
    const known = this.#connections.get(key);
    if (known) return known.segment(segment);
    if (flags & RST) return;
    const to = flags & SYN && !(flags & ACK) ? this.#translate("tcp", target, targetPort) : null;
    const connection = to && this.#connection(target, targetPort, source, sourcePort, packet.begin);
    if (!to || !connection) return this.#refuse(packet, segment);
    connection.accept(segment, (listener) => this.#sockets.connect(to.address, to.port, listener));
  }

  /** There is no such connection, and there will be none. */
  #refuse({ source, target }: Packet, segment: Segment): void {
    const { flags, seq, ack, payload, sourcePort, targetPort } = segment;
    const answer = {
      sourcePort: targetPort,
      targetPort: sourcePort,
      seq: flags & ACK ? ack : 0,
      ack: flags & ACK ? 0 : (seq + payload.length + (flags & SYN ? 1 : 0)) >>> 0,
      flags: flags & ACK ? RST : RST | ACK,
      window: 0,
    };
    const route = { source: target, target: source };
    this.#neighbours.send(source, segmentFrame(route, answer, []));
  }

  /** For its connections. */
  deliver(frame: Frame, guest: number): boolean {
    return this.#neighbours.send(guest, frame);
  }

  /** For its connections. */
  forget(connection: TcpConnection): void {
    this.#connections.delete(connection.key);
    if (this.#connections.size) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  /** For its connections. */
  unreachable({ route, begin }: TcpConnection): void {
    if (begin) this.#unreachable(route.target, begin);
  }

  // --- ICMP ----------------------------------------------------------------------------------

  #icmp({ source, target, payload }: Packet): void {
    if (payload.length < ICMP_BYTES || payload[0] !== ECHO) return;
    if (finish(addWords(0, payload, 0, payload.length)) !== 0) return;
    const reply = payload.slice();
    reply[0] = ECHO_REPLY;
    put16(reply, 2, 0);
    put16(reply, 2, finish(addWords(0, reply, 0, reply.length)));
    const answer = () => {
      const route = { source: target, target: source };
      this.#neighbours.send(source, packetFrame(route, IPPROTO_ICMP, reply));
    };
    if (target === this.#gateway || target === this.#dns) return answer();
    const to = this.#translate("icmp", target, 0);
    if (!to || !this.#sockets.ping || this.#pings >= MAX_PINGS) return;
    this.#pings++;
    void this.#sockets
      .ping(to.address)
      .then((alive) => {
        if (alive && this.error === null) answer();
      })
      .catch(() => {})
      .finally(() => this.#pings--);
  }

  /** Tell a guest that a host cannot be reached: by what it sent there. */
  #unreachable(guest: number, begin: Uint8Array): void {
    const message = new Uint8Array(ICMP_BYTES + begin.length);
    message[0] = UNREACHABLE;
    message[1] = UNREACHABLE_HOST;
    message.set(begin, ICMP_BYTES);
    put16(message, 2, finish(addWords(0, message, 0, message.length)));
    const route = { source: this.#gateway, target: guest };
    this.#neighbours.send(guest, packetFrame(route, IPPROTO_ICMP, message));
  }

  // --- UDP -----------------------------------------------------------------------------------

  #datagram(packet: Packet, frame: Uint8Array): void {
    const datagram = readDatagram(packet);
    if (!datagram) {
      this.droppedFrames++;
      return;
    }
    const { source, target } = packet;
    const { sourcePort, targetPort, payload } = datagram;
    const forUs = target === this.#gateway || target === BROADCAST;
    if (forUs && targetPort === DHCP_SERVER_PORT && sourcePort === DHCP_CLIENT_PORT) {
      this.#answerDhcp(payload, frame.slice(ETH_ALEN, 2 * ETH_ALEN), source);
      return;
    }
    if (!this.#isGuest(source)) {
      this.droppedFrames++;
      return;
    }
    const to = this.#translate("udp", target, targetPort);
    if (to) this.#flows.send(source, sourcePort, payload, to.address, to.port);
    else if (target !== BROADCAST && target >>> 28 < 14) this.#unreachable(source, packet.begin);
  }

  #answerDhcp(message: Uint8Array, mac: Uint8Array, source: number): void {
    const answer = this.#dhcp.answer(message);
    if (!answer) return;
    // Whoever has no address yet is reached by its station's.
    const route: Route = { source: this.#gateway, target: source === 0 ? BROADCAST : source };
    const ports = [DHCP_SERVER_PORT, DHCP_CLIENT_PORT] as const;
    for (const frame of datagramFrames(route, ...ports, answer, this.#mtu))
      this.#neighbours.sendTo(mac, frame);
  }

  #deliverDatagram(
    guest: number,
    guestPort: number,
    bytes: Uint8Array,
    from: string,
    port: number,
  ): void {
    const isDns = from === this.#nameserver?.address && port === this.#nameserver.port;
    const source = isDns ? this.#dns : this.#aliasOf(from);
    const route = { source, target: guest };
    const sourcePort = isDns ? DNS_PORT : port;
    for (const frame of datagramFrames(route, sourcePort, guestPort, bytes, this.#mtu))
      this.#neighbours.send(guest, frame);
  }
}

/** Listens to a stream that nobody wants. */
const NOBODY = {
  opened(): void {},
  data(): void {},
  drained(): void {},
  ended(): void {},
  failed(): void {},
};

/** The first one that is of IPv4. */
function nameserverOf(servers: readonly string[]): { address: string; port: number } | null {
  for (const server of servers) {
    const [address, port = String(DNS_PORT)] = server.split(":");
    if (parseIpv4(address) !== undefined && /^\d+$/.test(port) && server.split(":").length <= 2)
      return { address, port: Number(port) };
  }
  return null;
}
