// A DHCP server (RFC 2131, options of RFC 2132): each station keeps the address that it got first.
//
// Invariant: an address is in #leases at most once. There are no more leases than addresses; when all are
// taken, the one that was asked for least recently is given to somebody else.

import { put16, put32, u32 } from "./bytes.ts";

/** What the stations of a network are told. */
export interface DhcpNetwork {
  readonly server: number;
  readonly router: number;
  readonly dns: number;
  readonly mask: number;
  /** The addresses that are given away. */
  readonly first: number;
  readonly last: number;
  readonly mtu: number;
}

/** The fixed part of a message: RFC 2131, section 2. */
const XID = 4;
const FLAGS = 10;
const CLIENT = 12;
const YOURS = 16;
const SERVER = 20;
const HARDWARE = 28;
const MAGIC = 236;
const OPTIONS = 240;
const HARDWARE_BYTES = 6;
const COOKIE = 0x63825363;
const BOOTREQUEST = 1;
const BOOTREPLY = 2;
const ETHERNET = 1;

const OPTION_PAD = 0;
const OPTION_MASK = 1;
const OPTION_ROUTER = 3;
const OPTION_DNS = 6;
const OPTION_MTU = 26;
const OPTION_REQUESTED = 50;
const OPTION_LEASE = 51;
const OPTION_TYPE = 53;
const OPTION_SERVER = 54;
const OPTION_END = 255;

const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const DECLINE = 4;
const PACK = 5;
const NAK = 6;
const RELEASE = 7;
const INFORM = 8;

const LEASE_SECONDS = 86_400;
/** As short as BOOTP has them; some clients insist. */
const MIN_MESSAGE_BYTES = 300;

function optionsOf(message: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS; at + 1 < message.length && message[at] !== OPTION_END;) {
    if (message[at] === OPTION_PAD) {
      at++;
      continue;
    }
    const value = message.subarray(at + 2, at + 2 + message[at + 1]);
    if (!options.has(message[at])) options.set(message[at], value);
    at += 2 + message[at + 1];
  }
  return options;
}

export class DhcpServer {
  readonly #network: DhcpNetwork;
  /** Addresses by station, the one that was asked for least recently first. */
  readonly #leases = new Map<string, number>();

  constructor(network: DhcpNetwork) {
    this.#network = network;
  }

  /** The answer to a message, if there is one. */
  answer(message: Uint8Array): Uint8Array<ArrayBuffer> | null {
    if (message.length < OPTIONS || message[0] !== BOOTREQUEST || u32(message, MAGIC) !== COOKIE)
      return null;
    const options = optionsOf(message);
    const station = message.subarray(HARDWARE, HARDWARE + HARDWARE_BYTES).join(":");
    switch (options.get(OPTION_TYPE)?.[0] ?? 0) {
      case DISCOVER:
        return this.#reply(message, OFFER, this.#lease(station));
      case REQUEST:
        return this.#request(message, station, options);
      case INFORM:
        return this.#reply(message, PACK, 0);
      case DECLINE:
      case RELEASE:
        this.#leases.delete(station);
        return null;
      default:
        return null;
    }
  }

  #request(
    message: Uint8Array,
    station: string,
    options: Map<number, Uint8Array>,
  ): Uint8Array<ArrayBuffer> | null {
    const server = options.get(OPTION_SERVER);
    if (server?.length === 4 && u32(server, 0) !== this.#network.server) return null;
    const asked = options.get(OPTION_REQUESTED);
    const wanted = asked?.length === 4 ? u32(asked, 0) : u32(message, CLIENT);
    const lease = this.#lease(station, wanted);
    return lease === wanted ? this.#reply(message, PACK, lease) : this.#reply(message, NAK, 0);
  }

  /** The address of a station: the one that it has, the one that it wants, or a free one. */
  #lease(station: string, wanted = 0): number {
    const { first, last } = this.#network;
    const taken = new Set(this.#leases.values());
    let address = this.#leases.get(station);
    if (address === undefined && wanted >= first && wanted <= last && !taken.has(wanted))
      address = wanted;
    for (let free = first; address === undefined && free <= last; free++)
      if (!taken.has(free)) address = free;
    if (address === undefined) {
      const [[oldest, old]] = this.#leases;
      this.#leases.delete(oldest);
      address = old;
    }
    this.#leases.delete(station);
    this.#leases.set(station, address);
    return address;
  }

  #reply(request: Uint8Array, type: number, address: number): Uint8Array<ArrayBuffer> {
    const { server, router, dns, mask, mtu } = this.#network;
    const reply = new Uint8Array(MIN_MESSAGE_BYTES);
    reply[0] = BOOTREPLY;
    reply[1] = ETHERNET;
    reply[2] = HARDWARE_BYTES;
    reply.set(request.subarray(XID, XID + 4), XID);
    reply.set(request.subarray(FLAGS, FLAGS + 2), FLAGS);
    put32(reply, YOURS, address);
    put32(reply, SERVER, server);
    reply.set(request.subarray(HARDWARE, HARDWARE + 16), HARDWARE);
    put32(reply, MAGIC, COOKIE);
    let at = OPTIONS;
    const word = (code: number, value: number) => {
      reply[at] = code;
      reply[at + 1] = 4;
      put32(reply, at + 2, value);
      at += 6;
    };
    reply.set([OPTION_TYPE, 1, type], at);
    at += 3;
    word(OPTION_SERVER, server);
    if (type !== NAK) {
      if (address) word(OPTION_LEASE, LEASE_SECONDS);
      word(OPTION_MASK, mask);
      word(OPTION_ROUTER, router);
      word(OPTION_DNS, dns);
      reply[at] = OPTION_MTU;
      reply[at + 1] = 2;
      put16(reply, at + 2, mtu);
      at += 4;
    }
    reply[at] = OPTION_END;
    return reply;
  }
}
