// How long does it take until a kernel takes calls?

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { Kernel, KernelImage } from "../src/index.ts";
import { median } from "./measure.ts";
import type { Benchmark, Row } from "./measure.ts";

const ROUNDS = 9;
const top = join(import.meta.dirname, "..");

/** A process from its start to its end, in ms. */
function runProcess(...args: string[]): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", cwd: top });
  if (status !== 0) throw new Error(stderr);
  return performance.now() - start;
}

const script = (library: string, profile: string) => `
  import { enableCompileCache } from "node:module";
  enableCompileCache();
  const { Kernel } = await import(${JSON.stringify(library)});
  const kernel = await Kernel.boot({ image: "${profile}", memoryMiB: 32 });
  if (await kernel.init.getpid() !== 1) process.exit(1);
  process.exit(0);`;

async function bootsOf(profile: string): Promise<Row[]> {
  const bytes = readFileSync(join(top, `kernels/${profile}.wasm`));
  const compile: number[] = [];
  const first: number[] = [];
  const another: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let start = performance.now();
    const image = new KernelImage(new Uint8Array(bytes));
    await image.module(false);
    compile.push(performance.now() - start);
    for (const list of [first, another]) {
      start = performance.now();
      const kernel = await Kernel.boot({ image, memoryMiB: 32 });
      await kernel.init.getpid();
      list.push(performance.now() - start);
      kernel.dispose();
    }
  }
  return [
    { item: `${profile}: compile the module`, value: median(compile), unit: "ms" },
    { item: `${profile}: first boot of a module to first call`, value: median(first), unit: "ms" },
    { item: `${profile}: another kernel`, value: median(another), unit: "ms", goal: 15 },
  ];
}

export const boot: Benchmark = {
  question: "How long until a kernel takes calls?",
  async run() {
    const rows: Row[] = [];
    for (const profile of ["fs", "full"]) {
      if (!existsSync(join(top, `kernels/${profile}.wasm`))) continue;
      rows.push(...(await bootsOf(profile)));
      const library = join(top, "dist/index.js");
      if (!existsSync(library)) continue;
      const start = ["--input-type=module", "--eval", script(library, profile)];
      runProcess(...start);
      const whole = Array.from({ length: ROUNDS }, () => runProcess(...start));
      rows.push({
        item: `${profile}: whole process, start to first call to end`,
        value: median(whole),
        unit: "ms",
        goal: 100,
      });
    }
    const bare = Array.from({ length: ROUNDS }, () => runProcess("--eval", "process.exit(0)"));
    rows.push({ item: "Node alone, start to end", value: median(bare), unit: "ms" });
    return rows;
  },
};
