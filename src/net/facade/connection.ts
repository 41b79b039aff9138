// A connected stream: TCP, MPTCP, unix, vsock's like.
//
// Invariants: one write is under way at a time, and what it could not send yet it sends before the
// next begins. Nothing is read that was not asked for: the kernel's window is the backpressure.

import { IPPROTO_TCP } from "../../abi/constants/in.ts";
import {
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_ERROR,
} from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { copyOf } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import type { Endpoint } from "./endpoint.ts";
import { SocketError, explain, failedWith } from "./errors.ts";
import { Gather } from "./gather.ts";
import type { Host } from "./host.ts";
import { DATA_BYTES } from "./lane.ts";
import { encodeOption, keyOf } from "./options.ts";
import type { OptionName, OptionValue } from "./options.ts";
import { KernelSocket, bindDescriptor, kindFor, prepare } from "./socket.ts";
import { Turns } from "./turns.ts";
import { readableOf, writableOf } from "./web-streams.ts";

/** What one read gives at most, unless more is asked for. */
export const READ_BYTES = 64 << 10;
/** No call waits, and a broken pipe is an error, not a signal. */
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;
/** An int, as the kernel has it. */
const INT_BYTES = 4;

export interface ConnectOptions {
  /** Where to. */
  readonly remote: Endpoint;
  /** The address to connect from. Default: as the routes say. */
  readonly local?: Endpoint | undefined;
  /** IPPROTO_TCP (the default), IPPROTO_MPTCP. */
  readonly protocol?: number;
  /** Options to be set before it connects, such as TCP_CONGESTION. */
  readonly options?: Readonly<Partial<Record<OptionName, OptionValue>>>;
  readonly signal?: AbortSignal | undefined;
}

/** A connection. Close it, or what it holds of the kernel stays until the process exits. */
export class Connection extends KernelSocket {
  /** The other end. */
  readonly remote: Endpoint | undefined;
  readonly #writing = new Turns();
  #readable: ReadableStream<Uint8Array> | null = null;
  #writable: WritableStream<Uint8Array> | null = null;

  /** @internal Use {@link Sockets.connect} or {@link Listener.accept}. */
  constructor(host: Host, fd: number, local: Endpoint | undefined, remote: Endpoint | undefined) {
    super(host, fd, local);
    this.remote = remote;
  }

  /** Let the reactor know of it. A job of the lane's. @internal */
  async attach(): Promise<void> {
    await this.host.reactor.add(this.source);
    if (!this.local) await this.learnLocal();
  }

  /** Settles when the connection stands. @internal */
  async established(context: { local?: Endpoint | undefined }): Promise<void> {
    await this.source.untilWritable();
    // What failed has an error to be read.
    if (!this.source.ended) return;
    const result = await this.getRawOption({ level: SOL_SOCKET, option: SO_ERROR }, INT_BYTES);
    const number = new DataView(result.buffer).getInt32(0, true);
    if (number)
      throw new SocketError(-number, { syscall: "connect", endpoint: this.remote, ...context });
  }

  // These two make no step that they could do without: they are most of what a connection does.

  /**
   * What has come, as soon as there is any: 1 to `maxBytes` bytes, at most 256 KiB of them, which
   * are the caller's; null when the other end has ended.
   *
   * @throws {SocketError} e.g. ECONNRESET @throws {SocketClosedError}
   */
  read(maxBytes: number = READ_BYTES): Promise<Bytes | null> {
    const { dataBytes } = this.host.lane;
    return this.#receive(maxBytes, (count) => (count ? copyOf(dataBytes, count) : null));
  }

