// A text in nft's language, taken apart.

import { WordError } from "../words.ts";

interface Token {
  readonly text: string;
  /** Whether it was in quotes: it is no word of the language then. */
  readonly quoted: boolean;
}

const TOKEN = /\s*(?:(\n)|#[^\n]*|"((?:[^"\\\n]|\\.)*)"|(!=|==|[{};,=!])|([^\s{};,="!#]+))/gy;

/** Words and signs; the end of a line is a semicolon. @throws {WordError} */
function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  // Ends of lines count, other spaces do not.
  const lines = text.replaceAll(/[^\S\n]+/g, " ").replaceAll(" \n", "\n");
  TOKEN.lastIndex = 0;
  for (let at = 0; at < lines.length;) {
    const rest = lines.slice(at);
    if (/^\s*$/.test(rest)) break;
    const newline = /^ ?\n/.exec(rest);
    if (newline) {
      tokens.push({ text: ";", quoted: false });
      at += newline[0].length;
      continue;
    }
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(lines);
    if (!match) throw new WordError(`${rest.trim().slice(0, 20)}: a quote is not closed`);
    at = TOKEN.lastIndex;
    const [, , quoted, sign, word] = match;
    if (quoted !== undefined)
      tokens.push({ text: quoted.replaceAll(/\\(.)/g, "$1"), quoted: true });
    else if (sign !== undefined || word !== undefined)
      tokens.push({ text: sign ?? word, quoted: false });
  }
  return tokens;
}

/** Tokens, one after the other. */
export class Tokens {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** The next one, if it is a word or a sign. */
  get next(): string | undefined {
    const token = this.#tokens[this.#at];
    return token && !token.quoted ? token.text : undefined;
  }

  /** The next one, in quotes or not. @throws {WordError} that says what is missing */
  take(what: string): string {
    const token = this.#tokens[this.#at];
    if (token === undefined || (!token.quoted && /^[;{}]$/.test(token.text))) {
      const before = this.#tokens[this.#at - 1]?.text;
      throw new WordError(`${before === undefined ? "" : `behind "${before}" `}${what} is missing`);
    }
    this.#at++;
    return token.text;
  }

  /** Passes the next one if it is one of these. */
  accept(...texts: readonly string[]): boolean {
    const { next } = this;
    const found = next !== undefined && texts.includes(next);
    if (found) this.#at++;
    return found;
  }

  /** Passes several words, if all of them follow. */
  acceptAll(...texts: readonly string[]): boolean {
    const all = texts.every((text, i) => {
      const token = this.#tokens[this.#at + i];
      return token !== undefined && !token.quoted && token.text === text;
    });
    if (all) this.#at += texts.length;
    return all;
  }

  /** @throws {WordError} if it is another */
  expect(text: string): void {
    if (this.accept(text)) return;
    const token = this.#tokens[this.#at];
    throw new WordError(`"${text}" is expected${token ? `, not "${token.text}"` : ""}`);
  }

  /** Passes empty statements. */
  skipEnds(): void {
    while (this.accept(";"));
  }

  /** Whether a statement ends here. */
  get ended(): boolean {
    return this.done || this.next === ";" || this.next === "}";
  }
}
