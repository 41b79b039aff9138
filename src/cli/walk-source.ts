// All files below one, wherever they are.

import { typeOfMode } from "../fs/stat.ts";
import { joinPath } from "./copy-in.ts";
import type { CopySource, SourceStatus } from "./copy-source.ts";

/** Directories deeper than this are not entered: damaged ones may contain themselves. */
const MAX_DEPTH = 500;

export interface Found {
  readonly path: Buffer;
  /** From the top on, without a slash before it; empty of the top itself. */
  readonly inside: Buffer;
  readonly status: SourceStatus;
}

/**
 * A file and all below it, sorted by name, each directory before what it holds. Symbolic links are
 * not followed. What cannot be read is told, and left out.
 */
export async function* eachFound(
  source: CopySource,
  path: Buffer,
  failed: (path: Buffer, error: unknown) => void,
  inside: Buffer = Buffer.alloc(0),
  depth = 0,
): AsyncGenerator<Found, void, undefined> {
  let status: SourceStatus;
  try {
    status = await source.status(path);
  } catch (error) {
    failed(path, error);
    return;
  }
  yield { path, inside, status };
  if (typeOfMode(Number(status.mode)) !== "directory") return;
  for (const name of await namesIn(source, path, depth, failed))
    yield* eachFound(
      source,
      joinPath(path, name),
      failed,
      inside.length ? joinPath(inside, name) : name,
      depth + 1,
    );
}

async function namesIn(
  source: CopySource,
  path: Buffer,
  depth: number,
  failed: (path: Buffer, error: unknown) => void,
): Promise<Buffer[]> {
  try {
    if (depth === MAX_DEPTH) throw new Error(`ELOOP: more than ${MAX_DEPTH} directories deep`);
    return (await source.names(path)).toSorted((a, b) => Buffer.compare(a, b));
  } catch (error) {
    failed(path, error);
    return [];
  }
}
