// A connected stream: TCP, MPTCP, unix, vsock's like.
//
// Invariants: one write is under way at a time, and what it could not send yet it sends before the
// next begins. Nothing is read that was not asked for: the kernel's window is the backpressure.

import type { KernelMemory } from "../../abi/calls.ts";
import { IPPROTO_TCP } from "../../abi/constants/in.ts";
import {
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SOCK_STREAM,
  SOL_SOCKET,
  SO_ERROR,
} from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { NR } from "../../abi/numbers.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { SystemError, isError } from "../../syscall/errors.ts";
import { copyOf } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import type { ControlMessage } from "./control.ts";
import type { DatagramRoom } from "./datagram-room.ts";
import type { Endpoint } from "./endpoint.ts";
import { explain } from "./errors.ts";
import type { Context } from "./errors.ts";
import { Gather, InPlace } from "./gather.ts";
import type { Host } from "./host.ts";
import type { Job } from "./job.ts";
import { DATA_BYTES } from "./lane.ts";
import { encodeOption, keyOf } from "./options.ts";
import type { OptionName, OptionValue } from "./options.ts";
import {
  KernelSocket,
  bindDescriptor,
  kindFor,
  openDescriptor,
  setDescriptorOption,
} from "./socket.ts";
import { Turns } from "./turns.ts";
import { readableOf, writableOf } from "./web-streams.ts";

/** What one read gives at most, unless more is asked for. */
export const READ_BYTES = 64 << 10;
/** No call waits, and a broken pipe is an error, not a signal. */
const FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL;
const MESSAGE_FLAGS = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
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

/** Bytes of a connection, and what came beside them. */
export interface Message {
  /** The caller's own. */
  readonly bytes: Bytes;
  readonly control: readonly ControlMessage[];
  /** MSG_… e.g. MSG_CTRUNC if there were more control messages than there is room for. */
  readonly flags: number;
}

/** Control messages to be sent, and where they are written. */
interface Beside {
  readonly room: DatagramRoom;
  readonly control: readonly ControlMessage[];
}

/** Where what is received goes, if that is not the lane's memory, and what comes beside it. */
interface Place {
  readonly into?: KernelMemory;
  readonly room?: DatagramRoom;
}

