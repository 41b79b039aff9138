// Which servers names are looked up at: /etc/resolv.conf (resolv.conf(5)).

import { AT_FDCWD } from "../abi/constants/fcntl.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";
import { parseIp } from "./address.ts";
import { readText, writeText } from "./text-file.ts";

const PATH = "/etc/resolv.conf";
const DIRECTORY_MODE = 0o755;

/** How names are looked up. */
export interface ResolverSettings {
  /** Addresses, in the order in which they are asked. */
  readonly nameservers: readonly string[];
  /** Domains that are tried behind a short name. */
  readonly search?: readonly string[];
  /** "ndots:2", "timeout:1"… */
  readonly options?: readonly string[];
}

/** Reads the text of a resolv.conf; what it does not know it passes over. */
export function parseResolver(text: string): ResolverSettings {
  const nameservers: string[] = [];
  let search: readonly string[] = [];
  const options: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...words] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "nameserver" && words[0]) nameservers.push(words[0]);
    // The last of these counts.
    else if (keyword === "search" || keyword === "domain") search = words;
    else if (keyword === "options") options.push(...words);
  }
  return {
    nameservers,
    ...(search.length && { search }),
    ...(options.length && { options }),
  };
}

/** @throws {InvalidOptionError} */
export function formatResolver({
  nameservers,
  search = [],
  options = [],
}: ResolverSettings): string {
  for (const [index, address] of nameservers.entries()) parseIp(address, `nameservers.${index}`);
  for (const [name, words] of Object.entries({ search, options }))
    if (words.some((word) => !/^[^\s#;]+$/.test(word)))
      throw new InvalidOptionError(name, "a word of it is empty or has a space in it");
  return [
    ...nameservers.map((address) => `nameserver ${address}\n`),
    ...(search.length ? [`search ${search.join(" ")}\n`] : []),
    ...(options.length ? [`options ${options.join(" ")}\n`] : []),
  ].join("");
}

/** The resolver's settings, as processes with the same root directory see them. */
export class ResolverConfig {
  readonly #process: Process;

  /** @internal */
  constructor(process: Process) {
    this.#process = process;
  }

  /** What is set: no servers if there is no file. */
  async get(): Promise<ResolverSettings> {
    try {
      return parseResolver(await readText(this.#process, PATH));
    } catch (error) {
      if (error instanceof SystemError && error.code === "ENOENT") return { nameservers: [] };
      throw error;
    }
  }

  /** Write it anew. @throws {InvalidOptionError} @throws {SystemError} EROFS… */
  async set(settings: ResolverSettings): Promise<void> {
    const text = formatResolver(settings);
    try {
      await this.#process.mkdirat(AT_FDCWD, "/etc", DIRECTORY_MODE);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "EEXIST")) throw error;
    }
    await writeText(this.#process, PATH, text);
  }
}
