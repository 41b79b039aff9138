// ethtool: what a device does by itself, who drives it, what it counts.

import type { DeviceFeature } from "../../../net/index.ts";
import { NO_FLAGS, show } from "../command.ts";
import type { Command } from "../command.ts";
import { device } from "../ip/verbs.ts";
import { onOff } from "../values.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";

/** Names of ethtool's own, and the kernel's features that they stand for. */
const GROUPS: readonly (readonly [name: string, short: string, features: RegExp])[] = [
  ["rx-checksumming", "rx", /^rx-checksum$/],
  ["tx-checksumming", "tx", /^tx-checksum-/],
  ["scatter-gather", "sg", /^tx-scatter-gather/],
  ["tcp-segmentation-offload", "tso", /^tx-tcp/],
  ["generic-segmentation-offload", "gso", /^tx-generic-segmentation$/],
  ["generic-receive-offload", "gro", /^rx-gro$/],
  ["large-receive-offload", "lro", /^rx-lro$/],
  ["rx-vlan-offload", "rxvlan", /^rx-vlan-hw-parse$/],
  ["tx-vlan-offload", "txvlan", /^tx-vlan-hw-insert$/],
  ["ntuple-filters", "ntuple", /^rx-ntuple-filter$/],
  ["receive-hashing", "rxhash", /^rx-hashing$/],
];

const MODES = {
  "-k": features,
  "--show-features": features,
  "--show-offload": features,
  "-K": setFeatures,
  "--features": setFeatures,
  "--offload": setFeatures,
  "-i": driver,
  "--driver": driver,
  "-S": statistics,
  "--statistics": statistics,
  "-l": channels,
  "--show-channels": channels,
} as const satisfies Readonly<Record<string, (words: Words, json: boolean) => Command>>;

/** `ethtool -k eth0` */
export function ethtool(words: Words): Command {
  const json = words.accept("--json", "-j");
  const { next } = words;
  if (next === undefined || !next.startsWith("-")) return settings(words, json);
  const modes = Object.keys(MODES) as (keyof typeof MODES)[];
  const given = words.take("an option");
  const mode = modes.find((one) => one === given);
  if (mode === undefined) throw unknownWord(given, "option of ethtool", modes);
  return MODES[mode](words, json);
}

const flagsOf = (json: boolean) => ({ ...NO_FLAGS, json });

/** The devices's name, and nothing more. */
function only(words: Words): string {
  const name = device(words);
  words.end();
  return name;
}

interface Line {
  readonly name: string;
  readonly active: boolean;
  readonly fixed: boolean;
  readonly requested: boolean;
  readonly inside: boolean;
}

/** Features under the names of ethtool, which may stand for several. */
function linesOf(all: readonly DeviceFeature[]): Line[] {
  const line = (name: string, of: readonly DeviceFeature[], inside: boolean): Line => ({
    name,
    active: of.some(({ active }) => active),
    fixed: of.every(({ changeable }) => !changeable),
    requested: of.some(({ wanted }) => wanted),
    inside,
  });
  const grouped = GROUPS.flatMap(([name, , pattern]) => {
    const of = all.filter((one) => pattern.test(one.name));
    if (!of.length) return [];
    const several = of.length > 1 || name === "tx-checksumming";
    return [
      line(name, of, false),
      ...(several ? of.map((one) => line(one.name, [one], true)) : []),
    ];
  });
  const rest = all.filter((one) => !GROUPS.some(([, , pattern]) => pattern.test(one.name)));
  return [...grouped, ...rest.map((one) => line(one.name, [one], false))];
}

function features(words: Words, json: boolean): Command {
  const name = only(words);
  return async (context) => {
    const lines = linesOf(await context.network.ethtool.features(name));
    const values = Object.fromEntries(
      lines.map(({ name: feature, active, fixed, requested }) => [
        feature,
        { active, fixed, requested },
      ]),
    );
    const text = lines.map(
      ({ name: feature, active, fixed, inside }) =>
        `${inside ? "\t" : ""}${feature}: ${active ? "on" : "off"}${fixed && (inside || !hasParts(feature)) ? " [fixed]" : ""}\n`,
    );
    await show(
      context,
      flagsOf(json),
      [values],
      (one) => ({ ifname: name, ...one }),
      () => `Features for ${name}:\n${text.join("")}`,
    );
  };
}

