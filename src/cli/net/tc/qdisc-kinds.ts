// What follows `tc qdisc add … KIND`: parameters of queueing disciplines and their classes.

import { both, constant, put } from "../parameters.ts";
import type { Options, Reader, Readers } from "../parameters.ts";
import { isPart, isTime, number, part, rate, size, time } from "../values.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";

interface Kind {
  /** The name of its options in objects; null: it has none. */
  readonly option: string | null;
  readonly readers: (options: Options) => Readers;
  /** What has to be there, and what is made of what was read. */
  readonly complete?: (options: Options, kind: string) => void;
}

const count = (words: Words): number => number(words);

function need(options: Options, kind: string, names: Readonly<Record<string, string>>): void {
  for (const [name, word] of Object.entries(names))
    if (options[name] === undefined) throw new WordError(`${kind}: "${word}" is missing`);
}

/** `limit 1000`, `delay 10ms 2ms 25%`, `loss 1%`… as tc-netem(8) has it. */
function netem(options: Options): Readers {
  const chance =
    (name: string): Reader =>
    (words) => {
      words.accept("random");
      options[name] = part(words);
      if (isPart(words.next)) options[`${name}Correlation`] = part(words);
    };
  return {
    limit: put(options, "limitPackets", count),
    delay: (words) => {
      options.delayMs = time(words);
      if (!isTime(words.next)) return;
      options.jitterMs = time(words);
      if (isPart(words.next)) options.delayCorrelation = part(words);
    },
    loss: (words) => {
      if (words.accept("gemodel")) options.lossBursts = { gilbertElliott: gilbertElliott(words) };
      else chance("loss")(words);
    },
    drop: chance("loss"),
    duplicate: chance("duplicate"),
    reorder: chance("reorder"),
    corrupt: chance("corrupt"),
    gap: put(options, "gapPackets", count),
    rate: (words) => {
      options.rateBytesPerSecond = rate(words);
      if (/^-?\d+$/.test(words.next ?? ""))
        options.overheadBytes = number(words, -(2 ** 31), 2 ** 31 - 1);
    },
    ecn: constant(options, "ecn", true),
    seed: put(options, "seed", (words) => number(words, 0, Number.MAX_SAFE_INTEGER)),
  };
}

/** `P [R [1-H [1-K]]]` */
function gilbertElliott(words: Words) {
  const toBad = part(words);
  const next = (usual: number) => (isPart(words.next) ? part(words) : usual);
  const toGood = next(1 - toBad);
  return { toBad, toGood, lossInBad: next(1), lossInGood: next(0) };
}

/** What the scheduler waits with, if it is said by a time. */
function tbf(options: Options): Readers {
  return {
    rate: put(options, "rateBytesPerSecond", rate),
    burst: put(options, "burstBytes", size),
    buffer: put(options, "burstBytes", size),
    maxburst: put(options, "burstBytes", size),
    limit: put(options, "limitBytes", size),
    latency: put(options, "latencyMs", time),
    peakrate: put(options, "peakRateBytesPerSecond", rate),
    mtu: put(options, "mtuBytes", size),
    minburst: put(options, "mtuBytes", size),
  };
}

function completeTbf(options: Options): void {
  need(options, "tbf", { rateBytesPerSecond: "rate", burstBytes: "burst" });
  const { latencyMs, ...rest } = options as Record<string, number | undefined>;
  delete options.latencyMs;
  if (latencyMs === undefined) {
    need(options, "tbf", { limitBytes: "limit or latency" });
    return;
  }
  const { rateBytesPerSecond = 0, burstBytes = 0, peakRateBytesPerSecond, mtuBytes = 0 } = rest;
  const limits = [(rateBytesPerSecond * latencyMs) / 1000 + burstBytes];
  if (peakRateBytesPerSecond !== undefined)
    limits.push((peakRateBytesPerSecond * latencyMs) / 1000 + mtuBytes);
  options.limitBytes = Math.round(Math.min(...limits));
}

