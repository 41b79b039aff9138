// What the sockets of one façade share.

import type { LookupFunction } from "node:net";

import type { Sockets } from "../../../net/facade/index.ts";
import type { Holds } from "./holds.ts";

export interface Context {
  readonly sockets: Sockets;
  readonly holds: Holds;
  /** Finds the addresses of names, unless a caller brings a lookup of its own. */
  readonly lookup: LookupFunction;
  /** Whether a name's addresses are tried one after the other, and how long each. */
  autoSelectFamily: boolean;
  autoSelectFamilyAttemptTimeoutMs: number;
}
