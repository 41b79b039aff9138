// net.Socket on a connection of the kernel.
//
// Invariants: `connecting` is true from connect() until the connection stands or the socket is
// destroyed. There is one read of the connection at most, and it was asked for by the stream, so
// that what nobody reads stays in the kernel. "close" comes when the kernel has let go.

import type { OutgoingMessage } from "node:http";
import { isIP } from "node:net";
import { Duplex } from "node:stream";

import { SocketClosedError } from "../../../net/facade/index.ts";
import type { Connection, Endpoint, OptionName, OptionValue } from "../../../net/facade/index.ts";
import { checkConnect, connectArguments } from "./arguments.ts";
import type { ConnectArguments } from "./arguments.ts";
import { Attempt, localOf } from "./attempt.ts";
import type { Context } from "./context.ts";
import {
  argumentTypeError,
  badAddressError,
  closedBeforeConnectionError,
  closedError,
  endedError,
  handleTypeError,
  outOfRangeError,
} from "./errors.ts";

/** What makes a destroyed stream whole again: node:stream has it, and node:net needs it. */
const undestroy = Reflect.get(Duplex.prototype, "_undestroy") as () => void;

type Done = (error?: Error | null) => void;
type Chunk = Uint8Array;

/** The longest that a timer runs. */
const MAX_TIMER_MS = 0x7fffffff;
/** What libuv sets beside the time until the first probe. */
const KEEPALIVE_INTERVAL_S = 1;
const KEEPALIVE_COUNT = 10;

/** Of `new Socket()`: node:net's. */
export interface SocketOptions {
  readonly allowHalfOpen?: boolean;
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly signal?: AbortSignal;
  readonly highWaterMark?: number;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  /** Read into memory that is reused, rather than emit "data". */
  readonly onread?: OnRead;
}

export interface OnRead {
  readonly buffer: Uint8Array | (() => Uint8Array);
  /** @returns false to pause */
  callback(bytes: number, buffer: Uint8Array): boolean | void;
}

/** An address as node:net gives it. */
export interface AddressInfo {
  readonly address: string;
  readonly family: "IPv4" | "IPv6";
  readonly port: number;
}

/** A server that counts its sockets. */
export interface Owner {
  socketClosed(): void;
}

export function addressInfo(endpoint: Endpoint | undefined): AddressInfo | undefined {
  if (endpoint?.family !== "IPv4" && endpoint?.family !== "IPv6") return undefined;
  const { address, family, port, scope } = endpoint;
  return { address: scope ? `${address}%${scope}` : address, family, port };
}

function refuseWrite(this: Socket, _chunk: unknown, encoding?: unknown, callback?: unknown) {
  const done = typeof encoding === "function" ? encoding : callback;
  const error = endedError();
  if (typeof done === "function") process.nextTick(done, error);
  this.destroy(error);
  return false;
}

export class Socket extends Duplex {
  readonly #context: Context;
  readonly #onread: OnRead | null;
  #connection: Connection | null = null;
  #attempt: AbortController | null = null;
  #owner: Owner | null = null;
  #reading = false;
  #held = false;
  #unreferenced = false;
  #timer: NodeJS.Timeout | null = null;
  #timerMs = 0;
  #dispatched = 0;
  readonly #settings = new Map<OptionName, OptionValue>();
  connecting = false;
  bytesRead = 0;
  /** In ms, once setTimeout() set one. */
  timeout: number | undefined = undefined;
  /** The server that accepted it. */
  server: unknown = null;
  /** Addresses that were tried, as "address:port". */
  autoSelectFamilyAttemptedAddresses: string[] | undefined = undefined;

