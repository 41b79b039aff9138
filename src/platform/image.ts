// Finds the kernels that come with the package, wherever it runs.

import type { KernelImage } from "../machine/image.ts";
import { hasNode } from "./runtime.ts";

/** Which kernel: everything, or file systems only (smaller). */
export type Profile = "full" | "fs" | "kunit";

const images = new Map<Profile, Promise<KernelImage>>();

/** A kernel of the package, loaded and compiled once for all that use it. */
export function loadImage(profile: Profile): Promise<KernelImage> {
  let image = images.get(profile);
  if (!image) {
    image = read(profile);
    images.set(profile, image);
    // What failed may succeed later, e.g. when the kernel has been built.
    image.catch(() => images.delete(profile));
  }
  return image;
}

async function read(profile: Profile): Promise<KernelImage> {
  const platform = hasNode() ? await import("./node/image.ts") : await import("./browser/image.ts");
  return platform.readImage(profile);
}
