// An image, opened for a verb: with what goes wrong told in the user's terms.

import { DiskError } from "../disk/errors.ts";
import { FsError } from "../fs/facade/index.ts";
import { MountError, NotMountableError } from "../fs/mount.ts";
import { openImage as open, VolumeNotFoundError } from "../image/index.ts";
import type { Image, MountedVolume, Volume } from "../image/index.ts";
import { KernelNotFoundError } from "../platform/node/image.ts";
import { SystemError } from "../syscall/errors.ts";
import { isRemote } from "./address.ts";
import type { Address } from "./address.ts";
import { PlaceError } from "./errors.ts";
import type { KernelChoice } from "./options.ts";

/** What a verb means to do with an image. */
export interface Access extends KernelChoice {
  /** Default: only read. */
  readonly write?: boolean;
}

/** Open an image in a kernel that has its file systems, if there is one. */
export async function openImage(path: string, access: Access): Promise<Image> {
  const { profile, memoryMiB, write = false, replay = false } = access;
  // An overlay may be written to; its image is opened read-only.
  const how = replay ? { overlay: true } : { readOnly: !write };
  const options = { memoryMiB, ...how, onError: firstError(path) };
  try {
    const image = await open(path, profile ? { ...options, profile } : options);
    if (!write || !image.devices[0].readOnly) return image;
    await image.close();
    throw new PlaceError(path, readOnlyProblem(path));
  } catch (error) {
    if (error instanceof DiskError) throw new PlaceError(path, diskProblem(error, path), error);
    if (!(error instanceof KernelNotFoundError) || profile) throw error;
    process.stderr.write(
      `liblinux: ${path}: has what only the full kernel can mount: ${error.message}\n`,
    );
    return open(path, { ...options, profile: "fs" });
  }
}

const readOnlyProblem = (path: string): string =>
  isRemote(path)
    ? "EROFS: is on a server, where it can only be read: copy it to this machine first"
    : "EROFS: is compressed, and can only be read: unpack it first";

/** What a disk says, without its own name, and with a cure of the command line. */
export function diskProblem({ message }: Error, path: string): string {
  return message
    .replace(`${path}: `, "")
    .replace("; open it with readOnly", ": copy it to where it can be written");
}

/** The kernel only says that there was an I/O error: tell why, once. */
function firstError(path: string): (error: unknown) => void {
  let told = false;
  return (error) => {
    if (told) return;
    told = true;
    process.stderr.write(`liblinux: ${path}: ${diskProblem(error as Error, path)}\n`);
  };
}

/** The volume that is meant. */
export function chooseVolume(image: Image, address: Address): Volume {
  try {
    return image.volume(address.volume ?? undefined);
  } catch (error) {
    if (!(error instanceof VolumeNotFoundError)) throw error;
    const example = image.volumes.find(({ content }) => content?.kind === "filesystem");
    const hint =
      address.volume === null && example ? `, as in ${address.image}:${example.number}:/` : "";
    throw new PlaceError(address.image, error.message + hint, error);
  }
}

/** The volume that an address means, mounted. */
export async function openVolume(
  image: Image,
  address: Address,
  { write = false, replay = false }: Pick<Access, "write" | "replay"> = {},
): Promise<MountedVolume> {
  const volume = chooseVolume(image, address);
  const mounted = await mountVolume(volume, address.image, { write, replay });
  if (mounted.journalSkipped)
    process.stderr.write(
      `liblinux: ${address.image}: its journal was not replayed, since the image is opened ` +
        "read-only: the last changes before it was last unplugged may be missing (--replay shows " +
        "them, and leaves the image as it is)\n",
    );
  return mounted;
}

/** Mount a volume, and tell what fails in the image's terms. */
export async function mountVolume(
  volume: Volume,
  path: string,
  { write = false, replay = false }: Pick<Access, "write" | "replay"> = {},
): Promise<MountedVolume> {
  const place = volume.number ? `${path}:${volume.number}` : path;
  try {
    return await volume.mount({ readOnly: !write, skipJournal: !write && !replay });
  } catch (error) {
    if (error instanceof NotMountableError) throw new PlaceError(place, error.problem, error);
    if (!(error instanceof MountError)) throw error;
    const problem = error.problem
      .replace(/, mounting \S+/, ", mounting it")
      .replace("open the image with an overlay, or mount it with skipJournal", REPLAY_CURE);
    throw new PlaceError(place, problem, error);
  }
}

const REPLAY_CURE = "--replay does that in memory";

/** Whether an error comes from the kernel that has the image; else it is this machine's. */
export const isOfImage = (error: unknown): boolean =>
  error instanceof SystemError || error instanceof FsError;
