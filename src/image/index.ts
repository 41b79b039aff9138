// Disk images: opened, with their volumes, to be mounted.
export { VolumeNotFoundError } from "./errors.ts";
export type { Image, OpenImageOptions, VolumeSelector } from "./image.ts";
export type { MountedVolume } from "./mounted-volume.ts";
export { openImage } from "./open.ts";
export type { Volume, VolumeMountOptions } from "./volume.ts";
