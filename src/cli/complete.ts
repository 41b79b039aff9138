// liblinux complete: what can stand where the cursor of somebody's shell is. For the scripts of
// `liblinux completion`.
//
// Invariants: it writes nothing but candidates, and what goes wrong is silence. No server is asked.

import fs from "node:fs";

import { UsageError } from "./errors.ts";
import { write } from "./output.ts";
import { openImage, openVolume } from "./session.ts";
import { entriesOf, localEntries } from "./shell/complete.ts";
import { wordsOf } from "./shell/words.ts";
import { optionsOf, SHELLS, verbNames, verbsWithAbout } from "./verbs.ts";

/** More than anybody reads are not offered. */
const MAX_CANDIDATES = 1000;
const MEMORY_MIB = 64;

interface Candidate {
  /** Without quotes; it is complete unless it ends with `/`, `:` or `=`. */
  readonly value: string;
  readonly about: string;
}

/**
 * `complete -- WORD...`: the words after the program's name, the last one up to the cursor, maybe
 * empty. `complete --line TEXT --breaks CHARACTERS`: all up to the cursor as it was typed, and where
 * the shell (bash) breaks words: it puts what is printed in the place of what is behind the last.
 */
export async function complete(args: string[]): Promise<number> {
  const [how, line = "", , breaks = ""] = args;
  if (how !== "--" && how !== "--line")
    throw new UsageError("complete", "it is for the scripts of liblinux completion");
  const words = how === "--" ? args.slice(1) : wordsIn(line);
  const found = await candidates(words).catch(() => []);
  const typed = words.at(-1) ?? "";
  const kept = how === "--" ? 0 : afterBreak(typed, breaks);
  const lines = found
    .filter(({ value }) => value.startsWith(typed) && !/[\t\n]/.test(value))
    .slice(0, MAX_CANDIDATES)
    .map(({ value, about }) => `${value.slice(kept)}${about && `\t${about}`}\n`);
  await write(lines.join(""));
  return 0;
}

/** Without the program; an empty one at the end if a new one begins. */
function wordsIn(line: string): string[] {
  const words = wordsOf(line);
  const begins = /\s$/.test(line) && !words.at(-1)?.open;
  return [...words.slice(1).map(({ text }) => text), ...(begins ? [""] : [])];
}

function afterBreak(typed: string, breaks: string): number {
  const places = [":", "="]
    .filter((one) => breaks.includes(one))
    .map((one) => typed.lastIndexOf(one));
  return Math.max(-1, ...places) + 1;
}

/** Values of options that are few. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  "--profile": ["fs", "full"],
  "mkfs --type": ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "exfat", "minix", "swap"],
  "find --type": ["f", "d", "l", "b", "c", "p", "s"],
  "partition --table": ["gpt", "mbr"],
  "diff --ignore": ["content", "mode", "owner", "time", "attributes"],
  "fetch --congestion": ["bbr", "cubic", "dctcp", "reno", "vegas", "westwood"],
  "fetch --request": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
  "boot --log": ["none", "err", "warning", "notice", "info", "debug"],
};

/** What follows a verb, where it is no name of a file. */
const FIRST: Readonly<Record<string, readonly string[]>> = {
  serve: ["ftp"],
  completion: SHELLS,
};

const plain = (values: readonly string[]): Candidate[] =>
  values.map((value) => ({ value, about: "" }));

async function candidates(words: readonly string[]): Promise<Candidate[]> {
  const [verb = "", ...rest] = words;
  const typed = rest.at(-1);
  if (typed === undefined) return verbsWithAbout();
  if (verb === "help") return plain(verbNames());
  const options = optionsOf(verb);
  const before = rest.at(-2);
  const option = options.find(({ names }) => before !== undefined && names.includes(before));
  if (option?.argument) {
    const long = option.names.at(-1)!;
    const values = VALUES[`${verb} ${long}`] ?? VALUES[long];
    if (values) return plain(values);
    return option.argument === "FILE" ? plain(await localNames(typed)) : [];
  }
  if (typed.startsWith("-"))
    return [...options, HELP].flatMap(({ names, about }) =>
      names.map((value) => ({ value, about })),
    );
  if (rest.length === 1 && FIRST[verb]) return plain(FIRST[verb]);
  if (verb === "net") return plain(await netWords(rest));
  return plain(await places(typed));
}

/** Of a command of `liblinux net`, or a script. */
async function netWords(rest: readonly string[]): Promise<string[]> {
  const { expectedAfter } = await import("./net/complete.ts");
  // Options of ours, before it.
  const begins = rest.findIndex((word) => !word.startsWith("-"));
  const words = expectedAfter(rest.slice(begins, -1)).filter((word) => word !== "");
  return begins === rest.length - 1
    ? [...words, ...(await localNames(rest.at(-1) ?? ""))]
    : [...words];
}

const HELP = { names: ["--help"], about: "what it does, and its options" };

/** Names of this machine, and, where those are images, what is in them. */
async function places(typed: string): Promise<string[]> {
  const image = imageOf(typed);
  if (image === null) return localNames(typed);
  const [, volume, path] = /^(?:[pP]?(\d+):)?(\/[^]*)$/.exec(typed.slice(image.length + 1)) ?? [];
  const access = { profile: null, memoryMiB: MEMORY_MIB };
  await using opened = await openImage(image, access);
  if (path === undefined) {
    const volumes = opened.volumes.filter(({ content }) => content?.kind === "filesystem");
    const numbered = volumes.filter(({ number }) => number).map(({ number }) => `${number}:/`);
    return [...(volumes.length === 1 ? ["/"] : []), ...numbered].map((end) => `${image}:${end}`);
  }
  const number = volume === undefined ? null : Number(volume);
  await using mounted = await openVolume(opened, { image, volume: number, path });
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const before = typed.slice(0, typed.length - path.length) + folder;
  return (await entriesOf(mounted, folder)).map((name) => before + name);
}

/** What is before the first colon that makes it the name of a file. */
function imageOf(typed: string): string | null {
  for (let at = typed.indexOf(":"); at >= 0; at = typed.indexOf(":", at + 1))
    if (isImage(typed.slice(0, at))) return typed.slice(0, at);
  return null;
}

function isImage(path: string): boolean {
  const stats = fs.statSync(path, { throwIfNoEntry: false });
  return (stats?.isFile() || stats?.isBlockDevice()) ?? false;
}

async function localNames(typed: string): Promise<string[]> {
  const folder = typed.slice(0, typed.lastIndexOf("/") + 1);
  const names = await localEntries(folder || ".");
  // A file that is named wholly may be an image.
  const inside = isImage(typed) ? [`${typed}:`] : [];
  return [...names.map((name) => folder + name), ...inside];
}
