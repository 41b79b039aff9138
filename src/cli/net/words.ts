// The words of a command, one after the other, with abbreviations as iproute2 has them: any beginning
// of a word means the first word that begins so.

/** How far apart a word and what was meant may be: typing errors. */
const MAX_DISTANCE = 2;
/** More words than these are not told. */
const MAX_KNOWN = 40;

/** The word where somebody's cursor is: nothing is called so. */
export const CURSOR = "\0";

/** A command makes no sense. */
export class WordError extends Error {
  override readonly name = "WordError";
  readonly code = "ERR_NET_COMMAND";
  /** What is wrong, without where. */
  readonly problem: string;
  /** Words that it could be. */
  readonly known: readonly string[];

  constructor(
    problem: string,
    { place, known = [] }: { place?: string; known?: readonly string[] } = {},
  ) {
    super(!place ? problem : `${place}: ${problem}`);
    this.problem = problem;
    this.known = known;
  }
}

/** Letters that differ, are missing, are too many, or changed places. */
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 0; j <= b.length; j++) rows[0][j] = j;
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, rows[i - 2][j - 2] + 1);
      rows[i][j] = best;
    }
  return rows[a.length][b.length];
}

/** The word that was meant, if there is one that is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const near = known
    .map((one) => ({ one, apart: distance(word, one) }))
    .filter(({ one, apart }) => apart <= Math.min(MAX_DISTANCE, one.length - 1))
    .toSorted((a, b) => a.apart - b.apart);
  return near[0]?.one;
}

/** There is no such word; these there are. */
export function unknownWord(word: string, what: string, known: readonly string[]): WordError {
  const meant = nearest(word, known);
  const hint = meant === undefined ? "" : `: did you mean "${meant}"?`;
  const all = [...new Set(known)];
  const some = all.length > MAX_KNOWN ? [...all.slice(0, MAX_KNOWN), "…"] : all;
  const list = all.length ? `; there ${all.length > 1 ? "are" : "is"} ${some.join(", ")}` : "";
  return new WordError(`"${word}" is no ${what}${hint}${list}`, { known });
}

/** Which of the words a given one is: itself, or the first that begins so. */
export function wordOf<K extends string>(given: string, known: readonly K[]): K | undefined {
  return known.find((one) => one === given) ?? known.find((one) => one.startsWith(given));
}

export class Words {
  readonly #words: readonly string[];
  #at = 0;
  /** The whole command, as it was written. */
  readonly text: string;

  constructor(words: readonly string[], text: string = words.join(" ")) {
    this.#words = words;
    this.text = text;
  }

  get done(): boolean {
    return this.#at >= this.#words.length;
  }

  /** The next word; it is passed by {@link take}. */
  get next(): string | undefined {
    return this.#words[this.#at];
  }

  /** What is left. */
  get rest(): readonly string[] {
    return this.#words.slice(this.#at);
  }

  /** The word before the next one. */
  get last(): string {
    return this.#words[this.#at - 1] ?? "";
  }

  /** The next word. @throws {WordError} if there is none: what it would be */
  take(what: string): string {
    const word = this.next;
    if (word === undefined)
      throw new WordError(`${this.#at ? `"${this.last}": ` : ""}${what} is missing`);
    this.#at++;
    return word;
  }

  /** Passes the next word if it is one of these, in full. */
  accept(...words: readonly string[]): boolean {
    const found = this.next !== undefined && words.includes(this.next);
    if (found) this.#at++;
    return found;
  }

  /** One of these words, in full or its beginning. @throws {WordError} that tells them */
  oneOf<K extends string>(known: readonly K[], what: string): K {
    const given = this.take(`the ${what}`);
    const found = wordOf(given, known);
    if (found === undefined) throw unknownWord(given, what, known);
    return found;
  }

  /** Passes all that is left. */
  takeRest(): readonly string[] {
    const rest = this.rest;
    this.#at = this.#words.length;
    return rest;
  }

  /** @throws {WordError} if there is more */
  end(): void {
    if (!this.done) throw new WordError(`"${this.next}": nothing is expected there`);
  }

  /**
   * Read parameters until there are no more: a word, and what its reader takes behind it.
   *
   * @param other takes a word that is none of them, or says that it cannot
   * @param others words that it takes, as far as they are few
   * @throws {WordError} that tells all of them
   */
  parameters(
    known: Readonly<Record<string, (words: Words) => void>>,
    what: string,
    other: (words: Words) => boolean = () => false,
    others: readonly string[] = [],
  ): void {
    const names = Object.keys(known);
    while (this.next !== undefined) {
      if (this.next === CURSOR) throw unknownWord(CURSOR, what, [...names, ...others]);
      const name = names.includes(this.next) ? this.next : undefined;
      if (name === undefined && other(this)) continue;
      const found = name ?? wordOf(this.next, names);
      if (found === undefined) throw unknownWord(this.next, what, names);
      this.#at++;
      known[found](this);
    }
  }
}
