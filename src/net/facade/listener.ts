// A socket that is connected to.

import { AT_FDCWD } from "../../abi/constants/fcntl.ts";
import { IPPROTO_TCP } from "../../abi/constants/in.ts";
import { IPV6_V6ONLY } from "../../abi/constants/in6.ts";
import {
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_IPV6,
  SOL_SOCKET,
  SO_REUSEADDR,
  SO_REUSEPORT,
} from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { Connection } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { explain, failedWith } from "./errors.ts";
import type { Host } from "./host.ts";
import { KernelSocket, bindDescriptor, kindFor, prepare } from "./socket.ts";

/** How many connections may wait to be accepted, as Node has it. */
export const DEFAULT_BACKLOG = 511;

export interface ListenOptions {
  readonly local: Endpoint;
  /** Default {@link DEFAULT_BACKLOG}; the kernel's bound is net.core.somaxconn. */
  readonly backlog?: number;
  /** IPPROTO_TCP (the default), IPPROTO_MPTCP. */
  readonly protocol?: number;
  /** An IPv6 socket takes no IPv4 connections. Default false. */
  readonly ipv6Only?: boolean;
  /** Several listeners share the port. Default false. */
  readonly reusePort?: boolean;
}

const UNSPECIFIED: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Takes connections. Close it to free its address. */
export class Listener extends KernelSocket {
  /** @internal Use {@link Sockets.listen}. */
  constructor(host: Host, fd: number) {
    super(host, fd, undefined);
  }

  /** A job of the lane's. @internal */
  async attach(): Promise<void> {
    await this.host.reactor.add(this.source);
    await this.learnLocal();
  }

  /**
   * The next connection, as soon as there is one.
   *
   * @throws {SocketError} e.g. EMFILE: the connection waits, and may be asked for again @throws {SocketClosedError}
   */
  async accept(): Promise<Connection> {
    const { source } = this;
    for (;;) {
      if (!source.readable) await source.untilReadable();
      const connection = await this.job("accept", () => this.#take());
      if (connection) return connection;
    }
  }

  /** A job of the lane's. */
  async #take(): Promise<Connection | undefined> {
    const { source } = this;
    const { lane, process } = this.host;
    source.readable = false;
    let fd: number;
    lane.expectName();
    try {
      const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
      fd = await process.accept4(this.fd, lane.name, lane.nameLength, flags);
    } catch (error) {
      if (failedWith(error, errno.EAGAIN)) return undefined;
      source.readable = true;
      // One that its maker gave up is none, and there may be more behind it.
      if (failedWith(error, errno.ECONNABORTED)) return undefined;
      throw error;
    }
    source.readable = true;
    const connection = new Connection(this.host, fd, this.#ownAddress(), lane.takeName());
    try {
      await connection.attach();
      return connection;
    } catch (error) {
      await process.close(fd).catch(() => {});
      throw error;
    }
  }

  /** Where a connection's near end is, if that needs no asking. */
  #ownAddress(): Endpoint | undefined {
    const { local } = this;
    if (local?.family === "IPv4" || local?.family === "IPv6")
      return UNSPECIFIED.has(local.address) ? undefined : local;
    return local;
  }

  /** Also removes the name of a unix socket. */
  override async close(): Promise<void> {
    const { local } = this;
    const first = !this.closed;
    await super.close();
    if (!first || local?.family !== "unix" || !local.path || local.path.startsWith("\0")) return;
    await this.host.process.unlinkat(AT_FDCWD, local.path, 0).catch(() => {});
  }

  /** Connections, until the listener is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Connection, void> {
    while (!this.closed) {
      try {
        yield await this.accept();
      } catch (error) {
        if (!this.closed) throw error;
      }
    }
  }
}

/** @throws {SocketError} e.g. EADDRINUSE */
export function listen(host: Host, options: ListenOptions): Promise<Listener> {
  const { local, backlog = DEFAULT_BACKLOG, ipv6Only = false, reusePort = false } = options;
  const isIp = local.family === "IPv4" || local.family === "IPv6";
  const context = { syscall: "listen", endpoint: local, explained: true };
  const kind = kindFor(local, SOCK_STREAM, options.protocol ?? (isIp ? IPPROTO_TCP : 0));
  const { lane, process } = host;
  return lane.run(() =>
    prepare(host, kind, context, async (fd) => {
      const set = (level: number, option: number, value: boolean) => {
        lane.valueBytes.set([value ? 1 : 0, 0, 0, 0]);
        return process.setsockopt(fd, level, option, lane.value, 4);
      };
      if (isIp) await set(SOL_SOCKET, SO_REUSEADDR, true);
      if (reusePort) await set(SOL_SOCKET, SO_REUSEPORT, true);
      if (local.family === "IPv6") await set(SOL_IPV6, IPV6_V6ONLY, ipv6Only);
      try {
        await bindDescriptor(host, fd, local);
        await process.listen(fd, backlog);
      } catch (error) {
        throw explain(error, context);
      }
      const listener = new Listener(host, fd);
      await listener.attach();
      return listener;
    }),
  );
}
