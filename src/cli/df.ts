// liblinux df: how full the file systems of an image are.

import { parseAddress } from "./address.ts";
import { UsageError } from "./errors.ts";
import { kernelChoice, READ_OPTIONS, parse } from "./options.ts";
import { formatBytes, printable, table, write, writeJson } from "./output.ts";
import { chooseVolume, mountVolume, openImage } from "./session.ts";

export async function df(args: string[]): Promise<number> {
  const { values, positionals } = parse("df", args, {
    ...READ_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const [text, ...more] = positionals;
  if (text === undefined || more.length) throw new UsageError("df", "one image at a time");
  const address = parseAddress(text);
  const choice = kernelChoice("df", values);
  await using image = await openImage(address.image, choice);
  const volumes =
    address.volume === null
      ? image.volumes.filter(({ content }) => content?.kind === "filesystem")
      : [chooseVolume(image, address)];
  const all = [];
  for (const volume of volumes) {
    await using mounted = await mountVolume(volume, address.image, choice);
    all.push({ volume, usage: await mounted.usage() });
  }
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
