// SPDX-License-Identifier: GPL-2.0
// Builds the kernels: Debian's source + the overlay beside this file → kernels/.
//
//   node kernel/build.ts [--profile NAME]... [--no-compress]
//   node kernel/build.ts --check [--profile NAME]
//
// Sources, objects and results live in a cache outside the tree: $LIBLINUX_CACHE,
// $XDG_CACHE_HOME/liblinux or ~/.cache/liblinux. A result is kept under a hash of
// everything that goes into it, and compiled only when there is none.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
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
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process, { argv, env } from "node:process";
import { parseArgs, promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";

import { compile, MAKE_VARIABLES } from "./compile.ts";
import { withLock } from "./lock.ts";
import { formatOptions, PROFILES, requestedOptions, type Profile } from "./profiles.ts";
import { findToolchain, type Toolchain } from "./toolchain.ts";
import { filesBelow, hashFiles, prepareTree } from "./tree.ts";

const KERNEL_DIR = import.meta.dirname;
const OUTPUT_DIR = join(dirname(KERNEL_DIR), "kernels");
/** Results in the cache: some versions of each profile. */
const KEPT_RESULTS = 16;

/** What is known about one built kernel. */
export interface KernelInfo {
  readonly key: string;
  /** As `uname -r` says it. */
  readonly release: string;
  /** Bytes of linux.wasm. */
  readonly size: number;
  /** SHA-256 of linux.wasm, hexadecimal. */
  readonly sha256: string;
  /** Bytes of the compressed file, if there is one. */
  readonly compressedSize?: number;
}

/** kernels/manifest.json */
export interface Manifest {
  readonly source: string;
  readonly compiler: string;
  readonly profiles: Record<string, KernelInfo>;
}

function cacheDir(): string {
  return (
    env["LIBLINUX_CACHE"] ?? join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "liblinux")
  );
}

function keyOf(profile: Profile, tools: Toolchain): string {
  const hash = createHash("sha256");
  hash.update([tools.sourceVersion, tools.compiler, ...MAKE_VARIABLES].join("\0"));
  hash.update(formatOptions(requestedOptions(profile, KERNEL_DIR)));
  hashFiles(hash, join(KERNEL_DIR, "patches"));
  hashFiles(hash, join(KERNEL_DIR, "arch"));
  return hash.digest("hex").slice(0, 32);
}

/** Compiles @profile into @entry, a directory that appears only when it is complete. */
async function fill(
  entry: string,
  key: string,
  profile: Profile,
  cache: string,
  tools: Toolchain,
): Promise<void> {
  const work = join(cache, tools.sourceVersion);
  const source = join(work, "source");
  console.log(`kernel: ${profile.name}: preparing ${source}`);
  prepareTree(source, KERNEL_DIR, tools);
  const { wasm, release } = await compile(
    profile,
    KERNEL_DIR,
    source,
    join(work, "objects", profile.name),
  );
  const bytes = readFileSync(wasm);
  const info: KernelInfo = {
    key,
    release,
    size: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
  mkdirSync(dirname(entry), { recursive: true });
  const temporary = mkdtempSync(`${entry}-`);
  writeFileSync(join(temporary, "linux.wasm"), bytes);
  writeFileSync(join(temporary, "info.json"), JSON.stringify(info, null, 2) + "\n");
  renameSync(temporary, entry);
  prune(dirname(entry));
}

/** Leaves the results that were made last. */
function prune(results: string): void {
  const entries = readdirSync(results).map((name) => join(results, name));
  entries.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const entry of entries.slice(KEPT_RESULTS)) rmSync(entry, { recursive: true });
}

/** Returns the directory in the cache that has linux.wasm and info.json of @profile. */
async function build(profile: Profile, cache: string, tools: Toolchain): Promise<string> {
  const key = keyOf(profile, tools);
  const entry = join(cache, "kernels", key);
  if (existsSync(entry)) {
    console.log(`kernel: ${profile.name}: found in the cache`);
    return entry;
  }
  const started = Date.now();
  mkdirSync(cache, { recursive: true });
  await withLock(join(cache, "lock"), async () => {
    if (!existsSync(entry)) await fill(entry, key, profile, cache, tools);
  });
  console.log(`kernel: ${profile.name}: built in ${Math.round((Date.now() - started) / 1000)} s`);
  return entry;
}

