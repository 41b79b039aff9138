// /etc/hosts and /etc/resolv.conf: hosts(5), resolv.conf(5).

import { errno } from "../../../abi/errno.ts";
import type { Process } from "../../../syscall/process.ts";
import { ipOf } from "../../address.ts";
import { parseResolver } from "../../resolver-config.ts";
import { readText } from "../../text-file.ts";
import { failedWith } from "../errors.ts";

const MAX_SERVERS = 3;

/** How names are asked for. */
export interface ResolverConfiguration {
  /** Addresses of servers, to be asked one after the other. */
  readonly servers: readonly string[];
  /** What is put behind a name with few dots. */
  readonly search: readonly string[];
  /** A name with as many dots is tried as it is, first. */
  readonly ndots: number;
  readonly timeoutMs: number;
  readonly attempts: number;
}

/** The text of a file, "" if there is none that can be read. */
export async function readIfAny(process: Process, path: string): Promise<string> {
  try {
    return await readText(process, path);
  } catch (error) {
    if (failedWith(error, errno.ENOENT, errno.ENOTDIR, errno.EACCES)) return "";
    throw error;
  }
}

const wordsOf = (line: string): string[] =>
  line
    .replace(/[#;].*/, "")
    .trim()
    .split(/\s+/);

/** The addresses that a hosts file gives a name, in its order. */
export function hostsOf(text: string, name: string): string[] {
  const wanted = name.toLowerCase().replace(/\.$/, "");
  return text
    .split("\n")
    .map((line) => wordsOf(line.replace(";", " ;")))
    .filter(
      ([address = "", ...names]) =>
        names.some((one) => one.toLowerCase() === wanted) && ipOf(address),
    )
    .map(([address = ""]) => address);
}

function optionOf(words: readonly string[], name: string): number | undefined {
  const word = words.find((one) => one.startsWith(`${name}:`));
  const value = Number(word?.slice(name.length + 1));
  return word !== undefined && Number.isInteger(value) ? value : undefined;
}

const within = (value: number | undefined, least: number, most: number, otherwise: number) =>
  value === undefined ? otherwise : Math.min(Math.max(value, least), most);

/** What resolv.conf says. Without a server, the one on this machine is asked. */
export function parseConfiguration(text: string): ResolverConfiguration {
  const { nameservers, search = [], options = [] } = parseResolver(text);
  const servers = nameservers.filter((address) => ipOf(address));
  return {
    servers: servers.length ? servers.slice(0, MAX_SERVERS) : ["127.0.0.1"],
    search,
    ndots: within(optionOf(options, "ndots"), 0, 15, 1),
    timeoutMs: within(optionOf(options, "timeout"), 1, 30, 5) * 1000,
    attempts: within(optionOf(options, "attempts"), 1, 5, 2),
  };
}
