// Queueing disciplines: what each is told (TCA_OPTIONS), and their classes.

import {
  CAKE_DIFFSERV_BESTEFFORT,
  CAKE_DIFFSERV_DIFFSERV3,
  CAKE_DIFFSERV_DIFFSERV4,
  CAKE_DIFFSERV_DIFFSERV8,
  CAKE_DIFFSERV_PRECEDENCE,
  CAKE_FLOW_DST_IP,
  CAKE_FLOW_DUAL_DST,
  CAKE_FLOW_DUAL_SRC,
  CAKE_FLOW_FLOWS,
  CAKE_FLOW_HOSTS,
  CAKE_FLOW_NONE,
  CAKE_FLOW_SRC_IP,
  CAKE_FLOW_TRIPLE,
  NETEM_LOSS_GE,
  TCA_CAKE_ACK_FILTER,
  TCA_CAKE_BASE_RATE64,
  TCA_CAKE_DIFFSERV_MODE,
  TCA_CAKE_FLOW_MODE,
  TCA_CAKE_INGRESS,
  TCA_CAKE_MEMORY,
  TCA_CAKE_MPU,
  TCA_CAKE_NAT,
  TCA_CAKE_OVERHEAD,
  TCA_CAKE_RTT,
  TCA_CAKE_SPLIT_GSO,
  TCA_CAKE_TARGET,
  TCA_CAKE_WASH,
  TCA_CODEL_CE_THRESHOLD,
  TCA_CODEL_ECN,
  TCA_CODEL_INTERVAL,
  TCA_CODEL_LIMIT,
  TCA_CODEL_TARGET,
  TCA_DRR_QUANTUM,
  TCA_FQ_BUCKETS_LOG,
  TCA_FQ_CE_THRESHOLD,
  TCA_FQ_CODEL_CE_THRESHOLD,
  TCA_FQ_CODEL_DROP_BATCH_SIZE,
  TCA_FQ_CODEL_ECN,
  TCA_FQ_CODEL_FLOWS,
  TCA_FQ_CODEL_INTERVAL,
  TCA_FQ_CODEL_LIMIT,
  TCA_FQ_CODEL_MEMORY_LIMIT,
  TCA_FQ_CODEL_QUANTUM,
  TCA_FQ_CODEL_TARGET,
  TCA_FQ_FLOW_MAX_RATE,
  TCA_FQ_FLOW_PLIMIT,
  TCA_FQ_FLOW_REFILL_DELAY,
  TCA_FQ_HORIZON,
  TCA_FQ_HORIZON_DROP,
  TCA_FQ_INITIAL_QUANTUM,
  TCA_FQ_LOW_RATE_THRESHOLD,
  TCA_FQ_ORPHAN_MASK,
  TCA_FQ_PLIMIT,
  TCA_FQ_QUANTUM,
  TCA_FQ_RATE_ENABLE,
  TCA_FQ_TIMER_SLACK,
  TCA_HTB_CEIL64,
  TCA_HTB_DIRECT_QLEN,
  TCA_HTB_INIT,
  TCA_HTB_PARMS,
  TCA_HTB_RATE64,
  TCA_NETEM_CORR,
  TCA_NETEM_CORRUPT,
  TCA_NETEM_ECN,
  TCA_NETEM_JITTER64,
  TCA_NETEM_LATENCY64,
  TCA_NETEM_LOSS,
  TCA_NETEM_PRNG_SEED,
  TCA_NETEM_RATE,
  TCA_NETEM_RATE64,
  TCA_NETEM_REORDER,
  TCA_PIE_ALPHA,
  TCA_PIE_BETA,
  TCA_PIE_BYTEMODE,
  TCA_PIE_ECN,
  TCA_PIE_LIMIT,
  TCA_PIE_TARGET,
  TCA_PIE_TUPDATE,
  TCA_TBF_BURST,
  TCA_TBF_PARMS,
  TCA_TBF_PBURST,
  TCA_TBF_PRATE64,
  TCA_TBF_RATE64,
  TC_HTB_PROTOVER,
} from "../abi/constants/pkt_sched.ts";
import {
  TcFifoQopt,
  TcHtbGlob,
  TcHtbOpt,
  TcNetemCorr,
  TcNetemCorrupt,
  TcNetemGemodel,
  TcNetemQopt,
  TcNetemRate,
  TcNetemReorder,
  TcPrioQopt,
  TcSfqQoptV1,
  TcTbfQopt,
} from "../abi/structs/netlink.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import { AttributeSet } from "./netlink/attributes.ts";
import {
  atLeast,
  named,
  onlyKnown,
  record,
  s32,
  scaled,
  u32,
  u64,
  u8,
  whole,
  yes,
} from "./netlink/codec.ts";
import type { Codec } from "./netlink/codec.ts";
import { fromProbability, toProbability } from "./probability.ts";
import { ets, etsClass } from "./qdisc-ets.ts";
import { hfsc, hfscClass } from "./qdisc-hfsc.ts";
import { red } from "./qdisc-red.ts";
import { bytesOf, setRate, ticksOf } from "./token-bucket.ts";

