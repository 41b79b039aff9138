// The way in, without what it leads to: a program that only boots kernels has no use for that.

import type { ImageSource } from "../platform/source.ts";
import type { Image, OpenImageOptions } from "./image.ts";

/**
 * Open a disk image, or several that belong together, such as the disks of one btrfs. Nothing is
 * written to it before a volume is mounted.
 *
 * @throws {DiskError} if a source cannot be opened, e.g. ENOENT
 * @throws {InvalidOptionError} @throws {KernelPanicError}
 */
export async function openImage(
  source: ImageSource | readonly ImageSource[],
  options: OpenImageOptions = {},
): Promise<Image> {
  const image = await import("./image.ts");
  return image.openImage(source, options);
}
