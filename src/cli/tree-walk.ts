// All names below one, in a volume.

import type { MountedVolume } from "../image/index.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;

/**
 * Do something with a name and all below it, sorted, each directory before what it holds. Symbolic
 * links are not followed. Names are bytes, since they need not be UTF-8. What fails of the name itself
 * is thrown.
 *
 * @param failed is told what fails below it
 */
export async function eachBelow(
  fs: MountedVolume["fs"],
  top: string | Buffer,
  work: (name: Buffer) => Promise<void>,
  failed: (name: string, error: unknown) => void,
  depth = 0,
): Promise<void> {
  const name = Buffer.from(top);
  for (const entry of await namesAfter(fs, name, work, depth)) {
    const slash = Buffer.from(name.at(-1) === 0x2f ? "" : "/");
    const inside = Buffer.concat([name, slash, entry]);
    try {
      await eachBelow(fs, inside, work, failed, depth + 1);
    } catch (error) {
      failed(inside.toString(), error);
    }
  }
}

/** What is in it, if it is a directory. */
async function namesAfter(
  fs: MountedVolume["fs"],
  name: Buffer,
  work: (name: Buffer) => Promise<void>,
  depth: number,
): Promise<Buffer[]> {
  await work(name);
  if (!(await fs.promises.lstat(name)).isDirectory()) return [];
  if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
  const entries = await fs.promises.readdir(name, { encoding: "buffer" });
  return entries.map((entry) => Buffer.from(entry)).toSorted((a, b) => Buffer.compare(a, b));
}
