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

/** What one read gives at most, unless more is asked for. */
export const READ_BYTES = 64 << 10;
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
  #writing: Promise<void> | null = null;

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
    const result = await this.getRawOption({ level: SOL_SOCKET, option: SO_ERROR }, INT_BYTES);
    const number = new DataView(result.buffer).getInt32(0, true);
    if (number)
      throw new SocketError(-number, { syscall: "connect", endpoint: this.remote, ...context });
  }

  /**
   * What has come, as soon as there is any: 1 to `maxBytes` bytes, at most 256 KiB of them, which
   * are the caller's; null when the other end has ended.
   *
   * @throws {SocketError} e.g. ECONNRESET @throws {SocketClosedError}
   */
  async read(maxBytes: number = READ_BYTES): Promise<Bytes | null> {
    const length = Math.min(maxBytes, DATA_BYTES);
    const { source } = this;
    for (;;) {
      if (!source.readable) await source.untilReadable();
      const bytes = await this.job("read", () => this.#receive(length));
      if (bytes) return bytes.length ? bytes : null;
    }
  }

  /** A job of the lane's. @returns undefined if there is nothing */
  async #receive(length: number): Promise<Bytes | undefined> {
    const { source } = this;
    const { lane, process } = this.host;
    source.readable = false;
    try {
      const count = await process.recvfrom(this.fd, lane.data, length, MSG_DONTWAIT, null, null);
      // Less than what was asked for is all there was: an edge will tell of more, but not again of an end.
      if (count === length || source.ended) source.readable = true;
      return copyOf(lane.dataBytes.subarray(0, count));
    } catch (error) {
      if (failedWith(error, errno.EAGAIN)) return undefined;
      source.readable = true;
      throw error;
    }
  }

  /**
   * Send bytes, in order. Settles when the kernel has taken them all, so that it is the pace of the
   * other end in the long run; they may be reused then.
   *
   * @throws {SocketError} e.g. EPIPE, ECONNRESET @throws {SocketClosedError}
   */
  async write(chunks: Uint8Array | readonly Uint8Array[]): Promise<void> {
    while (this.#writing) await this.#writing.catch(() => {});
    const writing = this.#send(new Gather(chunks instanceof Uint8Array ? [chunks] : chunks));
    this.#writing = writing;
    try {
      await writing;
    } finally {
      this.#writing = null;
    }
  }

  async #send(gather: Gather): Promise<void> {
    const { source } = this;
    while (gather.left) {
      gather.advance(await this.job("write", () => this.#transmit(gather)));
      if (gather.left && !source.writable) await source.untilWritable();
    }
  }

  /** A job of the lane's. @returns how much the kernel took */
  async #transmit(gather: Gather): Promise<number> {
    const { source } = this;
    const { lane, process } = this.host;
    const length = gather.copyTo(lane.dataBytes);
    source.writable = false;
    try {
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      const count = await process.sendto(this.fd, lane.data, length, flags, null, 0);
      // A part only: whether there is room again, the next try will tell.
      source.writable = true;
      return count;
    } catch (error) {
      if (failedWith(error, errno.EAGAIN)) return 0;
      throw error;
    }
  }

  /** Tell the other end that nothing more comes (FIN). Reading goes on. */
  async end(): Promise<void> {
    while (this.#writing) await this.#writing.catch(() => {});
    await this.job("shutdown", () => this.host.process.shutdown(this.fd, SHUT_WR));
  }

  /** Close at once with a reset (RST): what was not sent yet is dropped. */
  async reset(): Promise<void> {
    await this.abandon().catch(() => {});
    await this.close();
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
    prepare(host, kindFor(remote, SOCK_STREAM, protocol), { syscall: "connect" }, (fd) =>
      start(host, fd, options),
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
