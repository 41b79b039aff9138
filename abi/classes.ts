// SPDX-License-Identifier: MIT
// Accessor classes from layouts.

import type { Field, Layout } from "./layouts.ts";
import { doc } from "./write.ts";

/** src/abi/struct.ts, after the banner. */
export const structBase = `
/** A class of records. */
export interface StructClass<T extends Struct> {
  new (view: DataView, offsetBytes?: number): T;
  /** In bytes. */
  readonly size: number;
}

/**
 * A record in memory: a DataView and an offset. It holds no bytes of its own, and is invalid when
 * the memory grew. Numbers of the network (__be16 and its like) are swapped by the accessors.
 */
export class Struct {
  protected readonly _view: DataView;
  protected readonly _at: number;

  /** \`offsetBytes\`: where the record begins in \`view\`. */
  constructor(view: DataView, offsetBytes = 0) {
    this._view = view;
    this._at = offsetBytes;
  }

  /** A record of zeros in memory of its own. */
  static alloc<T extends Struct>(this: StructClass<T>): T {
    return new this(new DataView(new ArrayBuffer(this.size)));
  }

  /** The record at the start of \`bytes\`. */
  static from<T extends Struct>(this: StructClass<T>, bytes: Uint8Array): T {
    return new this(viewOf(bytes));
  }

  /** The bytes of the record, in place. */
  get bytes(): Uint8Array {
    return this._bytes(0, (this.constructor as unknown as StructClass<Struct>).size);
  }

  protected _bytes(offset: number, length: number): Uint8Array {
    const { buffer, byteOffset } = this._view;
    return new Uint8Array(buffer, byteOffset + this._at + offset, length);
  }

  /** Writes an array of bytes; what it does not fill becomes 0. */
  protected _setBytes(offset: number, length: number, value: Uint8Array): void {
    if (value.length > length) throw new RangeError(\`\${value.length} bytes do not fit \${length}\`);
    const target = this._bytes(offset, length);
    target.set(value);
    target.fill(0, value.length);
  }

  /** Where element \`index\` of an array of \`length\` is. */
  protected _element(offset: number, size: number, length: number, index: number): number {
    if (!(index >= 0 && index < length)) throw new RangeError(\`index \${index} of \${length}\`);
    return this._at + offset + index * size;
  }
}

/** A DataView of \`bytes\`, wherever they are in their buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The text before the first NUL. */
export function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.slice(0, end < 0 ? bytes.length : end));
}
`;

interface Scalar {
  readonly method: string;
  readonly size: number;
  readonly big: boolean;
}

const scalar = (method: string, size: number): Scalar => ({
  method,
  size,
  big: size === 8 && method.startsWith("Big"),
});

const SCALARS: ReadonlyMap<string, Scalar> = new Map([
  ["char", scalar("Int8", 1)],
  ["signed char", scalar("Int8", 1)],
  ["unsigned char", scalar("Uint8", 1)],
  ["_Bool", scalar("Uint8", 1)],
  ["short", scalar("Int16", 2)],
  ["unsigned short", scalar("Uint16", 2)],
  ["int", scalar("Int32", 4)],
  ["unsigned int", scalar("Uint32", 4)],
  ["long", scalar("Int32", 4)],
  ["unsigned long", scalar("Uint32", 4)],
  ["long long", scalar("BigInt64", 8)],
  ["unsigned long long", scalar("BigUint64", 8)],
  ["float", scalar("Float32", 4)],
  ["double", scalar("Float64", 8)],
]);

function scalarOf(type: string): Scalar | undefined {
  const bare = type.replace(/^(?:(?:const|volatile) )+/, "");
  if (bare.endsWith("*") || bare.includes("(*")) return scalar("Uint32", 4);
  if (/^enum \w+$/.test(bare) || bare.startsWith("enum ")) return scalar("Uint32", 4);
  return SCALARS.get(bare);
}

const littleEndian = (field: Field): boolean => !/^__be(16|32|64)\b/.test(field.written);

/** Members of the base class and of every class. */
const TAKEN = new Set(["bytes", "constructor", "_view", "_at", "_bytes", "_setBytes", "_element"]);

