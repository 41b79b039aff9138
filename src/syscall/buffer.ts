// A piece of kernel memory that the application owns: calls use it in place, without copies.

import type { KernelMemory } from "../abi/calls.ts";
import { KernelPanicError, KernelStoppedError } from "../machine/errors.ts";
import type { Memory } from "../machine/memory.ts";
import type { Mapper } from "./arena.ts";
import { DisposedError } from "./errors.ts";

/**
 * Kernel memory, page-aligned and zeroed. Pass it to a call and the kernel reads or writes
 * {@link bytes} directly. Dispose it when done; no call may use it then.
 */
export class KernelBuffer implements KernelMemory {
  readonly #memory: Memory;
  readonly #mapper: Mapper;
  readonly #address: number;
  /** In bytes. */
  readonly length: number;
  #disposed = false;

  private constructor(memory: Memory, mapper: Mapper, address: number, length: number) {
    this.#memory = memory;
    this.#mapper = mapper;
    this.#address = address;
    this.length = length;
  }

  /** @internal */
  static async map(memory: Memory, mapper: Mapper, lengthBytes: number): Promise<KernelBuffer> {
    if (!Number.isInteger(lengthBytes) || lengthBytes <= 0)
      throw new RangeError(`a buffer has 1 byte or more, not ${lengthBytes}`);
    return new KernelBuffer(memory, mapper, await mapper.map(lengthBytes), lengthBytes);
  }

  /** @throws {DisposedError} */
  get address(): number {
    if (this.#disposed) throw new DisposedError("this kernel buffer was disposed");
    return this.#address;
  }

  /** A view, owned by the kernel: valid until the buffer is disposed. */
  get bytes(): Uint8Array {
    return this.#memory.subarray(this.address, this.length);
  }

  /** A view for structures and numbers. */
  get view(): DataView {
    return new DataView(this.#memory.object.buffer, this.address, this.length);
  }

  /** A part of it, to pass to a call. */
  slice(offsetBytes: number, lengthBytes = this.length - offsetBytes): KernelMemory {
    if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > this.length)
      throw new RangeError(`${offsetBytes}+${lengthBytes} is outside of ${this.length} bytes`);
    return { address: this.address + offsetBytes, length: lengthBytes };
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    try {
      await this.#mapper.unmap(this.#address, this.length);
    } catch (error) {
      // The memory is gone with the kernel.
      if (!(error instanceof KernelStoppedError || error instanceof KernelPanicError)) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
