// What goes wrong with devices.

/** A device cannot go on: it threw, or its driver broke the rules of the transport. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  readonly code = "ERR_DEVICE";
  /** The device's own name, such as "virtio-blk". */
  readonly device: string;

  constructor(device: string, problem: string, cause?: unknown) {
    super(`${device}: ${problem}`, cause === undefined ? undefined : { cause });
    this.device = device;
  }
}
