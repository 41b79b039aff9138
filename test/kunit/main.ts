// npm run kunit: boots the kernel that tests itself, prints its TAP, and says what it came to.

import { readFile } from "../../src/fs/files.ts";
import { Kernel } from "../../src/index.ts";
import { KNOWN_FAILURES, KNOWN_SUITES } from "./known.ts";
import { summarize } from "./report.ts";

const lines: string[] = [];
const start = performance.now();
const kernel = await Kernel.boot({
  image: "kunit",
  memoryMiB: 1024,
  // The tests of the allocators' hardening want it on.
  commandLine: "init_on_alloc=1 init_on_free=1",
  console: ({ text }) => {
    lines.push(text);
    process.stdout.write(`${text}\n`);
  },
});
const seconds = ((performance.now() - start) / 1000).toFixed(1);
const crypto = new TextDecoder().decode(await readFile(kernel.init, "/proc/crypto"));
await kernel.halt();

const { suites, passed, failed, skipped, failures, skips } = summarize(lines);
const algorithms = crypto.match(/^selftest\s*: passed$/gm)?.length ?? 0;
const broken = crypto.match(/^selftest\s*: (?!passed).*$/gm)?.length ?? 0;
// The test of IDAs provokes warnings, and says so.
const complaints = new Set(
  lines.filter(
    (line) => /^WARNING: CPU|^BUG: |alg: .*fail/.test(line) && !line.includes("lib/idr.c"),
  ),
);

const known = failures.filter((name) => KNOWN_FAILURES.has(name) || KNOWN_SUITES.has(name));
const unknown = failures.filter((name) => !known.includes(name));
const fixed = [...KNOWN_FAILURES.keys()].filter((name) => !failures.includes(name));
const expected = failed - unknown.filter((name) => name.includes(":")).length;

const say = (text: string) => process.stdout.write(`${text}\n`);
say(
  `\n# ${suites} KUnit suites in ${seconds} s; crypto: ${algorithms} algorithms tested themselves`,
);
for (const skip of skips) say(`# skipped: ${skip}`);
for (const name of known) say(`# known to fail: ${name} (${KNOWN_FAILURES.get(name) ?? "above"})`);
for (const name of fixed) say(`# FAILED to fail: ${name}; take it off the list`);
for (const name of unknown) say(`# FAILED: ${name}`);
for (const complaint of complaints) say(`# the log complains: ${complaint}`);
say(`${passed} passed, ${failed - expected + broken} failed, ${skipped + expected} skipped`);
process.exitCode = unknown.length || fixed.length || broken || !passed ? 1 : 0;
