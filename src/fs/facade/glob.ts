// Names that match patterns, as fs.glob() of Node finds them.

import { AT_SYMLINK_NOFOLLOW } from "../../abi/constants/fcntl.ts";
import { errno } from "../../abi/errno.ts";
import { readDirents } from "./directory.ts";
import { Dirent } from "./dirent.ts";
import { failedWith } from "./errors.ts";
import type { Files } from "./files.ts";
import { append, basename, dirname, normalize } from "./paths.ts";
import { Stats } from "./stats.ts";

export interface GlobOptions {
  /** Where patterns and results start from. Default: the working directory. */
  readonly cwd?: string | URL | undefined;
  /** Leave these out: patterns, or what this is true for. */
  readonly exclude?: readonly string[] | ((entry: never) => boolean) | undefined;
  readonly withFileTypes?: boolean | undefined;
  /** Enter directories behind symbolic links with `**`. Default false. */
  readonly followSymlinks?: boolean | undefined;
}

/** One part of a pattern: any depth, a name as it is, or what names have to match. */
type Part = "**" | { readonly literal: string } | { readonly matcher: RegExp };

const MAGIC = /[*?[\]{}!+@()]/;

/** `{a,b}` and `{1..3}` written out. */
export function expandBraces(pattern: string): string[] {
  let depth = 0;
  let start = -1;
  const commas: number[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern[i];
    if (character === "\\") i++;
    else if (character === "{" && depth++ === 0) start = i;
    else if (character === "," && depth === 1) commas.push(i);
    else if (character === "}" && depth > 0 && --depth === 0) {
      const [before, after] = [pattern.slice(0, start), pattern.slice(i + 1)];
      const cuts = [start, ...commas, i];
      const body = pattern.slice(start + 1, i);
      const choices = commas.length
        ? cuts.slice(1).map((end, n) => pattern.slice(cuts[n] + 1, end))
        : sequence(body);
      if (!choices) return expandBraces(after).map((rest) => `${before}{${body}}${rest}`);
      return choices.flatMap((choice) => expandBraces(before + choice + after));
    }
  }
  return [pattern];
}

/** The most that `{1..n}` is written out to. */
const MAX_SEQUENCE = 10_000;

function sequence(body: string): string[] | undefined {
  const found = /^(-?\d+)\.\.(-?\d+)$/.exec(body);
  if (!found) return undefined;
  const [from, to] = [Number(found[1]), Number(found[2])];
  const length = Math.min(Math.abs(to - from) + 1, MAX_SEQUENCE);
  return Array.from({ length }, (_, i) => String(from < to ? from + i : from - i));
}

/** A regular expression for one part of a name. */
function matcherOf(part: string): RegExp {
  const body = translate(part);
  // A dot at the start has to be asked for.
  const hidden = part.startsWith(".") ? "" : "(?!\\.)";
  return new RegExp(`^${hidden}${body}$`, "su");
}

const EXTENDED: Readonly<Record<string, string>> = { "?": ")?", "*": ")*", "+": ")+", "@": ")" };

function translate(part: string): string {
  let out = "";
  for (let i = 0; i < part.length; i++) {
    const character = part[i];
    const group = "?*+@!".includes(character) && part[i + 1] === "(" ? closing(part, i + 1) : -1;
    if (group > 0) {
      const inner = alternatives(part.slice(i + 2, group))
        .map(translate)
        .join("|");
      out +=
        character === "!"
          ? `(?!(?:${inner})${translate(part.slice(group + 1))}$)[^/]*?`
          : `(?:${inner}${EXTENDED[character]}`;
      i = group;
    } else if (character === "*") out += "[^/]*?";
    else if (character === "?") out += "[^/]";
    else if (character === "[") {
      const [set, end] = classAt(part, i);
      out += set;
      i = end;
    } else if (character === "\\" && i + 1 < part.length) out += literal(part[++i]);
    else out += literal(character);
  }
  return out;
}

const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

function closing(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")" && --depth === 0) return i;
  }
  return -1;
}

function alternatives(text: string): string[] {
  const found: string[] = [];
  let [depth, start] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    else if (text[i] === ")") depth--;
    else if (text[i] === "|" && depth === 0) {
      found.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...found, text.slice(start)];
}

const CLASSES: Readonly<Record<string, string>> = {
  alpha: "\\p{L}",
  alnum: "\\p{L}\\p{Nd}",
  digit: "\\p{Nd}",
  lower: "\\p{Ll}",
  upper: "\\p{Lu}",
  space: "\\s",
  punct: "\\p{P}",
  xdigit: "A-Fa-f0-9",
};

/** `[…]` at a place. @returns a class, and where it ends */
function classAt(part: string, start: number): [string, number] {
  let i = start + 1;
  const negated = part[i] === "!" || part[i] === "^";
  if (negated) i++;
  let body = "";
  for (let first = true; i < part.length; i++, first = false) {
    const character = part[i];
    const named = /^\[:(\w+):\]/.exec(part.slice(i));
    if (character === "]" && !first) return [`[${negated ? "^" : ""}${body}]`, i];
    if (named && CLASSES[named[1]]) {
      body += CLASSES[named[1]];
      i += named[0].length - 1;
    } else if (character === "\\" && i + 1 < part.length) body += literal(part[++i]);
    else body += character === "-" ? "-" : literal(character);
  }
  return ["\\[", start];
}

