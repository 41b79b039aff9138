// An image, opened in a kernel booted for it.

import type { BlockDevice } from "../fs/block-device.ts";
import { attachDisk } from "../fs/block-device.ts";
import { knownTypes, mount, MountError, NotMountableError } from "../fs/mount.ts";
import type { Mount } from "../fs/mount.ts";
import { listVolumes } from "../fs/volumes.ts";
import type { Volume } from "../fs/volumes.ts";
import { Kernel } from "../kernel.ts";
import type { Profile } from "../platform/image.ts";
import { FileDisk } from "../platform/node/file-disk.ts";
import { KernelNotFoundError } from "../platform/node/image.ts";
import type { Process } from "../syscall/process.ts";
import type { Address } from "./address.ts";
import { PlaceError } from "./errors.ts";
import type { KernelChoice } from "./options.ts";

/** An image in a kernel, read-only. Disposing it halts the kernel. */
export interface OpenImage extends AsyncDisposable {
  readonly kernel: Kernel;
  readonly device: BlockDevice;
  readonly volumes: readonly Volume[];
  /** Said where this kernel lacks a file system. */
  readonly cure: string;
}

/** The file systems that a kernel lacks, of those on an image. */
async function missingTypes(kernel: Kernel, volumes: readonly Volume[]): Promise<string[]> {
  const known = await knownTypes(kernel.init);
  return volumes
    .filter(({ content }) => content?.kind === "filesystem" && !known.includes(content.type))
    .map(({ content }) => content!.type);
}

/** Open an image in a kernel that has its file systems, if there is one. */
export async function openImage(path: string, choice: KernelChoice): Promise<OpenImage> {
  const small = await openWith(path, choice.profile ?? "fs", choice.memoryMiB);
  if (choice.profile || !(await missingTypes(small.kernel, small.volumes)).length) return small;
  let full: OpenImage;
  try {
    full = await openWith(path, "full", choice.memoryMiB);
  } catch (error) {
    // Then mounting will say what is missing.
    if (!(error instanceof KernelNotFoundError)) throw error;
    const cure = "; the full kernel may have one: npm run kernel:build -- --profile full";
    return { ...small, cure };
  }
  await small[Symbol.asyncDispose]();
  return full;
}

async function openWith(path: string, profile: Profile, memoryMiB: number): Promise<OpenImage> {
  await using stack = new AsyncDisposableStack();
  // Before the kernel: that there is no such file is quickly told.
  const disk = stack.use(openDisk(path));
  const kernel = stack.use(await Kernel.boot({ image: profile, memoryMiB }));
  const device = await attachDisk(kernel, disk, { readOnly: true, onError: firstError(path) });
  const volumes = await listVolumes(kernel, device);
  const whole = stack.move();
  return {
    kernel,
    device,
    volumes,
    cure: profile === "full" ? "" : "; the full kernel may have one: --profile full",
    [Symbol.asyncDispose]: () => whole.disposeAsync(),
  };
}

/** The kernel only says that there was an I/O error: tell why, once. */
function firstError(path: string): (error: unknown) => void {
  let told = false;
  return (error) => {
    if (told) return;
    told = true;
    process.stderr.write(`liblinux: ${path}: ${withoutPath(error as Error, path)}\n`);
  };
}

const withoutPath = ({ message }: Error, path: string) => message.replace(`${path}: `, "");

function openDisk(path: string): FileDisk {
  try {
    return new FileDisk(path, { readOnly: true });
  } catch (error) {
    throw new PlaceError(path, withoutPath(error as Error, path), error);
  }
}

/** A volume in words, such as `2 (ext4 "root")`. */
function describeVolume({ number, content, partition }: Volume): string {
  const label = content?.label ?? partition?.entry?.name;
  const what = content?.type ?? "nothing known";
  return `${number} (${what}${label === undefined ? "" : ` "${label}"`})`;
}

/** The volume that is meant. */
export function chooseVolume(image: OpenImage, address: Address): Volume {
  const { volumes } = image;
  const list = volumes.map(describeVolume).join(", ");
  if (address.volume !== null) {
    const chosen = volumes.find(({ number }) => number === address.volume);
    if (chosen) return chosen;
    throw new PlaceError(address.image, `has no volume ${address.volume}; it has ${list}`);
  }
  if (volumes.length === 1) return volumes[0];
  const whole = volumes.find(({ number }) => number === 0);
  if (whole?.content?.kind === "filesystem") return whole;
  const files = volumes.filter(({ content }) => content?.kind === "filesystem");
  if (files.length === 1) return files[0];
  const example = `${address.image}:${(files[0] ?? volumes[0]).number}:/`;
  throw new PlaceError(
    address.image,
    files.length
      ? `has several volumes: ${list}; name one, as in ${example}`
      : `has no file system that is known; its volumes are ${list}`,
  );
}

/** A volume's files: a process whose root directory is the volume's. */
export interface OpenVolume extends AsyncDisposable {
  readonly volume: Volume;
  readonly mount: Mount;
  /** Whatever names and links the image has, it reaches nothing else. */
  readonly process: Process;
}

export async function openVolume(image: OpenImage, address: Address): Promise<OpenVolume> {
  const { kernel } = image;
  const volume = chooseVolume(image, address);
  const mounted = await mountVolume(image, volume, address.image);
  if (mounted.journalSkipped)
    process.stderr.write(
      `liblinux: ${address.image}: its journal was not replayed, since the image is opened ` +
        "read-only: the last changes before it was last unplugged may be missing\n",
    );
  const reader = await kernel.process({ root: mounted.target });
  return {
    volume,
    mount: mounted,
    process: reader,
    async [Symbol.asyncDispose]() {
      await reader.exit();
      await mounted[Symbol.asyncDispose]();
    },
  };
}

/** Mount read-only, and tell what fails in the image's terms. */
export async function mountVolume(image: OpenImage, volume: Volume, path: string): Promise<Mount> {
  const place = volume.number ? `${path}:${volume.number}` : path;
  const options = { source: volume.path, readOnly: true, skipJournal: true };
  try {
    return await mount(image.kernel, options);
  } catch (error) {
    if (error instanceof NotMountableError) {
      const lacking = error.content?.kind === "filesystem";
      throw new PlaceError(place, error.message + (lacking ? image.cure : ""), error);
    }
    if (!(error instanceof MountError)) throw error;
    throw new PlaceError(place, error.message.replace(/, mounting \S+/, ", mounting it"), error);
  }
}