/** Whether a name stands for several features: those say each whether they can be changed. */
const hasParts = (name: string): boolean =>
  ["tx-checksumming", "scatter-gather", "tcp-segmentation-offload"].includes(name);

function setFeatures(words: Words): Command {
  const name = device(words);
  const wanted: [string, boolean][] = [];
  while (words.next !== undefined) wanted.push([words.take("a feature"), onOff(words)]);
  if (!wanted.length) throw new WordError("which features? e.g. ethtool -K eth0 tso off");
  return async ({ network }) => {
    const all = await network.ethtool.features(name);
    const changes: Record<string, boolean> = {};
    for (const [given, on] of wanted) {
      const group = GROUPS.find(([long, short]) => long === given || short === given);
      const of = all.filter((one) => (group ? group[2].test(one.name) : one.name === given));
      if (!of.length)
        throw unknownWord(given, "feature", [
          ...GROUPS.map(([long]) => long),
          ...all.map((one) => one.name),
        ]);
      // Of several those that can be changed.
      const can = of.filter(({ changeable }) => changeable);
      for (const one of can.length ? can : of) changes[one.name] = on;
    }
    await network.ethtool.setFeatures(name, changes);
  };
}

function driver(words: Words, json: boolean): Command {
  const name = only(words);
  return async (context) => {
    const told = await context.network.ethtool.driver(name);
    await show(
      context,
      flagsOf(json),
      [told],
      (one) => ({ ifname: name, ...one }),
      (one) =>
        `driver: ${one.driver}\nversion: ${one.version}\nfirmware-version: ${one.firmware}\nbus-info: ${one.bus}\n`,
    );
  };
}

function statistics(words: Words, json: boolean): Command {
  const name = only(words);
  return async (context) => {
    const all = await context.network.ethtool.statistics(name);
    const lines = Array.from(all, ([key, value]) => `     ${key}: ${value}\n`);
    await show(
      context,
      flagsOf(json),
      [all],
      (one) => ({ ifname: name, ...Object.fromEntries(one) }),
      () => (lines.length ? `NIC statistics:\n${lines.join("")}` : "no stats available\n"),
    );
  };
}

function channels(words: Words, json: boolean): Command {
  const name = only(words);
  return async (context) => {
    const told = await context.network.ethtool.channels(name);
    const lines = (rx: number, tx: number, combined: number) =>
      `RX:\t\t${rx}\nTX:\t\t${tx}\nCombined:\t${combined}\n`;
    await show(
      context,
      flagsOf(json),
      [told],
      (one) => ({ ifname: name, ...one }),
      (one) =>
        `Channel parameters for ${name}:\nPre-set maximums:\n${lines(one.rxMax, one.txMax, one.combinedMax)}Current hardware settings:\n${lines(one.rx, one.tx, one.combined)}`,
    );
  };
}

function settings(words: Words, json: boolean): Command {
  const name = only(words);
  return async (context) => {
    const { link, speedMbps, duplex } = await context.network.ethtool.link(name);
    const lines = [
      ...(speedMbps === undefined ? [] : [`\tSpeed: ${speedMbps}Mb/s\n`]),
      ...(duplex === undefined ? [] : [`\tDuplex: ${duplex === "full" ? "Full" : "Half"}\n`]),
      ...(link === undefined ? [] : [`\tLink detected: ${link ? "yes" : "no"}\n`]),
    ];
    await show(
      context,
      flagsOf(json),
      [{ link, speedMbps, duplex }],
      (one) => ({
        ifname: name,
        speed: one.speedMbps,
        duplex: one.duplex,
        "link-detected": one.link,
      }),
      () => `Settings for ${name}:\n${lines.join("")}`,
    );
  };
}
