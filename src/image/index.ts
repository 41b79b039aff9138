// Disk images: opened, with their volumes, to be mounted.
export { Image, openImage, VolumeNotFoundError } from "./image.ts";
export type { OpenImageOptions, VolumeSelector } from "./image.ts";
export { MountedVolume } from "./mounted-volume.ts";
export { Volume } from "./volume.ts";
export type { VolumeMountOptions } from "./volume.ts";
