// The code of scripts: the expressions and statements of Python that ask what TCP knows.
//
// Numbers are JavaScript's, so integers are exact up to 2⁵³; bits are taken of 64.

import { Mismatch } from "./errors.ts";

export type PyValue = number | boolean | string | null | readonly PyValue[];

/** Variables: those that are there, and those that the code sets. */
export type PyScope = Map<string, PyValue>;

interface PyToken {
  readonly kind: "number" | "string" | "name" | "sign" | "end";
  readonly text: string;
}

const BITS = 64;
const TOKEN =
  /\s*(?:(0x[\da-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|([A-Za-z_]\w*)|((?:\*\*|\/\/|<<|>>|[-+*/%&|^])=(?!=)|\*\*|\/\/|<<|>>|<=|>=|==|!=|<>|[-+*/%()[\],<>=|&^~.:]))/y;

function tokenize(line: string): PyToken[] {
  const tokens: PyToken[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < line.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(line);
    if (!match) throw new Mismatch(`SyntaxError: invalid syntax at '${line.slice(at).trim()}'`);
    const [, number, string, name, sign] = match;
    if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (string !== undefined) tokens.push({ kind: "string", text: string });
    else if (name !== undefined) tokens.push({ kind: "name", text: name });
    else tokens.push({ kind: "sign", text: sign });
  }
  tokens.push({ kind: "end", text: "the end of the line" });
  return tokens;
}

function truthy(value: PyValue): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function numeric(value: PyValue): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  throw new Mismatch(`TypeError: ${show(value)} is no number`);
}

function bits(left: PyValue, right: PyValue, of: (a: bigint, b: bigint) => bigint): number {
  return Number(BigInt.asIntN(BITS, of(BigInt(numeric(left)), BigInt(numeric(right)))));
}

/** As print() shows it. */
export function show(value: PyValue): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "object") return `(${value.map(show).join(", ")})`;
  return String(value);
}

