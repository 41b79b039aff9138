// Calls on sockets, one at a time.
//
// Invariants: at most one job runs, and it alone uses the memory. No job waits in the kernel: every
// socket is non-blocking, and readiness is waited for elsewhere (reactor.ts). So a job that comes
// after another on the same descriptor finds it as the other left it, and one thread does for all.

import type { KernelMemory } from "../../abi/calls.ts";
import { KernelSockaddrStorage } from "../../abi/structs/socket.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import type { Process } from "../../syscall/process.ts";
import { asBytes } from "./bytes.ts";
import type { Bytes } from "./bytes.ts";
import { decodeEndpoint, encodeEndpoint } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { Turns } from "./turns.ts";

/** What one call sends or receives at most. */
export const DATA_BYTES = 256 << 10;
/** Room for any option's value. */
const VALUE_BYTES = 4096;
const NAME_BYTES = KernelSockaddrStorage.size;

/** The one place where sockets make their calls, and the kernel memory that they use for it. */
export class Lane {
  readonly process: Process;
  readonly #buffer: KernelBuffer;
  /** Whose turn it is to make a call: what takes it gives it. */
  readonly turns = new Turns();
  /** What is sent, or was received: {@link DATA_BYTES}. */
  readonly data: KernelMemory;
  readonly dataBytes: Bytes;
  /** A socket's address, and the length of it. */
  readonly name: KernelMemory;
  readonly nameLength: KernelMemory;
  readonly #nameBytes: Uint8Array;
  /** An option's value, and the length of it. */
  readonly value: KernelMemory;
  readonly valueBytes: Uint8Array;
  readonly valueLength: KernelMemory;
  readonly #view: DataView;

  static async open(process: Process): Promise<Lane> {
    return new Lane(process, await process.buffer(DATA_BYTES + VALUE_BYTES + NAME_BYTES + 8));
  }

  private constructor(process: Process, buffer: KernelBuffer) {
    this.process = process;
    this.#buffer = buffer;
    this.#view = buffer.view;
    const { bytes } = buffer;
    let at = 0;
    const take = (length: number): [KernelMemory, Uint8Array] => {
      at += length;
      return [buffer.slice(at - length, length), bytes.subarray(at - length, at)];
    };
    const [data, dataBytes] = take(DATA_BYTES);
    this.data = data;
    this.dataBytes = asBytes(dataBytes);
    [this.value, this.valueBytes] = take(VALUE_BYTES);
    [this.name, this.#nameBytes] = take(NAME_BYTES);
    [this.nameLength] = take(4);
    [this.valueLength] = take(4);
  }

  /** Run a job when those before it are done. */
  async run<T>(job: () => Promise<T>): Promise<T> {
    if (!this.turns.take()) await this.turns.wait();
    try {
      return await job();
    } finally {
      this.turns.give();
    }
  }

  // --- For jobs ------------------------------------------------------------------------------

  /** Write an address into {@link name}. @returns its length */
  putName(endpoint: Endpoint): number {
    const bytes = encodeEndpoint(endpoint);
    this.#nameBytes.set(bytes);
    return bytes.length;
  }

  /** Let the kernel write an address into {@link name}. */
  expectName(): void {
    this.#view.setUint32(this.nameLength.address - this.#buffer.address, NAME_BYTES, true);
  }

  /** The address that it wrote. */
  takeName(): Endpoint | undefined {
    const length = this.#view.getUint32(this.nameLength.address - this.#buffer.address, true);
    return decodeEndpoint(this.#nameBytes.subarray(0, Math.min(length, NAME_BYTES)));
  }

  /** Let the kernel write so many bytes into {@link value}. */
  expectValue(length: number): void {
    this.#view.setUint32(this.valueLength.address - this.#buffer.address, length, true);
  }

  /** A copy of what it wrote. */
  takeValue(): Uint8Array {
    const length = this.#view.getUint32(this.valueLength.address - this.#buffer.address, true);
    return this.valueBytes.slice(0, length);
  }

  /** Dispose of it when no job runs. */
  dispose(): Promise<void> {
    return this.#buffer.dispose();
  }
}
