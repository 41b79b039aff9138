// What only Node (and Deno and Bun, as Node) has.
export { FileDisk } from "./file-disk.ts";
export type { FileDiskOptions } from "./file-disk.ts";
export { KernelNotFoundError } from "./image.ts";
