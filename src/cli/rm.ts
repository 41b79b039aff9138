// liblinux rm: files and directories of an image are removed.

import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { eachPlace, images, parsePlaces } from "./places.ts";
import type { Scope } from "./places.ts";

export async function rm(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("rm", args, {
    ...KERNEL_OPTIONS,
    recursive: { type: "boolean", short: "r", default: false },
    force: { type: "boolean", short: "f", default: false },
  });
  const places = parsePlaces(scope, "rm", positionals);
  const { recursive, force } = values;
  if (places.some(({ path }) => /^[/.]*$/.test(path)))
    throw new UsageError("rm", "the root directory cannot be removed");
  const access = { ...kernelChoice("rm", values), write: true };
  await eachPlace(scope, places, access, ({ fs }, { path }) =>
    fs.promises.rm(path, { recursive, force }),
  );
  return 0;
}