  constructor(context: Context, options: SocketOptions = {}) {
    const { allowHalfOpen = false, readable, writable, signal, highWaterMark } = options;
    super({
      allowHalfOpen,
      emitClose: false,
      autoDestroy: true,
      ...(readable !== undefined && { readable }),
      ...(writable !== undefined && { writable }),
      ...(signal && { signal }),
      ...(highWaterMark !== undefined && { highWaterMark }),
    });
    this.#context = context;
    this.#onread = options.onread ?? null;
    this.on("end", () => this.#ended());
    if (options.noDelay) this.setNoDelay(true);
    if (options.keepAlive) this.setKeepAlive(true, options.keepAliveInitialDelay);
  }

  // --- Connecting ----------------------------------------------------------------------------

  connect(...args: readonly unknown[]): this {
    const [options, callback] = connectArguments(args);
    checkConnect(options);
    if (options.path === undefined) {
      localOf(options);
      if (options.localAddress !== undefined && !isIP(options.localAddress))
        throw badAddressError(options.localAddress);
    }
    this.#renew();
    if (callback) this.once("connect", callback);
    if (options.noDelay) this.setNoDelay(true);
    if (options.keepAlive) this.setKeepAlive(true, options.keepAliveInitialDelay);
    if (options.timeout) this.setTimeout(options.timeout);
    this.#touch();
    this.connecting = true;
    this.#hold();
    const attempt = new AbortController();
    this.#attempt = attempt;
    process.nextTick(() => void this.#connect(options, attempt));
    return this;
  }

  /** A socket that was destroyed may connect once more. */
  #renew(): void {
    delete (this as { write?: unknown }).write;
    if (this.destroyed) {
      this.#connection = null;
      this.bytesRead = this.#dispatched = 0;
    }
    Reflect.apply(undestroy, this, []);
  }

  async #connect(options: ConnectArguments, attempt: AbortController): Promise<void> {
    const { signal } = attempt;
    if (signal.aborted) return;
    const listener = {
      emit: (event: string, ...values: readonly unknown[]) => {
        if (event === "connectionAttempt")
          (this.autoSelectFamilyAttemptedAddresses ??= []).push(values.slice(0, 2).join(":"));
        return !signal.aborted && this.emit(event, ...values);
      },
    };
    let connection: Connection;
    try {
      connection = await new Attempt(this.#context, options, listener, signal).run();
    } catch (error) {
      if (!signal.aborted) this.destroy(error as Error);
      return;
    }
    // What a listener throws is not an error of the socket's.
    if (signal.aborted) await connection.close();
    else this.#connected(connection);
  }

  #connected(connection: Connection): void {
    this.#attempt = null;
    this.#connection = connection;
    this.connecting = false;
    for (const [name, value] of this.#settings) this.#apply(name, value);
    this.emit("connect");
    this.emit("ready");
    if (this.readable && !this.isPaused()) this.read(0);
  }

  /** Take a connection that a server accepted. @internal */
  adopt(connection: Connection, server: unknown, owner: Owner): void {
    this.#connection = connection;
    this.#owner = owner;
    this.server = server;
    this.#hold();
    for (const [name, value] of this.#settings) this.#apply(name, value);
  }

  // --- The stream ----------------------------------------------------------------------------

  override _read(): void {
    if (this.connecting || !this.#connection) this.once("connect", () => this.#pull());
    else this.#pull();
  }

  #pull(): void {
    if (this.#reading || !this.#connection) return;
    this.#reading = true;
    const { buffer } = this.#onread ?? {};
    if (buffer)
      void this.#readInto(this.#connection, typeof buffer === "function" ? buffer() : buffer);
    else this.#connection.read().then(this.#received, this.#failed);
  }

  async #readInto(connection: Connection, buffer: Uint8Array): Promise<void> {
    try {
      const count = await connection.readInto(buffer);
      if (!count) {
        this.#received(null);
        return;
      }
      this.#reading = false;
      if (this.destroyed) return;
      this.#touch();
      this.bytesRead += count;
      if (this.#onread!.callback(count, buffer) === false) this.pause();
      if (!this.isPaused()) this.#pull();
    } catch (error) {
      this.#failed(error);
    }
  }

  override resume(): this {
    super.resume();
    if (this.#onread && !this.connecting) this.#pull();
    return this;
  }

  readonly #received = (bytes: Uint8Array | null): void => {
    this.#reading = false;
    if (this.destroyed) return;
    this.#touch();
    if (bytes) {
      this.bytesRead += bytes.length;
      this.#give(bytes);
    } else {
      this.push(null);
      this.read(0);
    }
  };

  #give(bytes: Uint8Array): void {
    let given = false;
    try {
      this.push(bytes);
      given = true;
    } finally {
      // A listener that throws has kept the stream from asking for more.
      if (!given) process.nextTick(() => this.read(0));
    }
  }

  readonly #failed = (error: unknown): void => {
    this.#reading = false;
    if (!(error instanceof SocketClosedError)) this.destroy(error as Error);
  };

  #ended(): void {
    if (!this.allowHalfOpen) this.write = refuseWrite as never;
  }