const MAX_U32 = 0xffffffff;
const NS_PER_MS = 1e6;
const US_PER_MS = 1000;

const milliseconds = scaled(u32, US_PER_MS);
/** A time in nanoseconds that has a sign, which none of ours has. */
const nanoseconds = scaled(u64, NS_PER_MS);

const fq = new AttributeSet({
  limitPackets: [TCA_FQ_PLIMIT, u32],
  flowLimitPackets: [TCA_FQ_FLOW_PLIMIT, u32],
  quantumBytes: [TCA_FQ_QUANTUM, u32],
  initialQuantumBytes: [TCA_FQ_INITIAL_QUANTUM, u32],
  pacing: [TCA_FQ_RATE_ENABLE, yes(u32)],
  maxRateBytesPerSecond: [TCA_FQ_FLOW_MAX_RATE, u32],
  bucketsLog2: [TCA_FQ_BUCKETS_LOG, u32],
  refillDelayMs: [TCA_FQ_FLOW_REFILL_DELAY, milliseconds],
  orphanMask: [TCA_FQ_ORPHAN_MASK, u32],
  lowRateBytesPerSecond: [TCA_FQ_LOW_RATE_THRESHOLD, u32],
  ceThresholdMs: [TCA_FQ_CE_THRESHOLD, milliseconds],
  timerSlackNs: [TCA_FQ_TIMER_SLACK, u32],
  horizonMs: [TCA_FQ_HORIZON, milliseconds],
  horizonDrop: [TCA_FQ_HORIZON_DROP, yes(u8)],
});

const fqCodel = new AttributeSet({
  targetMs: [TCA_FQ_CODEL_TARGET, milliseconds],
  limitPackets: [TCA_FQ_CODEL_LIMIT, u32],
  intervalMs: [TCA_FQ_CODEL_INTERVAL, milliseconds],
  ecn: [TCA_FQ_CODEL_ECN, yes(u32)],
  flows: [TCA_FQ_CODEL_FLOWS, u32],
  quantumBytes: [TCA_FQ_CODEL_QUANTUM, u32],
  ceThresholdMs: [TCA_FQ_CODEL_CE_THRESHOLD, milliseconds],
  dropBatchPackets: [TCA_FQ_CODEL_DROP_BATCH_SIZE, u32],
  memoryLimitBytes: [TCA_FQ_CODEL_MEMORY_LIMIT, u32],
});

const codel = new AttributeSet({
  targetMs: [TCA_CODEL_TARGET, milliseconds],
  limitPackets: [TCA_CODEL_LIMIT, u32],
  intervalMs: [TCA_CODEL_INTERVAL, milliseconds],
  ecn: [TCA_CODEL_ECN, yes(u32)],
  ceThresholdMs: [TCA_CODEL_CE_THRESHOLD, milliseconds],
});

