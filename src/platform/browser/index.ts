// What only browsers have.
export { OpfsDisk } from "./opfs-disk.ts";
export type { OpfsDiskOptions } from "./opfs-disk.ts";
