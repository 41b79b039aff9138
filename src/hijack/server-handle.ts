// A listener of the kernel as the handle of a net.Server.
//
// Invariants: the handle is the server's from listen() on, so that it is not made to listen twice and can
// be closed; node:net hears that it listens when the kernel says so. Connections are accepted until it
// is closed.

import { isIP } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import { SocketClosedError, SocketError, ipEndpoint } from "../net/facade/index.ts";
import type { Connection, Listener } from "../net/facade/index.ts";
import { uvNumber } from "./native-stream.ts";
import type { NativeAddress, NativeHandle, NativeStream } from "./native-stream.ts";
import type { Stack } from "./stack.ts";
import { StreamHandle } from "./stream-handle.ts";

/** How long after it could not, a server tries again to accept. */
const RETRY_MS = 50;

/** Libuv's flags of bind(). */
const IPV6_ONLY = 1;
const REUSE_PORT = 2;

/** Where and how to listen, as node:net has it. */
export interface ListenPlace {
  /** An IP address; null for all. */
  readonly address: string | null;
  readonly port: number;
  readonly backlog: number | undefined;
  readonly flags: number | undefined;
}

/** What becomes of it. */
export interface ServerListener {
  /** It listens: node:net sets `onconnection`. */
  listening(): void;
  failed(error: unknown): void;
}

export class ServerHandle implements NativeHandle {
  readonly #stack: Stack;
  readonly #place: ListenPlace;
  readonly #told: ServerListener;
  #listener: Listener | null = null;
  #closed = false;
  #held = false;
  #referenced = true;
  /** Set by node:net. */
  onconnection: ((this: ServerHandle, status: number, handle: NativeStream) => void) | null = null;

  constructor(stack: Stack, place: ListenPlace, told: ServerListener) {
    this.#stack = stack;
    this.#place = place;
    this.#told = told;
    stack.handles.add(this);
    stack.activity.count++;
    this.#hold();
    void this.#start();
  }

  /** It does already. */
  listen(): number {
    return 0;
  }

  async #start(): Promise<void> {
    let listener: Listener;
    try {
      listener = await this.#open();
    } catch (error) {
      this.fail(error);
      return;
    }
    if (this.#closed) {
      await listener.close();
      return;
    }
    this.#listener = listener;
    this.#told.listening();
    await this.#accept(listener);
  }

  async #open(): Promise<Listener> {
    const { address, port, backlog, flags = 0 } = this.#place;
    const listen = (local: string) =>
      this.#stack.context.sockets.listen({
        local: ipEndpoint(local, port, "host"),
        ...(backlog && { backlog }),
        ipv6Only: (flags & IPV6_ONLY) !== 0,
        reusePort: (flags & REUSE_PORT) !== 0,
      });
    if (address) return listen(address);
    try {
      return await listen("::");
    } catch (error) {
      // A kernel without IPv6.
      if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes((error as { code: string }).code))
        throw error;
      return listen("0.0.0.0");
    }
  }

  async #accept(listener: Listener): Promise<void> {
    for (;;) {
      const connection = await this.#next(listener);
      if (connection === null) return;
      // In a tick of its own: what a listener throws is not an error of the server's.
      if (connection) process.nextTick(() => this.#take(connection));
    }
  }

  #take(connection: Connection): void {
    if (this.#closed) void connection.close();
    else this.onconnection?.(0, new StreamHandle(this.#stack).adopt(connection).native);
  }

  /** @returns null when there will be no more, undefined when it may be tried again */
  async #next(listener: Listener): Promise<Connection | null | undefined> {
    try {
      return await listener.accept();
    } catch (error) {
      if (error instanceof SocketClosedError || this.#closed) return null;
      if (!(error instanceof SocketError)) {
        this.fail(error);
        return null;
      }
      // Out of descriptors or memory: those that connect wait until there are some again.
      await sleep(RETRY_MS, undefined, { ref: false });
      return undefined;
    }
  }

  /** The listener is no more: its server tells why. */
  fail(error: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#told.failed(error);
  }

  end(): void {
    this.#closed = true;
    this.#letGo();
  }

  close(done?: () => void): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#stack.handles.delete(this);
      void this.#listener?.close();
      this.#letGo();
    }
    if (done) setImmediate(done);
  }

  getsockname(out: NativeAddress): number {
    const { address, port } = this.#place;
    const local = this.#listener?.local;
    if (local?.family === "IPv4" || local?.family === "IPv6") {
      const { scope } = local;
      out.address = scope ? `${local.address}%${scope}` : local.address;
      out.family = local.family;
      out.port = local.port;
      return 0;
    }
    // Not known yet: as far as it was asked for.
    if (this.#closed) return uvNumber("EBADF");
    out.address = address ?? "::";
    out.family = isIP(out.address) === 6 ? "IPv6" : "IPv4";
    out.port = port;
    return 0;
  }

  ref(): void {
    this.#referenced = true;
    if (!this.#closed) this.#hold();
  }

  unref(): void {
    this.#referenced = false;
    this.#letGo();
  }

  hasRef(): boolean {
    return this.#referenced;
  }

  #hold(): void {
    if (this.#held || !this.#referenced) return;
    this.#held = true;
    this.#stack.context.holds.hold();
  }

  #letGo(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#stack.context.holds.release();
  }
}
