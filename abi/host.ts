// SPDX-License-Identifier: MIT
// src/abi/host.ts: the contract between the kernel and its host.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { Clang } from "./clang.ts";
import { classOf } from "./classes.ts";
import { overlay } from "./headers.ts";
import { recordLayouts } from "./layouts.ts";
import { banner, doc } from "./write.ts";

const HEADER = join(overlay, "include/uapi/asm/host.h");
const INCLUDE = "#include <asm/host.h>\n";

/** How the comment on a function that may suspend begins. */
const SUSPENDS = "Suspends";

interface HostFunction {
  readonly direction: string;
  /** Its name as an import or export, without lkl_. */
  readonly name: string;
  readonly result: string;
  readonly parameters: readonly { readonly type: string; readonly name: string }[];
  readonly comment: string;
}

function commentText(comment: string): string {
  return comment
    .replace(/^\/\*+|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trim())
    .join("\n")
    .trim();
}

/** What follows a comment without a blank line belongs to it, down to the next blank line. */
function hostFunctions(text: string): HostFunction[] {
  const found: HostFunction[] = [];
  for (const block of text.split(/\n\s*\n/)) {
    const comment = /\/\*[^]*?\*\//.exec(block);
    const code = block.replace(/\/\*[^]*?\*\//g, " ");
    if (/^\s*#\s*define/.test(code)) continue;
    for (const [, direction, name, result, list] of code.matchAll(
      /LKL_(IMPORT|EXPORT)\((\w+)\)\s*([\w\s]+?[\s*])\w+\(([^)]*)\)\s*;/g,
    )) {
      const parameters = list.trim() === "void" ? [] : list.split(",");
      found.push({
        direction: direction,
        name: name,
        result: result.trim(),
        parameters: parameters.map((parameter) => {
          const parts = /^\s*(.*?)(\w+)\s*$/s.exec(parameter);
          if (!parts) throw new Error(`host.h: ${name}: cannot read ${parameter}`);
          return {
            type: parts[1].replace(/\s+/g, " ").trim(),
            name: parts[2],
          };
        }),
        comment: comment ? commentText(comment[0]) : "",
      });
    }
  }
  return found;
}

function typescriptType(type: string): string {
  if (type === "void") return "void";
  if (/^(const )?(__)?[su]64$|long long/.test(type)) return "bigint";
  return "number";
}

function interfaceText(name: string, about: string, functions: readonly HostFunction[]): string {
  const members = functions.map(({ name: member, parameters, result, comment }) => {
    const list = parameters.map((one) => `${one.name}: ${typescriptType(one.type)}`).join(", ");
    const prototype = parameters
      .map((one) => `${one.type} ${one.name}`.replace("* ", "*"))
      .join(", ");
    const text = comment.replaceAll("\n", " ").replace(/@(\w+)/g, "`$1`");
    const about = doc(
      `${text}\n\n\`${`${result} ${member}`.replace("* ", "*")}(${prototype || "void"})\``,
      "  ",
    );
    const type = typescriptType(result);
    const returned = comment.startsWith(SUSPENDS) ? `${type} | Promise<${type}>` : type;
    return `${about}  ${member}(${list}): ${returned};\n`;
  });
  return `${doc(about)}export interface ${name} {\n${members.join("\n")}}\n`;
}

/** The file's text, or undefined as long as the header does not exist. */
export function hostFile(headers: string, clang: Clang): string | undefined {
  if (!existsSync(HEADER)) return undefined;
  const origin = join(headers, "asm/host.h");
  const structOrigins = new Set([origin, join(headers, "asm/ptrace.h")]);
  const names = [...clang.macros(INCLUDE), ...clang.enumConstants(INCLUDE)]
    .filter(({ file, name }) => file === origin && !name.startsWith("_"))
    .map(({ name }) => name);
  const values = clang.evaluate(INCLUDE, names);
  const constants = [...values]
    .map(([name, value]) => `export const ${name} = ${value};\n`)
    .join("");
  const declared = clang
    .preprocess(INCLUDE)
    .split(/^# \d+ "([^"]*)".*$/m)
    .reduce<string[]>((records, piece, index, all) => {
      if (index % 2 === 1 || !structOrigins.has(all[index - 1] ?? "")) return records;
      for (const [, name] of piece.matchAll(/\bstruct\s+(\w+)\s*\{/g))
        records.push(`struct ${name}`);
      return records;
    }, []);
  const uses = declared.map((record) => `int x_${record.slice(7)}[sizeof(${record})];\n`).join("");
  const layouts = recordLayouts(clang, INCLUDE + uses);
  const classes = declared.flatMap((record) => {
    const layout = layouts.get(record);
    if (!layout) throw new Error(`host.h: no layout of ${record}`);
    return classOf(layout, layouts);
  });
  const functions = hostFunctions(readFileSync(HEADER, "utf8"));
  const declaredCount = clang.preprocess(INCLUDE).match(/(import|export)_name/g)?.length ?? 0;
  if (functions.length !== declaredCount) {
    throw new Error(`host.h: read ${functions.length} of ${declaredCount} functions`);
  }
  const imports = functions.filter(({ direction }) => direction === "IMPORT");
  const suspending = imports.filter(({ comment }) => comment.startsWith(SUSPENDS));
  return [
    `${banner}import { Struct } from "./struct.ts";\n`,
    constants,
    ...classes.map(({ text }) => text),
    interfaceText(
      "HostImports",
      'The functions that the host gives the kernel: the imports of module "host".',
      imports,
    ),
    interfaceText(
      "KernelExports",
      "The functions that the kernel gives the host.",
      functions.filter(({ direction }) => direction === "EXPORT"),
    ),
    "/** The imports that must be WebAssembly.Suspending functions. */\n" +
      "export const suspending: readonly (keyof HostImports)[] = [\n" +
      suspending.map(({ name }) => `  "${name}",\n`).join("") +
      "];\n",
  ].join("\n");
}
