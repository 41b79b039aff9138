// Options, as node:util parses them, and those that several verbs have.

import { parseArgs } from "node:util";
import type { ParseArgsOptionsConfig } from "node:util";

import type { Profile } from "../platform/image.ts";
import { UsageError } from "./errors.ts";

/** The kernel that a verb boots. */
export interface KernelChoice {
  /** Null: the smallest that will do. */
  readonly profile: Profile | null;
  readonly memoryMiB: number;
  /** Keep in memory what is written, such as a journal's replay: the image stays as it is. */
  readonly replay?: boolean;
}

export const KERNEL_OPTIONS = {
  profile: { type: "string" },
  memory: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

/** Of verbs that only read. */
export const READ_OPTIONS = {
  ...KERNEL_OPTIONS,
  replay: { type: "boolean", default: false },
  overlay: { type: "boolean", default: false },
} as const satisfies ParseArgsOptionsConfig;

/** Of verbs that may take long. */
export const PROGRESS_OPTIONS = {
  quiet: { type: "boolean", short: "q", default: false },
  progress: { type: "boolean", default: false },
} as const satisfies ParseArgsOptionsConfig;

/** On a terminal, unless somebody wants it otherwise. */
export function showsProgress(values: {
  readonly quiet: boolean;
  readonly progress: boolean;
  readonly json?: boolean;
}): boolean {
  return values.progress || (process.stderr.isTTY && !values.quiet && !values.json);
}

const DEFAULT_MEMORY_MIB = 128;

/** parseArgs, with what it throws as a usage error. */
export function parse<T extends ParseArgsOptionsConfig>(verb: string, args: string[], options: T) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    const [sentence = ""] = (error as Error).message.split(/\.(?:\s|$)/);
    throw new UsageError(verb, `${sentence[0]?.toLowerCase() ?? ""}${sentence.slice(1)}`);
  }
}

export function kernelChoice(
  verb: string,
  values: {
    profile?: string | undefined;
    memory?: string | undefined;
    replay?: boolean;
    overlay?: boolean;
  },
  profiles: readonly Profile[] = ["fs", "full"],
): KernelChoice {
  const { profile, memory } = values;
  const replay = (values.replay ?? false) || (values.overlay ?? false);
  const found = profiles.find((name) => name === profile);
  if (profile !== undefined && !found)
    throw new UsageError(verb, `--profile ${profile}: it is ${profiles.join(" or ")}`);
  const memoryMiB = memory === undefined ? DEFAULT_MEMORY_MIB : Number(memory);
  if (!Number.isInteger(memoryMiB) || memoryMiB < 16 || memoryMiB > 3584)
    throw new UsageError(verb, `--memory ${memory}: it is a number of MiB from 16 to 3584`);
  return { profile: found ?? null, memoryMiB, replay };
}
