// What a link is made of: ports, and the stations that are plugged into them.
//
// Invariants: a jack has a carrier (#up) only while it is on and has a station. Who is in #waiting was
// told that the jack's station has no room, and is told once when that changes, for whatever reason.

import { LinkError } from "./errors.ts";
import type { Frame } from "./frame.ts";

/**
 * Who takes part in a network: the network device of a kernel, or anything else that sends and
 * receives frames. It is called synchronously, from within whatever sent the frame; it must not throw.
 */
export interface Station {
  /**
   * A frame from the link, valid until this returns. False: there is no room now, and the station
   * calls {@link Port.ready} soon, when there is, or when it takes and drops what comes.
   */
  receive(frame: Frame): boolean;
  /** {@link Port.up} changed. */
  carrierChanged(): void;
  /** What {@link Port.send} did not take may be sent again. */
  resume(): void;
}

/** Where a station is plugged in. */
export interface Port {
  /** Whether there is a carrier: a frame that is sent now arrives somewhere. */
  readonly up: boolean;
  /** Plug a station in. @throws {LinkError} EBUSY if there is one already */
  attach(station: Station): void;
  /** Pull it out. Does nothing if it is not the one. */
  detach(station: Station): void;
  /**
   * A frame from the station. True: it is delivered, kept as a copy, or dropped. False: nothing was
   * done with it; it can be sent again when {@link Station.resume} is called, or be dropped. Either
   * way its bytes are the caller's again. Never suspends, never throws because of what is in the frame.
   */
  send(frame: Frame): boolean;
  /** The station, which had no room, has some. */
  ready(): void;
}

/** What has passed a port, as its station sees it. */
export interface PortCounters {
  readonly sentFrames: number;
  readonly sentBytes: number;
  readonly receivedFrames: number;
  readonly receivedBytes: number;
  /** Frames for the station that came when there was no carrier, or that it had no room for. */
  readonly droppedFrames: number;
}

/** Which way a frame passes a port, as its station sees it. */
export type Direction = "sent" | "received";

/** Sees what passes a port. The frame is valid until it returns; it must not throw. */
export type Observer = (frame: Frame, direction: Direction) => void;

/** Who had a frame that could not be delivered. */
export interface Waiter {
  /** It can be now, or is dropped. */
  resume(): void;
}

/** What a link tells its jacks. */
export interface JackOwner {
  /** A frame came in by a jack that has a carrier. Returns as {@link Port.send} does. */
  forward(frame: Frame, from: Jack): boolean;
  /** A station was plugged in or out, or the jack was switched on or off. */
  changed?(jack: Jack): void;
  /** Whether a jack that is on and has a station has a carrier; if it is not said, it does. */
  carries?(jack: Jack): boolean;
}

/** The port of a link. */
export class Jack implements Port, Waiter {
  /** For people, and for captures. */
  readonly name: string;
  readonly #owner: JackOwner;
  readonly #observers = new Set<Observer>();
  #waiting = new Set<Waiter>();
  #station: Station | null = null;
  #on = true;
  #up = false;
  #sentFrames = 0;
  #sentBytes = 0;
  #receivedFrames = 0;
  #receivedBytes = 0;
  #droppedFrames = 0;

  /** Links make their own; `owner` is who is told. */
  constructor(owner: JackOwner, name: string) {
    this.#owner = owner;
    this.name = name;
  }

  get up(): boolean {
    return this.#up;
  }

  /** Whether a station is plugged in. */
  get occupied(): boolean {
    return this.#station !== null;
  }

  /** Whether it is switched on. Off is as if the plug was pulled: no carrier, no frames. */
  get on(): boolean {
    return this.#on;
  }

  set on(value: boolean) {
    if (value === this.#on) return;
    this.#on = value;
    this.#change();
  }

  get counters(): PortCounters {
    return {
      sentFrames: this.#sentFrames,
      sentBytes: this.#sentBytes,
      receivedFrames: this.#receivedFrames,
      receivedBytes: this.#receivedBytes,
      droppedFrames: this.#droppedFrames,
    };
  }

  /** Let `observer` see all frames from now on. Returns how to stop that. */
  observe(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  attach(station: Station): void {
    if (this.#station)
      throw new LinkError("EBUSY", `port "${this.name}" has a station; detach that one first`);
    this.#station = station;
    this.#change();
  }

  detach(station: Station): void {
    if (this.#station !== station) return;
    this.#station = null;
    this.#change();
  }

  send(frame: Frame): boolean {
    if (!this.#up) return true;
    if (!this.#owner.forward(frame, this)) return false;
    this.#sentFrames++;
    this.#sentBytes += frame.lengthBytes;
    if (this.#observers.size) this.#show(frame, "sent");
    return true;
  }

  ready(): void {
    if (this.#waiting.size === 0) return;
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const waiter of waiting) waiter.resume();
  }

  /**
   * For links: give a frame to the station. False if it has no room now: then `from` is told when that
   * changes; without a `from`, the frame is lost.
   */
  deliver(frame: Frame, from?: Waiter): boolean {
    if (!this.#up) {
      this.#droppedFrames++;
      return true;
    }
    if (!this.#station!.receive(frame)) {
      if (from) this.#waiting.add(from);
      else this.#droppedFrames++;
      return false;
    }
    this.#receivedFrames++;
    this.#receivedBytes += frame.lengthBytes;
    if (this.#observers.size) this.#show(frame, "received");
    return true;
  }

  /** Tell the station to try again. */
  resume(): void {
    this.#station?.resume();
  }

  /** Whether there is a carrier may have changed. */
  refresh(): void {
    const up = this.#on && this.#station !== null && (this.#owner.carries?.(this) ?? true);
    if (up === this.#up) return;
    this.#up = up;
    this.#station?.carrierChanged();
    if (!up) this.ready();
  }

  #change(): void {
    // The station may be another one than before: who waited for the one before need not any more.
    this.refresh();
    this.ready();
    this.#owner.changed?.(this);
  }

  #show(frame: Frame, direction: Direction): void {
    for (const observer of this.#observers) observer(frame, direction);
  }
}

/**
 * Connect two ports with each other: two switches, a switch and a back end. Returns how to take that
 * away again. A ring of switches is a loop, in which frames go round as in the world outside; what
 * comes back to a link that is just passing it on is dropped.
 *
 * @throws {LinkError} EBUSY if one of them has a station
 */
export function patch(a: Port, b: Port): () => void {
  const across = (to: Port): Station => ({
    receive: (frame) => to.send(frame),
    carrierChanged: () => {},
    // Frames for `to` are taken again: those that come from here.
    resume: () => to.ready(),
  });
  const [left, right] = [across(b), across(a)];
  a.attach(left);
  try {
    b.attach(right);
  } catch (error) {
    a.detach(left);
    throw error;
  }
  return () => {
    a.detach(left);
    b.detach(right);
  };
}
