// Time as the kernel sees it: the wall clock, or one that the application owns.

import { setHold } from "./hold.ts";
import { turn } from "./turn.ts";

/** A machine's one-shot timer. */
export interface ClockTimer {
  /**
   * The machine pauses: call back at `deadlineNs` (on {@link Clock.nowNs}; Infinity: never).
   * @param holds whether the process should stay alive for it
   */
  pause(deadlineNs: number, holds: boolean): void;
  /** The machine goes on. */
  resume(): void;
  /** Never call back again. */
  cancel(): void;
}

/** Where a machine takes its time from. Several may share one. */
export interface Clock {
  /** Nanoseconds since some fixed moment; never goes back. */
  nowNs(): number;
  /** Nanoseconds since 1970 (UTC). */
  wallNs(): number;
  /** Let `ns` pass, without returning to the event loop. */
  delay(ns: number): void;
  /** The kernel waits in a loop for time to pass. */
  spin(): void;
  /** Whether time passes by itself. If not, a machine without work sleeps at once. */
  readonly real: boolean;
  timer(expired: () => void): ClockTimer;
  /**
   * Await `work`, which may need time to pass even if nobody advances the clock:
   * a machine that starts or stops.
   */
  drive<T>(work: Promise<T>): Promise<T>;
}

const MS = 1e6;
/** Timers of JavaScript count whole milliseconds: what is nearer is waited for in turns. */
const NEAR_NS = 1.2 * MS;

type Timeout = ReturnType<typeof setTimeout>;

/**
 * Sets a timeout only when the machine pauses with a deadline before the one that is set
 * already: a machine that runs and pauses all the time hardly ever touches it.
 */
class WallTimer implements ClockTimer {
  readonly #clock: WallClock;
  readonly #expired: () => void;
  #deadline = Infinity;
  #timeout: Timeout | undefined;
  #timeoutAt = Infinity;
  #holds = true;
  #turning = false;
  #cancelled = false;

