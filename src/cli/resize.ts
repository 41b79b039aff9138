// liblinux resize: an image, its partition and the file system in it get another size.

import { SECTOR_BYTES } from "../disk/disk.ts";
import { DiskError } from "../disk/errors.ts";
import { ResizeError } from "../fs/resize.ts";
import { parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { formatBytes, write, writeJson } from "./output.ts";
import { images, parseSize } from "./places.ts";

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
  return images.withVolume(address, { ...choice, write: true }, async (volume) => {
    const { device, number } = volume.volume;
    const imageBytes = Math.floor(wanted(device.sizeBytes) / SECTOR_BYTES) * SECTOR_BYTES;
    const place = formatVolume(address, number);
    try {
      if (imageBytes >= device.sizeBytes) {
        await volume.growDisk(imageBytes);
        return { imageBytes, totalBytes: (await volume.usage()).totalBytes };
      }
      if (number) throw new PlaceError(image, "has partitions: it can only become larger");
      // The file system first; then what it does not use any more is cut off.
      await volume.resize(imageBytes);
      const { totalBytes } = await volume.usage();
      await volume.unmount();
      await device.disk.resize?.(imageBytes);
      return { imageBytes, totalBytes };
    } catch (error) {
      if (error instanceof ResizeError || error instanceof DiskError)
        throw new PlaceError(place, withoutPath(error, image, volume.mount.target), error);
      throw at(place, error);
    }
  });
}

const formatVolume = ({ image }: Address, number: number) =>
  number ? `${image}:${number}` : image;

/** What went wrong, without what the kernel calls the place. */
function withoutPath({ message }: Error, ...paths: readonly string[]): string {
  return paths.reduce((text, path) => text.replace(`${path}: `, ""), message);
}
