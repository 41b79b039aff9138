// The tests of @zenfs/core, which another implementation of node:fs is held to, on ext4 in the kernel.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, globSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { test } from "node:test";

import type { Outcome } from "./contract/fs/zenfs-reporter.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");
const contract = join(import.meta.dirname, "contract/fs");

/** Not run: they are of synchronous functions and of what is ZenFS's own alone. */
const LEFT_OUT = new Set(["dir.test.ts", "xattr.test.ts"]);

const SYNCHRONOUS = /Sync\(\) is unavailable/;
/** ZenFS tells names as they are from the root; Node, and this, as they were given. */
const AS_GIVEN = /'foo' !== '\/foo'|test-dir/;

/** What fails, and why it should. */
const KNOWN: Readonly<Record<string, RegExp>> = {
  "directory.test.ts: readdir returns Dirent recursively": AS_GIVEN,
  "errors.test.ts: rename": AS_GIVEN,
  "errors.test.ts: link": AS_GIVEN,
  "links.test.ts: cpSync preserves a symlink #304": SYNCHRONOUS,
  "streams.test.ts: WriteStream writes data correctly": SYNCHRONOUS,
  "times.test.ts: new Date(...)": SYNCHRONOUS,
  "times.test.ts: new Date()": SYNCHRONOUS,
  "times.test.ts: number": SYNCHRONOUS,
  "times.test.ts: utimes works": SYNCHRONOUS,
};

/**
 * What passes or fails by chance. Linux before 6.13 stamps files with the time of its last tick, here
 * every 10 ms: what is written twice within one has one time. The test waits for a turn of the event
 * loop only, and fails so on node:fs as well, on a native ext2 (which has such stamps in any Linux).
 */
const BY_CHANCE: Readonly<Record<string, RegExp>> = {
  "watch.test.ts: Changes are detected with watchFile()": /curr\.mtimeMs != prev\.mtimeMs/,
};

async function runTests(folder: string): Promise<Outcome[]> {
  cpSync(join(top, "node_modules/@zenfs/core/tests"), join(folder, "tests"), { recursive: true });
  // Node strips types only of what is not below node_modules.
  symlinkSync(join(top, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  const image = emptyImage(join(folder, "ext4.img"), 64);
  run("mke2fs", "-q", "-F", "-t", "ext4", image);
  const files = globSync(join(folder, "tests/fs/*.test.ts"));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    SETUP: join(contract, "zenfs-setup.ts"),
    ZENFS_DATA: join(folder, "tests/data"),
    ZENFS_IMAGE: image,
  };
  // Or it would take itself for one of this process's own tests.
  delete env.NODE_TEST_CONTEXT;
  const reporter = join(contract, "zenfs-reporter.ts");
  const args = ["--test", "--test-timeout=20000", `--test-reporter=${reporter}`];
  const chosen = files.filter((file) => !LEFT_OUT.has(basename(file)));
  const text = await new Promise<string>((resolve) => {
    execFile(process.execPath, [...args, ...chosen], { cwd: folder, env }, (_error, stdout) =>
      resolve(stdout),
    );
  });
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Outcome);
}

test("the tests of @zenfs/core", async () => {
  using folder = temporaryFolder();
  const outcomes = await runTests(folder.path);
  const failed = outcomes.filter(({ outcome }) => outcome === "failed");
  const told = Object.fromEntries(failed.map(({ file, name, why }) => [`${file}: ${name}`, why]));
  assert.deepEqual(
    Object.keys(told)
      .filter((name) => !BY_CHANCE[name]?.test(told[name]))
      .toSorted(),
    Object.keys(KNOWN).toSorted(),
    JSON.stringify(told, null, 1),
  );
  for (const [name, why] of Object.entries(KNOWN)) assert.match(told[name], why, name);
  const passed = outcomes.filter(({ outcome }) => outcome === "passed");
  assert.ok(passed.length >= 100, `${passed.length} passed`);
});
