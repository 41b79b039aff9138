// liblinux write: standard input into a file of an image.

import { posix } from "node:path";

import type { MountedVolume } from "../image/index.ts";
import { UsageError } from "./errors.ts";
import { chunksOf } from "./interrupt.ts";
import { kernelChoice, KERNEL_OPTIONS, parse, PROGRESS_OPTIONS, showsProgress } from "./options.ts";
import { atPlace, images, parseMode, parsePlace } from "./places.ts";
import type { Scope } from "./places.ts";
import { Progress } from "./progress.ts";

export async function write(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("write", args, {
    ...KERNEL_OPTIONS,
    append: { type: "boolean", short: "a", default: false },
    mode: { type: "string", short: "m" },
    ...PROGRESS_OPTIONS,
  });
  const [text, ...more] = positionals;
  if (text === undefined || more.length)
    throw new UsageError("write", "into which file? it is IMAGE[:VOLUME]:/PATH");
  const place = parsePlace(scope, "write", text);
  const mode = values.mode === undefined ? undefined : parseMode("write", values.mode);
  const access = { ...kernelChoice("write", values), write: true };
  await scope.withVolume(place, access, ({ fs }) =>
    atPlace(place, async () => {
      using progress = new Progress(showsProgress(values));
      const there = await fs.promises.lstat(place.path).catch(() => null);
      if (there) return await fill(fs, place.path, values.append ? "a" : "w", mode, progress);
      // A new file is there when it is complete.
      const temporary = posix.join(posix.dirname(place.path), `.liblinux-${process.pid}`);
      try {
        await fill(fs, temporary, "wx", mode, progress);
        await fs.promises.rename(temporary, place.path);
      } catch (error) {
        await fs.promises.rm(temporary, { force: true }).catch(() => {});
        throw error;
      }
      return undefined;
    }),
  );
  return 0;
}

async function fill(
  fs: MountedVolume["fs"],
  path: string,
  flags: string,
  mode: number | undefined,
  progress: Progress,
): Promise<void> {
  await using file = await fs.promises.open(path, flags);
  for await (const chunk of chunksOf(process.stdin, progress.signal)) {
    // A write may take less than it was given.
    for (let done = 0; done < chunk.length;) done += (await file.write(chunk, done)).bytesWritten;
    progress.add(chunk.length);
  }
  if (mode !== undefined) await file.chmod(mode);
  await file.sync();
}