/** Makes linux.wasm.br in the cache entry. */
async function compress(entry: string): Promise<string> {
  const path = join(entry, "linux.wasm.br");
  if (!existsSync(path)) {
    const bytes = readFileSync(join(entry, "linux.wasm"));
    const packed = await promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    });
    writeFileSync(`${path}.new`, packed);
    renameSync(`${path}.new`, path);
  }
  return path;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** Copies the result to kernels/ and notes it in the manifest. */
async function publish(
  profile: Profile,
  entry: string,
  tools: Toolchain,
  packed: boolean,
): Promise<void> {
  const target = join(OUTPUT_DIR, `${profile.name}.wasm`);
  const manifestPath = join(OUTPUT_DIR, "manifest.json");
  mkdirSync(OUTPUT_DIR, { recursive: true });
  copyFileSync(join(entry, "linux.wasm"), target);

  let info = readJson(join(entry, "info.json")) as KernelInfo;
  rmSync(`${target}.br`, { force: true });
  if (packed) {
    const path = await compress(entry);
    copyFileSync(path, `${target}.br`);
    info = { ...info, compressedSize: statSync(path).size };
  }
  const before = existsSync(manifestPath) ? (readJson(manifestPath) as Manifest).profiles : {};
  const manifest: Manifest = {
    source: tools.sourceVersion,
    compiler: tools.compiler,
    profiles: { ...before, [profile.name]: info },
  };
  writeFileSync(manifestPath, JSON.stringify(manifest, null, 2) + "\n");
  const sizes = [`${mega(info.size)} MB`];
  if (info.compressedSize !== undefined) sizes.push(`${mega(info.compressedSize)} MB compressed`);
  console.log(`kernel: ${profile.name}: Linux ${info.release}, ${sizes.join(", ")}`);
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(2);
}

/** Holds the overlay against the kernel's coding style; throws with what deviates. */
function checkStyle(source: string): void {
  const overlay = join(KERNEL_DIR, "arch");
  const files = filesBelow(overlay)
    .filter((name) => /(\.[chS]|Kconfig|Makefile)$/.test(name))
    .map((name) => join(overlay, name));
  const options = readFileSync(join(KERNEL_DIR, ".checkpatch.conf"), "utf8")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .flatMap((line) => line.split(" ").filter(Boolean));
  const run = spawnSync(
    "perl",
    [join(source, "scripts/checkpatch.pl"), ...options, "--strict", "--terse", "-f", ...files],
    { cwd: source, encoding: "utf8" },
  );
  const complaints = run.stdout
    .split("\n")
    .filter((line) => /: (ERROR|WARNING|CHECK): /.test(line));
  if (complaints.length || run.status !== 0)
    throw new Error(`the overlay deviates from the coding style:\n${complaints.join("\n")}`);
  console.log(`kernel: checkpatch.pl --strict finds nothing in ${files.length} files`);
}

/** Builds @profile in two places from nothing; throws if the results differ. */
async function check(profile: Profile, tools: Toolchain): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "liblinux-check-"));
  try {
    const binaries: Buffer[] = [];
    for (const folder of ["a", "another/and/deeper"]) {
      const entry = await build(profile, join(root, folder), tools);
      binaries.push(readFileSync(join(entry, "linux.wasm")));
      if (binaries.length === 1) checkStyle(join(root, folder, tools.sourceVersion, "source"));
    }
    const [first, second] = binaries;
    if (first === undefined || second === undefined || !first.equals(second)) {
      throw new Error(`two builds of ${profile.name} differ`);
    }
    console.log(`kernel: ${profile.name}: two builds are equal byte for byte`);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function profileNamed(name: string): Profile {
  const profile = PROFILES.find((candidate) => candidate.name === name);
  if (profile === undefined) {
    throw new Error(
      `no profile "${name}": there are ${PROFILES.map((known) => known.name).join(", ")}`,
    );
  }
  return profile;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      profile: { type: "string", multiple: true },
      "no-compress": { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const tools = findToolchain();
  if (values.check) {
    for (const name of values.profile ?? ["fs"]) await check(profileNamed(name), tools);
    return;
  }
  const profiles =
    values.profile?.map(profileNamed) ?? PROFILES.filter((profile) => profile.shipped);
  for (const profile of profiles) {
    const entry = await build(profile, cacheDir(), tools);
    await publish(profile, entry, tools, !values["no-compress"]);
  }
}

try {
  await main();
} catch (error) {
  console.error(`kernel: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
