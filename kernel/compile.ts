// SPDX-License-Identifier: GPL-2.0
// Configures and compiles one profile with kbuild, and shows how far it is.

import { spawn, spawnSync } from "node:child_process";
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { stdout } from "node:process";
import { createInterface } from "node:readline";

import {
  formatOptions,
  parseOptions,
  refusedOptions,
  requestedOptions,
  type Profile,
} from "./profiles.ts";
import { LLVM_SUFFIX } from "./toolchain.ts";

/** Lines of make's output to show when it fails. */
const ERROR_LINES = 40;
const PROGRESS_MS = stdout.isTTY ? 200 : 15_000;

/** Compiled with other options than the precompiled headers, or with names that clash with them. */
const WITHOUT_PCH = [
  "dm-btree",
  "jitterentropy",
  "lz4_compress",
  "lz4_decompress",
  "lz4hc_compress",
  "raid6test",
  "sort",
  "string",
];

/**
 * What every make is told, and so part of the key of its result.
 *
 * CLANG_TARGET_FLAGS_lkl: scripts/Makefile.clang does not know this ARCH.
 * CFLAGS_*empty.o: modpost, which never runs here, insists on an ELF object.
 */
export const MAKE_VARIABLES: readonly string[] = [
  "ARCH=lkl",
  `LLVM=${LLVM_SUFFIX}`,
  "CLANG_TARGET_FLAGS_lkl=wasm32-unknown-unknown",
  "CFLAGS_empty.o=--target=i386-linux-gnu",
  "CFLAGS_REMOVE_empty.o=$(LKL_CPU_FLAGS)",
  "KBUILD_BUILD_USER=liblinux",
  "KBUILD_BUILD_HOST=wasm",
  "KBUILD_BUILD_VERSION=1",
  ...WITHOUT_PCH.map((name) => `CFLAGS_REMOVE_${name}.o=$(LKL_PCH_FLAGS)`),
];

export interface Compiled {
  /** Path of linux.wasm. */
  readonly wasm: string;
  /** As `uname -r` says it. */
  readonly release: string;
}

/** Compiles @profile from @source into @objects. Throws an Error with the end of make's output. */
export async function compile(
  profile: Profile,
  kernelDir: string,
  source: string,
  objects: string,
): Promise<Compiled> {
  mkdirSync(objects, { recursive: true });
  const variables = [...MAKE_VARIABLES, `KBUILD_BUILD_TIMESTAMP=${sourceDate(source)}`];
  const make = ["-C", source, `O=${objects}`, ...variables];
  configure(profile, kernelDir, objects, make);
  await run([...make, `-j${availableParallelism()}`, "linux.wasm"], profile, objects);
  return {
    wasm: join(objects, "linux.wasm"),
    release: readFileSync(join(objects, "include/config/kernel.release"), "utf8").trim(),
  };
}

/** The day the source was released: builds of it say so whenever they run. */
function sourceDate(source: string): string {
  return statSync(join(source, "Makefile")).mtime.toISOString().slice(0, 10);
}

function configure(
  profile: Profile,
  kernelDir: string,
  objects: string,
  make: readonly string[],
): void {
  const requested = requestedOptions(profile, kernelDir);
  const merged = join(objects, "merged.config");
  writeFileSync(merged, formatOptions(requested));
  const result = spawnSync("make", [...make, "-s", `KCONFIG_ALLCONFIG=${merged}`, "allnoconfig"], {
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`configuring failed:\n${lastLines(result.stderr)}`);
  const refused = refusedOptions(
    requested,
    parseOptions(readFileSync(join(objects, ".config"), "utf8")),
  );
  if (refused.length > 0) {
    throw new Error(
      `options of profile ${profile.name} that Kconfig refused:\n  ${refused.join("\n  ")}`,
    );
  }
}

async function run(args: readonly string[], profile: Profile, objects: string): Promise<void> {
  const total = existsSync(join(objects, "linux.wasm")) ? undefined : profile.objects;
  const log = createWriteStream(join(objects, "build.log"));
  const lines: string[] = [];
  const started = Date.now();
  let done = 0;

  const child = spawn("make", args, { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setInterval(() => showProgress(profile.name, done, total, started), PROGRESS_MS);
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      log.write(line + "\n");
      if (/^ +(CC|AS) /.test(line)) done++;
      else if (!/^ +[A-Z]+ /.test(line)) lines.push(line);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  }).finally(() => clearInterval(timer));
  await new Promise<void>((resolve) => log.end(resolve));
  showProgress(profile.name, done, done, started);
  if (stdout.isTTY) stdout.write("\n");
  if (code !== 0) throw new Error(`make failed:\n${lastLines(lines.join("\n"))}`);
}

function showProgress(
  name: string,
  done: number,
  total: number | undefined,
  started: number,
): void {
  const seconds = Math.round((Date.now() - started) / 1000);
  const of = total === undefined ? "" : ` of ${total >= done ? "" : "more than "}${total}`;
  const line = `kernel: ${name}: ${done}${of} objects, ${seconds} s`;
  stdout.write(stdout.isTTY ? `\r${line}\x1b[K` : `${line}\n`);
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-ERROR_LINES).join("\n");
}
