// What docs/http.md shows is run as it stands, and it tells of every option and exit code.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { findVerb } from "../src/cli/verbs.ts";
import { temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");
const text = readFileSync(join(top, "docs/http.md"), "utf8");

const SOURCES: Readonly<Record<string, string>> = {
  "liblinux/http": "src/http/index.ts",
  "liblinux/link": "src/link/index.ts",
  "liblinux/net": "src/net/index.ts",
  "liblinux/node": "src/platform/node/index.ts",
  "liblinux/virtio": "src/virtio/index.ts",
  liblinux: "src/index.ts",
};

test("the example of docs/http.md", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
  const examples = Array.from(text.matchAll(/^```ts\n(.*?)^```$/gms), ([, code]) => code);
  assert.equal(examples.length, 1);
  let [source] = examples;
  for (const [name, path] of Object.entries(SOURCES))
    source = source.replaceAll(`"${name}"`, JSON.stringify(pathToFileURL(join(top, path)).href));
  const path = join(folder.path, "example.ts");
  writeFileSync(path, source);
  const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: folder.path });
  assert.match(stdout, /^200 1\.1 hello, \/world\n\nbbr \d+\n$/);
});

test("docs/http.md has the exit codes that the help has", () => {
  const table = text.slice(text.indexOf("| code |"), text.indexOf("## The library"));
  const told = new Set(
    Array.from(table.matchAll(/^\| ([\d, ]+) \|/gm), ([, codes]) => codes.split(", ")).flat(),
  );
  const help = findVerb("fetch").exits ?? "";
  const known = new Set(
    Array.from(help.replaceAll("400", "").matchAll(/\b\d+\b/g), ([code]) => code),
  );
  assert.deepEqual([...told].toSorted(), [...known].toSorted());
});
