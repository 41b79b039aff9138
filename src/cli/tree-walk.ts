// All names below one, in a volume.

import type { MountedVolume } from "../image/index.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;

/**
 * Do something with a name and all below it, sorted, each directory before what it holds. Symbolic
 * links are not followed. Names are bytes, since they need not be UTF-8.
 */
export async function eachBelow(
  fs: MountedVolume["fs"],
  top: string | Buffer,
  work: (name: Buffer) => Promise<void>,
  depth = 0,
): Promise<void> {
  const name = Buffer.from(top);
  await work(name);
  if (!(await fs.promises.lstat(name)).isDirectory()) return;
  if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
  const slash = Buffer.from(name.at(-1) === 0x2f ? "" : "/");
  const entries = await fs.promises.readdir(name, { encoding: "buffer" });
  const sorted = entries
    .map((entry) => Buffer.from(entry))
    .toSorted((a, b) => Buffer.compare(a, b));
  for (const entry of sorted)
    await eachBelow(fs, Buffer.concat([name, slash, entry]), work, depth + 1);
}