/** timespec64 → Timespec64, __kernel_itimerspec → KernelItimerspec. */
export function className(record: string): string {
  return record
    .replace(/^(struct|union) /, "")
    .split("_")
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join("");
}

export interface ClassText {
  readonly name: string;
  readonly text: string;
  /** Names of the records of named types that the class refers to. */
  readonly uses: ReadonlySet<string>;
}

/** The class of a record, after those of its unnamed members. */
export function classOf(layout: Layout, layouts: ReadonlyMap<string, Layout>): ClassText[] {
  return new ClassWriter(layouts).write(layout, className(layout.name), `\`${layout.name}\``);
}

class ClassWriter {
  readonly #layouts: ReadonlyMap<string, Layout>;
  readonly #done: ClassText[] = [];

  constructor(layouts: ReadonlyMap<string, Layout>) {
    this.#layouts = layouts;
  }

  write(layout: Layout, name: string, about: string): ClassText[] {
    const uses = new Set<string>();
    const offsets = new Map<string, number>();
    let members = "";
    for (const field of flatten(layout.fields)) {
      const label = TAKEN.has(field.name) ? `${field.name}_` : field.name;
      if (offsets.has(label)) continue;
      if (!field.bits) offsets.set(label, field.offset);
      members += this.#member(field, label, layout, name, uses);
    }
    const entries = [...offsets].map(([label, offset]) => `    ${label}: ${offset},\n`).join("");
    const offsetsText = entries ? `  static readonly offsets = {\n${entries}  } as const;\n` : "";
    const text =
      doc(`${about}, ${layout.size} bytes, aligned to ${layout.align}.`) +
      `export class ${name} extends Struct {\n` +
      `  static readonly size = ${layout.size};\n${offsetsText}${members}}\n`;
    this.#done.push({ name, text, uses });
    return this.#done;
  }

  #member(field: Field, label: string, layout: Layout, owner: string, uses: Set<string>): string {
    if (field.bits) return bitField(field, label, layout);
    const array = /^(.*?)((?:\[\d*\])+)$/.exec(field.type);
    if (array) return this.#array(field, label, array[1], array[2], owner, uses);
    const simple = scalarOf(field.type);
    if (simple) return scalarMember(field, label, simple);
    const nested = this.#nested(field, field.type, owner, uses);
    if (!nested) return `\n  // ${label}: has no members\n`;
    return `\n  get ${label}(): ${nested} {\n    return new ${nested}(this._view, ${at(field.offset)});\n  }\n`;
  }

  /** The class of a member that is a record: of its own if its type has no name. */
  #nested(field: Field, type: string, owner: string, uses: Set<string>): string | undefined {
    const named = this.#layouts.get(type);
    if (named && !type.includes("(")) {
      uses.add(type);
      return className(type);
    }
    // Fields carry offsets from the outermost record of the dump; elements of arrays have none.
    const fields = named?.fields ?? field.fields.map((inner) => shifted(inner, field.offset));
    if (fields.length === 0) return undefined;
    const name = owner + className(field.name);
    const size = named?.size ?? extent(fields, this.#layouts);
    const align = named?.align ?? 1;
    this.write(
      { name: type, size, align, fields },
      name,
      `The member \`${field.name}\` of {@link ${owner}}`,
    );
    return name;
  }

  #array(
    field: Field,
    label: string,
    element: string,
    dimensions: string,
    owner: string,
    uses: Set<string>,
  ): string {
    const counts = [...dimensions.matchAll(/\[(\d*)\]/g)].map(([, count]) => Number(count || 0));
    const length = counts.reduce((product, count) => product * count, 1);
    if (length === 0) return `\n  // ${label}: ${element}[] follows, see offsets\n`;
    const simple = scalarOf(element);
    if (simple?.size === 1) {
      return (
        `\n  /** \`${element}${dimensions}\` */\n` +
        `  get ${label}(): Uint8Array {\n    return this._bytes(${field.offset}, ${length});\n  }\n` +
        `\n  set ${label}(value: Uint8Array) {\n    this._setBytes(${field.offset}, ${length}, value);\n  }\n`
      );
    }
    const unnamed = /^(struct|union) .*\(/.exec(element);
    const note = `\n  /** \`${unnamed ? `${unnamed[1]} {…}` : element}${dimensions}\` */\n`;
    if (!simple) {
      const nested = this.#nested(field, element, owner, uses);
      const size = this.#layouts.get(element)?.size;
      if (!nested || size === undefined) return `\n  // ${label}: has no members\n`;
      const where = `this._element(${field.offset}, ${size}, ${length}, index)`;
      return `${note}  ${label}(index: number): ${nested} {\n    return new ${nested}(this._view, ${where});\n  }\n`;
    }
    const type = simple.big ? "bigint" : "number";
    const where = `this._element(${field.offset}, ${simple.size}, ${length}, index)`;
    const order = littleEndian(field);
    return (
      `${note}  ${label}(index: number): ${type} {\n` +
      `    return this._view.get${simple.method}(${where}, ${order});\n  }\n` +
      `\n  set_${label}(index: number, value: ${type}): void {\n` +
      `    this._view.set${simple.method}(${where}, value, ${order});\n  }\n`
    );
  }
}

