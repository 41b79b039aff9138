// What fails of one of many files: it is told, counted, and the others are done.

import { formatAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { withoutCall } from "./errors.ts";
import { printable } from "./output.ts";

/** Nothing succeeds after these. */
const ENDED = new Set(["ERR_KERNEL_PANIC", "ERR_KERNEL_STOPPED", "EROFS", "ENOSPC"]);

export class Problems {
  readonly #verb: string;
  #count = 0;

  constructor(verb: string) {
    this.#verb = verb;
  }

  /** 1 if something failed. */
  get exitCode(): number {
    return this.#count ? 1 : 0;
  }

  /** @throws the error, if nothing can succeed after it */
  tell(address: Address, path: string, error: unknown): void {
    if (error instanceof Error && "code" in error && ENDED.has(String(error.code))) throw error;
    this.#count++;
    const place = printable(formatAddress(address, path));
    process.stderr.write(`liblinux: ${this.#verb} ${place}: ${withoutCall(error)}\n`);
  }
}
