// What docs/hijack.md shows is run as it stands.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, delimiter } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";

import { readConfig } from "../src/hijack/config.ts";
import { entry, environment } from "./hijack.ts";
import { temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");
const text = readFileSync(join(top, "docs/hijack.md"), "utf8");
const program = `node ${JSON.stringify(join(top, "src/cli/main.ts"))}`;

interface Block {
  readonly language: string;
  readonly code: string;
}

const blocks: readonly Block[] = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(
  ([, language = "", code = ""]) => ({ language, code }),
);

/** What each command of the document prints, with the files that were shown before it. */
test("the programs of docs/hijack.md print what it says", async () => {
  using folder = temporaryFolder();
  const env = {
    ...environment,
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
  };
  let commands = 0;
  for (const [index, { language, code }] of blocks.entries()) {
    const [, name] = /^\/\/ (\S+\.mjs)\n/.exec(code) ?? [];
    if (language === "js" && name)
      writeFileSync(
        join(folder.path, name),
        code.replaceAll('"liblinux/hijack"', JSON.stringify(entry)),
      );
    if (language !== "sh") continue;
    const command = code
      .replaceAll("--import liblinux/hijack", `--import ${JSON.stringify(entry)}`)
      .replaceAll("npx liblinux", program);
    const { stdout } = await promisify(execFile)("bash", ["-ec", command], {
      cwd: folder.path,
      env,
    });
    assert.equal(blocks[index + 1]?.language, "text", code);
    assert.equal(stdout, blocks[index + 1]?.code, code);
    commands++;
  }
  assert.equal(commands, 5);
});

test("the configuration that it shows is one", () => {
  const json = blocks.filter(({ language }) => language === "json").map(({ code }) => code);
  assert.equal(json.length, 1);
  for (const code of json) assert.ok(readConfig({ LIBLINUX_HIJACK: code }).capture);
});