const pie = new AttributeSet({
  targetMs: [TCA_PIE_TARGET, milliseconds],
  limitPackets: [TCA_PIE_LIMIT, u32],
  updateMs: [TCA_PIE_TUPDATE, milliseconds],
  alpha: [TCA_PIE_ALPHA, u32],
  beta: [TCA_PIE_BETA, u32],
  ecn: [TCA_PIE_ECN, yes(u32)],
  byteMode: [TCA_PIE_BYTEMODE, yes(u32)],
});

const cake = new AttributeSet({
  rateBytesPerSecond: [TCA_CAKE_BASE_RATE64, u64],
  diffserv: [
    TCA_CAKE_DIFFSERV_MODE,
    named(u32, {
      diffserv3: CAKE_DIFFSERV_DIFFSERV3,
      diffserv4: CAKE_DIFFSERV_DIFFSERV4,
      diffserv8: CAKE_DIFFSERV_DIFFSERV8,
      besteffort: CAKE_DIFFSERV_BESTEFFORT,
      precedence: CAKE_DIFFSERV_PRECEDENCE,
    }),
  ],
  flowMode: [
    TCA_CAKE_FLOW_MODE,
    named(u32, {
      flowblind: CAKE_FLOW_NONE,
      srchost: CAKE_FLOW_SRC_IP,
      dsthost: CAKE_FLOW_DST_IP,
      hosts: CAKE_FLOW_HOSTS,
      flows: CAKE_FLOW_FLOWS,
      "dual-srchost": CAKE_FLOW_DUAL_SRC,
      "dual-dsthost": CAKE_FLOW_DUAL_DST,
      "triple-isolate": CAKE_FLOW_TRIPLE,
    }),
  ],
  overheadBytes: [TCA_CAKE_OVERHEAD, s32],
  minPacketBytes: [TCA_CAKE_MPU, u32],
  rttMs: [TCA_CAKE_RTT, milliseconds],
  targetMs: [TCA_CAKE_TARGET, milliseconds],
  memoryBytes: [TCA_CAKE_MEMORY, u32],
  nat: [TCA_CAKE_NAT, yes(u32)],
  wash: [TCA_CAKE_WASH, yes(u32)],
  ingress: [TCA_CAKE_INGRESS, yes(u32)],
  ackFilter: [TCA_CAKE_ACK_FILTER, named(u32, { off: 0, on: 1, aggressive: 2 })],
  splitGso: [TCA_CAKE_SPLIT_GSO, yes(u32)],
});

// --- netem -------------------------------------------------------------------------------------

const correlations = record(
  TcNetemCorr.size,
  (view) => {
    const raw = new TcNetemCorr(view);
    return {
      delay: fromProbability(raw.delay_corr),
      loss: fromProbability(raw.loss_corr),
      duplicate: fromProbability(raw.dup_corr),
    };
  },
  (view, value, option) => {
    const raw = new TcNetemCorr(view);
    raw.delay_corr = toProbability(value.delay, option("delay"));
    raw.loss_corr = toProbability(value.loss, option("loss"));
    raw.dup_corr = toProbability(value.duplicate, option("duplicate"));
  },
);

/** How often, and how much that depends on the packet before. */
export interface Chance {
  probability: number;
  correlation: number;
}

function chance(Raw: typeof TcNetemReorder | typeof TcNetemCorrupt): Codec<Chance> {
  return record<Chance>(
    Raw.size,
    (view) => {
      const raw = new Raw(view);
      return {
        probability: fromProbability(raw.probability),
        correlation: fromProbability(raw.correlation),
      };
    },
    (view, value, option) => {
      const raw = new Raw(view);
      raw.probability = toProbability(value.probability, option("probability"));
      raw.correlation = toProbability(value.correlation, option("correlation"));
    },
  );
}

