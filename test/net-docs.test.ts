// What docs/net.md shows is run as it stands.

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
const text = readFileSync(join(top, "docs/net.md"), "utf8");

/** What each example says. */
const SAYS = [
  /^10\.0\.2\.15\/24 \{ nameservers: \[ '10\.0\.2\.3' \] \}\n$/,
  /^default 10\.0\.0\.254 eth0\n10\.0\.0\.0\/24 - eth0\nfd00::\/64 - eth0\n/,
  /gateway: '10\.0\.0\.1'[^]*device: 'eth0'/,
  /^\d+ - -\n\d+ administration 0\n\d+ - -\n$/,
  /^netem 20 0\n$/,
  /^set lo true\n$/,
  /^[A-Za-z\d+/]{43}=\n$/,
];

test("the examples of docs/net.md", async () => {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  assert.equal(examples.length, SAYS.length);
  const at = (path: string) => JSON.stringify(pathToFileURL(join(top, path)).href);
  for (const [i, code] of examples.entries()) {
    const path = join(folder.path, `${i}.ts`);
    const source = code
      .replaceAll('"liblinux"', at("src/index.ts"))
      .replaceAll('"liblinux/net"', at("src/net/index.ts"))
      .replaceAll('"liblinux/node"', at("src/platform/node/index.ts"))
      .replaceAll('"liblinux/virtio"', at("src/virtio/index.ts"));
    writeFileSync(path, source);
    const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: folder.path });
    assert.match(stdout, SAYS[i], code);
  }
});
