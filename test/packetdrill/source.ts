// Where the kernel's own scripts are: in the source that the kernel is built from.

import { globSync } from "node:fs";
import { join } from "node:path";

import { sourceFolder } from "../../abi/headers.ts";

export const SELFTESTS = "tools/testing/selftests/net/packetdrill";

/** The paths of the scripts in a source tree. Default: the kernel's own, unpacked on first use. */
export function kernelScripts(source: string = sourceFolder()): string[] {
  const folder = join(source, SELFTESTS);
  return globSync("*.pkt", { cwd: folder })
    .toSorted()
    .map((name) => join(folder, name));
}
