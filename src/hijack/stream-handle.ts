// A connection of the kernel as the handle of a net.Socket.
//
// Invariants: the kernel is read from only while whoever is above reads, by one read at a time; what came
// by a read that was too late is kept for the next one. A handle that is open and referenced holds the
// program. After close() nothing is told above but that it is closed.

import type { Socket } from "node:net";
import process from "node:process";

import { SocketClosedError, ipEndpoint } from "../net/facade/index.ts";
import type {
  Connection,
  Endpoint,
  IpEndpoint,
  OptionName,
  OptionValue,
} from "../net/facade/index.ts";
import { Attempt } from "../platform/node/sockets/attempt.ts";
import type { Candidates } from "./candidates.ts";
import { uvNumber } from "./native-stream.ts";
import type { NativeAddress, NativeRequest, NativeStream } from "./native-stream.ts";
import type { Stack } from "./stack.ts";

/** What libuv sets besides the time until the first probe. */
const KEEPALIVE_INTERVAL_S = 1;
const KEEPALIVE_COUNT = 10;

/** What a read gave. */
type Read = Uint8Array | null;

function putAddress(out: NativeAddress, endpoint: Endpoint | null | undefined): number {
  if (endpoint?.family !== "IPv4" && endpoint?.family !== "IPv6") return uvNumber("ENOTCONN");
  const { address, family, port, scope } = endpoint;
  out.address = scope ? `${address}%${scope}` : address;
  out.family = family;
  out.port = port;
  return 0;
}

function codeOf(error: unknown): string {
  if (error instanceof SocketClosedError) return "ECANCELED";
  return error instanceof Error && "code" in error ? String(error.code) : "EIO";
}

/** What a listener throws is uncaught, and none of our business. */
function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

export class StreamHandle {
  readonly native: NativeStream;
  readonly #stack: Stack;
  readonly #candidates: Candidates | null;
  #connection: Connection | null = null;
  #attempt: AbortController | null = null;
  /** Where it is to connect from. */
  #local: IpEndpoint | null = null;
  #wanted = false;
  #pulling = false;
  #kept: Read | undefined = undefined;
  #ended = false;
  /** Settles when the end of what was written last is told above. */
  #untold: Promise<void> | null = null;
  #closed = false;
  #held = false;
  #referenced = true;
  #typeOfService = 0;

  /** @param candidates the addresses that a name has, of a socket that is to connect */
  constructor(stack: Stack, candidates: Candidates | null = null) {
    this.#stack = stack;
    this.#candidates = candidates;
    this.native = this.#wire(new stack.node.Stream());
    stack.handles.add(this);
    stack.activity.count++;
  }

  #wire(native: NativeStream): NativeStream {
    const start = (request: NativeRequest, address: string, port: number) => {
      void this.#connect(request, address, port);
      return 0;
    };
    const bind = (address: string, port = 0) => {
      this.#local = ipEndpoint(address, port, "localAddress");
      return 0;
    };
    return Object.assign(native, {
      connect: start,
      connect6: start,
      bind,
      bind6: bind,
      isClosing: () => this.#closed,
      onreadstart: () => {
        this.#wanted = true;
        void this.#pull();
        return 0;
      },
      onreadstop: () => {
        this.#wanted = false;
        return 0;
      },
      onwrite: (request: NativeRequest, chunks: readonly Uint8Array[]) => {
        void this.#write(request, chunks);
        return 0;
      },
      onshutdown: (request: NativeRequest) => {
        void this.#shutdown(request);
        return 0;
      },
      getsockname: (out: NativeAddress) => putAddress(out, this.#connection?.local ?? this.#local),
      getpeername: (out: NativeAddress) => putAddress(out, this.#connection?.remote),
      close: (done?: () => void) => void this.#close(false, done),
      reset: (done?: () => void) => {
        void this.#close(true, done);
        return 0;
      },
      ref: () => this.#reference(true),
      unref: () => this.#reference(false),
      hasRef: () => this.#referenced,
      setNoDelay: (enable: boolean) => this.#set("TCP_NODELAY", enable),
      setKeepAlive: this.#setKeepAlive,
      setTypeOfService: (value: number) => {
        this.#typeOfService = value;
        const six = this.#connection?.remote?.family === "IPv6";
        return this.#set(six ? "IPV6_TCLASS" : "IP_TOS", value);
      },
      getTypeOfService: () => this.#typeOfService,
    });
  }

  /** The net.Socket above, once there is one. */
  get #owner(): Socket | undefined {
    return this.#stack.node.ownerOf(this.native);
  }

  // --- The beginning -------------------------------------------------------------------------

  /** Stand on a connection that was accepted. */
  adopt(connection: Connection): this {
    this.#connection = connection;
    this.#hold();
    return this;
  }

