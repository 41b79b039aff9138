// Kernel memory that an fs object calls with, kept from one operation to the next: slots for names and
// records, and transfer buffers for contents.
//
// Invariants: a slot or a buffer is free (in a list here) or belongs to one call. The kernel's memory
// never grows, so views of it stay valid. Slots are as many as there were operations at once;
// transfer buffers at most as SIZES says: who gets none copies through the process's arena.

import type { KernelMemory } from "../../abi/calls.ts";
import { errno } from "../../abi/errno.ts";
import type { KernelBuffer } from "../../syscall/buffer.ts";
import { DisposedError, SystemError } from "../../syscall/errors.ts";
import type { Process } from "../../syscall/process.ts";
import type { Name } from "./arguments.ts";

/** PATH_MAX of the kernel, the NUL included. */
const NAME_BYTES = 4096;
const RECORD_BYTES = 512;
const SLOT_BYTES = 2 * NAME_BYTES + RECORD_BYTES;
const SLOTS_AT_ONCE = 15;

/**
 * What is read or written at once, and how many such buffers are kept. The larger ones make fewer calls,
 * and still fit the processor's cache between the two copies; the smaller ones are for the rest.
 */
const SIZES = [
  { bytes: 1 << 20, most: 2 },
  { bytes: 1 << 18, most: 8 },
] as const;
/** What every transfer buffer holds. */
export const SMALLEST_BYTES = SIZES[1].bytes;
/** What is read or written at once without a transfer buffer. */
export const SMALL_TRANSFER_BYTES = 1 << 16;

const encoder = new TextEncoder();

class NameRoom {
  readonly memory: KernelMemory;
  readonly bytes: Uint8Array;

  constructor(buffer: KernelBuffer, offset: number) {
    this.memory = buffer.slice(offset, NAME_BYTES);
    this.bytes = buffer.bytes.subarray(offset, offset + NAME_BYTES);
  }

  /** Put a name here, with its NUL. @throws {SystemError} ENAMETOOLONG */
  put(name: Name): KernelMemory {
    const { bytes } = this;
    let length = name.length;
    if (length >= NAME_BYTES) throw new SystemError(-errno.ENAMETOOLONG, "open");
    if (typeof name === "string") {
      const { read, written } = encoder.encodeInto(name, bytes);
      if (read < length || written >= NAME_BYTES)
        throw new SystemError(-errno.ENAMETOOLONG, "open");
      length = written;
    } else bytes.set(name);
    bytes[length] = 0;
    return this.memory;
  }
}

/** Room for what one call takes: two names and a record. */
export class Slot {
  readonly first: NameRoom;
  readonly second: NameRoom;
  readonly record: KernelMemory;
  readonly recordView: DataView;

  constructor(buffer: KernelBuffer, offset: number) {
    this.first = new NameRoom(buffer, offset);
    this.second = new NameRoom(buffer, offset + NAME_BYTES);
    const record = offset + 2 * NAME_BYTES;
    this.record = buffer.slice(record, RECORD_BYTES);
    const { bytes } = buffer;
    this.recordView = new DataView(bytes.buffer, bytes.byteOffset + record, RECORD_BYTES);
  }
}

/** A buffer to read into or to write from, with its view. */
export interface Transfer {
  readonly memory: KernelBuffer;
  readonly bytes: Uint8Array;
  /** Where it is kept. */
  readonly pool: Pool;
}

/** Transfer buffers of one size. */
interface Pool {
  readonly bytes: number;
  most: number;
  readonly free: Transfer[];
  /** How many there are, or are being made. */
  count: number;
}

export class FsMemory {
  readonly #process: Process;
  readonly #maps: KernelBuffer[] = [];
  #slots: Slot[] = [];
  #growing: Promise<void> | null = null;
  readonly #pools: readonly Pool[] = SIZES.map(({ bytes, most }) => ({
    bytes,
    most,
    free: [],
    count: 0,
  }));
  #disposed = false;

  constructor(process: Process) {
    this.#process = process;
  }

  /** A slot that is free, or undefined: then await {@link moreSlots}. */
  takeSlot(): Slot | undefined {
    return this.#slots.pop();
  }

  async moreSlots(): Promise<Slot> {
    for (;;) {
      // Many may wait for the same ones.
      await (this.#growing ??= this.#grow());
      const slot = this.#slots.pop();
      if (slot) return slot;
    }
  }

  async #grow(): Promise<void> {
    try {
      const buffer = await this.#map(SLOTS_AT_ONCE * SLOT_BYTES);
      for (let i = 0; i < SLOTS_AT_ONCE; i++) this.#slots.push(new Slot(buffer, i * SLOT_BYTES));
    } finally {
      this.#growing = null;
    }
  }

  giveSlot(slot: Slot): void {
    this.#slots.push(slot);
  }

  /**
   * A transfer buffer, or null where all are in use or there is no memory for more.
   *
   * @param lengthBytes what is to be moved: the buffer may be smaller
   */
  takeTransfer(lengthBytes: number): Transfer | null | Promise<Transfer | null> {
    for (const pool of this.#pools) {
      if (pool.bytes > SMALLEST_BYTES && lengthBytes <= SMALLEST_BYTES) continue;
      const free = pool.free.pop();
      if (free) return free;
      if (pool.count < pool.most) return this.#moreTransfers(pool, lengthBytes);
    }
    return null;
  }

  async #moreTransfers(pool: Pool, lengthBytes: number): Promise<Transfer | null> {
    pool.count++;
    try {
      const memory = await this.#map(pool.bytes);
      return { memory, bytes: memory.bytes, pool };
    } catch (error) {
      pool.count--;
      if (!(error instanceof SystemError && error.errno === -errno.ENOMEM)) throw error;
      // Asked again and again, the kernel would complain each time.
      pool.most = pool.count;
      return this.takeTransfer(lengthBytes);
    }
  }

  giveTransfer(transfer: Transfer): void {
    transfer.pool.free.push(transfer);
  }

  async #map(lengthBytes: number): Promise<KernelBuffer> {
    if (this.#disposed)
      throw new DisposedError(
        "this fs object was disposed of, or its volume unmounted: make another one, or mount it again",
      );
    const buffer = await this.#process.buffer(lengthBytes);
    this.#maps.push(buffer);
    // It was asked for while this was disposed of.
    if (this.#disposed) await this.dispose();
    return buffer;
  }

  /** Give the memory back. No call may be in flight. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#slots = [];
    for (const pool of this.#pools) pool.free.length = 0;
    for (const buffer of this.#maps.splice(0)) await buffer.dispose();
  }
}
