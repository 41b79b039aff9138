// The addresses that a name has: found by node:net, tried by us.
//
// Node tries them one after the other with a new handle for each. Here the handle stays, as TLS may
// stand on it already, and tries them itself.

import dns from "node:dns";
import type { LookupAddress } from "node:dns";
import {
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
} from "node:net";
import type { LookupFunction, Socket } from "node:net";

import type { ConnectArguments } from "../platform/node/sockets/arguments.ts";
import type { ConnectOptions } from "./native-stream.ts";

export class Candidates {
  readonly #socket: Socket;
  readonly #options: ConnectOptions;
  #found: readonly LookupAddress[] = [];

  constructor(socket: Socket, options: ConnectOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** What node:net is to do: find them all, and begin with one. */
  get connectOptions(): ConnectOptions {
    const { lookup } = this.#options;
    // node:net says what is wrong with that.
    if (lookup !== undefined && lookup !== null && typeof lookup !== "function")
      return this.#options;
    return { ...this.#options, lookup: this.#lookup, autoSelectFamily: false };
  }

  get #all(): boolean {
    const { autoSelectFamily, family, localAddress } = this.#options;
    return (autoSelectFamily ?? getDefaultAutoSelectFamily()) && !family && !localAddress;
  }

  readonly #lookup: LookupFunction = (name, options, callback) => {
    const lookup = this.#options.lookup ?? dns.lookup;
    const all = this.#all;
    lookup(name, { ...options, all }, (error: Error | null, found, family) => {
      if (error) {
        callback(error, "", 0);
        return;
      }
      this.#found = Array.isArray(found)
        ? found
        : [{ address: found, family: family ?? isIP(found) }];
      const [first, ...others] = this.#found;
      callback(null, first?.address ?? "", first?.family ?? 0);
      // node:net tells of the one that it got.
      for (const { address, family } of others)
        this.#socket.emit("lookup", null, address, family, name);
    });
  };

  /** What is to be tried, once node:net has decided on this address. */
  options(address: string): ConnectArguments {
    if (this.#found.length < 2) return { host: address };
    return {
      host: this.#options.host ?? "localhost",
      lookup: (_name, _options, callback) => callback(null, [...this.#found]),
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout:
        this.#options.autoSelectFamilyAttemptTimeout ?? getDefaultAutoSelectFamilyAttemptTimeout(),
    };
  }
}
