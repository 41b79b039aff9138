// liblinux cp: files and directories out of an image, or into one.

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import { openDirectory, walk } from "../fs/directory.ts";
import { stat } from "../fs/stat.ts";
import type { Process } from "../syscall/process.ts";
import { formatAddress } from "./address.ts";
import { Copier } from "./copy-out.ts";
import type { CopyReport } from "./copy-report.ts";
import { copyIn, parseOwner } from "./cp-in.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, parse, PROGRESS_OPTIONS, READ_OPTIONS, showsProgress } from "./options.ts";
import type { KernelChoice } from "./options.ts";
import { printable, writeJson } from "./output.ts";
import { expand, images, parsePlace } from "./places.ts";
import type { Place, Scope } from "./places.ts";
import { Progress } from "./progress.ts";
import { isOfImage } from "./session.ts";

interface Options {
  readonly recursive: boolean;
  readonly preserve: boolean;
  /** Show how far it is. */
  readonly shows: boolean;
}

const WHAT = "from where to where? one of both is IMAGE[:VOLUME]:/PATH";

export async function cp(args: string[], scope: Scope = images): Promise<number> {
  const { values, positionals } = parse("cp", args, {
    ...READ_OPTIONS,
    recursive: { type: "boolean", short: "r", default: false },
    preserve: { type: "boolean", short: "p", default: false },
    owner: { type: "string" },
    ...PROGRESS_OPTIONS,
    json: { type: "boolean", default: false },
  });
  const choice = kernelChoice("cp", values);
  const target = positionals.pop();
  if (target === undefined || !positionals.length) throw new UsageError("cp", WHAT);
  const into = scope.placeInImage(target);
  const options = { ...values, shows: showsProgress(values) };
  const reports = into
    ? await copyIn(scope, positionals, into, choice, {
        ...options,
        owner: parseOwner("cp", values.owner),
      })
    : await copyOut(scope, positionals, target, choice, options);
  if (values.json)
    await writeJson(
      reports.map(({ name, report }) => ({ source: name, target, ...report.summary() })),
    );
  return reports.some(({ report }) => report.failed.length > 0) ? 1 : 0;
}

/** What was copied, and what became of it. */
interface Copied {
  readonly name: string;
  readonly report: CopyReport;
}

async function copyOut(
  scope: Scope,
  texts: readonly string[],
  target: string,
  choice: KernelChoice,
  options: Options,
): Promise<Copied[]> {
  const sources = texts.map((text) => parsePlace(scope, "cp", text));
  checkTarget(target, sources.length);
  const copied: Copied[] = [];
  for (const source of sources)
    await scope.withVolume(source, choice, async (volume) => {
      const paths = await expand(volume, source);
      checkTarget(target, paths.length);
      for (const path of paths) {
        const report = await copy(volume.process, { ...source, path }, target, options);
        copied.push({ name: formatAddress(source, path), report });
      }
    });
  return copied;
}

const isDirectory = (path: string) =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function checkTarget(target: string, sources: number): void {
  if (isDirectory(target)) return;
  if (sources > 1) throw new PlaceError(target, "is no directory, to copy several things to");
  if (!isDirectory(dirname(resolve(target))))
    throw new PlaceError(target, "ENOENT: its parent directory is not there");
}

/** The name that a copy has in a directory; empty for what is in the volume's root. */
function nameOf({ path }: Place): string {
  const name = path.split("/").findLast((part) => part !== "") ?? "";
  if (name === "..") throw new UsageError("cp", `${path}: what is its name?`);
  return name === "." ? "" : name;
}

async function copy(
  reader: Process,
  source: Place,
  target: string,
  options: Options,
): Promise<CopyReport> {
  const place = formatAddress(source, source.path);
  using progress = new Progress(options.shows);
  const copier = new Copier(reader, options, progress, (path, problem) => {
    const where = printable(formatAddress(source, path));
    process.stderr.write(`liblinux: cp ${where}: ${problem}\n`);
  });
  const abandon = () => copier.abandon();
  process.once("exit", abandon);
  try {
    const { type, sizeBytes } = await stat(reader, source.path);
    const name = nameOf(source);
    const whole = isDirectory(target) && name ? join(target, name) : target;
    if (type === "directory") {
      if (!options.recursive) throw new PlaceError(place, "EISDIR: is a directory: use -r");
      checkTree(whole);
      if (options.shows) progress.totalBytes = await measure(reader, source.path);
      await copier.tree(source.path, whole);
    } else if (type === "file") {
      progress.totalBytes = sizeBytes;
      await copier.file(source.path, dirname(resolve(whole)), basename(resolve(whole)));
    } else
      throw new PlaceError(place, `is a ${type}: only files, directories and links are copied`);
  } catch (error) {
    throw at(isOfImage(error) ? place : target, error);
  } finally {
    process.off("exit", abandon);
    copier.abandon();
  }
  for (const loss of copier.report.losses())
    process.stderr.write(`liblinux: cp ${printable(place)}: ${loss}\n`);
  return copier.report;
}

/** A link in the target directory would lead out of it. */
function checkTree(path: string): void {
  if (existsSync(path) && !isDirectory(path))
    throw new PlaceError(path, "is there, and no directory");
}

/** How many bytes there are below a directory. */
async function measure(reader: Process, path: string): Promise<number> {
  let total = 0;
  const fd = await openDirectory(reader, path);
  try {
    await walk(reader, fd, {
      entry: async ({ status }) => {
        if (status.type === "file") total += status.sizeBytes;
        return true;
      },
      failed: () => {}, // copying will tell
    });
  } finally {
    await reader.close(fd);
  }
  return total;
}
