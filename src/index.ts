// The library: the Linux kernel, to be booted any number of times.
export { Kernel } from "./kernel.ts";
export type { BootOptions, ProcessOptions } from "./kernel.ts";
export { VirtualClock, WallClock } from "./machine/clock.ts";
export type { Clock } from "./machine/clock.ts";
export {
  InvalidOptionError,
  KernelPanicError,
  KernelStoppedError,
  NotAKernelError,
} from "./machine/errors.ts";
export { KernelImage } from "./machine/image.ts";
export { UnsupportedEngineError } from "./machine/jspi.ts";
export { KernelLog, formatRecord } from "./machine/log.ts";
export type { LogRecord } from "./machine/log.ts";
export { seededRandom, systemRandom } from "./machine/random.ts";
export type { Random } from "./machine/random.ts";
export { TaskExitedError } from "./machine/user.ts";
export { loadImage } from "./platform/image.ts";
export type { Profile } from "./platform/image.ts";
export { KernelBuffer } from "./syscall/buffer.ts";
export { BufferSizeError, DisposedError, SystemError } from "./syscall/errors.ts";
export { Process } from "./syscall/process.ts";
export type { ExitStatus } from "./syscall/process.ts";
export { DeviceError } from "./virtio/errors.ts";
export { DiskError } from "./disk/errors.ts";
export { openImage, VolumeNotFoundError } from "./image/index.ts";
export type {
  Image,
  MountedVolume,
  OpenImageOptions,
  Volume,
  VolumeMountOptions,
  VolumeSelector,
} from "./image/index.ts";
export type { ImageSource } from "./platform/source.ts";