function priorityMap(words: Words): number[] {
  const map: number[] = [];
  while (/^\d+$/.test(words.next ?? "") && map.length < 16) map.push(number(words, 0, 15));
  if (!map.length) throw new WordError("priomap: the bands of 16 priorities are missing");
  return map;
}

/** As it is without one (sch_prio.c). */
const PRIORITY_MAP = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];

const prio = (options: Options): Readers => ({
  bands: put(options, "bands", (words) => number(words, 2, 16)),
  priomap: put(options, "priorityMap", priorityMap),
});

function completePrio(options: Options): void {
  options.bands ??= 3;
  const map = (options.priorityMap ?? []) as number[];
  options.priorityMap = PRIORITY_MAP.map((band, i) => map[i] ?? band);
}

const codel = (options: Options): Readers => ({
  limit: put(options, "limitPackets", count),
  target: put(options, "targetMs", time),
  interval: put(options, "intervalMs", time),
  ce_threshold: put(options, "ceThresholdMs", time),
  ...both(options, "ecn", "ecn"),
});

const fqCodel = (options: Options): Readers => ({
  ...codel(options),
  flows: put(options, "flows", count),
  quantum: put(options, "quantumBytes", size),
  memory_limit: put(options, "memoryLimitBytes", size),
  drop_batch: put(options, "dropBatchPackets", count),
});

const fq = (options: Options): Readers => ({
  limit: put(options, "limitPackets", count),
  flow_limit: put(options, "flowLimitPackets", count),
  quantum: put(options, "quantumBytes", size),
  initial_quantum: put(options, "initialQuantumBytes", size),
  maxrate: put(options, "maxRateBytesPerSecond", rate),
  low_rate_threshold: put(options, "lowRateBytesPerSecond", rate),
  refill_delay: put(options, "refillDelayMs", time),
  buckets: put(options, "bucketsLog2", (words) => Math.log2(number(words, 1))),
  orphan_mask: put(options, "orphanMask", count),
  ce_threshold: put(options, "ceThresholdMs", time),
  horizon: put(options, "horizonMs", time),
  horizon_drop: constant(options, "horizonDrop", true),
  horizon_cap: constant(options, "horizonDrop", false),
  ...both(options, "pacing", "pacing"),
});

const pie = (options: Options): Readers => ({
  limit: put(options, "limitPackets", count),
  target: put(options, "targetMs", time),
  tupdate: put(options, "updateMs", time),
  alpha: put(options, "alpha", count),
  beta: put(options, "beta", count),
  ...both(options, "ecn", "ecn"),
  ...both(options, "bytemode", "byteMode"),
});

const SERVICES = ["diffserv3", "diffserv4", "diffserv8", "besteffort", "precedence"];
const FLOW_MODES = [
  "flowblind",
  "srchost",
  "dsthost",
  "hosts",
  "flows",
  "dual-srchost",
  "dual-dsthost",
  "triple-isolate",
];
const each = (options: Options, name: string, words: readonly string[]): Readers =>
  Object.fromEntries(words.map((word) => [word, constant(options, name, word)]));

const cake = (options: Options): Readers => ({
  bandwidth: put(options, "rateBytesPerSecond", rate),
  unlimited: constant(options, "rateBytesPerSecond", 0),
  rtt: put(options, "rttMs", time),
  overhead: put(options, "overheadBytes", (words) => number(words, -64, 256)),
  mpu: put(options, "minPacketBytes", (words) => number(words, 0, 256)),
  memlimit: put(options, "memoryBytes", size),
  ingress: constant(options, "ingress", true),
  egress: constant(options, "ingress", false),
  "ack-filter": constant(options, "ackFilter", "on"),
  "ack-filter-aggressive": constant(options, "ackFilter", "aggressive"),
  "no-ack-filter": constant(options, "ackFilter", "off"),
  "split-gso": constant(options, "splitGso", true),
  "no-split-gso": constant(options, "splitGso", false),
  ...each(options, "diffserv", SERVICES),
  ...each(options, "flowMode", FLOW_MODES),
  ...both(options, "nat", "nat"),
  ...both(options, "wash", "wash"),
});

