// liblinux stat: what is known of files of an image.

import { listXattrs } from "../fs/xattr.ts";
import { typeOf } from "./compare.ts";
import { volumeSource } from "./copy-source.ts";
import { formatMode } from "./ls.ts";
import { deviceParts } from "./metadata.ts";
import { kernelChoice, parse, READ_OPTIONS } from "./options.ts";
import { formatTime, printable, write, writeJson } from "./output.ts";
import { eachPlace, images, parsePlaces } from "./places.ts";
import type { Scope } from "./places.ts";

export async function stat(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("stat", args, {
    ...READ_OPTIONS,
    dereference: { type: "boolean", short: "L", default: false },
    json: { type: "boolean", default: false },
  });
  const places = parsePlaces(scope, "stat", positionals);
  const all: Record<string, unknown>[] = [];
  await eachPlace(scope, places, kernelChoice("stat", values), async (volume, { path }) => {
    const { fs, process } = volume;
    const name = values.dereference ? await fs.promises.realpath(path) : path;
    const status = await fs.promises.lstat(name, { bigint: true });
    const type = typeOf(status);
    const { major, minor } = deviceParts(status.rdev);
    const facts = {
      path,
      type,
      ...(type === "symlink" && {
        target: (await volumeSource(volume).target(Buffer.from(name))).toString(),
      }),
      ...(type.endsWith("device") && { device: `${major},${minor}` }),
      size: Number(status.size),
      allocated: Number(status.blocks) * 512,
      inode: Number(status.ino),
      links: Number(status.nlink),
      mode: Number(status.mode & 0o7777n)
        .toString(8)
        .padStart(4, "0"),
      permissions: formatMode(type, Number(status.mode)),
      uid: Number(status.uid),
      gid: Number(status.gid),
      accessed: formatTime(status.atimeNs),
      modified: formatTime(status.mtimeNs),
      changed: formatTime(status.ctimeNs),
      created: formatTime(status.birthtimeNs),
      attributes: await listXattrs(process, name, { follow: false }),
    };
    if (values.json) all.push(facts);
    else await write(textOf(facts));
  });
  if (values.json) await writeJson(all);
  return 0;
}

function textOf(facts: Record<string, unknown>): string {
  const lines = Object.entries(facts).map(([name, value]) => {
    const text = Array.isArray(value) ? value.join(" ") || "-" : String(value);
    return `${`${name}:`.padEnd(12)} ${printable(text)}\n`;
  });
  return `${lines.join("")}\n`;
}
