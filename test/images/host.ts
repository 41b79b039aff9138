// Trees of files on the machine that runs the tests: written from a description, and read; and
// what else that machine can do with images of file systems.

import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

import { EVERYTHING, hashOf, isSparse, linkFinder } from "./facts.ts";
import type { Fact, Facts, Keeps } from "./facts.ts";
import { pathOf } from "./guest.ts";
import { emptyImage, run, runWith, temporaryFolder } from "./native.ts";
import { heldItems } from "./sample.ts";
import type { Item } from "./sample.ts";

const isRoot = process.getuid?.() === 0;

/** Whether something works on this machine. */
function works(what: () => unknown): boolean {
  try {
    what();
    return true;
  } catch {
    return false;
  }
}

/** The kinds of extended attributes that files below the folder of temporary files can have. */
function xattrsKept(): string[] {
  using folder = temporaryFolder();
  return EVERYTHING.xattrs.filter((start) =>
    works(() =>
      start.startsWith("system.")
        ? run("setfacl", "-m", "u:1000:rwx", folder.path)
        : run("setfattr", "-n", `${start}x`, "-v", "1", folder.path),
    ),
  );
}

/** What a folder of this machine keeps: less, if the tests are not run by root. */
export const HOST: Keeps = {
  ...EVERYTHING,
  owners: isRoot ? EVERYTHING.owners : 0,
  devices: isRoot,
  deviceNumbers: 0xfffff,
  // Only a program that listens makes one.
  sockets: false,
  xattrs: xattrsKept(),
};

const seconds = (ns: bigint) => {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return `${(ns - rest) / 1_000_000_000n}.${`${rest}`.padStart(9, "0")}`;
};

/** As getfattr(1) writes names, and setfattr(1) reads them. */
const quoted = (path: string) =>
  path.replaceAll(
    /[\\\n\r]|[^ -~]/g,
    (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`,
  );
const unquoted = (text: string) =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

/** Write all that this machine can hold of a tree into a folder. */
export function writeNativeTree(root: string, items: readonly Item[], keeps: Keeps): void {
  const held = heldItems(items, keeps);
  const dump: string[] = [];
  for (const one of held) {
    create(root, one);
    const wanted = Object.entries(one.xattrs).filter(
      ([name, value]) =>
        keeps.xattrs.some((start) => name.startsWith(start)) && value.length <= keeps.xattrBytes,
    );
    if (!wanted.length) continue;
    dump.push(`# file: ${quoted(one.path)}`);
    for (const [name, value] of wanted) dump.push(`${name}=0x${value.toString("hex")}`);
    dump.push("");
  }
  for (const one of held.toReversed()) adorn(root, one, keeps);
  if (dump.length) runIn(root, dump.join("\n"), "setfattr", "-h", "--restore=-");
  for (const one of held.toReversed()) setTime(pathOf(root, one.path), one);
}

function runIn(folder: string, input: string, command: string, ...args: string[]): string {
  return runWith(input, "env", "-C", folder, command, ...args);
}

function create(root: string, one: Item): void {
  const path = pathOf(root, one.path);
  if (one.sameAs !== undefined) linkSync(pathOf(root, one.sameAs), path);
  else if (one.kind === "directory") mkdirSync(path);
  else if (one.kind === "symlink") symlinkSync(Buffer.from(one.target, "latin1"), path);
  else if (one.kind === "file") {
    const fd = openSync(path, "wx");
    for (const { at, bytes } of one.parts) writeSync(fd, bytes, 0, bytes.length, at);
    ftruncateSync(fd, one.size);
    closeSync(fd);
  } else {
    const letter = { "character device": "c", "block device": "b", fifo: "p", socket: "" }[
      one.kind
    ];
    const numbers = letter === "p" ? [] : [`${one.major}`, `${one.minor}`];
    run("mknod", path.toString(), letter, ...numbers);
  }
}

function adorn(root: string, one: Item, keeps: Keeps): void {
  const path = pathOf(root, one.path);
  if (one.sameAs !== undefined) return;
  const known = (id: number) => (id <= keeps.owners ? id : 0);
  if (keeps.owners) lchownSync(path, known(one.uid), known(one.gid));
  if (one.kind !== "symlink") chmodSync(path, one.mode);
}

/** Node's own takes a number, which has not room enough for nanoseconds. */
function setTime(path: Buffer, one: Item): void {
  if (one.mtimeNs % 1_000_000_000n)
    run("touch", "-h", "-d", `@${seconds(one.mtimeNs)}`, path.toString());
  else
    lutimesSync(path, Number(one.mtimeNs / 1_000_000_000n), Number(one.mtimeNs / 1_000_000_000n));
}

const KINDS: readonly (readonly [keyof Kindly, string])[] = [
  ["isFile", "file"],
  ["isDirectory", "directory"],
  ["isSymbolicLink", "symlink"],
  ["isCharacterDevice", "character device"],
  ["isBlockDevice", "block device"],
  ["isFIFO", "fifo"],
  ["isSocket", "socket"],
];
type Kindly = Record<
  | "isFile"
  | "isDirectory"
  | "isSymbolicLink"
  | "isCharacterDevice"
  | "isBlockDevice"
  | "isFIFO"
  | "isSocket",
  () => boolean
>;

