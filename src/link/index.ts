// Links: where the frames of network devices go.
export { Cable } from "./cable.ts";
export { LinkError } from "./errors.ts";
export type { LinkErrorCode } from "./errors.ts";
export { Frame, MAX_FRAME_BYTES, MIN_FRAME_BYTES } from "./frame.ts";
export type { Offload } from "./frame.ts";
export { Hub, MAX_PORTS } from "./hub.ts";
export { Jack, patch } from "./link.ts";
export type { Direction, JackOwner, Observer, Port, PortCounters, Station } from "./link.ts";
export { complete } from "./offload.ts";
export { Switch } from "./switch.ts";
export type { SwitchOptions } from "./switch.ts";
