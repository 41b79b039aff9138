// tc filter: which class a packet is of, and what is done with it.

import type { Filter, FilterAction, FlowerMatch, Police, U32Key } from "../../../net/index.ts";
import { PROTOCOLS } from "../../../net/nft/match.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { device, needed, verbOf } from "../ip/verbs.ts";
import { filterRecord, filterText } from "../show/filter.ts";
import { mac, number, prefix, rate, size } from "../values.ts";
import { unknownWord, WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { handle } from "./handle.ts";
import { readMatch } from "./u32.ts";

export const filter = (words: Words, flags: Flags): Command =>
  verbOf(words, flags, { add, delete: remove, show: list, list, lst: list }, "show", "tc filter");

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const SIDES = ["ingress", "egress"] as const;
const KINDS = ["flower", "matchall", "fw", "u32"] as const;

interface Place {
  device?: string;
  parent?: string;
  protocol?: string | number;
  priority?: number;
  handle?: number;
}

function placeWords(place: Place) {
  return {
    dev: (words: Words) => void (place.device = device(words)),
    parent: (words: Words) => void (place.parent = handle(words)),
    root: () => void (place.parent = "root"),
    ingress: () => void (place.parent = "ingress"),
    egress: () => void (place.parent = "egress"),
    protocol: (words: Words) => void (place.protocol = etherType(words)),
    prio: (words: Words) => void (place.priority = number(words, 1, 0xffff)),
    priority: (words: Words) => void (place.priority = number(words, 1, 0xffff)),
    preference: (words: Words) => void (place.priority = number(words, 1, 0xffff)),
    handle: (words: Words) => void (place.handle = number(words, 0)),
  };
}

function etherType(words: Words): string | number {
  const given = words.take("a protocol").toLowerCase();
  const known = ["all", "ip", "ipv6", "arp", "802.1q"];
  if (known.includes(given)) return given;
  if (/^(0x[\da-f]+|\d+)$/.test(given)) return Number(given);
  throw unknownWord(given, "protocol", known);
}

function flowerWords(match: Mutable<FlowerMatch>) {
  return {
    indev: (words: Words) => void (match.inputDevice = device(words)),
    src_mac: (words: Words) => void (match.etherSource = mac(words)),
    dst_mac: (words: Words) => void (match.etherDestination = mac(words)),
    vlan_id: (words: Words) => void (match.vlanId = number(words, 0, 4095)),
    ip_proto: (words: Words) => {
      const given = words.take("a protocol");
      const names = Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[];
      const found = names.find((one) => one === given);
      if (found === undefined && !/^\d+$/.test(given)) throw unknownWord(given, "protocol", names);
      match.transport = found ?? Number(given);
    },
    src_ip: (words: Words) => void (match.source = prefix(words)),
    dst_ip: (words: Words) => void (match.destination = prefix(words)),
    src_port: (words: Words) => void (match.sourcePort = number(words, 0, 0xffff)),
    dst_port: (words: Words) => void (match.destinationPort = number(words, 0, 0xffff)),
  };
}

const VERDICTS = ["drop", "pass", "ok"] as const;

/** `action drop`, `action mirred egress redirect dev eth1`, `action skbedit mark 1`. */
function action(words: Words): FilterAction {
  words.accept("gact");
  if (VERDICTS.some((one) => one === words.next))
    return words.oneOf(VERDICTS, "action") === "drop" ? "drop" : "pass";
  if (words.accept("shot")) return "drop";
  const kind = words.oneOf(["mirred", "skbedit", "police", "drop", "pass"] as const, "action");
  if (kind === "police") return { police: police(words) };
  if (kind === "drop" || kind === "pass") return kind;
  if (kind === "skbedit") {
    const what = words.oneOf(["mark", "priority"] as const, "word of skbedit");
    return what === "mark" ? { mark: number(words) } : { priority: handle(words) };
  }
  const side = words.oneOf(SIDES, "side");
  const how = words.oneOf(["redirect", "mirror"] as const, "word of mirred");
  words.accept("dev");
  const target = device(words);
  const ingress = side === "ingress" ? { ingress: true } : {};
  return how === "redirect" ? { redirect: target, ...ingress } : { mirror: target, ...ingress };
}

/** `rate 1mbit burst 32k [drop|pass]`, or with conform-exceed. */
function police(words: Words): Police {
  const bound: Partial<Police> = {};
  while (words.next !== undefined) {
    if (words.accept("rate")) bound.rateBytesPerSecond = rate(words);
    else if (words.accept("burst", "buffer", "maxburst")) bound.burstBytes = size(words);
    else if (words.accept("conform-exceed", "drop", "pass", "ok")) bound.exceed = exceeding(words);
    else break;
  }
  const { rateBytesPerSecond, burstBytes } = bound;
  if (rateBytesPerSecond === undefined) throw new WordError('police: "rate" is missing');
  if (burstBytes === undefined) throw new WordError('police: "burst" is missing');
  return { ...bound, rateBytesPerSecond, burstBytes };
}

/** What becomes of what is too much; the word was passed. */
function exceeding(words: Words): "drop" | "pass" {
  const given = words.last === "conform-exceed" ? words.take("drop or pass") : words.last;
  const [exceed = ""] = given.split("/");
  if (exceed === "drop") return "drop";
  if (exceed === "pass" || exceed === "ok") return "pass";
  throw unknownWord(given, "thing to do with what is too much", ["drop", "pass"]);
}

function add(words: Words): Command {
  const place: Place = {};
  const match: Mutable<FlowerMatch> = {};
  const actions: FilterAction[] = [];
  const keys: U32Key[] = [];
  let kind: (typeof KINDS)[number] | undefined;
  let classId: string | undefined;
  const own = {
    classid: (rest: Words) => void (classId = handle(rest)),
    flowid: (rest: Words) => void (classId = handle(rest)),
    action: (rest: Words) => void actions.push(action(rest)),
  };
  words.parameters(placeWords(place), `word of tc filter add, and no kind of filters`, (rest) => {
    const found = KINDS.find((one) => one === rest.next);
    if (found === undefined) {
      const { next } = rest;
      const isPlace = Object.keys(placeWords({})).some((one) => one.startsWith(next ?? ""));
      if (next !== undefined && !isPlace) throw unknownWord(next, "kind of filters", KINDS);
      return false;
    }
    kind = rest.oneOf(KINDS, "kind of filters");
    rest.parameters(
      {
        ...(kind === "flower" && flowerWords(match)),
        ...(kind === "u32" && { match: (inside: Words) => void keys.push(...readMatch(inside)) }),
        ...own,
      },
      `parameter of ${kind}`,
    );
    return true;
  });
  const target = needed(place.device, "dev");
  if (kind === undefined)
    throw new WordError(`which kind of filters? there are ${KINDS.join(", ")}`);
  if (kind === "fw" && place.handle === undefined)
    throw new WordError('"handle" is missing: the mark of the packets');
  if (kind === "u32" && !keys.length) throw new WordError('u32: "match" is missing');
  const spec: Filter = {
    kind,
    parent: place.parent ?? "root",
    ...(place.priority !== undefined && { priority: place.priority }),
    ...(place.protocol !== undefined && { protocol: place.protocol }),
    ...(kind === "fw" && place.handle !== undefined && { mark: place.handle }),
    ...(kind !== "fw" && place.handle !== undefined && { handle: place.handle }),
    ...(Object.keys(match).length && { match }),
    ...(kind === "u32" && { keys }),
    ...(classId !== undefined && { classId }),
    ...(actions.length && { actions }),
  };
  return ({ network }) => network.filter.add(target, spec);
}

function remove(words: Words): Command {
  const place: Place = {};
  words.parameters(placeWords(place), "word of tc filter del", (rest) => {
    const isKind = KINDS.some((one) => one === rest.next);
    if (isKind) rest.takeRest();
    return isKind;
  });
  const target = needed(place.device, "dev");
  const parent = place.parent ?? "root";
  return async ({ network }) => {
    for (const one of await network.filter.list(target, parent))
      if (
        (place.priority === undefined || one.priority === place.priority) &&
        (place.handle === undefined || one.handle === place.handle)
      )
        await network.filter.delete(target, one);
  };
}

function list(words: Words, flags: Flags): Command {
  const place: Place = {};
  words.parameters(placeWords(place), "word of tc filter show");
  const target = needed(place.device, "dev");
  const { parent } = place;
  return async (context) => {
    const all = await context.network.filter.list(target, parent);
    const wanted = all.filter(
      (one) => place.priority === undefined || one.priority === place.priority,
    );
    await show(
      context,
      flags,
      wanted,
      (one) => filterRecord(one, parent !== undefined),
      (one) => filterText(one, parent !== undefined),
    );
  };
}
