// SPDX-License-Identifier: GPL-2.0
// What the kernel build needs from the machine: a source package and tools.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { env } from "node:process";

/** The suffix of the LLVM tools, as kbuild's LLVM= takes it. */
export const LLVM_SUFFIX = "-22";

/** Major and minor version of Linux; the source package carries them in its name. */
export const LINUX_SERIES = "6.12";

const SOURCE_PACKAGE = `linux-source-${LINUX_SERIES}`;
const DEFAULT_TARBALL = `/usr/src/${SOURCE_PACKAGE}.tar.xz`;

/** Each tool and the Debian package that has it. */
const TOOLS: readonly (readonly [tool: string, debianPackage: string])[] = [
  [`clang${LLVM_SUFFIX}`, `clang${LLVM_SUFFIX}`],
  [`wasm-ld${LLVM_SUFFIX}`, `lld${LLVM_SUFFIX}`],
  [`llvm-ar${LLVM_SUFFIX}`, `llvm${LLVM_SUFFIX}`],
  ["make", "make"],
  ["flex", "flex"],
  ["bison", "bison"],
  ["bc", "bc"],
  ["perl", "perl"],
  ["patch", "patch"],
  ["tar", "tar"],
  ["xz", "xz-utils"],
];

export interface Toolchain {
  /** The kernel's source, a tar.xz as Debian ships it. */
  readonly tarball: string;
  /** Version of the source package, or a hash of a tarball named in LINUX_TARBALL. */
  readonly sourceVersion: string;
  /** First line of `clang --version`. */
  readonly compiler: string;
}

/** The Debian packages that this machine lacks, none if it can build. */
export function missingPackages(): string[] {
  const missing = new Set<string>();
  for (const [tool, debianPackage] of TOOLS) {
    if (!onPath(tool)) missing.add(debianPackage);
  }
  if (!existsSync(tarballPath())) missing.add(SOURCE_PACKAGE);
  return [...missing];
}

/** Finds everything, or throws one sentence that names what to install. */
export function findToolchain(): Toolchain {
  const missing = missingPackages();
  if (missing.length > 0) {
    throw new Error(
      `The kernel build needs Debian packages: apt-get install -y ${missing.join(" ")}`,
    );
  }
  const tarball = tarballPath();
  return {
    tarball,
    sourceVersion: tarball === DEFAULT_TARBALL ? packageVersion() : hashOf(tarball),
    compiler: firstLine(`clang${LLVM_SUFFIX}`, "--version"),
  };
}

function tarballPath(): string {
  return env["LINUX_TARBALL"] ?? DEFAULT_TARBALL;
}

function packageVersion(): string {
  return firstLine("dpkg-query", "-W", "-f", "${Version}", SOURCE_PACKAGE);
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
}

function firstLine(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: "utf8" }).split("\n", 1)[0] ?? "";
}

function onPath(tool: string): boolean {
  for (const dir of (env["PATH"] ?? "").split(delimiter)) {
    try {
      accessSync(join(dir, tool), constants.X_OK);
      return true;
    } catch {
      // Not in this one.
    }
  }
  return false;
}
