// SPDX-License-Identifier: MIT
// What only the compiler knows: the values of macros, the constants of enums, the layout of records.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

import { run } from "./headers.ts";

const TARGET = [
  "--target=wasm32-unknown-unknown",
  "-x",
  "c",
  "-std=gnu11",
  "-w",
  "-ferror-limit=0",
];

export interface Macro {
  readonly name: string;
  readonly file: string;
  readonly body: string;
}

export class Clang {
  readonly program: string;
  readonly flags: readonly string[];

  constructor(headers: string) {
    this.program = `clang${process.env["LLVM_SUFFIX"] ?? "-22"}`;
    this.flags = [
      ...TARGET,
      "-nostdlibinc",
      "-include",
      "stddef.h",
      "-I",
      headers,
      "-I",
      join(import.meta.dirname, "libc"),
    ];
  }

  /** Runs the preprocessor on `text`. */
  preprocess(text: string, flags: readonly string[] = []): string {
    return run(this.program, [...this.flags, ...flags, "-E", "-"], text);
  }

  /** Compiles `text` with more flags and returns standard output. */
  compile(text: string, flags: readonly string[]): string {
    return run(this.program, [...this.flags, ...flags, "-"], text);
  }

  /** The numbers of the lines of `text` that do not compile. */
  rejectedLines(text: string): Set<number> {
    const done = spawnSync(
      this.program,
      [...this.flags, "-fsyntax-only", "-fno-caret-diagnostics", "-ferror-limit=0", "-"],
      { encoding: "utf8", input: text, maxBuffer: 2 ** 30, env: { ...process.env, LC_ALL: "C" } },
    );
    const lines = new Set<number>();
    for (const [, line] of done.stderr.matchAll(/^<stdin>:(\d+):\d+: (?:fatal )?error:/gm)) {
      lines.add(Number(line));
    }
    // A macro's error is reported where the macro is; the expansion is a note.
    for (const [, line] of done.stderr.matchAll(/^<stdin>:(\d+):\d+: note: expanded from/gm)) {
      lines.add(Number(line));
    }
    if (done.status !== 0 && lines.size === 0) throw new Error(done.stderr.slice(0, 4000));
    return lines;
  }

  /** Object-like macros that have a body, in the order of their definition, with the file of each. */
  macros(text: string): Macro[] {
    const found = new Map<string, Macro>();
    let file = "";
    for (const line of this.preprocess(text, ["-dD"]).split("\n")) {
      const marker = /^# \d+ "([^"]*)"/.exec(line);
      if (marker) file = marker[1];
      const macro = /^#define (\w+) (.+)/.exec(line);
      if (macro) {
        const name = macro[1];
        found.set(name, { name, file, body: macro[2] });
      }
      const gone = /^#undef (\w+)/.exec(line);
      if (gone) found.delete(gone[1]);
    }
    return [...found.values()];
  }

  /** The constants of every enum that `text` declares, with the file of each. */
  enumConstants(text: string): Macro[] {
    const found: Macro[] = [];
    // One line a file change, so that an enum never has a marker in its middle.
    const pieces = this.preprocess(text).split(/^# \d+ "([^"]*)".*$/m);
    for (let index = 2; index < pieces.length; index += 2) {
      const file = pieces[index - 1];
      for (const [, body] of pieces[index].matchAll(/\benum(?:\s+\w+)?\s*\{([^{}]*)\}/g)) {
        for (const [, name] of body.matchAll(/(?:^|,)\s*([A-Za-z_]\w*)\s*(?==|,|$)/g)) {
          found.push({ name: name, file, body: "" });
        }
      }
    }
    return found;
  }

  /** The values of those of `names` that are string literals in the presence of `includes`. */
  strings(includes: string, names: readonly string[]): Map<string, string> {
    const head = includes.endsWith("\n") ? includes : `${includes}\n`;
    const headLines = head.split("\n").length - 1;
    const line = (name: string): string => `const char x_${name}[] = ${name} "";`;
    const rejected = this.rejectedLines(head + names.map(line).join("\n"));
    const kept = names.filter((_, index) => !rejected.has(headLines + index + 1));
    const ir = this.compile(head + kept.map(line).join("\n"), [
      "-S",
      "-emit-llvm",
      "-O0",
      "-o",
      "-",
    ]);
    const values = new Map<string, string>();
    for (const [, name, value] of ir.matchAll(
      /^@x_(\w+) = [^\n]*?constant \[\d+ x i8\] c"([^"]*)\\00"/gm,
    )) {
      values.set(
        name,
        value.replace(/\\([0-9A-F]{2})/g, (_, hex: string) =>
          String.fromCharCode(parseInt(hex, 16)),
        ),
      );
    }
    return values;
  }

  /**
   * The values of those of `names` that are integer constant expressions in
   * the presence of `includes`, with the sign that C gives them.
   */
  evaluate(includes: string, names: readonly string[]): Map<string, bigint> {
    const head = includes.endsWith("\n") ? includes : `${includes}\n`;
    const headLines = head.split("\n").length - 1;
    // __builtin_classify_type: 1 integer, 2 character, 3 enum, 4 boolean, 5 pointer (SIG_DFL)
    const line = (name: string): string =>
      `_Static_assert(__builtin_classify_type(${name}) >= 1 && __builtin_classify_type(${name}) <= 5, ""); ` +
      `long long x_${name} = (long long)(${name}); signed char s_${name} = (${name}) < 0;`;
    const rejected = this.rejectedLines(head + names.map(line).join("\n"));
    const kept = names.filter((_, index) => !rejected.has(headLines + index + 1));
    const ir = this.compile(head + kept.map(line).join("\n"), [
      "-S",
      "-emit-llvm",
      "-O0",
      "-o",
      "-",
    ]);
    const read = (prefix: string): Map<string, bigint> => {
      const pattern = new RegExp(`^@${prefix}_(\\w+) = [^\\n]*?global i\\d+ (-?\\d+)`, "gm");
      return new Map([...ir.matchAll(pattern)].map(([, name, value]) => [name, BigInt(value)]));
    };
    const values = read("x");
    const negative = read("s");
    return new Map(
      kept.map((name) => {
        const value = values.get(name);
        if (value === undefined) throw new Error(`no value of ${name} in the compiler's output`);
        return [name, negative.get(name) === 0n ? BigInt.asUintN(64, value) : value] as const;
      }),
    );
  }
}