/** As stat(2) has it (include/linux/kdev_t.h, but with 64 bits). */
const deviceOf = (number: bigint) =>
  `${((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)}:${(number & 0xffn) | ((number >> 12n) & ~0xffn)}`;

/** All that is below a folder of this machine. */
export function readNativeTree(root: string): Facts {
  const facts = new Map<string, Fact>();
  const xattrs = readXattrs(root);
  const firstOf = linkFinder();
  const visit = (folder: string) => {
    const names = readdirSync(folder ? pathOf(root, folder) : root, { encoding: "buffer" });
    for (const name of names.map((bytes) => bytes.toString("latin1")).toSorted()) {
      const path = folder ? `${folder}/${name}` : name;
      if (path === "lost+found") continue;
      const bytes = pathOf(root, path);
      const status = lstatSync(bytes, { bigint: true });
      const kind = KINDS.find(([is]) => status[is]())?.[1] ?? "unknown";
      const isFile = kind === "file";
      const sameAs =
        kind !== "directory" && status.nlink > 1n ? firstOf(status.ino, path) : undefined;
      facts.set(path, {
        kind,
        mode: Number(status.mode & 0o7777n),
        uid: Number(status.uid),
        gid: Number(status.gid),
        size: isFile || kind === "symlink" ? Number(status.size) : 0,
        mtimeNs: status.mtimeNs,
        xattrs: xattrs.get(path) ?? {},
        ...(kind === "symlink" && {
          target: readlinkSync(bytes, { encoding: "buffer" }).toString("latin1"),
        }),
        ...(kind.endsWith("device") && { device: deviceOf(status.rdev) }),
        ...(isFile && {
          hash: hashOf(readFileSync(bytes)),
          sparse: isSparse(Number(status.size), Number(status.blocks) * 512),
        }),
        ...(sameAs !== undefined && { sameAs }),
      });
      if (kind === "directory") visit(path);
    }
  };
  visit("");
  return facts;
}

function readXattrs(root: string): Map<string, Record<string, string>> {
  const found = new Map<string, Record<string, string>>();
  const text = runIn(root, "", "getfattr", "-h", "-R", "-P", "-d", "-m", "-", "-e", "hex", ".");
  for (const block of text.split("\n\n")) {
    const [head = "", ...lines] = block.split("\n");
    const path = unquoted(head.replace(/^# file: /, "")).replace(/^\.\//, "");
    const values: Record<string, string> = {};
    for (const line of lines) {
      const at = line.indexOf("=");
      if (at < 0) values[unquoted(line)] = "";
      else values[unquoted(line.slice(0, at))] = line.slice(at + 1).replace(/^0x|^""$/, "");
    }
    found.set(path, values);
  }
  return found;
}

/** Whether this machine's kernel mounts these images, for this user. */
export function mountsNatively(images: readonly string[], type: string, options: string): boolean {
  return hasLoops() && works(() => withNativeMount(images, type, options, () => {}));
}

/** Block devices of images, as long as a function runs. */
export function withLoops<T>(images: readonly string[], use: (devices: string[]) => T): T {
  const loops: string[] = [];
  try {
    for (const image of images) loops.push(run("losetup", "-f", "--show", image).trim());
    return use(loops);
  } finally {
    for (const loop of loops) run("losetup", "-d", loop);
  }
}

let loopsWork: boolean | undefined;

/** Whether this machine makes block devices of images, for this user. */
export function hasLoops(): boolean {
  if (loopsWork === undefined) {
    using folder = temporaryFolder();
    const image = emptyImage(join(folder.path, "image"), 1);
    loopsWork = isRoot && works(() => withLoops([image], () => {}));
  }
  return loopsWork;
}

/** Have this machine's kernel mount images, of one file system, as long as a function runs. */
export function withNativeMount<T>(
  images: readonly string[],
  type: string,
  options: string,
  use: (folder: string) => T,
): T {
  using parent = temporaryFolder();
  const folder = join(parent.path, "mount");
  mkdirSync(folder);
  return withLoops(images, ([first = "", ...others]) => {
    const all = [options, ...others.map((loop) => `device=${loop}`)].filter(Boolean).join(",");
    run("mount", "-t", type, ...(all ? ["-o", all] : []), first, folder);
    try {
      return use(folder);
    } finally {
      run("umount", folder);
      rmdirSync(folder);
    }
  });
}

/** The description of what is below a folder, to be written elsewhere. */
export function itemsIn(root: string): Item[] {
  const items: Item[] = [];
  for (const [path, fact] of readNativeTree(root)) {
    const [major = 0, minor = 0] = (fact.device ?? "").split(":").map(Number);
    const bytes = fact.kind === "file" ? readFileSync(pathOf(root, path)) : new Uint8Array(0);
    items.push({
      path,
      kind: fact.kind as Item["kind"],
      mode: fact.mode,
      uid: fact.uid,
      gid: fact.gid,
      mtimeNs: fact.mtimeNs,
      xattrs: Object.fromEntries(
        Object.entries(fact.xattrs).map(([name, value]) => [name, Buffer.from(value, "hex")]),
      ),
      parts: bytes.length ? [{ at: 0, bytes }] : [],
      size: bytes.length,
      target: fact.target ?? "",
      major,
      minor,
      ...(fact.sameAs !== undefined && { sameAs: fact.sameAs }),
    });
  }
  return items;
}
