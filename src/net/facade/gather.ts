// Chunks to be sent one behind the other, and how far that has got.

import type { KernelMemory } from "../../abi/calls.ts";

/** What is in the kernel's memory already, and is sent from where it is. */
export class InPlace {
  readonly #memory: KernelMemory;
  /** In bytes. */
  left: number;

  constructor(memory: KernelMemory) {
    this.#memory = memory;
    this.left = memory.length;
  }

  /** Where what is left begins. */
  get address(): number {
    return this.#memory.address + this.#memory.length - this.left;
  }

  /** So many bytes are sent. */
  advance(count: number): void {
    this.left -= count;
  }
}

export class Gather {
  readonly #chunks: readonly Uint8Array[];
  /** The first chunk that is not sent whole, and how much of it is. */
  #index = 0;
  #offset = 0;
  /** In bytes. */
  left: number;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
    this.left = 0;
    for (const chunk of chunks) this.left += chunk.length;
  }

  /** Copy what comes next, as far as there is room. @returns how many bytes */
  copyTo(target: Uint8Array): number {
    let at = 0;
    let offset = this.#offset;
    for (let index = this.#index; index < this.#chunks.length && at < target.length; index++) {
      const chunk = this.#chunks[index];
      const count = Math.min(chunk.length - offset, target.length - at);
      target.set(count === chunk.length ? chunk : chunk.subarray(offset, offset + count), at);
      at += count;
      offset = 0;
    }
    return at;
  }

  /** So many bytes are sent. */
  advance(count: number): void {
    this.left -= count;
    if (!this.left) return;
    let offset = this.#offset + count;
    while (this.#index < this.#chunks.length && offset >= this.#chunks[this.#index].length)
      offset -= this.#chunks[this.#index++].length;
    this.#offset = offset;
  }
}
