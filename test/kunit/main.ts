// npm run kunit: boots the kernel that tests itself, prints its TAP, and says what it came to.

import { readFile } from "../../src/fs/files.ts";
import { Kernel } from "../../src/index.ts";
import { summarize } from "./report.ts";

const lines: string[] = [];
const start = performance.now();
const kernel = await Kernel.boot({
  image: "kunit",
  memoryMiB: 1024,
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
const complaints = lines.filter((line) =>
  /^WARNING: |^BUG: |alg: .*failed|self-?test.*fail/i.test(line),
);

const say = (text: string) => process.stdout.write(`${text}\n`);
say(
  `\n# ${suites} KUnit suites in ${seconds} s; crypto: ${algorithms} algorithms tested themselves`,
);
for (const skip of skips) say(`# skipped: ${skip}`);
for (const failure of failures) say(`# FAILED: ${failure}`);
for (const complaint of complaints) say(`# the log complains: ${complaint}`);
say(`${passed} passed, ${failed + broken} failed, ${skipped} skipped`);
process.exitCode = failed || broken || failures.length || !passed ? 1 : 0;
