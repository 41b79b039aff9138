// What a command is once it is understood: something to be done in a network, with somewhere to tell of it.

import type { Network } from "../../net/index.ts";
import type { Space, World } from "./world.ts";

/** How the flags before a command want it. */
export interface Flags {
  readonly json: boolean;
  readonly pretty: boolean;
  readonly details: boolean;
  readonly statistics: boolean;
  readonly brief: boolean;
  readonly oneLine: boolean;
  readonly family: "ipv4" | "ipv6" | undefined;
  /** The namespace that is meant; default: that of the network. */
  readonly namespace: string | undefined;
}

export const NO_FLAGS: Flags = {
  json: false,
  pretty: false,
  details: false,
  statistics: false,
  brief: false,
  oneLine: false,
  family: undefined,
  namespace: undefined,
};

/** Where a command is run. */
export interface Context {
  readonly world: World;
  /** The namespace that is meant. */
  readonly space: Space;
  /** Its network. */
  readonly network: Network;
  /** Whether JSON is wanted of all commands. */
  readonly json: boolean;
  /** Aborted when somebody wants the command to end. */
  readonly signal: AbortSignal;
  write(text: string): Promise<void>;
}

/** The same in another namespace. @throws {CommandError} if there is none of this name */
export function within(context: Context, namespace: string | undefined): Context {
  const space = context.world.space(namespace);
  return { ...context, space, network: space.network };
}

/** Settles when it is done. */
export type Command = (context: Context) => Promise<void>;

/**
 * Tell of things: as one array of JSON, or as text.
 *
 * @param json what one is in JSON @param text what one is for people, with its end of line
 */
export async function show<T>(
  context: Context,
  flags: Flags,
  items: readonly T[],
  json: (item: T) => unknown,
  text: (item: T) => string,
): Promise<void> {
  if (!flags.json && !context.json) {
    const lines = items.map(text);
    const joined = flags.oneLine
      ? lines.map((one) => `${one.trimEnd().replaceAll("\n", "\\")}\n`).join("")
      : lines.join("");
    if (joined) await context.write(joined);
    return;
  }
  const values = items.map(json);
  await context.write(`${JSON.stringify(values, null, flags.pretty ? 4 : 0)}\n`);
}
