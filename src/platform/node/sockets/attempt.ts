// From a name or an address to a connection: what node:net does before "connect".

import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { ipEndpoint } from "../../../net/facade/index.ts";
import type { Connection, Endpoint } from "../../../net/facade/index.ts";
import { toPort } from "./arguments.ts";
import type { ConnectArguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { attemptTimeoutError, badAddressError } from "./errors.ts";

/** What a socket tells of its attempts. */
export interface Listener {
  emit(event: string, ...values: readonly unknown[]): boolean;
}

type Families = readonly LookupAddress[];

/** The address that a socket is to have itself, if one is asked for. */
export function localOf(options: ConnectArguments): Endpoint | undefined {
  const { localAddress, localPort = 0 } = options;
  if (localAddress !== undefined) {
    if (!isIP(localAddress)) throw badAddressError(localAddress);
    return ipEndpoint(localAddress, toPort(localPort, "localPort"), "localAddress");
  }
  if (!localPort) return undefined;
  return ipEndpoint(isIP(options.host ?? "") === 6 ? "::" : "0.0.0.0", localPort);
}

function familyOf(options: ConnectArguments): number {
  const { family = 0 } = options;
  return family === "IPv4" ? 4 : family === "IPv6" ? 6 : family;
}

function look(
  context: Context,
  host: string,
  options: ConnectArguments,
  all: boolean,
): Promise<Families> {
  const lookup = options.lookup ?? context.lookup;
  const family = familyOf(options);
  return new Promise((resolve, reject) => {
    const hints = options.hints === undefined ? {} : { hints: options.hints };
    lookup(host, { family, all, ...hints }, (error, address, found) => {
      if (error) reject(error);
      else if (Array.isArray(address)) resolve(address);
      else resolve([{ address: address, family: found ?? isIP(address) }]);
    });
  });
}

/** Addresses of both families in turn, the first one's first: RFC 8305, section 4. */
function interleave(addresses: Families): Families {
  const first = addresses[0]?.family;
  const same = addresses.filter(({ family }) => family === first);
  const other = addresses.filter(({ family }) => family !== first);
  return Array.from({ length: Math.max(same.length, other.length) }, (_, index) =>
    [same[index], other[index]].filter((address) => address !== undefined),
  ).flat();
}

/** One connection to make. */
export class Attempt {
  readonly #context: Context;
  readonly #options: ConnectArguments;
  readonly #listener: Listener;
  readonly #signal: AbortSignal;

  constructor(
    context: Context,
    options: ConnectArguments,
    listener: Listener,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#options = options;
    this.#listener = listener;
    this.#signal = signal;
  }

  async run(): Promise<Connection> {
    const { path, host = "localhost" } = this.#options;
    if (path !== undefined) return this.#unix(path);
    if (isIP(host)) return this.#one({ address: host, family: isIP(host) });
    const all =
      (this.#options.autoSelectFamily ?? this.#context.autoSelectFamily) &&
      !familyOf(this.#options) &&
      this.#options.localAddress === undefined;
    const addresses = await this.#resolve(host, all);
    this.#signal.throwIfAborted();
    if (addresses.length === 1) return this.#one(addresses[0]);
    return this.#each(interleave(addresses));
  }

  #unix(path: string): Promise<Connection> {
    const remote: Endpoint = { family: "unix", path };
    return this.#context.sockets.connect({ remote, signal: this.#signal });
  }

  async #resolve(host: string, all: boolean): Promise<Families> {
    try {
      const addresses = await look(this.#context, host, this.#options, all);
      for (const { address, family } of addresses)
        this.#listener.emit("lookup", null, address, family, host);
      return addresses;
    } catch (error) {
      this.#listener.emit("lookup", error, undefined, undefined, host);
      throw error;
    }
  }

  async #one({ address, family }: LookupAddress, signal = this.#signal): Promise<Connection> {
    const port = toPort(this.#options.port);
    const { protocol } = this.#options;
    this.#listener.emit("connectionAttempt", address, port, family);
    try {
      return await this.#context.sockets.connect({
        remote: ipEndpoint(address, port, "host"),
        local: localOf(this.#options),
        signal,
        ...(protocol !== undefined && { protocol }),
      });
    } catch (error) {
      if (!signal.aborted)
        this.#listener.emit("connectionAttemptFailed", address, port, family, error);
      throw error;
    }
  }

  /** One after the other; all but the last have a limited time. */
  async #each(addresses: Families): Promise<Connection> {
    const errors: Error[] = [];
    for (const [index, address] of addresses.entries()) {
      const last = index === addresses.length - 1;
      try {
        return await (last ? this.#one(address) : this.#limited(address));
      } catch (error) {
        this.#signal.throwIfAborted();
        errors.push(error as Error);
      }
    }
    if (errors.length === 1) throw errors[0];
    const [{ code } = { code: undefined }] = errors as (Error & { code?: string })[];
    throw Object.assign(new AggregateError(errors, ""), code === undefined ? {} : { code });
  }

  async #limited(address: LookupAddress): Promise<Connection> {
    const limit = new AbortController();
    const signal = AbortSignal.any([this.#signal, limit.signal]);
    const { autoSelectFamilyAttemptTimeout: own } = this.#options;
    const ms = own ?? this.#context.autoSelectFamilyAttemptTimeoutMs;
    const expire = async (): Promise<void> => {
      await sleep(ms, undefined, { signal: limit.signal });
      const port = toPort(this.#options.port);
      this.#listener.emit("connectionAttemptTimeout", address.address, port, address.family);
      limit.abort(attemptTimeoutError());
    };
    expire().catch(() => {});
    try {
      return await this.#one(address, signal);
    } finally {
      limit.abort();
    }
  }
}
