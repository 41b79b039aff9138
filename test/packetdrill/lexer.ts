// Words of the script language, and the options that a script begins with.

import { ScriptError } from "./errors.ts";

export type TokenKind =
  | "integer"
  | "hex"
  | "float"
  | "word"
  | "string"
  | "command"
  | "code"
  | "ellipsis"
  | "sign"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** What it says: without the quotes of strings, commands and code. */
  readonly text: string;
  readonly line: number;
  /** What has been skipped before it: blanks and comments. */
  readonly spaced: boolean;
}

/** `--name=value` at the top of a script. */
export interface ScriptOption {
  readonly name: string;
  readonly value: string | undefined;
  readonly line: number;
}

export interface Lexed {
  readonly options: readonly ScriptOption[];
  readonly tokens: readonly Token[];
}

/** Names that stand for others: `--define CMSG_LEVEL_IP=SOL_IP`. */
export type Defines = ReadonlyMap<string, string>;

const SKIPPED = /(?:[ \t\r\n]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
const OPTION = /--(\w+)(?:=((?:"[^"]*"|`[^`]*`|[^\s"`])*))?/y;
const COMMAND = /`((?:\\[\s\S]|[^`\\])*)`/y;
const CODE = /%\{([\s\S]*?)\}%/y;
const STRING = /"((?:\\[\s\S]|[^"\\])*)"/y;
const ELLIPSIS = /\.\.\./y;
const FLOAT = /-?\d*\.\d+/y;
const HEX = /0x[\da-fA-F]+/y;
const WORD = /\w+/y;
const INTEGER = /-?\d+/y;

/** In the order in which they win where they match as much. */
const FORMS: readonly (readonly [TokenKind, RegExp])[] = [
  ["command", COMMAND],
  ["code", CODE],
  ["string", STRING],
  ["ellipsis", ELLIPSIS],
  ["float", FLOAT],
  ["integer", INTEGER],
  ["hex", HEX],
  ["word", WORD],
];

/** What a word is that was defined to be something else. */
function defined(value: string): { kind: TokenKind; text: string } {
  const quoted = /^(["`])([\s\S]*)\1$/.exec(value);
  if (quoted) return { kind: quoted[1] === '"' ? "string" : "command", text: quoted[2] };
  const number = /^(?:(-?\d+)|0x[\da-fA-F]+)$/.exec(value);
  if (number) return { kind: number[1] === undefined ? "hex" : "integer", text: value };
  return { kind: "word", text: value };
}

/** Reads a text from front to back. */
class Reader {
  readonly #text: string;
  readonly file: string;
  at = 0;
  line = 1;

  constructor(text: string, file: string) {
    this.#text = text;
    this.file = file;
  }

  get ended(): boolean {
    return this.at === this.#text.length;
  }

  match(form: RegExp): RegExpExecArray | null {
    form.lastIndex = this.at;
    return form.exec(this.#text);
  }

  take(length: number): string {
    const taken = this.#text.slice(this.at, this.at + length);
    this.at += length;
    this.line += taken.split("\n").length - 1;
    return taken;
  }

  /** Whether there was anything to skip. */
  skip(): boolean {
    return this.take(this.match(SKIPPED)![0].length) !== "";
  }

  fail(message: string): never {
    throw new ScriptError({ file: this.file, line: this.line }, "parse error", message);
  }
}

/** An option of the command line, or undefined if it is none. */
export function parseOption(text: string): ScriptOption | undefined {
  const match = /^--(\w+)(?:=(.*))?$/s.exec(text);
  return match ? { name: match[1], value: match[2], line: 0 } : undefined;
}

/** The options that a script begins with: they may define words, so they are read first. */
function readOptions(reader: Reader): ScriptOption[] {
  const options: ScriptOption[] = [];
  for (;;) {
    reader.skip();
    const match = reader.match(OPTION);
    if (!match) return options;
    options.push({ name: match[1], value: match[2], line: reader.line });
    reader.take(match[0].length);
  }
}

function readToken(reader: Reader, spaced: boolean, defines: Defines): Token {
  const { line } = reader;
  let best: { kind: TokenKind; match: RegExpExecArray } | undefined;
  for (const [kind, form] of FORMS) {
    const match = reader.match(form);
    if (match && match[0].length > (best?.match[0].length ?? 0)) best = { kind, match };
  }
  if (!best) {
    const text = reader.take(1);
    if (text === "`" || text === '"') reader.fail(`at '${text}': it does not end`);
    return { kind: "sign", text, line, spaced };
  }
  const { kind, match } = best;
  reader.take(match[0].length);
  const text = match[1] ?? match[0];
  const value = kind === "word" ? defines.get(text) : undefined;
  return { ...(value === undefined ? { kind, text } : defined(value)), line, spaced };
}

/**
 * A script's words.
 *
 * @param defines what words stand for, told the options of the script
 * @throws {ScriptError} for a string, a command or code that does not end
 */
export function lex(
  text: string,
  file: string,
  defines: (options: readonly ScriptOption[]) => Defines = () => new Map(),
): Lexed {
  const reader = new Reader(text, file);
  const options = readOptions(reader);
  const known = defines(options);
  const tokens: Token[] = [];
  let spaced = true;
  while (!reader.ended) {
    tokens.push(readToken(reader, spaced, known));
    spaced = reader.skip();
  }
  tokens.push({ kind: "end", text: "the end of the script", line: reader.line, spaced });
  return { options, tokens };
}
