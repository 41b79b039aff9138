// Watches hold the runtime as Node's do: a program that only watches goes on until it watches no more.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";

const program = join(import.meta.dirname, "contract/fs/watcher.ts");

test("a watch keeps a program from ending", async () => {
  const cases: readonly [watch: string, held: boolean][] = [
    ["fs.watch(path, () => {})", true],
    ["fs.watch(path).unref().ref()", true],
    ["fs.watch(path).close()", false],
    ["fs.promises.watch(path).next()", true],
    ["fs.watchFile(path, () => {})", true],
    ["fs.watchFile(path, { persistent: false }, () => {})", false],
    ["fs.watchFile(path, () => {}).unref()", false],
  ];
  for (const subject of ["node", "kernel"]) {
    const run = async ([watch, held]: (typeof cases)[number]) => {
      const { stdout } = await promisify(execFile)(process.execPath, [program, subject, watch]);
      assert.equal(stdout, held ? "held\n" : "", `${subject}: ${watch}`);
    };
    await Promise.all(cases.map(run));
  }
});