const sfq = (options: Options): Readers => ({
  quantum: put(options, "quantumBytes", size),
  perturb: put(options, "perturbSeconds", count),
  limit: put(options, "limitPackets", count),
  divisor: put(options, "divisor", count),
  flows: put(options, "flows", count),
  depth: put(options, "depthPackets", count),
});

const hex = (words: Words): number => {
  const keyword = words.last;
  const given = words.take("a class");
  const [, digits] = /^(?:0x|[\da-f]*:)?([\da-f]{1,4})$/i.exec(given) ?? [];
  if (digits === undefined) throw new WordError(`${keyword} "${given}": it is like 10 or 0x10`);
  return parseInt(digits, 16);
};

const htb = (options: Options): Readers => ({
  default: put(options, "defaultClass", hex),
  r2q: put(options, "rateToQuantum", count),
  direct_qlen: put(options, "directQueuePackets", count),
});

const red = (options: Options): Readers => ({
  limit: put(options, "limitBytes", size),
  min: put(options, "minBytes", size),
  max: put(options, "maxBytes", size),
  avpkt: put(options, "packetBytes", size),
  burst: put(options, "burstPackets", count),
  bandwidth: put(options, "rateBytesPerSecond", rate),
  probability: put(options, "probability", (words) => fraction(words)),
  ecn: constant(options, "ecn", true),
  harddrop: constant(options, "hardDrop", true),
  nodrop: constant(options, "noDrop", true),
  adaptive: constant(options, "adaptive", true),
});

/** A part of 1, as such: 0.02. */
function fraction(words: Words): number {
  const given = words.take("a part of 1");
  const value = Number(given);
  if (!(value >= 0 && value <= 1))
    throw new WordError(`"${given}": it is a number from 0 to 1, such as 0.02`);
  return value;
}

const ets = (options: Options): Readers => ({
  bands: put(options, "bands", (words) => number(words, 1, 16)),
  strict: put(options, "strict", (words) => number(words, 0, 16)),
  quanta: put(options, "quantaBytes", (words) => {
    const quanta: number[] = [];
    while (/^\d/.test(words.next ?? "")) quanta.push(size(words));
    return quanta;
  }),
  priomap: put(options, "priorityMap", priorityMap),
});

function completeEts(options: Options): void {
  const { strict = 0, quantaBytes = [] } = options as { strict?: number; quantaBytes?: number[] };
  options.bands ??= strict + quantaBytes.length;
  if (!options.bands) need({}, "ets", { bands: "bands, strict or quanta" });
}

const nothing = (): Readers => ({});
const limited =
  (read: (words: Words) => unknown) =>
  (options: Options): Readers => ({ limit: put(options, "limit", read) });

const QDISCS: Readonly<Record<string, Kind>> = {
  bfifo: { option: "bfifo", readers: limited(size) },
  cake: { option: "cake", readers: cake },
  clsact: { option: null, readers: nothing },
  codel: { option: "codel", readers: codel },
  drr: { option: null, readers: nothing },
  ets: { option: "ets", readers: ets, complete: completeEts },
  fq: { option: "fq", readers: fq },
  fq_codel: { option: "fqCodel", readers: fqCodel },
  hfsc: {
    option: "hfsc",
    readers: (options) => ({ default: put(options, "defaultClass", hex) }),
    complete: (options) => void (options.defaultClass ??= 0),
  },
  htb: { option: "htb", readers: htb, complete: (options) => void (options.defaultClass ??= 0) },
  ingress: { option: null, readers: nothing },
  mq: { option: null, readers: nothing },
  netem: { option: "netem", readers: netem },
  noqueue: { option: null, readers: nothing },
  pfifo: { option: "pfifo", readers: limited(count) },
  pfifo_fast: { option: null, readers: nothing },
  pfifo_head_drop: { option: "pfifoHeadDrop", readers: limited(count) },
  pie: { option: "pie", readers: pie },
  prio: { option: "prio", readers: prio, complete: completePrio },
  red: {
    option: "red",
    readers: red,
    complete: (options) => need(options, "red", { limitBytes: "limit" }),
  },
  sfq: { option: "sfq", readers: sfq },
  tbf: { option: "tbf", readers: tbf, complete: completeTbf },
};

