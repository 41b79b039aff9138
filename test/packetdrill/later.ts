// The packetdrill scripts of the newest kernel that Debian has, and why some of them fail here: they ask
// for what later kernels do. They are fetched, as they are not the project's.

import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";

import { run } from "../images/native.ts";
import { FILTER_SCRIPTS, TCP_SCRIPTS } from "./source.ts";

const SOURCES = "/etc/apt/sources.list.d/debian.sources";
const SUITE = "sid";
/** The package that depends on the newest source. */
const META_PACKAGE = "linux-source";

/** The machine's own archives, but of another suite; and not those of security, which have no such one. */
function sourcesOf(suite: string): string {
  return readFileSync(SOURCES, "utf8")
    .split(/\n\s*\n/)
    .filter((stanza) => /^Suites:/m.test(stanza) && !/^Suites:.*security/m.test(stanza))
    .map((stanza) => stanza.replace(/^Suites:.*$/m, `Suites: ${suite}`))
    .join("\n\n");
}

/**
 * Fetch them to a folder, with lists of its own: the machine's stay as they are. 180 MB are downloaded.
 *
 * @returns the source tree that has them, and the package's name and version
 */
export function fetchLaterScripts(folder: string): { source: string; version: string } {
  const at = (...names: string[]) => join(folder, ...names);
  for (const name of ["parts", "lists/partial", "cache/archives/partial", "source"])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at("parts/later.sources"), sourcesOf(SUITE));
  const options = [
    ["Dir::Etc::sourcelist", "/dev/null"],
    ["Dir::Etc::sourceparts", at("parts")],
    ["Dir::State::lists", at("lists")],
    ["Dir::Cache", at("cache")],
    ["Acquire::Languages", "none"],
    ["APT::Sandbox::User", "root"],
  ].flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  run("apt-get", ...options, "-qq", "update");
  const depends = run("apt-cache", ...options, "depends", META_PACKAGE);
  const name = /Depends: (linux-source-\d+\.\d+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error(`${META_PACKAGE} depends on no source: ${depends}`);
  const before = process.cwd();
  process.chdir(at("source"));
  try {
    run("apt-get", ...options, "-qq", "download", name);
    const [archive] = globSync("*.deb");
    const pipe = [
      `dpkg-deb --fsys-tarfile ${archive}`,
      `tar -xO ./usr/src/${name}.tar.xz`,
      `tar -xJ ${name}/${TCP_SCRIPTS} ${name}/${dirname(FILTER_SCRIPTS)}`,
    ].join(" | ");
    run("sh", "-c", pipe);
    return { source: at("source", name), version: archive.replace(/_all\.deb$/, "") };
  } finally {
    process.chdir(before);
  }
}

/** Why scripts fail, where it is known. */
export interface KnownFailure {
  /** Which, by the name without ".pkt". */
  readonly script: RegExp;
  /** What the failure has to say. */
  readonly says: RegExp;
  readonly reason: string;
}

export const LATER_FAILURES: readonly KnownFailure[] = [
  {
    script: /^tcp_accecn_/,
    says: /net\.ipv4\.tcp_ecn: EINVAL|tcp_ecn_option.*ENOENT|script packet: .*ECN /,
    reason: "accurate ECN (net.ipv4.tcp_ecn=3) came after Linux 6.12",
  },
  {
    script: /^tcp_rto_synack_rto_max$/,
    says: /tcp_rto_max_ms.*ENOENT|ENOENT.*tcp_rto_max_ms/,
    reason: "net.ipv4.tcp_rto_max_ms came with Linux 6.15",
  },
  {
    script: /^tcp_ooo-before-and-after-accept$/,
    says: /SK_MEMINFO_RCVBUF > 131072/,
    reason:
      "that data out of order enlarges the receive buffer (tcp_rcvbuf_grow) came after Linux 6.12",
  },
  {
    script: /^tcp_rcv_(big_endseq|wnd_shrink_allowed)$/,
    says: /live packet field tcp_(ack_seq|window)/,
    reason:
      "that segments beyond the window are dropped (TcpExtBeyondWindow) came after Linux 6.12",
  },
  {
    script: /^tcp_rcv_wnd_shrink_nomem$/,
    says: /bad value of outbound TCP option 3/,
    reason: "net.core.rmem_max was raised to 4 MiB after Linux 6.12",
  },
  {
    script: /^tcp_(rfc5961_ack-out-of-window|ts_recent_invalid_ack)$/,
    says: /Timed out waiting for packet/,
    reason: "a challenge ACK for what acknowledges data never sent came after Linux 6.12",
  },
  {
    script: /^tcp_eor_no-coalesce-retrans$/,
    says: /timing error/,
    reason:
      "timers of TCP take 2 jiffies at least: 20 ms here, 2 ms with the HZ=1000 of the scripts",
  },
];
