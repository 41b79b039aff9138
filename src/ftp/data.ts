// Data connections: how one is come by (passive or active), and bytes over it.
//
// Invariants: a path gives one connection at most, with the client's own address, and holds
// nothing once it is closed. A connection that was aborted tells why from then on.

import { randomInt } from "node:crypto";
import { isIPv4 } from "node:net";
import { TLSSocket } from "node:tls";
import type { SecureContext } from "node:tls";

import { LINGER_MS } from "./control.ts";
import type { FtpListener, FtpNet, FtpSocket } from "./net.ts";
import { FtpError } from "./reply.ts";

/** Ports below may be other services of the client's machine (RFC 2577, section 3). */
export const MIN_ACTIVE_PORT = 1024;

/** A way to the client's data port, used once. */
export interface DataPath {
  /** The connection. @throws {FtpError} 425 */
  connect(): Promise<FtpSocket>;
  /** Give up. Closing twice is allowed. */
  close(): void;
}

/** An IPv4 address that a socket for both protocols shows as IPv6 is itself again. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped?.[1] ?? address;
}

/** Told of every socket, so that none outlives the server. */
export type Track = (socket: FtpSocket) => void;

interface PathOptions {
  readonly net: FtpNet;
  /** The address of this side. */
  readonly local: string;
  /** The only address to talk to. */
  readonly peer: string;
  readonly timeoutMs: number;
  readonly track: Track;
}

/** Waits for the client at a port of its own. */
export class PassivePath implements DataPath {
  readonly #server: FtpListener;
  readonly #connected = Promise.withResolvers<FtpSocket>();
  readonly #timer: NodeJS.Timeout;
  #socket: FtpSocket | null = null;
  #claimed = false;
  readonly port: number;

  private constructor(server: FtpListener, port: number, options: PathOptions) {
    this.#server = server;
    this.port = port;
    this.#connected.promise.catch(() => {});
    this.#timer = setTimeout(() => this.close(), options.timeoutMs);
    server.on("error", () => this.close());
    server.on("connection", (socket: FtpSocket) => {
      socket.on("error", () => socket.destroy());
      const fits = plainAddress(socket.remoteAddress ?? "") === options.peer;
      if (!fits || this.#socket) {
        socket.destroy();
        return;
      }
      options.track(socket);
      this.#socket = socket;
      server.close();
      this.#connected.resolve(socket);
    });
  }

  /**
   * Listen on one of these ports, null for any.
   *
   * @throws {FtpError} 425 if none is free
   */
  static async open(
    options: PathOptions,
    ports: readonly [first: number, last: number] | null,
  ): Promise<PassivePath> {
    const [first, last] = ports ?? [0, 0];
    const count = last - first + 1;
    // Not always the same one, so that a port is hard to guess, and rests after it was used.
    const start = randomInt(count);
    for (let i = 0; i < count; i++) {
      const server = options.net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
      const port = await listen(server, options.local, first + ((start + i) % count));
      if (port !== null) return new PassivePath(server, port, options);
    }
    throw new FtpError(425, "No port is free for a data connection.");
  }

