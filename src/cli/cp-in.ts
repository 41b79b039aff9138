// liblinux cp into an image: from this machine, or from a volume.

import { realpathSync } from "node:fs";
import { basename, resolve } from "node:path";

import type { Image, MountedVolume } from "../image/index.ts";
import { formatAddress } from "./address.ts";
import { joinPath, VolumeCopier } from "./copy-in.ts";
import type { CopyReport } from "./copy-report.ts";
import { hostSource, volumeSource } from "./copy-source.ts";
import type { CopySource } from "./copy-source.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import type { KernelChoice } from "./options.ts";
import { printable } from "./output.ts";
import { placeInImage } from "./places.ts";
import type { Place } from "./places.ts";
import { Progress } from "./progress.ts";
import { chooseVolume, openImage, openVolume } from "./session.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface Options {
  readonly recursive: boolean;
  readonly preserve: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
  /** Whose the copies become; null: root's, or with `preserve` as in the source. */
  readonly owner: Owner | null;
}

/** UID[:GID], in numbers. */
export function parseOwner(verb: string, text: string | undefined): Owner | null {
  if (text === undefined) return null;
  const [, uid, gid = uid] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (uid === undefined)
    throw new UsageError(verb, `--owner ${text}: it is UID or UID:GID, in numbers`);
  return { uid: Number(uid), gid: Number(gid) };
}

/** What is copied: opened, and how it is called. */
interface Opened extends AsyncDisposable {
  readonly source: CopySource;
  readonly path: string;
  readonly name: string;
}

export async function copyIn(
  texts: readonly string[],
  target: Place,
  choice: KernelChoice,
  options: Options,
): Promise<{ name: string; report: CopyReport }[]> {
  await using image = await openImage(target.image, { ...choice, write: true });
  await using volume = await openVolume(image, target, { write: true });
  const copied = [];
  for (const text of texts) {
    await using from = await openSource(text, image, volume, target, choice);
    const to = await targetOf(volume, target, from, texts.length);
    const report = await copy(from, volume, to, options);
    copied.push({ name: from.name, report });
  }
  await volume.sync();
  return copied;
}

async function openSource(
  text: string,
  image: Image,
  volume: MountedVolume,
  target: Place,
  choice: KernelChoice,
): Promise<Opened> {
  const place = placeInImage(text);
  if (!place)
    return {
      source: hostSource,
      path: resolve(text),
      name: text,
      [Symbol.asyncDispose]: async () => {},
    };
  const name = formatAddress(place, place.path);
  await using stack = new AsyncDisposableStack();
  const same = realpathSync(place.image) === realpathSync(target.image);
  const from = same ? image : stack.use(await openImage(place.image, choice));
  const mounted =
    same && chooseVolume(from, place) === volume.volume
      ? volume
      : stack.use(await openVolume(from, place, choice));
  const whole = stack.move();
  return {
    source: volumeSource(mounted),
    path: place.path,
    name,
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}

/** Into a directory that is there, by its own name; else the name that was given. */
async function targetOf(
  { fs }: MountedVolume,
  target: Place,
  { path, name }: Opened,
  sources: number,
): Promise<string> {
  const place = formatAddress(target, target.path);
  const there = await fs.promises.stat(target.path).catch(() => null);
  if (there?.isDirectory()) {
    const last = basename(path);
    if (last === "..") throw new UsageError("cp", `${name}: what is its name?`);
    return (
      joinPath(Buffer.from(target.path), Buffer.from(last)).toString().replace(/\/$/, "") || "/"
    );
  }
  if (sources > 1) throw new PlaceError(place, "is no directory, to copy several things to");
  return target.path;
}

async function copy(
  from: Opened,
  volume: MountedVolume,
  to: string,
  options: Options,
): Promise<CopyReport> {
  using progress = new Progress(process.stderr.isTTY && !options.quiet && !options.json);
  const owner = options.owner ?? (options.preserve ? null : { uid: 0, gid: 0 });
  const tell = (path: string, problem: string) => {
    process.stderr.write(`liblinux: cp ${printable(path)}: ${problem}\n`);
  };
  const copier = new VolumeCopier(from.source, volume, { owner }, progress, tell);
  try {
    const path = Buffer.from(from.path);
    const isDirectory = ((await from.source.status(path)).mode & 0o170000n) === 0o040000n;
    if (isDirectory && !options.recursive)
      throw new PlaceError(from.name, "EISDIR: is a directory: use -r");
    await copier.copy(path, Buffer.from(to));
  } catch (error) {
    throw at(from.name, error);
  }
  if (copier.report.lost.length)
    process.stderr.write(
      `liblinux: cp ${printable(from.name)}: ${copier.report.lost.length} extended attributes ` +
        "cannot be kept there\n",
    );
  return copier.report;
}
