// The files of a Debian, copied out of an image and put into an archive.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { basename, dirname, join } from "node:path";

import { paddingOf } from "../../src/cli/tar/entry.ts";
import { archiveEnd, memberHeader } from "../../src/cli/tar/writer.ts";
import { openImage } from "../../src/image/index.ts";
import { debianRoot } from "../../test/images/debian.ts";
import type { Row } from "../measure.ts";
import { beside, EXT2FS, FUSE, LOOP } from "./beside.ts";
import type { PlaceFs } from "./place.ts";
import { has, loadExt2fs, mountersOf, openExt2fs } from "./rivals.ts";
import type { Mounter } from "./rivals.ts";
import { Samples, timed } from "./samples.ts";

const ROUNDS = 4;
const IMAGE = "1G";
const MIB = 1 << 20;
const MILLISECONDS = 1000;
const OURS = "volume.fs";
/** What every way out has to do at least, here: make the files. */
const FROM_MEMORY = "the same from memory: files are only made";
const CLI = "liblinux cp";
const DEBUGFS = "debugfs rdump";
const E2CP = "e2cp, which leaves links out";
const TAR = "liblinux tar";
const SEVEN_ZIP = "7z x, which leaves links out";
const COPIED: readonly (keyof Tree)[] = ["files", "links", "bytes", "contents", "targets"];
/** What comes out whole of those that do not copy everything; 7z makes empty files of links. */
const PARTIAL: Readonly<Record<string, readonly (keyof Tree)[]>> = {
  [E2CP]: ["files", "bytes", "contents"],
  [SEVEN_ZIP]: ["bytes"],
};
/** How many times as fast as these copying should be. */
/** Slower by far; and node-ext2fs loses memory with every file. */
const ONCE = new Set([E2CP, EXT2FS]);
const GOALS: Readonly<Record<string, number>> = { [DEBUGFS]: 4, [E2CP]: 4 };
const cli = join(import.meta.dirname, "../../src/cli/main.ts");

/** What files a tree holds. */
interface Tree {
  readonly files: number;
  readonly links: number;
  readonly bytes: number;
  /** Of files with several names only once. */
  readonly uniqueBytes: number;
  /** Of names and contents of the files. */
  readonly contents: string;
  /** Of names and targets of the links. */
  readonly targets: string;
}

