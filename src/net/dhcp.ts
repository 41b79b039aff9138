// A DHCP client (RFC 2131): an address, the way out and the servers for names, for a time.
//
// Invariants: a lease is in use from the moment that dhcp() settles, until it is released or its
// time is up. Its address has that time in the kernel, which takes it away if nobody renews it.

import type { CallOptions } from "../abi/calls.ts";
import { ETH_P_IP } from "../abi/constants/packet.ts";
import { AF_INET, AF_PACKET, SOCK_CLOEXEC, SOCK_DGRAM } from "../abi/constants/socket.ts";
import { SockaddrIn, SockaddrLl } from "../abi/structs/socket.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { parseIp, parseMac } from "./address.ts";
import { CLIENT_PORT, SERVER_PORT, decodeDhcp, encodeDhcp, unwrap, wrap } from "./dhcp-message.ts";
import type { DhcpMessage, DhcpType } from "./dhcp-message.ts";
import type { Addresses } from "./interface-address.ts";
import type { Links } from "./link.ts";
import { NetlinkError } from "./netlink/errors.ts";
import type { ResolverConfig } from "./resolver-config.ts";
import type { Routes } from "./route.ts";
import type { Device, Session } from "./session.ts";
import { NetworkTimeoutError, clockMs, sleep, within } from "./timeout.ts";

const DEFAULT_TIMEOUT_MS = 15000;
/** Section 4.1: each try waits twice as long as the one before. */
const FIRST_TRY_MS = 1000;
const MAX_TRY_MS = 8000;
const FRAME_BYTES = 2048;
const DEFAULT_METRIC = 100;
/** Section 4.4.5. */
const RENEW_PART = 0.5;
const LEAST_RENEW_SECONDS = 60;
/** Where nothing can be sent from, or to. */
const UNREACHABLE: ReadonlySet<string> = new Set([
  "EADDRNOTAVAIL",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
]);
const FOREVER_SECONDS = 0xffffffff;

/** How an address is asked for. */
export interface DhcpOptions {
  /** A name for this machine. */
  readonly hostname?: string;
  /** Default 15 s. */
  readonly timeoutMs?: number;
  /** Of the default route. Default 100. */
  readonly metric?: number;
  /** Whether to write /etc/resolv.conf. Default true, if the server names servers. */
  readonly resolver?: boolean;
  readonly signal?: AbortSignal;
}

/** The server said no. */
export class DhcpRefusedError extends Error {
  override readonly name = "DhcpRefusedError";
  readonly code = "ERR_DHCP_REFUSED";

  constructor(why: string | undefined) {
    super(`the DHCP server refused${why === undefined ? "" : `: ${why}`}`);
  }
}

/** What the parts of a network that a lease changes are. */
interface Parts {
  readonly session: Session;
  readonly links: Links;
  readonly addresses: Addresses;
  readonly routes: Routes;
  readonly resolver: ResolverConfig;
}

/** How many bits of a mask are the network's. */
function prefixLengthOf(mask: string): number {
  const bits = parseIp(mask, "mask").bytes.reduce(
    (text, byte) => text + byte.toString(2).padStart(8, "0"),
    "",
  );
  return bits.indexOf("0") < 0 ? 32 : bits.indexOf("0");
}

/** Whether a message answers one of ours. */
type Accept = (message: DhcpMessage) => boolean;

/** A client of one interface that has no address yet. */
class Exchange {
  readonly #process: Process;
  readonly #fd: number;
  readonly #index: number;
  readonly #buffer = new Uint8Array(FRAME_BYTES);

  static async open(process: Process, index: number): Promise<Exchange> {
    const fd = await process.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const exchange = new Exchange(process, fd, index);
    try {
      await process.bind(fd, exchange.#address(), SockaddrLl.size);
      return exchange;
    } catch (error) {
      await process.close(fd);
      throw error;
    }
  }

  private constructor(process: Process, fd: number, index: number) {
    this.#process = process;
    this.#fd = fd;
    this.#index = index;
  }

  #address(): Uint8Array {
    const address = SockaddrLl.alloc();
    address.sll_family = AF_PACKET;
    address.sll_protocol = ETH_P_IP;
    address.sll_ifindex = this.#index;
    address.sll_halen = 6;
    address.sll_addr = new Uint8Array(6).fill(0xff);
    return address.bytes;
  }

  /** Ask, again and again, until there is an answer. @throws the reason of the signal */
  async ask(message: DhcpMessage, accept: Accept, signal: AbortSignal): Promise<DhcpMessage> {
    const packet = wrap(encodeDhcp(message));
    for (let waitMs = FIRST_TRY_MS; ; waitMs = Math.min(waitMs * 2, MAX_TRY_MS)) {
      const { length } = packet;
      await this.#process.sendto(this.#fd, packet, length, 0, this.#address(), SockaddrLl.size);
      try {
        return await within(
          this.#process,
          waitMs,
          "DHCP",
          (over) => this.#receive(accept, over),
          signal,
        );
      } catch (error) {
        if (signal.aborted || !(error instanceof NetworkTimeoutError)) throw error;
      }
    }
  }

