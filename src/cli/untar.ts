// liblinux untar: a tar archive into a directory of an image.

import { createFs } from "../fs/facade/index.ts";
import type { MountedVolume } from "../image/index.ts";
import type { Kernel } from "../kernel.ts";
import { formatAddress } from "./address.ts";
import { parseOwner } from "./cp-in.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { Extractor } from "./extract.ts";
import type { Files } from "./metadata.ts";
import { kernelChoice, KERNEL_OPTIONS, parse, PROGRESS_OPTIONS, showsProgress } from "./options.ts";
import { printable, writeJson } from "./output.ts";
import { atPlace, images, parsePlace } from "./places.ts";
import type { Place, Scope } from "./places.ts";
import { Progress } from "./progress.ts";
import { archiveBytes, archiveFrom } from "./tar/archive-in.ts";
import { TarError } from "./tar/entry.ts";

export async function untar(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("untar", args, {
    ...KERNEL_OPTIONS,
    owner: { type: "string" },
    strip: { type: "string", default: "0" },
    ...PROGRESS_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const [file, text, ...more] = positionals;
  if (file === undefined)
    throw new UsageError("untar", "which archive? it is a file, or - for standard input");
  if (text === undefined)
    throw new UsageError("untar", "into which directory? it is IMAGE[:VOLUME]:/PATH");
  if (more.length) throw new UsageError("untar", "one archive and one directory at a time");
  if (!/^\d{1,4}$/.test(values.strip))
    throw new UsageError("untar", `--strip ${values.strip}: it is a number of directories`);
  const options = { owner: parseOwner("untar", values.owner), strip: Number(values.strip) };
  const place = parsePlace(scope, "untar", text);
  const access = { ...kernelChoice("untar", values), write: true };
  return scope.withVolume(place, access, async (volume, { kernel }) => {
    using progress = new Progress(showsProgress(values));
    const tell = (name: string, problem: string) => {
      progress.clear();
      process.stderr.write(`liblinux: untar ${printable(name)}: ${problem}\n`);
    };
    await using jail = await jailAt(kernel, volume, place);
    const extractor = new Extractor(jail, options, tell);
    try {
      progress.totalBytes = archiveBytes(file);
      await extractor.all(archiveFrom(file, progress));
      await volume.sync();
    } catch (error) {
      throw error instanceof TarError
        ? new PlaceError(file === "-" ? "standard input" : file, error.message, error)
        : at(formatAddress(place, place.path), error);
    }
    if (values.json) await writeJson(extractor.report.summary());
    return extractor.report.failed.length ? 1 : 0;
  });
}

/** A process whose root is a directory of the volume. */
async function jailAt(
  kernel: Kernel,
  { fs: files, mount }: MountedVolume,
  place: Place,
): Promise<Files & AsyncDisposable> {
  const real = await atPlace(place, async () => {
    await files.promises.mkdir(place.path, { recursive: true });
    return files.promises.realpath(place.path);
  });
  const jailed = await kernel.process({ root: `${mount.target}${real}`, umask: 0 });
  const fs = createFs(jailed, { ownsProcess: true });
  return { fs, process: jailed, [Symbol.asyncDispose]: () => fs[Symbol.asyncDispose]() };
}
