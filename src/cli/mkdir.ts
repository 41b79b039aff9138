// liblinux mkdir: new directories in an image.

import type { MountedVolume } from "../image/index.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { eachPlace, images, parseMode, parsePlaces } from "./places.ts";
import type { Place, Scope } from "./places.ts";

export async function mkdir(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("mkdir", args, {
    ...KERNEL_OPTIONS,
    parents: { type: "boolean", short: "p", default: false },
    mode: { type: "string", short: "m" },
  });
  const places = parsePlaces(scope, "mkdir", positionals);
  const mode = values.mode === undefined ? 0o777 : parseMode("mkdir", values.mode);
  const access = { ...kernelChoice("mkdir", values), write: true };
  const make = async ({ fs }: MountedVolume, { path }: Place) => {
    await fs.promises.mkdir(path, { recursive: values.parents, mode });
    // The process's umask does not apply to what was asked for.
    if (values.mode !== undefined) await fs.promises.chmod(path, mode);
  };
  await eachPlace(scope, places, access, make, { patterns: false });
  return 0;
}
