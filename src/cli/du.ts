// liblinux du: what directories of an image take on the disk.

import type { BigIntStats } from "../fs/facade/index.ts";
import type { MountedVolume } from "../image/index.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import { formatBytes, printable, write, writeJson } from "./output.ts";
import { eachPlace, images, parseTops } from "./places.ts";
import type { Scope } from "./places.ts";
import { Problems } from "./problems.ts";
import { eachBelow } from "./tree-walk.ts";

/** What st_blocks counts. */
const BLOCK_BYTES = 512n;

interface Total {
  readonly path: string;
  bytes: number;
}

export async function du(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("du", args, {
    ...READ_OPTIONS,
    summarize: { type: "boolean", short: "s", default: false },
    "max-depth": { type: "string", short: "d" },
    apparent: { type: "boolean", default: false },
    bytes: { type: "boolean", short: "b", default: false },
    json: { type: "boolean", default: false },
  });
  const places = parseTops(scope, "du", positionals);
  const depth = values.summarize ? 0 : Number(values["max-depth"] ?? Infinity);
  if (!(depth >= 0)) throw new UsageError("du", "--max-depth: it is a number of directories");
  const sizeOf = (stats: BigIntStats) =>
    Number(values.apparent ? stats.size : stats.blocks * BLOCK_BYTES);
  const totals: Total[] = [];
  const problems = new Problems("du");
  await eachPlace(scope, places, kernelChoice("du", values), async ({ fs }, place) => {
    const { path } = place;
    const failed = (name: string, error: unknown) => problems.tell(place, name, error);
    totals.push(
      ...(await measure(fs, path, sizeOf, failed)).filter((one) => depthOf(one, path) <= depth),
    );
  });
  if (values.json) await writeJson(totals);
  else
    for (const { path, bytes } of totals)
      await write(
        `${(values.bytes ? String(bytes) : formatBytes(bytes)).padEnd(9)} ${printable(path)}\n`,
      );
  return problems.exitCode;
}

const partsOf = (path: string) => path.split("/").filter(Boolean).length;
const depthOf = ({ path }: Total, top: string) => partsOf(path) - partsOf(top);

/** Every directory below, with all that is in it; a file with several names counts once. */
async function measure(
  fs: MountedVolume["fs"],
  top: string,
  sizeOf: (stats: BigIntStats) => number,
  failed: (name: string, error: unknown) => void,
): Promise<Total[]> {
  const totals = new Map<string, Total>();
  const seen = new Set<bigint>();
  const add = async (name: Buffer) => {
    const stats = await fs.promises.lstat(name, { bigint: true });
    if (stats.nlink > 1n && !stats.isDirectory()) {
      if (seen.has(stats.ino)) return;
      seen.add(stats.ino);
    }
    const path = name.toString();
    if (stats.isDirectory() || path === top) totals.set(path, { path, bytes: 0 });
    for (let at = path; ; at = at.slice(0, at.lastIndexOf("/")) || "/") {
      const total = totals.get(at);
      if (total) total.bytes += sizeOf(stats);
      if (at === top || at === "/") break;
    }
  };
  await eachBelow(fs, top, add, failed);
  // What is in a directory comes before it.
  return [...totals.values()].toReversed();
}