  async #connect(request: NativeRequest, address: string, port: number): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#hold();
    const { signal } = attempt;
    const candidates = this.#candidates;
    const listener = {
      // Of the first try node:net itself has told.
      emit: (event: string, ...values: readonly unknown[]) =>
        /Failed|Timeout/.test(event) && !this.#closed
          ? (this.#owner?.emit(event, ...values) ?? false)
          : false,
    };
    const options = {
      port,
      ...(candidates ? candidates.options(address) : { host: address }),
      ...(this.#local && {
        localAddress: this.#local.address,
        localPort: this.#local.port,
      }),
    };
    let connection: Connection;
    try {
      connection = await new Attempt(this.#stack.context, options, listener, signal).run();
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#attempt = null;
    if (this.#closed) {
      await connection.close();
      return;
    }
    this.#connection = connection;
    // In a tick of its own: what a listener throws is not an error of the connection's.
    process.nextTick(() => {
      if (!this.#closed) request.oncomplete(0, this.native, request, true, true);
    });
  }

  // --- The stream ----------------------------------------------------------------------------

  async #pull(): Promise<void> {
    const connection = this.#connection;
    if (!connection || this.#pulling || this.#ended) return;
    this.#pulling = true;
    try {
      while (this.#wanted && !this.#ended) {
        const kept = this.#kept;
        this.#kept = undefined;
        const read = kept === undefined ? await connection.read() : kept;
        // What was written before is told of before.
        while (this.#untold) await this.#untold;
        if (this.#closed) return;
        if (this.#wanted) this.#give(read);
        else this.#kept = read;
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#pulling = false;
    }
  }

  #give(read: Read): void {
    if (!read) this.#ended = true;
    this.#tell(() => (read ? this.native.readBuffer(read) : this.native.emitEOF()));
  }

  async #write(request: NativeRequest, chunks: readonly Uint8Array[]): Promise<void> {
    const { depth } = this.native;
    let status = 0;
    try {
      if (!this.#connection) throw new SocketClosedError();
      await this.#connection.write(chunks);
    } catch (error) {
      status = uvNumber(codeOf(error));
    }
    this.#finish(depth, () => this.native.finishWrite(request, status));
  }

  async #shutdown(request: NativeRequest): Promise<void> {
    const { depth } = this.native;
    let status = 0;
    try {
      await this.#connection?.end();
    } catch (error) {
      // One that is over already need not be ended.
      if (codeOf(error) !== "ENOTCONN") status = uvNumber(codeOf(error));
    }
    this.#finish(depth, () => this.native.finishShutdown(request, status));
  }

  /**
   * Promises settle even within the call that asked for it, which does not bear to be told before it has
   * returned. Of JavaScript's it is known when it has; C++ is told in a turn of its own.
   *
   * @param depth of {@link NativeStream} when it was asked for
   */
  #finish(depth: number, tell: () => void): void {
    if (depth && !this.native.depth && !this.#untold) {
      this.#tell(tell);
      return;
    }
    const told = Promise.withResolvers<void>();
    this.#untold = told.promise;
    setImmediate(() => {
      if (this.#untold === told.promise) this.#untold = null;
      told.resolve();
      tell();
    });
  }

  #tell(action: () => void): void {
    try {
      action();
    } catch (error) {
      rethrow(error);
    }
  }

  // --- The end -------------------------------------------------------------------------------

  /** The connection failed: its socket tells why. */
  fail(error: unknown): void {
    if (this.#closed || error instanceof SocketClosedError) return;
    const owner = this.#owner;
    if (owner) owner.destroy(error as Error);
    else void this.#close(false);
  }

  end(): void {
    this.#closed = true;
    this.#letGo();
  }

  async #close(reset: boolean, done?: () => void): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#attempt?.abort();
      this.#kept = undefined;
      const connection = this.#connection;
      if (reset) await connection?.reset();
      else await connection?.close();
      this.#stack.handles.delete(this);
      this.#letGo();
    }
    // As Node's, "close" comes in a later turn of the loop.
    if (done) setImmediate(done);
  }

  // --- Whether it holds the program ----------------------------------------------------------

  #reference(value: boolean): void {
    this.#referenced = value;
    if (!value) this.#letGo();
    else if (!this.#closed && (this.#connection || this.#attempt)) this.#hold();
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

  // --- Options -------------------------------------------------------------------------------

  /** As of Node's, a refusal is of no consequence. */
  #set(name: OptionName, value: OptionValue): number {
    this.#connection?.setOption(name, value).catch(() => {});
    return 0;
  }

  readonly #setKeepAlive = (
    enable: boolean,
    delayS: number,
    intervalS = KEEPALIVE_INTERVAL_S,
    count = KEEPALIVE_COUNT,
  ): number => {
    this.#set("SO_KEEPALIVE", enable);
    if (!enable || !(delayS > 0)) return 0;
    this.#set("TCP_KEEPIDLE", delayS);
    this.#set("TCP_KEEPINTVL", intervalS || KEEPALIVE_INTERVAL_S);
    return this.#set("TCP_KEEPCNT", count || KEEPALIVE_COUNT);
  };
}
