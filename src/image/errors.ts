// What goes wrong with images.

/** No volume, or more than one, is what was meant. */
export class VolumeNotFoundError extends Error {
  override readonly name = "VolumeNotFoundError";
  readonly code = "ERR_VOLUME_NOT_FOUND";
}
