// A terminal (virtio 1.2, section 5.3): /dev/hvc0, or the next one.
//
// Invariants: #input holds what was typed and the driver has not taken, at most one chunk at a time:
// its writer waits. Output cannot wait, as the kernel spins until it is taken; so it is kept up to
// MAX_OUTPUT_BYTES for its reader, and what comes beyond that is dropped and counted.

import { VIRTIO_CONSOLE_F_SIZE, VIRTIO_ID_CONSOLE } from "../abi/constants/virtio.ts";
import { VirtioConsoleConfig } from "../abi/structs/virtio.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { VirtioDevice } from "./device.ts";
import type { VirtQueue } from "./queue.ts";

export interface VirtioConsoleOptions {
  /** Size of the terminal in characters; 80 × 24 by default. */
  columns?: number;
  rows?: number;
}

/** Output that nobody has read yet; more is dropped. */
export const MAX_OUTPUT_BYTES = 1 << 20;

const QUEUE_SIZE = 64;
const RECEIVE = 0;
const TRANSMIT = 1;
const CONFIG = VirtioConsoleConfig.offsets;

export class VirtioConsole extends VirtioDevice {
  /** What the kernel writes to the terminal. Ends when the device leaves its machine. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** What is typed. A write ends when the kernel has taken it all. */
  readonly writable: WritableStream<Uint8Array>;
  /** Output that was dropped because nobody read it, in bytes. */
  droppedBytes = 0;
  #output!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  #inputController!: WritableStreamDefaultController;
  #input: Uint8Array | null = null;
  #inputTaken: PromiseWithResolvers<void> | null = null;
  #ended: Error | null = null;

  /** @throws {InvalidOptionError} */
  constructor(options: VirtioConsoleOptions = {}) {
    super({
      id: VIRTIO_ID_CONSOLE,
      name: "virtio-console",
      features: [VIRTIO_CONSOLE_F_SIZE],
      configBytes: VirtioConsoleConfig.size,
      queueSizes: [QUEUE_SIZE, QUEUE_SIZE],
    });
    this.#fillSize(options.columns ?? 80, options.rows ?? 24);
    this.readable = new ReadableStream<Uint8Array<ArrayBuffer>>(
      { start: (controller) => void (this.#output = controller) },
      new ByteLengthQueuingStrategy({ highWaterMark: MAX_OUTPUT_BYTES }),
    );
    this.writable = new WritableStream({
      start: (controller) => void (this.#inputController = controller),
      write: (bytes) => this.#type(bytes),
    });
  }

  #fillSize(columns: number, rows: number): void {
    for (const [option, value] of Object.entries({ columns, rows }))
      if (!Number.isInteger(value) || value < 1 || value > 65535)
        throw new InvalidOptionError(option, `${value} is not from 1 to 65535`);
    this.configView.setUint16(CONFIG.cols, columns, true);
    this.configView.setUint16(CONFIG.rows, rows, true);
  }

  /** The terminal has another size: the kernel sends SIGWINCH. @throws {InvalidOptionError} */
  resize(columns: number, rows: number): void {
    this.#fillSize(columns, rows);
    this.announceConfig();
  }

  protected override holdsRequests(queue: VirtQueue): boolean {
    return queue.index === TRANSMIT;
  }

  protected override driverReady(): void {
    this.#deliver();
  }

  protected override serve(queue: VirtQueue): void {
    if (queue.index === RECEIVE) this.#deliver();
    else if (queue.index === TRANSMIT) this.#transmit(queue);
  }

  protected override stopped(why: Error): void {
    if (this.#ended) return;
    this.#ended = why;
    this.#inputController.error(why);
    this.#inputTaken?.reject(why);
    this.#input = this.#inputTaken = null;
    try {
      this.#output.close();
    } catch {
      // Its reader had cancelled it.
    }
  }

  #transmit(queue: VirtQueue): void {
    for (let head; (head = queue.pop()) >= 0;) {
      for (let i = 0; i < queue.readable; i++)
        this.#put(this.memory.copy(queue.address[i], queue.length[i]));
      queue.push(head, 0);
    }
    this.announce(queue);
  }

  #put(bytes: Uint8Array<ArrayBuffer>): void {
    if ((this.#output.desiredSize ?? 0) < bytes.length) this.droppedBytes += bytes.length;
    else if (bytes.length) this.#output.enqueue(bytes);
  }

  /** The sink of {@link writable}: settles when the driver has taken the bytes. */
  #type(bytes: Uint8Array): Promise<void> | undefined {
    if (bytes.length === 0) return undefined;
    this.#input = bytes;
    this.#inputTaken = Promise.withResolvers<void>();
    const { promise } = this.#inputTaken;
    this.run(() => this.#deliver());
    return promise;
  }

  /** Give the driver what was typed, as far as it has buffers. */
  #deliver(): void {
    const queue = this.queue(RECEIVE);
    if (!queue || !this.serving) return;
    while (this.#input) {
      const head = queue.pop();
      if (head < 0) break;
      let written = 0;
      for (let i = queue.readable; i < queue.count && this.#input; i++)
        written += this.#fill(queue.address[i], queue.length[i]);
      queue.push(head, written);
    }
    this.announce(queue);
  }

  /** @returns how many bytes of input went to a buffer */
  #fill(address: number, length: number): number {
    const part = this.#input!.subarray(0, length);
    this.memory.u8.set(part, address);
    const rest = this.#input!.subarray(part.length);
    this.#input = rest.length ? rest : null;
    if (!this.#input) {
      this.#inputTaken?.resolve();
      this.#inputTaken = null;
    }
    return part.length;
  }
}