  /**
   * As {@link read}, into memory of the caller's.
   *
   * @returns how many bytes; 0 when the other end has ended
   */
  readInto(target: Uint8Array): Promise<number> {
    const { lane } = this.host;
    return this.#receive(target.length, (count) => {
      target.set(lane.dataBytes.subarray(0, count));
      return count;
    });
  }

  async #receive<T>(maxBytes: number, take: (count: number) => T): Promise<T> {
    const length = Math.min(maxBytes, DATA_BYTES);
    const { source } = this;
    const { lane, process } = this.host;
    for (;;) {
      if (!source.readable) await source.untilReadable();
      if (!lane.turns.take()) await lane.turns.wait();
      try {
        this.check();
        source.readable = false;
        const count = await process.recvfrom(this.fd, lane.data, length, MSG_DONTWAIT, null, null);
        // Less than what was asked for is all there was: an edge will tell of more, but not again of an end.
        if (count === length || source.ended) source.readable = true;
        return take(count);
      } catch (error) {
        if (failedWith(error, errno.EAGAIN)) continue;
        source.readable = true;
        throw explain(error, { syscall: "read" });
      } finally {
        lane.turns.give();
      }
    }
  }

  /**
   * Send bytes, in order. Settles when the kernel has taken them all, so that it is the pace of the
   * other end in the long run; they may be reused then.
   *
   * @throws {SocketError} e.g. EPIPE, ECONNRESET @throws {SocketClosedError}
   */
  async write(chunks: Uint8Array | readonly Uint8Array[]): Promise<void> {
    const gather = new Gather(chunks instanceof Uint8Array ? [chunks] : chunks);
    const { source } = this;
    const { lane, process } = this.host;
    if (!this.#writing.take()) await this.#writing.wait();
    try {
      while (gather.left) {
        if (!lane.turns.take()) await lane.turns.wait();
        try {
          this.check();
          const length = gather.copyTo(lane.dataBytes);
          source.writable = false;
          gather.advance(await process.sendto(this.fd, lane.data, length, FLAGS, null, 0));
          // If that was a part only, the next try will tell whether there is room again.
          source.writable = true;
        } catch (error) {
          if (!failedWith(error, errno.EAGAIN)) throw explain(error, { syscall: "write" });
        } finally {
          lane.turns.give();
        }
        if (gather.left && !source.writable) await source.untilWritable();
      }
    } finally {
      this.#writing.give();
    }
  }

  /** Tell the other end that nothing more comes (FIN). Reading goes on. */
  async end(): Promise<void> {
    if (!this.#writing.take()) await this.#writing.wait();
    try {
      await this.job("shutdown", () => this.host.process.shutdown(this.fd, SHUT_WR));
    } finally {
      this.#writing.give();
    }
  }

  /** Close at once with a reset (RST): what was not sent yet is dropped. */
  reset(): Promise<void> {
    return this.abandon();
  }

  /** The connection's two directions as streams of the web's kind; each is read or written by one. */
  get readable(): ReadableStream<Uint8Array> {
    return (this.#readable ??= readableOf(this));
  }

  get writable(): WritableStream<Uint8Array> {
    return (this.#writable ??= writableOf(this));
  }

  /** What comes, until the other end has ended. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void> {
    for (;;) {
      const bytes = await this.read();
      if (!bytes) return;
      yield bytes;
    }
  }
}

/** Start to connect. A job of the lane's. */
async function start(host: Host, fd: number, options: ConnectOptions): Promise<Connection> {
  const { remote, local } = options;
  const { lane, process } = host;
  if (local)
    try {
      await bindDescriptor(host, fd, local);
    } catch (error) {
      throw explain(error, { syscall: "bind", endpoint: local });
    }
  for (const [name, value] of Object.entries(options.options ?? {})) {
    const key = keyOf(name as OptionName);
    const bytes = encodeOption(name as OptionName, value);
    lane.valueBytes.set(bytes);
    await process.setsockopt(fd, key.level, key.option, lane.value, bytes.length);
  }
  const connection = new Connection(host, fd, undefined, remote);
  try {
    await process.connect(fd, lane.name, lane.putName(remote));
  } catch (error) {
    if (!failedWith(error, errno.EINPROGRESS)) {
      const own = remote.family === "unix" ? undefined : await connection.whereabouts();
      throw explain(error, { syscall: "connect", endpoint: remote, local: own });
    }
  }
  await connection.attach();
  return connection;
}

/** @throws {SocketError} @throws the signal's reason */
export async function connect(host: Host, options: ConnectOptions): Promise<Connection> {
  const { remote, local, signal } = options;
  signal?.throwIfAborted();
  const isIp = remote.family === "IPv4" || remote.family === "IPv6";
  const protocol = options.protocol ?? (isIp ? IPPROTO_TCP : 0);
  const connection = await host.lane.run(() =>
    prepare(
      host,
      kindFor(remote, SOCK_STREAM, protocol),
      { syscall: "connect", endpoint: remote },
      (fd) => start(host, fd, options),
    ),
  );
  const abort = () => void connection.close();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) abort();
    await connection.established({ local });
    return connection;
  } catch (error) {
    await connection.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
