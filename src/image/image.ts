// A disk image, opened: the kernel that has it, and its volumes.
//
// Invariants: a kernel that was booted for an image is halted with it; what was opened for it is
// closed last.

import { OverlayDisk } from "../disk/overlay-disk.ts";
import { attachDisk } from "../fs/block-device.ts";
import type { BlockDevice } from "../fs/block-device.ts";
import { scanBtrfs } from "../fs/btrfs.ts";
import { knownTypes } from "../fs/mount.ts";
import { listVolumes } from "../fs/volumes.ts";
import type { VolumeFacts } from "../fs/volumes.ts";
import { Kernel } from "../kernel.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Profile } from "../platform/image.ts";
import { openSource } from "../platform/source.ts";
import type { ImageSource, OpenedSource } from "../platform/source.ts";
import { VolumeNotFoundError } from "./errors.ts";
import { Volume } from "./volume.ts";

export interface OpenImageOptions {
  /** Never write to the image. Default: as the source is. */
  readOnly?: boolean;
  /**
   * Keep what is written in memory, and the image as it is: to look into one that must not change, or
   * to try something. The disks of {@link Image.devices} are {@link OverlayDisk}s then, which can be
   * committed. Default false.
   */
  overlay?: boolean;
  /** A kernel that runs already. Default: one is booted for the image, and halted with it. */
  kernel?: Kernel;
  /** The kernel to boot. Default: `fs`, or `full` if the image has what only that can mount. */
  profile?: Profile;
  /** Memory of the kernel to boot, in MiB. Default 128. */
  memoryMiB?: number;
  /** How long an asynchronous disk may take for a request, in milliseconds. Default: any time. */
  timeoutMs?: number;
  /** Called with what made a request to a disk fail; the kernel only sees an I/O error. */
  onError?: (error: unknown) => void;
}

const DEFAULT_MEMORY_MIB = 128;

/** @internal Use openImage() of open.ts. */
export async function openImage(
  source: ImageSource | readonly ImageSource[],
  options: OpenImageOptions,
): Promise<Image> {
  await using stack = new AsyncDisposableStack();
  const sources: Source[] = [];
  // Before the kernel: that there is no such file is quickly told.
  for (const one of Array.isArray(source) ? source : [source]) {
    const { overlay = false, readOnly = overlay } = options;
    const opened = await openSource(one as ImageSource, readOnly);
    stack.defer(() => opened.close());
    const disk = overlay ? stack.use(new OverlayDisk(opened.disk)) : opened.disk;
    sources.push({ disk, name: opened.name });
  }
  if (!sources.length) throw new InvalidOptionError("source", "no image was given");
  const image = options.kernel
    ? await attachAll(options.kernel, sources, options)
    : await attachToNewKernel(sources, options);
  stack.use(image);
  const whole = stack.move();
  return new Image(image, () => whole.disposeAsync());
}

/** A disk to attach, and what the application calls it. */
type Source = Pick<OpenedSource, "disk" | "name">;

/** Disks in a kernel. */
interface Attached extends AsyncDisposable {
  readonly kernel: Kernel;
  readonly devices: readonly BlockDevice[];
  readonly roots: readonly Volume[];
  readonly volumes: readonly Volume[];
}

async function attachAll(
  kernel: Kernel,
  sources: readonly Source[],
  options: OpenImageOptions,
): Promise<Attached> {
  await using stack = new AsyncDisposableStack();
  const devices: BlockDevice[] = [];
  const roots: Volume[] = [];
  const volumes: Volume[] = [];
  for (const { disk, name } of sources) {
    const device = stack.use(await attachDisk(kernel, disk, options));
    devices.push(device);
    const facts = await listVolumes(kernel, device);
    const whole = facts.find(({ number }) => number === 0);
    const root = new Volume(kernel, { device, name }, whole ?? wholeOf(device));
    roots.push(root);
    if (whole) volumes.push(root);
    for (const part of facts)
      if (part !== whole) volumes.push(new Volume(kernel, { device, name }, part, root));
  }
  const members = volumes.filter(({ type }) => type === "btrfs");
  if (sources.length > 1)
    await scanBtrfs(
      kernel.init,
      members.map(({ path }) => path),
    );
  const whole = stack.move();
  return { kernel, devices, roots, volumes, [Symbol.asyncDispose]: () => whole.disposeAsync() };
}

