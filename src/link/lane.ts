// One direction of an emulated link: a queue, a transmitter with a rate, and a way with a delay.
//
// Invariants: a frame that was taken is in #flying, ordered by when it arrives, until it is delivered or
// the link loses its carrier; #sending says, in order, until when the transmitter is busy with which of
// them. There is a timer exactly while #flying is not empty and its first frame is not being waited for
// by the receiver (#blocked).

import type { Clock, ClockTimer } from "../machine/clock.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { checkProbability } from "./dice.ts";
import type { Dice } from "./dice.ts";
import { Frame } from "./frame.ts";
import { Heap } from "./heap.ts";
import type { Jack, Waiter } from "./link.ts";
import { complete } from "./offload.ts";
import { Red } from "./red.ts";
import type { RedOptions } from "./red.ts";

/** What a link does to the frames of one direction. Everything may be left out. */
export interface Impairments {
  /** Megabits a second, counting `overheadBytes`. Default: as fast as the sender. */
  readonly rateMbps?: number;
  /** Bytes that every frame needs on the wire besides its own: 24 for Ethernet's. Default 0. */
  readonly overheadBytes?: number;
  /** How long a frame is on its way, in milliseconds. Default 0. */
  readonly delayMs?: number;
  /** How much longer or shorter that is, evenly distributed: frames can overtake each other. Default 0. */
  readonly jitterMs?: number;
  /** Probability that a frame is lost. Default 0. */
  readonly loss?: number;
  /** Probability that a frame arrives twice. */
  readonly duplicate?: number;
  /** Probability that a frame skips the delay, and so overtakes others. */
  readonly reorder?: number;
  /** Probability that a bit of a frame is changed. */
  readonly corrupt?: number;
  /** Frames that wait for the transmitter; one more is dropped. Default 1000. */
  readonly queueFrames?: number;
  /** Bytes that wait for the transmitter. Default: no limit of its own. */
  readonly queueBytes?: number;
  /** Drop before the queue is full. */
  readonly red?: RedOptions;
}

/** What has happened to the frames of one direction. */
export interface LaneCounters {
  readonly sentFrames: number;
  readonly deliveredFrames: number;
  readonly lostFrames: number;
  readonly duplicatedFrames: number;
  readonly reorderedFrames: number;
  readonly corruptedFrames: number;
  /** Dropped because the queue was full. */
  readonly overflowedFrames: number;
  /** Dropped by RED. */
  readonly earlyFrames: number;
}

/** What a direction holds at most, queued or on its way; more is dropped as if the queue were full. */
export const MAX_LANE_BYTES: number = 256 << 20;
const DEFAULT_QUEUE_FRAMES = 1000;
const MS = 1e6;
/** Bits of a Mbit/s in a nanosecond. */
const MBPS = 1e-3;
/** What RED takes as the size of a frame while there is none. */
const TYPICAL_FRAME_BYTES = 1000;

interface Flying {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly arrivesNs: number;
  readonly order: number;
}

