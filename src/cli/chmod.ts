// liblinux chmod: permissions of files of an image.

import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { eachPlace, images, parsePlaces } from "./places.ts";
import type { Scope } from "./places.ts";
import { Problems } from "./problems.ts";
import { changedMode } from "./symbolic-mode.ts";
import { eachBelow } from "./tree-walk.ts";

export async function chmod(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("chmod", args, {
    ...KERNEL_OPTIONS,
    recursive: { type: "boolean", short: "R", default: false },
  });
  const [mode, ...texts] = positionals;
  if (mode === undefined) throw new UsageError("chmod", "which mode? e.g. 0644 or u+x");
  const change = changedMode("chmod", mode);
  const places = parsePlaces(scope, "chmod", texts);
  const access = { ...kernelChoice("chmod", values), write: true };
  const problems = new Problems("chmod");
  await eachPlace(scope, places, access, async ({ fs }, place) => {
    const { path } = place;
    const failed = (name: string, error: unknown) => problems.tell(place, name, error);
    const one = async (name: string | Buffer) => {
      const stats = await fs.promises.lstat(name);
      // A symbolic link has no permissions of its own.
      if (stats.isSymbolicLink()) return;
      await fs.promises.chmod(name, change(stats.mode & 0o7777, stats.isDirectory()));
    };
    if (values.recursive) await eachBelow(fs, path, one, failed);
    else {
      const stats = await fs.promises.stat(path);
      await fs.promises.chmod(path, change(stats.mode & 0o7777, stats.isDirectory()));
    }
  });
  return problems.exitCode;
}
