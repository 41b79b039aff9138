// The broken images that e2fsck is tested with, from Debian's source package of e2fsprogs.

import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { run } from "../../images/native.ts";

const SOURCES = "/etc/apt/sources.list.d/debian.sources";

/**
 * Fetch the source package to a folder, with lists of its own: the machine's stay as they are.
 *
 * @returns the paths of the images, each in gzip's format
 */
export function fetchBrokenImages(folder: string): string[] {
  const at = (...names: string[]) => join(folder, ...names);
  for (const name of ["parts", "lists/partial", "cache/archives/partial", "source"])
    mkdirSync(at(name), { recursive: true });
  const sources = readFileSync(SOURCES, "utf8").replaceAll(/^Types: .*$/gm, "Types: deb-src");
  writeFileSync(at("parts/debian.sources"), sources);
  const options = [
    ["Dir::Etc::sourcelist", "/dev/null"],
    ["Dir::Etc::sourceparts", at("parts")],
    ["Dir::State::lists", at("lists")],
    ["Dir::Cache", at("cache")],
  ].flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  run("apt-get", ...options, "-qq", "update");
  const before = process.cwd();
  process.chdir(at("source"));
  try {
    run("apt-get", ...options, "-qq", "--download-only", "source", "e2fsprogs");
  } finally {
    process.chdir(before);
  }
  const [archive] = globSync(at("source/e2fsprogs_*.orig.tar.gz"));
  run("tar", "-xzf", archive, "-C", at("source"));
  return globSync(at("source/*/tests/*/image.gz")).toSorted();
}
