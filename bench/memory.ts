// How much memory does a further kernel take?

import { spawnSync } from "node:child_process";
import { join } from "node:path";

import type { Benchmark } from "./measure.ts";

const library = join(import.meta.dirname, "../src/index.ts");

/** RSS in MiB of a process with so many kernels, each booted and called once. */
function residentWith(count: number, profile: string): number {
  const script = `
    import { Kernel } from ${JSON.stringify(library)};
    const kernels = [];
    for (let i = 0; i < ${count}; i++) {
      const kernel = await Kernel.boot({ image: "${profile}", memoryMiB: 32 });
      await kernel.init.getpid();
      kernels.push(kernel);
    }
    gc();
    process.stdout.write(String(process.memoryUsage.rss() / 1048576));
    process.exit(0);`;
  const args = ["--expose-gc", "--input-type=module", "--eval", script];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return Number(stdout);
}

export const memory: Benchmark = {
  question: "How much memory does a kernel with 32 MiB take?",
  async run() {
    const [none, one, some, many] = [0, 1, 16, 64].map((count) => residentWith(count, "full"));
    return [
      { item: "Node and the library, no kernel", value: none, unit: "MiB" },
      { item: "with 1 kernel", value: one, unit: "MiB" },
      { item: "with 16 kernels", value: some, unit: "MiB" },
      { item: "with 64 kernels", value: many, unit: "MiB" },
      {
        item: "each further kernel (16 to 64)",
        value: (many - some) / 48,
        unit: "MiB",
        goal: 12,
      },
    ];
  },
};
