// Words that stand for parameters of a kind, of links or of queueing disciplines.

import type { Words } from "./words.ts";

/** What is read goes here. */
export type Options = Record<string, unknown>;
/** Reads what follows a word. */
export type Reader = (words: Words) => void;
export type Readers = Readonly<Record<string, Reader>>;

export const put =
  (options: Options, name: string, read: (words: Words) => unknown): Reader =>
  (words) => {
    options[name] = read(words);
  };

export const constant = (options: Options, name: string, value: unknown): Reader =>
  put(options, name, () => value);

/** `word` and `noword`. */
export const both = (options: Options, word: string, name: string): Readers => ({
  [word]: constant(options, name, true),
  [`no${word}`]: constant(options, name, false),
});
