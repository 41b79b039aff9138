// SPDX-License-Identifier: MIT
// Declarations of the kernel's own headers, which do not compile outside of it as a whole.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Macro } from "./clang.ts";

/** The #defines and enums of a header of the kernel's own that match, as text to compile. */
export function internalText(
  source: string,
  header: string,
  names: RegExp,
): { text: string; macros: Macro[] } {
  const path = join(source, header);
  const whole = readFileSync(path, "utf8")
    .replace(/\/\*[^]*?\*\//g, " ")
    .replaceAll("\\\n", " ");
  let text = "";
  const macros: Macro[] = [];
  for (const [line, name, body] of whole.matchAll(/^#\s*define[ \t]+(\w+)[ \t]+(.+)$/gm)) {
    if (!names.test(name)) continue;
    text += `#undef ${name}\n${line}\n`;
    macros.push({ name: name, file: path, body: body.trim() });
  }
  for (const [, list] of whole.matchAll(/\benum\s+\w*\s*(\{[^{}]*\})/g)) {
    const constants = [...list.matchAll(/(?<=[{,])\s*(\w+)\s*(?==|,|\})/g)].map(([, name]) => name);
    if (!constants.some((name) => names.test(name))) continue;
    text += `enum ${list};\n`;
    for (const name of constants) if (names.test(name)) macros.push({ name, file: path, body: "" });
  }
  return { text, macros };
}

/** Structures of a header of the kernel's own, as text to compile. */
export function internalRecords(source: string, header: string, names: readonly string[]): string {
  const text = readFileSync(join(source, header), "utf8");
  return names
    .map((name) => {
      const found = new RegExp(`^(?:typedef )?struct ${name} \\{[^]*?^\\}[^;]*;`, "m").exec(text);
      if (!found) throw new Error(`${header}: no struct ${name}`);
      return `${found[0]}\n`;
    })
    .join("");
}
