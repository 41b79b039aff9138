// Where an image comes from, as applications name it, and the disk that it is.

import { BlobDisk } from "../disk/blob-disk.ts";
import type { Disk } from "../disk/disk.ts";
import { MemoryDisk } from "../disk/memory-disk.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { hasNode } from "./runtime.ts";

/**
 * An image: a path or `file:` URL (Node, Deno, Bun), a Blob or File, bytes that are used in place,
 * or any disk.
 */
export type ImageSource = string | URL | Blob | Uint8Array | Disk;

/** A disk made from a source, or given as one. */
export interface OpenedSource {
  readonly disk: Disk;
  /** How to name it in messages. */
  readonly name: string;
  /** Whether it was made here, so that whoever asked has to close it. */
  readonly owned: boolean;
}

function isDisk(source: object): source is Disk {
  return "read" in source && "flush" in source && "sizeBytes" in source;
}

/** @throws {DiskError} e.g. ENOENT @throws {InvalidOptionError} */
export async function openSource(source: ImageSource, readOnly: boolean): Promise<OpenedSource> {
  if (typeof source === "string" || source instanceof URL) return openNamed(source, readOnly);
  if (source instanceof Uint8Array)
    return { disk: new MemoryDisk(source, { readOnly }), name: "the image", owned: true };
  if (source instanceof Blob) {
    const name = "name" in source && typeof source.name === "string" ? source.name : "the image";
    return { disk: new BlobDisk(source), name, owned: true };
  }
  if (typeof source === "object" && source !== null && isDisk(source))
    return { disk: source, name: "the image", owned: false };
  throw new InvalidOptionError(
    "source",
    "an image is a path, a URL, a Blob, a Uint8Array or a Disk",
  );
}

async function openNamed(source: string | URL, readOnly: boolean): Promise<OpenedSource> {
  const name = String(source);
  if (!hasNode())
    throw new InvalidOptionError("source", `${name}: a page has no files; give a Blob or a Disk`);
  const { FileDisk } = await import("./node/file-disk.ts");
  return { disk: new FileDisk(source, { readOnly }), name, owned: true };
}
