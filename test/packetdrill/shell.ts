// The shell commands of scripts: sh(1)'s grammar as far as they use it, over the kernel's own files and
// netlink. Nothing is run on the host; a file is the kernel's, or a script beside the one that runs.

import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";

import { readText, writeText } from "../../src/net/text-file.ts";
import { SystemError } from "../../src/syscall/errors.ts";
import { commands } from "./commands.ts";
import type { Outcome, ShellContext } from "./invocation.ts";

const MAX_DEPTH = 8;
const NOT_FOUND = 127;
const FAILED = 1;

interface Redirection {
  readonly from: "output" | "errors";
  readonly to: string;
  readonly append: boolean;
}

interface Simple {
  readonly words: readonly string[];
  readonly redirections: readonly Redirection[];
}

/** `a | b`, and how it goes on from what was before. */
interface Pipeline {
  readonly after: "always" | "success" | "failure";
  readonly commands: readonly Simple[];
}

/** $((15*1024*1024)): whole numbers and what is between them. */
function arithmetic(text: string): string {
  if (!/^[\d\s()*+/%-]+$/.test(text)) throw new SyntaxError(`$((${text})): it cannot be reckoned`);
  let at = 0;
  const skip = () => {
    while (text[at] === " ") at++;
    return text[at];
  };
  const atom = (): number => {
    if (skip() === "(") {
      at++;
      const value = sum();
      skip();
      at++;
      return value;
    }
    const digits = /\d+/y;
    digits.lastIndex = at;
    const match = digits.exec(text);
    if (!match) throw new SyntaxError(`$((${text})): a number is missing`);
    at += match[0].length;
    return Number(match[0]);
  };
  const product = (): number => {
    let value = atom();
    for (let sign = skip(); sign === "*" || sign === "/" || sign === "%"; sign = skip()) {
      at++;
      const by = atom();
      value = sign === "*" ? value * by : sign === "/" ? Math.trunc(value / by) : value % by;
    }
    return value;
  };
  const sum = (): number => {
    let value = product();
    for (let sign = skip(); sign === "+" || sign === "-"; sign = skip()) {
      at++;
      const by = product();
      value += sign === "+" ? by : -by;
    }
    return value;
  };
  return String(sum());
}

/** Takes commands apart. */
class ShellReader {
  readonly #text: string;
  readonly #variables: ReadonlyMap<string, string>;
  #at = 0;

  constructor(text: string, variables: ReadonlyMap<string, string>) {
    this.#text = text.replaceAll("\\\n", " ");
    this.#variables = variables;
  }

  #match(form: RegExp): RegExpExecArray | null {
    form.lastIndex = this.#at;
    const match = form.exec(this.#text);
    if (match) this.#at += match[0].length;
    return match;
  }

  /** $name, ${name}, $((…)) */
  #expansion(): string {
    const sum = this.#match(/\$\(\(([\s\S]*?)\)\)/y);
    if (sum) return arithmetic(sum[1]);
    const name = this.#match(/\$(?:\{(\w+)\}|(\w+))/y);
    if (name) return this.#variables.get(name[1] ?? name[2]) ?? "";
    if (this.#match(/\$\(/y))
      throw new SyntaxError("$( ): the output of commands is not supported");
    this.#at++;
    return "$";
  }

