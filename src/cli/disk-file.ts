// The file of a disk, written without a kernel.

import { existsSync, rmSync } from "node:fs";

import { DiskError } from "../disk/errors.ts";
import { MkfsError } from "../format/index.ts";
import { FileDisk } from "../platform/node/file-disk.ts";
import { PlaceError } from "./errors.ts";
import { diskProblem } from "./session.ts";

/**
 * Do something with the disk that a file is, and make that lasting.
 *
 * @param createBytes make a new file of this size, which is gone again if the work fails
 */
export async function withDisk<T>(
  path: string,
  createBytes: number | undefined,
  work: (disk: FileDisk) => Promise<T>,
): Promise<T> {
  const makes = createBytes !== undefined;
  if (makes && existsSync(path))
    throw new PlaceError(path, "EEXIST: is there already; it is used without --size");
  if (!makes && !existsSync(path))
    throw new PlaceError(path, "ENOENT: no such file; --size SIZE makes one");
  try {
    using disk = new FileDisk(path, makes ? { createBytes } : {});
    const result = await work(disk);
    disk.flush();
    return result;
  } catch (error) {
    if (makes) rmSync(path, { force: true });
    if (error instanceof DiskError) throw new PlaceError(path, diskProblem(error, path), error);
    if (error instanceof MkfsError) throw new PlaceError(path, error.message, error);
    throw error;
  }
}
