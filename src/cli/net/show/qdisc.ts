// Queueing disciplines and classes as `tc` shows them.

import type { Qdisc, QueueStatistics, TrafficClass } from "../../../net/index.ts";
import type { Flags } from "../command.ts";
import { partNumber, partText, rateText, sizeText, timeText } from "./text.ts";

/** Something of a discipline: its name and value in JSON, and as text if that is another; "" is not shown. */
type Pair = readonly [key: string, value: unknown, text?: string | undefined];

const microseconds = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 1000);
const timed = (key: string, ms: number | undefined): Pair => [
  key,
  microseconds(ms),
  ms === undefined ? "" : `${key} ${timeText(ms)}`,
];
const flag = (key: string, value: boolean | undefined): Pair => [
  key,
  value || undefined,
  value ? key : "",
];
const packets = (key: string, value: number | undefined): Pair => [key, value, `${key} ${value}p`];
const sized = (key: string, value: number | undefined): Pair => [
  key,
  value,
  value === undefined ? "" : `${key} ${sizeText(value)}`,
];
const rated = (key: string, value: number | undefined): Pair => [
  key,
  value,
  value === undefined ? "" : `${key} ${rateText(value)}`,
];

/** What the kernel means by a threshold that is not set: all ones. */
const isSet = (ms: number | undefined): boolean => ms !== undefined && ms < 4_294_000;

function netemPairs({ netem: has }: Qdisc): Pair[] {
  if (!has) return [];
  const chance = (key: string, name: string, value = 0, correlation = 0): Pair[] =>
    value
      ? [
          [
            key,
            { [name]: partNumber(value), correlation: partNumber(correlation) },
            `${name} ${partText(value)}${correlation ? ` ${partText(correlation)}` : ""}`,
          ],
        ]
      : [];
  const { delayMs = 0, jitterMs = 0, delayCorrelation = 0, lossBursts, gapPackets } = has;
  const bursts = lossBursts?.gilbertElliott;
  const delay: Pair[] =
    delayMs || jitterMs
      ? [
          [
            "delay",
            {
              delay: delayMs / 1000,
              jitter: jitterMs / 1000,
              correlation: partNumber(delayCorrelation),
            },
            `delay ${timeText(delayMs)}${jitterMs ? `  ${timeText(jitterMs)}` : ""}${delayCorrelation ? ` ${partText(delayCorrelation)}` : ""}`,
          ],
        ]
      : [];
  const rate = has.rateBytesPerSecond || undefined;
  return [
    ["limit", has.limitPackets],
    ...delay,
    ...chance("loss-random", "loss", has.loss, has.lossCorrelation),
    [
      "loss-gemodel",
      bursts && {
        p: bursts.toBad,
        r: bursts.toGood,
        "1-h": bursts.lossInBad,
        "1-k": bursts.lossInGood,
      },
      bursts &&
        `loss gemodel p ${partText(bursts.toBad)} r ${partText(bursts.toGood)} 1-h ${partText(bursts.lossInBad)} 1-k ${partText(bursts.lossInGood)}`,
    ],
    ...chance("duplicate", "duplicate", has.duplicate, has.duplicateCorrelation),
    ...chance("reorder", "reorder", has.reorder, has.reorderCorrelation),
    ...chance("corrupt", "corrupt", has.corrupt, has.corruptCorrelation),
    [
      "rate",
      rate === undefined
        ? undefined
        : {
            rate,
            packetoverhead: has.overheadBytes ?? 0,
            cellsize: 0,
            celloverhead: 0,
          },
      rate === undefined
        ? ""
        : `rate ${rateText(rate)}${has.overheadBytes ? ` packetoverhead ${has.overheadBytes}` : ""}`,
    ],
    ["ecn", has.ecn ?? false, has.ecn ? "ecn" : ""],
    ["gap", gapPackets ?? 0, gapPackets ? `gap ${gapPackets}` : ""],
    ["seed", has.seed],
  ];
}