const LANE: Place = {};

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
    // One read ends where descriptors were sent along.
    this.source.pieces = remote?.family === "unix";
  }

  /** Let the reactor know of it. @internal */
  *attach(): Job<void> {
    yield* this.host.reactor.add(this.source);
    if (!this.local) yield* this.learnLocal();
  }

  /** Connect, and wait until the connection stands. @internal */
  *establish(remote: Endpoint, options: ConnectOptions["options"]): Job<void> {
    const { host, source } = this;
    const { lane } = host;
    if (options)
      for (const [name, value] of Object.entries(options)) {
        const { level, option } = keyOf(name as OptionName);
        const bytes = encodeOption(name as OptionName, value);
        yield* setDescriptorOption(host, this.fd, level, option, bytes);
      }
    const begun = yield lane.call(NR.connect, this.fd, lane.name, lane.putName(remote));
    if (isError(begun) && begun !== -errno.EINPROGRESS) {
      if (remote.family !== "unix") yield* this.learnLocal();
      throw new SystemError(begun, "connect");
    }
    yield* this.attach();
    while (!source.writable) yield source.writing;
    this.check();
    // What failed has an error to be read.
    if (!source.ended) return;
    lane.expectValue(INT_BYTES);
    const { value, valueLength } = lane;
    yield* lane.must("getsockopt", this.fd, SOL_SOCKET, SO_ERROR, value, valueLength);
    const failed = lane.takeInt();
    if (failed) throw new SystemError(-failed, "established");
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
   * As {@link read}, into memory of the caller's. Into the kernel's memory (`process.buffer()`) it is
   * not copied once more, and there may be any number of bytes of it; nobody else may use it
   * meanwhile.
   *
   * @returns how many bytes; 0 when the other end has ended
   */
  readInto(target: Uint8Array | KernelMemory): Promise<number> {
    if ("address" in target)
      return this.#receive(target.length, (count) => count, { into: target });
    const { lane } = this.host;
    return this.#receive(target.length, (count) => {
      target.set(lane.dataBytes.subarray(0, count));
      return count;
    });
  }

  /**
   * As {@link read}, with the control messages that came beside the bytes: descriptors by a unix
   * socket, which are the application's to close, or what options ask for (SO_TIMESTAMPNS).
   */
  async readMessage(maxBytes: number = READ_BYTES): Promise<Message | null> {
    const { dataBytes } = this.host.lane;
    const room = await this.host.datagramRoom();
    const take = (count: number) => {
      const { control, flags } = room.takeOne();
      return count ? { bytes: copyOf(dataBytes, count), control, flags } : null;
    };
    return this.#receive(maxBytes, take, { room });
  }

  async #receive<T>(maxBytes: number, take: (count: number) => T, place = LANE): Promise<T> {
    const { source } = this;
    const gate = source.readable ? undefined : source.reading;
    try {
      return await this.host.lane.run(this.#receiving(maxBytes, take, place), gate);
    } catch (error) {
      throw explain(error, { syscall: "read" });
    }
  }

  *#receiving<T>(maxBytes: number, take: (count: number) => T, place: Place): Job<T> {
    const { source } = this;
    const { lane } = this.host;
    const { into, room } = place;
    const length = into ? maxBytes : Math.min(maxBytes, DATA_BYTES);
    for (;;) {
      this.check();
      const at = into ? into.address : lane.data;
      source.readable = false;
      const count = yield room
        ? lane.call(NR.recvmsg, this.fd, room.expectOne(at, length), MESSAGE_FLAGS)
        : lane.call(NR.recvfrom, this.fd, at, length, MSG_DONTWAIT);
      if (count >= 0) {
        // Less than what was asked for is all there was: an edge will tell of more, but not again of an end.
        if (count === length || source.ended || source.pieces) source.readable = true;
        return take(count);
      }
      if (count !== -errno.EAGAIN) {
        source.readable = true;
        throw new SystemError(count, "read");
      }
      while (!source.readable) yield source.reading;
    }
  }

  /**
   * Send bytes, in order. Settles when the kernel has taken them all, so that it is the pace of the
   * other end in the long run; they may be reused then. What is in the kernel's memory
   * (`process.buffer()`) is sent from where it is.
   *
   * @throws {SocketError} e.g. EPIPE, ECONNRESET @throws {SocketClosedError}
   */
  write(chunks: Uint8Array | KernelMemory | readonly Uint8Array[]): Promise<void> {
    if ("address" in chunks) return this.#send(new InPlace(chunks));
    return this.#send(new Gather(chunks instanceof Uint8Array ? [chunks] : chunks));
  }

  /**
   * As {@link write}, with control messages beside the first byte: {@link rights} by a unix socket.
   *
   * @throws {InvalidOptionError} if there are no bytes, or too many control messages
   */
  async writeMessage(
    chunks: Uint8Array | readonly Uint8Array[],
    control: readonly ControlMessage[],
  ): Promise<void> {
    const gather = new Gather(chunks instanceof Uint8Array ? [chunks] : chunks);
    if (!gather.left)
      throw new InvalidOptionError("chunks", "control messages go beside one byte or more");
    const room = await this.host.datagramRoom();
    await this.#send(gather, { room, control });
  }

  async #send(gather: Gather | InPlace, beside?: Beside): Promise<void> {
    if (!this.#writing.take()) await this.#writing.wait();
    try {
      await this.host.lane.run(this.#sending(gather, beside));
    } catch (error) {
      throw explain(error, { syscall: "write" });
    } finally {
      this.#writing.give();
    }
  }

  *#sending(gather: Gather | InPlace, beside: Beside | undefined): Job<void> {
    const { source } = this;
    const { lane } = this.host;
    let first = beside;
    while (gather.left) {
      this.check();
      const inPlace = gather instanceof InPlace;
      const at = inPlace ? gather.address : lane.data;
      const length = inPlace ? gather.left : gather.copyTo(lane.dataBytes);
      source.writable = false;
      const count = yield first
        ? lane.call(NR.sendmsg, this.fd, first.room.putOne(at, length, first.control), FLAGS)
        : lane.call(NR.sendto, this.fd, at, length, FLAGS);
      if (count >= 0) {
        gather.advance(count);
        first = undefined;
        // If that was a part only, the next try will tell whether there is room again.
        source.writable = true;
      } else if (count === -errno.EAGAIN) while (!source.writable) yield source.writing;
      else throw new SystemError(count, "write");
    }
  }

  /** Tell the other end that nothing more comes (FIN). Reading goes on. */
  async end(): Promise<void> {
    if (!this.#writing.take()) await this.#writing.wait();
    try {
      await this.job("shutdown", () => this.host.lane.must("shutdown", this.fd, SHUT_WR));
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

/** @throws {SocketError} @throws the signal's reason */
export async function connect(host: Host, options: ConnectOptions): Promise<Connection> {
  const { remote, local, signal } = options;
  signal?.throwIfAborted();
  const isIp = remote.family === "IPv4" || remote.family === "IPv6";
  const kind = kindFor(remote, SOCK_STREAM, options.protocol ?? (isIp ? IPPROTO_TCP : 0));
  let connection: Connection | undefined;
  const job = function* (): Job<Connection> {
    const fd = yield* openDescriptor(host, kind);
    connection = new Connection(host, fd, undefined, remote);
    // It closes what is there by now.
    if (signal?.aborted) abort();
    if (local) yield* bindDescriptor(host, fd, local);
    yield* connection.establish(remote, options.options);
    return connection;
  };
  const abort = () => void connection?.close();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await host.lane.run(job());
  } catch (error) {
    const own = connection?.local;
    await connection?.close();
    signal?.throwIfAborted();
    throw explain(error, contextOf(error, options, own));
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Which step failed, and what it was about. */
function contextOf(error: unknown, options: ConnectOptions, own: Endpoint | undefined): Context {
  const { remote, local } = options;
  const step = error instanceof SystemError ? error.syscall : undefined;
  if (step === "bind") return { syscall: step, endpoint: local };
  // Of a connection that was under way Node tells the address that it was asked for only.
  const from = step === "connect" ? own : step === "established" ? local : undefined;
  return { syscall: "connect", endpoint: remote, local: from };
}
