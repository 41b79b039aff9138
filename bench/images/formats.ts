// File systems are made, in images that are sparse files.

import { execFileSync } from "node:child_process";
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { mkfs } from "../../src/format/index.ts";
import { FileDisk } from "../../src/platform/node/file-disk.ts";
import type { Row } from "../measure.ts";
import { beside } from "./beside.ts";
import { Samples, timed } from "./samples.ts";

const GIB = 2 ** 30;
const SIZES = [
  ["1 GiB", GIB],
  ["1 TiB", 1024 * GIB],
] as const;
const ROUNDS = 5;
const MILLISECONDS = 1000;

async function make(image: string, sizeBytes: number): Promise<void> {
  using disk = new FileDisk(image, { createBytes: sizeBytes });
  await mkfs(disk, { type: "ext4", zeroed: true });
}

/** By the tool, into a sparse file that is made for it, and lasting. */
function mke2fs(image: string, sizeBytes: number): void {
  writeFileSync(image, "");
  truncateSync(image, sizeBytes);
  execFileSync("mke2fs", ["-q", "-t", "ext4", image]);
}

/** How many bytes a file system says that it has. */
function sizeOf(image: string): number {
  const text = execFileSync("dumpe2fs", ["-h", image], { encoding: "utf8", stdio: "pipe" });
  const [blocks, bytes] = ["Block count", "Block size"].map((name) =>
    Number(new RegExp(`^${name}: *(\\d+)$`, "m").exec(text)?.[1]),
  );
  return blocks * bytes;
}

export async function measureFormats(folder: string): Promise<Row[]> {
  const samples = new Samples();
  const image = join(folder, "made.ext4");
  for (const [name, sizeBytes] of SIZES)
    for (let round = 0; round <= ROUNDS; round++)
      for (const [who, work] of [
        ["ours", make],
        ["mke2fs", mke2fs],
      ] as const) {
        const seconds = await timed(() => work(image, sizeBytes));
        const size = sizeOf(image);
        if (size !== sizeBytes) throw new Error(`${who}: a file system of ${size} bytes was made`);
        if (round === 0 && sizeBytes === GIB)
          execFileSync("e2fsck", ["-fn", image], { stdio: "pipe" });
        rmSync(image);
        // The first time is for the engine to get warm.
        if (round > 0) samples.add(`${who} ${name}`, seconds * MILLISECONDS);
      }
  return SIZES.map(([name]) =>
    beside(
      `mkfs of ext4 in ${name}`,
      "ms",
      samples.of(`ours ${name}`),
      "mke2fs",
      samples.of(`mke2fs ${name}`),
    ),
  );
}
