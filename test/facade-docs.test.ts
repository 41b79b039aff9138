// What docs/fs.md shows is run as it stands.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { emptyImage, run, temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");
const text = readFileSync(join(top, "docs/fs.md"), "utf8");

/** What each example says. */
const SAYS = [
  /^(?:(?:www|copy)\/index\.html\n){2}<h1>hello<\/h1>\n$/,
  /^65534\n$/,
  /^\[ 'user\.origin' \] somewhere\n\[[^\]]*offsetBytes: 24576[^\]]*\] 8192\n/,
  /^0 1000\n$/,
];

test("the examples of docs/fs.md", async () => {
  using folder = temporaryFolder();
  const image = emptyImage(join(folder.path, "disk.img"), 32);
  run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", image);
  writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  assert.equal(examples.length, SAYS.length);
  const at = (path: string) => JSON.stringify(pathToFileURL(join(top, path)).href);
  for (const [i, code] of examples.entries()) {
    const path = join(folder.path, `${i}.ts`);
    const source = code
      .replaceAll('"liblinux"', at("src/index.ts"))
      .replaceAll('"liblinux/fs"', at("src/fs/index.ts"));
    writeFileSync(path, source);
    const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: folder.path });
    assert.match(stdout, SAYS[i], code);
  }
  run("e2fsck", "-fn", image);
});
