// SPDX-License-Identifier: MIT
// src/abi/numbers.ts and src/abi/calls.ts

import {
  copyBack,
  joined,
  kinds,
  leftOut,
  lengthUnits,
  returnsAddress,
  type ParamKind,
} from "./overrides.ts";
import type { Call, Parameter, Prototype } from "./prototypes.ts";
import { banner, doc } from "./write.ts";

export function numbersFile(calls: readonly Call[]): string {
  return (
    `${banner}\n/** The numbers of the system calls. */\nexport const NR = {\n` +
    calls.map(({ name, nr }) => `  ${name}: ${nr},\n`).join("") +
    "} as const;\n\nexport type CallName = keyof typeof NR;\n"
  );
}

/** Scalars of at most 32 bits on this ABI. */
const INT_TYPES = new Set([
  ..."int,long,unsigned,unsigned int,unsigned long,size_t,off_t,u32,__u32,__s32,uint32_t".split(
    ",",
  ),
  ..."pid_t,uid_t,gid_t,umode_t,clockid_t,timer_t,key_t,key_serial_t,mqd_t,qid_t,rwf_t".split(","),
  "aio_context_t",
  "enum landlock_rule_type",
]);
const LONG64_TYPES = new Set(["loff_t", "u64", "__u64", "s64", "__s64"]);
/** Typedefs that hide a pointer. */
const POINTER_TYPES = new Set(["cap_user_header_t", "cap_user_data_t"]);

function defaultKind(type: string): ParamKind {
  const constant = type.startsWith("const ");
  const bare = constant ? type.slice(6) : type;
  if (type === "const char *") return "string";
  if (type.endsWith("*") || POINTER_TYPES.has(bare)) return constant ? "in" : "inout";
  if (INT_TYPES.has(bare)) return "int";
  if (LONG64_TYPES.has(bare)) return "long64";
  throw new Error(`system calls: is ${type} one word or two?`);
}

const TYPE_OF: Readonly<Record<ParamKind, string>> = {
  int: "number",
  address: "Address",
  long64: "number | bigint",
  string: "Path",
  in: "In",
  out: "Out",
  inout: "Out",
  "iov-in": "readonly Uint8Array[] | In",
  "iov-out": "readonly Uint8Array[] | In",
};

interface Argument extends Parameter {
  readonly kind: ParamKind;
  readonly label: string;
}

interface Stub {
  readonly call: Call;
  readonly signature: string;
  readonly args: readonly Argument[];
}

const RESERVED = new Set(["new", "in", "delete", "function", "default", "this"]);

/** Every prototype of the table that the class gets, with the kinds of its arguments. */
export function stubs(
  calls: readonly Call[],
  declared: ReadonlyMap<string, Prototype>,
  defined: ReadonlyMap<string, readonly Prototype[]>,
): Stub[] {
  const unused = new Set(Object.keys(kinds).concat(Object.keys(copyBack), Object.keys(joined)));
  const result: Stub[] = [];
  for (const call of calls) {
    if (leftOut.includes(call.name)) continue;
    const definitions = defined.get(call.entry) ?? [];
    const prototype = declared.get(call.entry) ?? definitions[0];
    if (!prototype) throw new Error(`${call.name}: no prototype of sys_${call.entry}`);
    const words = prototype.parameters.map(({ type }) => wordsOf(defaultKind(type))).join();
    const same = definitions.filter(
      (one) =>
        one.parameters.map(({ type }) => wordsOf(defaultKind(withoutConst(type)))).join() === words,
    );
    if (definitions.length > 0 && same.length === 0) {
      throw new Error(`${call.name}: the declaration and the definition disagree`);
    }
    const named = prototype.parameters.map((parameter, index) => ({
      type: parameter.type,
      name: parameter.name || (same[0]?.parameters[index]?.name ?? `arg${index + 1}`),
    }));
    unused.delete(call.name);
    result.push({
      call,
      signature: `${call.name}(${named.map(({ type, name }) => `${type} ${name}`.replace("* ", "*")).join(", ") || "void"})`,
      args: argumentsOf(call.name, named),
    });
  }
  if (unused.size > 0) throw new Error(`abi/overrides.ts: no such call: ${[...unused].join(", ")}`);
  return result;
}

