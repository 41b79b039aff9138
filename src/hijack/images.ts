// Images whose files are the program's below a prefix.
//
// Each is mounted at its prefix in a mount namespace of its own, so that names, links and errors say what
// they would on a system that has the image mounted there, and the sockets' process sees none of it.

import { CLONE_NEWNS } from "../abi/constants/sched.ts";
import { createFs } from "../fs/facade/index.ts";
import type { LinuxFs } from "../fs/facade/index.ts";
import { ensureDirectory } from "../fs/files.ts";
import { mount } from "../fs/mount.ts";
import type { Mount } from "../fs/mount.ts";
import { readMounts } from "../fs/mounts.ts";
import { syncFilesystem } from "../fs/sync.ts";
import { openImage } from "../image/index.ts";
import type { Kernel } from "../kernel.ts";
import type { Process } from "../syscall/process.ts";
import type { FsMount } from "./config.ts";

export class Images {
  readonly #keeper: Process;
  readonly #mounts: readonly Mount[];
  readonly #rest: AsyncDisposableStack;
  readonly fs: LinuxFs;
  /** Where what is written lasts. */
  readonly writable: readonly string[];

  /**
   * @throws {DiskError} if an image cannot be opened @throws {MountError} @throws {NotMountableError}
   * @throws {VolumeNotFoundError}
   */
  static async open(
    kernel: Kernel,
    list: readonly FsMount[],
    onError: (error: unknown) => void,
  ): Promise<Images> {
    await using stack = new AsyncDisposableStack();
    const keeper = await kernel.init.fork({ flags: CLONE_NEWNS });
    stack.defer(() => keeper.exit());
    const mounts: Mount[] = [];
    for (const one of list) {
      const { image: source, readOnly, overlay } = one;
      const image = stack.use(
        await openImage(source, { kernel, overlay, onError, ...(readOnly && { readOnly }) }),
      );
      mounts.push(stack.use(await mountAt(kernel, keeper, image.volume(one.volume).path, one)));
    }
    const process = await keeper.fork();
    const fs = createFs(process, { ownsProcess: true });
    stack.use(fs);
    const readOnly = (await readMounts(keeper)).filter((entry) => entry.readOnly);
    const writable = list
      .filter(({ overlay }) => !overlay)
      .map(({ prefix }) => prefix)
      .filter((prefix) => !readOnly.some(({ target }) => target === prefix));
    return new Images(keeper, mounts, fs, writable, stack.move());
  }

  private constructor(
    keeper: Process,
    mounts: readonly Mount[],
    fs: LinuxFs,
    writable: readonly string[],
    rest: AsyncDisposableStack,
  ) {
    this.#keeper = keeper;
    this.#mounts = mounts;
    this.fs = fs;
    this.writable = writable;
    this.#rest = rest;
  }

  /** Write back everything. @throws {SystemError} EIO, ENOSPC */
  async sync(): Promise<void> {
    for (const { target } of this.#mounts) await syncFilesystem(this.#keeper, target);
  }

  /** Close all files, write back, unmount, and close the images. @throws {SystemError} */
  end(): Promise<void> {
    return this.#rest.disposeAsync();
  }
}

async function mountAt(
  kernel: Kernel,
  keeper: Process,
  source: string,
  { prefix, image, type, options, readOnly }: FsMount,
): Promise<Mount> {
  for (let at = prefix.indexOf("/", 1); at > 0; at = prefix.indexOf("/", at + 1))
    await ensureDirectory(keeper, prefix.slice(0, at));
  await ensureDirectory(keeper, prefix);
  return mount(
    { init: keeper, log: kernel.log },
    {
      source,
      sourceName: image,
      target: prefix,
      ...(type !== undefined && { type }),
      ...(options !== undefined && { options }),
      ...(readOnly && { readOnly }),
    },
  );
}
