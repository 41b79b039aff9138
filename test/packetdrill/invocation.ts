// What a command is given, and what it gives back.

import type { Network } from "../../src/net/index.ts";
import type { Process } from "../../src/syscall/process.ts";

/** What a command gives back. */
export interface Outcome {
  readonly status: number;
  readonly output: string;
  /** What it complains of. */
  readonly errors: string;
}

/** Where commands run. */
export interface ShellContext {
  readonly process: Process;
  readonly network: Network;
  /** The folder of the script, on the host: what "./defaults.sh" is in. */
  readonly folder: string;
  readonly variables: Map<string, string>;
}

/** What a command is given. */
export interface Invocation extends ShellContext {
  readonly args: readonly string[];
  readonly input: string;
}
