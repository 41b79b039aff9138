// SPDX-License-Identifier: MIT
// The layout of records, as clang dumps it.

import type { Clang } from "./clang.ts";

export interface Field {
  /** Empty for an anonymous member, whose fields belong to the record around it. */
  readonly name: string;
  /** The canonical type: `unsigned int`, `char[16]`, `struct in_addr`, `void *`. */
  readonly type: string;
  /** The type as written: `__be16`. */
  readonly written: string;
  /** In bytes from the start of the outermost record. */
  readonly offset: number;
  /** Of a bit-field: its first and last bit, from `offset`. */
  readonly bits?: readonly [number, number];
  readonly fields: readonly Field[];
}

export interface Layout {
  /** `struct stat64` */
  readonly name: string;
  readonly size: number;
  readonly align: number;
  readonly fields: readonly Field[];
}

interface Line {
  readonly offset: number;
  readonly bits?: readonly [number, number];
  readonly depth: number;
  readonly text: string;
}

function parseLine(line: string): Line | undefined {
  const parts = /^\s*(\d+)(?::(\d+)-(\d+))? \|( +)(.*?)\s*$/.exec(line);
  if (!parts) return undefined;
  const [, offset, first, last, indent, text] = parts as unknown as string[];
  return {
    offset: Number(offset),
    ...(first === undefined ? {} : { bits: [Number(first), Number(last)] as const }),
    depth: (indent.length - 1) / 2,
    text: text,
  };
}

/** Splits `unsigned int x`; an anonymous member has no name. */
function typeAndName(text: string): { type: string; name: string } {
  if (/\(anonymous [^)]*\)$/.test(text)) return { type: text, name: "" };
  const space = text.lastIndexOf(" ");
  return { type: text.slice(0, space).trim(), name: text.slice(space + 1) };
}

/** Every complete record of `program` by its name, with its `struct` or `union` if it has one. */
export function recordLayouts(clang: Clang, program: string): Map<string, Layout> {
  const flags = ["-fsyntax-only", "-Xclang", "-fdump-record-layouts"];
  const written = clang.compile(program, flags).split("\n");
  const canonical = clang
    .compile(program, [...flags, "-Xclang", "-fdump-record-layouts-canonical"])
    .split("\n");
  if (written.length !== canonical.length)
    throw new Error("clang's two dumps of layouts differ in length");
  const layouts = new Map<string, Layout>();
  let pending: { line: Line; written: string }[] = [];
  for (const [index, text] of canonical.entries()) {
    const line = parseLine(text);
    if (line) {
      pending.push({ line, written: parseLine(written[index])?.text ?? "" });
      continue;
    }
    const size = /^\s*\| \[sizeof=(\d+), align=(\d+)\]/.exec(text);
    if (!size || pending.length === 0) continue;
    const [head, ...rest] = pending as [(typeof pending)[number], ...typeof pending];
    pending = [];
    layouts.set(head.line.text, {
      name: head.line.text,
      size: Number(size[1]),
      align: Number(size[2]),
      fields: nest(rest, 1),
    });
  }
  return layouts;
}

function nest(lines: readonly { line: Line; written: string }[], depth: number): Field[] {
  const fields: Field[] = [];
  for (let index = 0; index < lines.length;) {
    const { line, written } = lines[index];
    const start = index;
    let end = index + 1;
    while (end < lines.length && lines[end].line.depth > depth) end += 1;
    const { type, name } = typeAndName(line.text);
    index = end;
    // A bit-field without a name is padding: all of its text is the type.
    if (line.bits && /^(char|short|int|long)$/.test(name)) continue;
    fields.push({
      name,
      type,
      written: typeAndName(written).type,
      offset: line.offset,
      ...(line.bits ? { bits: line.bits } : {}),
      fields: nest(lines.slice(start + 1, end), depth + 1),
    });
  }
  return fields;
}