/** `'cwnd=%d' % value` */
function formatted(template: string, value: PyValue): string {
  const values = typeof value === "object" && value !== null ? [...value] : [value];
  return template.replace(
    /%(?:%|[-+ 0#]*\d*(?:\.(\d+))?([dioxXufFeEgGsr]))/g,
    (_, digits: string | undefined, kind: string | undefined) => {
      if (kind === undefined) return "%";
      const next = values.shift();
      if (next === undefined)
        throw new Mismatch(`TypeError: not enough arguments for '${template}'`);
      if ("sr".includes(kind)) return show(next);
      if ("xX".includes(kind)) return numeric(next).toString(16);
      if ("feFEgG".includes(kind)) return numeric(next).toFixed(Number(digits ?? 6));
      return String(Math.trunc(numeric(next)));
    },
  );
}

function equal(left: PyValue, right: PyValue): boolean {
  if (typeof left === "object" && left !== null && typeof right === "object" && right !== null)
    return left.length === right.length && left.every((item, index) => equal(item, right[index]));
  if (typeof left === "boolean" || typeof right === "boolean")
    return Number(left) === Number(right);
  return left === right;
}

function less(left: PyValue, right: PyValue): boolean {
  if (typeof left === "string" && typeof right === "string") return left < right;
  return numeric(left) < numeric(right);
}

const COMPARISONS = new Map<string, (left: PyValue, right: PyValue) => boolean>([
  ["==", equal],
  ["!=", (left, right) => !equal(left, right)],
  ["<>", (left, right) => !equal(left, right)],
  ["<", less],
  [">", (left, right) => less(right, left)],
  ["<=", (left, right) => !less(right, left)],
  [">=", (left, right) => !less(left, right)],
  ["is", equal],
  [
    "in",
    (left, right) =>
      Array.isArray(right)
        ? right.some((item) => equal(left, item))
        : show(right).includes(show(left)),
  ],
]);

function divided(divisor: number, quotient: (divisor: number) => number): number {
  if (divisor === 0) throw new Mismatch("ZeroDivisionError: division by zero");
  return quotient(divisor);
}

const OPERATIONS = new Map<string, (left: PyValue, right: PyValue) => PyValue>([
  ["|", (left, right) => bits(left, right, (a, b) => a | b)],
  ["^", (left, right) => bits(left, right, (a, b) => a ^ b)],
  ["&", (left, right) => bits(left, right, (a, b) => a & b)],
  ["<<", (left, right) => bits(left, right, (a, b) => a << b)],
  [">>", (left, right) => bits(left, right, (a, b) => a >> b)],
  [
    "+",
    (left, right) =>
      typeof left === "string" ? left + show(right) : numeric(left) + numeric(right),
  ],
  ["-", (left, right) => numeric(left) - numeric(right)],
  ["*", (left, right) => numeric(left) * numeric(right)],
  ["/", (left, right) => divided(numeric(right), (by) => numeric(left) / by)],
  ["//", (left, right) => divided(numeric(right), (by) => Math.floor(numeric(left) / by))],
  [
    "%",
    (left, right) => {
      if (typeof left === "string") return formatted(left, right);
      return divided(numeric(right), (by) => numeric(left) - by * Math.floor(numeric(left) / by));
    },
  ],
]);

/** From the weakest to the strongest. */
const LEVELS: readonly (readonly string[])[] = [
  ["|"],
  ["^"],
  ["&"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "//", "%"],
];

function only(args: readonly PyValue[]): PyValue {
  if (args.length !== 1)
    throw new Mismatch(`TypeError: 1 argument is expected, not ${args.length}`);
  return args[0];
}

const FUNCTIONS = new Map<string, (args: readonly PyValue[]) => PyValue>([
  ["abs", (args) => Math.abs(numeric(only(args)))],
  ["int", (args) => Math.trunc(Number(only(args)))],
  ["float", (args) => Number(only(args))],
  ["round", (args) => Math.round(numeric(only(args)))],
  ["bool", (args) => truthy(only(args))],
  ["str", (args) => show(only(args))],
  ["min", (args) => Math.min(...args.map(numeric))],
  ["max", (args) => Math.max(...args.map(numeric))],
]);

const CONSTANTS: ReadonlyMap<string, PyValue> = new Map<string, PyValue>([
  ["True", true],
  ["False", false],
  ["None", null],
]);

/** One statement; `say` is where print() goes. */
class Statement {
  readonly #source: string;
  readonly #tokens: readonly PyToken[];
  readonly #scope: PyScope;
  readonly #say: (text: string) => void;
  #at = 0;

  constructor(source: string, scope: PyScope, say: (text: string) => void) {
    this.#source = source.trim();
    this.#tokens = tokenize(source);
    this.#scope = scope;
    this.#say = say;
  }

  get #next(): PyToken {
    return this.#tokens[this.#at];
  }

  get #ended(): boolean {
    return this.#next.kind === "end";
  }

  #is(text: string): boolean {
    return this.#next.kind !== "string" && this.#next.text === text;
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #fail(): never {
    throw new Mismatch(`SyntaxError: invalid syntax at '${this.#next.text}' in: ${this.#source}`);
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail();
  }

  run(): void {
    if (this.#ended || this.#accept("pass")) return;
    if (this.#accept("assert")) this.#assert();
    else if (this.#accept("print")) this.#say(this.#ended ? "" : show(this.#tuple()));
    else if (this.#next.kind === "name" && this.#tokens[this.#at + 1].text === "=") {
      const name = this.#next.text;
      this.#at += 2;
      this.#scope.set(name, this.#tuple());
    } else if (this.#isAugmented()) this.#augment();
    else this.#tuple();
    if (!this.#ended) this.#fail();
  }

  /** `cwnd += 1` */
  #isAugmented(): boolean {
    const { kind, text } = this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)];
    return this.#next.kind === "name" && kind === "sign" && OPERATIONS.has(text.slice(0, -1));
  }

  #augment(): void {
    const { text: name } = this.#next;
    const operation = OPERATIONS.get(this.#tokens[this.#at + 1].text.slice(0, -1))!;
    const before = this.#scope.get(name);
    if (before === undefined) throw new Mismatch(`NameError: name '${name}' is not defined`);
    this.#at += 2;
    this.#scope.set(name, operation(before, this.#tuple()));
  }

  #assert(): void {
    const holds = truthy(this.#expression());
    const message = this.#accept(",") ? this.#expression() : undefined;
    if (!holds)
      throw new Mismatch(
        `AssertionError: ${this.#source}${message === undefined ? "" : `: got ${show(message)}`}`,
      );
  }

  #tuple(): PyValue {
    const first = this.#expression();
    if (!this.#is(",")) return first;
    const items = [first];
    while (this.#accept(",")) items.push(this.#expression());
    return items;
  }

  #expression(): PyValue {
    const value = this.#or();
    if (!this.#accept("if")) return value;
    const condition = truthy(this.#or());
    this.#expect("else");
    const otherwise = this.#expression();
    return condition ? value : otherwise;
  }

  // Both sides are worked out: nothing that code can ask changes anything.
  #or(): PyValue {
    let left = this.#and();
    while (this.#accept("or")) {
      const right = this.#and();
      left = truthy(left) ? left : right;
    }
    return left;
  }

  #and(): PyValue {
    let left = this.#not();
    while (this.#accept("and")) {
      const right = this.#not();
      left = truthy(left) ? right : left;
    }
    return left;
  }

  #not(): PyValue {
    return this.#accept("not") ? !truthy(this.#not()) : this.#comparison();
  }

  #comparison(): PyValue {
    let left = this.#operation(0);
    let compared = false;
    let holds = true;
    for (;;) {
      const negated = this.#is("not") && this.#tokens[this.#at + 1].text === "in";
      if (negated) this.#at++;
      const compare = this.#next.kind === "string" ? undefined : COMPARISONS.get(this.#next.text);
      if (!compare) return compared ? holds : left;
      this.#at++;
      const not = negated !== this.#accept("not");
      const right = this.#operation(0);
      holds &&= compare(left, right) !== not;
      compared = true;
      left = right;
    }
  }

  #operation(level: number): PyValue {
    if (level === LEVELS.length) return this.#unary();
    let left = this.#operation(level + 1);
    while (this.#next.kind === "sign" && LEVELS[level].includes(this.#next.text)) {
      const operation = OPERATIONS.get(this.#next.text)!;
      this.#at++;
      left = operation(left, this.#operation(level + 1));
    }
    return left;
  }

  #unary(): PyValue {
    if (this.#accept("-")) return -numeric(this.#unary());
    if (this.#accept("+")) return numeric(this.#unary());
    if (this.#accept("~")) return -1 - numeric(this.#unary());
    const base = this.#atom();
    return this.#accept("**") ? numeric(base) ** numeric(this.#unary()) : base;
  }

  #atom(): PyValue {
    const { kind, text } = this.#next;
    if (kind === "number") {
      this.#at++;
      return Number(text);
    }
    if (kind === "string") {
      let value = "";
      while (this.#next.kind === "string") value += this.#tokens[this.#at++].text.slice(1, -1);
      return value;
    }
    if (this.#accept("(") || this.#accept("[")) return this.#group(text === "(" ? ")" : "]");
    if (kind !== "name") return this.#fail();
    this.#at++;
    if (this.#accept("(")) {
      const args = this.#arguments();
      const call = FUNCTIONS.get(text);
      if (!call) throw new Mismatch(`NameError: name '${text}' is not a function that is known`);
      return call(args);
    }
    const value = CONSTANTS.get(text) ?? this.#scope.get(text);
    if (value === undefined && !CONSTANTS.has(text))
      throw new Mismatch(`NameError: name '${text}' is not defined`);
    return value ?? null;
  }

  #group(close: string): PyValue {
    const items: PyValue[] = [];
    let commas = 0;
    while (!this.#is(close)) {
      items.push(this.#expression());
      if (!this.#accept(",")) break;
      commas++;
    }
    this.#expect(close);
    return close === ")" && commas === 0 && items.length === 1 ? items[0] : items;
  }

  #arguments(): PyValue[] {
    const args: PyValue[] = [];
    while (!this.#is(")")) {
      args.push(this.#expression());
      if (!this.#accept(",")) break;
    }
    this.#expect(")");
    return args;
  }
}

/** Comments, strings, and what is neither. */
const PIECES = /#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\s\S]/g;

/** Lines, where what is in parentheses or ends in a backslash goes on in the next one. */
function statements(code: string): string[] {
  const lines: string[] = [];
  let open = 0;
  let line = "";
  for (const [piece] of code.replace(/\\[ \t]*(?:\n|$)/g, " ").matchAll(PIECES)) {
    if (piece.startsWith("#")) continue;
    if (piece === "(" || piece === "[") open++;
    else if (piece === ")" || piece === "]") open--;
    if ((piece === "\n" || piece === ";") && open <= 0) {
      lines.push(line);
      line = "";
    } else line += piece === "\n" ? " " : piece;
  }
  return [...lines, line].filter((one) => one.trim() !== "");
}

/**
 * Run code.
 *
 * @param scope what names mean; what the code sets is added
 * @throws {Mismatch} for an assertion that does not hold, and for what is not understood
 */
export function runPython(
  code: string,
  scope: PyScope,
  say: (text: string) => void = () => {},
): void {
  for (const line of statements(code)) new Statement(line, scope, say).run();
}
