// red: packets are dropped, or marked, before the queue is full (tc-red(8); Floyd and Jacobson, Random
// Early Detection Gateways for Congestion Avoidance, 1993).
//
// The kernel computes with powers of two and a table, which it wants to be told: they are made here
// from what people know, packets and rates.

import {
  TCA_RED_MAX_P,
  TCA_RED_PARMS,
  TCA_RED_STAB,
  TC_RED_ADAPTATIVE,
  TC_RED_ECN,
  TC_RED_HARDDROP,
  TC_RED_NODROP,
  TCA_RED_FLAGS,
} from "../abi/constants/pkt_sched.ts";
import { TcRedQopt } from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import { atLeast, fixed, onlyKnown, record, u32, whole } from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";
import { fromProbability, toProbability } from "./probability.ts";

const MAX_U32 = 0xffffffff;
const US = 1e6;

/** What is left out is as by tc(8). */
export interface RedOptions {
  /** How much may wait. */
  limitBytes: number;
  /** Below this average nothing is dropped. Default: a third of `maxBytes`. */
  minBytes?: number;
  /** From this average on the chance is `probability`. Default: a quarter of the limit. */
  maxBytes?: number;
  /** Default 0.02. */
  probability?: number;
  /** How long packets are on average. Default 1000. Not told. */
  packetBytes?: number;
  /** How many of them may come at once. Default: what fits the averages. Not told. */
  burstPackets?: number;
  /** Of the link, for the average while nothing comes. Default 1.25e6 (10 Mbit/s). Not told. */
  rateBytesPerSecond?: number;
  /** Mark in place of drop, where both ends understand it. */
  ecn?: boolean;
  /** With ecn: drop from `maxBytes` on. */
  hardDrop?: boolean;
  /** With ecn: do not drop what cannot be marked. */
  noDrop?: boolean;
  /** Change the chance so that the average stays in between. */
  adaptive?: boolean;
  /** The weight of what is there now in the average is 2 to the power of this. Only told. */
  weightLog2?: number;
}

const NAMES: Readonly<Record<keyof RedOptions, true>> = {
  limitBytes: true,
  minBytes: true,
  maxBytes: true,
  probability: true,
  packetBytes: true,
  burstPackets: true,
  rateBytesPerSecond: true,
  ecn: true,
  hardDrop: true,
  noDrop: true,
  adaptive: true,
  weightLog2: true,
};

const PROBABILITY = 0.02;
const PACKET_BYTES = 1000;
const RATE = 1_250_000;
/** Entries of the table (RED_STAB_SIZE of include/net/red.h). */
const TABLE_SIZE = 256;
/** The most that a shift in the table may be. */
const MAX_SHIFT = 31;
const MAX_CELL_LOG2 = 31;

/**
 * The largest weight, as the power of two that it is divided by, with which a burst does not bring
 * the average above the minimum (section 7 of the paper).
 */
function weightLog2(minBytes: number, burst: number, packetBytes: number): number | undefined {
  const least = burst + 1 - minBytes / packetBytes;
  if (least < 1) return undefined;
  for (let log = 1; log < 32; log++) {
    const weight = 2 ** -log;
    if (least <= (1 - (1 - weight) ** burst) / weight) return log;
  }
  return undefined;
}

/** The chance, over the width between the averages, as a power of two. */
function slopeLog2(width: number, probability: number): number {
  return width <= 0 ? 0 : Math.max(0, Math.min(31, Math.ceil(Math.log2(width / probability))));
}

/** How far the average falls by the time that nothing came, in steps of a power of two of µs. */
function idleTable(log2: number, packetBytes: number, bytesPerSecond: number) {
  const packetUs = (packetBytes / bytesPerSecond) * US;
  const fall = -Math.log2(1 - 2 ** -log2) / packetUs;
  const longest = MAX_SHIFT / fall;
  const cell = Math.max(
    0,
    Math.min(MAX_CELL_LOG2, Math.ceil(Math.log2(longest / (TABLE_SIZE - 1)))),
  );
  const table = Uint8Array.from({ length: TABLE_SIZE }, (_, i) =>
    i === TABLE_SIZE - 1 ? MAX_SHIFT : Math.min(MAX_SHIFT, Math.round(i * 2 ** cell * fall)),
  );
  return { cell, table };
}

