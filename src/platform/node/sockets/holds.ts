// Which sockets keep the program running: ref() and unref().
//
// Invariants: while anything holds, a timer holds the program, and the sockets' thread waits in the
// kernel. Soon after nothing does, the thread leaves the kernel, where its call would hold the
// program as well; then a timer that holds nothing looks now and then for what has come.

import type { Sockets } from "../../../net/facade/index.ts";

/** The longest that a timer runs. */
const FOREVER_MS = 0x7fffffff;
/** How long after the last hold the thread goes on waiting: what lets go often takes hold again. */
const SETTLE_MS = 20;
/** How often is looked for what has come for sockets that hold nothing. */
const POLL_MS = 10;

export class Holds {
  readonly #sockets: Sockets;
  #count = 0;
  #holding: NodeJS.Timeout | null = null;
  #settling: NodeJS.Timeout | null = null;
  #polling: NodeJS.Timeout | null = null;

  constructor(sockets: Sockets) {
    this.#sockets = sockets;
  }

  hold(): void {
    if (this.#count++) return;
    if (this.#settling) clearTimeout(this.#settling);
    this.#settling = null;
    if (this.#polling) clearInterval(this.#polling);
    this.#polling = null;
    this.#holding ??= setInterval(() => {}, FOREVER_MS);
    this.#sockets.dozing = false;
  }

  release(): void {
    if (--this.#count) return;
    this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle(): void {
    this.#settling = null;
    if (this.#holding) clearInterval(this.#holding);
    this.#holding = null;
    if (!this.#sockets.size) return;
    this.#sockets.dozing = true;
    this.#polling = setInterval(() => this.#poll(), POLL_MS).unref();
  }

  #poll(): void {
    if (this.#sockets.size) this.#sockets.poll();
    else this.end();
  }

  /** No timer of it runs any more. */
  end(): void {
    for (const timer of [this.#holding, this.#settling, this.#polling])
      if (timer) clearInterval(timer);
    this.#holding = this.#settling = this.#polling = null;
  }
}