/** Definitions say `const clockid_t` where declarations do not. */
function withoutConst(type: string): string {
  return type.endsWith("*") ? type : type.replace(/^const /, "").replace(/ const$/, "");
}

function wordsOf(kind: ParamKind): number {
  return kind === "long64" ? 2 : 1;
}

function argumentsOf(name: string, parameters: readonly Parameter[]): Argument[] {
  const override = { ...kinds[name] };
  const back = copyBack[name];
  if (back) override[back] = "out";
  const join = joined[name];
  const args: Argument[] = [];
  for (const parameter of parameters) {
    if (join && parameter.name === join.high) continue;
    const low = join !== undefined && parameter.name === join.low;
    const kind = low ? "long64" : (override[parameter.name] ?? defaultKind(parameter.type));
    delete override[parameter.name];
    const trimmed = (low ? join.name : parameter.name).replace(/^_+/, "");
    const label = RESERVED.has(trimmed) ? `${trimmed}_` : trimmed;
    args.push({ ...parameter, kind, label });
  }
  const rest = Object.keys(override);
  if (rest.length > 0) throw new Error(`abi/overrides.ts: ${name} has no ${rest.join(", ")}`);
  const words = args.reduce((sum, { kind }) => sum + wordsOf(kind), 0);
  if (words > 6) throw new Error(`${name} takes ${words} words`);
  return args;
}

const PRELUDE = `import { NR, type CallName } from "./numbers.ts";

/** An address in the kernel's memory. */
export type Address = number;

/** A piece of the kernel's memory: passed by its address, never copied. */
export interface KernelMemory {
  readonly address: Address;
  /** In bytes. */
  readonly length: number;
}

/** \`const T *\`: bytes that the kernel reads. A number is an address, null is NULL. */
export type In = Uint8Array | KernelMemory | Address | null;

/** \`T *\`: bytes that the kernel writes, or reads and writes. */
export type Out = Uint8Array | KernelMemory | Address | null;

/** \`const char *\`: a string, to which a NUL is added; bytes get one as well. */
export type Path = string | Uint8Array | KernelMemory | Address | null;

export type Argument = number | bigint | Path | In | Out | readonly Uint8Array[];

export interface CallOptions {
  /** Interrupts the call. */
  readonly signal?: AbortSignal;
}

/**
 * How an argument crosses: "int" is one word; "long64" two, low first; "string" is copied in with
 * a NUL; "in" is copied in, "out" back, "inout" both, if they are not in the kernel's memory
 * already; "iov-in" and "iov-out" are an array of buffers or the raw iovecs.
 */
export type ParamKind =
  | "int"
  | "long64"
  | "string"
  | "in"
  | "out"
  | "inout"
  | "iov-in"
  | "iov-out";

export interface CallDescriptor {
  readonly nr: number;
  readonly name: CallName;
  readonly params: readonly ParamKind[];
  /** The result is an address: unsigned, and an error only from -4095. */
  readonly returnsAddress?: true;
  /**
   * Of this parameter the first \`result\` bytes alone are written, as read(2) does. The result
   * may exceed the buffer, as getxattr(2) with size 0 or recvfrom(2) with MSG_TRUNC.
   */
  readonly copyBack?: number;
  /** Buffers whose size another parameter tells: [buffer, length, bytes a unit of length]. */
  readonly lengths?: readonly (readonly [number, number, number])[];
}
`;

const CLASS_HEAD = `/**
 * The system calls, by their names in the kernel's table. Each resolves to the call's result and
 * rejects when it is an error. All may suspend.
 */
export abstract class SystemCalls {
  /** Scalars only: no marshalling. */
  protected abstract scalar(
    nr: number,
    name: CallName,
    options: CallOptions | undefined,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ): Promise<number>;

  protected abstract marshalled(
    call: CallDescriptor,
    args: readonly Argument[],
    options: CallOptions | undefined,
  ): Promise<number>;
`;

