// How fast are files in images, through volume.fs?

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { measureContents } from "./images/contents.ts";
import { measureFormats } from "./images/formats.ts";
import { measureNames } from "./images/names.ts";
import { measureTree } from "./images/tree.ts";
import type { Benchmark, Row } from "./measure.ts";

/** Files in memory where there are any, so that not the machine's disk is measured. */
const MEMORY = "/dev/shm";

/** Each gets a directory of its own, which is removed after it. */
const PARTS = [measureContents, measureNames, measureTree, measureFormats];

export const images: Benchmark = {
  question: "How fast are files in images, through volume.fs?",
  async run() {
    const rows: Row[] = [];
    const parent = existsSync(MEMORY) ? MEMORY : tmpdir();
    for (const measure of PARTS) {
      const folder = mkdtempSync(join(parent, "liblinux-bench-"));
      try {
        rows.push(...(await measure(folder)));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
    return rows;
  },
};
