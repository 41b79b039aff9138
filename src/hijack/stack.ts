// The kernel's network as the program has it: what sockets of all modules share.

import type { Context } from "../platform/node/sockets/context.ts";
import type { Bypass } from "./bypass.ts";
import type { NodeInternals } from "./native-stream.ts";

/** Something open, which fails when the kernel does. */
export interface Open {
  fail(error: unknown): void;
}

export interface Stack {
  readonly node: NodeInternals;
  readonly context: Context;
  /** What stays with the host. */
  readonly bypass: Bypass;
  readonly handles: Set<Open>;
}
