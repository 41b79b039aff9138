// A text of commands, taken apart: one on a line, or several with semicolons between them.

import { wordsOf } from "../shell/words.ts";
import { WordError } from "./words.ts";

/** One command. */
export interface Line {
  /** Without quotes. */
  readonly words: readonly string[];
  /** As it was written. */
  readonly text: string;
  /** Where: `network.net:3`; "" if it is the command line itself. */
  readonly place: string;
}

/** What ends the looked-for: a command's end, the beginning of quotes, of a comment, or braces. */
const SIGN = /\\[^]|'[^']*'?|"(?:[^"\\]|\\[^])*"?|[;\n{}]|(?<![^\s;{}])#.*/g;

/**
 * Commands of a text. Braces keep together what is between them, also semicolons and ends of lines; a
 * backslash at the end of a line goes on with the next one; what is behind # is for people.
 *
 * @param source where the text is from, for errors
 * @throws {WordError} if quotes or braces are not closed
 */
export function linesOf(text: string, source: string): Line[] {
  const lines: Line[] = [];
  let depth = 0;
  let start = 0;
  let plain = "";
  const take = (end: number) => {
    plain += text.slice(start, end);
    const place = placeOf(text, source, end - plain.trimStart().length);
    const words = wordsOf(plain.trim());
    if (words.at(-1)?.open) throw new WordError("a quote is not closed", { place });
    if (words.length)
      lines.push({ words: words.map((one) => one.text), text: plain.trim(), place });
    plain = "";
  };
  for (const match of text.matchAll(SIGN)) {
    const [sign] = match;
    const end = match.index;
    if (sign === "{") depth++;
    else if (sign === "}") depth--;
    if (depth < 0) throw new WordError("} without a {", { place: placeOf(text, source, end) });
    if (sign.startsWith("#") || sign === "\\\n") {
      plain += text.slice(start, end) + (sign === "\\\n" ? " " : "");
      start = end + sign.length;
    } else if (depth === 0 && (sign === ";" || sign === "\n")) {
      take(end);
      start = end + 1;
    }
  }
  if (depth > 0) throw new WordError("a { is not closed", { place: placeOf(text, source, start) });
  take(text.length);
  return lines;
}

function placeOf(text: string, source: string, at: number): string {
  return `${source}:${text.slice(0, Math.max(0, at)).split("\n").length}`;
}
