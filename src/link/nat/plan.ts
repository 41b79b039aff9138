// Who has which address in the guests' network, and where in the host's world that is.

import { InvalidOptionError } from "../../machine/errors.ts";
import {
  IPV4_BYTES,
  formatAddress,
  isGroup,
  isIpv6,
  isLinkLocal,
  isOnesOwn,
  parseAddress,
} from "./address.ts";
import type { Address } from "./address.ts";

const DEFAULT_NETWORK = "10.0.2.0";
/** A network that is nobody's but ours (RFC 4193): "linux" in hexadecimal. */
const DEFAULT_NETWORK6 = "fd6c:696e:7578::";
/** The gateway's, on the link. */
const LINK_LOCAL = "fe80::2";
const GATEWAY_HOST = 2;
const DNS_HOST = 3;
const LAST_HOST = 255;
/** Bytes of an address that are the network's: 24 and 64 bits. */
const NETWORK_BYTES = 3;
const NETWORK6_BYTES = 8;
const LOOPBACK = "127.0.0.1";
const LOOPBACK6 = "::1";
const DNS_PORT = 53;

/** A port at an address that guests know. */
export interface End {
  readonly address: Address;
  readonly port: number;
}

/** Somewhere in the host's world. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

export interface AddressPlanOptions {
  readonly network?: string | undefined;
  readonly network6?: string | null | undefined;
  readonly nameservers: readonly string[];
}

/** Where a host of a network is: the network's address with another last byte. */
const hostIn = (network: Address, host: number): Address =>
  network.slice(0, -1) + String.fromCharCode(host);

export class AddressPlan {
  readonly network: Address;
  /** Null: there is no IPv6. */
  readonly network6: Address | null;
  readonly gateway: Address;
  readonly dns: Address;
  readonly gateway6: Address;
  readonly dns6: Address;
  /** The gateway's for IPv6 on the link. */
  readonly linkLocal: Address;
  /** All that are not guests'. */
  readonly own: readonly Address[];
  readonly #prefix: string;
  readonly #prefix6: string;
  readonly #nameserver: Place | null;

  /** @throws {InvalidOptionError} */
  constructor({ network = DEFAULT_NETWORK, network6, nameservers }: AddressPlanOptions) {
    const [four, six] = [parseAddress(network), parseAddress(network6 ?? DEFAULT_NETWORK6)];
    if (four?.length !== IPV4_BYTES || !four.endsWith("\0"))
      throw new InvalidOptionError("network", `"${network}": it is written as ${DEFAULT_NETWORK}`);
    if (six === undefined || !isIpv6(six) || !six.endsWith("\0".repeat(NETWORK6_BYTES)))
      throw new InvalidOptionError(
        "network6",
        `"${network6}": it is 64 bits, written as ${DEFAULT_NETWORK6}`,
      );
    this.network = four;
    this.network6 = network6 === null ? null : six;
    this.gateway = hostIn(four, GATEWAY_HOST);
    this.dns = hostIn(four, DNS_HOST);
    this.gateway6 = hostIn(six, GATEWAY_HOST);
    this.dns6 = hostIn(six, DNS_HOST);
    this.linkLocal = parseAddress(LINK_LOCAL)!;
    const own6 = [this.gateway6, this.dns6, this.linkLocal];
    this.own = [this.gateway, this.dns, ...(this.network6 === null ? [] : own6)];
    this.#prefix = four.slice(0, NETWORK_BYTES);
    this.#prefix6 = six.slice(0, NETWORK6_BYTES);
    this.#nameserver = nameserverOf(nameservers);
  }

  /** The address of a host of the IPv4 network. */
  host(number: number): Address {
    return hostIn(this.network, number);
  }

  /** Whether an address may be a guest's. */
  readonly isGuest = (address: Address): boolean => {
    if (this.own.includes(address)) return false;
    if (!isIpv6(address)) return address.startsWith(this.#prefix) && !this.isForAll(address);
    return this.network6 !== null && (address.startsWith(this.#prefix6) || isLinkLocal(address));
  };

  /** Whether an address is that of many stations. */
  isForAll(address: Address): boolean {
    return isGroup(address) || address === hostIn(this.network, LAST_HOST);
  }

  isGateway(address: Address): boolean {
    return address === this.gateway || address === this.gateway6 || address === this.linkLocal;
  }

  isDns(address: Address): boolean {
    return address === this.dns || address === this.dns6;
  }

  /** The gateway as a guest knows it. */
  gatewayOf(guest: Address): Address {
    if (!isIpv6(guest)) return this.gateway;
    return isLinkLocal(guest) ? this.linkLocal : this.gateway6;
  }

  /** Where in the host's world a guest's target is; null if it is nowhere there. */
  placeOf(target: Address, port: number): Place | null {
    if (this.isGateway(target)) return { address: isIpv6(target) ? LOOPBACK6 : LOOPBACK, port };
    if (this.isDns(target)) return port === DNS_PORT ? this.#nameserver : null;
    if (this.isGuest(target) || this.isForAll(target)) return null;
    return isOnesOwn(target) || isLinkLocal(target)
      ? null
      : { address: formatAddress(target), port };
  }

  /** Where a guest sees the server for names. */
  dnsOf(guest: Address): End {
    return { address: isIpv6(guest) ? this.dns6 : this.dns, port: DNS_PORT };
  }

  /** Where a guest sees a place in the host's world. */
  aliasOf({ address: text, port }: Place, guest: Address): End {
    const address = parseAddress(text);
    const isSeen =
      address !== undefined &&
      isIpv6(address) === isIpv6(guest) &&
      !isOnesOwn(address) &&
      !isLinkLocal(address) &&
      !this.isGuest(address);
    return { address: isSeen ? address : this.gatewayOf(guest), port };
  }
}

/** The first one: "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353". */
function nameserverOf(servers: readonly string[]): Place | null {
  for (const server of servers) {
    const [, six, four, port = String(DNS_PORT)] =
      /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? [];
    const address = six ?? four ?? server;
    // The link of a link-local one is behind "%".
    if (parseAddress(address.split("%")[0]) !== undefined && Number(port) <= 65535)
      return { address, port: Number(port) };
  }
  return null;
}
