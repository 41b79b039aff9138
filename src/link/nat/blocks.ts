// Memory for bytes on their way, used again and again: new memory costs more than to copy into it.
//
// Invariant: a block is either in #free or somebody's.

/** Bytes of a block: as much as is read from a stream of the host's at once. */
export const BLOCK_BYTES = 262_144;
/** Blocks that are kept for later. */
const MAX_FREE = 32;

export type Block = Uint8Array<ArrayBuffer>;

export class Blocks {
  readonly #free: Block[] = [];

  take(): Block {
    return this.#free.pop() ?? new Uint8Array(BLOCK_BYTES);
  }

  /** Nobody has views of it any more. */
  give(block: Block): void {
    if (this.#free.length < MAX_FREE) this.#free.push(block);
  }
}
