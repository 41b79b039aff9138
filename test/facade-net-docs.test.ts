// What docs/sockets.md shows in full is run as it stands.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");
const text = readFileSync(join(top, "docs/sockets.md"), "utf8");

/** What each example that boots a kernel says. */
const SAYS = [/^hello from Linux\n\n$/, /^127\.0\.0\.5 \d{19}n\n$/];

test("the examples of docs/sockets.md that boot a kernel", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)]
    .map(([, code]) => code)
    .filter((code) => code.includes("Kernel.boot("));
  assert.equal(examples.length, SAYS.length);
  const at = (path: string) => JSON.stringify(pathToFileURL(join(top, path)).href);
  for (const [i, code] of examples.entries()) {
    const path = join(folder.path, `${i}.ts`);
    const source = code
      .replaceAll('"liblinux"', at("src/index.ts"))
      .replaceAll('"liblinux/net"', at("src/net/index.ts"))
      .replaceAll('"liblinux/node"', at("src/platform/node/index.ts"))
      .replaceAll('"liblinux/sockets"', at("src/net/facade/index.ts"));
    writeFileSync(path, source);
    const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: folder.path });
    assert.match(stdout, SAYS[i], code);
  }
});
