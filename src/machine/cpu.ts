// The one CPU: interrupts, idle, and the time it spends in user mode.
//
// Invariants: when JavaScript runs and the kernel does not, the CPU is in one of three
// pauses: idle (the idle task suspended), user (a task in user mode suspended, see
// user.ts), or yield (any task, for one turn of the event loop). At most one of idle and
// user is open, and only an interrupt or a call ends it. An interrupt is a bit in memory
// that the kernel takes when it likes; raising one while the CPU is idle or in user mode
// also ends that pause.

import { IRQ, type IrqLine, type Board } from "./board.ts";
import type { Clock, ClockTimer } from "./clock.ts";
import type { Memory } from "./memory.ts";
import { UNWIND } from "./threads.ts";
import { turn } from "./turn.ts";

/** A busy kernel lets the event loop turn this often. */
const BUSY_SLICE_MS = 8;
/** While it boots, less often: what a page still counts as prompt, and mostly enough to boot. */
const BOOT_SLICE_MS = 50;

interface Pause {
  resolve: () => void;
  reject: (why: Error) => void;
}

/** How often the CPU goes on before the clock is looked at, which costs as much as a small call. */
const RESUMES_PER_LOOK = 16;

export class Cpu {
  readonly clock: Clock;
  readonly #memory: Memory;
  readonly #board: Board;
  readonly #timer: ClockTimer;
  readonly #originNs: number;
  #idle: Pause | null = null;
  #yielding: Pause | null = null;
  #turnedAt = performance.now();
  #sliceMs = BOOT_SLICE_MS;
  #dead = false;
  #resumes = 0;
  /** How many calls are in the kernel: they hold the process as long as a timer runs. */
  inFlight = 0;
  /** Ends the pause of a task in user mode, if there is one. */
  interruptUser: (() => void) | null = null;
  idles = 0;
  /** Whether the timer rang since the CPU went to user mode. */
  timerRang = false;

  constructor(memory: Memory, board: Board, clock: Clock) {
    this.clock = clock;
    this.#memory = memory;
    this.#board = board;
    this.#originNs = clock.nowNs();
    this.#timer = clock.timer(() => {
      this.timerRang = true;
      this.raise(IRQ.Timer);
    });
  }

  /** Time since the machine was switched on. */
  readonly nowNs = (): number => this.clock.nowNs() - this.#originNs;

  /** Raise an interrupt, at any time. */
  raise(line: IrqLine): void {
    this.mark(line);
    if (this.#idle) {
      const { resolve } = this.#idle;
      this.#idle = null;
      this.#timer.resume();
      resolve();
    } else if (this.interruptUser) this.interruptUser();
  }

  /** Raise an interrupt for a CPU that is about to look. */
  mark(line: IrqLine): void {
    Atomics.or(this.#memory.i32, this.#board.irqIndex, 1 << line);
  }

  get interruptPending(): boolean {
    return Atomics.load(this.#memory.i32, this.#board.irqIndex) !== 0;
  }

  /** The CPU pauses: from here on the clock's timer counts. */
  pause(): void {
    const deadline = this.#board.deadlineNs;
    this.#timer.pause(deadline + this.#originNs, this.inFlight > 0);
  }

  resume(): void {
    this.#timer.resume();
    // An application that only awaits calls does not let the clock's timer ring.
    if (++this.#resumes % RESUMES_PER_LOOK === 0 && this.clock.real) this.#look();
  }

  readonly idle = (): Promise<void> | undefined => {
    if (this.#dead) return Promise.reject(UNWIND);
    if (this.interruptPending) return undefined;
    this.idles++;
    return new Promise((resolve, reject) => {
      this.#idle = { resolve, reject };
      this.pause();
    });
  };

  readonly yield = (): Promise<void> => {
    if (this.#dead) return Promise.reject(UNWIND);
    return new Promise((resolve, reject) => {
      this.#yielding = { resolve, reject };
      turn(() => {
        this.#turnedAt = performance.now();
        this.#yielding = null;
        resolve();
      });
    });
  };

  readonly poll = (spinning: number): number => {
    if (this.#dead) throw UNWIND;
    if (spinning) this.clock.spin();
    this.#look();
    return performance.now() - this.#turnedAt > this.#sliceMs ? 1 : 0;
  };

  /** Look at the clock: raise the timer's interrupt if it is due. */
  #look(): void {
    if (this.nowNs() < this.#board.deadlineNs) return;
    this.#board.deadlineNs = Infinity;
    this.mark(IRQ.Timer);
  }

  /** The kernel has booted: from now on the application's event loop comes first. */
  booted(): void {
    this.#sliceMs = BUSY_SLICE_MS;
  }

  /** Nothing runs on this CPU any more: unwind what is suspended in it. */
  stop(): void {
    this.#dead = true;
    this.#timer.cancel();
    this.#idle?.reject(UNWIND);
    this.#yielding?.reject(UNWIND);
    this.#idle = this.#yielding = null;
  }
}
