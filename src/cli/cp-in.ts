// liblinux cp into an image: from this machine, or from a volume.

import { realpathSync } from "node:fs";
import { basename, resolve } from "node:path";

import type { Image, MountedVolume } from "../image/index.ts";
import { formatAddress, isRemote } from "./address.ts";
import { typeOf } from "./compare.ts";
import { joinPath, TreeCopier } from "./copy-in.ts";
import { CopyReport } from "./copy-report.ts";
import { hostSource, volumeSource } from "./copy-source.ts";
import type { CopySource } from "./copy-source.ts";
import type { Owner } from "./copy-target.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import type { KernelChoice } from "./options.ts";
import { printable } from "./output.ts";
import { atPlace } from "./places.ts";
import type { Place, Scope } from "./places.ts";
import { Progress } from "./progress.ts";
import { chooseVolume, openImage, openVolume } from "./session.ts";
import { VolumeTarget } from "./volume-target.ts";
import { eachFound } from "./walk-source.ts";

interface Options {
  readonly recursive: boolean;
  readonly preserve: boolean;
  /** Show how far it is. */
  readonly shows: boolean;
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
export interface Opened extends AsyncDisposable {
  readonly source: CopySource;
  readonly path: string;
  readonly name: string;
}

export async function copyIn(
  scope: Scope,
  texts: readonly string[],
  target: Place,
  choice: KernelChoice,
  options: Options,
): Promise<{ name: string; report: CopyReport }[]> {
  return scope.withVolume(target, { ...choice, write: true }, async (volume, image) => {
    const copied = [];
    for (const text of texts) {
      await using from = await openSource(scope, text, image, volume, target, choice);
      const to = await targetOf(volume, target, from, texts.length);
      const report = await copy(from, volume, to, options);
      copied.push({ name: from.name, report });
    }
    await atPlace(target, () => volume.sync());
    return copied;
  });
}

/** @param volume the target, mounted, of an image that may be the source, too */
export async function openSource(
  scope: Scope,
  text: string,
  image: Image,
  volume: MountedVolume,
  target: Place,
  choice: KernelChoice,
): Promise<Opened> {
  const place = scope.placeInImage(text);
  if (!place)
    return {
      source: hostSource,
      path: resolve(text),
      name: text,
      [Symbol.asyncDispose]: async () => {},
    };
  const name = formatAddress(place, place.path);
  await using stack = new AsyncDisposableStack();
  const same = identity(place.image) === identity(target.image);
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

const identity = (image: string) => (isRemote(image) ? image : realpathSync(image));

/** How many bytes of files there are. */
export async function bytesOf(source: CopySource, path: Buffer): Promise<number> {
  let total = 0;
  // What cannot be read will be told when it is copied.
  for await (const { status } of eachFound(source, path, () => {}))
    if (typeOf(status) === "file") total += Number(status.size);
  return total;
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
  using progress = new Progress(options.shows);
  const owner = options.owner ?? (options.preserve ? null : { uid: 0, gid: 0 });
  const tell = (path: string, problem: string) => {
    progress.clear();
    process.stderr.write(`liblinux: cp ${printable(path)}: ${problem}\n`);
  };
  const report = new CopyReport();
  const into = new VolumeTarget(from.source, volume, owner, report, progress);
  try {
    const path = Buffer.from(from.path);
    const isDirectory = typeOf(await from.source.status(path)) === "directory";
    if (isDirectory && !options.recursive)
      throw new PlaceError(from.name, "EISDIR: is a directory: use -r");
    if (options.shows) progress.totalBytes = await bytesOf(from.source, path);
    await new TreeCopier(from.source, into, report, tell).copy(path, Buffer.from(to));
  } catch (error) {
    throw at(from.name, error);
  }
  for (const loss of report.losses())
    process.stderr.write(`liblinux: cp ${printable(from.name)}: ${loss}\n`);
  return report;
}
