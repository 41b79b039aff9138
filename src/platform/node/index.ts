// What only Node (and Deno and Bun, as Node) has.
export { CaptureFile } from "./capture-file.ts";
export type { CaptureFileOptions } from "./capture-file.ts";
export { FileDisk } from "./file-disk.ts";
export type { FileDiskOptions } from "./file-disk.ts";
export { KernelNotFoundError } from "./image.ts";
export { createSockets } from "./sockets/index.ts";
export type { LinuxDgram, LinuxDns, LinuxNet, NodeSockets } from "./sockets/index.ts";
