// What only Node (and Deno and Bun, as Node) has.
export { CaptureFile } from "./capture-file.ts";
export type { CaptureFileOptions } from "./capture-file.ts";
export { FileDisk } from "./file-disk.ts";
export type { FileDiskOptions } from "./file-disk.ts";
export { KernelNotFoundError } from "./image.ts";
export { hostNat } from "./host-nat.ts";
export { MulticastLink } from "./multicast-link.ts";
export type { MulticastLinkOptions } from "./multicast-link.ts";
export { SocketLink, SocketLinkServer } from "./socket-link.ts";
export type { SocketPlace } from "./socket-link.ts";
export { TapLink } from "./tap-link.ts";
export type { TapLinkOptions } from "./tap-link.ts";
export { UdpLink } from "./udp-link.ts";
export type { UdpLinkOptions } from "./udp-link.ts";
export { createSockets } from "./sockets/index.ts";
export type { LinuxDgram, LinuxDns, LinuxNet, NodeSockets } from "./sockets/index.ts";
