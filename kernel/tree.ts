// SPDX-License-Identifier: GPL-2.0
// The source tree in the cache: Debian's, with patches applied and the overlay
// laid over it.

import { execFileSync } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";

import { LINUX_SERIES, type Toolchain } from "./toolchain.ts";

const STAMP = ".liblinux-patches";

/** Files below @dir, relative to it, sorted; none if there is no such directory. */
export function filesBelow(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .sort();
}

/** Adds the names and contents of the files below @dir to @hash. */
export function hashFiles(hash: Hash, dir: string): void {
  for (const file of filesBelow(dir)) {
    const bytes = readFileSync(join(dir, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
}

/** Makes @source hold the patched kernel with the overlay of @kernelDir; touches only what differs. */
export function prepareTree(source: string, kernelDir: string, tools: Toolchain): void {
  const patchDir = join(kernelDir, "patches");
  const hash = createHash("sha256");
  hashFiles(hash, patchDir);
  const stamp = hash.digest("hex");
  const stampFile = join(source, STAMP);
  if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp) {
    unpack(source, tools);
    for (const patch of filesBelow(patchDir).filter((name) => name.endsWith(".patch"))) {
      execFileSync("patch", ["-p1", "-s", "-i", join(patchDir, patch)], {
        cwd: source,
        stdio: "inherit",
      });
    }
    writeFileSync(stampFile, stamp);
  }
  copyChanged(join(kernelDir, "arch"), join(source, "arch"), "lkl");
}

function unpack(source: string, tools: Toolchain): void {
  rmSync(source, { recursive: true, force: true });
  mkdirSync(dirname(source), { recursive: true });
  const temporary = mkdtempSync(join(dirname(source), "unpack-"));
  execFileSync("tar", ["-xf", tools.tarball, "-C", temporary], { stdio: "inherit" });
  renameSync(join(temporary, `linux-source-${LINUX_SERIES}`), source);
  rmSync(temporary, { recursive: true });
}

/** Makes @to/@name equal to @from/@name; files that are equal keep their time, so make leaves them. */
function copyChanged(from: string, to: string, name: string): void {
  const wanted = new Set(filesBelow(join(from, name)));
  for (const file of filesBelow(join(to, name))) {
    if (!wanted.has(file)) rmSync(join(to, name, file));
  }
  for (const file of wanted) {
    const target = join(to, name, file);
    const bytes = readFileSync(join(from, name, file));
    if (existsSync(target) && readFileSync(target).equals(bytes)) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes, { mode: statSync(join(from, name, file)).mode });
  }
}