function tbfPairs({ tbf: has }: Qdisc): Pair[] {
  if (!has) return [];
  const { rateBytesPerSecond: rate, burstBytes, limitBytes, peakRateBytesPerSecond: peak } = has;
  const waits = (bytesPerSecond: number, burst: number) =>
    ((limitBytes - burst) / bytesPerSecond) * 1000;
  const latency = Math.max(
    waits(rate, burstBytes),
    peak === undefined ? 0 : waits(peak, has.mtuBytes ?? 0),
  );
  return [
    rated("rate", rate),
    sized("burst", burstBytes),
    rated("peakrate", peak),
    sized("minburst", peak === undefined ? undefined : has.mtuBytes),
    timed("lat", latency),
  ];
}

function htbPairs({ htb: has }: Qdisc): Pair[] {
  const target = has?.defaultClass ? `0x${has.defaultClass.toString(16)}` : "0";
  return [
    ["r2q", has?.rateToQuantum],
    ["default", target],
    ["direct_packets_stat", has?.directPackets],
    ["direct_qlen", has?.directQueuePackets],
  ];
}

function prioPairs({ prio, pfifoFast }: Qdisc): Pair[] {
  const has = prio ?? pfifoFast;
  return [
    ["bands", has?.bands],
    ["priomap", has?.priorityMap, `priomap  ${has?.priorityMap.join(" ")}`],
  ];
}

function fqCodelPairs({ fqCodel: has }: Qdisc): Pair[] {
  return [
    packets("limit", has?.limitPackets),
    ["flows", has?.flows],
    ["quantum", has?.quantumBytes],
    timed("target", has?.targetMs),
    isSet(has?.ceThresholdMs) ? timed("ce_threshold", has?.ceThresholdMs) : flag("", false),
    timed("interval", has?.intervalMs),
    sized("memory_limit", has?.memoryLimitBytes),
    flag("ecn", has?.ecn),
    ["drop_batch", has?.dropBatchPackets],
  ];
}

function codelPairs({ codel: has }: Qdisc): Pair[] {
  return [
    packets("limit", has?.limitPackets),
    timed("target", has?.targetMs),
    isSet(has?.ceThresholdMs) ? timed("ce_threshold", has?.ceThresholdMs) : flag("", false),
    timed("interval", has?.intervalMs),
    flag("ecn", has?.ecn),
  ];
}

function fqPairs({ fq: has }: Qdisc): Pair[] {
  const maxRate = has?.maxRateBytesPerSecond;
  return [
    packets("limit", has?.limitPackets),
    packets("flow_limit", has?.flowLimitPackets),
    ["buckets", has?.bucketsLog2 === undefined ? undefined : 2 ** has.bucketsLog2],
    ["orphan_mask", has?.orphanMask],
    flag("nopacing", has?.pacing === false),
    sized("quantum", has?.quantumBytes),
    sized("initial_quantum", has?.initialQuantumBytes),
    maxRate === undefined || maxRate === 0xffffffff ? flag("", false) : rated("maxrate", maxRate),
    rated("low_rate_threshold", has?.lowRateBytesPerSecond),
    timed("refill_delay", has?.refillDelayMs),
    timed("timer_slack", has?.timerSlackNs === undefined ? undefined : has.timerSlackNs / 1e6),
    timed("horizon", has?.horizonMs),
    has?.horizonDrop ? flag("horizon_drop", true) : flag("horizon_cap", true),
  ];
}

function cakePairs({ cake: has }: Qdisc): Pair[] {
  const rate = has?.rateBytesPerSecond;
  const acks = { on: "ack-filter", aggressive: "ack-filter-aggressive" } as Record<string, string>;
  return [
    rate ? rated("bandwidth", rate) : ["bandwidth", "unlimited", "bandwidth unlimited"],
    ["diffserv", has?.diffserv, `${has?.diffserv}`],
    ["flowmode", has?.flowMode, `${has?.flowMode}`],
    ["nat", has?.nat, has?.nat ? "nat" : "nonat"],
    ["wash", has?.wash, has?.wash ? "wash" : "nowash"],
    ["ingress", has?.ingress, has?.ingress ? "ingress" : ""],
    [
      "ack-filter",
      acks[String(has?.ackFilter)] ?? "disabled",
      acks[String(has?.ackFilter)] ?? "no-ack-filter",
    ],
    ["split_gso", has?.splitGso, has?.splitGso ? "split-gso" : "no-split-gso"],
    timed("rtt", has?.rttMs),
    ["overhead", has?.overheadBytes],
    ["mpu", has?.minPacketBytes || undefined],
    sized("memlimit", has?.memoryBytes || undefined),
  ];
}