export class Lane implements Waiter {
  readonly #to: Jack;
  readonly #clock: Clock;
  readonly #dice: Dice;
  #is!: Required<Omit<Impairments, "red">>;
  #red: Red | null = null;
  #flying = new Heap<Flying>((a, b) => a.arrivesNs - b.arrivesNs || a.order - b.order);
  #flyingBytes = 0;
  /** When each queued frame has been sent, and its length; from #sent on. */
  #sending: { doneNs: number; bytes: number }[] = [];
  #sent = 0;
  #queuedBytes = 0;
  #freeNs = 0;
  #order = 0;
  #timer: ClockTimer | null = null;
  #blocked = false;
  #delivering = false;
  readonly #counters = {
    sentFrames: 0,
    deliveredFrames: 0,
    lostFrames: 0,
    duplicatedFrames: 0,
    reorderedFrames: 0,
    corruptedFrames: 0,
    overflowedFrames: 0,
    earlyFrames: 0,
  };

  /** @throws {InvalidOptionError} */
  constructor(to: Jack, clock: Clock, dice: Dice, impairments: Impairments) {
    this.#to = to;
    this.#clock = clock;
    this.#dice = dice;
    this.change(impairments);
  }

  get counters(): LaneCounters {
    return { ...this.#counters };
  }

  /** Frames that wait for the transmitter. */
  get queuedFrames(): number {
    this.#forgetSent(this.#clock.nowNs());
    return this.#sending.length - this.#sent;
  }

  /**
   * Other impairments, instead of all there were. What is queued or on its way arrives as it would have.
   *
   * @throws {InvalidOptionError}
   */
  change(impairments: Impairments): void {
    const { rateMbps = Infinity, queueFrames = DEFAULT_QUEUE_FRAMES } = impairments;
    const atLeast0 = (option: string, value: number): number => {
      if (!(value >= 0)) throw new InvalidOptionError(option, `${value}: it is 0 or more`);
      return value;
    };
    const finite = (option: string, value = 0): number => {
      if (value === Infinity) throw new InvalidOptionError(option, "it has to be finite");
      return atLeast0(option, value);
    };
    if (!(rateMbps > 0)) throw new InvalidOptionError("rateMbps", `${rateMbps} is not positive`);
    const is = {
      rateMbps,
      overheadBytes: finite("overheadBytes", impairments.overheadBytes),
      delayMs: finite("delayMs", impairments.delayMs),
      jitterMs: finite("jitterMs", impairments.jitterMs),
      loss: checkProbability("loss", impairments.loss ?? 0),
      duplicate: checkProbability("duplicate", impairments.duplicate ?? 0),
      reorder: checkProbability("reorder", impairments.reorder ?? 0),
      corrupt: checkProbability("corrupt", impairments.corrupt ?? 0),
      queueFrames: atLeast0("queueFrames", queueFrames),
      queueBytes: atLeast0("queueBytes", impairments.queueBytes ?? Infinity),
    };
    this.#red = impairments.red ? new Red(impairments.red) : null;
    this.#is = is;
  }

  /** A frame enters. What its sender left to be done is done: a wire has real frames only. */
  enter(frame: Frame): void {
    for (const bytes of complete(frame)) this.#enter(bytes);
    this.#deliver();
  }

  /** Nothing of what is on its way arrives. */
  clear(): void {
    this.#flying.clear();
    this.#flyingBytes = 0;
    this.#sending = [];
    this.#sent = this.#queuedBytes = this.#freeNs = 0;
    this.#setTimer();
  }

  /** The receiver has room again. */
  resume(): void {
    this.#blocked = false;
    this.#deliver();
  }

  #enter(bytes: Uint8Array<ArrayBuffer>): void {
    const { loss, corrupt, duplicate } = this.#is;
    const counters = this.#counters;
    counters.sentFrames++;
    if (this.#dice.chance(loss)) {
      counters.lostFrames++;
      return;
    }
    if (this.#dice.chance(corrupt)) {
      counters.corruptedFrames++;
      bytes[this.#dice.below(bytes.length)] ^= 1 << this.#dice.below(8);
    }
    this.#queue(bytes);
    if (!this.#dice.chance(duplicate)) return;
    counters.duplicatedFrames++;
    this.#queue(bytes);
  }

  #queue(bytes: Uint8Array<ArrayBuffer>): void {
    const { rateMbps, overheadBytes, queueFrames, queueBytes } = this.#is;
    const now = this.#clock.nowNs();
    this.#forgetSent(now);
    const { length } = bytes;
    const waiting = this.#sending.length - this.#sent;
    if (this.#red) {
      const idleNs = waiting === 0 ? Math.max(0, now - this.#freeNs) : 0;
      const idleFrames = Math.floor((idleNs * rateMbps * MBPS) / (8 * TYPICAL_FRAME_BYTES));
      if (this.#red.drops(this.#queuedBytes, idleFrames, this.#dice)) {
        this.#counters.earlyFrames++;
        return;
      }
    }
    // The one that is being sent does not wait.
    if (
      waiting > queueFrames ||
      (waiting > 0 && this.#queuedBytes + length > queueBytes) ||
      this.#flyingBytes + length > MAX_LANE_BYTES
    ) {
      this.#counters.overflowedFrames++;
      return;
    }
    const needsNs = ((length + overheadBytes) * 8) / (rateMbps * MBPS);
    this.#freeNs = Math.max(now, this.#freeNs) + needsNs;
    if (needsNs > 0) {
      this.#sending.push({ doneNs: this.#freeNs, bytes: length });
      this.#queuedBytes += length;
    }
    this.#fly(bytes);
  }

  /** The transmitter will be done with a frame at #freeNs. */
  #fly(bytes: Uint8Array<ArrayBuffer>): void {
    const { delayMs, jitterMs, reorder } = this.#is;
    let onTheWayMs = delayMs;
    if (jitterMs > 0) onTheWayMs += (2 * this.#dice.next() - 1) * jitterMs;
    if (this.#dice.chance(reorder)) {
      this.#counters.reorderedFrames++;
      onTheWayMs = 0;
    }
    const arrivesNs = this.#freeNs + Math.max(0, onTheWayMs) * MS;
    this.#flying.add({ bytes, arrivesNs, order: this.#order++ });
    this.#flyingBytes += bytes.length;
  }

  #forgetSent(now: number): void {
    const sending = this.#sending;
    for (; this.#sent < sending.length && sending[this.#sent].doneNs <= now; this.#sent++)
      this.#queuedBytes -= sending[this.#sent].bytes;
    if (this.#sent > 256 && 2 * this.#sent > sending.length) {
      this.#sending = sending.slice(this.#sent);
      this.#sent = 0;
    }
  }

  /** Deliver what has arrived by now. */
  #deliver(): void {
    // Delivering one can let others enter.
    if (this.#delivering) return;
    this.#delivering = true;
    const now = this.#clock.nowNs();
    for (let next; !this.#blocked && (next = this.#flying.first) && next.arrivesNs <= now;) {
      // Out first: delivering it can let others enter, or take all away with the carrier.
      this.#flying.remove();
      this.#flyingBytes -= next.bytes.length;
      this.#blocked = !this.#to.deliver(Frame.of(next.bytes), this);
      if (!this.#blocked) this.#counters.deliveredFrames++;
      else {
        this.#flying.add(next);
        this.#flyingBytes += next.bytes.length;
      }
    }
    this.#delivering = false;
    this.#setTimer();
  }

  #setTimer(): void {
    const next = this.#flying.first;
    if (!next || this.#blocked) {
      this.#timer?.cancel();
      this.#timer = null;
      return;
    }
    this.#timer ??= this.#clock.timer(() => this.#deliver());
    this.#timer.pause(next.arrivesNs, true);
  }
}