  override _write(chunk: Chunk, _encoding: string, done: Done): void {
    this.#send([chunk], chunk.length, done);
  }

  override _writev(chunks: readonly { readonly chunk: Chunk }[], done: Done): void {
    let length = 0;
    const parts = chunks.map(({ chunk }) => {
      length += chunk.length;
      return chunk;
    });
    this.#send(parts, length, done);
  }

  #send(chunks: readonly Chunk[], length: number, done: Done): void {
    if (this.connecting) {
      this.#postpone(() => this.#send(chunks, length, done), done);
      return;
    }
    const connection = this.#connection;
    if (!connection) {
      done(closedError());
      return;
    }
    this.#touch();
    this.#dispatched += length;
    void this.#write(connection, chunks, done);
  }

  async #write(connection: Connection, chunks: readonly Chunk[], done: Done): Promise<void> {
    try {
      await connection.write(chunks);
    } catch (error) {
      done(error as Error);
      return;
    }
    this.#touch();
    done();
    this.#tellHttp();
  }

  /**
   * A message of node:http counts what is under way itself, and may wait for a "drain" that the
   * stream does not owe: where writing ends at once, as on node:net mostly, it never has to.
   */
  #tellHttp(): void {
    const message = Reflect.get(this, "_httpMessage") as OutgoingMessage | null | undefined;
    if (message?.writableNeedDrain && !this.writableLength && !this.destroyed) this.emit("drain");
  }

  /** Do something once connected, or tell that it never will be. */
  #postpone(action: () => void, done: Done): void {
    const connected = () => {
      this.off("close", closed);
      action();
    };
    const closed = () => {
      this.off("connect", connected);
      done(closedBeforeConnectionError());
    };
    this.once("connect", connected).once("close", closed);
  }

  override _final(done: Done): void {
    if (this.connecting) {
      this.once("connect", () => this.#finish(done));
      return;
    }
    this.#finish(done);
  }

  #finish(done: Done): void {
    if (!this.#connection) return done();
    this.#connection.end().then(
      () => done(),
      (error: unknown) => {
        const { code } = error as { code?: string };
        done(code === "ENOTCONN" || this.destroyed ? null : (error as Error));
      },
    );
  }

  override _destroy(error: Error | null, done: Done): void {
    this.connecting = false;
    this.#stopTimer();
    this.#attempt?.abort();
    this.#attempt = null;
    done(error);
    const closing = this.#connection?.close();
    // As Node's, "close" comes in a later turn of the loop: "error" has been told by then.
    setImmediate(() => void this.#release(closing, error !== null));
  }

  async #release(closing: Promise<void> | undefined, failed: boolean): Promise<void> {
    if (closing) await closing;
    this.#letGo();
    this.emit("close", failed);
    this.#owner?.socketClosed();
  }

  /** End, and destroy when all is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  /** Close with a reset (RST). */
  resetAndDestroy(): this {
    const connection = this.#connection;
    if (this.connecting) this.once("connect", () => this.resetAndDestroy());
    else if (!connection) this.destroy(closedError());
    else if (connection.remote?.family === "unix") throw handleTypeError();
    else {
      // Closes once more, which is no matter.
      void connection.reset();
      this.destroy();
    }
    return this;
  }

  // --- Time ----------------------------------------------------------------------------------

  /** Emit "timeout" when nothing was read or written for so long; 0 for never. */
  setTimeout(timeoutMs: number, callback?: () => void): this {
    if (typeof timeoutMs !== "number")
      throw argumentTypeError("msecs", "of type number", timeoutMs);
    if (!(timeoutMs >= 0 && Number.isFinite(timeoutMs)))
      throw outOfRangeError("msecs", "a non-negative finite number", timeoutMs);
    if (callback !== undefined && typeof callback !== "function")
      throw argumentTypeError("callback", "of type function", callback);
    if (this.destroyed) return this;
    this.timeout = timeoutMs;
    if (!timeoutMs) {
      if (callback) this.off("timeout", callback);
      return this;
    }
    if (callback) this.once("timeout", callback);
    this.#startTimer(timeoutMs);
    return this;
  }

  /** A timer that is no longer wanted stays: servers want the same one again after each request. */
  #startTimer(timeoutMs: number): void {
    if (this.#timer && timeoutMs === this.#timerMs) {
      this.#timer.refresh();
      return;
    }
    this.#stopTimer();
    this.#timerMs = timeoutMs;
    const ms = Math.min(timeoutMs, MAX_TIMER_MS);
    this.#timer = setTimeout(() => this.timeout && this.emit("timeout"), ms).unref();
  }

  #touch(): void {
    if (this.timeout) this.#timer?.refresh();
  }

  #stopTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  ref(): this {
    this.#unreferenced = false;
    if (this.#connection && !this.destroyed) this.#hold();
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

  // --- Options -------------------------------------------------------------------------------

  /** The kernel's own object, once connected: all options, and what node:net has not. */
  get connection(): Connection | null {
    return this.#connection;
  }

  /** As Node's, a refusal of the kernel is of no consequence. */
  #apply(name: OptionName, value: OptionValue): void {
    const connection = this.#connection;
    if (connection?.remote?.family === "unix") return;
    connection?.setOption(name, value).catch(() => {});
  }

  #set(name: OptionName, value: OptionValue): void {
    // Agents ask again and again for what is so already.
    if (this.#settings.get(name) === value) return;
    this.#settings.set(name, value);
    if (!this.connecting) this.#apply(name, value);
  }

  setNoDelay(enable = true): this {
    this.#set("TCP_NODELAY", enable);
    return this;
  }

  setKeepAlive(enable = false, initialDelayMs = 0): this {
    this.#set("SO_KEEPALIVE", enable);
    const seconds = Math.floor(initialDelayMs / 1000);
    if (!enable || seconds <= 0) return this;
    this.#set("TCP_KEEPIDLE", seconds);
    this.#set("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S);
    this.#set("TCP_KEEPCNT", KEEPALIVE_COUNT);
    return this;
  }

  // --- What it is ----------------------------------------------------------------------------

  get pending(): boolean {
    return !this.#connection || this.connecting;
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.readable) return this.writable ? "open" : "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  get bytesWritten(): number {
    return this.#dispatched + this.writableLength;
  }

  get bufferSize(): number {
    return this.writableLength;
  }

  address(): AddressInfo | Record<string, never> {
    return addressInfo(this.#connection?.local) ?? {};
  }

  get localAddress(): string | undefined {
    return addressInfo(this.#connection?.local)?.address;
  }

  get localPort(): number | undefined {
    return addressInfo(this.#connection?.local)?.port;
  }

  get localFamily(): string | undefined {
    return addressInfo(this.#connection?.local)?.family;
  }

  get remoteAddress(): string | undefined {
    return addressInfo(this.#connection?.remote)?.address;
  }

  get remotePort(): number | undefined {
    return addressInfo(this.#connection?.remote)?.port;
  }

  get remoteFamily(): string | undefined {
    return addressInfo(this.#connection?.remote)?.family;
  }
}