function sfqPairs({ sfq: has }: Qdisc): Pair[] {
  return [
    packets("limit", has?.limitPackets),
    sized("quantum", has?.quantumBytes),
    ["depth", has?.depthPackets],
    ["divisor", has?.divisor],
    ["perturb", has?.perturbSeconds || undefined, `perturb ${has?.perturbSeconds}sec`],
  ];
}

function redPairs({ red: has }: Qdisc): Pair[] {
  return [
    sized("limit", has?.limitBytes),
    sized("min", has?.minBytes),
    sized("max", has?.maxBytes),
    flag("ecn", has?.ecn),
    flag("harddrop", has?.hardDrop),
    flag("adaptive", has?.adaptive),
    flag("nodrop", has?.noDrop),
    ["ewma", has?.weightLog2],
    ["probability", partNumber(has?.probability ?? 0)],
  ];
}

const PAIRS: Readonly<Record<string, (qdisc: Qdisc) => Pair[]>> = {
  netem: netemPairs,
  tbf: tbfPairs,
  htb: htbPairs,
  prio: prioPairs,
  pfifo_fast: prioPairs,
  fq_codel: fqCodelPairs,
  codel: codelPairs,
  fq: fqPairs,
  cake: cakePairs,
  sfq: sfqPairs,
  red: redPairs,
  pfifo: ({ pfifo }) => [packets("limit", pfifo?.limit)],
  pfifo_head_drop: ({ pfifoHeadDrop }) => [packets("limit", pfifoHeadDrop?.limit)],
  bfifo: ({ bfifo }) => [sized("limit", bfifo?.limit)],
  hfsc: ({ hfsc }) => [["default", `0x${(hfsc?.defaultClass ?? 0).toString(16)}`]],
  ets: ({ ets }) => [
    ["bands", ets?.bands],
    ["strict", ets?.strict],
    ["quanta", ets?.quantaBytes, ets?.quantaBytes ? `quanta ${ets.quantaBytes.join(" ")}` : ""],
    ["priomap", ets?.priorityMap, ets?.priorityMap ? `priomap ${ets.priorityMap.join(" ")}` : ""],
  ],
  pie: ({ pie }) => [
    packets("limit", pie?.limitPackets),
    timed("target", pie?.targetMs),
    timed("tupdate", pie?.updateMs),
    ["alpha", pie?.alpha],
    ["beta", pie?.beta],
    flag("ecn", pie?.ecn),
    flag("bytemode", pie?.byteMode),
  ],
};

const optionsRecord = (pairs: readonly Pair[]) =>
  Object.fromEntries(
    pairs.filter(([, value]) => value !== undefined).map(([key, value]) => [key, value]),
  );

const optionsText = (pairs: readonly Pair[]): string =>
  pairs
    .filter(([, value]) => value !== undefined)
    .map(([key, value, text]) => text ?? `${key} ${String(value)}`)
    .filter((text) => text !== "")
    .map((text) => ` ${text}`)
    .join("");

const statisticsRecord = ({ statistics: has }: { statistics?: QueueStatistics }) => ({
  bytes: has?.bytes ?? 0,
  packets: has?.packets ?? 0,
  drops: has?.dropped ?? 0,
  overlimits: has?.overlimits ?? 0,
  requeues: has?.requeues ?? 0,
  backlog: has?.backlogBytes ?? 0,
  qlen: has?.backlogPackets ?? 0,
});

function statisticsText({ statistics }: { statistics?: QueueStatistics }): string {
  const has = statisticsRecord(statistics ? { statistics } : {});
  return (
    ` Sent ${has.bytes} bytes ${has.packets} pkt (dropped ${has.drops}, overlimits ${has.overlimits} requeues ${has.requeues}) \n` +
    ` backlog ${sizeText(has.backlog)} ${has.qlen}p requeues ${has.requeues}\n`
  );
}

