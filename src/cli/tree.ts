// liblinux tree: a directory of an image with all below it, drawn.

import { posix } from "node:path";

import type { Dirent } from "../fs/facade/index.ts";
import type { MountedVolume } from "../image/index.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import { printable, styled, write, writeJson } from "./output.ts";
import { eachPlace, images, parseTops } from "./places.ts";
import type { Scope } from "./places.ts";
import { Problems } from "./problems.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;

interface Node {
  readonly name: string;
  readonly type: "directory" | "file" | "symlink" | "other";
  /** Of a symbolic link. */
  readonly target?: string;
  readonly children?: Node[];
}

interface Counts {
  directories: number;
  files: number;
}

export async function tree(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("tree", args, {
    ...READ_OPTIONS,
    level: { type: "string", short: "L" },
    directories: { type: "boolean", short: "d", default: false },
    json: { type: "boolean", default: false },
  });
  const level = Number(values.level ?? MAX_DEPTH);
  if (!(level >= 1)) throw new UsageError("tree", "--level: it is a number from 1 on");
  const places = parseTops(scope, "tree", positionals);
  const choice = kernelChoice("tree", values);
  const problems = new Problems("tree");
  await eachPlace(scope, places, choice, async ({ fs }, place) => {
    const { path } = place;
    const reading: Reading = {
      fs,
      directoriesOnly: values.directories,
      failed: (name, error) => problems.tell(place, name, error),
    };
    const children = await read(reading, path, Math.min(level, MAX_DEPTH));
    if (values.json) return writeJson({ name: path, type: "directory", children });
    const counts = { directories: 0, files: 0 };
    await write(`${styled("bold", printable(path))}\n`);
    await draw(children, "", counts);
    await write(`\n${counts.directories} directories, ${counts.files} files\n`);
  });
  return problems.exitCode;
}

const typeOf = (entry: Dirent): Node["type"] => {
  if (entry.isDirectory()) return "directory";
  if (entry.isSymbolicLink()) return "symlink";
  return entry.isFile() ? "file" : "other";
};

interface Reading {
  readonly fs: MountedVolume["fs"];
  readonly directoriesOnly: boolean;
  readonly failed: (name: string, error: unknown) => void;
}

async function read(reading: Reading, path: string, levels: number): Promise<Node[]> {
  const { fs, directoriesOnly, failed } = reading;
  const entries = await fs.promises.readdir(path, { withFileTypes: true });
  const nodes: Node[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const type = typeOf(entry);
    if (directoriesOnly && type !== "directory") continue;
    const here = posix.join(path, entry.name);
    const node = { name: entry.name, type };
    try {
      if (type === "directory")
        nodes.push({ ...node, children: levels > 1 ? await read(reading, here, levels - 1) : [] });
      else if (type === "symlink")
        nodes.push({ ...node, target: await fs.promises.readlink(here) });
      else nodes.push(node);
    } catch (error) {
      failed(here, error);
      nodes.push(type === "directory" ? { ...node, children: [] } : node);
    }
  }
  return nodes;
}

async function draw(nodes: readonly Node[], indent: string, counts: Counts): Promise<void> {
  for (const [i, { name, type, target, children }] of nodes.entries()) {
    const last = i === nodes.length - 1;
    const shown = styled(
      type === "directory" ? ["bold", "blue"] : type === "symlink" ? "cyan" : "reset",
      printable(name),
    );
    const arrow = target === undefined ? "" : ` -> ${printable(target)}`;
    await write(`${indent}${last ? "└── " : "├── "}${shown}${arrow}\n`);
    if (type === "directory") counts.directories++;
    else counts.files++;
    if (children) await draw(children, `${indent}${last ? "    " : "│   "}`, counts);
  }
}
