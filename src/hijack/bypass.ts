// Which addresses and ports stay with the host.

import { BlockList, isIP } from "node:net";

import { InvalidOptionError } from "../machine/errors.ts";

const MAX_PORT = 65535;
const WRITTEN =
  'it is written as "host", "host:port", "*:port", "*.domain", "10.0.0.0/8" or "[::1]:port"';

/** What "localhost" means to a rule. */
const LOCALHOST = ["127.0.0.1", "::1"];

interface Rule {
  /** Null: every port. */
  readonly port: number | null;
  matches(host: string): boolean;
}

function splitPort(text: string, option: string): [host: string, port: number | null] {
  const [, bracketed, port] = /^\[([^\]]*)\](?::(\d+))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return [bracketed, toPort(port, text, option)];
  // An IPv6 address without brackets has no port.
  if (text.split(":").length !== 2) return [text, null];
  const [host = "", digits] = text.split(":");
  return [host, toPort(digits, text, option)];
}

function toPort(digits: string | undefined, text: string, option: string): number | null {
  if (digits === undefined) return null;
  const port = Number(digits);
  if (/^\d+$/.test(digits) && port >= 1 && port <= MAX_PORT) return port;
  throw new InvalidOptionError(option, `"${text}": its port is 1 to ${MAX_PORT}`);
}

function rangeOf(host: string, text: string, option: string): (name: string) => boolean {
  const [address = "", prefix] = host.split("/");
  const family = isIP(address);
  const bits = family === 6 ? 128 : 32;
  const length = prefix === undefined ? bits : Number(prefix);
  if (!family || (prefix !== undefined && !/^\d+$/.test(prefix)) || length > bits)
    throw new InvalidOptionError(option, `"${text}": ${WRITTEN}`);
  const list = new BlockList();
  list.addSubnet(address, length, family === 6 ? "ipv6" : "ipv4");
  const within = (name: string) => {
    const kind = isIP(name);
    return kind !== 0 && list.check(name, kind === 6 ? "ipv6" : "ipv4");
  };
  return (name) => (name === "localhost" ? LOCALHOST.some(within) : within(name));
}

function matcherOf(host: string, text: string, option: string): (name: string) => boolean {
  if (host === "*") return () => true;
  if (host.includes("/") || isIP(host)) return rangeOf(host, text, option);
  if (!/^(\*\.)?[\w-]+(\.[\w-]+)*\.?$/.test(host))
    throw new InvalidOptionError(option, `"${text}": ${WRITTEN}`);
  const wanted = host.toLowerCase();
  if (wanted === "localhost") return (name) => name === wanted || LOCALHOST.includes(name);
  if (wanted.startsWith("*.")) return (name) => name.endsWith(wanted.slice(1));
  return (name) => name === wanted;
}

export class Bypass {
  readonly #rules: readonly Rule[];

  /** @throws {InvalidOptionError} that names the rule, such as bypass.1 */
  constructor(rules: readonly string[], option = "bypass") {
    this.#rules = rules.map((text, index) => {
      const [host, port] = splitPort(text, `${option}.${index}`);
      return { port, matches: matcherOf(host, text, `${option}.${index}`) };
    });
  }

  /** Whether the host's network is meant. A name is compared as it is written, not by its addresses. */
  has(host: string, port: number): boolean {
    const name = host.toLowerCase();
    return this.#rules.some(
      (rule) => (rule.port === null || rule.port === port) && rule.matches(name),
    );
  }
}
