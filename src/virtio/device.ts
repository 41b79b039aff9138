// What every virtio device has: identity, features, configuration space, queues, status.
//
// Invariants: a device is plugged into at most one bus at a time (#slot). From plugging to the end
// its driver may reset it any number of times; a reset closes all queues, and what is completed
// later for a closed queue is dropped. While the device is broken or being unplugged (failing), every
// request that it has or gets is refused at once, so that nothing in the kernel waits for it.

import {
  VIRTIO_CONFIG_S_DRIVER_OK,
  VIRTIO_CONFIG_S_NEEDS_RESET,
  VIRTIO_F_VERSION_1,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from "../abi/constants/virtio.ts";
import type { Memory } from "../machine/memory.ts";
import { DeviceError } from "./errors.ts";
import { VirtQueue } from "./queue.ts";

/** A device's place in a machine: what it can do there. */
export interface Slot {
  readonly memory: Memory;
  /** Tell the driver that buffers were used. */
  interrupt(): void;
  /** Tell the driver that the configuration space changed. */
  configChanged(): void;
  /** The device broke; told once, until it is reset. */
  report(error: DeviceError): void;
}

export interface DeviceShape {
  /** VIRTIO_ID_… */
  readonly id: number;
  /** For messages, such as "virtio-blk". */
  readonly name: string;
  /** Numbers of the device's own feature bits; those of the transport are added. */
  readonly features: readonly number[];
  /** Size of the configuration space. */
  readonly configBytes: number;
  /** Greatest number of entries of each queue: powers of two. */
  readonly queueSizes: readonly number[];
}

const TRANSPORT_FEATURES = [
  VIRTIO_F_VERSION_1,
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTIO_RING_F_EVENT_IDX,
];

/** The device half of a virtio device. Subclasses serve its queues. */
export abstract class VirtioDevice {
  readonly id: number;
  readonly name: string;
  /** The configuration space, little-endian; the device's own, shown to the driver. */
  readonly config: Uint8Array<ArrayBuffer>;
  protected readonly configView: DataView;
  readonly queueSizes: readonly number[];
  readonly #offered = new Uint32Array(2);
  readonly #accepted = new Uint32Array(2);
  readonly #queues: (VirtQueue | null)[];
  #slot: Slot | null = null;
  #status = 0;
  #broken: DeviceError | null = null;
  #leaving = false;

  constructor(shape: DeviceShape) {
    this.id = shape.id;
    this.name = shape.name;
    this.config = new Uint8Array(shape.configBytes);
    this.configView = new DataView(this.config.buffer);
    this.queueSizes = shape.queueSizes;
    this.#queues = shape.queueSizes.map(() => null);
    for (const bit of [...TRANSPORT_FEATURES, ...shape.features])
      this.#offered[bit >> 5] |= 1 << (bit & 31);
  }

  // --- What a subclass implements ------------------------------------------------------------

  /** Serve what is available in a queue. An exception breaks the device. */
  protected abstract serve(queue: VirtQueue): void;

  /**
   * Write to the chain that `queue` describes whatever tells the driver that the request failed.
   *
   * @returns how many bytes were written to it
   */
  protected refuse(_queue: VirtQueue): number {
    return 0;
  }

  /** Whether the driver waits for its buffers in a queue, so that they must be refused if need be. */
  protected holdsRequests(_queue: VirtQueue): boolean {
    return true;
  }

  /** Requests that were taken and not given back are void: the queues were reset, or all refused. */
  protected dropRequests(): void {}

  /** The driver wrote `length` bytes at `offset` of the configuration space; by default it cannot. */
  protected configWritten(_offset: number, _bytes: Uint8Array): void {}

  /** The driver is ready: queues may be used. */
  protected driverReady(): void {}

  /** The device was plugged in. An exception keeps it out. */
  protected started(): void {}

  /** The device left its machine, or the machine stopped, because of `why`. */
  protected stopped(_why: Error): void {}

  // --- For subclasses ------------------------------------------------------------------------

  /** The kernel's memory. Only while plugged in. */
  protected get memory(): Memory {
    return this.#slot!.memory;
  }

  /** A queue that the driver set up, or null. */
  protected queue(index: number): VirtQueue | null {
    return this.#queues[index] ?? null;
  }

  /** Whether the driver accepted a feature. */
  protected accepted(bit: number): boolean {
    return (this.#accepted[bit >> 5] & (1 << (bit & 31))) !== 0;
  }

  /** Whether the driver is ready and the device is well. */
  protected get serving(): boolean {
    return (this.#status & VIRTIO_CONFIG_S_DRIVER_OK) !== 0 && !this.failing;
  }

  /** Whether every request is to be refused. */
  protected get failing(): boolean {
    return this.#broken !== null || this.#leaving;
  }

  /** Chains were pushed: interrupt the driver if it wants that. @returns whether it was */
  protected announce(queue: VirtQueue): boolean {
    if (!this.#slot || !queue.takeInterrupt()) return false;
    this.#slot.interrupt();
    return true;
  }

  /** {@link config} changed. */
  protected announceConfig(): void {
    // A driver that lets go of its device must not be told any more.
    if (this.#status & VIRTIO_CONFIG_S_DRIVER_OK && !this.#leaving) this.#slot?.configChanged();
  }

  /** Run the device's own code outside a call of the driver: an exception breaks the device. */
  protected run(work: () => void): void {
    if (!this.#slot) return;
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  /** The device cannot go on. Everything it has or gets is refused, until its driver resets it. */
  protected fail(error: unknown): void {
    if (this.#broken || !this.#slot) return;
    this.#broken = this.#error(error);
    if (this.#status & VIRTIO_CONFIG_S_DRIVER_OK) {
      this.#status |= VIRTIO_CONFIG_S_NEEDS_RESET;
      this.announceConfig();
    }
    this.#refuseAll();
    this.#slot.report(this.#broken);
  }

  // --- For the application -------------------------------------------------------------------

  /** Why the device stopped working, if it did. */
  get broken(): DeviceError | null {
    return this.#broken;
  }

  /** Whether the device is in a machine. */
  get plugged(): boolean {
    return this.#slot !== null;
  }

  // --- For the bus ---------------------------------------------------------------------------

  /** @internal The device gets its place. @throws {DeviceError} if it has one, or cannot start */
  attach(slot: Slot): void {
    if (this.#slot)
      throw new DeviceError(this.name, "is in a machine already; make another one, or unplug it");
    this.#slot = slot;
    this.#leaving = false;
    this.reset();
    try {
      this.started();
    } catch (error) {
      this.#slot = null;
      throw this.#error(error);
    }
  }

  /** @internal The device was pulled: refuse everything until the driver has let go. */
  leave(): void {
    this.#leaving = true;
    this.#refuseAll();
  }

  /** @internal Out of the machine, for the reason given. */
  detach(why: Error): void {
    if (!this.#slot) return;
    this.#close();
    this.run(() => this.stopped(why));
    this.#slot = null;
  }

  /** @internal Bits 32 * `word` and up of the features offered. */
  features(word: number): number {
    return this.#offered[word] ?? 0;
  }

  /** @internal */
  accept(low: number, high: number): void {
    this.#accepted[0] = low & this.#offered[0];
    this.#accepted[1] = high & this.#offered[1];
  }

  /** @internal */
  get status(): number {
    return this.#status;
  }

  /** @internal */
  setStatus(status: number): void {
    const before = this.#status;
    if (status === 0) return this.reset();
    this.#status = status | (before & VIRTIO_CONFIG_S_NEEDS_RESET);
    if (status & ~before & VIRTIO_CONFIG_S_DRIVER_OK && !this.failing)
      this.run(() => this.driverReady());
  }

  /** @internal To the state before any driver. */
  reset(): void {
    this.#close();
    this.#status = 0;
    this.#broken = null;
    this.#accepted.fill(0);
  }

  /** @internal */
  setQueue(
    index: number,
    size: number,
    descriptors: number,
    available: number,
    used: number,
  ): void {
    if (!(index in this.#queues)) return;
    const eventIndex = this.accepted(VIRTIO_RING_F_EVENT_IDX);
    this.#queues[index]?.close();
    this.#queues[index] = new VirtQueue(
      this.memory,
      index,
      { size, descriptors, available, used, eventIndex },
      (problem) => this.fail(new DeviceError(this.name, `queue ${index}: ${problem}`)),
    );
  }

  /** @internal There may be new buffers in a queue. */
  notify(index: number): void {
    const queue = this.#queues[index];
    if (!queue) return;
    if (!this.failing) {
      try {
        this.serve(queue);
      } catch (error) {
        this.fail(error);
      }
    } else this.#refuseAvailable(queue);
  }

  /** @internal */
  writeConfig(offset: number, bytes: Uint8Array): void {
    this.run(() => this.configWritten(offset, bytes));
  }

  #error(error: unknown): DeviceError {
    if (error instanceof DeviceError) return error;
    const problem = error instanceof Error ? error.message : String(error);
    return new DeviceError(this.name, problem, error);
  }

  #close(): void {
    for (const [index, queue] of this.#queues.entries()) {
      queue?.close();
      this.#queues[index] = null;
    }
    this.dropRequests();
  }

  #refuseAll(): void {
    this.dropRequests();
    for (const queue of this.#queues) {
      if (!queue || !this.holdsRequests(queue)) continue;
      for (const head of queue.outstanding)
        queue.push(head, queue.reload(head) ? this.#refuse(queue) : 0);
      this.#refuseAvailable(queue);
    }
  }

  #refuseAvailable(queue: VirtQueue): void {
    if (!this.holdsRequests(queue)) return;
    for (let head; (head = queue.pop()) >= 0;) queue.push(head, this.#refuse(queue));
    this.announce(queue);
  }

  #refuse(queue: VirtQueue): number {
    try {
      return this.refuse(queue);
    } catch {
      // It is failing already: the driver gets its buffers back as they are.
      return 0;
    }
  }
}
