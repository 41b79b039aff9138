// Where the kernel's own scripts are, in the source that the kernel is built from; and how the runner
// beside them, ksft_runner.sh, would run them.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { sourceFolder } from "../../abi/headers.ts";
import { IP_VERSIONS, applyOption, configFor } from "./config.ts";
import type { Config, IpVersion } from "./config.ts";

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

/** How the runner in the folder of a script would run it; where there is none, as the kernel's does. */
export function configOf(path: string, version: IpVersion): Config {
  const config = configFor(version);
  const runner = join(dirname(path), RUNNER);
  if (!existsSync(runner)) return config;
  for (const text of optionsIn(readFileSync(runner, "utf8"), version)) {
    const [, name = "define", value = ""] = /^(?:--(\w+)=|-D\s+)(.*)$/s.exec(text) ?? [];
    applyOption(config, { name, value, line: 0 }, { file: runner, line: 0 });
  }
  return config;
}
