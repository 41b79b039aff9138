// What the programs of scripts have in common: their words, their errors.

import { InvalidOptionError } from "../../src/machine/errors.ts";
import { UnknownDeviceError } from "../../src/net/index.ts";
import { NetlinkError } from "../../src/net/netlink/errors.ts";
import { SystemError } from "../../src/syscall/errors.ts";
import type { Invocation, Outcome } from "./invocation.ts";

export type Command = (invocation: Invocation) => Promise<Outcome>;

export const done = (output = ""): Outcome => ({ status: 0, output, errors: "" });
export const failed = (errors: string, status = 1): Outcome => ({
  status,
  output: "",
  errors: `${errors}\n`,
});

/** A program is not used as it can be. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A program whose errors are its complaints. */
export const program =
  (name: string, run: (invocation: Invocation) => Promise<string>): Command =>
  async (invocation) => {
    try {
      return done(await run(invocation));
    } catch (error) {
      const expected =
        error instanceof SystemError ||
        error instanceof NetlinkError ||
        error instanceof UnknownDeviceError ||
        error instanceof InvalidOptionError ||
        error instanceof UsageError;
      if (!expected) throw error;
      return failed(`${name}: ${error.message}`);
    }
  };

/** Words in turn. */
export class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get next(): string | undefined {
    return this.#words[this.#at];
  }

  take(what: string): string {
    const word = this.#words[this.#at++];
    if (word === undefined) throw new UsageError(`${what} is missing`);
    return word;
  }

  accept(...words: readonly string[]): boolean {
    if (this.next === undefined || !words.includes(this.next)) return false;
    this.#at++;
    return true;
  }
}
