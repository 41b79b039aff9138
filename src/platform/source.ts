// Where an image comes from, as applications name it, and the disk that it is.

import { BlobDisk } from "../disk/blob-disk.ts";
import { isCompressed, openCompressed } from "../disk/compressed-disk.ts";
import type { Disk } from "../disk/disk.ts";
import { HttpDisk } from "../disk/http-disk.ts";
import { MemoryDisk } from "../disk/memory-disk.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { hasNode } from "./runtime.ts";

/**
 * An image: a path or `file:` URL (Node, Deno, Bun), an `http:` or `https:` URL, a Blob or File, bytes
 * that are used in place, or any disk. What is compressed by gzip, xz or zstd is read as what it holds.
 */
export type ImageSource = string | URL | Blob | Uint8Array | Disk;

/** Disks made from a source, or given as one. */
export interface OpenedSource {
  readonly disk: Disk;
  /** What the application called it, if it has a name: a path, a URL, a file's name. */
  readonly name: string | undefined;
  /** Closes what was opened here; a disk that was given stays its owner's. */
  close(): Promise<void>;
}

function isDisk(source: object): source is Disk {
  return "read" in source && "flush" in source && "sizeBytes" in source;
}

/** @throws {DiskError} e.g. ENOENT @throws {InvalidOptionError} */
export async function openSource(source: ImageSource, readOnly: boolean): Promise<OpenedSource> {
  if (typeof source === "object" && source !== null && isDisk(source))
    return { disk: source, name: undefined, close: async () => {} };
  // To be looked at; what is compressed need not have a disk's size, and stays as it is.
  const first = await openPlain(source, true);
  const name = nameOf(source, first);
  let compressed: Disk | null = null;
  try {
    if (await isCompressed(first)) compressed = await openCompressed(first);
    else if (!readOnly && isWritable(source)) {
      await first.close();
      return opened(name, await openPlain(source, false));
    }
  } catch (error) {
    await first.close();
    throw error;
  }
  return compressed ? opened(name, compressed, first) : opened(name, first);
}

/** Without what may be secret in a URL. */
function nameOf(source: PlainSource, disk: Disk): string | undefined {
  if (disk instanceof HttpDisk) return disk.path;
  if (source instanceof URL) return source.pathname;
  if (typeof source === "string") return source;
  return "name" in source && typeof source.name === "string" ? source.name : undefined;
}

/** A disk that was made here, and what it stands on. */
function opened(name: string | undefined, disk: Disk, ...below: readonly Disk[]): OpenedSource {
  return {
    disk,
    name,
    async close() {
      for (const one of [disk, ...below]) await one.close();
    },
  };
}

/** Blobs and servers take nothing back. */
function isWritable(source: PlainSource): boolean {
  return source instanceof Uint8Array || !(source instanceof Blob || isRemote(source));
}

const isRemote = (source: string | URL) => /^https?:/i.test(String(source));

type PlainSource = Exclude<ImageSource, Disk>;

async function openPlain(source: PlainSource, readOnly: boolean): Promise<Disk> {
  if (typeof source === "string" || source instanceof URL) return openNamed(source, readOnly);
  if (source instanceof Uint8Array) return new MemoryDisk(source, { readOnly });
  if (source instanceof Blob) return new BlobDisk(source);
  throw new InvalidOptionError(
    "source",
    "an image is a path, a URL, a Blob, a Uint8Array or a Disk",
  );
}

async function openNamed(source: string | URL, readOnly: boolean): Promise<Disk> {
  const name = String(source);
  if (isRemote(source)) return HttpDisk.open(source);
  if (!hasNode())
    throw new InvalidOptionError("source", `${name}: a page has no files; give a Blob or a Disk`);
  const { FileDisk } = await import("./node/file-disk.ts");
  return new FileDisk(source, { readOnly });
}
