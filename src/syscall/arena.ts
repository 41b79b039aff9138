// Kernel memory for the arguments of calls: what pointers point to.
//
// Invariants: a block is free (in the list of its size) or belongs to one call, from take()
// to give(). Blocks are powers of two and never split or joined. Every process of a kernel
// has the same address space, so one arena serves them all.

import type { Memory } from "../machine/memory.ts";

/** Room for any fixed-size structure of the kernel's. */
export const MIN_BLOCK_BYTES = 4096;
/** Blocks beyond this are mapped for one call and unmapped after it. */
const MAX_KEPT_BYTES = 1 << 20;
const CHUNK_BYTES = 64 << 10;
const FIRST_CLASS = Math.log2(MIN_BLOCK_BYTES);

/** Maps anonymous memory in the kernel; rejects when there is none. */
export interface Mapper {
  map(lengthBytes: number): Promise<number>;
  unmap(address: number, lengthBytes: number): Promise<void>;
}

const classOf = (size: number) =>
  size <= MIN_BLOCK_BYTES ? 0 : 32 - Math.clz32(size - 1) - FIRST_CLASS;

export class Arena {
  readonly memory: Memory;
  readonly #mapper: Mapper;
  readonly #free: number[][] = [];
  #mappedBytes = 0;

  constructor(memory: Memory, mapper: Mapper) {
    this.memory = memory;
    this.#mapper = mapper;
  }

  /** How much of the kernel's memory it holds. */
  get mappedBytes(): number {
    return this.#mappedBytes;
  }

  /** A free block of at least `size` bytes, or 0 if {@link grow} has to be awaited first. */
  take(size: number): number {
    return this.#free[classOf(size)]?.pop() ?? 0;
  }

  /** Give back what take(size) or grow(size) gave. */
  give(address: number, size: number): void {
    const bytes = MIN_BLOCK_BYTES << classOf(size);
    if (bytes > MAX_KEPT_BYTES) {
      this.#mappedBytes -= bytes;
      // The kernel may have stopped: then the memory is gone anyway.
      this.#mapper.unmap(address, bytes).catch(() => {});
    } else this.#list(classOf(size)).push(address);
  }

  /** Map more memory, and take a block of at least `size` bytes. */
  async grow(size: number): Promise<number> {
    const index = classOf(size);
    const bytes = MIN_BLOCK_BYTES << index;
    const mapped = Math.max(bytes, CHUNK_BYTES);
    const start = await this.#mapper.map(mapped);
    this.#mappedBytes += mapped;
    for (let at = start + bytes; at < start + mapped; at += bytes) this.#list(index).push(at);
    return start;
  }

  #list(index: number): number[] {
    return (this.#free[index] ??= []);
  }
}
