// A file system that holds still: what is on its device is whole until it is thawed. For copies of
// the device, which are as after an unmount; only of XFS, whose log still has a record, as after a
// crash at that moment.

import { FIFREEZE, FITHAW } from "../abi/constants/ioctl.ts";
import { KernelPanicError, KernelStoppedError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import { withDescriptor } from "./target.ts";
import type { Target } from "./target.ts";

/** A file system that is frozen. Disposing it thaws it. */
export class Frozen {
  readonly #process: Process;
  readonly #target: Target;
  #thawed: Promise<void> | null = null;

  /** @internal Use {@link freeze}. */
  constructor(process: Process, target: Target) {
    this.#process = process;
    this.#target = target;
  }

  /** Let writers go on. Once is enough; a second call gives the first one's result. */
  thaw(): Promise<void> {
    return (this.#thawed ??= thaw(this.#process, this.#target));
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
 * @param target where it is mounted, or a file on it, which stays there
 * @throws {SystemError} EBUSY if it is frozen already, EOPNOTSUPP if it cannot be, EPERM, EROFS…
 */
export async function freeze(process: Process, target: Target): Promise<Frozen> {
  await withDescriptor(process, target, (fd) => process.ioctl(fd, FIFREEZE, 0));
  return new Frozen(process, target);
}

/** End what {@link freeze} began. @throws {SystemError} EINVAL if it is not frozen */
export async function thaw(process: Process, target: Target): Promise<void> {
  await withDescriptor(process, target, (fd) => process.ioctl(fd, FITHAW, 0));
}
