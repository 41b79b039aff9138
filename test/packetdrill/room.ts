// Kernel memory for the arguments of system calls.
//
// It is all there until the kernel ends. Invariants: what is sent lies in pages of zeroes that nobody writes to, as the kernel may keep pages of
// zero-copy sends as long as they are not acknowledged. All else is valid until the next call begins.

import type { KernelMemory } from "../../src/abi/calls.ts";
import type { KernelBuffer } from "../../src/syscall/buffer.ts";
import type { Process } from "../../src/syscall/process.ts";

const SCRATCH_BYTES = 1 << 18;
const ZEROES_BYTES = 1 << 18;
const ALIGN = 64;

export class Room {
  readonly #process: Process;
  readonly #scratch: KernelBuffer;
  #zeroes: KernelBuffer;
  #used = 0;

  private constructor(process: Process, scratch: KernelBuffer, zeroes: KernelBuffer) {
    this.#process = process;
    this.#scratch = scratch;
    this.#zeroes = zeroes;
  }

  static async open(process: Process): Promise<Room> {
    return new Room(
      process,
      await process.buffer(SCRATCH_BYTES),
      await process.buffer(ZEROES_BYTES),
    );
  }

  /** A call begins: the arguments of the one before are not needed any more. */
  clear(): void {
    this.#scratch.bytes.fill(0, 0, this.#used);
    this.#used = 0;
  }

  /** Zeroed memory, with what is given at its start. */
  async take(length: number, contents?: Uint8Array): Promise<Piece> {
    const bytes = Math.max(length, 1);
    if (this.#used + bytes > SCRATCH_BYTES) return this.#takeAlone(bytes);
    const piece = new Piece(this.#scratch, this.#used, length);
    this.#used += Math.ceil(bytes / ALIGN) * ALIGN;
    if (contents) piece.bytes.set(contents);
    return piece;
  }

  /** What is read at once may be more than there is room for otherwise. */
  async #takeAlone(bytes: number): Promise<Piece> {
    const buffer = await this.#process.buffer(bytes);
    return new Piece(buffer, 0, bytes);
  }

  /** Zeroes to be sent. */
  async zeroes(length: number): Promise<KernelMemory> {
    if (length > this.#zeroes.length) {
      this.#zeroes = await this.#process.buffer(length);
    }
    return this.#zeroes.slice(0, length);
  }

  /**
   * Zeroes to be sent from several places, which do not follow each other, as those of malloc(3) do not.
   */
  async scattered(lengths: readonly number[]): Promise<KernelMemory[]> {
    const spans = lengths.map((length) => (Math.floor(length / ALIGN) + 1) * ALIGN);
    const all = await this.zeroes(spans.reduce((sum, span) => sum + span, 0));
    let at = all.address;
    return lengths.map((length, index) => {
      const address = at;
      at += spans[index];
      return { address, length };
    });
  }
}

/** A part of kernel memory, to be passed to calls and to be looked at. */
export class Piece implements KernelMemory {
  readonly #buffer: KernelBuffer;
  readonly #offset: number;
  readonly length: number;

  constructor(buffer: KernelBuffer, offset: number, length: number) {
    this.#buffer = buffer;
    this.#offset = offset;
    this.length = length;
  }

  get address(): number {
    return this.#buffer.address + this.#offset;
  }

  get bytes(): Uint8Array {
    return this.#buffer.bytes.subarray(this.#offset, this.#offset + this.length);
  }

  get view(): DataView {
    const { buffer, byteOffset } = this.bytes;
    return new DataView(buffer, byteOffset, this.length);
  }
}