  async connect(): Promise<FtpSocket> {
    const socket = await this.#connected.promise;
    if (socket.destroyed) throw new FtpError(425, "The data connection is gone.");
    this.#claimed = true;
    clearTimeout(this.#timer);
    return socket;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#server.close();
    if (!this.#claimed) this.#socket?.destroy();
    this.#connected.reject(new FtpError(425, "No data connection came."));
  }
}

/** The port, or null if it cannot be had. */
function listen(server: FtpListener, host: string, port: number): Promise<number | null> {
  return new Promise((resolve) => {
    server.once("error", () => resolve(null));
    server.listen({ host, port, backlog: 1 }, () => {
      server.removeAllListeners("error");
      const address = server.address();
      resolve(typeof address === "object" ? (address?.port ?? null) : null);
    });
  });
}

/** Calls the client. */
export class ActivePath implements DataPath {
  readonly #port: number;
  readonly #options: PathOptions;
  #socket: FtpSocket | null = null;
  #closed = false;

  constructor(port: number, options: PathOptions) {
    this.#port = port;
    this.#options = options;
  }

  connect(): Promise<FtpSocket> {
    const { net, peer, local, timeoutMs, track } = this.#options;
    return new Promise((resolve, reject) => {
      const fail = () => reject(new FtpError(425, "The data connection was refused."));
      if (this.#closed) return fail();
      const socket = net.connect({
        host: peer,
        port: this.#port,
        localAddress: isIPv4(peer) ? plainAddress(local) : local,
        allowHalfOpen: true,
      });
      track(socket);
      this.#socket = socket;
      const timer = setTimeout(() => socket.destroy(), timeoutMs);
      socket.on("error", () => socket.destroy());
      socket.once("close", fail);
      socket.once("connect", () => {
        clearTimeout(timer);
        socket.removeListener("close", fail);
        this.#socket = null;
        resolve(socket);
      });
      socket.once("close", () => clearTimeout(timer));
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
  }
}

/** Bytes to or from the client, one way. */
export class DataConnection {
  readonly #plain: FtpSocket;
  /** The same, or TLS over it. */
  readonly #socket: FtpSocket;
  #failure: Error | null = null;
  readonly #closed: Promise<void>;
  readonly #secured: Promise<unknown> | null;
  /** How many bytes of content went over it. */
  bytes = 0;

  /**
   * @param socket owned from now on
   * @param context for TLS; null without
   * @param timeoutMs how long nothing may happen
   */
  constructor(socket: FtpSocket, context: SecureContext | null, timeoutMs: number) {
    const secure = context && new TLSSocket(socket, { isServer: true, secureContext: context });
    const own = secure ?? socket;
    this.#plain = socket;
    this.#socket = own;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    own.once("close", resolve);
    this.#secured = secure && new Promise<void>((done) => void secure.once("secure", done));
    if (own.destroyed) resolve();
    own.on("error", () => this.abort(new FtpError(426, "The data connection broke.")));
    own.setTimeout(timeoutMs, () => this.abort(new FtpError(426, "The data connection stalled.")));
    own.setNoDelay(true);
  }

  /**
   * Wait until TLS has begun, if there is any. Clients begin it after they are told of the transfer,
   * and content that ends before it has begun would be lost.
   */
  async ready(): Promise<void> {
    if (this.#secured) await Promise.race([this.#secured, this.#closed]);
    this.#check();
  }

  /** Break it: the other side sees that, and does not take what it has for complete. */
  abort(reason: Error): void {
    this.#failure ??= reason;
    this.#plain.resetAndDestroy();
    this.#socket.destroy();
  }

  /** Send; settles when there is room for more. The bytes are not copied: they must stay as they are. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#check();
    this.bytes += bytes.length;
    if (this.#socket.write(bytes)) return;
    const drained = new Promise<void>((resolve) => void this.#socket.once("drain", resolve));
    await Promise.race([drained, this.#closed]);
    this.#check();
  }

  /** The content was sent whole. */
  async finish(): Promise<void> {
    this.#check();
    const sent = new Promise<void>((resolve) => void this.#socket.once("finish", resolve));
    this.#socket.end();
    await Promise.race([sent, this.#closed]);
    if (!this.#socket.writableFinished) this.#check();
    this.#linger();
  }

  /** What arrives, piece by piece, until the other side ends it. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    try {
      const pieces: AsyncIterable<Buffer> = this.#socket.iterator({ destroyOnReturn: false });
      for await (const bytes of pieces) {
        this.bytes += bytes.length;
        yield bytes;
      }
    } catch {
      this.#failure ??= new FtpError(426, "The data connection broke.");
    }
    if (this.#failure) throw this.#failure;
    if (!this.#socket.readableEnded) throw new FtpError(426, "The data connection broke.");
  }

  /** Whether more has arrived already. */
  get hasMore(): boolean {
    return this.#socket.readableLength > 0;
  }

  /** All was received. */
  async done(): Promise<void> {
    if (!this.#socket.destroyed) this.#socket.end();
    this.#linger();
  }

  #check(): void {
    if (this.#failure) throw this.#failure;
    if (this.#socket.destroyed) throw new FtpError(426, "The data connection broke.");
  }

  /** Closing at once could take away from the other side what it has not read yet. */
  #linger(): void {
    const socket = this.#socket;
    socket.setTimeout(0);
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("end", () => socket.destroySoon());
    void this.#closed.then(() => clearTimeout(timer));
  }
}
