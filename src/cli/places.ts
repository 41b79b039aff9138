// Places in volumes, as verbs that change or look at files are given them.

import { existsSync } from "node:fs";

import type { Image, MountedVolume } from "../image/index.ts";
import { formatAddress, isRemote, parseAddress } from "./address.ts";
import type { Address } from "./address.ts";
import { at, PlaceError, UsageError } from "./errors.ts";
import { openImage, openVolume } from "./session.ts";
import type { Access } from "./session.ts";

/** A file or a directory of a volume. */
export interface Place extends Address {
  readonly path: string;
}

/** Where verbs find what they are given: in images, or in the volume of a shell. */
export interface Scope {
  /** What is meant where nothing is said; null if something has to be. */
  readonly here: string | null;
  /** What a text names. */
  address(text: string): Address;
  /** A path in a volume that is known. */
  path(text: string): string;
  /**
   * The place in an image that a text names; null if it is a name of this machine.
   *
   * @throws {PlaceError} if it is no such name, but there is no such image
   */
  placeInImage(text: string): Place | null;
  /** Do something with the volume that an address means. */
  withVolume<T>(
    address: Address,
    access: Access,
    work: (volume: MountedVolume, image: Image) => Promise<T>,
  ): Promise<T>;
}

/** Images are opened, and volumes mounted, for each thing that is done. */
export const images: Scope = {
  here: null,
  address: parseAddress,
  path: (text) => text,
  placeInImage(text) {
    const { image, volume, path } = parseAddress(text);
    if (path === null) return null;
    if (!isRemote(image) && !existsSync(image))
      throw new PlaceError(image, "ENOENT: there is no such image");
    return { image, volume, path };
  },
  async withVolume(address, access, work) {
    await using image = await openImage(address.image, access);
    await using volume = await openVolume(image, address, access);
    return await work(volume, image);
  },
};

export function parsePlace(scope: Scope, verb: string, text: string): Place {
  const address = scope.address(text);
  if (address.path === null)
    throw new UsageError(verb, `${text}: which file? it is IMAGE[:VOLUME]:/PATH`);
  return { ...address, path: address.path };
}

/** At least one. */
export function parsePlaces(scope: Scope, verb: string, texts: readonly string[]): Place[] {
  if (!texts.length) throw new UsageError(verb, "which file? it is IMAGE[:VOLUME]:/PATH");
  return texts.map((text) => parsePlace(scope, verb, text));
}

/** At least one; of an image without a path its root directory. */
export function parseTops(scope: Scope, verb: string, texts: readonly string[]): Place[] {
  const given = texts.length || scope.here === null ? texts : [scope.here];
  if (!given.length) throw new UsageError(verb, "which image? it is IMAGE[:VOLUME][:/PATH]");
  return given.map((text) => {
    const { image, volume, path } = scope.address(text);
    return { image, volume, path: path ?? "/" };
  });
}

/**
 * Do something at each place, in order; neighbours in the same volume share its mount.
 *
 * @param patterns false: names that are to be made mean themselves
 */
export async function eachPlace(
  scope: Scope,
  places: readonly Place[],
  access: Access,
  work: (volume: MountedVolume, place: Place) => Promise<void>,
  { patterns = true }: { readonly patterns?: boolean } = {},
): Promise<void> {
  let rest = [...places];
  while (rest.length) {
    const [{ image, volume }] = rest;
    const end = rest.findIndex((place) => place.image !== image || place.volume !== volume);
    const here = end < 0 ? rest : rest.slice(0, end);
    await scope.withVolume(here[0], access, async (mounted) => {
      for (const place of here) {
        const paths = patterns ? await expand(mounted, place) : [place.path];
        for (const path of paths) {
          const found = { ...place, path };
          await atPlace(found, () => work(mounted, found));
        }
      }
    });
    rest = rest.slice(here.length);
  }
}

/** What fails is said of the place. */
export async function atPlace<T>(place: Place, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw at(formatAddress(place, place.path), error);
  }
}

const PATTERN = /[*?]|\[.+\]|\{.+\}/s;

/** The paths that a pattern means, sorted; a name with such characters means itself. */
export async function expand({ fs }: MountedVolume, place: Place): Promise<string[]> {
  const { path } = place;
  if (!PATTERN.test(path) || (await exists(fs, path))) return [path];
  const found: string[] = [];
  for await (const name of fs.promises.glob(path.replace(/^\/+/, ""), { cwd: "/" }))
    found.push(`/${name}`);
  if (!found.length)
    throw new PlaceError(formatAddress(place, path), "ENOENT: nothing is called so");
  return found.toSorted();
}

async function exists(fs: MountedVolume["fs"], path: string): Promise<boolean> {
  try {
    await fs.promises.lstat(path);
    return true;
  } catch {
    return false;
  }
}

/** A number of bytes, as `4096`, `100M`, `1.5GiB`: K, M, G, T are powers of 1024. */
export function parseSize(verb: string, option: string, text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([kmgtKMGT]?)(?:i?[bB])?$/.exec(text) ?? [];
  const power = " kmgt".indexOf(unit?.toLowerCase() || " ");
  const bytes = Math.round(Number(digits) * 1024 ** power);
  if (digits === undefined || !Number.isSafeInteger(bytes))
    throw new UsageError(verb, `${option} ${text}: a size is a number with K, M, G or T`);
  return bytes;
}

/** Permissions in octal digits. */
export function parseMode(verb: string, text: string): number {
  if (!/^[0-7]{1,4}$/.test(text))
    throw new UsageError(verb, `${text}: a mode has up to four octal digits, such as 0755`);
  return parseInt(text, 8);
}
