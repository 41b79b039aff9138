// The words of memory that kernel and host share: struct lkl_board.

import {
  LklBoard,
  LKL_COMMAND_LINE_SIZE,
  LKL_IRQ_TIMER,
  LKL_IRQ_USER,
  LKL_IRQ_VIRTIO,
} from "../abi/host.ts";
import { InvalidOptionError } from "./errors.ts";
import type { Memory } from "./memory.ts";

/** The interrupt lines. */
export const IRQ = { Timer: LKL_IRQ_TIMER, User: LKL_IRQ_USER, Virtio: LKL_IRQ_VIRTIO } as const;
export type IrqLine = (typeof IRQ)[keyof typeof IRQ];

export class Board {
  readonly #memory: Memory;
  readonly #f64: Float64Array;
  #address = 0;
  #deadlineIndex = 0;
  /** Index of the pending interrupts in the memory's 32-bit words. */
  irqIndex = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#f64 = new Float64Array(memory.object.buffer);
  }

  /** @param address where this kernel has it (the export lkl_board) */
  attach(address: number): void {
    this.#address = address;
    this.irqIndex = (address + LklBoard.offsets.irq_pending) >> 2;
    this.#deadlineIndex = (address + LklBoard.offsets.timer_deadline_ns) >> 3;
  }

  /** When the kernel wants to be woken, on its own clock; or Infinity. */
  get deadlineNs(): number {
    return this.#f64[this.#deadlineIndex];
  }

  set deadlineNs(ns: number) {
    this.#f64[this.#deadlineIndex] = ns;
  }

  /** The kernel's command line, to be written before it starts. */
  set commandLine(line: string) {
    const at = this.#address + LklBoard.offsets.command_line;
    this.#memory.u8.set(encodeCommandLine(line), at);
  }
}

/** @throws {InvalidOptionError} if the kernel could not take it */
export function encodeCommandLine(line: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${line}\0`);
  if (bytes.length > LKL_COMMAND_LINE_SIZE)
    throw new InvalidOptionError(
      "commandLine",
      `${bytes.length - 1} bytes, but the kernel takes at most ${LKL_COMMAND_LINE_SIZE - 1}`,
    );
  if (bytes.indexOf(0) !== bytes.length - 1)
    throw new InvalidOptionError("commandLine", "contains a NUL character");
  return bytes;
}
