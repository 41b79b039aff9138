// SPDX-License-Identifier: MIT
// Finds the kernel's source and installs its user-space headers for ARCH=lkl in the cache.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

const NAME = "linux-source-6.12";
const TARBALL = `/usr/src/${NAME}.tar.xz`;

export const repository: string = resolve(import.meta.dirname, "..");
export const overlay: string = join(repository, "kernel/arch/lkl");

/** Where this project keeps what it derives: sources, headers, kernels. */
export function cacheFolder(): string {
  const { LIBLINUX_CACHE, XDG_CACHE_HOME } = process.env;
  if (LIBLINUX_CACHE) return LIBLINUX_CACHE;
  return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "liblinux");
}

/** The pristine kernel source, unpacked on first use. */
export function sourceFolder(): string {
  const parent = join(cacheFolder(), "source");
  const source = join(parent, NAME);
  if (!existsSync(join(source, "Makefile"))) {
    const tarball = process.env["LINUX_TARBALL"] || TARBALL;
    if (!existsSync(tarball)) throw new Error(`neither ${source} nor ${tarball} exists`);
    mkdirSync(parent, { recursive: true });
    const temporary = mkdtempSync(join(parent, "unpack-"));
    try {
      run("tar", ["-xf", tarball, "-C", temporary]);
      renameSync(join(temporary, NAME), source);
    } catch (error) {
      if (!existsSync(join(source, "Makefile"))) throw error; // else another run was faster
    } finally {
      rmSync(temporary, { recursive: true });
    }
  }
  return source;
}

/** Runs a program to its end and returns its output; throws with its errors if it fails. */
export function run(program: string, args: readonly string[], input?: string): string {
  const done = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
    env: { ...process.env, LC_ALL: "C" },
    ...(input === undefined ? {} : { input }),
  });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    throw new Error(`${program} ${args.join(" ").slice(0, 300)}\n${done.stderr.slice(0, 4000)}`);
  }
  return done.stdout;
}

/** A key of everything that the installed headers depend on. */
function headersKey(source: string): string {
  const hash = createHash("sha256");
  const add = (path: string): void => {
    hash.update(path.slice(repository.length)).update("\0").update(readFileSync(path)).update("\0");
  };
  hash.update(NAME).update(readFileSync(join(source, "Makefile")));
  const folder = join(overlay, "include/uapi/asm");
  for (const name of readdirSync(folder).sort()) add(join(folder, name));
  add(join(overlay, "kernel/Makefile.syscalls"));
  add(join(overlay, "Makefile"));
  return hash.digest("hex").slice(0, 16);
}

/**
 * The folder of installed user-space headers. `make headers_install` runs in a
 * tree of symbolic links to the source with the overlay in its place, and
 * outside of both.
 */
export function installedHeaders(source: string): string {
  const parent = join(cacheFolder(), "abi");
  const installed = join(parent, headersKey(source));
  if (!existsSync(installed)) {
    mkdirSync(parent, { recursive: true });
    const temporary = mkdtempSync(join(parent, "headers-"));
    try {
      makeHeaders(source, temporary);
      renameSync(join(temporary, "usr/include"), installed);
    } catch (error) {
      if (!existsSync(installed)) throw error; // else another run was faster
    } finally {
      rmSync(temporary, { recursive: true });
    }
  }
  return installed;
}

/** Runs `make headers_install` for `temporary`/usr, in a tree of links to `source` and the overlay. */
function makeHeaders(source: string, temporary: string): void {
  const tree = join(temporary, "tree");
  mkdirSync(join(tree, "arch"), { recursive: true });
  for (const name of readdirSync(source)) {
    if (name !== "arch") symlinkSync(join(source, name), join(tree, name));
  }
  for (const name of readdirSync(join(source, "arch"))) {
    if (name !== "lkl") symlinkSync(join(source, "arch", name), join(tree, "arch", name));
  }
  cpSync(overlay, join(tree, "arch/lkl"), { recursive: true });
  run("make", [
    "-s",
    "-C",
    tree,
    `O=${join(temporary, "out")}`,
    "ARCH=lkl",
    `LLVM=${process.env["LLVM_SUFFIX"] ?? "-22"}`,
    "CLANG_TARGET_FLAGS_lkl=wasm32-unknown-unknown",
    `INSTALL_HDR_PATH=${join(temporary, "usr")}`,
    "headers_install",
  ]);
}