  async #receive(accept: Accept, signal: AbortSignal): Promise<DhcpMessage> {
    for (;;) {
      const buffer = this.#buffer;
      const length = await this.#process.recvfrom(this.#fd, buffer, buffer.length, 0, null, null, {
        signal,
      });
      const payload = unwrap(buffer.subarray(0, length));
      const message = payload && decodeDhcp(payload);
      if (message && accept(message)) return message;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.close(this.#fd);
  }
}

/** The kernel's own: with a seed it is the same each time. */
async function random(process: Process): Promise<number> {
  const bytes = new Uint8Array(4);
  await process.getrandom(bytes, bytes.length, 0);
  return new DataView(bytes.buffer).getUint32(0);
}

/** An address for a time. Renew it before that is up, or let {@link maintain} do it. */
export class DhcpLease {
  readonly #parts: Parts;
  readonly #index: number;
  readonly #options: DhcpOptions;
  #message: DhcpMessage;
  #sinceMs = 0;
  #released = false;

  /** @internal */
  static async take(
    parts: Parts,
    device: Device,
    options: DhcpOptions,
    message: DhcpMessage,
  ): Promise<DhcpLease> {
    const index = await parts.session.indexOf(device, "device");
    const lease = new DhcpLease(parts, index, options, message);
    await lease.#apply(message);
    return lease;
  }

  private constructor(parts: Parts, index: number, options: DhcpOptions, message: DhcpMessage) {
    this.#parts = parts;
    this.#index = index;
    this.#options = options;
    this.#message = message;
  }

  /** "10.0.0.15/24" */
  get address(): string {
    const { yourAddress = "", subnetMask = "255.255.255.255" } = this.#message;
    return `${yourAddress}/${prefixLengthOf(subnetMask)}`;
  }

  get routers(): readonly string[] {
    return this.#message.routers ?? [];
  }

  get nameservers(): readonly string[] {
    return this.#message.nameservers ?? [];
  }

  get domain(): string | undefined {
    return this.#message.domain;
  }

  /** Who gave it. */
  get server(): string | undefined {
    return this.#message.server;
  }

  /** For how long it was given. Infinity: for ever. */
  get leaseSeconds(): number {
    const { leaseSeconds = FOREVER_SECONDS } = this.#message;
    return leaseSeconds === FOREVER_SECONDS ? Infinity : leaseSeconds;
  }

  /** After which it is time to renew it. */
  get renewSeconds(): number {
    const { renewSeconds } = this.#message;
    if (renewSeconds !== undefined) return renewSeconds;
    return this.leaseSeconds * RENEW_PART;
  }

