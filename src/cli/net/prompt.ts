// liblinux net on a terminal.

import type { Context } from "./command.ts";
import type { World } from "./world.ts";

export async function converse(
  world: World,
  context: (signal: AbortSignal) => Context,
): Promise<number> {
  void world;
  void context;
  return 0;
}
