// A netlink socket for requests: one after the other, each answered before the next is sent.
//
// Invariants: #fd is open while it is ≥ 0, and nothing is left in it between two requests. A
// request that does not end well (aborted, unreadable) closes it, and the next one opens another.

import type { CallOptions } from "../../abi/calls.ts";
import {
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
} from "../../abi/constants/netlink.ts";
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
} from "../../abi/constants/socket.ts";
import { errno } from "../../abi/errno.ts";
import { Nlmsghdr } from "../../abi/structs/netlink.ts";
import { SockaddrNl } from "../../abi/structs/socket.ts";
import { InvalidOptionError } from "../../machine/errors.ts";
import { DisposedError, SystemError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import { DumpInterruptedError, MalformedMessageError, NetlinkError } from "./errors.ts";
import { explain, readAck, split } from "./message.ts";
import type { Composed, Message } from "./message.ts";

/** As much as the kernel puts into a datagram of a dump, twice. */
const DATAGRAM_BYTES = 65536;
/** What may wait to be read: the answers to one request. */
const RECEIVE_BUFFER_BYTES = 4 * 1048576;
/** What may be sent at once, such as a batch of nf_tables: the kernel wants it in one piece. */
const SEND_BUFFER_BYTES = 4 * 1048576;
/** How often a dump is begun anew when what it lists changes meanwhile. */
const MAX_DUMPS = 16;

/** Sets one of netlink's own options, which are numbers. */
export async function setOption(process: Process, fd: number, option: number, value: number) {
  const bytes = new Uint8Array(Int32Array.of(value).buffer);
  await process.setsockopt(fd, SOL_NETLINK, option, bytes, bytes.length);
}

/** Opens a socket. Needs no rights; what is asked may. */
export async function openSocket(process: Process, protocol: number): Promise<number> {
  const fd = await process.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  try {
    await setOption(process, fd, NETLINK_EXT_ACK, 1);
    await setOption(process, fd, NETLINK_CAP_ACK, 1);
    await setOption(process, fd, NETLINK_GET_STRICT_CHK, 1);
    return fd;
  } catch (error) {
    await process.close(fd);
    throw error;
  }
}

/**
 * Makes room for what waits to be read or sent (SO_RCVBUFFORCE, SO_SNDBUFFORCE); without
 * CAP_NET_ADMIN it stays as it is.
 */
export async function setBuffer(
  process: Process,
  fd: number,
  option: number,
  lengthBytes: number,
): Promise<void> {
  const size = new Uint8Array(Int32Array.of(lengthBytes).buffer);
  try {
    await process.setsockopt(fd, SOL_SOCKET, option, size, size.length);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === "EPERM")) throw error;
  }
}

/** Reads one datagram of the kernel's; those of anybody else are passed over. */
export async function receive(
  process: Process,
  fd: number,
  buffer: Uint8Array,
  flags: number,
  options?: CallOptions,
): Promise<Uint8Array> {
  const from = SockaddrNl.alloc();
  for (;;) {
    const size = new Uint8Array(Int32Array.of(SockaddrNl.size).buffer);
    const length = await process.recvfrom(
      fd,
      buffer,
      buffer.length,
      flags | MSG_TRUNC,
      from.bytes,
      size,
      options,
    );
    if (from.nl_pid !== 0) continue;
    if (length > buffer.length)
      throw new MalformedMessageError(`a datagram of ${length} bytes, read with ${buffer.length}`);
    return buffer.subarray(0, length);
  }
}

/** A socket that requests are made on. It opens when it is used first. */
export class NetlinkSocket {
  readonly #process: Process;
  readonly #protocol: number;
  readonly #buffer = new Uint8Array(DATAGRAM_BYTES);
  #fd = -1;
  #disposed = false;
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(process: Process, protocol: number) {
    this.#process = process;
    this.#protocol = protocol;
  }