  #quoted(): string {
    let word = "";
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw new SyntaxError('a string does not end: "');
      if (char === "$") word += this.#expansion();
      else {
        this.#at++;
        if (char === '"') return word;
        word += char === "\\" ? this.#text[this.#at++] : char;
      }
    }
  }

  #word(): string | undefined {
    let word: string | undefined;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || /[\s;|&<>]/.test(char)) return word;
      if (char === "$") word = (word ?? "") + this.#expansion();
      else if (char === '"') {
        this.#at++;
        word = (word ?? "") + this.#quoted();
      } else if (char === "'") {
        const literal = this.#match(/'([^']*)'/y);
        if (!literal) throw new SyntaxError("a string does not end: '");
        word = (word ?? "") + literal[1];
      } else {
        if (char === "\\") this.#at++;
        word = (word ?? "") + (this.#text[this.#at++] ?? "");
      }
    }
  }

  #redirection(): Redirection | undefined {
    const match = this.#match(/([12&]?)>(>?)[ \t]*/y);
    if (!match) return undefined;
    const from = match[1] === "2" ? "errors" : "output";
    const merged = this.#match(/&[12]/y);
    const to = merged ? merged[0] : (this.#word() ?? "");
    return { from, to, append: match[2] !== "" };
  }

  #simple(): Simple {
    const words: string[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      this.#match(/[ \t]+/y);
      if (this.#match(/#[^\n]*/y)) continue;
      const redirection = this.#redirection();
      if (redirection) redirections.push(redirection);
      else {
        const word = this.#word();
        if (word === undefined) return { words, redirections };
        words.push(word);
      }
    }
  }

  *pipelines(): Generator<Pipeline> {
    let after: Pipeline["after"] = "always";
    while (this.#at < this.#text.length) {
      const commands = [this.#simple()];
      while (this.#match(/\|(?!\|)\s*/y)) commands.push(this.#simple());
      yield { after, commands };
      const separator = this.#match(/(?:&&|\|\||[;&\n])\s*/y);
      if (!separator && this.#at < this.#text.length)
        throw new SyntaxError(`'${this.#text.slice(this.#at, this.#at + 20)}' is not understood`);
      after = "always";
      if (separator?.[0].startsWith("&&")) after = "success";
      if (separator?.[0].startsWith("||")) after = "failure";
    }
  }
}

/** Runs commands, one after the other. */
export class Shell {
  readonly #context: ShellContext;
  #depth = 0;

  constructor(context: ShellContext) {
    this.#context = context;
  }

  /** What sh -c would do. @throws {SyntaxError} for what is not understood */
  async run(text: string): Promise<Outcome> {
    if (this.#depth === MAX_DEPTH) throw new SyntaxError("scripts call each other too deeply");
    this.#depth++;
    try {
      let last: Outcome = { status: 0, output: "", errors: "" };
      let output = "";
      let errors = "";
      for (const { after, commands } of new ShellReader(
        text,
        this.#context.variables,
      ).pipelines()) {
        if (after === "success" && last.status !== 0) continue;
        if (after === "failure" && last.status === 0) continue;
        if (commands.every(({ words }) => words.length === 0)) continue;
        last = await this.#pipeline(commands);
        output += last.output;
        errors += last.errors;
      }
      return { status: last.status, output, errors };
    } finally {
      this.#depth--;
    }
  }

  async #pipeline(commands: readonly Simple[]): Promise<Outcome> {
    let last: Outcome = { status: 0, output: "", errors: "" };
    let errors = "";
    for (const command of commands) {
      last = await this.#redirected(command, last.output);
      errors += last.errors;
    }
    return { ...last, errors };
  }

  async #redirected({ words, redirections }: Simple, input: string): Promise<Outcome> {
    const outcome = await this.#simple(words, input);
    let { output, errors } = outcome;
    for (const { from, to, append } of redirections) {
      const text = from === "output" ? output : errors;
      if (to === "&1") output += errors;
      else if (to === "&2") errors += output;
      else {
        try {
          const before = append ? await readText(this.#context.process, to).catch(() => "") : "";
          await writeText(this.#context.process, to, before + text);
        } catch (error) {
          if (!(error instanceof SystemError)) throw error;
          return { status: FAILED, output: "", errors: `${error.message}\n` };
        }
      }
      if (from === "output" && to !== "&1") output = "";
      if (from === "errors" || to === "&1") errors = "";
    }
    return { status: outcome.status, output, errors };
  }

  async #simple(words: readonly string[], input: string): Promise<Outcome> {
    const [name, ...args] = words;
    if (name === undefined) return { status: 0, output: "", errors: "" };
    const assigned = /^([A-Za-z_]\w*)=(.*)$/s.exec(name);
    if (assigned) {
      this.#context.variables.set(assigned[1], assigned[2]);
      return this.#simple(args, input);
    }
    const command = commands.get(basename(name));
    if (command) return command({ ...this.#context, args, input });
    const file = await this.#scriptFile(name);
    if (file !== undefined) return this.run(file);
    return { status: NOT_FOUND, output: "", errors: `${name}: there is no such command\n` };
  }

  /** The text of a shell script: the kernel's file, or one beside the script. */
  async #scriptFile(name: string): Promise<string | undefined> {
    if (!name.includes("/")) return undefined;
    if (!name.startsWith("/")) {
      // Scripts are run in their own folder, or in the one above it.
      const { folder } = this.#context;
      const path = [folder, dirname(folder)].map((from) => resolve(from, name)).find(existsSync);
      return path === undefined ? undefined : readFileSync(path, "utf8");
    }
    try {
      return await readText(this.#context.process, name);
    } catch (error) {
      if (error instanceof SystemError) return undefined;
      throw error;
    }
  }
}
