// Sockets of the kernel on every engine that npm has.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";

import { runtimeNames, runtimePath } from "../scripts/runtimes.mjs";
import { makeKit } from "./image.ts";
import type { Kit } from "./image.ts";

const program = join(import.meta.dirname, "contract", "net", "runtimes.mjs");

suite("net, dgram, http and connections over a published kernel", () => {
  let kit: Kit;
  before(async () => {
    kit = await makeKit();
  });
  after(() => kit[Symbol.asyncDispose]());

  for (const name of runtimeNames)
    test(`on ${name}, which ends by itself`, async () => {
      const path = runtimePath(name);
      assert.ok(path, `npm has no ${name} for ${process.platform}-${process.arch}`);
      const start = name === "deno" ? ["run", "--allow-all", "--no-config"] : [];
      const { stdout } = await promisify(execFile)(
        path,
        [...start, program, join(kit.folder, "dist")],
        { cwd: kit.folder },
      );
      assert.equal(stdout, "by net\nby dgram\nby http\nby connections\n");
    });
});
