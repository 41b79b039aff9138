// Sockets that keep the bounds of what is sent: UDP, raw, packet, unix datagrams.

import { IPV6_V6ONLY } from "../../abi/constants/in6.ts";
import {
  SOCK_DGRAM,
  SOL_IPV6,
  SOL_SOCKET,
  SO_REUSEADDR,
  SO_REUSEPORT,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  AF_UNSPEC,
} from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { BATCH } from "./datagram-room.ts";
import type { Datagram } from "./datagram-room.ts";
import { familyOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { SocketError, explain, failedWith } from "./errors.ts";
import { Gather } from "./gather.ts";
import type { Host } from "./host.ts";
import { KernelSocket, bindDescriptor, prepare } from "./socket.ts";
import type { SocketKind } from "./socket.ts";

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
}

export class DatagramSocket extends KernelSocket {
  /** The other end, of a connected one. */
  remote: Endpoint | undefined;

  /** @internal Use {@link Sockets.datagrams}. */
  constructor(host: Host, fd: number) {
    super(host, fd, undefined);
  }

  /** A job of the lane's. @internal */
  async attach(): Promise<void> {
    await this.host.reactor.add(this.source);
    await this.learnLocal();
  }

  /** Send to, and receive from, one address only. @throws {SocketError} */
  connect(remote: Endpoint): Promise<void> {
    return this.job(
      "connect",
      async () => {
        const { lane, process } = this.host;
        await process.connect(this.fd, lane.name, lane.putName(remote));
        this.remote = remote;
        await this.learnLocal();
      },
      remote,
    );
  }

  /** Undo {@link connect}. @throws {SocketError} */
  disconnect(): Promise<void> {
    return this.job("connect", async () => {
      const { lane, process } = this.host;
      lane.valueBytes.fill(AF_UNSPEC, 0, 16);
      await process.connect(this.fd, lane.value, 16);
      this.remote = undefined;
      await this.learnLocal();
    });
  }

  /**
   * What has come, as soon as there is any: at least one datagram, and no more than the kernel gives
   * at once.
   *
   * @throws {SocketError} e.g. ECONNREFUSED, of one sent before @throws {SocketClosedError}
   */
  async receive(): Promise<Datagram[]> {
    const { source } = this;
    for (;;) {
      if (!source.readable) await source.untilReadable();
      const datagrams = await this.job("recvmsg", () => this.#take());
      if (datagrams.length) return datagrams;
    }
  }

  /** A job of the lane's. */
  async #take(): Promise<Datagram[]> {
    const { source } = this;
    const { process } = this.host;
    const room = await this.host.datagramRoom();
    source.readable = false;
    room.expect();
    try {
      const count = await process.recvmmsg_time64(this.fd, room.memory, BATCH, MSG_DONTWAIT, null);
      // Fewer than there is room for are all there were. An error behind them has no edge of its own.
      if (count === BATCH || source.ended) source.readable = true;
      return room.take(count);
    } catch (error) {
      if (failedWith(error, errno.EAGAIN)) return [];
      source.readable = true;
      throw error;
    }
  }

  /**
   * Send one datagram, made of these chunks.
   *
   * @param to of a socket that is not connected
   * @throws {SocketError} e.g. EMSGSIZE @throws {SocketClosedError}
   */
  async send(chunks: Uint8Array | readonly Uint8Array[], to?: Endpoint): Promise<void> {
    const { source } = this;
    const gather = new Gather(chunks instanceof Uint8Array ? [chunks] : chunks);
    while (!(await this.job("send", () => this.#transmit(gather, to), to)))
      if (!source.writable) await source.untilWritable();
  }

  /** A job of the lane's. @returns whether there was room for it */
  async #transmit(gather: Gather, to: Endpoint | undefined): Promise<boolean> {
    const { source } = this;
    const { lane, process } = this.host;
    if (gather.left > lane.data.length)
      throw new SocketError(-errno.EMSGSIZE, { syscall: "send", endpoint: to });
    const length = gather.copyTo(lane.dataBytes);
    const nameLength = to ? lane.putName(to) : 0;
    const name = to ? lane.name : null;
    source.writable = false;
    try {
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      await process.sendto(this.fd, lane.data, length, flags, name, nameLength);
      source.writable = true;
      return true;
    } catch (error) {
      if (failedWith(error, errno.EAGAIN)) return false;
      source.writable = true;
      throw error;
    }
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
  const { lane, process } = host;
  return lane.run(() =>
    prepare(host, kind, { syscall: "socket" }, async (fd) => {
      const enable = (level: number, option: number) => {
        lane.valueBytes.set([1, 0, 0, 0]);
        return process.setsockopt(fd, level, option, lane.value, 4);
      };
      if (reuseAddress) await enable(SOL_SOCKET, SO_REUSEADDR);
      if (reusePort) await enable(SOL_SOCKET, SO_REUSEPORT);
      if (ipv6Only) await enable(SOL_IPV6, IPV6_V6ONLY);
      if (local)
        try {
          await bindDescriptor(host, fd, local);
        } catch (error) {
          throw explain(error, { syscall: "bind", endpoint: local });
        }
      const socket = new DatagramSocket(host, fd);
      await socket.attach();
      return socket;
    }),
  );
}