function partsOf(pattern: string): Part[] {
  return pattern
    .split("/")
    .filter((part, i) => part !== "" && (part !== "." || i === 0) && part !== ".")
    .map((part) => {
      if (part === "**") return part;
      return MAGIC.test(part)
        ? { matcher: matcherOf(part) }
        : { literal: part.replaceAll("\\", "") };
    });
}

/** Whether a path, part by part, is matched by a pattern. */
export function matches(path: string, pattern: string): boolean {
  const names = path.split("/").filter(Boolean);
  return expandBraces(pattern).some((one) => matchFrom(names, 0, partsOf(one), 0));
}

function matchFrom(
  names: readonly string[],
  n: number,
  parts: readonly Part[],
  p: number,
): boolean {
  if (p === parts.length) return n === names.length;
  const part = parts[p];
  if (part === "**") {
    for (let skip = n; skip <= names.length; skip++)
      if (matchFrom(names, skip, parts, p + 1)) return true;
    return false;
  }
  return n < names.length && matchesPart(names[n], part) && matchFrom(names, n + 1, parts, p + 1);
}

const matchesPart = (name: string, part: Exclude<Part, "**">) =>
  "literal" in part ? name === part.literal : part.matcher.test(name);

type Found = Dirent;

/** Finds what patterns match. */
export class Glob {
  readonly #files: Files;
  readonly #cwd: string;
  readonly #options: GlobOptions;
  readonly #seen = new Set<string>();
  readonly #done = new Set<string>();

  constructor(files: Files, cwd: string, options: GlobOptions) {
    this.#files = files;
    this.#cwd = cwd;
    this.#options = options;
  }

  /** Paths as the patterns have them: relative to the cwd, or absolute. */
  async *find(patterns: readonly string[]): AsyncGenerator<string | Dirent, void, undefined> {
    for (const pattern of patterns.flatMap(expandBraces)) {
      const absolute = pattern.startsWith("/");
      const parts = partsOf(pattern);
      for await (const [path, entry] of this.#walk(absolute ? "/" : "", parts, 0, pattern)) {
        const shown = path === "" ? "." : path;
        if (this.#seen.has(shown)) continue;
        this.#seen.add(shown);
        if (this.#excluded(shown, entry)) continue;
        yield this.#options.withFileTypes ? entry : shown;
      }
    }
  }

  #excluded(path: string, entry: Found): boolean {
    const { exclude, withFileTypes } = this.#options;
    if (!exclude) return false;
    if (typeof exclude === "function")
      return (exclude as (entry: Dirent | string) => boolean)(
        withFileTypes ? entry : basename(path) || path,
      );
    return exclude.some((pattern) => matches(path, pattern));
  }

  async *#walk(
    path: string,
    parts: readonly Part[],
    at: number,
    pattern: string,
  ): AsyncGenerator<[string, Found], void, undefined> {
    const state = `${pattern}\0${at}\0${path}`;
    if (this.#done.has(state)) return;
    this.#done.add(state);
    if (at === parts.length) {
      const entry = await this.#entry(path);
      if (entry && !(pattern.endsWith("/") && !entry.isDirectory())) yield [path, entry];
      return;
    }
    const part = parts[at];
    if (part !== "**" && "literal" in part) {
      yield* this.#walk(append(path, part.literal) as string, parts, at + 1, pattern);
      return;
    }
    const deep = part === "**";
    if (deep) yield* this.#walk(path, parts, at + 1, pattern);
    for (const entry of await this.#read(path)) {
      const below = append(path, entry.name) as string;
      if (deep ? entry.name.startsWith(".") : !part.matcher.test(entry.name)) continue;
      if (this.#excluded(below, entry)) continue;
      if (!deep) yield* this.#walk(below, parts, at + 1, pattern);
      else if (this.#enters(entry)) yield* this.#walk(below, parts, at, pattern);
      else if (at === parts.length - 1) yield* this.#walk(below, parts, at + 1, pattern);
    }
  }

  #enters(entry: Dirent): boolean {
    if (entry.isSymbolicLink()) return this.#options.followSymlinks ?? false;
    return entry.isDirectory();
  }

  #full(path: string): string {
    if (path.startsWith("/")) return path;
    return path === "" ? this.#cwd : (append(this.#cwd, path) as string);
  }

  async #read(path: string): Promise<Dirent[]> {
    try {
      return (await readDirents(this.#files, this.#full(path), "utf8", false)) as Dirent[];
    } catch (error) {
      if (failedWith(error, errno.ENOENT, errno.ENOTDIR, errno.EACCES)) return [];
      throw error;
    }
  }

  /** What is there, or null. */
  async #entry(path: string): Promise<Found | null> {
    const full = this.#full(path);
    try {
      const { mode } = await this.#files.statx(
        "lstat",
        full,
        AT_SYMLINK_NOFOLLOW,
        (view) => new Stats(view),
      );
      // DT_… is the type of a mode, shifted (include/linux/fs_types.h).
      return new Dirent(basename(full), dirname(normalize(full)), mode >> 12);
    } catch (error) {
      if (failedWith(error, errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP)) return null;
      throw error;
    }
  }
}
