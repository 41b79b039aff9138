// ets: bands of which some are strict and the others share (tc-ets(8)).

import {
  TCA_ETS_NBANDS,
  TCA_ETS_NSTRICT,
  TCA_ETS_PRIOMAP,
  TCA_ETS_PRIOMAP_BAND,
  TCA_ETS_QUANTA,
  TCA_ETS_QUANTA_BAND,
} from "../abi/constants/pkt_sched.ts";
import { AttributeSet, list } from "./netlink/attributes.ts";
import { u32, u8 } from "./netlink/codec.ts";

export const ets = new AttributeSet({
  /** 1 to 16. */
  bands: [TCA_ETS_NBANDS, u8],
  /** How many of them, from the first on, go before all that follow. */
  strict: [TCA_ETS_NSTRICT, u8],
  /** How many bytes each of the others sends in its turn. */
  quantaBytes: [TCA_ETS_QUANTA, list(u32, { type: TCA_ETS_QUANTA_BAND })],
  /** The band of each of 16 priorities. */
  priorityMap: [TCA_ETS_PRIOMAP, list(u8, { type: TCA_ETS_PRIOMAP_BAND })],
});

/** A band that shares. */
export const etsClass = new AttributeSet({ quantumBytes: [TCA_ETS_QUANTA_BAND, u32] });
