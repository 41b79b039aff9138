// liblinux df: how full the file systems of an image are.

import type { Usage } from "../fs/stat.ts";
import type { Volume } from "../image/index.ts";
import type { Address } from "./address.ts";
import { PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { formatBytes, printable, table, write, writeJson } from "./output.ts";
import { images } from "./places.ts";
import type { Scope } from "./places.ts";
import { mountVolume, openImage } from "./session.ts";

export async function df(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("df", args, {
    ...READ_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const [text = scope.here, ...more] = positionals;
  if (text === null || more.length) throw new UsageError("df", "one image at a time");
  const address = scope.address(text);
  const choice = kernelChoice("df", values);
  const all =
    scope.here === null && address.volume === null
      ? await usages(address, choice)
      : [await usage(scope, address, choice)];
  if (!all.length) throw new PlaceError(address.image, "no volume has a file system that is known");
  if (values.json) {
    await writeJson(
      all.map(({ volume, usage }) => ({
        number: volume.number,
        type: volume.type,
        label: volume.label ?? null,
        total: usage.totalBytes,
        used: usage.usedBytes,
        available: usage.availableBytes,
        files: usage.totalFiles ? { total: usage.totalFiles, used: usage.usedFiles } : null,
      })),
    );
    return 0;
  }
  const header = ["VOLUME", "TYPE", "SIZE", "USED", "AVAILABLE", "USE%", "FILES", "LABEL"];
  const rows = all.map(({ volume, usage }) => [
    volume.number ? String(volume.number) : "whole",
    volume.type ?? "-",
    formatBytes(usage.totalBytes),
    formatBytes(usage.usedBytes),
    formatBytes(usage.availableBytes),
    usage.totalBytes ? `${Math.ceil((100 * usage.usedBytes) / usage.totalBytes)}%` : "-",
    usage.totalFiles ? `${usage.usedFiles} of ${usage.totalFiles}` : "-",
    printable(volume.label ?? "-"),
  ]);
  await write(table([header, ...rows], [2, 3, 4, 5]));
  return 0;
}

interface Used {
  readonly volume: Volume;
  readonly usage: Usage;
}

const usage = (scope: Scope, address: Address, choice: KernelChoice): Promise<Used> =>
  scope.withVolume(address, choice, async (mounted) => ({
    volume: mounted.volume,
    usage: await mounted.usage(),
  }));

/** Of all volumes that have a file system. */
async function usages(address: Address, choice: KernelChoice): Promise<Used[]> {
  await using image = await openImage(address.image, choice);
  const all = [];
  for (const volume of image.volumes.filter(({ content }) => content?.kind === "filesystem")) {
    await using mounted = await mountVolume(volume, address.image, choice);
    all.push({ volume, usage: await mounted.usage() });
  }
  return all;
}