export const QDISC_NAMES: readonly string[] = Object.keys(QDISCS);

const htbClass = (options: Options): Readers => ({
  rate: put(options, "rateBytesPerSecond", rate),
  ceil: put(options, "ceilBytesPerSecond", rate),
  burst: put(options, "burstBytes", size),
  buffer: put(options, "burstBytes", size),
  cburst: put(options, "ceilBurstBytes", size),
  quantum: put(options, "quantumBytes", size),
  prio: put(options, "priority", (words) => number(words, 0, 7)),
});

/** What tc(8) makes of a packet and the kernel's clock of nanoseconds. */
const HTB_BURST_BYTES = 1600;

function completeHtbClass(options: Options): void {
  need(options, "htb", { rateBytesPerSecond: "rate" });
  options.burstBytes ??= HTB_BURST_BYTES;
  options.ceilBurstBytes ??= HTB_BURST_BYTES;
}

/** `rate 1mbit`, or `m1 2mbit d 10ms m2 1mbit`. */
function curve(words: Words) {
  const value = { firstBytesPerSecond: 0, firstMs: 0, bytesPerSecond: 0 };
  if (words.accept("rate")) value.bytesPerSecond = rate(words);
  else {
    if (words.accept("m1")) value.firstBytesPerSecond = rate(words);
    if (words.accept("d")) value.firstMs = time(words);
    if (words.accept("m2")) value.bytesPerSecond = rate(words);
  }
  if (!value.firstBytesPerSecond && !value.bytesPerSecond)
    throw new WordError("a curve is `rate RATE`, or `m1 RATE d TIME m2 RATE`");
  return value;
}

const hfscClass = (options: Options): Readers => ({
  rt: put(options, "realTime", curve),
  ls: put(options, "linkShare", curve),
  ul: put(options, "upperLimit", curve),
  sc: (words) => {
    const one = curve(words);
    options.realTime = one;
    options.linkShare = one;
  },
});

const CLASSES: Readonly<Record<string, Kind>> = {
  htb: {
    option: "htb",
    readers: htbClass,
    complete: completeHtbClass,
  },
  drr: {
    option: "drr",
    readers: (options) => ({ quantum: put(options, "quantumBytes", size) }),
  },
  ets: {
    option: "ets",
    readers: (options) => ({ quantum: put(options, "quantumBytes", size) }),
  },
  hfsc: { option: "hfsc", readers: hfscClass },
};

export const CLASS_NAMES: readonly string[] = Object.keys(CLASSES);

/** A kind, with an object of its options. */
export type WithKind = { kind: string } & Record<string, unknown>;

function readKind(
  words: Words,
  kinds: Readonly<Record<string, Kind>>,
  what: string,
  kind: string,
): WithKind {
  if (!Object.hasOwn(kinds, kind)) throw unknownWord(kind, what, Object.keys(kinds));
  const { option, readers, complete } = kinds[kind];
  const options: Options = {};
  words.parameters(readers(options), `parameter of ${kind}`);
  complete?.(options, kind);
  return { kind, ...(option !== null && Object.keys(options).length && { [option]: options }) };
}

/** A discipline's parameters; its name is read. @throws {WordError} that tells those that there are */
export const readQdisc = (words: Words, kind: string): WithKind =>
  readKind(words, QDISCS, "queueing discipline", kind);

export const readClass = (words: Words, kind: string): WithKind =>
  readKind(words, CLASSES, "discipline with classes that can be made", kind);
