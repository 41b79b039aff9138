// SPDX-License-Identifier: MIT
// src/abi/structs

import type { Clang } from "./clang.ts";
import { classOf, className, type ClassText } from "./classes.ts";
import { internalRecords } from "./internal.ts";
import { recordLayouts, type Layout } from "./layouts.ts";
import { recordDomains, type RecordDomain } from "./records.ts";
import { banner } from "./write.ts";

/** What the kernel's own headers use and its user-space headers do not define. */
const KERNEL_TYPES = `#include <linux/types.h>
typedef __u64 u64; typedef __s64 s64; typedef __s32 s32; typedef __s32 old_time32_t;
#define __user
#define __counted_by(member)
`;

const tagged = (record: string): string =>
  /^(struct|union) /.test(record) ? record : `struct ${record}`;

function wanted(domain: RecordDomain): string[] {
  return [...domain.records, ...Object.values(domain.internal ?? {}).flat()].map(tagged);
}

function layoutsOf(domain: RecordDomain, source: string, clang: Clang): Map<string, Layout> {
  let program = domain.headers.map((name) => `#include <${name}>\n`).join("") + KERNEL_TYPES;
  for (const [header, names] of Object.entries(domain.internal ?? {})) {
    program += internalRecords(source, header, names);
  }
  const names = wanted(domain);
  program += names.map((name, index) => `int x_${index}[sizeof(${name})];\n`).join("");
  const layouts = recordLayouts(clang, program);
  for (const name of names) {
    if (!layouts.has(name)) throw new Error(`structs/${domain.name}.ts: no layout of ${name}`);
  }
  return layouts;
}

interface File {
  readonly domain: RecordDomain;
  readonly layouts: ReadonlyMap<string, Layout>;
  readonly classes: Map<string, ClassText[]>;
}

/** The files of src/abi/structs, by their name. */
export function structFiles(source: string, clang: Clang): Map<string, string> {
  const owner = new Map<string, File>();
  const files: File[] = recordDomains.map((domain) => {
    const file: File = { domain, layouts: layoutsOf(domain, source, clang), classes: new Map() };
    for (const record of wanted(domain)) if (!owner.has(record)) owner.set(record, file);
    return file;
  });
  for (const file of files) {
    const queue = wanted(file.domain).filter((record) => owner.get(record) === file);
    for (let record = queue.shift(); record !== undefined; record = queue.shift()) {
      if (file.classes.has(record)) continue;
      const classes = classOf(file.layouts.get(record) as Layout, file.layouts);
      file.classes.set(record, classes);
      for (const { uses } of classes) {
        for (const used of uses) {
          if (owner.has(used)) continue;
          owner.set(used, file);
          queue.push(used);
        }
      }
    }
  }
  return new Map(files.map((file) => [`structs/${file.domain.name}.ts`, fileText(file, owner)]));
}

function fileText(file: File, owner: ReadonlyMap<string, File>): string {
  const imports = new Map<string, Set<string>>();
  const all = [...file.classes.values()].flat();
  for (const used of new Set(all.flatMap(({ uses }) => Array.from(uses)))) {
    const from = owner.get(used);
    if (from === file || from === undefined) continue;
    const names = imports.get(from.domain.name) ?? new Set();
    names.add(className(used));
    imports.set(from.domain.name, names);
  }
  const lines = [...imports].map(
    ([from, names]) => `import { ${[...names].join(", ")} } from "./${from}.ts";\n`,
  );
  const names = all.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  if (twice.length > 0)
    throw new Error(`structs/${file.domain.name}.ts: two classes ${twice.join(", ")}`);
  return `${banner}import { Struct } from "../struct.ts";\n${lines.join("")}\n${all.map(({ text }) => text).join("\n")}`;
}
