// An uplink: a link with one port, whose other end is outside of the process.
//
// Invariants: the port has a carrier from opened() until the uplink ends, which it does once: by close(),
// or by an error, which takes the carrier away and nothing else. What came in and had no room is in
// #arrived, at most MAX_ARRIVED_FRAMES of it. While #blocked, frames from the port are not taken, for at
// most STALL_MS, then dropped (#stalled), until drained().

import { LinkError } from "./errors.ts";
import { Frame, MAX_FRAME_BYTES, MIN_FRAME_BYTES } from "./frame.ts";
import { Jack } from "./link.ts";
import type { JackOwner, Waiter } from "./link.ts";
import { complete } from "./offload.ts";

/** What may wait for the other end, in bytes. */
export const MAX_BACKLOG_BYTES: number = 4 << 20;
/** Frames from outside that may wait for the port's station; more are dropped. */
const MAX_ARRIVED_FRAMES = 1024;
/** How long senders are held up by an other end that takes nothing. */
const STALL_MS = 500;

export interface UplinkOptions {
  /** What its port is called. */
  readonly name?: string;
  /** Called once if it ends by an error: its port has lost its carrier. */
  readonly onError?: (error: LinkError) => void;
}

export abstract class Uplink implements JackOwner, Waiter {
  /** Where a network device is plugged in, or a switch by patch(). */
  readonly port: Jack;
  /** Frames that neither end had room for, or that were none. */
  droppedFrames = 0;
  readonly #onError: ((error: LinkError) => void) | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #arrived: Frame[] = [];
  #open = false;
  #over = false;
  #error: LinkError | null = null;
  #blocked = false;
  #stalled = false;
  #stall: ReturnType<typeof setTimeout> | undefined;

  /** @param kind its name, unless the options have one */
  constructor(kind: string, options: UplinkOptions) {
    this.port = new Jack(this, options.name ?? kind);
    this.#onError = options.onError;
  }

  // --- What a subclass implements ------------------------------------------------------------

  /** Send a frame, valid until this returns, with nothing left to be done with it; or see takesOffload. */
  protected abstract transmit(frame: Frame): void;

  /** Let go of what is outside; called once. */
  protected abstract release(): void | Promise<void>;

  /** Whether transmit() does what is left to be done with frames. */
  protected get takesOffload(): boolean {
    return false;
  }

  /** What was given to transmit() and has not left yet, in bytes. */
  protected abstract get backlogBytes(): number;

  /** There is room for frames from outside again, after arrived() returned false. */
  protected more(): void {}

  // --- For subclasses ------------------------------------------------------------------------

  /** The other end is there. */
  protected opened(): void {
    if (this.#over) return;
    this.#open = true;
    this.port.refresh();
  }

  /** A frame from outside, which is its own. False: better wait with others, until {@link more}. */
  protected arrived(frame: Frame): boolean {
    if (this.#over || frame.lengthBytes < MIN_FRAME_BYTES) this.droppedFrames++;
    else if (this.#arrived.length || !this.port.deliver(frame, this)) {
      if (this.#arrived.length >= MAX_ARRIVED_FRAMES) this.droppedFrames++;
      else this.#arrived.push(frame);
    }
    return this.#arrived.length === 0;
  }

  /** What waited has left. */
  protected drained(): void {
    this.#stalled = false;
    if (!this.#blocked) return;
    this.#blocked = false;
    clearTimeout(this.#stall);
    this.port.resume();
  }

  /** It is over, by an error: the network goes on without it. */
  protected fail(error: LinkError): void {
    if (this.#over) return;
    this.#error = error;
    this.#end();
    this.#onError?.(error);
  }

  // --- For the application -------------------------------------------------------------------

  /** Why it ended, if not by {@link close}. */
  get error(): LinkError | null {
    return this.#error;
  }

  /** Settles, never rejects, when it has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** End it. Its port loses its carrier. */
  async close(): Promise<void> {
    if (!this.#over) this.#end();
    await this.#ended.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #end(): void {
    this.#over = true;
    this.#open = false;
    this.#arrived = [];
    clearTimeout(this.#stall);
    this.port.refresh();
    void (async () => {
      try {
        await this.release();
      } finally {
        this.#ended.resolve();
      }
    })().catch(() => {});
  }

  // --- For its port --------------------------------------------------------------------------

  /** For its ports. */
  carries(): boolean {
    return this.#open;
  }

  /** For its port. */
  forward(frame: Frame): boolean {
    const { lengthBytes } = frame;
    // What is no frame would end some of the links outside.
    if (this.#stalled || lengthBytes < MIN_FRAME_BYTES || lengthBytes > MAX_FRAME_BYTES) {
      this.droppedFrames++;
      return true;
    }
    if (this.#blocked || this.backlogBytes > MAX_BACKLOG_BYTES) {
      this.#block();
      return false;
    }
    try {
      this.#transmit(frame);
    } catch (error) {
      // The sender has done nothing wrong.
      const problem = error instanceof Error ? error.message : String(error);
      this.fail(new LinkError("EIO", `cannot send: ${problem}`, error));
    }
    return true;
  }

  #transmit(frame: Frame): void {
    if (frame.complete || this.takesOffload) {
      this.transmit(frame);
      return;
    }
    const parts = complete(frame);
    if (parts.length === 0) this.droppedFrames++;
    for (const bytes of parts) this.transmit(Frame.of(bytes));
  }

  /** The port's station has room. */
  resume(): void {
    const frames = this.#arrived;
    let done = 0;
    while (done < frames.length && this.port.deliver(frames[done], this)) done++;
    this.#arrived = frames.slice(done);
    if (this.#arrived.length === 0) this.more();
  }

  #block(): void {
    if (this.#blocked) return;
    this.#blocked = true;
    this.#stall = setTimeout(() => {
      this.#blocked = false;
      this.#stalled = true;
      this.port.resume();
    }, STALL_MS);
  }
}