const netemRate = record(
  TcNetemRate.size,
  (view) => {
    const raw = new TcNetemRate(view);
    return { bytesPerSecond: raw.rate, overheadBytes: raw.packet_overhead };
  },
  (view, value, option) => {
    const raw = new TcNetemRate(view);
    raw.rate = whole(value.bytesPerSecond, 0, MAX_U32, option("bytesPerSecond"));
    raw.packet_overhead = whole(
      value.overheadBytes,
      -(2 ** 31),
      2 ** 31 - 1,
      option("overheadBytes"),
    );
  },
);

/** Loss in bursts: a good and a bad state (Gilbert and Elliott). */
const bursts = record(
  TcNetemGemodel.size,
  (view) => {
    const raw = new TcNetemGemodel(view);
    return {
      toBad: fromProbability(raw.p),
      toGood: fromProbability(raw.r),
      lossInBad: 1 - fromProbability(raw.h),
      lossInGood: fromProbability(raw.k1),
    };
  },
  (view, value, option) => {
    const raw = new TcNetemGemodel(view);
    raw.p = toProbability(value.toBad, option("toBad"));
    raw.r = toProbability(value.toGood, option("toGood"));
    raw.h = MAX_U32 - toProbability(value.lossInBad, option("lossInBad"));
    raw.k1 = toProbability(value.lossInGood, option("lossInGood"));
  },
);

const netemAttributes = new AttributeSet({
  correlations: [TCA_NETEM_CORR, correlations],
  reorder: [TCA_NETEM_REORDER, chance(TcNetemReorder)],
  corrupt: [TCA_NETEM_CORRUPT, chance(TcNetemCorrupt)],
  lossBursts: [TCA_NETEM_LOSS, new AttributeSet({ gilbertElliott: [NETEM_LOSS_GE, bursts] })],
  rate: [TCA_NETEM_RATE, netemRate],
  rate64: [TCA_NETEM_RATE64, u64],
  delayMs: [TCA_NETEM_LATENCY64, nanoseconds],
  jitterMs: [TCA_NETEM_JITTER64, nanoseconds],
  ecn: [TCA_NETEM_ECN, yes(u32)],
  seed: [TCA_NETEM_PRNG_SEED, u64],
});

/** A bad link (tc-netem(8)). Chances are parts of 1. */
export interface NetemOptions {
  delayMs?: number;
  /** More or less than the delay, up to so much. */
  jitterMs?: number;
  delayCorrelation?: number;
  loss?: number;
  lossCorrelation?: number;
  lossBursts?: {
    gilbertElliott?: { toBad: number; toGood: number; lossInBad: number; lossInGood: number };
  };
  duplicate?: number;
  duplicateCorrelation?: number;
  reorder?: number;
  reorderCorrelation?: number;
  /** Every so many packets one overtakes. */
  gapPackets?: number;
  corrupt?: number;
  corruptCorrelation?: number;
  rateBytesPerSecond?: number;
  overheadBytes?: number;
  /** Default 1000. */
  limitPackets?: number;
  /** Mark in place of drop. */
  ecn?: boolean;
  /** The same for each run that is to be the same. */
  seed?: number;
}

const NETEM_NAMES: Readonly<Record<keyof NetemOptions, true>> = {
  delayMs: true,
  jitterMs: true,
  delayCorrelation: true,
  loss: true,
  lossCorrelation: true,
  lossBursts: true,
  duplicate: true,
  duplicateCorrelation: true,
  reorder: true,
  reorderCorrelation: true,
  gapPackets: true,
  corrupt: true,
  corruptCorrelation: true,
  rateBytesPerSecond: true,
  overheadBytes: true,
  limitPackets: true,
  ecn: true,
  seed: true,
};

const NETEM_LIMIT = 1000;

