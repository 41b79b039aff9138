// Two trees are compared, and what they have different is told.

import type { FileType } from "../fs/stat.ts";
import { differentAttributes, mergedNames, sameContent, sameTime, typeOf } from "./compare.ts";
import type { Exclusion, Side } from "./compare.ts";
import { joinPath } from "./copy-in.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";
import { at, withoutCall } from "./errors.ts";
import { deviceParts } from "./metadata.ts";
import { formatTime, printable, styled, write } from "./output.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;
/** Node's times are doubles. */
const HOST_GRAIN_NS = 1000n;
export const ASPECTS = ["content", "mode", "owner", "time", "attributes"] as const;
export type Aspect = (typeof ASPECTS)[number];

export interface DiffOptions {
  readonly ignore: ReadonlySet<Aspect>;
  readonly exclude: Exclusion;
  readonly json: boolean;
}

/** What is different of a file; of what tells itself, in a and in b. */
type Details = Record<string, readonly [string, string] | readonly string[]>;

export interface Found {
  readonly path: string;
  readonly change: "added" | "removed" | "changed";
  readonly type: FileType;
  readonly details: Details;
}

/** A directory, or a file, to be compared. */
export interface Tree extends AsyncDisposable {
  readonly source: CopySource;
  readonly path: Buffer;
  readonly name: string;
}

export class Differ {
  readonly #options: DiffOptions;
  /** Files with several names that are the same. */
  readonly #same = new Map<string, string>();
  #prefix = "";
  readonly found: Found[] = [];
  count = 0;
  failures = 0;

  constructor(options: DiffOptions) {
    this.#options = options;
  }

  async run(a: Tree, b: Tree, prefix: string): Promise<void> {
    this.#prefix = prefix;
    this.#same.clear();
    const [topA, topB] = await Promise.all([a, b].map(resolved));
    await this.#both(topA, topB, Buffer.alloc(0), 0);
  }

