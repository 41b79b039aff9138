// Sockets of the kernel, driven by events, in every runtime.
export { Connection } from "./connection.ts";
export type { ConnectOptions, Message } from "./connection.ts";
export { packetInfo, packetInfoOf, rights, rightsOf, timestampOf } from "./control.ts";
export type { ControlMessage, PacketInfo } from "./control.ts";
export type { Datagram, OutgoingDatagram } from "./datagram-room.ts";
export { DatagramSocket } from "./datagrams.ts";
export type { DatagramOptions } from "./datagrams.ts";
export { ipEndpoint } from "./endpoint.ts";
export type { Endpoint, IpEndpoint, PacketEndpoint, UnixEndpoint } from "./endpoint.ts";
export { SocketClosedError, SocketError } from "./errors.ts";
export { Listener } from "./listener.ts";
export type { ListenOptions } from "./listener.ts";
export type { OptionKey, OptionName, OptionValue } from "./options.ts";
export { LookupError } from "./resolver/errors.ts";
export type { IpAddressInfo, LookupOptions } from "./resolver/resolver.ts";
export { Sockets } from "./sockets.ts";
export type { SocketsOptions } from "./sockets.ts";