export function callsFile(list: readonly Stub[]): string {
  let descriptors = "";
  let methods = "";
  for (const { call, signature, args } of list) {
    const options = args.some(({ label }) => label === "options") ? "callOptions" : "options";
    const scalar =
      !returnsAddress.includes(call.name) &&
      args.every(({ kind }) => kind === "int" || kind === "address");
    const labels = args.map(({ label }) => label);
    let body: string;
    if (scalar) {
      const words = [...labels, ...Array.from({ length: 6 - labels.length }, () => "0")];
      body = `this.scalar(${call.nr}, "${call.name}", ${options}, ${words.join(", ")})`;
    } else {
      const constant = call.name.toUpperCase();
      descriptors += descriptor(constant, call, args);
      body = `this.marshalled(${constant}, [${labels.join(", ")}], ${options})`;
    }
    const parameters = args
      .map(({ label, kind }) => `${label}: ${TYPE_OF[kind]}`)
      .concat(`${options}?: CallOptions`);
    methods += `\n${doc(`\`${signature}\``, "  ")}${method(call.name, parameters, body)}`;
  }
  return `${banner}${PRELUDE}\n${descriptors}\n${CLASS_HEAD}${methods}}\n`;
}

function method(name: string, parameters: readonly string[], body: string): string {
  const line = `  ${name}(${parameters.join(", ")}): Promise<number> {\n`;
  const head =
    line.length <= 101
      ? line
      : `  ${name}(\n${parameters.map((one) => `    ${one},\n`).join("")}  ): Promise<number> {\n`;
  const flat = `    return ${body};\n`;
  if (flat.length <= 101) return `${head}${flat}  }\n`;
  const open = body.indexOf("(") + 1;
  const inner = body.slice(open, -1);
  const list = /^(\w+), (\[.*\]), (\w+)$/.exec(inner);
  const parts = list ? list.slice(1) : inner.split(", ");
  return `${head}    return ${body.slice(0, open)}\n${parts.map((one) => `      ${one},\n`).join("")}    );\n  }\n`;
}

function descriptor(constant: string, call: Call, args: readonly Argument[]): string {
  const params = args.map(({ kind }) => `"${kind === "address" ? "int" : kind}"`).join(", ");
  const parts = [`nr: NR.${call.name}`, `name: "${call.name}"`, `params: [${params}]`];
  if (returnsAddress.includes(call.name)) parts.push("returnsAddress: true");
  const back = copyBack[call.name];
  if (back) parts.push(`copyBack: ${args.findIndex(({ name }) => name === back)}`);
  const sized = lengthsOf(call.name, args);
  if (sized.length > 0)
    parts.push(`lengths: [${sized.map((one) => `[${one.join(", ")}]`).join(", ")}]`);
  const line = `const ${constant}: CallDescriptor = { ${parts.join(", ")} };\n`;
  if (line.length <= 101) return line;
  return `const ${constant}: CallDescriptor = {\n${parts.map((one) => `  ${one},\n`).join("")}};\n`;
}

const LENGTH_NAME = /(len|siz|size|count|nbytes|msgsz)$/;
/** A pointer to an offset in a file: one number, and the length behind it is of something else. */
const OFFSET_TYPE = /\bloff_t\b/;

/** A length follows its buffer, and is named so, where the kernel's prototypes have one. */
function lengthsOf(call: string, args: readonly Argument[]): (readonly [number, number, number])[] {
  const lengths: (readonly [number, number, number])[] = [];
  for (const [index, { kind, type }] of args.entries()) {
    const next = args[index + 1];
    if (OFFSET_TYPE.test(type)) continue;
    if (!["in", "out", "inout"].includes(kind) || next?.kind !== "int") continue;
    const unit = lengthUnits[call]?.[next.name] ?? (LENGTH_NAME.test(next.name) ? 1 : 0);
    if (unit > 0) lengths.push([index, index + 1, unit]);
  }
  return lengths;
}