const parameters: Codec<TcRedQopt> = {
  write: (to, raw) => to.put(raw.bytes),
  read(payload) {
    atLeast(payload, TcRedQopt.size);
    return TcRedQopt.from(payload);
  },
};

/** struct nla_bitfield32 of linux/netlink.h: values, and which of them are meant. */
const flagField = record(
  8,
  (view) => ({ value: view.getUint32(0, true) }),
  (view, { value }) => {
    view.setUint32(0, value, true);
    view.setUint32(4, value, true);
  },
);

const attributes = new AttributeSet({
  parameters: [TCA_RED_PARMS, parameters],
  table: [TCA_RED_STAB, fixed(TABLE_SIZE)],
  maxProbability: [TCA_RED_MAX_P, u32],
  flags: [TCA_RED_FLAGS, flagField],
});

export const red: Codec<RedOptions> = {
  nested: true,
  nameOf: (type) => attributes.nameOf(type),
  write(to, value) {
    onlyKnown(to, value, Object.keys(NAMES));
    const option = (name: keyof RedOptions) => `${to.path}.${name}`;
    const number = (name: keyof RedOptions, usual: number, least = 1) =>
      whole((value[name] as number | undefined) ?? usual, least, MAX_U32, option(name));
    const raw = TcRedQopt.alloc();
    raw.limit = number("limitBytes", NaN);
    raw.qth_max = number("maxBytes", Math.max(1, Math.floor(raw.limit / 4)));
    raw.qth_min = number("minBytes", Math.max(1, Math.floor(raw.qth_max / 3)));
    if (raw.qth_min > raw.qth_max)
      throw new InvalidOptionError(option("minBytes"), `${raw.qth_min} is more than "maxBytes"`);
    const packet = number("packetBytes", PACKET_BYTES);
    const usual = Math.ceil((2 * raw.qth_min + raw.qth_max) / (3 * packet));
    const burst = number("burstPackets", usual);
    const weight = weightLog2(raw.qth_min, burst, packet);
    if (weight === undefined)
      throw new InvalidOptionError(
        option("burstPackets"),
        `${burst}: it is "minBytes" divided by "packetBytes" or more, ${Math.ceil(raw.qth_min / packet)}`,
      );
    const probability = value.probability ?? PROBABILITY;
    const chance = toProbability(probability, option("probability"));
    const { cell, table } = idleTable(weight, packet, number("rateBytesPerSecond", RATE));
    raw.Wlog = weight;
    raw.Plog = slopeLog2(raw.qth_max - raw.qth_min, probability);
    raw.Scell_log = cell;
    const flags =
      (value.ecn ? TC_RED_ECN : 0) |
      (value.hardDrop ? TC_RED_HARDDROP : 0) |
      (value.adaptive ? TC_RED_ADAPTATIVE : 0) |
      (value.noDrop ? TC_RED_NODROP : 0);
    attributes.write(to, {
      parameters: raw,
      table,
      maxProbability: chance,
      // Here, as the structure has no room for all of them.
      ...(flags && { flags: { value: flags } }),
    });
  },
  read(payload) {
    const { parameters: told, maxProbability, flags } = attributes.read(payload);
    const raw = told ?? TcRedQopt.alloc();
    const all = raw.flags | (flags?.value ?? 0);
    return {
      limitBytes: raw.limit,
      minBytes: raw.qth_min,
      maxBytes: raw.qth_max,
      probability: fromProbability(maxProbability ?? 0),
      weightLog2: raw.Wlog,
      ...(all & TC_RED_ECN && { ecn: true }),
      ...(all & TC_RED_HARDDROP && { hardDrop: true }),
      ...(all & TC_RED_NODROP && { noDrop: true }),
      ...(all & TC_RED_ADAPTATIVE && { adaptive: true }),
    };
  },
};
