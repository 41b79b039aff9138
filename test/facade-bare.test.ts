// Pages have no Buffer, no node:stream, and perhaps no Temporal: an fs object does without.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";

test("an fs object needs nothing of Node", async () => {
  const program = join(import.meta.dirname, "contract/fs/bare.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  assert.equal(stdout, "as with all of them\n");
});