/** Both ways in and out are at the same place of an interface. */
const parentOf = ({ parent }: Qdisc): string => (parent === "ingress" ? "ffff:fff1" : parent);

export function qdiscRecord(qdisc: Qdisc, flags: Flags, named: boolean): Record<string, unknown> {
  return {
    kind: qdisc.kind,
    handle: qdisc.handle,
    ...(named && { dev: qdisc.device }),
    ...(qdisc.parent === "root" ? { root: true } : { parent: parentOf(qdisc) }),
    ...(qdisc.references > 1 && { refcnt: qdisc.references }),
    options: optionsRecord(PAIRS[qdisc.kind]?.(qdisc) ?? []),
    ...(flags.statistics && statisticsRecord(qdisc)),
  };
}

export function qdiscText(qdisc: Qdisc, flags: Flags, named: boolean): string {
  const line = [
    `qdisc ${qdisc.kind} ${qdisc.handle}`,
    ...(named ? [`dev ${qdisc.device}`] : []),
    qdisc.parent === "root" ? "root" : `parent ${parentOf(qdisc)}`,
    ...(qdisc.references > 1 ? [`refcnt ${qdisc.references}`] : []),
  ].join(" ");
  const options =
    qdisc.kind === "ingress"
      ? " ---------------- "
      : optionsText(PAIRS[qdisc.kind]?.(qdisc) ?? []) || " ";
  return `${line}${options}\n${flags.statistics ? statisticsText(qdisc) : ""}`;
}

function classPairs({ kind, htb, drr, ets, hfsc, leaf }: TrafficClass): Pair[] {
  if (kind === "htb" && htb)
    return [
      // Only classes at the end have a turn.
      ["prio", htb.level === 0 || leaf !== undefined ? (htb.priority ?? 0) : undefined],
      rated("rate", htb.rateBytesPerSecond),
      rated("ceil", htb.ceilBytesPerSecond),
      sized("burst", htb.burstBytes),
      sized("cburst", htb.ceilBurstBytes),
    ];
  const quantum = drr?.quantumBytes ?? ets?.quantumBytes;
  if (quantum !== undefined) return [sized("quantum", quantum)];
  const curves = [
    ["rt", hfsc?.realTime],
    ["ls", hfsc?.linkShare],
    ["ul", hfsc?.upperLimit],
  ] as const;
  return curves.flatMap(([key, curve]): Pair[] =>
    curve
      ? [
          [
            key,
            {
              m1: curve.firstBytesPerSecond,
              d: microseconds(curve.firstMs),
              m2: curve.bytesPerSecond,
            },
            `${key} m1 ${rateText(curve.firstBytesPerSecond)} d ${timeText(curve.firstMs)} m2 ${rateText(curve.bytesPerSecond)}`,
          ],
        ]
      : [],
  );
}

/** A class of the discipline itself is one of the root. */
const placeOf = ({ parent, handle }: TrafficClass): string | null =>
  parent === "root" || parent === `${handle.split(":")[0]}:` ? null : parent;

export function classRecord(one: TrafficClass, flags: Flags): Record<string, unknown> {
  const place = placeOf(one);
  return {
    class: one.kind,
    handle: one.handle,
    ...(place === null ? { root: true } : { parent: place }),
    ...(one.leaf !== undefined && { leaf: one.leaf }),
    ...optionsRecord(classPairs(one)),
    ...(flags.statistics && { stats: statisticsRecord(one) }),
  };
}

export function classText(one: TrafficClass, flags: Flags): string {
  const place = placeOf(one);
  const leaf = one.leaf === undefined ? "" : ` leaf ${one.leaf}`;
  const line = `class ${one.kind} ${one.handle} ${place === null ? "root" : `parent ${place}`}${leaf}`;
  return `${line}${optionsText(classPairs(one))} \n${flags.statistics ? `${statisticsText(one)}\n` : ""}`;
}
