// net.Server on a listener of the kernel.

import { EventEmitter } from "node:events";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { SocketClosedError, SocketError, ipEndpoint } from "../../../net/facade/index.ts";
import type { Connection, Endpoint, Listener } from "../../../net/facade/index.ts";
import { DisposedError } from "../../../syscall/errors.ts";
import { listenArguments, toPort } from "./arguments.ts";
import type { ListenArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { alreadyListeningError, argumentTypeError, notRunningError } from "./errors.ts";
import { addressInfo } from "./socket.ts";
import type { AddressInfo, SocketOptions, Socket } from "./socket.ts";

/** Of `new Server()`: node:net's. */
export interface ServerOptions {
  readonly allowHalfOpen?: boolean;
  readonly pauseOnConnect?: boolean;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly highWaterMark?: number;
}

/** How long after it could not, a server tries again to accept. */
const RETRY_MS = 50;

/** Gets the sockets that a server accepted. */
export type ConnectionListener = (socket: Socket) => void;

type SocketClass = new (options?: SocketOptions) => Socket;

export class Server extends EventEmitter {
  readonly #context: Context;
  readonly #Socket: SocketClass;
  readonly #options: ServerOptions;
  /** From listen() on: what it will be, or is. */
  #starting: Promise<void> | null = null;
  #listener: Listener | null = null;
  #closing = false;
  #released = true;
  #held = false;
  #unreferenced = false;
  #connections = 0;
  /** Connections beyond so many are dropped. */
  maxConnections: number | undefined = undefined;
  /** Drop them, rather than let another thread have them: there is none. */
  dropMaxConnection = false;

  constructor(
    context: Context,
    socketClass: SocketClass,
    options?: ServerOptions | ConnectionListener,
    listener?: ConnectionListener,
  ) {
    super();
    if (
      options !== undefined &&
      options !== null &&
      !["object", "function"].includes(typeof options)
    )
      throw argumentTypeError("options", "of type object", options);
    this.#context = context;
    this.#Socket = socketClass;
    this.#options = typeof options === "function" ? {} : (options ?? {});
    const given = typeof options === "function" ? options : listener;
    if (given) this.on("connection", given);
  }

  // --- Listening -----------------------------------------------------------------------------

  listen(...args: readonly unknown[]): this {
    const [options, callback] = listenArguments(args);
    if (this.#starting) throw alreadyListeningError();
    const port = options.path === undefined ? toPort(options.port ?? 0, "options.port") : 0;
    if (callback) this.once("listening", callback);
    const { signal } = options;
    if (signal?.aborted) process.nextTick(() => this.close());
    else signal?.addEventListener("abort", () => this.close(), { once: true });
    this.#closing = this.#released = false;
    this.#hold();
    this.#starting = this.#start(options, port);
    return this;
  }

  async #start(options: ListenArguments, port: number): Promise<void> {
    let listener: Listener;
    try {
      listener = await this.#open(options, port);
    } catch (error) {
      this.#starting = null;
      this.#released = true;
      this.#letGo();
      if (this.#closing) this.#emitCloseIfDrained();
      else process.nextTick(() => this.emit("error", error));
      return;
    }
    this.#listener = listener;
    if (this.#closing) return;
    process.nextTick(() => this.#listener && this.emit("listening"));
    void this.#accept(listener);
  }

  async #open(options: ListenArguments, port: number): Promise<Listener> {
    const { sockets, lookup } = this.#context;
    const { path, host, backlog, ipv6Only, reusePort, protocol } = options;
    const listen = (local: Endpoint) =>
      sockets.listen({
        local,
        ...(backlog !== undefined && { backlog }),
        ...(ipv6Only !== undefined && { ipv6Only }),
        ...(reusePort !== undefined && { reusePort }),
        ...(protocol !== undefined && { protocol }),
      });
    if (path !== undefined) return listen({ family: "unix", path });
    if (!host)
      try {
        return await listen(ipEndpoint("::", port));
      } catch (error) {
        // A kernel without IPv6.
        if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes((error as { code: string }).code))
          throw error;
        return listen(ipEndpoint("0.0.0.0", port));
      }
    if (isIP(host)) return listen(ipEndpoint(host, port, "host"));
    const address = await new Promise<string>((resolve, reject) =>
      lookup(host, { family: 0 }, (error, found) =>
        error ? reject(error) : resolve(found as string),
      ),
    );
    return listen(ipEndpoint(address, port, "host"));
  }

  async #accept(listener: Listener): Promise<void> {
    for (;;) {
      const connection = await this.#next(listener);
      if (connection === null) return;
      // What a listener throws is its own affair, and others are still accepted.
      if (connection) process.nextTick(() => this.#take(connection));
    }
  }

  /** @returns null when there will be no more, undefined when it may be tried again */
  async #next(listener: Listener): Promise<Connection | null | undefined> {
    try {
      return await listener.accept();
    } catch (error) {
      if (error instanceof SocketClosedError || this.#closing) return null;
      if (error instanceof DisposedError) {
        // Whoever disposes of the sockets has no more use for servers: they close.
        this.close();
        return null;
      }
      if (!(error instanceof SocketError)) {
        process.nextTick(() => this.emit("error", error));
        return null;
      }
      // Out of descriptors or memory: those that connect wait until there are some again.
      await sleep(RETRY_MS, undefined, { ref: false });
      return undefined;
    }
  }

  #take(connection: Connection): void {
    if (this.maxConnections !== undefined && this.#connections >= this.maxConnections) {
      this.#drop(connection);
      return;
    }
    const { allowHalfOpen, highWaterMark, noDelay, keepAlive, keepAliveInitialDelay } =
      this.#options;
    const socket = new this.#Socket({
      ...(allowHalfOpen !== undefined && { allowHalfOpen }),
      ...(highWaterMark !== undefined && { highWaterMark }),
      ...(noDelay !== undefined && { noDelay }),
      ...(keepAlive !== undefined && { keepAlive }),
      ...(keepAliveInitialDelay !== undefined && { keepAliveInitialDelay }),
    });
    socket.adopt(connection, this, { socketClosed: () => this.#socketClosed() });
    this.#connections++;
    if (this.#options.pauseOnConnect) socket.pause();
    else socket.read(0);
    this.emit("connection", socket);
  }

  #drop(connection: Connection): void {
    const local = addressInfo(connection.local);
    const remote = addressInfo(connection.remote);
    void connection.close();
    this.emit("drop", {
      localAddress: local?.address,
      localPort: local?.port,
      localFamily: local?.family,
      remoteAddress: remote?.address,
      remotePort: remote?.port,
      remoteFamily: remote?.family,
    });
  }

  #socketClosed(): void {
    this.#connections--;
    this.#emitCloseIfDrained();
  }

  // --- The end -------------------------------------------------------------------------------

  close(callback?: (error?: Error) => void): this {
    if (typeof callback === "function") {
      if (this.#starting) this.once("close", callback);
      else this.once("close", () => callback(notRunningError()));
    }
    if (this.#starting) {
      this.#closing = true;
      const starting = this.#starting;
      this.#starting = null;
      void starting.then(() => this.#release());
    } else this.#emitCloseIfDrained();
    return this;
  }

  async #release(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    await listener?.close();
    this.#released = true;
    this.#letGo();
    this.#emitCloseIfDrained();
  }

  #emitCloseIfDrained(): void {
    if (!this.#released || this.#starting || this.#connections) return;
    process.nextTick(() => this.emit("close"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#starting) return;
    await new Promise<void>((resolve) => this.close(() => resolve()));
  }

  // --- What it is ----------------------------------------------------------------------------

  /** The kernel's own object while it listens. */
  get listener(): Listener | null {
    return this.#listener;
  }

  get listening(): boolean {
    return this.#listener !== null;
  }

  /** Where it listens, from "listening" on; null before. */
  address(): AddressInfo | string | null {
    const local = this.#listener?.local;
    if (local?.family === "unix") return local.path;
    return addressInfo(local) ?? null;
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this.#connections);
    return this;
  }

  ref(): this {
    this.#unreferenced = false;
    if (this.#starting) this.#hold();
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
