// Rates and bursts as the packet scheduler's token buckets have them.

import { TC_LINKLAYER_ETHERNET } from "../abi/constants/pkt_sched.ts";
import type { TcRatespec } from "../abi/structs/netlink.ts";
import { whole } from "./netlink/codec.ts";

const MAX_U32 = 0xffffffff;
/** A tick of the packet scheduler is 2⁶ ns (PSCHED_SHIFT, include/net/pkt_sched.h). */
const TICK_NS = 64;
const NS = 1e9;

/** How long so many bytes take, in ticks. */
export function ticksOf(bytes: number, bytesPerSecond: number): number {
  return Math.min(MAX_U32, Math.ceil((bytes / bytesPerSecond) * (NS / TICK_NS)));
}

export function bytesOf(ticks: number, bytesPerSecond: number): number {
  return Math.round((ticks * TICK_NS * bytesPerSecond) / NS);
}

export function setRate(raw: TcRatespec, bytesPerSecond: number, option: string): void {
  whole(bytesPerSecond, 1, Number.MAX_SAFE_INTEGER, option);
  raw.rate = Math.min(bytesPerSecond, MAX_U32);
  // Otherwise the kernel wants tables, which it only looks at.
  raw.linklayer = TC_LINKLAYER_ETHERNET;
}
