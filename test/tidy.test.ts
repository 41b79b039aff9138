// Style is a test: what the compiler and the linter do not see. (tsconfig.core.json keeps Node's and the
// page's types out of the core; .oxlintrc.json forbids `any`, console.log, cycles and long functions.)

import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

const top = join(import.meta.dirname, "..");

/** From the inside out: a folder imports from itself and from those in rows above its own. */
const layers = [
  ["abi"],
  ["machine"],
  ["disk", "link"],
  ["format"],
  ["virtio"],
  ["syscall"],
  ["fs", "net"],
  ["ipc", "uring", "uintr"],
  ["platform"],
  ["kernel.ts"],
  ["image"],
  ["index.ts"],
  ["ftp", "hijack", "http"],
  ["cli"],
];

/** The only ones that may name a runtime's own modules. */
const runtimes = new Set(["platform", "ftp", "hijack", "http", "cli"]);

interface Import {
  /** Path of the importing file from the top, such as src/fs/stat.ts. */
  readonly from: string;
  /** As written: "../machine/clock.ts", "node:fs". */
  readonly specifier: string;
  /** The imported file's path from the top; undefined if the specifier is not relative. */
  readonly target: string | undefined;
}

function read(path: string): string {
  return readFileSync(join(top, path), "utf8");
}

/** The imports of one file: static, for effect, dynamic, and by URL (workers). */
function importsOf(from: string, text: string): Import[] {
  const patterns = [
    /^(?:import|export)\b[^;"']*?\bfrom\s+["']([^"']+)["']/gm,
    /^import\s+["']([^"']+)["']/gm,
    /\bimport\(\s*["']([^"']+)["']/g,
    /\bnew URL\(\s*["'](\.[^"']+\.ts)["'],\s*import\.meta\.url/g,
  ];
  return patterns.flatMap((pattern) =>
    Array.from(text.matchAll(pattern), ([, specifier = ""]) => ({
      from,
      specifier,
      target: specifier.startsWith(".")
        ? normalize(join(dirname(from), specifier)).replace(/\.js$/, ".ts")
        : undefined,
    })),
  );
}

/** src/fs/stat.ts → fs; src/kernel.ts → kernel.ts */
function folderOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function rankOf(path: string): number {
  return layers.findIndex((folders) => folders.includes(folderOf(path)));
}

const sources = globSync("src/**/*.ts", { cwd: top }).toSorted();
const imports = sources.flatMap((path) => importsOf(path, read(path)));
const manifest = JSON.parse(read("package.json"));

/** The sources that the package's exports and programs are made from, some as glob patterns. */
function entries(): string[] {
  const targets = [
    ...Object.values<string>(manifest.bin),
    ...Object.values<string | { default: string }>(manifest.exports).map((target) =>
      typeof target === "string" ? target : target.default,
    ),
  ];
  return targets
    .filter((target) => target.startsWith("./dist/"))
    .map((target) => target.replace("./dist/", "src/").replace(/\.js$/, ".ts"))
    .map((target) => target.replace("*", "**/*")); // as Node reads it: any depth
}

test("the patterns find every form of import", () => {
  const text = [
    'import type { A } from "./a.ts";',
    'import {\n  b,\n  c,\n} from "../b.ts";',
    'export * from "./c.ts";',
    'import "./d.ts";',
    'const e = await import("./e.ts");',
    'new Worker(new URL("./f.ts", import.meta.url));',
    ' * import { Kernel } from "liblinux";',
    '// import "./g.ts";',
    'import { readFile } from "node:fs/promises";',
  ];
  const found = importsOf("src/fs/x.ts", text.join("\n")).map((one) => one.target ?? one.specifier);
  assert.deepEqual(found.toSorted(), [
    "node:fs/promises",
    "src/b.ts",
    "src/fs/a.ts",
    "src/fs/c.ts",
    "src/fs/d.ts",
    "src/fs/e.ts",
    "src/fs/f.ts",
  ]);
});

test("every source belongs to a layer", () => {
  assert.ok(sources.length > 0);
  assert.deepEqual(
    sources.filter((path) => rankOf(path) < 0),
    [],
  );
});

test("a layer imports only from layers below it", () => {
  const upward = imports.filter(
    ({ from, target }) =>
      target !== undefined && folderOf(from) !== folderOf(target) && rankOf(target) >= rankOf(from),
  );
  assert.deepEqual(
    upward.map(({ from, specifier }) => `${from}: ${specifier}`),
    [],
  );
});

test("sources import sources that are there, by their own extension", () => {
  const wrong = imports.filter(
    ({ specifier, target }) =>
      target !== undefined &&
      !(target.startsWith("src/") && specifier.endsWith(".ts") && existsSync(join(top, target))),
  );
  assert.deepEqual(
    wrong.map(({ from, specifier }) => `${from}: ${specifier}`),
    [],
  );
});

test("the core imports no module of a runtime and no package", () => {
  const foreign = imports.filter(
    ({ from, target }) => target === undefined && !runtimes.has(folderOf(from)),
  );
  assert.deepEqual(
    foreign.map(({ from, specifier }) => `${from}: ${specifier}`),
    [],
  );
});

test("the library needs nothing but the runtime", () => {
  assert.deepEqual(manifest.dependencies ?? {}, {});
  const packages = imports.filter(
    ({ specifier, target }) => target === undefined && !specifier.startsWith("node:"),
  );
  assert.deepEqual(
    packages.map(({ from, specifier }) => `${from}: ${specifier}`),
    [],
  );
});

test("every export and program has a source", () => {
  const missing = entries().filter((path) => globSync(path, { cwd: top }).length === 0);
  assert.deepEqual(missing, []);
});

test("every source is used: an export, a program, or imported by one", () => {
  const used = new Set<string>();
  const visit = (path: string): void => {
    if (used.has(path)) return;
    used.add(path);
    for (const { from, target } of imports) {
      if (from === path && target !== undefined) visit(target);
    }
  };
  for (const path of globSync(entries(), { cwd: top })) visit(path);
  assert.deepEqual(
    sources.filter((path) => !used.has(path)),
    [],
  );
});

test("the kernel's sources say their licence in their first two lines", () => {
  const code = globSync("kernel/**/{*.{c,h,S,ts,sh},Makefile*,Kconfig*}", { cwd: top });
  const licence = /SPDX-License-Identifier: GPL-2\.0(-only)?( WITH Linux-syscall-note)?( \*\/)?$/m;
  assert.ok(code.length > 0);
  assert.deepEqual(
    code.filter((path) => !licence.test(read(path).split("\n", 2).join("\n"))),
    [],
  );
});

test("a uapi header allows programs of any licence", () => {
  const headers = globSync("kernel/arch/*/include/uapi/**/*.h", { cwd: top });
  assert.ok(headers.length > 0);
  assert.deepEqual(
    headers.filter((path) => !read(path).includes("GPL-2.0 WITH Linux-syscall-note")),
    [],
  );
});
