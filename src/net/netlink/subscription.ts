// What the kernel tells unasked: the messages of multicast groups.
//
// Invariants: the socket is a member of its groups from the start, so nothing is missed that is
// not told as an overrun; what is not read yet waits in the kernel, in as many bytes as were asked
// for. Closing ends a read that waits.

import { NETLINK_ADD_MEMBERSHIP } from "../../abi/constants/netlink.ts";
import { AF_NETLINK, SO_RCVBUFFORCE } from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { SockaddrNl } from "../../abi/structs/socket.ts";
import { DisposedError, SystemError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import { split } from "./message.ts";
import type { Message } from "./message.ts";
import { openSocket, receive, setOption, setBuffer } from "./socket.ts";

const DATAGRAM_BYTES = 65536;

/** How a subscription is made. */
export interface SubscriptionOptions {
  /** How much may wait in the kernel to be read; more of it is an overrun. Default 1 MiB. */
  readonly bufferBytes?: number;
  /** Ends the iteration, as by an error, when it fires. */
  readonly signal?: AbortSignal;
}

/** Messages were lost, since they were not read in time: ask anew for what is to be known. */
export interface Overrun {
  readonly type: "overrun";
}

/**
 * An async iterator of messages. The caller owns it: leave the loop, or dispose it.
 */
export class Subscription<T> implements AsyncIterableIterator<T | Overrun> {
  readonly #process: Process;
  readonly #fd: number;
  readonly #read: (message: Message) => readonly T[] | Promise<readonly T[]>;
  readonly #signal: AbortSignal;
  readonly #closing = new AbortController();
  readonly #buffer = new Uint8Array(DATAGRAM_BYTES);
  readonly #ready: (T | Overrun)[] = [];
  /** Reads one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | null = null;

  /**
   * Become a member of groups.
   *
   * @param read what a message means: any number of events
   */
  static async open<T>(
    process: Process,
    protocol: number,
    groups: readonly number[],
    read: (message: Message) => readonly T[] | Promise<readonly T[]>,
    { bufferBytes = 1048576, signal }: SubscriptionOptions = {},
  ): Promise<Subscription<T>> {
    signal?.throwIfAborted();
    const fd = await openSocket(process, protocol);
    try {
      await setBuffer(process, fd, SO_RCVBUFFORCE, bufferBytes);
      const address = SockaddrNl.alloc();
      address.nl_family = AF_NETLINK;
      await process.bind(fd, address.bytes, SockaddrNl.size);
      for (const group of groups) await setOption(process, fd, NETLINK_ADD_MEMBERSHIP, group);
      return new Subscription(process, fd, read, signal);
    } catch (error) {
      await process.close(fd);
      throw error;
    }
  }

  private constructor(
    process: Process,
    fd: number,
    read: (message: Message) => readonly T[] | Promise<readonly T[]>,
    signal: AbortSignal | undefined,
  ) {
    this.#process = process;
    this.#fd = fd;
    this.#read = read;
    const closing = this.#closing.signal;
    this.#signal = signal ? AbortSignal.any([signal, closing]) : closing;
  }

  /** The next event. @throws the reason of the signal, if that fires */
  next(): Promise<IteratorResult<T | Overrun, undefined>> {
    const result = this.#last.then(() => this.#next());
    this.#last = result.catch(() => {});
    return result;
  }

  async #next(): Promise<IteratorResult<T | Overrun, undefined>> {
    try {
      while (!this.#ready.length && !this.#closed) await this.#fill();
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      await (this.#closed = this.#closeDescriptor());
      throw error;
    }
    const value = this.#ready.shift();
    return value === undefined || this.#closed
      ? { done: true, value: undefined }
      : { done: false, value };
  }

  async #fill(): Promise<void> {
    const signal = this.#signal;
    try {
      const datagram = await receive(this.#process, this.#fd, this.#buffer, 0, { signal });
      for (const message of split(datagram.slice()))
        this.#ready.push(...(await this.#read(message)));
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === -errno.ENOBUFS)) throw error;
      this.#ready.push({ type: "overrun" });
    }
  }

  async return(): Promise<IteratorResult<T | Overrun, undefined>> {
    await this[Symbol.asyncDispose]();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#closing.abort(new DisposedError("this subscription is closed"));
    await this.#last;
    await this.#closeDescriptor();
  }

  async #closeDescriptor(): Promise<void> {
    // With its kernel or its process it is gone, too.
    await this.#process.close(this.#fd).catch(() => {});
  }
}
