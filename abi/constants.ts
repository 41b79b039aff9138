// SPDX-License-Identifier: MIT
// src/abi/constants

import { join } from "node:path";

import type { Clang, Macro } from "./clang.ts";
import { domains, type Domain } from "./domains.ts";
import { internalRecords, internalText } from "./internal.ts";
import { banner, doc } from "./write.ts";

/**
 * What macros use and their headers do not include. A C library decides how wide time_t is: here it
 * has 64 bits, as in all system calls that there are, so SO_RCVTIMEO is SO_RCVTIMEO_NEW.
 */
const USED_BY_MACROS = `#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/sockios.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/blktrace_api.h>
#include <linux/sched/types.h>
#include <linux/time_types.h>
#include <asm/ioctls.h>
#include <limits.h>
#include <stdint.h>
typedef __kernel_time64_t time_t;
#define BIT(bit) (1UL << (bit))
`;

/** The body of a macro, with the names in it replaced by their bodies. */
function expanded(body: string, bodies: ReadonlyMap<string, string>, depth = 4): string {
  if (depth === 0) return body;
  return body.replace(/\b[A-Za-z_]\w*\b(?!\s*\()/g, (name) => {
    const inner = bodies.get(name);
    return inner === undefined ? name : expanded(inner, bodies, depth - 1);
  });
}

/** Octal, hexadecimal or decimal, as C wrote it. */
function literal(value: bigint, body: string): string {
  const magnitude = value < 0n ? -value : value;
  const sign = value < 0n ? "-" : "";
  const big = value < -(2n ** 31n) || value >= 2n ** 32n ? "n" : "";
  if (magnitude > 9n && /\b0x|<<|\b_IO/i.test(body))
    return `${sign}0x${magnitude.toString(16)}${big}`;
  if (/\b0[0-7]+\b/.test(body)) return `${sign}0o${magnitude.toString(8)}${big}`;
  if (magnitude > 9n && body.includes("|")) return `${sign}0x${magnitude.toString(16)}${big}`;
  return `${value}${big}`;
}

function domainFile(
  domain: Domain,
  source: string,
  headers: string,
  clang: Clang,
): { text: string; count: number } {
  const include = (list: readonly string[]): string =>
    list.map((name) => `#include <${name}>\n`).join("");
  let program = include(domain.before ?? []) + include(domain.headers);
  const origins = new Set(
    [...domain.headers, ...(domain.also ?? [])].map((name) => join(headers, name)),
  );
  const candidates = new Map<string, Macro>();
  const add = (macro: Macro): void => {
    if (!candidates.has(macro.name)) candidates.set(macro.name, macro);
  };
  const macros = clang.macros(program);
  const bodies = new Map(macros.map(({ name, body }) => [name, body]));
  for (const macro of [...macros, ...clang.enumConstants(program)]) {
    if (!origins.has(macro.file)) continue;
    if (domain.only ? !domain.only.test(macro.name) : macro.name.startsWith("__")) continue;
    add(macro);
  }
  for (const { header, names, records = [] } of domain.internal ?? []) {
    const { text, macros } = internalText(source, header, names);
    program += internalRecords(source, header, records) + text;
    for (const macro of macros) {
      bodies.set(macro.name, macro.body);
      add(macro);
    }
  }
  program += USED_BY_MACROS;
  const names = [...candidates.keys()];
  const values = clang.evaluate(program, names);
  const strings = clang.strings(
    program,
    names.filter(
      (name) =>
        !values.has(name) && expanded(candidates.get(name)?.body ?? "", bodies).includes('"'),
    ),
  );
  let text = banner + doc(domain.about) + "\n";
  let count = 0;
  // In the order of the headers, and of their lines: enums after the macros of a domain.
  for (const { name, body } of candidates.values()) {
    const value = values.get(name);
    const string = strings.get(name);
    if (value === undefined && string === undefined) {
      // What is left are names of members and lists, never the number of an ioctl.
      if (/^_IO[RW]* ?\(/.test(body)) throw new Error(`no value of ${name}`);
      continue;
    }
    const right =
      value === undefined ? JSON.stringify(string) : literal(value, expanded(body, bodies));
    text += `export const ${name} = ${right};\n`;
    count += 1;
  }
  if (count === 0) throw new Error(`constants/${domain.name}.ts would be empty`);
  return { text, count };
}

/** The files of src/abi/constants, by their name, and how many constants they have. */
export function constantFiles(
  source: string,
  headers: string,
  clang: Clang,
): { files: Map<string, string>; count: number } {
  const files = new Map<string, string>();
  let total = 0;
  for (const domain of domains) {
    const { text, count } = domainFile(domain, source, headers, clang);
    files.set(`constants/${domain.name}.ts`, text);
    total += count;
  }
  return { files, count: total };
}
