// A volume that is mounted, with its files.

import { createFs } from "../fs/facade/index.ts";
import type { LinuxFs } from "../fs/facade/index.ts";
import { freeze } from "../fs/freeze.ts";
import type { Frozen } from "../fs/freeze.ts";
import type { Mount } from "../fs/mount.ts";
import { resize, ResizeError } from "../fs/resize.ts";
import type { Usage } from "../fs/stat.ts";
import { syncFilesystem } from "../fs/sync.ts";
import { trim } from "../fs/trim.ts";
import type { TrimOptions } from "../fs/trim.ts";
import { KernelPanicError, KernelStoppedError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import { diskFor, growVolume } from "./grow.ts";
import type { Growth } from "./grow.ts";
import type { Volume } from "./volume.ts";

/** Disposing it closes its files and unmounts it: what was written is in the image then. */
export class MountedVolume implements AsyncDisposable {
  readonly #ended: () => void;
  /** With all rights, and not confined to the volume. */
  readonly #keeper: Process;
  readonly volume: Volume;
  readonly mount: Mount;
  /** Its root directory is the volume's: whatever names and links there are, it reaches nothing else. */
  readonly process: Process;
  /** Its files, in the shape of `node:fs`. */
  readonly fs: LinuxFs;
  #unmounted: Promise<void> | null = null;

  /** @internal Use {@link Volume.mount}. */
  constructor(volume: Volume, mount: Mount, keeper: Process, process: Process, ended: () => void) {
    this.volume = volume;
    this.mount = mount;
    this.process = process;
    this.fs = createFs(process);
    this.#keeper = keeper;
    this.#ended = ended;
  }

  /** Whether its journal was left alone although it was not empty. */
  get journalSkipped(): boolean {
    return this.mount.journalSkipped;
  }

  usage(): Promise<Usage> {
    return this.mount.usage();
  }

  /**
   * Give the file system another size, as {@link resize} of `liblinux/fs`. If the volume has less, it
   * grows first where that is possible: the disk, if it can get another size, and the partition, if it
   * is the last one. Of a file system that shrinks the volume keeps its size.
   *
   * @param size in bytes, or "device": all that the volume has
   * @throws {ResizeError} if it cannot get that size @throws {DiskError} e.g. ENOSPC
   */
  async resize(size: number | "device"): Promise<void> {
    const { device, number, startBytes } = this.volume;
    const partition = (await device.partitions()).find((one) => one.number === number);
    const has = partition?.sizeBytes ?? device.sizeBytes;
    // What can have no other size says so itself.
    if (size === "device" || size <= has || !device.disk.resize || device.readOnly)
      return this.#resizeFilesystem(size);
    const diskBytes = number ? diskFor(startBytes, size) : size;
    await this.#grow({
      diskBytes: Math.max(diskBytes, device.sizeBytes),
      ...(number && { partitionBytes: size }),
    });
    return this.#resizeFilesystem(size);
  }

  /**
   * Give the disk another size, and all that is more to this volume: its partition, which has to be the
   * last one, and its file system. If that cannot grow, a disk without partitions stays as it was.
   *
   * @param diskBytes not less than the disk has
   * @throws {ResizeError} if it cannot get that size @throws {DiskError} e.g. ENOSPC
   */
  async growDisk(diskBytes: number): Promise<void> {
    await this.#grow({ diskBytes });
  }

  #resizeFilesystem(size: number | "device"): Promise<void> {
    return resize(this.#keeper, this.mount.target, size);
  }

  async #grow(growth: Growth): Promise<void> {
    const { device, number } = this.volume;
    const before = device.sizeBytes;
    // Nothing is done to a disk whose file system can have no other size. (Below 256 MiB btrfs refuses
    // even the one that it has, with another error.)
    await this.#resizeFilesystem("device").catch((error: unknown) => {
      if (error instanceof ResizeError) throw error;
    });
    await growVolume(this.#keeper, device, number, growth);
    try {
      await this.#resizeFilesystem("device");
    } catch (error) {
      if (!number) await device.disk.resize?.(before);
      throw error;
    }
  }

  /** Tell the disk what is not used. @returns how many bytes were told of */
  trim(options: TrimOptions = {}): Promise<number> {
    return trim(this.#keeper, this.mount.target, options);
  }

  /** Write back everything, and hold writers until what is returned is disposed. */
  freeze(): Promise<Frozen> {
    return freeze(this.#keeper, this.mount.target);
  }

  /** Write back everything. */
  sync(): Promise<void> {
    return syncFilesystem(this.#keeper, this.mount.target);
  }

  /**
   * Close all files, write back and unmount. A second call gives the first one's result.
   *
   * @throws {SystemError} e.g. EIO if not all could be written; EBUSY if another process writes
   */
  unmount(): Promise<void> {
    return (this.#unmounted ??= this.#unmount());
  }

  async #unmount(): Promise<void> {
    await this.fs[Symbol.asyncDispose]();
    await this.process.exit();
    await this.mount.unmount();
    this.#ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.unmount();
    } catch (error) {
      // It ended with its kernel, which tells everybody why.
      if (error instanceof KernelStoppedError || error instanceof KernelPanicError) return;
      throw error;
    }
  }
}
