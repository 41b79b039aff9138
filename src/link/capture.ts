// A capture: what passes ports, written down for Wireshark and tshark as pcapng.
//
// Invariants: what is to be written is in #queue, at most maxQueuedBytes of it; frames beyond that are
// counted, not kept. #writing is the one write under way. A capture that failed or was closed sees
// nothing any more: the network goes on without it.

import { WallClock } from "../machine/clock.ts";
import type { Clock } from "../machine/clock.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { LinkError } from "./errors.ts";
import { Frame, MAX_FRAME_BYTES } from "./frame.ts";
import type { Direction, Jack } from "./link.ts";
import { complete } from "./offload.ts";
import {
  interfaceBlock,
  namesBlock,
  packetBlock,
  sectionBlock,
  statisticsBlock,
} from "./pcapng.ts";

/** Where a capture is written to. One call at a time. */
export interface CaptureSink {
  /** Append these, in turn. They are the sink's. */
  write(pieces: readonly Uint8Array<ArrayBuffer>[]): void | Promise<void>;
  /** What is written from now on is the next file. Only needed if the capture rotates. */
  rotate?(): void | Promise<void>;
  close(): void | Promise<void>;
}

export interface CaptureOptions {
  /** A comment for the whole capture. */
  readonly comment?: string;
  /** Names of IPv4 addresses, which Wireshark shows instead: {"10.0.0.1": "client"}. */
  readonly names?: Readonly<Record<string, string>>;
  /** Bytes of each frame that are kept, 64 or more. Default: all. */
  readonly snapBytes?: number;
  /**
   * Whether segments of up to 64 KiB, which kernels hand each other, are written as the frames that a
   * wire would have carried, with their checksums. Default false: as they were sent, like tcpdump does.
   */
  readonly cut?: boolean;
  /** Begin the next file when one has so many bytes. Needs a sink that can. Default: never. */
  readonly rotateBytes?: number;
  /** Begin the next file after so many milliseconds, when a frame comes. Default: never. */
  readonly rotateMs?: number;
  /** What may wait for the sink, in bytes; frames beyond that are missing. Default 16 MiB. */
  readonly maxQueuedBytes?: number;
  /** What the times of frames are taken from: the kernels' clock. Default: the wall clock. */
  readonly clock?: Clock;
  /** Called once when the sink failed: the capture has ended. */
  readonly onError?: (error: LinkError) => void;
}

export interface CapturedPortOptions {
  /** What the interface is called. Default: the port's name. */
  readonly name?: string;
  readonly comment?: string;
  /** Gives a frame a comment. */
  readonly describe?: (frame: Frame, direction: Direction) => string | undefined;
}

const MIN_SNAP_BYTES = 64;
const DEFAULT_QUEUED_BYTES = 16 << 20;
const MS = 1e6;

interface Captured {
  readonly header: Uint8Array<ArrayBuffer>;
  stop: () => void;
  frames: number;
  dropped: number;
}

export class Capture {
  readonly #sink: CaptureSink;
  readonly #options: CaptureOptions;
  readonly #clock: Clock;
  readonly #snapBytes: number;
  readonly #maxQueuedBytes: number;
  readonly #ports: Captured[] = [];
  /** How every file begins, the interfaces aside. */
  readonly #start: Uint8Array<ArrayBuffer>[];
  #queue: (Uint8Array<ArrayBuffer> | "rotate")[] = [];
  #queuedBytes = 0;
  #fileBytes = 0;
  #fileStartNs: number;
  /** When the capture began: since 1970, and by the clock. Nanoseconds since 1970 do not fit a number. */
  readonly #beganNs: bigint;
  readonly #beganAtNs: number;
  #writing: Promise<void> | null = null;
  #error: LinkError | null = null;
  #closed = false;

  /** @throws {InvalidOptionError} */
  constructor(sink: CaptureSink, options: CaptureOptions = {}) {
    const { snapBytes = MAX_FRAME_BYTES, rotateBytes, rotateMs, maxQueuedBytes } = options;
    if (!(snapBytes >= MIN_SNAP_BYTES))
      throw new InvalidOptionError("snapBytes", `${snapBytes}: it is ${MIN_SNAP_BYTES} or more`);
    for (const [name, value] of Object.entries({ rotateBytes, rotateMs, maxQueuedBytes }))
      if (value !== undefined && !(value > 0))
        throw new InvalidOptionError(name, `${value} is not positive`);
    if ((rotateBytes ?? rotateMs) !== undefined && !sink.rotate)
      throw new InvalidOptionError("rotateBytes", "this sink has one file only");
    this.#sink = sink;
    this.#options = options;
    this.#clock = options.clock ?? new WallClock();
    this.#snapBytes = Math.min(snapBytes, MAX_FRAME_BYTES);
    this.#maxQueuedBytes = maxQueuedBytes ?? DEFAULT_QUEUED_BYTES;
    this.#fileStartNs = this.#clock.nowNs();
    this.#beganAtNs = this.#clock.nowNs();
    this.#beganNs = BigInt(Math.round(this.#clock.wallNs()));
    this.#start = [sectionBlock(options.comment)];
    const names = Object.entries(options.names ?? {});
    if (names.length)
      this.#start.push(namesBlock(names.map(([ip, name]) => [parseIpv4(ip), name])));
    this.#begin();
  }

