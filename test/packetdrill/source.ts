// Where the kernel's own scripts are, in the source that the kernel is built from; and how the runners
// beside them would run them.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { sourceFolder } from "../../abi/headers.ts";
import { IP_VERSIONS } from "./config.ts";
import type { IpVersion } from "./config.ts";
import { parseOption } from "./lexer.ts";
import type { ScriptOption } from "./lexer.ts";
import type { RunOptions } from "./run.ts";

/** TCP's own scripts. */
export const TCP_SCRIPTS = "tools/testing/selftests/net/packetdrill";
/** Those of connection tracking. */
export const FILTER_SCRIPTS = "tools/testing/selftests/net/netfilter/packetdrill";

const TCP_RUNNER = "ksft_runner.sh";
const FILTER_RUNNER = "../nf_conntrack_packetdrill.sh";
const FILTER_VERSIONS: readonly IpVersion[] = ["ipv4", "ipv6"];

/** The paths of the scripts in a folder of a source tree. Default: the kernel's own, unpacked on first use. */
export function kernelScripts(folder: string, source: string = sourceFolder()): string[] {
  return globSync("*.pkt", { cwd: join(source, folder) })
    .toSorted()
    .map((name) => join(source, folder, name));
}

function hasRunner(path: string, runner: string): boolean {
  return existsSync(join(dirname(path), runner));
}

/** The versions of IP that a script is for: all that its runner has, unless it says which. */
export function versionsOf(path: string): readonly IpVersion[] {
  const versions = hasRunner(path, FILTER_RUNNER) ? FILTER_VERSIONS : IP_VERSIONS;
  const named = /^--ip_version=(\S+)/m.exec(readFileSync(path, "utf8"))?.[1];
  return named === undefined ? versions : versions.filter((version) => version === named);
}

/** The options that a runner has for a version: from its --ip_version to the quote or bracket behind. */
function optionsIn(runner: string, version: IpVersion): string[] {
  const start = new RegExp(`--ip_version=${version}(?![\\w-])`).exec(runner);
  if (!start) return [];
  const rest = runner.slice(start.index);
  return rest.slice(0, rest.search(/\)|"\s/)).match(/--\w+=[^\s'"]+|-D\s+[^\s'"]+/g) ?? [];
}

/** An option of a command line, -D too. */
function readOption(text: string): ScriptOption {
  return parseOption(text) ?? { name: "define", value: text.replace(/^-D\s+/, ""), line: 0 };
}

/** What the runner in a script's folder, if there is one, would run it with. */
export function setupFor(
  path: string,
  version: IpVersion,
): Required<Pick<RunOptions, "options" | "environment">> {
  const options = [`--ip_version=${version}`];
  const environment = new Map<string, string>();
  if (hasRunner(path, TCP_RUNNER))
    options.push(...optionsIn(readFileSync(join(dirname(path), TCP_RUNNER), "utf8"), version));
  else if (hasRunner(path, FILTER_RUNNER)) {
    // That one has its options in the lines of a program: run_packetdrill().
    const mtu = version === "ipv6" ? 1520 : 1500;
    options.push(`--mtu=${mtu}`, "--tolerance_usecs=1000000", "--non_fatal=packet");
    environment.set("NFCT_IP_VERSION", version);
    environment.set("xtables", version === "ipv6" ? "ip6tables" : "iptables");
  }
  return { options: options.map(readOption), environment };
}