const netem: Codec<NetemOptions> = {
  // The kernel takes it without the flag, as it begins with a structure.
  nested: false,
  nameOf: (type) => netemAttributes.nameOf(type),
  write(to, value) {
    onlyKnown(to, value, Object.keys(NETEM_NAMES));
    const option = (name: keyof NetemOptions) => `${to.path}.${name}`;
    const { delayMs, jitterMs, rateBytesPerSecond: rate, reorder, corrupt } = value;
    const raw = TcNetemQopt.alloc();
    raw.limit = whole(value.limitPackets ?? NETEM_LIMIT, 0, MAX_U32, option("limitPackets"));
    raw.loss = toProbability(value.loss ?? 0, option("loss"));
    raw.duplicate = toProbability(value.duplicate ?? 0, option("duplicate"));
    raw.gap = whole(value.gapPackets ?? (reorder ? 1 : 0), 0, MAX_U32, option("gapPackets"));
    to.put(raw.bytes);
    netemAttributes.write(to, {
      correlations: {
        delay: value.delayCorrelation ?? 0,
        loss: value.lossCorrelation ?? 0,
        duplicate: value.duplicateCorrelation ?? 0,
      },
      ...(delayMs !== undefined && { delayMs }),
      ...(jitterMs !== undefined && { jitterMs }),
      reorder: { probability: reorder ?? 0, correlation: value.reorderCorrelation ?? 0 },
      corrupt: { probability: corrupt ?? 0, correlation: value.corruptCorrelation ?? 0 },
      ...(value.lossBursts && { lossBursts: value.lossBursts }),
      ...(rate !== undefined && {
        rate: { bytesPerSecond: Math.min(rate, MAX_U32), overheadBytes: value.overheadBytes ?? 0 },
        ...(rate >= MAX_U32 && { rate64: rate }),
      }),
      ...(value.ecn !== undefined && { ecn: value.ecn }),
      ...(value.seed !== undefined && { seed: value.seed }),
    });
  },
  read(payload) {
    atLeast(payload, TcNetemQopt.size);
    const raw = TcNetemQopt.from(payload);
    const told = netemAttributes.read(payload.subarray(TcNetemQopt.size));
    const { correlations: depends, reorder, corrupt, rate, rate64, lossBursts, ecn } = told;
    const ge = lossBursts?.gilbertElliott;
    return {
      delayMs: told.delayMs ?? 0,
      jitterMs: told.jitterMs ?? 0,
      delayCorrelation: depends?.delay ?? 0,
      loss: fromProbability(raw.loss),
      lossCorrelation: depends?.loss ?? 0,
      ...(ge && { lossBursts: { gilbertElliott: ge } }),
      duplicate: fromProbability(raw.duplicate),
      duplicateCorrelation: depends?.duplicate ?? 0,
      reorder: reorder?.probability ?? 0,
      reorderCorrelation: reorder?.correlation ?? 0,
      gapPackets: raw.gap,
      corrupt: corrupt?.probability ?? 0,
      corruptCorrelation: corrupt?.correlation ?? 0,
      ...(rate && {
        rateBytesPerSecond: rate64 ?? rate.bytesPerSecond,
        overheadBytes: rate.overheadBytes,
      }),
      limitPackets: raw.limit,
      ...(ecn !== undefined && { ecn }),
      ...(told.seed !== undefined && { seed: told.seed }),
    };
  },
};

// --- tbf and htb: token buckets ------------------------------------------------------------------

/** Not faster than so much (tc-tbf(8)). */
export interface TbfOptions {
  rateBytesPerSecond: number;
  /** How much may go at once. */
  burstBytes: number;
  /** How much may wait. */
  limitBytes: number;
  peakRateBytesPerSecond?: number;
  /** With a peak rate: the largest packet. */
  mtuBytes?: number;
}

const tbfParameters: Codec<TcTbfQopt> = {
  write: (to, raw) => to.put(raw.bytes),
  read(payload) {
    atLeast(payload, TcTbfQopt.size);
    return TcTbfQopt.from(payload);
  },
};

