// Making lasting what was written to a file system (syncfs(2)).

import type { Process } from "../syscall/process.ts";
import { withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/**
 * Write back one file system, and have its device make it lasting.
 *
 * @param target where it is mounted, or a file on it
 * @throws {SystemError} EIO or ENOSPC if something could not be written since `target` was opened
 */
export async function syncFilesystem(process: Process, target: Target): Promise<void> {
  await withDescriptor(process, target, (fd) => process.syncfs(fd));
}
