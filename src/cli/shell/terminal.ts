// A conversation on a terminal: lines with a history and with completion.

import { createInterface } from "node:readline";
import type { Interface } from "node:readline";

import { printable, styled } from "../output.ts";
import { MAX_HISTORY_LINES, readHistory, writeHistory } from "./history.ts";

/** What a conversation is like. */
export interface TerminalOptions {
  /** The name of the file that keeps what was typed. */
  readonly history: string;
  /** What is asked with, each time anew. */
  readonly prompt: () => string;
  /** For readline: candidates for the end of a line, and what they take the place of. */
  readonly complete: (line: string) => Promise<[string[], string]>;
}

export class Terminal {
  readonly #options: TerminalOptions;
  readonly #lines: Interface;
  #answer: ((line: string | null) => void) | null = null;
  /** Typed while a command ran. */
  readonly #ahead: string[] = [];
  #closed = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      history: readHistory(options.history),
      historySize: MAX_HISTORY_LINES,
      removeHistoryDuplicates: true,
      completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
        options.complete(line).then(
          (result) => done(null, result),
          () => done(null, [[], line]),
        );
      },
    });
    this.#lines.on("history", (history: string[]) => writeHistory(options.history, history));
    this.#lines.on("line", (line) => {
      if (this.#answer) this.#give(line);
      else this.#ahead.push(line);
    });
    this.#lines.on("SIGINT", () => this.#interrupt());
    this.#lines.on("close", () => {
      this.#closed = true;
      this.#give(null);
    });
  }

  /** @returns null at the end of the input */
  ask(): Promise<string | null> {
    const typed = this.#ahead.shift();
    if (typed !== undefined || this.#closed) return Promise.resolve(typed ?? null);
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#answer = resolve;
    this.#lines.setPrompt(styled("bold", printable(this.#options.prompt())));
    this.#lines.prompt();
    return promise;
  }

  #give(line: string | null): void {
    this.#answer?.(line);
    this.#answer = null;
  }

  /** Ctrl-C begins a new line, as in other shells; a command is ended with the program. */
  #interrupt(): void {
    process.stdout.write("^C\n");
    if (!this.#answer) {
      process.kill(process.pid, "SIGINT");
      return;
    }
    this.#lines.write(null, { ctrl: true, name: "e" });
    this.#lines.write(null, { ctrl: true, name: "u" });
    this.#lines.prompt();
  }

  close(): void {
    this.#lines.close();
  }
}