  constructor(clock: WallClock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  pause(deadlineNs: number, holds: boolean): void {
    this.#deadline = deadlineNs;
    if (deadlineNs < this.#timeoutAt) this.#set(holds);
    else if (this.#timeout !== undefined && holds !== this.#holds) {
      this.#holds = holds;
      setHold(this.#timeout, holds);
    }
  }

  #set(holds: boolean): void {
    const left = this.#deadline - this.#clock.nowNs();
    if (left < NEAR_NS) {
      if (this.#turning) return;
      this.#turning = true;
      turn(this.#turned);
      return;
    }
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
    this.#timeoutAt = this.#deadline;
    this.#holds = holds;
    this.#timeout = setTimeout(this.#rang, Math.min((left - NEAR_NS) / MS + 1, 0x7fffffff));
    if (!holds) setHold(this.#timeout, false);
  }

  readonly #turned = (): void => {
    this.#turning = false;
    this.#check(true);
  };

  readonly #rang = (): void => {
    this.#timeout = undefined;
    this.#timeoutAt = Infinity;
    this.#check(this.#holds);
  };

  #check(holds: boolean): void {
    if (this.#cancelled || this.#deadline === Infinity) return;
    if (this.#clock.nowNs() >= this.#deadline) {
      this.#deadline = Infinity;
      this.#expired();
    } else if (this.#deadline < this.#timeoutAt) this.#set(holds);
  }

  resume(): void {
    this.#deadline = Infinity;
  }

  cancel(): void {
    this.#cancelled = true;
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
  }
}

/** The time of the world outside. */
export class WallClock implements Clock {
  readonly real = true;

  nowNs(): number {
    return performance.now() * MS;
  }

  wallNs(): number {
    // Not performance.timeOrigin, which does not follow corrections of the system's clock.
    return Date.now() * MS;
  }

  delay(ns: number): void {
    const end = this.nowNs() + ns;
    while (this.nowNs() < end);
  }

  spin(): void {}

  timer(expired: () => void): ClockTimer {
    return new WallTimer(this, expired);
  }

  drive<T>(work: Promise<T>): Promise<T> {
    return work;
  }
}

/** What a busy-waiting kernel's look at a virtual clock costs. */
const SPIN_NS = 1000;

class VirtualTimer implements ClockTimer {
  readonly #clock: VirtualClock;
  readonly expired: () => void;
  deadlineNs = Infinity;

  constructor(clock: VirtualClock, expired: () => void) {
    this.#clock = clock;
    this.expired = expired;
  }

  pause(deadlineNs: number): void {
    this.deadlineNs = deadlineNs;
    this.#clock.paused(this);
  }

  resume(): void {
    this.#clock.resumed(this);
  }

  cancel(): void {
    this.#clock.cancelled(this);
  }
}

/**
 * A clock that stands still until it is told to move. Machines that share it run in the
 * order of their events; with the same seed and the same calls, every run is the same.
 *
 * Invariants: a timer is running (in #running), paused (in #paused), or forgotten. Time moves
 * only while none is running, but for the delays that the kernel itself spends.
 */
export class VirtualClock implements Clock {
  readonly real = false;
  #now = 0;
  readonly #epochNs: number;
  readonly #running = new Set<VirtualTimer>();
  readonly #paused = new Set<VirtualTimer>();
  #idle: (() => void)[] = [];
  #moving: Promise<void> = Promise.resolve();

  /** @param options.epochMs what the time of day is at the start, in ms since 1970 */
  constructor(options: { epochMs?: number } = {}) {
    this.#epochNs = (options.epochMs ?? 0) * MS;
  }

  nowNs(): number {
    return this.#now;
  }

  wallNs(): number {
    return this.#epochNs + this.#now;
  }

  delay(ns: number): void {
    this.#now += ns;
  }

  spin(): void {
    this.#now += SPIN_NS;
  }

  timer(expired: () => void): ClockTimer {
    const timer = new VirtualTimer(this, expired);
    this.#running.add(timer);
    return timer;
  }

  /** Settles when every machine on this clock waits for time to pass or for input. */
  async whenIdle(): Promise<void> {
    for (;;) {
      // Calls that were just answered may lead to the next ones: let them.
      await new Promise<void>((resolve) => turn(resolve));
      if (!this.#running.size) return;
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** When the next timer of any machine is due, or Infinity. */
  get nextDeadlineNs(): number {
    let next = Infinity;
    for (const timer of this.#paused) if (timer.deadlineNs < next) next = timer.deadlineNs;
    return next;
  }

  /**
   * Move time on by `ns`, stopping at each timer that falls due and letting the machines
   * finish what it starts. Concurrent calls are carried out one after the other.
   */
  advance(ns: number): Promise<void> {
    if (!(ns >= 0)) throw new RangeError(`time can advance by 0 ns or more, not by ${ns}`);
    return this.#move(async () => {
      const end = this.#now + ns;
      for (;;) {
        await this.whenIdle();
        if (!this.#fireNext(end)) break;
      }
      this.#now = Math.max(this.#now, end);
    });
  }

  /**
   * Let the machines work until none has anything to do, without moving time further than
   * the timers that are due by `untilNs` (default: now).
   */
  runUntilIdle(untilNs = this.#now): Promise<void> {
    return this.advance(Math.max(0, untilNs - this.#now));
  }

  drive<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => {
      settled = true;
      this.#wakeWaiters();
    };
    work.then(done, done);
    // Not awaited: what is driven may itself drive, and would wait for its turn to move time.
    void this.#move(async () => {
      while (!settled) {
        await this.whenIdle();
        // Nothing is due: only input from outside can help.
        if (!settled && !this.#fireNext(Infinity))
          await new Promise<void>((resolve) => turn(resolve));
      }
    });
    return work;
  }

  #move(body: () => Promise<void>): Promise<void> {
    const moved = this.#moving.then(body);
    this.#moving = moved.catch(() => {});
    return moved;
  }

  #fireNext(limitNs: number): boolean {
    let next: VirtualTimer | undefined;
    for (const timer of this.#paused)
      if (timer.deadlineNs <= limitNs && (!next || timer.deadlineNs < next.deadlineNs))
        next = timer;
    if (!next || next.deadlineNs === Infinity) return false;
    this.#now = Math.max(this.#now, next.deadlineNs);
    next.deadlineNs = Infinity;
    next.expired();
    return true;
  }

  #wakeWaiters(): void {
    const waiters = this.#idle;
    this.#idle = [];
    for (const resolve of waiters) resolve();
  }

  /** @internal */
  paused(timer: VirtualTimer): void {
    this.#running.delete(timer);
    this.#paused.add(timer);
    if (!this.#running.size) this.#wakeWaiters();
  }

  /** @internal */
  resumed(timer: VirtualTimer): void {
    this.#paused.delete(timer);
    this.#running.add(timer);
  }

  /** @internal */
  cancelled(timer: VirtualTimer): void {
    this.#paused.delete(timer);
    this.#running.delete(timer);
    if (!this.#running.size) this.#wakeWaiters();
  }
}
