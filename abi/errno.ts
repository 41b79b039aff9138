// SPDX-License-Identifier: MIT
// src/abi/errno.ts

import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Clang } from "./clang.ts";
import { banner } from "./write.ts";

interface ErrorNumber {
  readonly code: string;
  readonly value: number;
  readonly message: string;
}

/** The error numbers of user space, then those meant to stay inside the kernel. */
function errorNumbers(source: string, headers: string, clang: Clang): ErrorNumber[] {
  const values = clang.evaluate(
    "#include <asm/errno.h>",
    clang.macros("#include <asm/errno.h>").map(({ name }) => name),
  );
  const found: ErrorNumber[] = [];
  for (const file of [
    join(headers, "asm-generic/errno-base.h"),
    join(headers, "asm-generic/errno.h"),
    join(source, "include/linux/errno.h"),
  ]) {
    const text = readFileSync(file, "utf8");
    for (const [, code, body, comment] of text.matchAll(
      /^#define\s+(E\w+)\s+(\w+)[ \t]*(?:\/\*\s*([^]*?)\s*\*\/)?/gm,
    )) {
      const value = values.get(code) ?? BigInt(body);
      const message = (comment ?? "").replace(/\s*\n\s*\*?\s*/g, " ");
      found.push({ code: code, value: Number(value), message });
    }
  }
  return found;
}

export function errnoFile(source: string, headers: string, clang: Clang): string {
  const list = errorNumbers(source, headers, clang);
  const canonical = new Map<number, ErrorNumber>();
  for (const one of list) if (!canonical.has(one.value)) canonical.set(one.value, one);
  const entries = [...canonical.values()].map(({ value, code, message }) => {
    const line = `  ${value}: { code: "${code}", message: ${JSON.stringify(message)} },\n`;
    return line.length <= 101
      ? line
      : `  ${value}: {\n    code: "${code}",\n    message: ${JSON.stringify(message)},\n  },\n`;
  });
  return `${banner}
/** Error numbers by name. Those from 512 on are meant to stay in the kernel, but some escape. */
export const errno = {
${list.map(({ code, value }) => `  ${code}: ${value},\n`).join("")}} as const;

export type ErrnoCode = keyof typeof errno;

export interface ErrnoEntry {
  /** The first of its names: EAGAIN, not EWOULDBLOCK. */
  readonly code: ErrnoCode;
  /** The kernel's comment on it. */
  readonly message: string;
}

/** Names and messages by number. */
export const errnoTable: Readonly<Record<number, ErrnoEntry>> = {
${entries.join("")}};

/** The name of an error number (positive), if it has one. */
export function errnoCode(number: number): ErrnoCode | undefined {
  return errnoTable[number]?.code;
}

/** What an error number (positive) means, if it has a name. */
export function errnoMessage(number: number): string | undefined {
  return errnoTable[number]?.message;
}
`;
}
