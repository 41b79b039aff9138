// What every socket of the kernel has: a descriptor, its address, its options, an end.
//
// Invariants: a descriptor is used in jobs of the lane only, and by no job that starts after
// close(): so a number that the kernel gives again never meets a call that was for the old one.

import {
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_IPV6,
  SOL_SOCKET,
  SO_LINGER,
} from "../../abi/constants/socket.ts";
import { NR } from "../../abi/numbers.ts";
import { Linger } from "../../abi/structs/socket.ts";
import { familyOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { SocketClosedError, explain } from "./errors.ts";
import type { Context } from "./errors.ts";
import type { Host } from "./host.ts";
import type { Job } from "./job.ts";
import { succeeded } from "./lane.ts";
import { decodeOption, encodeLinger, encodeOption, keyOf } from "./options.ts";
import type { OptionKey, OptionName, OptionValue } from "./options.ts";
import { Source } from "./reactor.ts";

/** SO_LINGER of 0 s: what was not sent is forgotten. */
const AT_ONCE = encodeLinger(0);
/** No option of one number or name is longer. */
const DEFAULT_VALUE_BYTES = 256;

/** What kind of socket it is: what socket(2) takes. */
export interface SocketKind {
  /** AF_…; default: that of the address. */
  readonly family: number;
  /** SOCK_… */
  readonly type: number;
  /** IPPROTO_…, or in network order an Ethernet type; default 0. */
  readonly protocol?: number;
}

/** A new descriptor, non-blocking. */
export function* openDescriptor({ lane }: Host, kind: SocketKind): Job<number> {
  const { family, type, protocol = 0 } = kind;
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  return succeeded(yield lane.call(NR.socket, family, type | flags, protocol), "socket");
}

/** Make a socket, prepare it, and close it again if that fails. */
export async function prepare<T>(
  host: Host,
  kind: SocketKind,
  context: Context,
  job: (fd: number) => Job<T>,
): Promise<T> {
  const { lane } = host;
  const work = function* (): Job<T> {
    const fd = yield* openDescriptor(host, kind);
    try {
      return yield* job(fd);
    } catch (error) {
      yield lane.call(NR.close, fd);
      throw error;
    }
  };
  try {
    return await lane.run(work());
  } catch (error) {
    throw explain(error, context);
  }
}

/** Give a socket an address. */
export function* bindDescriptor({ lane }: Host, fd: number, local: Endpoint): Job<void> {
  yield* lane.must("bind", fd, lane.name, lane.putName(local));
}

/** Set an option, as bytes. */
export function* setDescriptorOption(
  { lane }: Host,
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
): Job<void> {
  if (value.length > lane.valueBytes.length)
    throw new RangeError(`an option has at most ${lane.valueBytes.length} bytes`);
  lane.valueBytes.set(value);
  yield* lane.must("setsockopt", fd, level, option, lane.value, value.length);
}

/** Set an option that is a flag. */
export function* enable(
  { lane }: Host,
  fd: number,
  level: number,
  option: number,
  on = true,
): Job<void> {
  yield* lane.must("setsockopt", fd, level, option, lane.value, lane.putInt(Number(on)));
}

export abstract class KernelSocket implements AsyncDisposable {
  protected readonly host: Host;
  protected readonly source: Source;
  /** Where it is itself, as far as it is known. */
  local: Endpoint | undefined;
  #closing: Promise<void> | null = null;
  #lingers = false;
  #abandoned = false;

  protected constructor(host: Host, fd: number, local: Endpoint | undefined) {
    this.host = host;
    this.source = new Source(fd);
    this.local = local;
  }

  /** The descriptor, in the process that the sockets belong to. */
  get fd(): number {
    return this.source.fd;
  }

  /** Whether close() was called. */
  get closed(): boolean {
    return this.#closing !== null;
  }

  /** @throws why the descriptor cannot be used any more */
  protected check(): void {
    if (this.source.failed) throw this.source.failed;
    if (this.#closing) throw new SocketClosedError();
  }

  /** Do something with the descriptor, unless it is closed by then. */
  protected async job<T>(syscall: string, work: () => Job<T>, endpoint?: Endpoint): Promise<T> {
    try {
      return await this.host.lane.run(this.#checked(work));
    } catch (error) {
      throw explain(error, { syscall, endpoint });
    }
  }

  *#checked<T>(work: () => Job<T>): Job<T> {
    this.check();
    return yield* work();
  }

  /** Ask the kernel where the socket is. */
  protected *learnLocal(): Job<void> {
    const { lane } = this.host;
    lane.expectName();
    const result = yield lane.call(NR.getsockname, this.fd, lane.name, lane.nameLength);
    succeeded(result, "getsockname");
    this.local = lane.takeName();
  }

  /**
   * Set an option by its name. A number is an int, a flag 0 or 1, bytes are a structure, and times
   * (SO_RCVTIMEO) are in milliseconds.
   *
   * @throws {InvalidOptionError} @throws {SocketError}
   */
  async setOption(name: OptionName, value: OptionValue): Promise<void> {
    await this.setRawOption(this.#keyOf(name), encodeOption(name, value));
  }

  /** As {@link setOption}, by numbers: what setsockopt(2) takes. */
  setRawOption({ level, option }: OptionKey, value: Uint8Array): Promise<void> {
    if (level === SOL_SOCKET && option === SO_LINGER)
      this.#lingers = value.subarray(Linger.offsets.l_linger).some((byte) => byte !== 0);
    return this.job("setsockopt", () =>
      setDescriptorOption(this.host, this.fd, level, option, value),
    );
  }

  /**
   * An option by its name: a number, a text, or the bytes of what is neither.
   *
   * @throws {InvalidOptionError} @throws {SocketError}
   */
  async getOption(name: OptionName): Promise<number | string | Uint8Array> {
    return decodeOption(name, await this.getRawOption(this.#keyOf(name)));
  }

  /** As {@link getOption}, by numbers: at most so many bytes of it. */
  getRawOption(key: OptionKey, lengthBytes: number = DEFAULT_VALUE_BYTES): Promise<Uint8Array> {
    const { lane } = this.host;
    return this.job(
      "getsockopt",
      function* (this: KernelSocket) {
        lane.expectValue(Math.min(lengthBytes, lane.valueBytes.length));
        const { level, option } = key;
        yield* lane.must("getsockopt", this.fd, level, option, lane.value, lane.valueLength);
        return lane.takeValue();
      }.bind(this),
    );
  }

  #keyOf(name: OptionName): OptionKey {
    const sharedBySix = name.startsWith("MCAST_") && this.local?.family === "IPv6";
    return keyOf(name, sharedBySix ? SOL_IPV6 : undefined);
  }

  /** Close at once with a reset, if it is a stream: what was not sent yet is dropped. */
  protected abandon(): Promise<void> {
    this.#abandoned = true;
    return this.close();
  }

  /**
   * Close the socket: what waits for it rejects with {@link SocketClosedError}. What was sent is
   * still delivered. Settles when the kernel has let go; never rejects.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const { lane, reactor, process } = this.host;
    reactor.remove(this.source);
    if (this.source.released) return;
    try {
      // Only a socket that lingers waits in close(): others must not wait for it.
      if (this.#lingers && !this.#abandoned) await process.close(this.fd);
      else await lane.run(this.#end());
    } catch {
      // The descriptor is gone all the same: close(2), or its kernel is.
    }
  }

  *#end(): Job<void> {
    const { lane } = this.host;
    if (this.#abandoned) {
      lane.valueBytes.set(AT_ONCE);
      yield lane.call(NR.setsockopt, this.fd, SOL_SOCKET, SO_LINGER, lane.value, AT_ONCE.length);
    }
    yield lane.call(NR.close, this.fd);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The kind of socket for an address. */
export function kindFor(endpoint: Endpoint, type: number, protocol?: number): SocketKind {
  return { family: familyOf(endpoint), type, ...(protocol !== undefined && { protocol }) };
}
