// Filters as `tc filter` shows them.

import type { Filter, FilterAction, FlowerMatch } from "../../../net/index.ts";
import { rateText, sizeText } from "./text.ts";

const MATCH_WORDS: readonly (readonly [key: keyof FlowerMatch, word: string])[] = [
  ["inputDevice", "indev"],
  ["vlanId", "vlan_id"],
  ["etherDestination", "dst_mac"],
  ["etherSource", "src_mac"],
  ["transport", "ip_proto"],
  ["destination", "dst_ip"],
  ["source", "src_ip"],
  ["destinationPort", "dst_port"],
  ["sourcePort", "src_port"],
];

/** A whole address stands without its length. */
const plain = (value: unknown): unknown =>
  typeof value === "string" ? value.replace(/^([\d.]+)\/32$|^([\da-f:]+)\/128$/i, "$1$2") : value;

const matches = ({ match = {} }: Filter): [string, unknown][] =>
  MATCH_WORDS.flatMap(([key, word]): [string, unknown][] =>
    match[key] === undefined ? [] : [[word, plain(match[key])]],
  );

function actionRecord(action: FilterAction): Record<string, unknown> {
  if (typeof action === "string") return { kind: "gact", control_action: { type: action } };
  if ("redirect" in action || "mirror" in action) {
    const redirects = "redirect" in action;
    return {
      kind: "mirred",
      mirred_action: redirects ? "redirect" : "mirror",
      direction: action.ingress ? "ingress" : "egress",
      to_dev: redirects ? action.redirect : action.mirror,
      control_action: { type: redirects ? "stolen" : "pipe" },
    };
  }
  if ("police" in action) {
    const { rateBytesPerSecond, burstBytes, exceed = "drop" } = action.police;
    return {
      kind: "police",
      rate: rateBytesPerSecond,
      burst: burstBytes,
      control_action: { type: exceed },
    };
  }
  return { kind: "skbedit", ...action };
}

function actionText(action: FilterAction): string {
  if (typeof action === "string") return `gact action ${action}`;
  if ("redirect" in action)
    return `mirred (${action.ingress ? "Ingress" : "Egress"} Redirect to device ${action.redirect}) stolen`;
  if ("mirror" in action)
    return `mirred (${action.ingress ? "Ingress" : "Egress"} Mirror to device ${action.mirror}) pipe`;
  if ("police" in action) {
    const { rateBytesPerSecond, burstBytes, exceed = "drop" } = action.police;
    return `police rate ${rateText(rateBytesPerSecond)} burst ${sizeText(burstBytes)} action ${exceed}`;
  }
  return "mark" in action
    ? `skbedit  mark ${action.mark} pipe`
    : `skbedit  priority ${action.priority} pipe`;
}

const handleText = ({ handle = 0 }: Filter): string => `0x${handle.toString(16)}`;

const word = (value: number): string => value.toString(16).padStart(8, "0");

/** Handles of u32 are a table, a bucket and a number in it. */
const u32Handle = (handle: number): string =>
  `${(handle >>> 20).toString(16)}::${(handle & 0xfff).toString(16)}`;

function u32Text({ handle = 0, classId, keys = [], actions = [] }: Filter): string {
  const table = (handle >>> 20).toString(16);
  const target = classId === undefined ? "" : `*flowid ${classId} `;
  const lines = keys.map(
    ({ value, mask, offsetBytes }) => `  match ${word(value)}/${word(mask)} at ${offsetBytes}\n`,
  );
  const done = actions.map((one, i) => `\taction order ${i + 1}: ${actionText(one)}\n`);
  return `fh ${u32Handle(handle)} order ${handle & 0xfff} key ht ${table} bkt 0 ${target}not_in_hw \n${lines.join("")}${done.join("")}`;
}

/** @param asked whether a place was asked for: it goes without saying then */
export function filterRecord(filter: Filter, asked: boolean): Record<string, unknown> {
  const { match } = filter;
  const keys = Object.fromEntries(matches(filter));
  return {
    ...(!asked && { parent: filter.parent }),
    protocol: filter.protocol,
    pref: filter.priority,
    kind: filter.kind,
    chain: 0,
    options: {
      ...(filter.kind === "fw" ? { mark: filter.mark } : {}),
      ...(filter.kind === "u32"
        ? { fh: u32Handle(filter.handle ?? 0) }
        : { handle: filter.handle }),
      ...(filter.keys && {
        match: filter.keys.map(({ value, mask, offsetBytes }) => ({
          value: value.toString(16),
          mask: mask.toString(16),
          off: offsetBytes,
        })),
      }),
      ...(filter.classId !== undefined && { classid: filter.classId }),
      ...(match && {
        keys: {
          ...(filter.protocol !== "all" && {
            eth_type: filter.protocol === "ip" ? "ipv4" : filter.protocol,
          }),
          ...keys,
        },
      }),
      ...(filter.actions && {
        actions: filter.actions.map((one, i) => Object.assign({ order: i + 1 }, actionRecord(one))),
      }),
    },
  };
}

export function filterText(filter: Filter, asked: boolean): string {
  const place = asked ? "" : `parent ${filter.parent} `;
  const head = `filter ${place}protocol ${filter.protocol} pref ${filter.priority} ${filter.kind} chain 0 `;
  if (filter.kind === "u32") return head + u32Text(filter);
  const target = filter.classId === undefined ? "" : `classid ${filter.classId} `;
  const type = filter.protocol === "ip" ? "ipv4" : filter.protocol;
  const keys = [
    ...(filter.kind === "flower" && filter.protocol !== "all" ? [`  eth_type ${type}\n`] : []),
    ...matches(filter).map(([word, value]) => `  ${word} ${String(value)}\n`),
  ];
  const actions = (filter.actions ?? []).map(
    (one, i) => `\taction order ${i + 1}: ${actionText(one)}\n`,
  );
  return `${head}handle ${handleText(filter)} ${target}\n${keys.join("")}${actions.join("")}`;
}
