// SPDX-License-Identifier: MIT
// The system-call table and the prototypes of what is in it.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { Clang } from "./clang.ts";
import { overlay, run } from "./headers.ts";

export interface Parameter {
  /** The C type, one space between tokens, without __user. */
  readonly type: string;
  readonly name: string;
}

export interface Prototype {
  /** The function's name without sys_. */
  readonly name: string;
  readonly parameters: readonly Parameter[];
}

export interface Call {
  readonly name: string;
  readonly nr: number;
  /** The function's name without sys_: umount for umount2. */
  readonly entry: string;
}

/** The table of this architecture, as scripts/syscallhdr.sh would print it. */
export function systemCallTable(source: string, clang: Clang): Call[] {
  const values = clang.evaluate(
    "#include <asm/unistd.h>",
    clang
      .macros("#include <asm/unistd.h>")
      .map(({ name }) => name)
      .filter((name) => name.startsWith("__NR_")),
  );
  const makefile = readFileSync(join(overlay, "kernel/Makefile.syscalls"), "utf8");
  const abis = new Set(["common", "32"]);
  for (const [, list] of makefile.matchAll(/^syscall_abis_32\s*\+?=\s*(.*)$/gm)) {
    for (const abi of list.trim().split(/\s+/)) abis.add(abi);
  }
  const calls: Call[] = [];
  for (const line of readFileSync(join(source, "scripts/syscall.tbl"), "utf8").split("\n")) {
    const [number, abi, name, entry] = line.split(/\s+/);
    if (!/^\d+$/.test(number ?? "") || !abis.has(abi ?? "")) continue;
    if (values.get(`__NR_${name}`) !== BigInt(number)) {
      throw new Error(
        `${name}: the table says ${number}, the installed header ${values.get(`__NR_${name}`)}`,
      );
    }
    calls.push({
      nr: Number(number),
      name: name,
      entry: (entry ?? "sys_ni_syscall").replace(/^sys_/, ""),
    });
  }
  const named = new Set(calls.map(({ name }) => `__NR_${name}`));
  for (const name of values.keys()) {
    if (!named.has(name))
      throw new Error(`${name} is in the installed header and not in the table`);
  }
  return calls;
}

function parseParameter(text: string): Parameter {
  const tokens = text.match(/\w+|\*/g) ?? [];
  const known = tokens.filter((token) => token !== "__user");
  const last = known.at(-1) as string;
  // A name follows a type: "int flags", never "int" or "struct stat *" alone.
  const bare =
    known.length === 1 || last === "*" || TYPE_WORDS.has(last) || known.at(-2) === "struct";
  const type = (bare ? known : known.slice(0, -1)).join(" ").replaceAll("* *", "**");
  return { type, name: bare ? "" : last };
}

const TYPE_WORDS = new Set(["int", "long", "unsigned", "char", "short", "size_t"]);

/** The prototypes in include/linux/syscalls.h, as this architecture is configured. */
export function declarations(source: string, clang: Clang): Map<string, Prototype> {
  const whole = readFileSync(join(source, "include/linux/syscalls.h"), "utf8");
  const start = whole.lastIndexOf("#ifndef CONFIG_ARCH_HAS_SYSCALL_WRAPPER");
  const end = whole.indexOf("#endif /* CONFIG_ARCH_HAS_SYSCALL_WRAPPER */", start);
  if (start < 0 || end < 0) throw new Error("include/linux/syscalls.h: cannot find the prototypes");
  const flags = ["-P", "-DBITS_PER_LONG=32"];
  for (const [, name] of readFileSync(join(overlay, "Kconfig"), "utf8").matchAll(
    /^\s*select\s+(\w+)/gm,
  )) {
    if (name !== "ARCH_HAS_SYSCALL_WRAPPER") flags.push(`-DCONFIG_${name}=1`);
  }
  const wants = readFileSync(join(overlay, "include/asm/unistd.h"), "utf8");
  for (const [, name] of wants.matchAll(/^#define\s+(__ARCH_WANT_\w+)/gm)) flags.push(`-D${name}`);
  const found = new Map<string, Prototype>();
  const text = clang.preprocess(whole.slice(start, end) + "#endif\n", flags);
  for (const [, name, list] of text.matchAll(/asmlinkage\s+long\s+sys_(\w+)\s*\(([^)]*)\)\s*;/g)) {
    const body = list.trim();
    const parameters = body === "void" ? [] : body.split(",").map(parseParameter);
    found.set(name, { name: name, parameters });
  }
  return found;
}

/** Every SYSCALL_DEFINEn of the kernel and of the overlay: a name may have several, by configuration. */
export function definitions(source: string): Map<string, Prototype[]> {
  const folders = ["block", "fs", "io_uring", "ipc", "kernel", "mm", "net", "security"];
  const files = run("grep", [
    "-rlE",
    "--include=*.c",
    "^(COMPAT_)?SYSCALL_DEFINE[0-6]\\(",
    ...folders.map((folder) => join(source, folder)),
  ])
    .trim()
    .split("\n")
    .sort();
  for (const name of globSync("**/*.c", { cwd: overlay })) files.push(join(overlay, name));
  const found = new Map<string, Prototype[]>();
  for (const file of files) {
    const text = readFileSync(file, "utf8").replace(/\/\*[^]*?\*\//g, " ");
    for (const [, count, list] of text.matchAll(/^SYSCALL_DEFINE([0-6])\(([^)]*)\)/gm)) {
      const [name, ...rest] = list.split(",").map((part) => part.trim());
      if (rest.length !== 2 * Number(count)) throw new Error(`${file}: cannot read ${name}`);
      const parameters: Parameter[] = [];
      for (let index = 0; index < rest.length; index += 2) {
        const { type } = parseParameter(`${rest[index]} x`);
        parameters.push({ type, name: rest[index + 1] });
      }
      const known = found.get(name) ?? [];
      known.push({ name: name, parameters });
      found.set(name, known);
    }
  }
  return found;
}
