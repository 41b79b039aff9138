// dgram.Socket on a datagram socket of the kernel.
//
// Invariants: what is asked of the kernel is asked in the order of the calls: each step waits in
// #steps for the one before it. Refusals come as "error", or to the callback if there is one.

import { EventEmitter } from "node:events";
import { isIP } from "node:net";
import type { LookupFunction } from "node:net";

import { IP_MULTICAST_IF } from "../../../abi/constants/in.ts";
import { IPV6_MULTICAST_IF } from "../../../abi/constants/in6.ts";
import { SOL_IP, SOL_IPV6 } from "../../../abi/constants/socket.ts";
import { errno } from "../../../abi/errno.ts";
import { parseIp } from "../../../net/address.ts";
import { SocketClosedError, SocketError, ipEndpoint } from "../../../net/facade/index.ts";
import type {
  DatagramSocket as KernelDatagrams,
  Datagram,
  OptionName,
  OptionValue,
  OutgoingDatagram,
} from "../../../net/facade/index.ts";
import { lastFunction, toPort } from "./arguments.ts";
import type { Context } from "./context.ts";
import { sendArguments } from "./datagram-arguments.ts";
import type { Sent } from "./datagram-arguments.ts";
import {
  alreadyBoundError,
  argumentTypeError,
  badBufferSizeError,
  badTypeError,
  datagramConnectedError,
  datagramNotConnectedError,
  datagramNotRunningError,
} from "./errors.ts";
import { membership, sourceMembership } from "./membership.ts";
import { addressInfo } from "./socket.ts";
import type { AddressInfo } from "./socket.ts";

type Type = "udp4" | "udp6";

/** Of createSocket(): node:dgram's. */
export interface DatagramSocketOptions {
  readonly type: Type;
  readonly reuseAddr?: boolean;
  readonly reusePort?: boolean;
  readonly ipv6Only?: boolean;
  readonly recvBufferSize?: number;
  readonly sendBufferSize?: number;
  readonly lookup?: LookupFunction;
  readonly signal?: AbortSignal;
}

interface BindArguments {
  readonly port?: number;
  readonly address?: string;
}

/** Who sent a message. */
export interface RemoteInfo extends AddressInfo {
  /** In bytes. */
  readonly size: number;
}

/** Gets the messages that came. */
export type MessageListener = (message: Buffer, info: RemoteInfo) => void;

const MAX_TTL = 255;

/** A datagram on its way, and who wants to know what became of it. */
interface Sending extends OutgoingDatagram {
  sent(error: Error | null): void;
}

export class DatagramSocket extends EventEmitter {
  readonly #context: Context;
  readonly type: Type;
  readonly #options: DatagramSocketOptions;
  #socket: KernelDatagrams | null = null;
  #binding = false;
  #connecting = false;
  #connected = false;
  #closed = false;
  #held = false;
  #unreferenced = false;
  #steps: Promise<unknown> = Promise.resolve();
  /** What the last step will send; null once that has begun, or is another's. */
  #batch: Sending[] | null = null;
  #queuedBytes = 0;
  #queuedCount = 0;
  readonly #bufferSizes = new Map<OptionName, number>();

  constructor(context: Context, given: DatagramSocketOptions | string, listener?: MessageListener) {
    super();
    const options = (typeof given === "string" ? { type: given } : given) as DatagramSocketOptions;
    if (options?.type !== "udp4" && options?.type !== "udp6") throw badTypeError();
    this.#context = context;
    this.#options = options;
    this.type = options.type;
    if (listener) this.on("message", listener);
    const { signal } = options;
    if (signal?.aborted) process.nextTick(() => this.#close());
    else signal?.addEventListener("abort", () => this.#close(), { once: true });
  }

  /** The kernel's own object, once bound: all options, and what node:dgram has not. */
  get socket(): KernelDatagrams | null {
    return this.#socket;
  }

  // --- Steps ---------------------------------------------------------------------------------

  #step(work: (socket: KernelDatagrams) => Promise<void>, done?: (error: Error | null) => void) {
    // What is sent from here on comes behind it.
    this.#batch = null;
    const step = this.#steps.then(async () => {
      if (this.#socket) await work(this.#socket);
    });
    this.#steps = step.then(
      // In ticks of their own: what a listener throws must not keep later steps from being made.
      () => done && process.nextTick(done, null),
      (error: unknown) => {
        if (error instanceof SocketClosedError && this.#closed) return;
        if (done) process.nextTick(done, error);
        else this.#failed(error);
      },
    );
  }

