// liblinux xattr: extended attributes of files of an image.

import { getXattr, readXattrs, removeXattr, setXattr } from "../fs/xattr.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { printable, write, writeJson } from "./output.ts";
import { atPlace, images, parsePlace } from "./places.ts";
import type { Scope } from "./places.ts";

const OPTIONS = {
  ...KERNEL_OPTIONS,
  get: { type: "string" },
  set: { type: "string", multiple: true },
  remove: { type: "string", multiple: true },
  "no-dereference": { type: "boolean", short: "h", default: false },
  json: { type: "boolean", default: false },
} as const;

export async function xattr(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("xattr", args, OPTIONS);
  const [text, ...more] = positionals;
  if (text === undefined || more.length) throw new UsageError("xattr", "of which file?");
  const place = parsePlace(scope, "xattr", text);
  const { set = [], remove = [], get } = values;
  const assignments = set.map(parseAssignment);
  const follow = !values["no-dereference"];
  const changes = set.length + remove.length > 0;
  await scope.withVolume(
    place,
    { ...kernelChoice("xattr", values), write: changes },
    ({ process }) =>
      atPlace(place, async () => {
        const { path } = place;
        for (const [name, value] of assignments)
          await setXattr(process, path, name, value, { follow });
        for (const name of remove) await removeXattr(process, path, name, { follow });
        if (get !== undefined) return write(await getXattr(process, path, get, { follow }));
        if (changes) return;
        const all: Record<string, string> = {};
        for (const [name, value] of await readXattrs(process, path, { follow }))
          all[name] = textOf(value);
        if (values.json) return writeJson(all);
        for (const [name, value] of Object.entries(all))
          await write(`${printable(name)}=${printable(value)}\n`);
      }),
  );
  return 0;
}

/** NAME=VALUE, where VALUE may be 0x and hexadecimal digits. */
function parseAssignment(text: string): [string, Uint8Array] {
  const [, name, value] = /^([^=]+)=([^]*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new UsageError("xattr", `--set ${text}: it is NAME=VALUE, as in user.note=hello`);
  const bytes = /^0x(?:[0-9a-fA-F]{2})*$/.test(value)
    ? Buffer.from(value.slice(2), "hex")
    : Buffer.from(value);
  return [name, bytes];
}

/** A value as it can be given to --set again. */
function textOf(value: Uint8Array): string {
  const text = new TextDecoder().decode(value);
  const same = Buffer.from(text).equals(value) && !text.includes("\0") && !text.startsWith("0x");
  return same ? text : `0x${Buffer.from(value).toString("hex")}`;
}
