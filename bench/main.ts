// npm run bench [-- NAME...] [--json FILE]: measures, and prints a table.

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { boot } from "./boot.ts";
import { calls } from "./calls.ts";
import { file } from "./file.ts";
import { images } from "./images.ts";
import { isReached, timesAsFast } from "./measure.ts";
import type { Benchmark, Row } from "./measure.ts";
import { memory } from "./memory.ts";
import { net } from "./net.ts";
import { sockets } from "./sockets.ts";

const benchmarks: Record<string, Benchmark> = { boot, calls, memory, file, images, net, sockets };

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

const number = (value: number | undefined, digits = 4) =>
  value?.toLocaleString("en", { maximumSignificantDigits: digits });

function cellsOf(row: Row): string[] {
  const { value, unit, native, goal } = row;
  const [measured, beside, wanted] = [value, native ?? undefined, goal].map((amount) => {
    const text = number(amount);
    return text === undefined ? "" : `${text} ${unit}`;
  });
  const times = number(timesAsFast(row), 3);
  const reached = isReached(row);
  return [
    measured,
    native === null ? "missing" : beside,
    times === undefined ? "" : `${times} ×`,
    wanted,
    reached === undefined ? "" : reached ? "reached" : "**missed**",
  ];
}

function print(question: string, rows: readonly Row[]): void {
  const heads = ["", "measured", "beside", "times as fast", "goal", "verdict"];
  process.stdout.write(`\n${question}\n\n| ${heads.join(" | ")} |\n|---|--:|--:|--:|--:|---|\n`);
  for (const row of rows) process.stdout.write(`| ${[row.item, ...cellsOf(row)].join(" | ")} |\n`);
}

const results: Record<string, readonly Row[]> = {};
process.stdout.write(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}\n`);
for (const [name, benchmark] of Object.entries(benchmarks)) {
  if (positionals.length && !positionals.includes(name)) continue;
  results[name] = await benchmark.run();
  print(benchmark.question, results[name]);
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
