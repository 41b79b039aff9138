// liblinux cp: files and directories out of an image.

import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import { openDirectory, walk } from "../fs/directory.ts";
import { stat } from "../fs/stat.ts";
import type { Process } from "../syscall/process.ts";
import { formatAddress, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { Copier } from "./copy-out.ts";
import type { CopyReport } from "./copy-out.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { kernelChoice, KERNEL_OPTIONS, parse } from "./options.ts";
import { printable, writeJson } from "./output.ts";
import { Progress } from "./progress.ts";
import { openImage, openVolume } from "./session.ts";

interface Options {
  readonly recursive: boolean;
  readonly preserve: boolean;
  readonly quiet: boolean;
  readonly json: boolean;
}

type Source = Address & { readonly path: string };

export async function cp(args: string[]): Promise<number> {
  const { values, positionals } = parse("cp", args, {
    ...KERNEL_OPTIONS,
    recursive: { type: "boolean", short: "r", default: false },
    preserve: { type: "boolean", short: "p", default: false },
    quiet: { type: "boolean", short: "q", default: false },
    json: { type: "boolean", default: false },
  });
  const choice = kernelChoice("cp", values);
  const target = positionals.pop();
  if (target === undefined || !positionals.length)
    throw new UsageError("cp", "from where to where? it is IMAGE[:VOLUME]:/PATH... TARGET");
  const sources = positionals.map(parseSource);
  if (/:\/[^/]/.test(target) && !existsSync(dirname(target)))
    throw new UsageError("cp", `${target}: copying into images cannot be done yet`);
  checkTarget(target, sources.length);
  const reports: object[] = [];
  let failed = false;
  for (const source of sources) {
    await using image = await openImage(source.image, choice);
    await using volume = await openVolume(image, source);
    const report = await copy(volume.process, source, target, values);
    failed ||= report.failed.length > 0;
    reports.push({ source: formatAddress(source, source.path), target, ...report.summary() });
  }
  if (values.json) await writeJson(reports);
  return failed ? 1 : 0;
}

function parseSource(text: string): Source {
  const address = parseAddress(text);
  if (address.path === null)
    throw new UsageError("cp", `${text}: what to copy? it is IMAGE[:VOLUME]:/PATH`);
  return { ...address, path: address.path };
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
function nameOf({ path }: Source): string {
  const name = path.split("/").findLast((part) => part !== "") ?? "";
  if (name === "..") throw new UsageError("cp", `${path}: what is its name?`);
  return name === "." ? "" : name;
}

async function copy(
  reader: Process,
  source: Source,
  target: string,
  options: Options,
): Promise<CopyReport> {
  const place = formatAddress(source, source.path);
  const shows = process.stderr.isTTY && !options.quiet && !options.json;
  using progress = new Progress(shows);
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
      if (shows) progress.totalBytes = await measure(reader, source.path);
      await copier.tree(source.path, whole);
    } else if (type === "file") {
      progress.totalBytes = sizeBytes;
      await copier.file(source.path, dirname(resolve(whole)), basename(resolve(whole)));
    } else
      throw new PlaceError(place, `is a ${type}: only files, directories and links are copied`);
  } catch (error) {
    throw at(place, error);
  } finally {
    process.off("exit", abandon);
    copier.abandon();
  }
  if (copier.report.dropped.length)
    process.stderr.write(
      `liblinux: cp ${place}: ${copier.report.dropped.length} files lost their set-user-ID or ` +
        "set-group-ID bits (-p keeps them)\n",
    );
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
