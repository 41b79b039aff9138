// What a guest has sent on its way to a stream of the host's: many segments leave by one call.
//
// Invariants: #block has #filled bytes that the stream does not have yet. Every block that the stream has
// is given back when it is written.

import { BLOCK_BYTES } from "./blocks.ts";
import type { Block, Blocks } from "./blocks.ts";
import type { HostStream } from "./sockets.ts";

export class Outbox {
  readonly #blocks: Blocks;
  readonly #stream: HostStream;
  #block: Block | null = null;
  #filled = 0;

  readonly #left: () => void;

  /** @param left called when some of what waited has left */
  constructor(blocks: Blocks, stream: HostStream, left: () => void) {
    this.#blocks = blocks;
    this.#stream = stream;
    this.#left = left;
  }

  /** What has not left yet, in bytes. */
  get waitingBytes(): number {
    return this.#filled + this.#stream.backlogBytes;
  }

  /** Add bytes, as a copy. They leave when a block is full, or by {@link flush}. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      this.#block ??= this.#blocks.take();
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOCK_BYTES) this.flush();
    }
  }

  /** Let the stream have what there is. */
  flush(): void {
    const block = this.#block;
    if (!block) return;
    const bytes = block.subarray(0, this.#filled);
    this.#block = null;
    this.#filled = 0;
    this.#stream.write(bytes, () => {
      this.#blocks.give(block);
      this.#left();
    });
  }
}
