// From names to addresses, as getaddrinfo(3): literals, /etc/hosts, DNS.

import { AF_INET } from "../../../abi/constants/socket.ts";
import { formatIp, ipOf } from "../../address.ts";
import { ipEndpoint } from "../endpoint.ts";
import type { Sockets } from "../sockets.ts";
import { LookupError } from "./errors.ts";
import { hostsOf, parseConfiguration, readIfAny } from "./files.ts";
import type { ResolverConfiguration } from "./files.ts";
import { TYPE, encodeQuestion } from "./message.ts";
import { ask } from "./query.ts";

export interface LookupOptions {
  /** 4, 6, or 0 for both. Default 0. */
  readonly family?: 0 | 4 | 6;
}

export interface IpAddressInfo {
  readonly address: string;
  readonly family: 4 | 6;
}

const LOCALHOST: readonly string[] = ["::1", "127.0.0.1"];
/** Where nobody listens; nothing is sent there. */
const DISCARD_PORT = 9;

const infoOf = (address: string): IpAddressInfo => ({
  address,
  family: ipOf(address)?.family === AF_INET ? 4 : 6,
});

/** RFC 6761, section 6.3. */
const isLocalhost = (name: string): boolean => /^(?:.+\.)?localhost\.?$/i.test(name);

/** The names to ask for, in order: resolv.conf(5) on search and ndots. */
export function candidates(name: string, { search, ndots }: ResolverConfiguration): string[] {
  if (name.endsWith(".")) return [name];
  const longer = search.map((domain) => `${name}.${domain}`);
  return name.split(".").length > ndots ? [name, ...longer] : [...longer, name];
}

export class Resolver {
  readonly #sockets: Sockets;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  async lookup(name: string, options: LookupOptions): Promise<IpAddressInfo[]> {
    const { family = 0 } = options;
    const fits = (info: IpAddressInfo) => !family || info.family === family;
    if (ipOf(name)) {
      const literal = [infoOf(name)].filter(fits);
      if (!literal.length) throw new LookupError("ENOTFOUND", name);
      return literal;
    }
    const local = (await this.#local(name)).map(infoOf).filter(fits);
    if (local.length) return this.#sort(local);
    const found = await this.#byDns(name, family);
    if (!found.length) throw new LookupError("ENOTFOUND", name);
    return this.#sort(found);
  }

  async #local(name: string): Promise<readonly string[]> {
    const hosts = hostsOf(await readIfAny(this.#sockets.process, "/etc/hosts"), name);
    return hosts.length || !isLocalhost(name) ? hosts : LOCALHOST;
  }

  async #byDns(name: string, family: number): Promise<IpAddressInfo[]> {
    const text = await readIfAny(this.#sockets.process, "/etc/resolv.conf");
    const configuration = parseConfiguration(text);
    const types = family === 4 ? [TYPE.A] : family === 6 ? [TYPE.AAAA] : [TYPE.AAAA, TYPE.A];
    for (const candidate of candidates(name, configuration)) {
      if (!encodeQuestion(0, candidate, TYPE.A)) continue;
      const answers = await Promise.all(
        types.map((type) => this.#ask(name, { name: candidate, type }, configuration)),
      );
      const found = answers.flat();
      if (found.length) return found;
    }
    return [];
  }

  /** Of each server in turn, as often as it is configured. */
  async #ask(
    name: string,
    question: { readonly name: string; readonly type: number },
    { servers, attempts, timeoutMs }: ResolverConfiguration,
  ): Promise<IpAddressInfo[]> {
    let why: unknown;
    for (let attempt = 0; attempt < attempts; attempt++)
      for (const server of servers)
        try {
          const { addresses } = await ask(this.#sockets, server, question, timeoutMs);
          return addresses.map((bytes) => infoOf(formatIp(bytes)));
        } catch (error) {
          why = error;
        }
    throw new LookupError("EAI_AGAIN", name, why);
  }

  /** What there is a route to comes first, IPv6 before IPv4: RFC 6724, rules 1 and 6. */
  async #sort(addresses: readonly IpAddressInfo[]): Promise<IpAddressInfo[]> {
    if (addresses.length < 2) return [...addresses];
    const ranks = await Promise.all(
      addresses.map(
        async (info) => ((await this.#isReachable(info)) ? 0 : 2) + (info.family === 6 ? 0 : 1),
      ),
    );
    return addresses
      .map((info, index) => ({ info, rank: ranks[index] }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ info }) => info);
  }

  async #isReachable({ address, family }: IpAddressInfo): Promise<boolean> {
    try {
      const local = ipEndpoint(family === 6 ? "::" : "0.0.0.0", 0);
      await using socket = await this.#sockets.datagrams({ local });
      // Connecting sends nothing: it looks the route up.
      await socket.connect(ipEndpoint(address, DISCARD_PORT));
      return true;
    } catch {
      return false;
    }
  }
}