const tbfAttributes = new AttributeSet({
  parameters: [TCA_TBF_PARMS, tbfParameters],
  rate64: [TCA_TBF_RATE64, u64],
  peakRate64: [TCA_TBF_PRATE64, u64],
  burst: [TCA_TBF_BURST, u32],
  peakBurst: [TCA_TBF_PBURST, u32],
});

const TBF_NAMES = [
  "rateBytesPerSecond",
  "burstBytes",
  "limitBytes",
  "peakRateBytesPerSecond",
  "mtuBytes",
];

const tbf: Codec<TbfOptions> = {
  nested: true,
  nameOf: (type) => tbfAttributes.nameOf(type),
  write(to, value) {
    onlyKnown(to, value, TBF_NAMES);
    const option = (name: keyof TbfOptions) => `${to.path}.${name}`;
    const { rateBytesPerSecond: rate, peakRateBytesPerSecond: peak, burstBytes, mtuBytes } = value;
    const raw = TcTbfQopt.alloc();
    setRate(raw.rate, rate, option("rateBytesPerSecond"));
    raw.limit = whole(value.limitBytes, 1, MAX_U32, option("limitBytes"));
    raw.buffer = ticksOf(whole(burstBytes, 1, MAX_U32, option("burstBytes")), rate);
    if (peak !== undefined) {
      setRate(raw.peakrate, peak, option("peakRateBytesPerSecond"));
      raw.mtu = ticksOf(whole(mtuBytes ?? 0, 1, MAX_U32, option("mtuBytes")), peak);
    }
    tbfAttributes.write(to, {
      parameters: raw,
      burst: burstBytes,
      ...(rate > MAX_U32 && { rate64: rate }),
      ...(peak !== undefined && {
        peakBurst: mtuBytes ?? 0,
        ...(peak > MAX_U32 && { peakRate64: peak }),
      }),
    });
  },
  read(payload) {
    const { parameters, rate64, peakRate64 } = tbfAttributes.read(payload);
    const raw = parameters ?? TcTbfQopt.alloc();
    const rate = rate64 ?? raw.rate.rate;
    const peak = peakRate64 ?? raw.peakrate.rate;
    return {
      rateBytesPerSecond: rate,
      burstBytes: bytesOf(raw.buffer, rate),
      limitBytes: raw.limit,
      ...(peak && { peakRateBytesPerSecond: peak, mtuBytes: bytesOf(raw.mtu, peak) }),
    };
  },
};

const htbGlobal = record(
  TcHtbGlob.size,
  (view) => {
    const raw = new TcHtbGlob(view);
    return {
      defaultClass: raw.defcls,
      rateToQuantum: raw.rate2quantum,
      directPackets: raw.direct_pkts,
    };
  },
  (view, value, option) => {
    const raw = new TcHtbGlob(view);
    raw.version = TC_HTB_PROTOVER;
    raw.defcls = whole(value.defaultClass, 0, MAX_U32, option("defaultClass"));
    raw.rate2quantum = whole(value.rateToQuantum, 1, MAX_U32, option("rateToQuantum"));
  },
);

const htbAttributes = new AttributeSet({
  global: [TCA_HTB_INIT, htbGlobal],
  directQueuePackets: [TCA_HTB_DIRECT_QLEN, u32],
});

/** A hierarchy of rates (tc-htb(8)). */
export interface HtbOptions {
  /** The minor number of the class of packets that no filter takes. Default 0: none, at full speed. */
  defaultClass?: number;
  /** Default 10. */
  rateToQuantum?: number;
  directQueuePackets?: number;
  /** What went past the classes. Only told. */
  directPackets?: number;
}

const RATE_TO_QUANTUM = 10;
const HTB_NAMES = ["defaultClass", "rateToQuantum", "directQueuePackets", "directPackets"];

