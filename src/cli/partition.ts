// liblinux partition: a partition table is written to an image.

import type { Disk } from "../disk/disk.ts";
import { partition as writeTable } from "../format/index.ts";
import type { PartitionSpec } from "../format/index.ts";
import { probe } from "../fs/probe.ts";
import { withDisk } from "./disk-file.ts";
import { readerOf, tableOf } from "./disk-probe.ts";
import { PlaceError, UsageError } from "./errors.ts";
import { parse } from "./options.ts";
import { formatBytes, table as columns, write, writeJson } from "./output.ts";
import { parseSize } from "./places.ts";

const OPTIONS = {
  table: { type: "string", default: "gpt" },
  size: { type: "string", short: "s" },
  force: { type: "boolean", short: "f", default: false },
  json: { type: "boolean", default: false },
} as const;

export async function partition(args: string[]): Promise<number> {
  const { values, positionals } = parse("partition", args, OPTIONS);
  const [image, ...texts] = positionals;
  if (image === undefined) throw new UsageError("partition", "which image?");
  if (!texts.length)
    throw new UsageError("partition", "which partitions? e.g. 256M:esp:boot rest:linux:root");
  const { table } = values;
  if (table !== "gpt" && table !== "mbr")
    throw new UsageError("partition", `--table ${table}: it is gpt or mbr`);
  const partitions = texts.map(parseSpec);
  const size =
    values.size === undefined ? undefined : parseSize("partition", "--size", values.size);
  const made = await withDisk(image, size, async (disk) => {
    if (!values.force) await refuseUsed(disk, image);
    return writeTable(disk, { table, partitions });
  });
  if (values.json) await writeJson({ image, ...made });
  else {
    const rows = made.partitions.map(({ number, startBytes, sizeBytes, typeId, uuid }) => [
      String(number),
      formatBytes(startBytes),
      formatBytes(sizeBytes),
      typeId,
      uuid,
    ]);
    await write(columns([["VOLUME", "START", "SIZE", "TYPE", "UUID"], ...rows], [1, 2]));
  }
  return 0;
}

/** SIZE[:TYPE[:NAME]], and a "*" after it for the active one. */
function parseSpec(text: string): PartitionSpec {
  const bootable = text.endsWith("*");
  const [size = "", type, ...name] = text.slice(0, bootable ? -1 : undefined).split(":");
  return {
    sizeBytes: size === "rest" || size === "" ? "rest" : parseSize("partition", text, size),
    ...(type && { type }),
    ...(name.length && { name: name.join(":") }),
    bootable,
  };
}

async function refuseUsed(disk: Disk, name: string): Promise<void> {
  const table = await tableOf(disk);
  const content = await probe(readerOf(disk), disk.sizeBytes);
  const what = table ? `a ${table.type.toUpperCase()} partition table` : content?.title;
  if (what)
    throw new PlaceError(name, `has ${what}, which would be lost; --force partitions it anyway`);
}
