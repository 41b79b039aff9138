// How fast are files in images, through volume.fs?

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Benchmark, Row } from "./measure.ts";

/** Files in memory where there are any, so that not the machine's disk is measured. */
const MEMORY = "/dev/shm";
const PARTS = {
  contents: "measureContents",
  names: "measureNames",
  tree: "measureTree",
  formats: "measureFormats",
};

/** Each in a process and a directory of its own, so that none finds what another left behind. */
function measure(module: string, name: string): Row[] {
  const folder = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "liblinux-bench-"));
  const script = `
    import { ${name} } from ${JSON.stringify(join(import.meta.dirname, `images/${module}.ts`))};
    process.stdout.write(JSON.stringify(await ${name}(${JSON.stringify(folder)})));`;
  try {
    const { status, stdout } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", script],
      { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
    );
    if (status !== 0) throw new Error(`${name} ended with ${status}`);
    return JSON.parse(stdout) as Row[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const images: Benchmark = {
  question: "How fast are files in images, through volume.fs?",
  run: async () => Object.entries(PARTS).flatMap(([module, name]) => measure(module, name)),
};