const htb: Codec<HtbOptions> = {
  nested: true,
  nameOf: (type) => htbAttributes.nameOf(type),
  write(to, value) {
    onlyKnown(to, value, HTB_NAMES);
    const { defaultClass = 0, rateToQuantum = RATE_TO_QUANTUM, directQueuePackets } = value;
    htbAttributes.write(to, {
      global: { defaultClass, rateToQuantum, directPackets: 0 },
      ...(directQueuePackets !== undefined && { directQueuePackets }),
    });
  },
  read(payload) {
    const { global, ...rest } = htbAttributes.read(payload);
    return { ...rest, ...global };
  },
};

/** A class of htb. */
export interface HtbClassOptions {
  rateBytesPerSecond: number;
  /** With what others leave. Default: the rate. */
  ceilBytesPerSecond?: number;
  /** How much may go at once. Default: what goes in 1/100 s, and a packet. */
  burstBytes?: number;
  ceilBurstBytes?: number;
  /** How much goes before it is another class's turn. */
  quantumBytes?: number;
  /** Classes of the lowest get what is left first. */
  priority?: number;
  /** 0 for the leaves. Only told. */
  level?: number;
}

const htbParameters: Codec<TcHtbOpt> = {
  write: (to, raw) => to.put(raw.bytes),
  read(payload) {
    atLeast(payload, TcHtbOpt.size);
    return TcHtbOpt.from(payload);
  },
};

const htbClassAttributes = new AttributeSet({
  parameters: [TCA_HTB_PARMS, htbParameters],
  rate64: [TCA_HTB_RATE64, u64],
  ceil64: [TCA_HTB_CEIL64, u64],
});

const HTB_CLASS_NAMES = [
  "rateBytesPerSecond",
  "ceilBytesPerSecond",
  "burstBytes",
  "ceilBurstBytes",
  "quantumBytes",
  "priority",
  "level",
];
const PACKET_BYTES = 1600;
const BURST_PARTS = 100;

const htbClass: Codec<HtbClassOptions> = {
  nested: true,
  nameOf: (type) => htbClassAttributes.nameOf(type),
  write(to, value) {
    onlyKnown(to, value, HTB_CLASS_NAMES);
    const option = (name: keyof HtbClassOptions) => `${to.path}.${name}`;
    const { rateBytesPerSecond: rate, ceilBytesPerSecond: ceil = rate } = value;
    const raw = TcHtbOpt.alloc();
    setRate(raw.rate, rate, option("rateBytesPerSecond"));
    setRate(raw.ceil, ceil, option("ceilBytesPerSecond"));
    const burst = value.burstBytes ?? Math.ceil(rate / BURST_PARTS) + PACKET_BYTES;
    const ceilBurst = value.ceilBurstBytes ?? Math.ceil(ceil / BURST_PARTS) + PACKET_BYTES;
    raw.buffer = ticksOf(whole(burst, 1, Number.MAX_SAFE_INTEGER, option("burstBytes")), rate);
    raw.cbuffer = ticksOf(
      whole(ceilBurst, 1, Number.MAX_SAFE_INTEGER, option("ceilBurstBytes")),
      ceil,
    );
    raw.quantum = whole(value.quantumBytes ?? 0, 0, MAX_U32, option("quantumBytes"));
    raw.prio = whole(value.priority ?? 0, 0, 7, option("priority"));
    htbClassAttributes.write(to, {
      parameters: raw,
      ...(rate > MAX_U32 && { rate64: rate }),
      ...(ceil > MAX_U32 && { ceil64: ceil }),
    });
  },
  read(payload) {
    const { parameters, rate64, ceil64 } = htbClassAttributes.read(payload);
    const raw = parameters ?? TcHtbOpt.alloc();
    const rate = rate64 ?? raw.rate.rate;
    const ceil = ceil64 ?? raw.ceil.rate;
    return {
      rateBytesPerSecond: rate,
      ceilBytesPerSecond: ceil,
      burstBytes: bytesOf(raw.buffer, rate),
      ceilBurstBytes: bytesOf(raw.cbuffer, ceil),
      quantumBytes: raw.quantum,
      priority: raw.prio,
      level: raw.level,
    };
  },
};