  /** Tell the kernel what it is now. */
  async #apply(message: DhcpMessage): Promise<void> {
    const { addresses, links, routes, resolver, session } = this.#parts;
    const before = this.address;
    this.#message = message;
    this.#sinceMs = await clockMs(session.process);
    const seconds = this.leaseSeconds;
    if (before !== this.address) await this.#removeAddress(before);
    await addresses.replace(this.#index, this.address, {
      validSeconds: seconds,
      preferredSeconds: seconds,
    });
    if (message.mtu !== undefined) await links.set(this.#index, { mtu: message.mtu });
    const [gateway] = this.routers;
    const { metric = DEFAULT_METRIC } = this.#options;
    if (gateway !== undefined)
      await routes.replace({
        destination: "default",
        gateway,
        device: this.#index,
        metric,
        protocol: "dhcp",
      });
    if (this.#options.resolver !== false && this.nameservers.length)
      await resolver.set({
        nameservers: this.nameservers,
        ...(message.domain !== undefined && message.domain !== "" && { search: [message.domain] }),
      });
  }

  async #removeAddress(address: string): Promise<void> {
    try {
      await this.#parts.addresses.delete(this.#index, address);
    } catch (error) {
      // Its time was up, or somebody else took it away.
      if (!(error instanceof NetlinkError && error.code === "EADDRNOTAVAIL")) throw error;
    }
  }

  /** A message from the address that we have. */
  async #compose(type: DhcpType): Promise<DhcpMessage> {
    const { hostname } = this.#options;
    return {
      type,
      transaction: await random(this.#parts.session.process),
      hardwareAddress: this.#message.hardwareAddress,
      ...(this.#message.yourAddress !== undefined && { clientAddress: this.#message.yourAddress }),
      ...(type === "release" && this.server !== undefined && { server: this.server }),
      ...(hostname !== undefined && { hostname }),
    };
  }

  /** A socket of our address at DHCP's port, connected to the server that gave it. */
  async #withSocket<T>(use: (fd: number) => Promise<T>): Promise<T> {
    const { process } = this.#parts.session;
    const address = (ip: string, port: number) => {
      const record = SockaddrIn.alloc();
      record.sin_family = AF_INET;
      record.sin_port = port;
      record.bytes.set(parseIp(ip, "address").bytes, SockaddrIn.offsets.sin_addr);
      return record.bytes;
    };
    const fd = await process.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    try {
      await process.bind(
        fd,
        address(this.#message.yourAddress ?? "", CLIENT_PORT),
        SockaddrIn.size,
      );
      await process.connect(fd, address(this.server ?? "", SERVER_PORT), SockaddrIn.size);
      return await use(fd);
    } finally {
      await process.close(fd);
    }
  }

  /**
   * Ask the server for more time.
   *
   * @throws {DhcpRefusedError} if it wants the address back: the lease is released then
   * @throws {NetworkTimeoutError}
   */
  async renew(options: { readonly timeoutMs?: number } & CallOptions = {}): Promise<void> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    const { process } = this.#parts.session;
    const asked = await this.#compose("request");
    const bytes = encodeDhcp(asked);
    const answer = await this.#withSocket((fd) =>
      within(
        process,
        timeoutMs,
        "renew the DHCP lease",
        async (over) => {
          await process.sendto(fd, bytes, bytes.length, 0, null, 0);
          const buffer = new Uint8Array(FRAME_BYTES);
          for (;;) {
            const length = await process.recvfrom(fd, buffer, buffer.length, 0, null, null, {
              signal: over,
            });
            const message = decodeDhcp(buffer.subarray(0, length));
            if (message?.transaction === asked.transaction) return message;
          }
        },
        signal,
      ),
    );
    if (answer.type === "nak") {
      this.#released = true;
      await this.#removeAddress(this.address);
      throw new DhcpRefusedError(answer.message);
    }
    await this.#apply({ ...this.#message, ...answer });
  }

  /**
   * Renew it each time that this is due, as long as the signal lets it. Settles when that fires.
   *
   * @throws {DhcpRefusedError} @throws {NetworkTimeoutError} if its time is up and no server answers
   */
  async maintain(signal: AbortSignal): Promise<void> {
    const { process } = this.#parts.session;
    try {
      while (this.leaseSeconds !== Infinity) {
        const usedSeconds = ((await clockMs(process)) - this.#sinceMs) / 1000;
        const waitSeconds = Math.max(0, this.renewSeconds - usedSeconds);
        await sleep(process, waitSeconds * 1000, signal);
        await this.#renewOrWait(signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** A server that is away for a while is asked again, as long as there is time. */
  async #renewOrWait(signal: AbortSignal): Promise<void> {
    const { process } = this.#parts.session;
    for (;;) {
      try {
        return await this.renew({ signal });
      } catch (error) {
        const usedSeconds = ((await clockMs(process)) - this.#sinceMs) / 1000;
        const leftSeconds = this.leaseSeconds - usedSeconds;
        if (error instanceof DhcpRefusedError || leftSeconds <= 0) throw error;
        const waitSeconds = Math.min(leftSeconds, Math.max(LEAST_RENEW_SECONDS, leftSeconds / 2));
        await sleep(process, waitSeconds * 1000, signal);
      }
    }
  }

  /** Give the address back, and take it from the interface. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    const { process } = this.#parts.session;
    const bytes = encodeDhcp(await this.#compose("release"));
    try {
      await this.#withSocket((fd) => process.sendto(fd, bytes, bytes.length, 0, null, 0));
    } catch (error) {
      // The address is gone, or the way to the server: it takes it back when its time is up.
      if (!(error instanceof SystemError && UNREACHABLE.has(error.code))) throw error;
    }
    await this.#removeAddress(this.address);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Ask for an address, and use it.
 *
 * @throws {NetworkTimeoutError} if no server answers @throws {DhcpRefusedError}
 * @throws {UnknownDeviceError}
 */
export async function dhcp(
  parts: Parts,
  device: Device,
  options: DhcpOptions = {},
): Promise<DhcpLease> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, hostname, signal } = options;
  const { session, links } = parts;
  const link = await links.get(device, signal && { signal });
  if (!link.up) await links.set(link.index, { up: true });
  const hardwareAddress = parseMac(link.address ?? "00:00:00:00:00:00", "address");
  const transaction = await random(session.process);
  const common = {
    transaction,
    hardwareAddress,
    broadcast: true,
    ...(hostname !== undefined && { hostname }),
  };
  await using exchange = await Exchange.open(session.process, link.index);
  const acked = await within(
    session.process,
    timeoutMs,
    `ask for an address for '${link.name}' by DHCP`,
    async (over) => {
      const offer = await exchange.ask(
        { type: "discover", ...common },
        ({ transaction: of, type, yourAddress, server }) =>
          of === transaction &&
          type === "offer" &&
          yourAddress !== undefined &&
          server !== undefined,
        over,
      );
      const answer = await exchange.ask(
        {
          type: "request",
          ...common,
          ...(offer.yourAddress !== undefined && { requestedAddress: offer.yourAddress }),
          ...(offer.server !== undefined && { server: offer.server }),
        },
        ({ transaction: of, type }) => of === transaction && (type === "ack" || type === "nak"),
        over,
      );
      return { ...offer, ...answer };
    },
    signal,
  );
  if (acked.type === "nak") throw new DhcpRefusedError(acked.message);
  return await DhcpLease.take(parts, link.index, options, { ...acked, hardwareAddress });
}
