// The sockets of a process of the kernel, thousands of them, driven by events.
//
// Invariants: what is shared (memory, an epoll descriptor) is made by the first that needs it.

import { DisposedError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import { connect } from "./connection.ts";
import type { ConnectOptions, Connection } from "./connection.ts";
import { openDatagrams } from "./datagrams.ts";
import type { DatagramOptions, DatagramSocket } from "./datagrams.ts";
import { Host } from "./host.ts";
import { listen } from "./listener.ts";
import type { ListenOptions, Listener } from "./listener.ts";
import { Resolver } from "./resolver/resolver.ts";
import type { IpAddressInfo, LookupOptions } from "./resolver/resolver.ts";

export interface SocketsOptions {
  /** Let the process exit when this is disposed of. Default false. */
  readonly ownsProcess?: boolean;
}

/**
 * Connections, listeners and datagram sockets of a process of the kernel: in its network namespace,
 * with its rights. One thread of the process waits for all of them (epoll), while there are any.
 * Nothing is polled, and no socket has a thread of its own.
 */
export class Sockets implements AsyncDisposable {
  readonly process: Process;
  readonly #ownsProcess: boolean;
  #opening: Promise<Host> | null = null;
  #host: Host | null = null;
  readonly #resolver: Resolver = new Resolver(this);
  #disposed = false;

  constructor(process: Process, options: SocketsOptions = {}) {
    this.process = process;
    this.#ownsProcess = options.ownsProcess ?? false;
  }

  /** How many sockets are open. */
  get size(): number {
    return this.#host?.reactor.size ?? 0;
  }

  /** @internal */
  async host(): Promise<Host> {
    if (this.#disposed) throw new DisposedError("these sockets were disposed");
    this.#opening ??= Host.open(this.process).then((host) => (this.#host = host));
    return this.#opening;
  }

  /**
   * Connect. Settles when the connection stands.
   *
   * @throws {SocketError} e.g. ECONNREFUSED @throws the signal's reason
   */
  async connect(options: ConnectOptions): Promise<Connection> {
    return connect(await this.host(), options);
  }

  /**
   * Take connections at an address; port 0 is one that is free.
   *
   * @throws {SocketError} e.g. EADDRINUSE
   */
  async listen(options: ListenOptions): Promise<Listener> {
    return listen(await this.host(), options);
  }

  /**
   * A socket for datagrams: UDP by default, else what `family`, `type` and `protocol` say (raw,
   * packet, unix).
   *
   * @throws {SocketError} e.g. EADDRINUSE, EPERM
   */
  async datagrams(options: DatagramOptions): Promise<DatagramSocket> {
    return openDatagrams(await this.host(), options);
  }

  /**
   * The addresses of a name: a literal, the process's /etc/hosts, or by DNS from the servers of its
   * /etc/resolv.conf. IPv6 and IPv4 in the order in which they are best tried.
   *
   * @throws {LookupError} ENOTFOUND if it has none, EAI_AGAIN if no server answers
   */
  lookup(name: string, options: LookupOptions = {}): Promise<IpAddressInfo[]> {
    return this.#resolver.lookup(name, options);
  }

  /**
   * Whether to stop waiting in the kernel, because nobody needs what comes: a call that waits keeps a
   * program running. What has come meanwhile is found by {@link poll}.
   */
  set dozing(value: boolean) {
    if (this.#host) this.#host.reactor.dozing = value;
  }

  /** While it dozes: look once what has come. */
  poll(): void {
    this.#host?.reactor.poll();
  }

  /** All sockets fail and are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    const host = await this.#opening?.catch(() => null);
    await host?.[Symbol.asyncDispose]();
    if (this.#ownsProcess) await this.process.exit();
  }
}
