// liblinux info: what is on an image.

import type { Usage } from "../fs/stat.ts";
import type { Image, Volume } from "../image/index.ts";
import { parseAddress } from "./address.ts";
import { describeError, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { formatBytes, printable, styled, table, write, writeJson } from "./output.ts";
import { mountVolume, openImage } from "./session.ts";

interface Looked {
  readonly volume: Volume;
  readonly usage: Usage | null;
  /** Why it could not be mounted. */
  readonly problem: string | null;
}

export async function info(args: string[]): Promise<number> {
  const { values, positionals } = parse("info", args, {
    ...READ_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const choice = kernelChoice("info", values);
  const [path, ...more] = positionals;
  if (path === undefined) throw new UsageError("info", "which image?");
  if (more.length) throw new UsageError("info", "one image at a time");
  const address = parseAddress(path);
  if (address.volume !== null || address.path !== null)
    throw new UsageError("info", `${path}: an image is meant, without volume or path`);
  await using image = await openImage(address.image, choice);
  const looked: Looked[] = [];
  for (const volume of image.volumes) looked.push(await look(image, volume, address.image, choice));
  if (values.json) await writeJson(await jsonOf(address.image, image, looked));
  else await write(await textOf(address.image, image, looked));
  return 0;
}

async function look(
  image: Image,
  volume: Volume,
  path: string,
  choice: KernelChoice,
): Promise<Looked> {
  if (volume.content?.kind !== "filesystem") return { volume, usage: null, problem: null };
  try {
    await using mounted = await mountVolume(volume, path, choice);
    return { volume, usage: await mounted.usage(), problem: null };
  } catch (error) {
    if (!image.kernel.running) throw error;
    const problem = error instanceof PlaceError ? error.problem : describeError(error);
    return { volume, usage: null, problem };
  }
}

async function jsonOf(path: string, image: Image, looked: readonly Looked[]): Promise<object> {
  const [device] = image.devices;
  const table = await device.table();
  return {
    image: path,
    size: device.sizeBytes,
    sectorSize: device.disk.blockSizeBytes,
    partitionTable: table && {
      type: table.type,
      id: table.id ?? null,
      fromBackup: table.fromBackup,
    },
    volumes: looked.map(({ volume, usage, problem }) => ({
      number: volume.number,
      start: volume.startBytes,
      size: volume.sizeBytes,
      partition: volume.partition?.entry
        ? {
            type: volume.partition.entry.typeId,
            typeName: volume.partition.entry.typeName ?? null,
            name: volume.partition.entry.name ?? null,
            uuid: volume.partition.entry.uuid ?? null,
            bootable: volume.partition.entry.bootable,
          }
        : null,
      content: volume.content
        ? {
            type: volume.content.type,
            kind: volume.content.kind,
            title: volume.content.title,
            label: volume.content.label ?? null,
            uuid: volume.content.uuid ?? null,
            version: volume.content.version ?? null,
            dirty: volume.content.dirty ?? null,
          }
        : null,
      usage: usage && {
        total: usage.totalBytes,
        used: usage.usedBytes,
        available: usage.availableBytes,
        files: usage.totalFiles ? { total: usage.totalFiles, used: usage.usedFiles } : null,
      },
      problem,
    })),
  };
}

async function textOf(path: string, image: Image, looked: readonly Looked[]): Promise<string> {
  const [device] = image.devices;
  const partitions = await device.table();
  const kind = partitions
    ? `${partitions.type.toUpperCase()} partition table${partitions.id ? ` ${partitions.id}` : ""}${partitions.fromBackup ? " (its copy: the first one is damaged)" : ""}`
    : "no partition table";
  const head = `${styled("bold", printable(path))}: ${formatBytes(device.sizeBytes)}, ${kind}\n\n`;
  const header = ["VOLUME", "START", "SIZE", "CONTENT", "LABEL", "UUID", "USED", "PARTITION"];
  const rows = looked.map(({ volume, usage }) => {
    const { number, content, partition } = volume;
    const entry = partition?.entry;
    const about = [entry?.typeName ?? entry?.typeId, entry?.name && `"${entry.name}"`];
    const percent = usage?.totalBytes
      ? `${Math.round((100 * usage.usedBytes) / usage.totalBytes)}% of ${formatBytes(usage.totalBytes)}`
      : "-";
    return [
      number ? String(number) : "whole",
      formatBytes(volume.startBytes),
      formatBytes(volume.sizeBytes),
      content?.title ?? "-",
      printable(content?.label ?? "-"),
      content?.uuid ?? "-",
      usage ? percent : "-",
      printable(about.filter(Boolean).join(" ") || "-"),
    ];
  });
  const problems = looked.flatMap(({ volume, problem }) => {
    const dirty = volume.content?.dirty ? ["was not unmounted: its journal is to be replayed"] : [];
    return [...(problem === null ? [] : [problem]), ...dirty].map(
      (text) => `\nvolume ${volume.number}: ${printable(text)}\n`,
    );
  });
  return head + table([header, ...rows], [1, 2]) + problems.join("");
}
