// What docs/http.md shows is run as it stands, and it tells of every option and exit code.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { findVerb } from "../src/cli/verbs.ts";
import { runExamples } from "./docs-examples.ts";

const top = join(import.meta.dirname, "..");
const text = readFileSync(join(top, "docs/http.md"), "utf8");

test("the example of docs/http.md", () =>
  runExamples("docs/http.md", [/^200 1\.1 hello, \/world\n\nbbr \d+\n$/]));

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
