// A line of a shell, taken apart: words, with quotes and backslashes as in sh(1).

import { UsageError } from "../errors.ts";

export interface Word {
  /** Without quotes. */
  readonly text: string;
  /** Where it starts in the line. */
  readonly start: number;
  /** Whether its end is quoted, or escaped. */
  readonly open: boolean;
}

/** Words, up to a comment. Of an unfinished line the last one is open. */
export function wordsOf(line: string): Word[] {
  const words: Word[] = [];
  const pattern = /\s+|#.*|(?:[^\s'"\\]|\\.|\\$|'[^']*'?|"(?:[^"\\]|\\.)*\\?"?)+/gsy;
  for (const { 0: raw, index } of line.matchAll(pattern)) {
    if (/^\s/.test(raw)) continue;
    if (raw.startsWith("#")) break;
    words.push({ ...unquoted(raw), start: index });
  }
  return words;
}

/** Without quotes and backslashes, and whether one is missing. */
function unquoted(raw: string): { text: string; open: boolean } {
  let text = "";
  let quote: string | null = null;
  let open = false;
  for (let i = 0; i < raw.length; i++) {
    const character = raw[i];
    if (character === "\\" && quote !== "'") {
      open = i + 1 === raw.length;
      const next = raw[++i] ?? "";
      text += quote === '"' && !/["\\$`]/.test(next) ? `\\${next}` : next;
    } else if (quote === null && (character === "'" || character === '"')) quote = character;
    else if (character === quote) quote = null;
    else text += character;
  }
  return { text, open: open || quote !== null };
}

/** The words of a whole command. @throws {UsageError} if a quote is not closed */
export function commandOf(line: string): string[] {
  const words = wordsOf(line);
  if (words.at(-1)?.open) throw new UsageError("shell", "a quote is not closed");
  const sign = words.find(({ start }) => /^[|<>;&]/.test(line.slice(start)));
  if (sign)
    throw new UsageError("shell", `${line[sign.start]}: there are no pipes, redirections or lists`);
  return words.map(({ text }) => text);
}

/** A word as it has to be written. */
export function quoted(text: string): string {
  return text.replaceAll(/[\s'"\\#]/g, (character) =>
    character === "\n" ? "'\n'" : `\\${character}`,
  );
}
