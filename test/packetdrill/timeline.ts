// The time of a script: a virtual clock that stands still but when the script waits.
//
// Invariants: it begins once, and what happens before has negative times; only one caller at a time lets
// time pass. #before is the event that was handled last.

import type { VirtualClock } from "../../src/index.ts";
import type { Config } from "./config.ts";
import { Mismatch } from "./errors.ts";
import type { EventTime, ScriptEvent } from "./script.ts";

const MS = 1e6;
const SECOND = 1e9;
/** The kernel counts 100 jiffies a second. */
export const JIFFY_NS = 10 * MS;
/** Before a script begins, for what its commands have started. */
const REST_NS = SECOND;
/** Turns of the event loop that something may take while the kernel is idle, before time moves for it. */
const IDLE_TURNS = 4;
/** How long something may take that is not said to take any time. */
const PATIENCE_NS = 60 * SECOND;

/** As scripts have them, in seconds. */
export const seconds = (ns: number): string => (ns / SECOND).toFixed(6);

function isInbound(event: ScriptEvent): boolean {
  return event.kind === "packet" && event.direction === "inbound";
}

export class Timeline {
  readonly #clock: VirtualClock;
  readonly #config: Config;
  #startNs = 0;
  #before: { readonly event: ScriptEvent; readonly atNs: number } | undefined;
  /** By how much something was too early or too late, at most. */
  deviationNs = 0;

  constructor(clock: VirtualClock, config: Config) {
    this.#clock = clock;
    this.#config = config;
  }

  /** Since the script began. */
  get nowNs(): number {
    return this.since(this.#clock.nowNs());
  }

  /** A time of the clock, since the script began. */
  since(clockNs: number): number {
    return clockNs - this.#startNs;
  }

  /** When the script began, as the kernel's clock shows the time of day. */
  get startWallNs(): number {
    return this.#clock.wallNs() - this.nowNs;
  }

  /** The script begins, at this moment of a jiffy. */
  async begin(inJiffyNs: number): Promise<void> {
    await this.#clock.advance(REST_NS);
    const phase = this.#clock.nowNs() % JIFFY_NS;
    await this.#clock.advance((JIFFY_NS + inJiffyNs - phase) % JIFFY_NS);
    this.#startNs = this.#clock.nowNs();
  }

  /** Let the kernel do what it can do now. */
  idle(): Promise<void> {
    return this.#clock.runUntilIdle();
  }

  /** Let time pass until then; not at all if it is past. */
  passUntil(ns: number): Promise<void> {
    return this.#clock.advance(Math.max(0, ns - this.nowNs));
  }

  /** Let time pass until the kernel's next timer, but no further. */
  passToTimer(limitNs: number): Promise<void> {
    return this.passUntil(Math.min(this.since(this.#clock.nextDeadlineNs), limitNs));
  }

  /** Wait for something that the kernel does; time passes only if it must. @throws {Mismatch} */
  async settle<T>(work: Promise<T>, limitNs = PATIENCE_NS): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    work.then(settle, settle);
    const end = this.nowNs + limitNs;
    while (!settled) {
      for (let turn = 0; turn < IDLE_TURNS && !settled; turn++) await this.idle();
      if (settled) break;
      if (this.nowNs >= end) throw new Mismatch(`blocked for ${seconds(limitNs)} sec`);
      await this.passToTimer(end);
    }
    return work;
  }

  /** When an event is to be. @throws {Mismatch} if that is before the one before */
  due(event: ScriptEvent): number {
    const { time } = event;
    const before = this.#before;
    if (time.kind === "any") return this.nowNs;
    if (time.kind === "relative")
      // Packets that follow packets go by when those were to be.
      return (
        (before && isInbound(before.event) && isInbound(event) ? before.atNs : this.nowNs) + time.ns
      );
    if (before?.event.time.kind === "absolute" && time.ns < before.atNs)
      throw new Mismatch("time goes backward in script");
    return time.ns;
  }

  /** An event is over that was to be then. */
  passed(event: ScriptEvent, atNs: number): void {
    this.#before = { event, atNs };
  }

  /** How far off something may be. */
  toleranceNs(expectedNs: number): number {
    const { toleranceNs, tolerancePercent } = this.#config;
    const since = expectedNs - (this.#before?.atNs ?? expectedNs);
    return Math.max(toleranceNs, (tolerancePercent / 100) * since);
  }

  /** @throws {Mismatch} if something happened too early or too late */
  check(what: string, time: EventTime, expectedNs: number, actualNs: number): void {
    if (time.kind === "any") return;
    const tolerance = this.toleranceNs(expectedNs);
    const range = rangeOf(time);
    const early = expectedNs - actualNs;
    const late = actualNs - expectedNs - range;
    this.deviationNs = Math.max(this.deviationNs, early, late);
    if (early <= tolerance && late <= tolerance) return;
    const expected = range
      ? `in time range ${seconds(expectedNs)}~${seconds(expectedNs + range)} sec`
      : `at ${seconds(expectedNs)} sec`;
    throw new Mismatch(
      `timing error: expected ${what} ${expected} but happened at ${seconds(actualNs)} sec; ` +
        `tolerance ${seconds(tolerance)} sec`,
    );
  }
}

/** How long the time is within which something may happen. */
export function rangeOf(time: EventTime): number {
  return time.kind === "any" || time.endNs === undefined ? 0 : time.endNs - time.ns;
}
