// SPDX-License-Identifier: MIT
// What only the compiler knows: the values of macros, the constants of enums, the layout of records.
import { spawnSync } from "node:child_process";
import { run } from "./headers.ts";

const TARGET = ["--target=wasm32-unknown-unknown", "-x", "c", "-std=gnu11", "-w", "-ferror-limit=0"];

export class Clang {
  readonly program: string;
  readonly flags: readonly string[];

  constructor(headers: string) {
    this.program = `clang${process.env["LLVM_SUFFIX"] ?? "-22"}`;
    this.flags = [...TARGET, "-nostdlibinc", "-I", headers];
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
  macros(text: string): { name: string; file: string }[] {
    const found = new Map<string, string>();
    let file = "";
    for (const line of this.preprocess(text, ["-dD"]).split("\n")) {
      const marker = /^# \d+ "([^"]*)"/.exec(line);
      if (marker) file = marker[1] as string;
      const macro = /^#define (\w+) ./.exec(line);
      if (macro) found.set(macro[1] as string, file);
      const gone = /^#undef (\w+)/.exec(line);
      if (gone) found.delete(gone[1] as string);
    }
    return [...found].map(([name, where]) => ({ name, file: where }));
  }

  /**
   * The values of those of `names` that are integer constant expressions in
   * the presence of `includes`. Masks keep the sign that C gives them.
   */
  evaluate(includes: string, names: readonly string[]): Map<string, bigint> {
    const head = includes.endsWith("\n") ? includes : `${includes}\n`;
    const headLines = head.split("\n").length - 1;
    const isInteger =
      "_Static_assert(__builtin_classify_type(NAME) == 1 || __builtin_classify_type(NAME) == 3 || " +
      "__builtin_classify_type(NAME) == 4, \"\");";
    const line = (name: string): string =>
      `${isInteger.replaceAll("NAME", `(${name})`)} long long x_${name} = (long long)(${name});`;
    const rejected = this.rejectedLines(head + names.map(line).join("\n"));
    const kept = names.filter((_, index) => !rejected.has(headLines + index + 1));
    const values = new Map<string, bigint>();
    const ir = this.compile(head + kept.map(line).join("\n"), ["-S", "-emit-llvm", "-O0", "-o", "-"]);
    for (const [, name, value] of ir.matchAll(/^@x_(\w+) = [^\n]*?global i64 (-?\d+|zeroinitializer)/gm)) {
      values.set(name as string, BigInt(value as string));
    }
    return new Map(names.flatMap((name) => {
      const value = values.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }));
  }
}
