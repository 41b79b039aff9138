// What an operation is done on: a name, or a descriptor that is open already.

import type { Out } from "../abi/calls.ts";
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY } from "../abi/constants/fcntl.ts";
import { SystemError } from "../syscall/errors.ts";
import type { Process } from "../syscall/process.ts";

/**
 * A path (text, or bytes where a name is not UTF-8), or a descriptor, which stays open and the
 * caller's. A relative path starts from the process's working directory.
 */
export type Target = string | Uint8Array | number;

/** The path of a target for an error; undefined of a descriptor. */
export function pathOf(target: Target): string | undefined {
  if (typeof target === "number") return undefined;
  return typeof target === "string" ? target : new TextDecoder().decode(target);
}

/**
 * Do something with a descriptor: the target itself, or its path, opened for that time. Opening
 * does not wait, e.g. for a pipe's other end.
 *
 * @param flags how to open a path; default: for reading
 * @throws {SystemError} e.g. ENOENT; where the target is a path, all that `use` throws have it
 */
export async function withDescriptor<T>(
  process: Process,
  target: Target,
  use: (fd: number) => Promise<T>,
  flags: number = O_RDONLY,
): Promise<T> {
  if (typeof target === "number") return use(target);
  const fd = await process.openat(AT_FDCWD, target, flags | O_NONBLOCK | O_CLOEXEC, 0o666);
  try {
    return await use(fd);
  } catch (error) {
    throw named(error, target);
  } finally {
    await process.close(fd);
  }
}

/** An ioctl(2) on a target. @throws {SystemError} e.g. ENOTTY where there is no such operation */
export function ioctlOn(
  process: Process,
  target: Target,
  command: number,
  argument: Out,
): Promise<number> {
  return withDescriptor(process, target, (fd) => process.ioctl(fd, command, argument));
}

/** An error of a call on a descriptor, with the path that was opened. */
function named(error: unknown, target: Target): unknown {
  if (!(error instanceof SystemError) || error.path !== undefined) return error;
  return new SystemError(error.errno, error.syscall, pathOf(target));
}