/** A disk that holds nothing but partitions. */
function wholeOf({ path, sizeBytes }: BlockDevice): VolumeFacts {
  return { number: 0, path, startBytes: 0, sizeBytes, partition: null, content: null };
}

async function attachToNewKernel(
  sources: readonly Source[],
  options: OpenImageOptions,
): Promise<Attached> {
  const small = await bootWith(options.profile ?? "fs", sources, options);
  if (options.profile || !(await lacksDriver(small))) return small;
  await small[Symbol.asyncDispose]();
  return bootWith("full", sources, options);
}

async function bootWith(
  profile: Profile,
  sources: readonly Source[],
  options: OpenImageOptions,
): Promise<Attached> {
  await using stack = new AsyncDisposableStack();
  const { memoryMiB = DEFAULT_MEMORY_MIB } = options;
  const kernel = stack.use(await Kernel.boot({ image: profile, memoryMiB }));
  // Halting unmounts before it lets go of the disks: they need not be detached.
  const { devices, roots, volumes } = await attachAll(kernel, sources, options);
  const whole = stack.move();
  return { kernel, devices, roots, volumes, [Symbol.asyncDispose]: () => whole.disposeAsync() };
}

/** Whether a file system is there that this kernel cannot mount. */
async function lacksDriver({ kernel, volumes }: Attached): Promise<boolean> {
  const known = await knownTypes(kernel.init);
  return volumes.some(
    ({ content }) => content?.kind === "filesystem" && !known.includes(content.type),
  );
}

/** Which volume: its number, or its label or UUID. */
export type VolumeSelector = number | string;

/** An open image. Disposing it unmounts all, and halts the kernel if it was booted for it. */
export class Image implements AsyncDisposable {
  readonly kernel: Kernel;
  /** The disks, as the kernel has them, in the order in which they were given. */
  readonly devices: readonly BlockDevice[];
  /**
   * The disks again, as trees of what lies on what: a disk, and its partitions as its
   * {@link Volume.children}.
   */
  readonly roots: readonly Volume[];
  /**
   * What may have a file system, by disk and by number: the partitions, and the whole of a disk that
   * has none or that has a superblock all the same.
   */
  readonly volumes: readonly Volume[];
  readonly #dispose: () => Promise<void>;
  #closed: Promise<void> | null = null;

  /** @internal Use {@link openImage}. */
  constructor(attached: Omit<Attached, typeof Symbol.asyncDispose>, dispose: () => Promise<void>) {
    this.kernel = attached.kernel;
    this.devices = attached.devices;
    this.roots = attached.roots;
    this.volumes = attached.volumes;
    this.#dispose = dispose;
  }

  /**
   * The volume that is meant; if it is not said, the only one that has a file system, or the whole
   * disk where that has one.
   *
   * @throws {VolumeNotFoundError} saying what there is
   */
  volume(selector?: VolumeSelector): Volume {
    const { volumes } = this;
    const list = () => volumes.map(String).join(", ");
    if (selector !== undefined) {
      const matches = volumes.filter((volume) => volume.matches(selector));
      if (matches.length === 1) return matches[0];
      const problem = matches.length ? "several volumes are called" : "there is no volume";
      throw new VolumeNotFoundError(`${problem} ${selector}; there are ${list()}`);
    }
    if (volumes.length === 1) return volumes[0];
    const files = volumes.filter(({ content }) => content?.kind === "filesystem");
    const whole = files.filter(({ number }) => number === 0);
    const [only, ...more] = whole.length ? whole : files;
    if (only && !more.length) return only;
    throw new VolumeNotFoundError(
      only
        ? `there are several volumes: ${list()}; name one`
        : `no volume has a file system that is known; there are ${list()}`,
    );
  }

  /** Unmount what is mounted, and let go of the disks. A second call gives the first one's result. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    try {
      for (const volume of this.volumes) await volume.unmountAll();
    } finally {
      await this.#dispose();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
