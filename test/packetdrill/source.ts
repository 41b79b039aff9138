// Where the kernel's own scripts are, in the source that the kernel is built from; and how the runner
// beside them, ksft_runner.sh, would run them.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { sourceFolder } from "../../abi/headers.ts";
import { IP_VERSIONS } from "./config.ts";
import type { IpVersion } from "./config.ts";
import { parseOption } from "./lexer.ts";
import type { ScriptOption } from "./lexer.ts";

export const SELFTESTS = "tools/testing/selftests/net/packetdrill";
const RUNNER = "ksft_runner.sh";

/** The paths of the scripts in a source tree. Default: the kernel's own, unpacked on first use. */
export function kernelScripts(source: string = sourceFolder()): string[] {
  const folder = join(source, SELFTESTS);
  return globSync("*.pkt", { cwd: folder })
    .toSorted()
    .map((name) => join(folder, name));
}

/** The versions of IP that a script is for: all, unless it says which. */
export function versionsOf(path: string): readonly IpVersion[] {
  const named = /^--ip_version=(\S+)/m.exec(readFileSync(path, "utf8"))?.[1];
  return named === undefined ? IP_VERSIONS : IP_VERSIONS.filter((version) => version === named);
}

/** The options that a runner has for a version: from its --ip_version to the quote or bracket behind. */
function optionsIn(runner: string, version: IpVersion): string[] {
  const start = new RegExp(`--ip_version=${version}(?![\\w-])`).exec(runner);
  if (!start) return [];
  const rest = runner.slice(start.index);
  return rest.slice(0, rest.search(/\)|"\s/)).match(/--\w+=[^\s'"]+|-D\s+[^\s'"]+/g) ?? [];
}

/** The command line by which the runner in a script's folder, if there is one, would run it. */
export function commandLineFor(path: string, version: IpVersion): ScriptOption[] {
  const runner = join(dirname(path), RUNNER);
  const told = existsSync(runner) ? optionsIn(readFileSync(runner, "utf8"), version) : [];
  return [`--ip_version=${version}`, ...told].map(
    (text) => parseOption(text) ?? { name: "define", value: text.replace(/^-D\s+/, ""), line: 0 },
  );
}
