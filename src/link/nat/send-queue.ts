// What waits for a guest: bytes that are sent, and may be sent again, until they are acknowledged.

import { BLOCK_BYTES } from "./blocks.ts";
import type { Block, Blocks } from "./blocks.ts";
import type { Pieces } from "./pieces.ts";

/** Fewer bytes have memory of their own: a block would be mostly empty. */
const MIN_BLOCK_BYTES = 16_384;

interface Chunk {
  bytes: Uint8Array;
  /** Where they are, if it is to be given back. */
  readonly block: Block | null;
}

export class SendQueue {
  readonly #blocks: Blocks;
  /** From #first on. */
  #chunks: Chunk[] = [];
  #first = 0;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /** Add bytes, as a copy. */
  add(bytes: Uint8Array): void {
    if (bytes.length < MIN_BLOCK_BYTES) {
      this.#chunks.push({ bytes: bytes.slice(), block: null });
      return;
    }
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const part = bytes.subarray(at, at + BLOCK_BYTES);
      const block = this.#blocks.take();
      block.set(part);
      this.#chunks.push({ bytes: block.subarray(0, part.length), block });
    }
  }

  /** Take away so many bytes at its begin, or all that there are. */
  drop(count: number): void {
    const chunks = this.#chunks;
    let left = count;
    for (; this.#first < chunks.length; this.#first++) {
      const { bytes, block } = chunks[this.#first];
      if (bytes.length > left) break;
      left -= bytes.length;
      if (block) this.#blocks.give(block);
    }
    if (this.#first === chunks.length) this.#empty();
    else if (left) chunks[this.#first].bytes = chunks[this.#first].bytes.subarray(left);
    if (this.#first > 64 && 2 * this.#first > chunks.length) {
      this.#chunks = chunks.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Views of `count` bytes, from an offset on, valid until they are dropped. */
  views(offset: number, count: number): Pieces {
    const views: Uint8Array[] = [];
    let [skip, left] = [offset, count];
    for (let i = this.#first; i < this.#chunks.length && left > 0; i++) {
      const { bytes } = this.#chunks[i];
      if (skip >= bytes.length) skip -= bytes.length;
      else {
        const view = bytes.subarray(skip, skip + left);
        views.push(view);
        left -= view.length;
        skip = 0;
      }
    }
    return views;
  }

  /** Forget all. Frames that wait somewhere may still have views, so no block is used again. */
  clear(): void {
    this.#empty();
  }

  #empty(): void {
    this.#chunks.length = 0;
    this.#first = 0;
  }
}
