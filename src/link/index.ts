// Links: where the frames of network devices go.
export { Cable } from "./cable.ts";
export { Capture } from "./capture.ts";
export type { CaptureOptions, CaptureSink, CapturedPortOptions } from "./capture.ts";
export { EmulatedLink } from "./emulated.ts";
export type { EmulatedLinkOptions } from "./emulated.ts";
export { LinkError } from "./errors.ts";
export type { LinkErrorCode } from "./errors.ts";
export { Frame, MAX_FRAME_BYTES, MIN_FRAME_BYTES } from "./frame.ts";
export type { Offload } from "./frame.ts";
export { Hub, MAX_PORTS } from "./hub.ts";
export { MAX_LANE_BYTES } from "./lane.ts";
export type { Impairments, Lane, LaneCounters } from "./lane.ts";
export { Jack, patch } from "./link.ts";
export type {
  Direction,
  JackOwner,
  Observer,
  Port,
  PortCounters,
  Station,
  Waiter,
} from "./link.ts";
export { complete } from "./offload.ts";
export type { RedOptions } from "./red.ts";
export { Switch } from "./switch.ts";
export type { SwitchOptions } from "./switch.ts";
export { MAX_BACKLOG_BYTES, Uplink } from "./uplink.ts";
export type { UplinkOptions } from "./uplink.ts";
export { WebSocketLink } from "./websocket-link.ts";
export type { WebSocketLinkOptions } from "./websocket-link.ts";
export { MAX_CONNECTIONS } from "./nat/connections.ts";
export { MAX_FLOWS } from "./nat/flows.ts";
export { HostNat } from "./nat/nat.ts";
export type { Destination, Forward, HostNatOptions } from "./nat/nat.ts";
export type {
  DatagramListener,
  HostDatagrams,
  HostFailure,
  HostListener,
  HostSockets,
  HostStream,
  StreamListener,
} from "./nat/sockets.ts";
