// liblinux mkfs: a file system is made in an image, or in a volume of one.

import type { Disk } from "../disk/disk.ts";
import { mkfs as format } from "../format/index.ts";
import type { MkfsOptions } from "../format/index.ts";
import { probe } from "../fs/probe.ts";
import { parseAddress } from "./address.ts";
import { withDisk } from "./disk-file.ts";
import { readerOf, sliceOf, tableOf } from "./disk-probe.ts";
import { PlaceError, UsageError } from "./errors.ts";
import { parse } from "./options.ts";
import { formatBytes, printable, write, writeJson } from "./output.ts";
import { parseSize } from "./places.ts";

const OPTIONS = {
  type: { type: "string", short: "t" },
  size: { type: "string", short: "s" },
  label: { type: "string", short: "L" },
  uuid: { type: "string", short: "U" },
  option: { type: "string", short: "o", multiple: true },
  force: { type: "boolean", short: "f", default: false },
  json: { type: "boolean", default: false },
} as const;

export async function mkfs(args: string[]): Promise<number> {
  const { values, positionals } = parse("mkfs", args, OPTIONS);
  const [text, ...more] = positionals;
  if (text === undefined || more.length) throw new UsageError("mkfs", "in which image?");
  if (values.type === undefined)
    throw new UsageError("mkfs", "which file system? e.g. --type ext4");
  const { image, volume, path } = parseAddress(text);
  if (path !== null)
    throw new UsageError("mkfs", `${text}: an image or a volume is meant, no path in it`);
  if (values.size !== undefined && volume !== null)
    throw new UsageError("mkfs", "--size makes an image, which has no volumes yet");
  const size = values.size === undefined ? undefined : parseSize("mkfs", "--size", values.size);
  const { label, uuid } = values;
  const options = {
    ...optionsOf(values.option ?? []),
    type: values.type,
    ...(label !== undefined && { label }),
    ...(uuid !== undefined && { uuid }),
    // A file that was just made has nothing in it.
    zeroed: size !== undefined,
  } as MkfsOptions;
  const made = await withDisk(image, size, async (disk) => {
    const target = await sliceOf(disk, volume, image);
    if (!values.force) await refuseUsed(target, text);
    return format(target, options);
  });
  if (values.json) await writeJson({ image, volume, ...made });
  else {
    const named = made.label && ` "${printable(made.label)}"`;
    await write(`${text}: ${made.type}${named}, ${formatBytes(made.sizeBytes)}, ${made.uuid}\n`);
  }
  return 0;
}

/** What is there is lost by formatting: that has to be meant. */
async function refuseUsed(disk: Disk, name: string): Promise<void> {
  const content = await probe(readerOf(disk), disk.sizeBytes);
  const table = content ? null : await tableOf(disk);
  const what = content?.title ?? (table && `a ${table.type.toUpperCase()} partition table`);
  if (what)
    throw new PlaceError(name, `has ${what}, which would be lost; --force formats it anyway`);
}

/** `name=value` of the file system's own options: numbers, true, false, or text. */
function optionsOf(texts: readonly string[]): Record<string, unknown> {
  const pairs = texts.map((text): [string, unknown] => {
    const [, name, value] = /^([A-Za-z]\w*)(?:=([^]*))?$/.exec(text) ?? [];
    if (name === undefined)
      throw new UsageError("mkfs", `--option ${text}: it is NAME=VALUE, as in blockBytes=1024`);
    if (value === undefined || value === "true") return [name, true];
    if (value === "false") return [name, false];
    return [name, /^\d+$/.test(value) ? Number(value) : value];
  });
  return Object.fromEntries(pairs);
}