  #checkRunning(): void {
    if (this.#closed) throw datagramNotRunningError();
  }

  get #six(): boolean {
    return this.type === "udp6";
  }

  async #addressOf(host: string | undefined, otherwise: string): Promise<string> {
    if (!host) return otherwise;
    if (isIP(host)) return host;
    const lookup = this.#options.lookup ?? this.#context.lookup;
    return new Promise((resolve, reject) =>
      lookup(host, { family: this.#six ? 6 : 4 }, (error, address) =>
        error ? reject(error) : resolve(address as string),
      ),
    );
  }

  // --- Binding -------------------------------------------------------------------------------

  bind(...args: readonly unknown[]): this {
    this.#checkRunning();
    if (this.#binding) throw alreadyBoundError();
    const callback = lastFunction(args);
    const [first, second] = args;
    const options: BindArguments =
      typeof first === "object" && first !== null
        ? first
        : {
            port: typeof first === "function" ? 0 : Number(first ?? 0),
            ...(typeof second === "string" && { address: second }),
          };
    if (callback) {
      const bound = () => {
        this.off("error", failed);
        callback.call(this);
      };
      const failed = () => this.off("listening", bound);
      this.once("listening", bound).once("error", failed);
    }
    this.#bind(options.address, toPort(options.port ?? 0));
    return this;
  }

  #bind(host: string | undefined, port: number): void {
    this.#binding = true;
    this.#hold();
    const opening = this.#steps.then(() => this.#open(host, port));
    this.#steps = opening.catch((error: unknown) => {
      this.#binding = false;
      this.#letGo();
      if (!this.#closed) this.#failed(error);
    });
  }

  #failed(error: unknown): void {
    process.nextTick(() => this.emit("error", error));
  }

  async #open(host: string | undefined, port: number): Promise<void> {
    if (this.#closed) return;
    const address = await this.#addressOf(host, this.#six ? "::" : "0.0.0.0");
    const { reuseAddr, reusePort, ipv6Only, recvBufferSize, sendBufferSize } = this.#options;
    const socket = await this.#context.sockets.datagrams({
      local: ipEndpoint(address, port),
      ...(reuseAddr !== undefined && { reuseAddress: reuseAddr }),
      ...(reusePort !== undefined && { reusePort }),
      ...(ipv6Only !== undefined && { ipv6Only }),
    });
    if (recvBufferSize) await socket.setOption("SO_RCVBUF", recvBufferSize);
    if (sendBufferSize) await socket.setOption("SO_SNDBUF", sendBufferSize);
    for (const name of ["SO_RCVBUF", "SO_SNDBUF"] as const)
      this.#bufferSizes.set(name, Number(await socket.getOption(name)));
    if (this.#closed) return socket.close();
    this.#socket = socket;
    process.nextTick(() => {
      void this.#receive(socket);
      this.emit("listening");
    });
  }

  async #receive(socket: KernelDatagrams): Promise<void> {
    while (!this.#closed)
      try {
        const datagrams = await socket.receive();
        for (const datagram of datagrams) process.nextTick(() => this.#deliver(datagram));
      } catch (error) {
        if (this.#closed || error instanceof SocketClosedError) return;
        this.#failed(error);
        if (!(error instanceof SocketError)) return;
      }
  }

  #deliver({ bytes, from }: Datagram): void {
    const info = addressInfo(from);
    if (info && !this.#closed) this.emit("message", bytes, { ...info, size: bytes.length });
  }

  // --- Sending -------------------------------------------------------------------------------

  send(...args: readonly unknown[]): void {
    const { chunks, port, address, callback } = sendArguments(this.#connected, args);
    if (this.#connected) {
      if (port || address) throw datagramConnectedError();
    } else if (typeof address !== "string" && address)
      throw argumentTypeError("address", "one of type string or falsy", address);
    const to = this.#connected ? undefined : toPort(port, "Port", false);
    this.#checkRunning();
    if (!this.#binding) this.#bind(undefined, 0);
    this.#transmit(chunks, to, address as string | undefined, callback);
  }

  #transmit(
    chunks: readonly Uint8Array[],
    port: number | undefined,
    host: string | undefined,
    callback: Sent | undefined,
  ): void {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#queuedBytes += length;
    this.#queuedCount++;
    const sent = (error: Error | null) => {
      this.#queuedBytes -= length;
      this.#queuedCount--;
      if (callback) callback(error, ...(error ? [] : [length]));
      // As Node's: of a datagram that was refused nobody hears who did not ask.
      else if (error && !(error instanceof SocketError)) this.emit("error", error);
    };
    if (port === undefined) this.#sendBatched({ bytes: chunks, sent });
    else if (!host || isIP(host)) {
      const address = host || (this.#six ? "::1" : "127.0.0.1");
      this.#sendBatched({ bytes: chunks, to: ipEndpoint(this.#mapped(address), port), sent });
    } else
      this.#step(async (socket) => {
        const address = await this.#addressOf(host, host);
        return socket.send(chunks, ipEndpoint(this.#mapped(address), port));
      }, sent);
  }

  /** What is sent one right after the other goes by one call of the kernel's. */
  #sendBatched(sending: Sending): void {
    if (this.#batch) {
      this.#batch.push(sending);
      return;
    }
    const batch = [sending];
    let outcomes: readonly (Error | null)[] = [];
    this.#step(
      async (socket) => {
        if (this.#batch === batch) this.#batch = null;
        outcomes = await socket.sendAll(batch);
      },
      (error) => {
        for (const [index, one] of batch.entries())
          process.nextTick(() => one.sent(error ?? outcomes[index] ?? null));
      },
    );
    this.#batch = batch;
  }

  /** An IPv6 socket knows IPv4 addresses by another name. */
  #mapped(address: string): string {
    return this.#six && isIP(address) === 4 ? `::ffff:${address}` : address;
  }

  getSendQueueSize(): number {
    return this.#queuedBytes;
  }

  getSendQueueCount(): number {
    return this.#queuedCount;
  }

  // --- Connecting ----------------------------------------------------------------------------

  connect(port: number, ...rest: readonly unknown[]): void {
    const callback = lastFunction(rest);
    const host = typeof rest[0] === "string" ? rest[0] : undefined;
    const to = toPort(port, "Port", false);
    this.#checkRunning();
    if (this.#connected || this.#connecting) throw datagramConnectedError();
    this.#connecting = true;
    if (!this.#binding) this.#bind(undefined, 0);
    if (callback) this.once("connect", callback);
    this.#step(
      async (socket) => {
        const address = await this.#addressOf(host, this.#six ? "::1" : "127.0.0.1");
        await socket.connect(ipEndpoint(this.#mapped(address), to));
      },
      (error) => {
        this.#connecting = false;
        this.#connected = !error;
        if (!error) this.emit("connect");
        else if (callback) {
          this.off("connect", callback);
          process.nextTick(callback, error);
        } else this.emit("error", error);
      },
    );
  }

  disconnect(): void {
    if (!this.#connected) throw datagramNotConnectedError();
    this.#connected = false;
    this.#step((socket) => socket.disconnect());
  }

  // --- The end -------------------------------------------------------------------------------

  close(callback?: () => void): this {
    if (typeof callback === "function") this.on("close", callback);
    this.#checkRunning();
    this.#close();
    return this;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // What was to be sent is sent before.
    void this.#steps.then(async () => {
      await this.#socket?.close();
      this.#letGo();
      this.emit("close");
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => this.close(resolve));
  }

  // --- Options -------------------------------------------------------------------------------

  #set(syscall: string, name: OptionName, value: OptionValue): void {
    if (!this.#binding || this.#closed) throw new SocketError(-errno.EBADF, { syscall });
    this.#step((socket) => socket.setOption(name, value));
  }

  #toTtl(syscall: string, value: unknown, least: number): number {
    if (typeof value !== "number") throw argumentTypeError("ttl", "of type number", value);
    if (!(value >= least && value <= MAX_TTL)) throw new SocketError(-errno.EINVAL, { syscall });
    return value;
  }

  setBroadcast(enable: boolean): void {
    this.#set("setBroadcast", "SO_BROADCAST", enable);
  }

  setTTL(ttl: number): number {
    const value = this.#toTtl("setTTL", ttl, 1);
    this.#set("setTTL", this.#six ? "IPV6_UNICAST_HOPS" : "IP_TTL", value);
    return ttl;
  }

  setMulticastTTL(ttl: number): number {
    const value = this.#toTtl("setMulticastTTL", ttl, 0);
    this.#set("setMulticastTTL", this.#six ? "IPV6_MULTICAST_HOPS" : "IP_MULTICAST_TTL", value);
    return ttl;
  }

  setMulticastLoopback(enable: boolean): boolean {
    const name = this.#six ? "IPV6_MULTICAST_LOOP" : "IP_MULTICAST_LOOP";
    this.#set("setMulticastLoopback", name, enable);
    return enable;
  }

  /** By an address of the interface; for IPv6 by number: "::%2". */
  setMulticastInterface(address: string): void {
    this.#checkRunning();
    if (typeof address !== "string")
      throw argumentTypeError("interfaceAddress", "of type string", address);
    this.#step((socket) => {
      if (!this.#six) {
        const key = { level: SOL_IP, option: IP_MULTICAST_IF };
        return socket.setRawOption(key, parseIp(address, "interfaceAddress").bytes);
      }
      const { scope = 0 } = ipEndpoint(address, 0, "interfaceAddress");
      const value = new Uint8Array(Uint32Array.of(scope).buffer);
      return socket.setRawOption({ level: SOL_IPV6, option: IPV6_MULTICAST_IF }, value);
    });
  }

  #member(join: boolean, group: string, on: string | undefined): void {
    if (!group) throw argumentTypeError("multicastAddress", "of type string", group);
    this.#checkRunning();
    const { key, value } = membership(join, group, on);
    if (!this.#binding) this.#bind(undefined, 0);
    this.#step((socket) => socket.setRawOption(key, value));
  }

  addMembership(group: string, on?: string): void {
    this.#member(true, group, on);
  }

  dropMembership(group: string, on?: string): void {
    this.#member(false, group, on);
  }

  #sourceMember(join: boolean, source: string, group: string, on: string | undefined): void {
    if (typeof source !== "string")
      throw argumentTypeError("sourceAddress", "of type string", source);
    if (typeof group !== "string") throw argumentTypeError("groupAddress", "of type string", group);
    this.#checkRunning();
    const { key, value } = sourceMembership(join, source, group, on);
    if (!this.#binding) this.#bind(undefined, 0);
    this.#step((socket) => socket.setRawOption(key, value));
  }

  addSourceSpecificMembership(source: string, group: string, on?: string): void {
    this.#sourceMember(true, source, group, on);
  }

  dropSourceSpecificMembership(source: string, group: string, on?: string): void {
    this.#sourceMember(false, source, group, on);
  }

  #setBufferSize(name: OptionName, sizeBytes: number): void {
    if (!Number.isInteger(sizeBytes) || sizeBytes <= 0) throw badBufferSizeError();
    // The kernel takes twice as much, and no more than it allows: what it took is known a little later.
    this.#bufferSizes.set(name, 2 * sizeBytes);
    this.#step(async (socket) => {
      await socket.setOption(name, sizeBytes);
      this.#bufferSizes.set(name, Number(await socket.getOption(name)));
    });
  }

  #bufferSize(name: OptionName): number {
    const size = this.#bufferSizes.get(name);
    if (size === undefined || this.#closed)
      throw new SocketError(-errno.EBADF, { syscall: "uv_recv_buffer_size" });
    return size;
  }

  setRecvBufferSize(sizeBytes: number): void {
    this.#setBufferSize("SO_RCVBUF", sizeBytes);
  }

  setSendBufferSize(sizeBytes: number): void {
    this.#setBufferSize("SO_SNDBUF", sizeBytes);
  }

  getRecvBufferSize(): number {
    return this.#bufferSize("SO_RCVBUF");
  }

  getSendBufferSize(): number {
    return this.#bufferSize("SO_SNDBUF");
  }

  // --- What it is ----------------------------------------------------------------------------

  /** @throws ERR_SOCKET_DGRAM_NOT_RUNNING, EBADF before it is bound */
  address(): AddressInfo {
    this.#checkRunning();
    const info = addressInfo(this.#socket?.local);
    if (!info) throw new SocketError(-errno.EBADF, { syscall: "getsockname" });
    return info;
  }

  /** @throws ERR_SOCKET_DGRAM_NOT_CONNECTED */
  remoteAddress(): AddressInfo {
    this.#checkRunning();
    const info = this.#connected ? addressInfo(this.#socket?.remote) : undefined;
    if (!info) throw datagramNotConnectedError();
    return info;
  }

  ref(): this {
    this.#unreferenced = false;
    if (this.#binding && !this.#closed) this.#hold();
    return this;
  }

  unref(): this {
    this.#unreferenced = true;
    this.#letGo();
    return this;
  }

  #hold(): void {
    if (this.#held || this.#unreferenced) return;
    this.#held = true;
    this.#context.holds.hold();
  }

  #letGo(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#context.holds.release();
  }
}
