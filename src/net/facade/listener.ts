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
import { NR } from "../../abi/numbers.ts";
import { SystemError, isError } from "../../syscall/errors.ts";
import { Connection } from "./connection.ts";
import type { Endpoint } from "./endpoint.ts";
import { explain } from "./errors.ts";
import type { Host } from "./host.ts";
import type { Job } from "./job.ts";
import { KernelSocket, bindDescriptor, enable, kindFor, prepare } from "./socket.ts";

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

/** Of a socket that is accepted. */
const FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;
const UNSPECIFIED: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** Takes connections. Close it to free its address. */
export class Listener extends KernelSocket {
  /** @internal Use {@link Sockets.listen}. */
  constructor(host: Host, fd: number) {
    super(host, fd, undefined);
  }

  /** @internal */
  *attach(): Job<void> {
    yield* this.host.reactor.add(this.source);
    yield* this.learnLocal();
  }

  /**
   * The next connection, as soon as there is one.
   *
   * @throws {SocketError} e.g. EMFILE: the connection waits, and may be asked for again @throws {SocketClosedError}
   */
  async accept(): Promise<Connection> {
    const { source } = this;
    const gate = source.readable ? undefined : source.reading;
    try {
      return await this.host.lane.run(this.#accepting(), gate);
    } catch (error) {
      throw explain(error, { syscall: "accept" });
    }
  }

  *#accepting(): Job<Connection> {
    const { source } = this;
    const { lane } = this.host;
    for (;;) {
      while (!source.readable) yield source.reading;
      this.check();
      source.readable = false;
      lane.expectName();
      const fd = yield lane.call(NR.accept4, this.fd, lane.name, lane.nameLength, FLAGS);
      if (fd === -errno.EAGAIN) continue;
      source.readable = true;
      // One that its maker gave up is none, and there may be more behind it.
      if (fd === -errno.ECONNABORTED) continue;
      if (isError(fd)) throw new SystemError(fd, "accept");
      return yield* this.#accepted(fd);
    }
  }

  *#accepted(fd: number): Job<Connection> {
    const { lane } = this.host;
    const connection = new Connection(this.host, fd, this.#ownAddress(), lane.takeName());
    try {
      yield* connection.attach();
      return connection;
    } catch (error) {
      yield lane.call(NR.close, fd);
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
  return prepare(host, kind, context, function* (fd) {
    if (isIp) yield* enable(host, fd, SOL_SOCKET, SO_REUSEADDR);
    if (reusePort) yield* enable(host, fd, SOL_SOCKET, SO_REUSEPORT);
    if (local.family === "IPv6") yield* enable(host, fd, SOL_IPV6, IPV6_V6ONLY, ipv6Only);
    yield* bindDescriptor(host, fd, local);
    yield* host.lane.must("listen", fd, backlog);
    const listener = new Listener(host, fd);
    yield* listener.attach();
    return listener;
  });
}
