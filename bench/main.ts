// npm run bench [-- NAME...] [--json FILE]: measures, and prints a table.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { boot } from "./boot.ts";
import { calls } from "./calls.ts";
import { file } from "./file.ts";
import type { Benchmark, Row } from "./measure.ts";
import { memory } from "./memory.ts";

const benchmarks: Record<string, Benchmark> = { boot, calls, memory, file };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" } },
});
const unknown = positionals.filter((name) => !(name in benchmarks));
if (unknown.length) {
  process.stderr.write(
    `no benchmark ${unknown.join(", ")}: ${Object.keys(benchmarks).join(", ")}\n`,
  );
  process.exit(2);
}

const number = (value: number | undefined) =>
  value === undefined ? "" : value.toLocaleString("en", { maximumSignificantDigits: 4 });

function print(question: string, rows: readonly Row[]): void {
  process.stdout.write(`\n${question}\n\n| | measured | beside | goal |\n|---|--:|--:|--:|\n`);
  for (const { item, value, unit, native, goal } of rows) {
    const cells = [number(value), number(native), number(goal)];
    const [measured, beside, wanted] = cells.map((cell) => (cell ? `${cell} ${unit}` : ""));
    process.stdout.write(`| ${item} | ${measured} | ${beside} | ${wanted} |\n`);
  }
}

const results: Record<string, readonly Row[]> = {};
process.stdout.write(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}\n`);
for (const [name, benchmark] of Object.entries(benchmarks)) {
  if (positionals.length && !positionals.includes(name)) continue;
  results[name] = await benchmark.run();
  print(benchmark.question, results[name]);
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
