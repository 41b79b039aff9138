// The kernel's network as the program has it: what sockets of all modules share.

import type { Context } from "../platform/node/sockets/context.ts";
import type { Bypass } from "./bypass.ts";
import type { Activity } from "./ending.ts";
import type { NodeInternals } from "./native-stream.ts";

/** A socket that is open. */
export interface Open {
  /** The kernel failed. */
  fail(error: unknown): void;
  /** The program has ended, and hears of it no more. */
  end(): void;
}

export interface Stack {
  readonly node: NodeInternals;
  readonly context: Context;
  /** What stays with the host. */
  readonly bypass: Bypass;
  readonly handles: Set<Open>;
  readonly activity: Activity;
}
