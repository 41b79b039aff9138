// Sockets that keep the bounds of what is sent: UDP, raw, packet, unix datagrams.

import { IPV6_V6ONLY } from "../../abi/constants/in6.ts";
import {
  SOCK_DGRAM,
  SOL_IPV6,
  SOL_SOCKET,
  SO_REUSEADDR,
  SO_REUSEPORT,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  AF_UNSPEC,
} from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { NR } from "../../abi/numbers.ts";
import { SockaddrIn } from "../../abi/structs/socket.ts";
import { SystemError, isError } from "../../syscall/errors.ts";
import { BATCH } from "./datagram-room.ts";
import type { Datagram, DatagramRoom, OutgoingDatagram } from "./datagram-room.ts";
import { familyOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { SocketError, explain } from "./errors.ts";
import { Gather } from "./gather.ts";
import type { Host } from "./host.ts";
import type { Job } from "./job.ts";
import { DATA_BYTES } from "./lane.ts";
import { KernelSocket, bindDescriptor, enable, prepare } from "./socket.ts";
import type { SocketKind } from "./socket.ts";

/** No call waits, and what cannot be sent is an error, not a signal. */
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;

export interface DatagramOptions {
  /** AF_…; default: that of `local`. */
  readonly family?: number;
  /** SOCK_…; default SOCK_DGRAM. SOCK_RAW needs CAP_NET_RAW. */
  readonly type?: number;
  /** IPPROTO_…; of a packet socket the Ethernet type in network order. Default 0. */
  readonly protocol?: number;
  /** Its address; default: none until it sends. */
  readonly local?: Endpoint;
  readonly reuseAddress?: boolean;
  readonly reusePort?: boolean;
  /** An IPv6 socket takes nothing from IPv4. Default false. */
  readonly ipv6Only?: boolean;
  /**
   * Receive control messages: what options ask for (IP_PKTINFO, SO_TIMESTAMPNS), and descriptors that
   * come by a unix socket, which are the application's to close. Default false: they are dropped.
   */
  readonly control?: boolean;
}

export class DatagramSocket extends KernelSocket {
  /** The other end, of a connected one. */
  remote: Endpoint | undefined;

  /** Whether what comes beside the bytes is received. */
  readonly #control: boolean;

  /** @internal Use {@link Sockets.datagrams}. */
  constructor(host: Host, fd: number, control: boolean) {
    super(host, fd, undefined);
    this.#control = control;
  }

  /** @internal */
  *attach(): Job<void> {
    yield* this.host.reactor.add(this.source);
    yield* this.learnLocal();
  }

  /** Send to, and receive from, one address only. @throws {SocketError} */
  connect(remote: Endpoint): Promise<void> {
    return this.job("connect", () => this.#connecting(remote), remote);
  }

  *#connecting(remote: Endpoint): Job<void> {
    const { lane } = this.host;
    yield* lane.must("connect", this.fd, lane.name, lane.putName(remote));
    this.remote = remote;
    yield* this.learnLocal();
  }

  /** Undo {@link connect}. @throws {SocketError} */
  disconnect(): Promise<void> {
    return this.job("connect", () => this.#disconnecting());
  }

  *#disconnecting(): Job<void> {
    const { lane } = this.host;
    const address = SockaddrIn.alloc();
    address.sin_family = AF_UNSPEC;
    lane.valueBytes.set(address.bytes);
    yield* lane.must("connect", this.fd, lane.value, address.bytes.length);
    this.remote = undefined;
    yield* this.learnLocal();
  }

  /**
   * What has come, as soon as there is any: at least one datagram, and no more than the kernel gives
   * at once.
   *
   * @throws {SocketError} e.g. ECONNREFUSED, of one sent before @throws {SocketClosedError}
   */
  async receive(): Promise<Datagram[]> {
    const room = await this.host.datagramRoom();
    return this.job("recvmsg", () => this.#receiving(room));
  }

  *#receiving(room: DatagramRoom): Job<Datagram[]> {
    const { source } = this;
    const { lane } = this.host;
    for (;;) {
      while (!source.readable) yield source.reading;
      this.check();
      source.readable = false;
      room.expect(this.#control);
      // Others know no such flag, as no descriptors come by them.
      const passes = this.#control && this.local?.family === "unix";
      const flags = MSG_DONTWAIT | (passes ? MSG_CMSG_CLOEXEC : 0);
      const count = yield lane.call(NR.recvmmsg_time64, this.fd, room.address, BATCH, flags);
      if (count === -errno.EAGAIN) continue;
      // Fewer than there is room for are all there were. An error behind them has no edge of its own.
      if (isError(count) || count === BATCH || source.ended) source.readable = true;
      if (isError(count)) throw new SystemError(count, "recvmsg");
      return room.take(count);
    }
  }

  /**
   * Send one datagram, made of these chunks.
   *
   * @param to of a socket that is not connected
   * @throws {SocketError} e.g. EMSGSIZE @throws {SocketClosedError}
   */
  send(chunks: Uint8Array | readonly Uint8Array[], to?: Endpoint): Promise<void> {
    const gather = new Gather(chunks instanceof Uint8Array ? [chunks] : chunks);
    return this.job("send", () => this.#sending(gather, to), to);
  }

  *#sending(gather: Gather, to: Endpoint | undefined): Job<void> {
    const { source } = this;
    const { lane } = this.host;
    if (gather.left > DATA_BYTES) throw new SystemError(-errno.EMSGSIZE, "send");
    for (;;) {
      this.check();
      const length = gather.copyTo(lane.dataBytes);
      const nameLength = to ? lane.putName(to) : 0;
      const name = to ? lane.name : 0;
      source.writable = false;
      const count = yield lane.call(NR.sendto, this.fd, lane.data, length, FLAGS, name, nameLength);
      if (count === -errno.EAGAIN) {
        while (!source.writable) yield source.writing;
        continue;
      }
      source.writable = true;
      if (isError(count)) throw new SystemError(count, "send");
      return;
    }
  }

  /**
   * Send datagrams, many by one call of the kernel's.
   *
   * @returns what became of each: null if it was sent, or why not
   * @throws {SocketClosedError} @throws {InvalidOptionError}
   */
  async sendAll(datagrams: readonly OutgoingDatagram[]): Promise<(SocketError | null)[]> {
    const room = await this.host.datagramRoom();
    const refused = await this.job("send", () => this.#sendingAll(room, datagrams));
    return datagrams.map(({ to }, index) => {
      const number = refused.get(index);
      return number === undefined
        ? null
        : new SocketError(number, { syscall: "send", endpoint: to });
    });
  }

  /** @returns the errors, by the datagrams' indices */
  *#sendingAll(
    room: DatagramRoom,
    datagrams: readonly OutgoingDatagram[],
  ): Job<ReadonlyMap<number, number>> {
    const { source } = this;
    const { lane } = this.host;
    const refused = new Map<number, number>();
    for (let next = 0; next < datagrams.length;) {
      this.check();
      const count = room.put(lane, datagrams, next);
      source.writable = false;
      const sent = count
        ? yield lane.call(NR.sendmmsg, this.fd, room.address, count, FLAGS)
        : -errno.EMSGSIZE;
      if (sent === -errno.EAGAIN) {
        while (!source.writable) yield source.writing;
        continue;
      }
      source.writable = true;
      // Those behind the first that is refused are tried anew.
      if (isError(sent)) refused.set(next++, sent);
      else next += sent;
    }
    return refused;
  }

  /** Datagrams, until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Datagram, void> {
    while (!this.closed) {
      try {
        yield* await this.receive();
      } catch (error) {
        if (!this.closed) throw error;
      }
    }
  }
}

/** @throws {SocketError} e.g. EADDRINUSE */
export function openDatagrams(host: Host, options: DatagramOptions): Promise<DatagramSocket> {
  const { local, type = SOCK_DGRAM, protocol = 0, reuseAddress, reusePort, ipv6Only } = options;
  const family = options.family ?? (local ? familyOf(local) : undefined);
  if (family === undefined) throw new TypeError("a datagram socket has a family or an address");
  const kind: SocketKind = { family, type, protocol };
  return prepare(host, kind, { syscall: "socket" }, function* (fd) {
    if (reuseAddress) yield* enable(host, fd, SOL_SOCKET, SO_REUSEADDR);
    if (reusePort) yield* enable(host, fd, SOL_SOCKET, SO_REUSEPORT);
    if (ipv6Only) yield* enable(host, fd, SOL_IPV6, IPV6_V6ONLY);
    if (local)
      try {
        yield* bindDescriptor(host, fd, local);
      } catch (error) {
        throw explain(error, { syscall: "bind", endpoint: local });
      }
    const socket = new DatagramSocket(host, fd, options.control ?? false);
    yield* socket.attach();
    return socket;
  });
}
