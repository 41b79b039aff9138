// Examples of the documentation, run as they stand.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { temporaryFolder } from "./images/native.ts";

const top = join(import.meta.dirname, "..");
const manifest: unknown = JSON.parse(readFileSync(join(top, "package.json"), "utf8"));
const { exports } = manifest as { exports: Record<string, { default: string }> };

/** The source that an import of the package stands for, as a URL in quotation marks. */
function sourceOf(specifier: string): string {
  const target = exports[specifier.replace(/^liblinux/, ".")];
  assert.ok(target, `${specifier} is exported`);
  const source = target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts");
  return JSON.stringify(pathToFileURL(join(top, source)).href);
}

/**
 * Run a page's examples in TypeScript.
 *
 * @param page such as `docs/net.md`
 * @param says what each one writes
 * @param whole which of them are whole programs; default: all
 */
export async function runExamples(
  page: string,
  says: readonly RegExp[],
  whole: (code: string) => boolean = () => true,
): Promise<void> {
  using folder = temporaryFolder();
  writeFileSync(join(folder.path, "package.json"), '{"type":"module"}');
  const text = readFileSync(join(top, page), "utf8");
  const examples = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code);
  const programs = examples.filter(whole);
  assert.equal(programs.length, says.length);
  for (const [i, code] of programs.entries()) {
    const path = join(folder.path, `${i}.ts`);
    writeFileSync(
      path,
      code.replaceAll(/"(liblinux[^"]*)"/g, (_, name: string) => sourceOf(name)),
    );
    const { stdout } = await promisify(execFile)(process.execPath, [path], { cwd: folder.path });
    assert.match(stdout, says[i], code);
  }
}
