// liblinux resize: an image, its partition and the file system in it get another size.

import { SECTOR_BYTES } from "../disk/disk.ts";
import { partition } from "../format/index.ts";
import type { TableEntry } from "../fs/partitions.ts";
import { FileDisk } from "../platform/node/file-disk.ts";
import { parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { tableOf } from "./disk-probe.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { formatBytes, write, writeJson } from "./output.ts";
import { images, parseSize } from "./places.ts";

const MIB = 1 << 20;

export async function resize(args: string[]): Promise<number> {
  const { values, positionals } = parse("resize", args, {
    ...KERNEL_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const [text, size, ...more] = positionals;
  if (text === undefined || size === undefined || more.length)
    throw new UsageError("resize", "which image, and how large? e.g. disk.img 4G, or +1G");
  const address = parseAddress(text);
  if (address.path !== null)
    throw new UsageError("resize", `${text}: an image or a volume is meant, no path in it`);
  const choice = kernelChoice("resize", values);
  const relative = size.startsWith("+");
  const bytes = parseSize("resize", "SIZE", relative ? size.slice(1) : size);
  const usage = await resizeImage(address, choice, (now) => (relative ? now + bytes : bytes));
  if (values.json) await writeJson({ image: address.image, ...usage });
  else
    await write(
      `${text}: the image has ${formatBytes(usage.imageBytes)}, its file system ${formatBytes(usage.totalBytes)}\n`,
    );
  return 0;
}

interface Sizes {
  readonly imageBytes: number;
  readonly totalBytes: number;
}

async function resizeImage(
  address: Address,
  choice: KernelChoice,
  wanted: (now: number) => number,
): Promise<Sizes> {
  const { image } = address;
  using disk = new FileDisk(image);
  const before = disk.sizeBytes;
  const imageBytes = Math.floor(wanted(before) / SECTOR_BYTES) * SECTOR_BYTES;
  if (imageBytes < before) return await shrink(disk, address, choice, imageBytes);
  disk.resize(imageBytes);
  try {
    await growTable(disk, address);
    disk.flush();
    const totalBytes = await images.withVolume(
      address,
      { ...choice, write: true },
      async (volume) => {
        await volume.resize("device");
        return (await volume.usage()).totalBytes;
      },
    );
    return { imageBytes, totalBytes };
  } catch (error) {
    throw at(image, error);
  }
}

/** The file system first; then what it does not use any more is cut off. */
async function shrink(
  disk: FileDisk,
  address: Address,
  choice: KernelChoice,
  imageBytes: number,
): Promise<Sizes> {
  if (await tableOf(disk))
    throw new PlaceError(address.image, "has partitions: it can only become larger");
  const totalBytes = await images.withVolume(
    address,
    { ...choice, write: true },
    async (volume) => {
      await volume.resize(imageBytes);
      return (await volume.usage()).totalBytes;
    },
  );
  disk.resize(imageBytes);
  return { imageBytes, totalBytes };
}

/** Gives the volume that is meant, the last one, all that is after it. */
async function growTable(disk: FileDisk, { image, volume }: Address): Promise<void> {
  const table = await tableOf(disk);
  if (!table) return;
  const last = table.entries.reduce((a, b) => (a.startBytes > b.startBytes ? a : b));
  const number = volume ?? (table.entries.length === 1 ? last.number : null);
  if (number === null)
    throw new PlaceError(image, `which volume? the last one can grow: ${image}:${last.number}`);
  if (number !== last.number)
    throw new PlaceError(`${image}:${number}`, `cannot grow: ${last.number} is after it`);
  if (table.type === "mbr" && table.entries.some((entry) => entry.number > 4))
    throw new PlaceError(image, "has logical partitions, whose table cannot be changed yet");
  const consecutive = table.entries.every((entry, i) => entry.number === i + 1);
  if (!consecutive)
    throw new PlaceError(image, "has gaps in its partitions' numbers: it cannot be changed yet");
  await partition(disk, {
    table: table.type,
    ...(table.id !== undefined && { id: table.id }),
    alignmentBytes: MIB,
    keepBootCode: true,
    partitions: table.entries.map((entry) => specOf(entry, entry.number === number)),
  });
}

function specOf(entry: TableEntry, grows: boolean) {
  return {
    startBytes: entry.startBytes,
    sizeBytes: grows ? ("rest" as const) : entry.sizeBytes,
    type: entry.typeId,
    bootable: entry.bootable,
    ...(entry.name !== undefined && { name: entry.name }),
    ...(entry.uuid !== undefined && { uuid: entry.uuid }),
  };
}
