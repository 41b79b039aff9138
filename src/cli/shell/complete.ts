// What can stand where the cursor of a shell is.

import fs from "node:fs";

import type { MountedVolume } from "../../image/index.ts";
import { optionsOf } from "../verbs.ts";
import { COMMANDS } from "./commands.ts";
import type { ShellScope } from "./scope.ts";
import { quoted, wordsOf } from "./words.ts";

/** More than anybody reads are not offered. */
const MAX_CANDIDATES = 1000;

/** For readline: the candidates, and what they take the place of. */
export async function completeLine(scope: ShellScope, line: string): Promise<[string[], string]> {
  const words = wordsOf(line);
  const last = words.at(-1);
  const isNew = !last || (/\s$/.test(line) && !last.open);
  const typed = isNew ? "" : last.text;
  const raw = isNew ? "" : line.slice(last.start);
  const [command] = words;
  if (!command || (words.length === 1 && !isNew))
    return [COMMANDS.filter((name) => name.startsWith(typed)).map((name) => `${name} `), raw];
  const found = typed.startsWith("-")
    ? optionsOf(command.text === "get" || command.text === "put" ? "cp" : command.text).flatMap(
        ({ names }) => names,
      )
    : await paths(scope, command.text, words.length - (isNew ? 0 : 1), typed);
  const matching = found.filter((one) => one.startsWith(typed)).slice(0, MAX_CANDIDATES);
  // What was typed stays as it is, with its quotes.
  const end = (one: string) => (isFolder(one) || last?.open ? "" : " ");
  const more = (one: string) => one.slice(typed.length);
  const written = (one: string) => raw + (last?.open ? more(one) : quoted(more(one))) + end(one);
  return [matching.map(written), raw];
}

async function paths(
  scope: ShellScope,
  command: string,
  position: number,
  typed: string,
): Promise<string[]> {
  if (command === "help") return [...COMMANDS];
  const isLocal =
    command === "lcd" ||
    (command === "put" && position === 1) ||
    (command === "get" && position === 2);
  const folder = typed.slice(0, typed.lastIndexOf("/") + 1);
  const entries = isLocal
    ? await localEntries(scope.local(folder))
    : await entriesOf(scope.volume, scope.path(folder));
  const wanted = command === "cd" || command === "lcd" ? entries.filter(isFolder) : entries;
  return wanted.map((name) => folder + name);
}

const isFolder = (name: string) => name.endsWith("/");

/** Names in a directory of a volume, directories with a slash; none if there is no such. */
export async function entriesOf({ fs: files }: MountedVolume, path: string): Promise<string[]> {
  const entries = await files.promises.readdir(path, { withFileTypes: true }).catch(() => []);
  const names = entries.map(async (entry) => {
    const folder =
      entry.isDirectory() ||
      (entry.isSymbolicLink() && (await leadsToFolder(files, `${path}/${entry.name}`)));
    return entry.name + (folder ? "/" : "");
  });
  return (await Promise.all(names)).toSorted();
}

async function leadsToFolder(files: MountedVolume["fs"], path: string): Promise<boolean> {
  const stats = await files.promises.stat(path).catch(() => null);
  return stats?.isDirectory() ?? false;
}

/** The same of a directory of this machine. */
export async function localEntries(path: string): Promise<string[]> {
  const entries = await fs.promises.readdir(path, { withFileTypes: true }).catch(() => []);
  const isDirectory = (name: string) =>
    fs.statSync(`${path}/${name}`, { throwIfNoEntry: false })?.isDirectory() ?? false;
  return entries
    .map((entry) => {
      const folder = entry.isDirectory() || (entry.isSymbolicLink() && isDirectory(entry.name));
      return entry.name + (folder ? "/" : "");
    })
    .toSorted();
}
