// IMAGE[:VOLUME][:/PATH]: a place in a disk image.

import { existsSync } from "node:fs";

export interface Address {
  /** A file of this machine. */
  readonly image: string;
  /** A partition's number, 0 for the whole disk, null for the only one. */
  readonly volume: number | null;
  /** In the volume, absolute; null if none was given. */
  readonly path: string | null;
}

/** Whether an image is on a server. */
export const isRemote = (image: string): boolean => /^https?:\/\//i.test(image);

/**
 * The image may have colons itself: `C:\disk.img`, `https://host:8080/disk.img`, or before the last
 * `:/`.
 */
const PATTERN = /^((?:https?:\/\/[^/]*|[A-Za-z]:[\\/])?[^]+?)(?::[pP]?(\d+))?(?::(\/[^]*))?$/;

export function parseAddress(text: string): Address {
  // A file that is really called so is meant.
  if (!isRemote(text) && existsSync(text)) return { image: text, volume: null, path: null };
  const [, image = text, volume, path] = PATTERN.exec(text) ?? [];
  return {
    image,
    volume: volume === undefined ? null : Number(volume),
    path: path ?? null,
  };
}

/** As the user would write it. */
export function formatAddress({ image, volume }: Address, path: string): string {
  return `${image}${volume === null ? "" : `:${volume}`}:${path}`;
}