function shifted(field: Field, base: number): Field {
  return {
    ...field,
    offset: field.offset - base,
    fields: field.fields.map((inner) => shifted(inner, base)),
  };
}

/** The end of the last field. */
function extent(fields: readonly Field[], layouts: ReadonlyMap<string, Layout>): number {
  let end = 0;
  for (const field of fields) {
    const array = /^(.*?)((?:\[\d*\])+)$/.exec(field.type);
    const element = array ? array[1] : field.type;
    const counts = [...(array?.[2] ?? "").matchAll(/\[(\d*)\]/g)].map(([, count]) =>
      Number(count || 0),
    );
    const size =
      scalarOf(element)?.size ??
      layouts.get(element)?.size ??
      extent(field.fields, layouts) - field.offset;
    end = Math.max(
      end,
      field.offset + size * counts.reduce((product, count) => product * count, 1),
    );
  }
  return end;
}

/** The fields of a record and of its anonymous members. */
function flatten(fields: readonly Field[]): Field[] {
  return fields.flatMap((field) => (field.name === "" ? flatten(field.fields) : [field]));
}

function at(offset: number): string {
  return offset === 0 ? "this._at" : `this._at + ${offset}`;
}

function scalarMember(field: Field, label: string, { method, size, big }: Scalar): string {
  const type = big ? "bigint" : "number";
  const where = at(field.offset);
  const order = size === 1 ? "" : `, ${littleEndian(field)}`;
  return (
    `\n  get ${label}(): ${type} {\n    return this._view.get${method}(${where}${order});\n  }\n` +
    `\n  set ${label}(value: ${type}) {\n    this._view.set${method}(${where}, value${order});\n  }\n`
  );
}

/** A bit-field within a word that lies inside the record; others are left out. */
function bitField(field: Field, label: string, layout: Layout): string {
  const [first, last] = field.bits as readonly [number, number];
  const width = last - first + 1;
  const bits = last < 8 ? 8 : last < 16 ? 16 : 32;
  if (last >= 32 || field.offset + bits / 8 > layout.size) {
    return `\n  // ${label}: bits ${first} to ${last} of byte ${field.offset}, left out\n`;
  }
  const mask = (2 ** width - 1).toString(16);
  const order = bits === 8 ? "" : ", true";
  const word = `this._view.getUint${bits}(${at(field.offset)}${order})`;
  return (
    `\n  /** ${width} bit${width > 1 ? "s" : ""} */\n` +
    `  get ${label}(): number {\n    return ((${word} >>> ${first}) & 0x${mask}) >>> 0;\n  }\n` +
    `\n  set ${label}(value: number) {\n` +
    `    const rest = ${word} & ~(0x${mask} << ${first});\n` +
    `    this._view.setUint${bits}(${at(field.offset)}, rest | ((value & 0x${mask}) << ${first})${order});\n  }\n`
  );
}
