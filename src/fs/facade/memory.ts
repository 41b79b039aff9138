// Kernel memory that an fs object calls with, kept from one operation to the next: slots for names and
// records, and transfer buffers for contents.
//
// Invariants: a slot or a buffer is free (in a list here) or belongs to one call. The kernel's memory
// never grows, so views of it stay valid. Slots are as many as there were operations at once;
// transfer buffers at most MAX_TRANSFERS: who gets none copies through the process's arena.

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

/** What is read or written at once. Larger ones leave the processor's cache between the two copies. */
export const TRANSFER_BYTES = 1 << 18;
/** How many transfer buffers are kept. */
const MAX_TRANSFERS = 8;
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
}

export class FsMemory {
  readonly #process: Process;
  readonly #maps: KernelBuffer[] = [];
  #slots: Slot[] = [];
  #transfers: Transfer[] = [];
  #transferCount = 0;
  #disposed = false;

  constructor(process: Process) {
    this.#process = process;
  }

  /** A slot that is free, or undefined: then await {@link moreSlots}. */
  takeSlot(): Slot | undefined {
    return this.#slots.pop();
  }

  async moreSlots(): Promise<Slot> {
    const buffer = await this.#map(SLOTS_AT_ONCE * SLOT_BYTES);
    for (let i = 1; i < SLOTS_AT_ONCE; i++) this.#slots.push(new Slot(buffer, i * SLOT_BYTES));
    return new Slot(buffer, 0);
  }

  giveSlot(slot: Slot): void {
    this.#slots.push(slot);
  }

  /** A transfer buffer, or null where all are in use or there is no memory for more. */
  takeTransfer(): Transfer | null | Promise<Transfer | null> {
    const free = this.#transfers.pop();
    if (free) return free;
    return this.#transferCount < MAX_TRANSFERS ? this.#moreTransfers() : null;
  }

  async #moreTransfers(): Promise<Transfer | null> {
    this.#transferCount++;
    try {
      const memory = await this.#map(TRANSFER_BYTES);
      return { memory, bytes: memory.bytes };
    } catch (error) {
      this.#transferCount--;
      if (error instanceof SystemError && error.errno === -errno.ENOMEM) return null;
      throw error;
    }
  }

  giveTransfer(transfer: Transfer): void {
    this.#transfers.push(transfer);
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
    this.#transfers = [];
    for (const buffer of this.#maps.splice(0)) await buffer.dispose();
  }
}
