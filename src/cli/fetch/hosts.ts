// Where hosts are: by --resolve, this machine itself, its /etc/hosts, or name servers.

import { readFileSync } from "node:fs";
import { isIP } from "node:net";

import { UsageError } from "../errors.ts";

const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/;
/** RFC 6761, section 6.3. */
const LOCALHOST = /^(?:.+\.)?localhost\.?$/i;

/** HOST:PORT:ADDRESS, of curl's form; an address of IPv6 may have brackets. */
export function parseResolve(text: string): [key: string, addresses: readonly string[]] {
  const [, host = "", port = "", list = ""] = /^(\[[^\]]+\]|[^:]+):(\d+):(.+)$/.exec(text) ?? [];
  const addresses = list.split(",").map((one) => one.replace(/^\[(.*)\]$/, "$1"));
  if (!host || Number(port) > 65535 || !addresses.every((one) => isIP(one)))
    throw new UsageError("fetch", `--resolve ${text}: it is HOST:PORT:ADDRESS`);
  return [`${host.replace(/^\[(.*)\]$/, "$1").toLowerCase()}:${port}`, addresses];
}

/** The names of this machine's /etc/hosts (hosts(5)), in lower case. */
function readHosts(): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  let text = "";
  try {
    text = readFileSync("/etc/hosts", "utf8");
  } catch {
    // Not every machine has one.
  }
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (!isIP(address)) continue;
    for (const name of names) {
      const known = hosts.get(name.toLowerCase()) ?? [];
      hosts.set(name.toLowerCase(), [...known, address]);
    }
  }
  return hosts;
}

export class Hosts {
  readonly #given: ReadonlyMap<string, readonly string[]>;
  readonly #hosts = readHosts();
  /** The addresses by which the kernel reaches this machine's loopback. */
  readonly #loopback: { readonly 4: string; readonly 6: string | null };

  readonly #lookup: (host: string) => Promise<readonly string[]>;

  constructor(
    given: ReadonlyMap<string, readonly string[]>,
    loopback: { readonly 4: string; readonly 6: string | null },
    lookup: (host: string) => Promise<readonly string[]>,
  ) {
    this.#lookup = lookup;
    this.#given = given;
    this.#loopback = loopback;
  }

  /** In the kernel's network. @throws {LookupError} */
  async find(host: string, port: number): Promise<readonly string[]> {
    const name = host.toLowerCase();
    const found =
      this.#given.get(`${name}:${port}`) ??
      (LOCALHOST.test(name) ? ["127.0.0.1", "::1"] : undefined) ??
      (isIP(host) ? [host] : this.#hosts.get(name)) ??
      (await this.#lookup(host));
    const { 4: four, 6: six } = this.#loopback;
    const inside = found.map((one) => {
      if (!LOOPBACK.test(one)) return one;
      return isIP(one) === 6 && !one.includes(".") ? (six ?? four) : four;
    });
    return [...new Set(inside)];
  }
}
