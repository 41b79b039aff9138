// node:dns on the kernel: lookup() by the kernel's resolver, all else by c-ares through a relay.

import dns from "node:dns";

import type { LinuxDns } from "../platform/node/sockets/dns.ts";
import type { DnsRelay } from "./dns-relay.ts";
import { isOnHost } from "./host-side.ts";
import { replace } from "./replace.ts";
import type { Method } from "./replace.ts";

/** A resolver of its own cannot have servers of its own. */
export class HijackDnsError extends Error {
  override readonly name = "HijackDnsError";
  readonly code = "ERR_HIJACK_DNS";

  constructor() {
    super(
      "liblinux/hijack: the servers of a Resolver are the program's: use dns.setServers(), or " +
        "nameservers of the configuration",
    );
  }
}

/** @param nameservers those that the kernel begins with */
export function hijackDns(own: LinuxDns, relay: DnsRelay, nameservers: readonly string[]): void {
  hijackLookup(own);
  const { setServers } = dns;
  // Refused as ever, if one is none.
  const check = new dns.Resolver();
  const choose = (servers: readonly string[]) => {
    check.setServers(servers);
    relay.chosen = check.getServers();
  };
  const known = () => [...(relay.chosen ?? nameservers)];
  setServers([relay.address]);
  for (const target of [dns, dns.promises]) {
    replace(target, "setServers", () => choose as Method);
    replace(target, "getServers", () => known);
    const Resolver = relayed(target.Resolver, relay.address, known);
    Object.defineProperty(target, "Resolver", {
      value: Resolver,
      configurable: true,
      writable: true,
    });
  }
}

function hijackLookup(own: LinuxDns): void {
  const kernels: readonly (readonly [object, Method])[] = [
    [dns, own.lookup as Method],
    [dns.promises, (...args) => own.promises.lookup(...(args as [string]))],
  ];
  for (const [target, lookup] of kernels)
    replace(
      target,
      "lookup",
      (original) =>
        function (this: unknown, ...args: unknown[]) {
          return (isOnHost() ? original : lookup).apply(target, args);
        },
    );
}

/** A class of resolvers that ask the relay. */
function relayed(Resolver: object, address: string, known: () => string[]): object {
  const setServers = Reflect.get(
    Reflect.get(Resolver, "prototype") as object,
    "setServers",
  ) as Method;
  const refuse = () => {
    throw new HijackDnsError();
  };
  return new Proxy(Resolver as new () => object, {
    construct: (target, args, newTarget) => {
      const resolver = Reflect.construct(target, args, newTarget) as object;
      setServers.call(resolver, [address]);
      return Object.assign(resolver, { getServers: known, setServers: refuse });
    },
  });
}