// --- The rest --------------------------------------------------------------------------------------

/** In packets for pfifo, in bytes for bfifo. */
const fifo = record(
  TcFifoQopt.size,
  (view) => ({ limit: new TcFifoQopt(view).limit }),
  (view, { limit }, option) => {
    new TcFifoQopt(view).limit = whole(limit, 0, MAX_U32, option("limit"));
  },
);

const PRIORITIES = 16;
const MAX_BANDS = 16;

const prio = record<{ bands: number; priorityMap: readonly number[] }>(
  TcPrioQopt.size,
  (view) => {
    const raw = new TcPrioQopt(view);
    return { bands: raw.bands, priorityMap: Array.from(raw.priomap) };
  },
  (view, { bands, priorityMap }, option) => {
    const raw = new TcPrioQopt(view);
    raw.bands = whole(bands, 2, MAX_BANDS, option("bands"));
    if (!Array.isArray(priorityMap) || priorityMap.length !== PRIORITIES)
      throw new InvalidOptionError(
        option("priorityMap"),
        `it has the band of each of ${PRIORITIES} priorities`,
      );
    raw.priomap = Uint8Array.from(priorityMap, (band) =>
      whole(band, 0, bands - 1, option("priorityMap")),
    );
  },
);

/** What is left out is the kernel's choice. */
export interface SfqOptions {
  quantumBytes?: number;
  perturbSeconds?: number;
  limitPackets?: number;
  divisor?: number;
  flows?: number;
  depthPackets?: number;
}

const sfq = record<SfqOptions>(
  TcSfqQoptV1.size,
  (view) => {
    const raw = new TcSfqQoptV1(view);
    return {
      quantumBytes: raw.v0.quantum,
      perturbSeconds: raw.v0.perturb_period,
      limitPackets: raw.v0.limit,
      divisor: raw.v0.divisor,
      flows: raw.v0.flows,
      depthPackets: raw.depth,
    };
  },
  (view, value, option) => {
    const raw = new TcSfqQoptV1(view);
    const number = (name: keyof SfqOptions) => whole(value[name] ?? 0, 0, MAX_U32, option(name));
    raw.v0.quantum = number("quantumBytes");
    raw.v0.perturb_period = number("perturbSeconds");
    raw.v0.limit = number("limitPackets");
    raw.v0.divisor = number("divisor");
    raw.v0.flows = number("flows");
    raw.depth = number("depthPackets");
  },
);

const drrClass = new AttributeSet({ quantumBytes: [TCA_DRR_QUANTUM, u32] });

/** Disciplines by the names of their options in objects, and the kernel's names. */
export const qdiscKinds = {
  bfifo: ["bfifo", fifo],
  cake: ["cake", cake],
  codel: ["codel", codel],
  ets: ["ets", ets],
  fq: ["fq", fq],
  fqCodel: ["fq_codel", fqCodel],
  hfsc: ["hfsc", hfsc],
  htb: ["htb", htb],
  netem: ["netem", netem],
  pfifo: ["pfifo", fifo],
  /** It has no options, and tells those of prio. */
  pfifoFast: ["pfifo_fast", prio],
  pfifoHeadDrop: ["pfifo_head_drop", fifo],
  pie: ["pie", pie],
  prio: ["prio", prio],
  red: ["red", red],
  sfq: ["sfq", sfq],
  tbf: ["tbf", tbf],
} as const;

export const classKinds = {
  htb: ["htb", htbClass],
  drr: ["drr", drrClass],
  ets: ["ets", etsClass],
  hfsc: ["hfsc", hfscClass],
} as const;

/** Those above, and these that have no options. */
export type QdiscKind =
  | (typeof qdiscKinds)[keyof typeof qdiscKinds][0]
  | "clsact"
  | "drr"
  | "ingress"
  | "mq"
  | "noqueue";
