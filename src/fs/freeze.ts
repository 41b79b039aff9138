// A file system that holds still: what is on its device is whole until it is thawed. For copies of
// the device, which are as after an unmount; only of XFS, whose log still has a record, as after a
// crash at that moment.

import { F_DUPFD_CLOEXEC } from "../abi/constants/fcntl.ts";
import { FIFREEZE, FITHAW } from "../abi/constants/ioctl.ts";
import { KernelPanicError, KernelStoppedError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import { withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/**
 * A file system that is frozen. Disposing it thaws it. Until then it has a descriptor there, so that
 * nobody can unmount what nobody could thaw any more.
 */
export class Frozen {
  readonly #process: Process;
  readonly #fd: number;
  #thawed: Promise<void> | null = null;

  /** @internal Use {@link freeze}. */
  constructor(process: Process, fd: number) {
    this.#process = process;
    this.#fd = fd;
  }

  /**
   * Let writers go on. Once is enough; a second call gives the first one's result.
   *
   * @throws {SystemError} EINVAL if somebody has thawed it before
   */
  thaw(): Promise<void> {
    return (this.#thawed ??= this.#thaw());
  }

  async #thaw(): Promise<void> {
    try {
      await thaw(this.#process, this.#fd);
    } finally {
      await this.#process.close(this.#fd);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.thaw();
    } catch (error) {
      // It ended with its kernel, which tells everybody why.
      if (error instanceof KernelStoppedError || error instanceof KernelPanicError) return;
      throw error;
    }
  }
}

/**
 * Write back all of a file system, and hold it: calls that would change it wait until it is thawed.
 * They occupy threads of their processes, so thaw it with another process if one can run out.
 *
 * @param target where it is mounted, or a file on it
 * @throws {SystemError} EBUSY if it is frozen already, EOPNOTSUPP if it cannot be, EPERM, EROFS…
 */
export function freeze(process: Process, target: Target): Promise<Frozen> {
  return withDescriptor(process, target, async (fd) => {
    const held = await process.fcntl64(fd, F_DUPFD_CLOEXEC, 0);
    try {
      await process.ioctl(held, FIFREEZE, 0);
      return new Frozen(process, held);
    } catch (error) {
      await process.close(held);
      throw error;
    }
  });
}

/** End what {@link freeze} began. @throws {SystemError} EINVAL if it is not frozen */
export async function thaw(process: Process, target: Target): Promise<void> {
  await withDescriptor(process, target, (fd) => process.ioctl(fd, FITHAW, 0));
}