  /** A volume that the other image has not. */
  async only(prefix: string, inA: boolean): Promise<void> {
    await this.#note({
      path: prefix,
      change: inA ? "removed" : "added",
      type: "directory",
      details: {},
    });
  }

  async #both(a: Side, b: Side, inside: Buffer, depth: number): Promise<void> {
    const details = await this.#details(a, b);
    if (Object.keys(details).length)
      await this.#note({
        path: this.#name(inside),
        change: "changed",
        type: typeOf(b.status),
        details,
      });
    if (typeOf(a.status) !== "directory" || typeOf(b.status) !== "directory") return;
    if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
    const names = mergedNames(await a.source.names(a.path), await b.source.names(b.path));
    for (const { name, inA, inB } of names) {
      const here = inside.length ? joinPath(inside, name) : name;
      if (this.#options.exclude.has(here)) continue;
      await this.#child(inA ? a : null, inB ? b : null, name, here, depth + 1);
    }
  }

  async #child(
    folderA: Side | null,
    folderB: Side | null,
    name: Buffer,
    inside: Buffer,
    depth: number,
  ): Promise<void> {
    try {
      const a = folderA && (await childOf(folderA, name));
      const b = folderB && (await childOf(folderB, name));
      if (a && b) return await this.#both(a, b, inside, depth);
      const one = (a ?? b)!;
      const change = a ? "removed" : "added";
      const path = this.#name(inside);
      return await this.#note({ path, change, type: typeOf(one.status), details: {} });
    } catch (error) {
      this.failures++;
      const path = printable(this.#name(inside));
      return void process.stderr.write(`liblinux: diff ${path}: ${withoutCall(error)}\n`);
    }
  }

  #name(inside: Buffer): string {
    return `${this.#prefix}/${inside.toString()}`;
  }

  async #details(a: Side, b: Side): Promise<Details> {
    const { ignore } = this.#options;
    const details: Details = {};
    const compare = (what: string, inA: string, inB: string) => {
      if (inA !== inB) details[what] = [inA, inB];
    };
    const type = typeOf(a.status);
    if (type !== typeOf(b.status)) {
      details["type"] = [type, typeOf(b.status)];
      return details;
    }
    if (!ignore.has("content")) await this.#content(a, b, details);
    if (!ignore.has("mode") && type !== "symlink")
      compare("mode", modeOf(a.status), modeOf(b.status));
    if (!ignore.has("owner")) compare("owner", ownerOf(a.status), ownerOf(b.status));
    const onHost = !a.source.hasAttributes || !b.source.hasAttributes;
    const [timeA, timeB] = [a.status.mtimeNs, b.status.mtimeNs];
    const same = onHost
      ? sameTime(timeA, timeB, HOST_GRAIN_NS) || sameTime(timeB, timeA, HOST_GRAIN_NS)
      : timeA === timeB;
    if (!ignore.has("time") && !same) compare("time", formatTime(timeA), formatTime(timeB));
    if (!ignore.has("attributes") && !onHost) {
      const names = await differentAttributes(a, b);
      if (names.length) details["attributes"] = names;
    }
    return details;
  }

  async #content(a: Side, b: Side, details: Details): Promise<void> {
    const type = typeOf(a.status);
    const compare = (what: string, inA: string, inB: string) => {
      if (inA !== inB) details[what] = [inA, inB];
    };
    if (type === "symlink") {
      const [inA, inB] = [await a.source.target(a.path), await b.source.target(b.path)];
      if (!inA.equals(inB)) details["target"] = [inA.toString(), inB.toString()];
    } else if (type === "file") {
      if (a.status.size !== b.status.size)
        compare("size", String(a.status.size), String(b.status.size));
      else if (!(await this.#sameContent(a, b))) details["content"] = [];
    } else if (type === "character device" || type === "block device")
      compare("device", deviceOf(a.status), deviceOf(b.status));
  }

  /** A file with several names is read once. */
  async #sameContent(a: Side, b: Side): Promise<boolean> {
    if (a.status.nlink === 1n || b.status.nlink === 1n) return sameContent(a, b);
    const [keyA, keyB] = [a, b].map(({ status: { dev, ino } }) => `${dev}:${ino}`);
    if (this.#same.get(keyA) === keyB) return true;
    const same = await sameContent(a, b);
    if (same) this.#same.set(keyA, keyB);
    return same;
  }

  async #note(found: Found): Promise<void> {
    this.count++;
    if (this.#options.json) this.found.push(found);
    else await write(lineOf(found));
  }
}

/** As the user names it, a link means what it points to. */
async function resolved({ source, path, name }: Tree): Promise<Side> {
  try {
    const whole = await source.resolve(path);
    return { source, path: whole, status: await source.status(whole) };
  } catch (error) {
    throw at(name, error);
  }
}

async function childOf({ source, path }: Side, name: Buffer): Promise<Side> {
  const whole = joinPath(path, name);
  return { source, path: whole, status: await source.status(whole) };
}

const modeOf = ({ mode }: SourceStatus) =>
  Number(mode & 0o7777n)
    .toString(8)
    .padStart(4, "0");
const ownerOf = ({ uid, gid }: SourceStatus) => `${uid}:${gid}`;

function deviceOf({ rdev }: SourceStatus): string {
  const { major, minor } = deviceParts(rdev);
  return `${major},${minor}`;
}

const SIGNS = {
  added: ["green", "+"],
  changed: ["yellow", "~"],
  removed: ["red", "-"],
} as const;

function lineOf({ path, change, type, details }: Found): string {
  const [colour, sign] = SIGNS[change];
  const slash = type === "directory" && !/[/:]$/.test(path) ? "/" : "";
  const texts = Object.entries(details).map(([what, values]) => {
    const [inA, inB] = values;
    if (what === "attributes") return `attributes ${values.map(printable).join(" ")}`;
    return inA === undefined ? what : `${what} ${printable(inA)} -> ${printable(inB)}`;
  });
  const why = texts.length ? `: ${texts.join(", ")}` : "";
  return `${styled(colour, `${sign} ${printable(path)}${slash}`)}${why}\n`;
}
