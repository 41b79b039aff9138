// The network of a kernel, as one of its network namespaces has it.

import type { CallOptions } from "../abi/calls.ts";
import { CLONE_NEWNET } from "../abi/constants/sched.ts";
import type { Process } from "../syscall/process.ts";
import { BridgeVlans } from "./bridge-vlan.ts";
import { Connections } from "./conntrack.ts";
import { dhcp } from "./dhcp.ts";
import type { DhcpLease, DhcpOptions } from "./dhcp.ts";
import { Ethtool } from "./ethtool.ts";
import { Filters } from "./filter.ts";
import type { InterfaceAddress } from "./interface-address.ts";
import { Addresses } from "./interface-address.ts";
import { Links } from "./link.ts";
import { applyLklConfig, parseLklConfig } from "./lkl-config.ts";
import { monitor } from "./monitor.ts";
import type { MonitorEvent, MonitorTopic } from "./monitor.ts";
import { Neighbours } from "./neighbour.ts";
import type { Subscription, SubscriptionOptions } from "./netlink/subscription.ts";
import { NextHops } from "./nexthop.ts";
import { Nft } from "./nft/nftables.ts";
import { Qdiscs, TrafficClasses } from "./qdisc.ts";
import { ResolverConfig } from "./resolver-config.ts";
import { Routes } from "./route.ts";
import { Rules } from "./rule.ts";
import { Session } from "./session.ts";
import type { Device } from "./session.ts";
import { settled, slaac } from "./settle.ts";
import type { WaitOptions } from "./settle.ts";
import { Sockets } from "./sockets.ts";
import { Sysctl } from "./sysctl.ts";
import { WireGuard } from "./wireguard.ts";

/** A process, or a kernel, of which it is pid 1. */
export type NetworkHost = Process | { readonly init: Process };

/**
 * The network that a process sees: its links, addresses, routes and so on. Changes need
 * CAP_NET_ADMIN, which root has. It holds sockets, once it is used: dispose it when done.
 */
export class Network {
  readonly #session: Session;
  readonly process: Process;
  readonly link: Links;
  readonly address: Addresses;
  readonly route: Routes;
  readonly nextHop: NextHops;
  readonly rule: Rules;
  readonly neighbour: Neighbours;
  readonly bridgeVlan: BridgeVlans;
  readonly qdisc: Qdiscs;
  readonly trafficClass: TrafficClasses;
  readonly filter: Filters;
  readonly nft: Nft;
  readonly connection: Connections;
  readonly socket: Sockets;
  readonly ethtool: Ethtool;
  readonly wireguard: WireGuard;
  readonly sysctl: Sysctl;
  readonly resolver: ResolverConfig;

  constructor(host: NetworkHost) {
    this.process = "init" in host ? host.init : host;
    this.#session = new Session(this.process);
    this.link = new Links(this.#session);
    this.address = new Addresses(this.#session);
    this.route = new Routes(this.#session);
    this.nextHop = new NextHops(this.#session);
    this.rule = new Rules(this.#session);
    this.neighbour = new Neighbours(this.#session);
    this.bridgeVlan = new BridgeVlans(this.#session);
    this.qdisc = new Qdiscs(this.#session);
    this.trafficClass = new TrafficClasses(this.#session);
    this.filter = new Filters(this.#session);
    this.nft = new Nft(this.#session);
    this.connection = new Connections(this.#session);
    this.socket = new Sockets(this.#session);
    this.ethtool = new Ethtool(this.#session);
    this.wireguard = new WireGuard(this.#session);
    this.sysctl = new Sysctl(this.process);
    this.resolver = new ResolverConfig(this.process);
  }

  /**
   * Bring an interface up, with addresses: `up("eth0", "10.0.0.1/24")`. What it has already stays.
   *
   * @throws {UnknownDeviceError} @throws {InvalidOptionError} if one is no address
   */
  async up(device: Device, ...addresses: readonly string[]): Promise<void> {
    for (const address of addresses) await this.address.replace(device, address);
    await this.link.set(device, { up: true });
  }

  /** Take an interface down: its routes go, its IPv4 addresses stay. @throws {UnknownDeviceError} */
  async down(device: Device, options?: CallOptions): Promise<void> {
    await this.link.set(device, { up: false }, options);
  }

  /**
   * Get an address by DHCP, with the default route and the servers for names that go with it. The
   * interface is brought up if it is not. Release the lease when done.
   *
   * @throws {NetworkTimeoutError} if no server answers @throws {DhcpRefusedError}
   */
  dhcp(device: Device, options?: DhcpOptions): Promise<DhcpLease> {
    const parts = {
      session: this.#session,
      links: this.link,
      addresses: this.address,
      routes: this.route,
      resolver: this.resolver,
    };
    return dhcp(parts, device, options);
  }

  readonly #watchAddresses = (options: SubscriptionOptions): Promise<Subscription<MonitorEvent>> =>
    this.monitor(["address"], options);

  /**
   * Wait for IPv6 addresses that a router gives, by SLAAC; gives those.
   *
   * @throws {NetworkTimeoutError} if there is no router @throws {DuplicateAddressError}
   */
  slaac(device: Device, options?: WaitOptions): Promise<readonly InterfaceAddress[]> {
    return slaac(this.#session, this.address, this.#watchAddresses, device, options);
  }

  /**
   * Wait until duplicate address detection is done with an interface's addresses; gives those.
   *
   * @throws {DuplicateAddressError} @throws {NetworkTimeoutError}
   */
  settled(device: Device, options?: WaitOptions): Promise<readonly InterfaceAddress[]> {
    return settled(this.#session, this.address, this.#watchAddresses, device, options);
  }

  /**
   * Do what a configuration of LKL's says: its JSON as text, or the object that it is.
   *
   * @param devices its interfaces in their order; default: eth0, eth1…
   * @throws {InvalidOptionError} that names what is wrong in it
   */
  async configure(configuration: unknown, devices?: readonly Device[]): Promise<void> {
    await applyLklConfig(this, parseLklConfig(configuration), devices);
  }

  /**
   * Watch what changes. Nothing that happens after this settles is missed: if it was more than
   * the buffer holds, an event of the type "overrun" says so.
   */
  monitor(
    topics: readonly MonitorTopic[] = ["link", "address", "route"],
    options?: SubscriptionOptions,
  ): Promise<Subscription<MonitorEvent>> {
    return monitor(this.#session, this.link, topics, options);
  }

  /** Close its sockets. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#session[Symbol.asyncDispose]();
  }
}

/** The network of a kernel or a process: short for `new Network(host)`. */
export function net(host: NetworkHost): Network {
  return new Network(host);
}

/**
 * A new process in a new network namespace, which has nothing but lo, and that is down. The
 * namespace is gone when its last process and descriptor are.
 */
export function networkNamespace(host: NetworkHost): Promise<Process> {
  const parent = "init" in host ? host.init : host;
  return parent.fork({ flags: CLONE_NEWNET });
}