  /** Why the capture ended before it was closed, if it did. */
  get error(): LinkError | null {
    return this.#error;
  }

  /** Frames that are missing, because the sink was too slow. */
  get droppedFrames(): number {
    return this.#ports.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  /** Capture what passes a port, in both directions. Returns how to stop that. */
  add(port: Jack, options: CapturedPortOptions = {}): () => void {
    if (this.#closed || this.#error) return () => {};
    const number = this.#ports.length;
    const header = interfaceBlock(options.name ?? port.name, this.#snapBytes, options.comment);
    const captured: Captured = { header, stop: () => {}, frames: 0, dropped: 0 };
    this.#ports.push(captured);
    this.#put(header);
    captured.stop = port.observe((frame, direction) => {
      const comment = options.describe?.(frame, direction);
      if (!this.#options.cut || frame.complete) this.#record(number, frame, direction, comment);
      else
        for (const bytes of complete(frame))
          this.#record(number, Frame.of(bytes), direction, comment);
    });
    return captured.stop;
  }

  /** Names of more IPv4 addresses, from here on, and in further files. @throws {InvalidOptionError} */
  addNames(names: Readonly<Record<string, string>>): void {
    const entries = Object.entries(names);
    if (!entries.length || this.#closed || this.#error) return;
    const block = namesBlock(entries.map(([ip, name]) => [parseIpv4(ip), name]));
    this.#start.push(block);
    this.#put(block);
  }

  /** Stop, and write what is left. Settles when the sink is closed. @throws {LinkError} if it failed */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      for (const [number, { stop, frames, dropped }] of this.#ports.entries()) {
        stop();
        if (!this.#error) this.#put(statisticsBlock(number, this.#timeNs(), frames, dropped));
      }
      await this.#writing;
      try {
        await this.#sink.close();
      } catch (error) {
        this.#fail(error);
      }
    }
    if (this.#error) throw this.#error;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #timeNs(): bigint {
    return this.#beganNs + BigInt(Math.round(this.#clock.nowNs() - this.#beganAtNs));
  }

  #record(number: number, frame: Frame, direction: Direction, comment: string | undefined): void {
    const port = this.#ports[number];
    port.frames++;
    if (this.#queuedBytes > this.#maxQueuedBytes) {
      port.dropped++;
      return;
    }
    const { rotateBytes = Infinity, rotateMs = Infinity } = this.#options;
    const aged = this.#clock.nowNs() - this.#fileStartNs >= rotateMs * MS;
    if (this.#fileBytes >= rotateBytes || aged) this.#rotate();
    const block = packetBlock({
      interface: number,
      timeNs: this.#timeNs(),
      inbound: direction === "received",
      pieces: frame.segments,
      capturedBytes: Math.min(frame.lengthBytes, this.#snapBytes),
      lengthBytes: frame.lengthBytes,
      comment,
    });
    this.#put(block);
  }

  #begin(): void {
    for (const block of this.#start) this.#put(block);
    for (const { header } of this.#ports) this.#put(header);
  }

  #rotate(): void {
    this.#queue.push("rotate");
    this.#fileBytes = 0;
    this.#fileStartNs = this.#clock.nowNs();
    this.#begin();
  }

  #put(block: Uint8Array<ArrayBuffer>): void {
    this.#queue.push(block);
    this.#queuedBytes += block.length;
    this.#fileBytes += block.length;
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    // Let others come: one write for all of them.
    await Promise.resolve();
    try {
      while (this.#queue.length && !this.#error) {
        const queue = this.#queue;
        const bytes = this.#queuedBytes;
        this.#queue = [];
        for (let at = 0; at < queue.length;) {
          if (queue[at] === "rotate") {
            await this.#sink.rotate!();
            at++;
          }
          const next = queue.indexOf("rotate", at);
          const end = next < 0 ? queue.length : next;
          await this.#sink.write(queue.slice(at, end) as Uint8Array<ArrayBuffer>[]);
          at = end;
        }
        this.#queuedBytes -= bytes;
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = null;
  }

  #fail(error: unknown): void {
    if (this.#error) return;
    const problem = error instanceof Error ? error.message : String(error);
    const full = error instanceof Error && "code" in error && error.code === "ENOSPC";
    this.#error = new LinkError(full ? "ENOSPC" : "EIO", `the capture ended: ${problem}`, error);
    for (const { stop } of this.#ports) stop();
    this.#queue = [];
    this.#options.onError?.(this.#error);
  }
}

function parseIpv4(text: string): Uint8Array {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255))
    throw new InvalidOptionError("names", `"${text}" is not an IPv4 address`);
  return Uint8Array.from(parts);
}