/** Read a tree of this machine. */
function readTree(top: string): Tree {
  const [contents, targets] = [createHash("sha1"), createHash("sha1")];
  const counts = { files: 0, links: 0, bytes: 0, uniqueBytes: 0 };
  const seen = new Set<number>();
  const visit = (folder: string) => {
    const entries = fs.readdirSync(join(top, folder), { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const name = `${folder}/${entry.name}`;
      const path = join(top, name);
      // mke2fs makes it, and it is empty.
      if (name === "/lost+found") continue;
      if (entry.isDirectory()) visit(name);
      else if (entry.isSymbolicLink()) {
        targets.update(`${name}\0${fs.readlinkSync(path)}\0`);
        counts.links++;
      } else {
        const bytes = fs.readFileSync(path);
        contents.update(`${name}\0${bytes.length}\0`).update(bytes);
        counts.files++;
        counts.bytes += bytes.length;
        const { ino } = fs.lstatSync(path);
        if (!seen.has(ino)) counts.uniqueBytes += bytes.length;
        seen.add(ino);
      }
    }
  };
  visit("");
  return { ...counts, contents: contents.digest("hex"), targets: targets.digest("hex") };
}

/** What copying needs of an image. */
type TreeFs = Pick<PlaceFs, "readdir" | "lstat" | "readlink" | "readFile">;
type Status = Awaited<ReturnType<PlaceFs["lstat"]>>;

/** Do something with every file of an image, each directory before what it holds. */
async function walk(
  files: TreeFs,
  folder: string,
  work: (path: string, status: Status) => Promise<void>,
): Promise<void> {
  for (const name of await files.readdir(folder || "/")) {
    const path = `${folder}/${name}`;
    if (path === "/lost+found") continue;
    const status = await files.lstat(path);
    await work(path, status);
    if (status.isDirectory()) await walk(files, path, work);
  }
}

/** Do something with the files of an image: opened, mounted and closed for it. */
async function withVolume(image: string, work: (files: PlaceFs) => Promise<void>): Promise<void> {
  await using opened = await openImage(image, { readOnly: true });
  await using volume = await opened.volume().mount({ readOnly: true });
  await work(volume.fs.promises);
}

async function withExt2fs(image: string, work: (files: PlaceFs) => Promise<void>): Promise<void> {
  await using place = await openExt2fs(image);
  await work(place!.fs);
}

/** All that an image has, so that nothing is left to do but to make the files. */
async function remember(image: string): Promise<TreeFs> {
  const names = new Map<string, string[]>([["/", []]]);
  const statuses = new Map<string, Status>();
  const targets = new Map<string, string>();
  const contents = new Map<string, Uint8Array>();
  await withVolume(image, (files) =>
    walk(files, "", async (path, status) => {
      statuses.set(path, status);
      names.get(dirname(path))!.push(basename(path));
      if (status.isDirectory()) names.set(path, []);
      else if (status.isSymbolicLink()) targets.set(path, await files.readlink(path));
      else contents.set(path, await files.readFile(path));
    }),
  );
  return {
    readdir: async (path) => names.get(path)!,
    lstat: async (path) => statuses.get(path)!,
    readlink: async (path) => targets.get(path)!,
    readFile: async (path) => contents.get(path)!,
  };
}

/** With owners, modes and times, as `cp -a` does. */
async function copyOut(files: TreeFs, target: string): Promise<void> {
  const finishing: (() => void)[] = [];
  fs.mkdirSync(target);
  await walk(files, "", async (path, status) => {
    const there = join(target, path);
    const { uid, gid, mode } = status;
    const [accessed, modified] = [status.atimeMs / 1000, status.mtimeMs / 1000];
    if (status.isSymbolicLink()) {
      fs.symlinkSync(await files.readlink(path), there);
      fs.lchownSync(there, uid, gid);
      fs.lutimesSync(there, accessed, modified);
    } else if (status.isDirectory()) {
      fs.mkdirSync(there);
      finishing.push(() => {
        fs.chownSync(there, uid, gid);
        fs.chmodSync(there, mode);
        fs.utimesSync(there, accessed, modified);
      });
    } else {
      const bytes = await files.readFile(path);
      const fd = fs.openSync(there, "wx", 0o600);
      for (let done = 0; done < bytes.length;) done += fs.writeSync(fd, bytes, done);
      fs.fchownSync(fd, uid, gid);
      fs.fchmodSync(fd, mode);
      fs.futimesSync(fd, accessed, modified);
      fs.closeSync(fd);
    }
  });
  for (const finish of finishing.toReversed()) finish();
}

/** Mount an image by another way, and run something on the directory. */
async function mounted(mount: Mounter, image: string, work: (top: string) => unknown) {
  const top = `${image}-mounted`;
  fs.mkdirSync(top, { recursive: true });
  const unmount = await mount(image, top);
  try {
    await work(top);
  } finally {
    await unmount();
  }
}

const run = (program: string, ...args: string[]) =>
  void execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });

/** e2cp knows no trees: one run for each directory, with the names that are known. */
function e2cp(image: string, source: string, folder: string, target: string): void {
  fs.mkdirSync(join(target, folder));
  const entries = fs.readdirSync(join(source, folder), { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const from = files.map(({ name }) => `${image}:${folder}/${name}`);
  if (files.length) run("e2cp", "-p", ...from, join(target, folder));
  for (const entry of entries)
    if (entry.isDirectory()) e2cp(image, source, `${folder}/${entry.name}`, target);
}

/** A way to copy a tree out of an image to a directory that is not there. */
type Way = (image: string, target: string) => unknown;

/** All that this machine has, by name. */
async function waysOut(image: string, source: string, folder: string) {
  const remembered = await remember(image);
  const ways = new Map<string, Way>([
    [FROM_MEMORY, (_, to) => copyOut(remembered, to)],
    [OURS, (from, to) => withVolume(from, (files) => copyOut(files, to))],
    [CLI, (from, to) => run(process.execPath, cli, "cp", "-rpq", `${from}:/`, to)],
  ]);
  if (has("debugfs"))
    ways.set(DEBUGFS, (from, to) => {
      fs.mkdirSync(to);
      run("debugfs", "-R", `rdump / ${to}`, from);
    });
  if (has("e2cp")) ways.set(E2CP, (from, to) => e2cp(from, source, "", to));
  // It would make a file of the journal, too. That it finds links dangerous is no failure here.
  if (has("7z"))
    ways.set(SEVEN_ZIP, (from, to) => {
      spawnSync("7z", ["x", "-y", "-x![SYS]", `-o${to}`, from], { stdio: "ignore" });
    });
  for (const [name, mount] of mountersOf(image, folder))
    ways.set(name, (from, to) => mounted(mount, from, (top) => run("cp", "-a", `${top}/.`, to)));
  if (loadExt2fs()) ways.set(EXT2FS, (from, to) => withExt2fs(from, (files) => copyOut(files, to)));
  return ways;
}

function expectTree(name: string, found: Tree, made: Tree): void {
  for (const what of PARTIAL[name] ?? COPIED)
    if (found[what] !== made[what])
      throw new Error(`${name}: ${what} is ${found[what]}, and was ${made[what]} in the image`);
}

/** An archive of all that the image has, into nowhere. @returns how many bytes it has */
async function archiveOurs(files: TreeFs): Promise<number> {
  let total = 0;
  await walk(files, "", async (path, status) => {
    const type = status.isSymbolicLink() ? "symlink" : status.isDirectory() ? "directory" : "file";
    const header = memberHeader({
      type,
      name: Buffer.from(`.${path}`),
      linkName: Buffer.from(type === "symlink" ? await files.readlink(path) : ""),
      mode: status.mode & 0o7777,
      uid: status.uid,
      gid: status.gid,
      sizeBytes: type === "file" ? status.size : 0,
      modifiedNs: BigInt(Math.round(status.mtimeMs)) * 1_000_000n,
      device: { major: 0, minor: 0 },
      attributes: [],
    });
    const content = type === "file" ? await files.readFile(path) : new Uint8Array();
    total += header.length + content.length + paddingOf(content.length);
  });
  return total + archiveEnd(total).length;
}

/** What a program writes to its output; to /dev/null itself, `tar` would write nothing. */
async function outputBytes(program: string, ...args: string[]): Promise<number> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let bytes = 0;
  for await (const part of child.stdout) bytes += (part as Buffer).length;
  return bytes;
}

/** Ways to write an archive of an image, by name: each gives its length. */
function waysToArchive(image: string, folder: string): Map<string, () => Promise<number>> {
  const withOurs = async () => {
    let bytes = 0;
    await withVolume(image, async (files) => void (bytes = await archiveOurs(files)));
    return bytes;
  };
  const ways = new Map([
    [OURS, withOurs],
    [TAR, () => outputBytes(process.execPath, cli, "tar", image)],
  ]);
  for (const [name, mount] of mountersOf(image, folder))
    ways.set(name, async () => {
      let bytes = 0;
      await mounted(mount, image, async (top) => {
        bytes = await outputBytes("tar", "-C", top, "-cf", "-", ".");
      });
      return bytes;
    });
  return ways;
}

export async function measureTree(folder: string): Promise<Row[]> {
  const source = debianRoot(true);
  const [image, target] = ["tree.ext4", "target"].map((name) => join(folder, name));
  const made = readTree(source);
  run("mke2fs", "-q", "-t", "ext4", "-d", source, image, IMAGE);
  const copying = await waysOut(image, source, folder);
  const archiving = waysToArchive(image, folder);
  const samples = new Samples();
  for (let round = 0; round <= ROUNDS; round++) {
    // The first time is for the engine to get warm.
    const add = (key: string, seconds: number, name: string) => {
      if (round > 0 || ONCE.has(name)) samples.add(`${key} ${name}`, seconds * MILLISECONDS);
    };
    for (const [name, way] of copying) {
      if (round > 0 && ONCE.has(name)) continue;
      add("copy", await timed(() => way(image, target)), name);
      expectTree(name, readTree(target), made);
      fs.rmSync(target, { recursive: true });
    }
    for (const [name, way] of archiving) {
      let bytes = 0;
      const seconds = await timed(async () => void (bytes = await way()));
      if (bytes < made.uniqueBytes) throw new Error(`${name}: an archive of ${bytes} bytes`);
      add("tar", seconds, name);
    }
  }
  return rowsOf(samples, made);
}

function rowsOf(samples: Samples, { files, bytes }: Tree): Row[] {
  const what = `${files.toLocaleString("en")} files of ${Math.round(bytes / MIB)} MiB`;
  const rows = (verb: string, item: string, ours: string, names: readonly string[]) =>
    names.map((name) => {
      const [value, theirs] = [samples.of(`${verb} ${ours}`), samples.find(`${verb} ${name}`)];
      return beside(`${item}, ${ours}`, "ms", value, name, theirs, GOALS[name]);
    });
  const copy = `copy a Debian of ${what} out`;
  const tar = `make an archive of it`;
  return [
    ...rows("copy", copy, OURS, [FROM_MEMORY, DEBUGFS, E2CP, SEVEN_ZIP, LOOP, FUSE, EXT2FS]),
    ...rows("copy", copy, CLI, [LOOP, DEBUGFS]),
    ...rows("tar", tar, OURS, [LOOP, FUSE]),
    ...rows("tar", tar, TAR, [LOOP]),
  ];
}
