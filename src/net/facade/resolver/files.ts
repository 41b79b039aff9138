// /etc/hosts and /etc/resolv.conf: hosts(5), resolv.conf(5).

import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "../../../abi/constants/fcntl.ts";
import { errno } from "../../../abi/errno.ts";
import type { Process } from "../../../syscall/process.ts";
import { ipOf } from "../../address.ts";
import { failedWith } from "../errors.ts";

const CHUNK_BYTES = 4096;
/** A file that is longer is read so far. */
const MAX_FILE_BYTES = 1 << 20;
const MAX_SERVERS = 3;
const decoder = new TextDecoder();

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

/** The text of a file, "" if there is none. */
export async function readText(process: Process, path: string): Promise<string> {
  let fd: number;
  try {
    fd = await process.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  } catch (error) {
    if (failedWith(error, errno.ENOENT, errno.ENOTDIR, errno.EACCES)) return "";
    throw error;
  }
  try {
    const parts: string[] = [];
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let total = 0; total < MAX_FILE_BYTES;) {
      const count = await process.read(fd, chunk, chunk.length);
      if (!count) break;
      total += count;
      parts.push(decoder.decode(chunk.subarray(0, count), { stream: true }));
    }
    return parts.join("") + decoder.decode();
  } finally {
    await process.close(fd);
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
  const lines = text.split("\n").map(wordsOf);
  const servers = lines
    .filter(([key, address = ""]) => key === "nameserver" && ipOf(address))
    .map(([, address = ""]) => address);
  const search = lines.findLast(([key]) => key === "search" || key === "domain")?.slice(1) ?? [];
  const options = lines.filter(([key]) => key === "options").flatMap((words) => words.slice(1));
  return {
    servers: servers.length ? servers.slice(0, MAX_SERVERS) : ["127.0.0.1"],
    search,
    ndots: within(optionOf(options, "ndots"), 0, 15, 1),
    timeoutMs: within(optionOf(options, "timeout"), 1, 30, 5) * 1000,
    attempts: within(optionOf(options, "attempts"), 1, 5, 2),
  };
}
