// Virtio devices, and the bus that plugs them into a machine.
export { VirtioBlock } from "./block.ts";
export type { VirtioBlockOptions } from "./block.ts";
export { MAX_DEVICES, VirtioBus } from "./bus.ts";
export { MAX_OUTPUT_BYTES, VirtioConsole } from "./console.ts";
export type { VirtioConsoleOptions } from "./console.ts";
export { VirtioDevice } from "./device.ts";
export type { DeviceShape, Slot } from "./device.ts";
export { DeviceError } from "./errors.ts";
export { VirtioNet } from "./net.ts";
export type { VirtioNetOptions } from "./net.ts";
export { NetCounters } from "./net-counters.ts";
export { MAX_CHAIN, MAX_QUEUE_SIZE, VirtQueue } from "./queue.ts";
export type { QueueLayout } from "./queue.ts";
export { VirtioRng } from "./rng.ts";
