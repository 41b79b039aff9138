// liblinux chown: owners of files of an image.

import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { eachPlace, images, parsePlaces } from "./places.ts";
import type { Scope } from "./places.ts";
import { Problems } from "./problems.ts";
import { eachBelow } from "./tree-walk.ts";

export async function chown(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("chown", args, {
    ...KERNEL_OPTIONS,
    recursive: { type: "boolean", short: "R", default: false },
    "no-dereference": { type: "boolean", short: "h", default: false },
  });
  const [owner, ...texts] = positionals;
  const [, user, group] = /^(\d*)(?::(\d*))?$/.exec(owner ?? "") ?? [];
  if (owner === undefined || (!user && !group))
    throw new UsageError("chown", "whose? it is UID, UID:GID or :GID, in numbers");
  const places = parsePlaces(scope, "chown", texts);
  const access = { ...kernelChoice("chown", values), write: true };
  // −1 leaves it as it is.
  const [uid, gid] = [user, group].map((id) => (id ? Number(id) : -1));
  const problems = new Problems("chown");
  await eachPlace(scope, places, access, async ({ fs }, place) => {
    const { path } = place;
    const failed = (name: string, error: unknown) => problems.tell(place, name, error);
    const change = (name: Buffer) => fs.promises.lchown(name, uid, gid);
    if (values.recursive) await eachBelow(fs, path, change, failed);
    else if (values["no-dereference"]) await fs.promises.lchown(path, uid, gid);
    else await fs.promises.chown(path, uid, gid);
  });
  return problems.exitCode;
}
