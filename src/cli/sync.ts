// liblinux sync: one directory is made as another one is, in an image or of this machine.

import fs from "node:fs";
import { basename, dirname, resolve } from "node:path";

import { formatAddress } from "./address.ts";
import { Exclusion, typeOf } from "./compare.ts";
import { CopyReport } from "./copy-report.ts";
import { volumeSource } from "./copy-source.ts";
import type { CopySource } from "./copy-source.ts";
import type { CopyTarget } from "./copy-target.ts";
import type { Owner } from "./copy-target.ts";
import { openSource, parseOwner } from "./cp-in.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { HostTarget } from "./host-target.ts";
import { Mirror } from "./mirror.ts";
import type { Change, MirrorOptions } from "./mirror.ts";
import { kernelChoice, parse, PROGRESS_OPTIONS, READ_OPTIONS, showsProgress } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { printable, styled, write, writeJson } from "./output.ts";
import { atPlace, images } from "./places.ts";
import type { Place } from "./places.ts";
import { Progress } from "./progress.ts";
import { VolumeTarget } from "./volume-target.ts";

interface Options extends MirrorOptions {
  readonly preserve: boolean;
  readonly owner: Owner | null;
  readonly shows: boolean;
  /** Print each change. */
  readonly lists: boolean;
  readonly json: boolean;
}

interface Outcome {
  readonly report: CopyReport;
  readonly changes: readonly Change[];
}

/** A directory, and how the user called it. */
interface Named {
  readonly path: Buffer;
  readonly name: string;
}

export async function sync(args: string[]): Promise<number> {
  const { values, positionals } = parse("sync", args, {
    ...READ_OPTIONS,
    ...PROGRESS_OPTIONS,
    delete: { type: "boolean", default: false },
    "dry-run": { type: "boolean", short: "n", default: false },
    checksum: { type: "boolean", short: "c", default: false },
    exclude: { type: "string", multiple: true, default: [] },
    preserve: { type: "boolean", short: "p", default: false },
    owner: { type: "string" },
    verbose: { type: "boolean", short: "v", default: false },
    json: { type: "boolean", default: false },
  });
  const [from, to, ...more] = positionals;
  if (from === undefined || to === undefined || more.length)
    throw new UsageError("sync", "which directory, and which one is to be like it?");
  const choice = kernelChoice("sync", values);
  const [source, target] = [images.placeInImage(from), images.placeInImage(to)];
  if (!source && !target)
    throw new UsageError("sync", "one of both, or both, are IMAGE[:VOLUME]:/PATH");
  // What fsck keeps for itself is no difference to a directory of this machine.
  const own = source && target ? [] : ["/lost+found"];
  const options: Options = {
    delete: values.delete,
    dryRun: values["dry-run"],
    checksum: values.checksum,
    exclude: new Exclusion([...values.exclude, ...own]),
    preserve: values.preserve,
    owner: parseOwner("sync", values.owner),
    shows: showsProgress(values),
    lists: values.verbose || values["dry-run"],
    json: values.json,
  };
  const { report, changes } = target
    ? await intoImage(from, target, choice, options)
    : await outOfImage(source!, to, choice, options);
  if (values.json)
    await writeJson({
      source: from,
      target: to,
      changes,
      ...report.summary(),
      dryRun: options.dryRun,
    });
  return report.failed.length ? 1 : 0;
}

async function intoImage(
  from: string,
  target: Place,
  choice: KernelChoice,
  options: Options,
): Promise<Outcome> {
  const access = { ...choice, write: !options.dryRun };
  return images.withVolume(target, access, async (volume, image) => {
    await using opened = await openSource(images, from, image, volume, target, choice);
    using progress = new Progress(options.shows);
    const { source, path, name } = opened;
    const report = new CopyReport();
    const into = new VolumeTarget(source, volume, options.owner, report, progress);
    const to = target.path.replace(/(?<=.)\/+$/, "");
    const mirroring = { source, target: into, options, report, progress };
    const changes = await mirrored(
      mirroring,
      { path: Buffer.from(path), name },
      { path: Buffer.from(to), name: formatAddress(target, target.path) },
    );
    await atPlace(target, () => volume.sync());
    return { report, changes };
  });
}

async function outOfImage(
  from: Place,
  to: string,
  choice: KernelChoice,
  options: Options,
): Promise<Outcome> {
  const whole = resolve(to);
  const folder = dirname(whole);
  if (!fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new PlaceError(to, "ENOENT: its parent directory is not there");
  // A directory that is there may be named by a link, as the user likes; below it none is followed.
  const path = fs.existsSync(whole)
    ? fs.realpathSync(whole)
    : resolve(fs.realpathSync(folder), basename(whole));
  return images.withVolume(from, choice, async (volume) => {
    using progress = new Progress(options.shows);
    const source = volumeSource(volume);
    const report = new CopyReport();
    const into = new HostTarget(source, options.preserve, report, progress);
    const abandon = () => into.abandon();
    process.once("exit", abandon);
    try {
      const changes = await mirrored(
        { source, target: into, options, report, progress },
        { path: Buffer.from(from.path), name: formatAddress(from, from.path) },
        { path: Buffer.from(path), name: to },
      );
      return { report, changes };
    } finally {
      process.off("exit", abandon);
      abandon();
    }
  });
}

interface Mirroring {
  readonly source: CopySource;
  readonly target: CopyTarget;
  readonly options: Options;
  readonly report: CopyReport;
  readonly progress: Progress;
}

/** @returns what was changed, for --json */
async function mirrored(
  { source, target, options, report, progress }: Mirroring,
  from: Named,
  to: Named,
): Promise<Change[]> {
  const changes: Change[] = [];
  const note = async (change: Change) => {
    if (options.json) changes.push(change);
    else if (options.lists) await write(lineOf(change));
  };
  const tell = (path: string, problem: string) => {
    progress.clear();
    process.stderr.write(`liblinux: sync ${printable(path)}: ${problem}\n`);
  };
  try {
    // As the user names it, a link to a directory means the directory.
    const path = await source.resolve(from.path);
    if (typeOf(await source.status(path)) !== "directory")
      throw new PlaceError(from.name, "ENOTDIR: is no directory; liblinux cp copies files");
    if (progress.shown && !options.checksum && !options.dryRun) {
      const dry = { ...options, dryRun: true };
      const ahead = new Mirror(
        source,
        target,
        dry,
        new CopyReport(),
        async () => {},
        () => {},
      );
      await ahead.run(path, to.path);
      progress.totalBytes = ahead.bytes;
    }
    await new Mirror(source, target, options, report, note, tell).run(path, to.path);
  } catch (error) {
    throw at(`${from.name} to ${to.name}`, error);
  }
  for (const loss of report.losses())
    process.stderr.write(`liblinux: sync ${printable(from.name)}: ${loss}\n`);
  return changes;
}

const SIGNS = {
  added: ["green", "+"],
  changed: ["yellow", "~"],
  removed: ["red", "-"],
} as const;

function lineOf({ path, change, type, what }: Change): string {
  const [colour, sign] = SIGNS[change];
  const slash = type === "directory" ? "/" : "";
  const why = what.length ? ` (${what.join(", ")})` : "";
  return `${styled(colour, `${sign} ${printable(path)}${slash}`)}${why}\n`;
}
