// liblinux mv: another name for a file of an image, or another directory.

import { posix } from "node:path";

import type { MountedVolume } from "../image/index.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { eachPlace, images, parsePlaces } from "./places.ts";
import type { Scope } from "./places.ts";

export async function mv(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("mv", args, KERNEL_OPTIONS);
  const last = positionals.pop();
  if (last === undefined || !positionals.length)
    throw new UsageError("mv", "from where to where? it is IMAGE[:VOLUME]:/PATH... /TARGET");
  const target = scope.path(last);
  if (!target.startsWith("/"))
    throw new UsageError("mv", `${target}: the target is a path in the same volume`);
  const places = parsePlaces(scope, "mv", positionals);
  const access = { ...kernelChoice("mv", values), write: true };
  await eachPlace(scope, places, access, async ({ fs }, { path }) => {
    const into = await isDirectory(fs, target);
    await fs.promises.rename(path, into ? posix.join(target, posix.basename(path)) : target);
  });
  return 0;
}

async function isDirectory(fs: MountedVolume["fs"], path: string): Promise<boolean> {
  try {
    return (await fs.promises.stat(path)).isDirectory();
  } catch {
    return false;
  }
}
