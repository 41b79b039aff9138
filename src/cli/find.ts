// liblinux find: names in an image that have what is asked for.

import { basename, matchesGlob } from "node:path/posix";

import type { BigIntStats } from "../fs/facade/index.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import { printable, write, writeJson } from "./output.ts";
import { eachPlace, images, parseTops, parseSize } from "./places.ts";
import type { Scope } from "./places.ts";
import { Problems } from "./problems.ts";
import { eachBelow } from "./tree-walk.ts";

type Test = (name: string, stats: BigIntStats) => boolean;

const TYPES: Readonly<Record<string, (stats: BigIntStats) => boolean>> = {
  f: (stats) => stats.isFile(),
  d: (stats) => stats.isDirectory(),
  l: (stats) => stats.isSymbolicLink(),
  b: (stats) => stats.isBlockDevice(),
  c: (stats) => stats.isCharacterDevice(),
  p: (stats) => stats.isFIFO(),
  s: (stats) => stats.isSocket(),
};

const OPTIONS = {
  ...READ_OPTIONS,
  name: { type: "string" },
  path: { type: "string" },
  type: { type: "string" },
  size: { type: "string" },
  newer: { type: "string" },
  uid: { type: "string" },
  gid: { type: "string" },
  print0: { type: "boolean", short: "0", default: false },
  json: { type: "boolean", default: false },
} as const;

export async function find(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("find", args, OPTIONS);
  const tests = testsOf(values);
  const places = parseTops(scope, "find", positionals);
  const found: string[] = [];
  const problems = new Problems("find");
  await eachPlace(scope, places, kernelChoice("find", values), async ({ fs }, place) => {
    const failed = (path: string, error: unknown) => problems.tell(place, path, error);
    const look = async (name: Buffer) => {
      const stats = await fs.promises.lstat(name, { bigint: true });
      const text = name.toString();
      if (!tests.every((test) => test(text, stats))) return;
      if (values.json) found.push(text);
      // With NULs between them names are bytes for a program.
      else if (values.print0) await write(Buffer.concat([name, Buffer.from([0])]));
      else await write(`${printable(text)}\n`);
    };
    await eachBelow(fs, place.path, look, failed);
  });
  if (values.json) await writeJson(found);
  return problems.exitCode;
}

interface Values {
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  readonly type?: string | undefined;
  readonly size?: string | undefined;
  readonly newer?: string | undefined;
  readonly uid?: string | undefined;
  readonly gid?: string | undefined;
}

function testsOf({ name, path, type, size, newer, uid, gid }: Values): Test[] {
  const tests: Test[] = [];
  if (name !== undefined) tests.push((text) => matchesGlob(basename(text), name));
  if (path !== undefined) tests.push((text) => matchesGlob(text, path));
  if (type !== undefined) {
    const is = TYPES[type];
    if (!is)
      throw new UsageError("find", `--type ${type}: it is one of ${Object.keys(TYPES).join(", ")}`);
    tests.push((_, stats) => is(stats));
  }
  if (size !== undefined) {
    const [, sign, digits = ""] = /^([-+]?)(.*)$/.exec(size) ?? [];
    const bytes = BigInt(parseSize("find", "--size", digits));
    if (sign === "+") tests.push((_, stats) => stats.size > bytes);
    else if (sign === "-") tests.push((_, stats) => stats.size < bytes);
    else tests.push((_, stats) => stats.size === bytes);
  }
  if (newer !== undefined) {
    const ms = Date.parse(newer);
    if (Number.isNaN(ms)) throw new UsageError("find", `--newer ${newer}: a date, as 2026-01-31`);
    tests.push((_, stats) => stats.mtimeMs > BigInt(ms));
  }
  if (uid !== undefined) tests.push((_, stats) => stats.uid === BigInt(uid));
  if (gid !== undefined) tests.push((_, stats) => stats.gid === BigInt(gid));
  return tests;
}
