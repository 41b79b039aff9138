// liblinux cat: files of an image to standard output.

import { readChunks } from "../fs/files.ts";
import { stat } from "../fs/stat.ts";
import type { Process } from "../syscall/process.ts";
import { formatAddress, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { write } from "./output.ts";
import { openImage, openVolume } from "./session.ts";

export async function cat(args: string[]): Promise<number> {
  const { values, positionals } = parse("cat", args, KERNEL_OPTIONS);
  const choice = kernelChoice("cat", values);
  if (!positionals.length) throw new UsageError("cat", "which file?");
  const addresses = positionals.map((text) => {
    const { image, volume, path } = parseAddress(text);
    if (path === null)
      throw new UsageError("cat", `${text}: which file? it is IMAGE[:VOLUME]:/PATH`);
    return { image, volume, path };
  });
  for (const address of addresses) {
    await using image = await openImage(address.image, choice);
    await using volume = await openVolume(image, address);
    await print(volume.process, address);
  }
  return 0;
}

async function print(process: Process, address: Address & { path: string }): Promise<void> {
  const place = formatAddress(address, address.path);
  try {
    const { type } = await stat(process, address.path);
    if (type === "directory")
      throw new PlaceError(place, "EISDIR: is a directory; liblinux ls lists it");
    if (type !== "file")
      throw new PlaceError(place, `is a ${type}, which has no content in an image`);
    for await (const chunk of readChunks(process, address.path)) await write(chunk);
  } catch (error) {
    throw at(place, error);
  }
}
