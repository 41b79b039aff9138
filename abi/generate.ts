// SPDX-License-Identifier: MIT
// Writes src/abi from the kernel's headers; with --check, names what differs and exits 1.

import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseArgs } from "node:util";

import { callsFile, numbersFile, stubs } from "./calls.ts";
import { Clang } from "./clang.ts";
import { structBase } from "./classes.ts";
import { constantFiles } from "./constants.ts";
import { errnoFile } from "./errno.ts";
import { installedHeaders, repository, sourceFolder } from "./headers.ts";
import { hostFile } from "./host.ts";
import { declarations, definitions, systemCallTable } from "./prototypes.ts";
import { structFiles } from "./structs.ts";
import { banner } from "./write.ts";

/** The generated files, by their path in src/abi. */
function generate(): Map<string, string> {
  const source = sourceFolder();
  const headers = installedHeaders(source);
  const clang = new Clang(headers);
  const calls = systemCallTable(source, clang);
  const files = new Map<string, string>();
  files.set("numbers.ts", numbersFile(calls));
  files.set("errno.ts", errnoFile(source, headers, clang));
  files.set("calls.ts", callsFile(stubs(calls, declarations(source, clang), definitions(source))));
  for (const [name, text] of constantFiles(source, headers, clang).files) files.set(name, text);
  for (const [name, text] of structFiles(source, clang)) files.set(name, text);
  files.set("struct.ts", `${banner}${structBase}`);
  const host = hostFile(headers, clang);
  if (host !== undefined) files.set("host.ts", host);
  return files;
}

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const output = join(repository, "src/abi");
const files = generate();
// Only what an earlier run wrote: a file that somebody put there by hand is not ours to remove.
const stale = globSync("**/*.ts", { cwd: output }).filter(
  (name) => !files.has(name) && readFileSync(join(output, name), "utf8").startsWith(banner),
);
const differing = [...files.keys()].filter((name) => {
  const path = join(output, name);
  return !existsSync(path) || readFileSync(path, "utf8") !== files.get(name);
});
if (values.check) {
  for (const name of [...differing, ...stale]) {
    console.error(`differs: ${relative(repository, join(output, name))}`);
  }
  if (differing.length + stale.length > 0) process.exitCode = 1;
} else {
  for (const name of stale) rmSync(join(output, name));
  for (const name of differing) {
    const path = join(output, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, files.get(name) as string);
  }
  console.log(`${files.size} files, ${differing.length} written, ${stale.length} removed`);
}
