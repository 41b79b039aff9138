// The device's side of a split virtqueue in the kernel's memory (virtio 1.2, section 2.7).
//
// Invariants: #next and #used count every chain taken and given back, modulo 2^16. A head is
// marked in #taken from pop() to push(). A closed queue never touches memory again; a broken one
// takes nothing more, but what it took can still be given back. Nothing here throws because of
// what the driver wrote: it breaks the queue, which is reported once.

import {
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from "../abi/constants/virtio.ts";
import { VringDesc } from "../abi/structs/virtio.ts";
import type { Memory } from "../machine/memory.ts";

/** Buffers that one chain can have; more break the queue. */
export const MAX_CHAIN = 1024;
/** Entries that a queue can have (section 2.7). */
export const MAX_QUEUE_SIZE = 32768;

const DESCRIPTOR_BYTES = VringDesc.size;

/** Where the parts of a queue are: addresses in the kernel's memory. */
export interface QueueLayout {
  /** Entries: a power of two up to {@link MAX_QUEUE_SIZE}. */
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  /** Whether VIRTIO_RING_F_EVENT_IDX was accepted. */
  readonly eventIndex: boolean;
}

export class VirtQueue {
  /** Which of the device's queues this is. */
  readonly index: number;
  readonly size: number;

  // The chain that pop() or reload() read last. Valid until the next one.
  /** Addresses of its buffers: all of them within memory, the readable ones first. */
  readonly address: Uint32Array = new Uint32Array(MAX_CHAIN);
  /** Their lengths in bytes. */
  readonly length: Uint32Array = new Uint32Array(MAX_CHAIN);
  /** How many buffers it has. */
  count = 0;
  /** How many of them, from the first on, the device only reads; it only writes the others. */
  readable = 0;

  /** What the driver did wrong, if it did. */
  broken: string | null = null;
  /** False once the queue was reset or its machine stopped. */
  live = true;

  readonly #memory: Memory;
  readonly #onBroken: (problem: string) => void;
  readonly #descriptors: number;
  readonly #available: number;
  readonly #usedRing: number;
  readonly #mask: number;
  readonly #eventIndex: boolean;
  readonly #taken: Uint8Array;
  #next = 0;
  #used = 0;
  /** #used when the driver was last considered for an interrupt. */
  #announced = 0;

  /** @param onBroken is told once, synchronously from pop() or the constructor, and must not throw */
  constructor(
    memory: Memory,
    index: number,
    layout: QueueLayout,
    onBroken: (problem: string) => void,
  ) {
    const { size, descriptors, available, used } = layout;
    this.#memory = memory;
    this.index = index;
    this.size = size;
    this.#onBroken = onBroken;
    this.#descriptors = descriptors;
    this.#available = available;
    this.#usedRing = used;
    this.#mask = size - 1;
    this.#eventIndex = layout.eventIndex;
    this.#taken = new Uint8Array(Math.min(size, MAX_QUEUE_SIZE));
    if (size < 1 || size > MAX_QUEUE_SIZE || size & (size - 1)) this.#break(`size ${size}`);
    else if (
      (descriptors | available | used) & 3 ||
      descriptors + DESCRIPTOR_BYTES * size > memory.size ||
      available + 6 + 2 * size > memory.size ||
      used + 6 + 8 * size > memory.size
    )
      this.#break(`rings at ${descriptors}, ${available}, ${used}`);
  }

  /** The queue was reset: nothing of it is touched from now on. */
  close(): void {
    this.live = false;
  }

  /**
   * Take the next chain that the driver made available, and describe it in {@link address},
   * {@link length}, {@link count} and {@link readable}.
   *
   * @returns its head, to be given to push(); or -1 if there is none
   */
  pop(): number {
    if (this.broken !== null || !this.live) return -1;
    const waiting = (this.#availableIndex() - this.#next) & 0xffff;
    if (waiting === 0) return this.#drained();
    if (waiting > this.size) return this.#break(`${waiting} chains available at once`);
    const slot = this.#available + 4 + 2 * (this.#next & this.#mask);
    const head = this.#memory.view.getUint16(slot, true);
    if (head >= this.size) return this.#break(`head ${head} of ${this.size}`);
    if (this.#taken[head]) return this.#break(`head ${head} available twice`);
    this.#next = (this.#next + 1) & 0xffff;
    this.#taken[head] = 1;
    if (this.#read(head)) return head;
    // Nobody knows what is in it; the driver gets it back as it is.
    this.push(head, 0);
    return -1;
  }

  /** Leave the chain that pop() took last to the next pop(): the last ones of several in reverse order. */
  unpop(head: number): void {
    if (!this.live || !this.#taken[head]) return;
    this.#taken[head] = 0;
    this.#next = (this.#next - 1) & 0xffff;
  }

  /** Describe again a chain that was taken and not given back. False if it changed for the worse. */
  reload(head: number): boolean {
    return this.#read(head);
  }

  /** The heads that were taken and not given back. */
  get outstanding(): number[] {
    const heads: number[] = [];
    for (let head = this.#taken.indexOf(1); head >= 0; head = this.#taken.indexOf(1, head + 1))
      heads.push(head);
    return heads;
  }

  /**
   * Give a chain back. Does nothing if the queue was closed meanwhile.
   *
   * @param written how many bytes were written to it, from the first writable buffer on
   */
  push(head: number, written: number): void {
    if (!this.live || !this.#taken[head]) return;
    this.#taken[head] = 0;
    const { view, i32 } = this.#memory;
    const at = this.#usedRing + 4 + 8 * (this.#used & this.#mask);
    view.setUint32(at, head, true);
    view.setUint32(at + 4, written, true);
    this.#used = (this.#used + 1) & 0xffff;
    // The index shares a word with the flags, which are ours and always 0. Releases the entry.
    Atomics.store(i32, this.#usedRing >> 2, this.#used << 16);
  }

  /** Whether the driver wants to be interrupted for what was pushed since this was last asked. */
  takeInterrupt(): boolean {
    const before = this.#announced;
    const now = this.#used;
    if (!this.live || now === before) return false;
    this.#announced = now;
    if (!this.#eventIndex)
      return (
        (this.#memory.view.getUint16(this.#available, true) & VRING_AVAIL_F_NO_INTERRUPT) === 0
      );
    const event = this.#memory.view.getUint16(this.#available + 4 + 2 * this.size, true);
    return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
  }

  /** The acquire load of the driver's index, which shares a word with its flags. */
  #availableIndex(): number {
    return Atomics.load(this.#memory.i32, this.#available >> 2) >>> 16;
  }

  /** Nothing is left: ask to be notified of the next chain, and look once more. */
  #drained(): number {
    if (!this.#eventIndex) return -1;
    this.#memory.view.setUint16(this.#usedRing + 4 + 8 * this.size, this.#next, true);
    return this.#availableIndex() === this.#next ? -1 : this.pop();
  }

  #read(head: number): boolean {
    this.count = this.readable = 0;
    return this.#walk(this.#descriptors, this.size, head, false);
  }

  /** Read descriptors from the one at `index` of a table of `size` on. */
  #walk(table: number, size: number, index: number, indirect: boolean): boolean {
    const { u32, view, size: end } = this.#memory;
    for (let steps = 0; ; steps++) {
      if (index >= size) return this.#bad(`descriptor ${index} of ${size}`);
      if (steps === size) return this.#bad("descriptors in a loop");
      const at = (table + DESCRIPTOR_BYTES * index) >>> 2;
      const address = u32[at];
      const length = u32[at + 2];
      const flags = u32[at + 3] & 0xffff;
      if (u32[at + 1] !== 0 || address + length > end)
        return this.#bad(`${length} bytes at ${address}, outside memory`);
      if (flags & VRING_DESC_F_INDIRECT) {
        if (indirect || flags & VRING_DESC_F_NEXT) return this.#bad("nested indirect descriptors");
        if (address & 3 || length === 0 || length % DESCRIPTOR_BYTES)
          return this.#bad(`indirect table of ${length} bytes at ${address}`);
        return this.#walk(address, length / DESCRIPTOR_BYTES, 0, true);
      }
      if (!this.#add(address, length, flags)) return false;
      if (!(flags & VRING_DESC_F_NEXT)) return true;
      index = view.getUint16(table + DESCRIPTOR_BYTES * index + 14, true);
    }
  }

  #add(address: number, length: number, flags: number): boolean {
    const { count } = this;
    if (count === MAX_CHAIN) return this.#bad(`more than ${MAX_CHAIN} buffers in a chain`);
    if (!(flags & VRING_DESC_F_WRITE)) {
      if (this.readable !== count) return this.#bad("a readable buffer after a writable one");
      this.readable = count + 1;
    }
    this.address[count] = address;
    this.length[count] = length;
    this.count = count + 1;
    return true;
  }

  #bad(problem: string): false {
    this.#break(problem);
    return false;
  }

  #break(problem: string): -1 {
    if (this.broken === null) {
      this.broken = problem;
      this.#onBroken(problem);
    }
    return -1;
  }
}