  /**
   * Make a request, and get what the kernel answers besides that it is done.
   *
   * @param what is to be done, for errors: "add the link 'v0'"
   * @throws {NetlinkError} if the kernel refuses it
   * @throws {MalformedMessageError} if the answer cannot be read
   */
  request(composed: Composed, what: string, options?: CallOptions): Promise<Message[]> {
    return this.#exclusively(async (fd) => {
      const sequence = this.#number(composed, NLM_F_ACK);
      await this.#send(fd, composed.bytes, options);
      const answers: Message[] = [];
      for (;;)
        for (const message of await this.#receive(fd, 0, options)) {
          if (message.sequence !== sequence) continue;
          if (message.type !== NLMSG_ERROR) {
            answers.push(message);
            continue;
          }
          const ack = readAck(message);
          if (ack.errno) throw new NetlinkError(ack.errno, what, explain(ack, composed));
          return answers;
        }
    });
  }

  /**
   * List something: all messages of a dump, which is begun again if it changed meanwhile.
   *
   * @throws {NetlinkError} @throws {MalformedMessageError}
   * @throws {DumpInterruptedError} if it changed each time
   */
  async dump(composed: Composed, what: string, options?: CallOptions): Promise<Message[]> {
    for (let times = 0; times < MAX_DUMPS; times++) {
      const messages = await this.#exclusively((fd) => this.#dump(fd, composed, what, options));
      if (messages) return messages;
    }
    throw new DumpInterruptedError(what, MAX_DUMPS);
  }

  async #dump(
    fd: number,
    composed: Composed,
    what: string,
    options?: CallOptions,
  ): Promise<Message[] | undefined> {
    const sequence = this.#number(composed, NLM_F_DUMP);
    await this.#send(fd, composed.bytes, options);
    const messages: Message[] = [];
    let interrupted = false;
    for (;;)
      for (const message of await this.#receive(fd, 0, options)) {
        if (message.sequence !== sequence) continue;
        if (message.flags & NLM_F_DUMP_INTR) interrupted = true;
        if (message.type === NLMSG_ERROR || message.type === NLMSG_DONE) {
          const ack = readAck(message);
          if (ack.errno) throw new NetlinkError(ack.errno, what, explain(ack, composed));
          return interrupted ? undefined : messages;
        }
        messages.push(message);
        // What there is one of is told without a dump.
        if (!(message.flags & NLM_F_MULTI)) return messages;
      }
  }

  /**
   * Send several messages that the kernel takes as one, the last of which asks for an
   * acknowledgement; all or nothing of it is done.
   *
   * @param names what each message is to do; of those without one, "" stands
   * @throws {NetlinkError} about the first message that is refused
   * @throws {InvalidOptionError} if it is more than the kernel takes at once
   */
  batch(messages: readonly Composed[], names: readonly string[], options?: CallOptions) {
    return this.#exclusively(async (fd) => {
      const numbers = messages.map((message) => this.#number(message, 0));
      const end = Nlmsghdr.from(messages.at(-1)!.bytes);
      end.nlmsg_flags |= NLM_F_ACK;
      const whole = new Uint8Array(messages.reduce((sum, { bytes }) => sum + bytes.length, 0));
      let at = 0;
      for (const { bytes } of messages) {
        whole.set(bytes, at);
        at += bytes.length;
      }
      await this.#sendBatch(fd, whole, options);
      // The kernel has answered when send returns: an error for each message that it refuses.
      const errors: NetlinkError[] = [];
      for (let done = false; !done;) {
        for (const message of await this.#receive(fd, MSG_DONTWAIT, options)) {
          const index = numbers.indexOf(message.sequence);
          if (message.type !== NLMSG_ERROR || index < 0) continue;
          const ack = readAck(message);
          const composed = messages[index];
          if (ack.errno)
            errors.push(new NetlinkError(ack.errno, names[index], explain(ack, composed)));
          else if (index === messages.length - 1) done = true;
          if (errors.length) {
            await this.#drain(fd);
            done = true;
          }
        }
      }
      if (errors.length) throw errors[0];
    });
  }

  /** Throw away what waits to be read. */
  async #drain(fd: number): Promise<void> {
    try {
      for (;;) await this.#receive(fd, MSG_DONTWAIT);
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === -errno.EAGAIN)) throw error;
    }
  }

  /** Give a message its number. */
  #number(composed: Composed, flags: number): number {
    this.#sequence = (this.#sequence + 1) >>> 0 || 1;
    const header = Nlmsghdr.from(composed.bytes);
    header.nlmsg_seq = this.#sequence;
    header.nlmsg_flags |= flags;
    return this.#sequence;
  }

  async #send(fd: number, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#process.sendto(fd, bytes, bytes.length, 0, null, 0, options);
  }

  async #sendBatch(fd: number, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    try {
      await this.#send(fd, bytes, options);
    } catch (error) {
      if (!(error instanceof SystemError && error.errno === -errno.EMSGSIZE)) throw error;
      throw new InvalidOptionError(
        "batch",
        `${bytes.length} bytes are more than the kernel takes at once: commit it in parts`,
      );
    }
  }

  async #receive(fd: number, flags: number, options?: CallOptions): Promise<Message[]> {
    const datagram = await receive(this.#process, fd, this.#buffer, flags, options);
    // Messages are views of it, and are kept.
    return [...split(datagram.slice())];
  }

  /** Use the socket alone, and open it before if need be. */
  #exclusively<T>(use: (fd: number) => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      if (this.#disposed) throw new DisposedError("this netlink socket is closed");
      if (this.#fd < 0) await this.#open();
      try {
        return await use(this.#fd);
      } catch (error) {
        // After a refusal all is read; after anything else there may be more.
        if (!(error instanceof NetlinkError)) await this.#close();
        throw error;
      }
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #open(): Promise<void> {
    const fd = await openSocket(this.#process, this.#protocol);
    this.#fd = fd;
    await setBuffer(this.#process, fd, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
    await setBuffer(this.#process, fd, SO_SNDBUFFORCE, SEND_BUFFER_BYTES);
  }

  async #close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd < 0) return;
    // With its kernel or its process the descriptor is gone, too.
    await this.#process.close(fd).catch(() => {});
  }

  /** Close it, after the requests that were made. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#last;
    await this.#close();
  }
}
