// tc: queueing disciplines, their classes, and filters.

import type { ClassSpec, QdiscSpec } from "../../../net/index.ts";
import { parseHandle } from "../../../net/qdisc.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { flagsOf, inNamespace } from "../ip/index.ts";
import { device, needed, verbOf } from "../ip/verbs.ts";
import { classRecord, classText, qdiscRecord, qdiscText } from "../show/qdisc.ts";
import { unknownWord, WordError, wordOf } from "../words.ts";
import type { Words } from "../words.ts";
import { filter } from "./filter.ts";
import { handle } from "./handle.ts";
import { CLASS_NAMES, QDISC_NAMES, readClass, readQdisc } from "./qdisc-kinds.ts";
import type { WithKind } from "./qdisc-kinds.ts";

const OBJECTS: Readonly<Record<string, (words: Words, flags: Flags) => Command>> = {
  qdisc,
  class: trafficClass,
  filter,
};

/** `tc -s qdisc show dev eth0` */
export function tc(words: Words): Command {
  const flags = flagsOf(words);
  const names = Object.keys(OBJECTS);
  const given = words.take("an object");
  const name = wordOf(given, names);
  if (name === undefined) throw unknownWord(given, "object of tc", names);
  return inNamespace(OBJECTS[name](words, flags), flags);
}

/** Where something is, on which interface. */
interface Place {
  device?: string;
  parent?: string;
  handle?: string;
}

/** Words that say where; `handleWord` is "handle" of disciplines, "classid" of classes. */
function placeWords(place: Place, handleWord: string) {
  return {
    dev: (words: Words) => void (place.device = device(words)),
    parent: (words: Words) => void (place.parent = handle(words)),
    [handleWord]: (words: Words) => void (place.handle = handle(words)),
    root: () => void (place.parent = "root"),
  };
}

function qdisc(words: Words, flags: Flags): Command {
  return verbOf(
    words,
    flags,
    {
      add: (rest) => make(rest, "add"),
      change: (rest) => make(rest, "change"),
      replace: (rest) => make(rest, "replace"),
      delete: (rest) => make(rest, "delete"),
      show: list,
      list,
      lst: list,
    },
    "show",
    "tc qdisc",
  );
}

function make(words: Words, verb: "add" | "change" | "replace" | "delete"): Command {
  const place: Place = {};
  let made: WithKind | undefined;
  // Disciplines stand for themselves: what follows is theirs.
  words.parameters(
    {
      ...placeWords(place, "handle"),
      ingress: (rest) => void (made = readQdisc(rest, "ingress")),
      clsact: (rest) => void (made = readQdisc(rest, "clsact")),
    },
    `word of tc qdisc ${verb}, and no queueing discipline`,
    (rest) => {
      const { next } = rest;
      if (next === undefined || made !== undefined || words.next === undefined) return false;
      if (["dev", "parent", "handle", "root"].some((word) => word.startsWith(next))) return false;
      if (!QDISC_NAMES.includes(next)) throw unknownWord(next, "queueing discipline", QDISC_NAMES);
      made = readQdisc(rest, rest.take("a queueing discipline"));
      return true;
    },
    QDISC_NAMES,
  );
  const target = needed(place.device, "dev");
  const atSide = made?.kind === "ingress" || made?.kind === "clsact";
  const parent = place.parent ?? (atSide ? "ingress" : undefined);
  const at = {
    ...(parent !== undefined && { parent }),
    ...(place.handle !== undefined && !atSide && { handle: place.handle }),
  };
  if (verb === "delete") return ({ network }) => network.qdisc.delete(target, at);
  if (made === undefined)
    throw new WordError(`which queueing discipline? there are ${QDISC_NAMES.join(", ")}`);
  if (parent === undefined) throw new WordError('"root" or "parent" is missing: where it is');
  const spec = { ...made, ...at } as QdiscSpec;
  return ({ network }) => network.qdisc[verb](target, spec);
}

/** What `show` is asked for. */
function readPlace(words: Words, what: string, handleWord: string): Place {
  const place: Place = {};
  words.parameters(
    {
      ...placeWords(place, handleWord),
      ingress: () => void (place.parent = "ingress"),
      clsact: () => void (place.parent = "ingress"),
    },
    what,
  );
  return place;
}

const same = (a: string | undefined, b: string | undefined): boolean =>
  a === undefined || (b !== undefined && parseHandle(a, "handle") === parseHandle(b, "handle"));

function list(words: Words, flags: Flags): Command {
  const place = readPlace(words, "word of tc qdisc show", "handle");
  return async (context) => {
    const all = await context.network.qdisc.list(place.device);
    const wanted = all.filter(
      (one) => same(place.parent, one.parent) && same(place.handle, one.handle),
    );
    const named = place.device === undefined;
    await show(
      context,
      flags,
      wanted,
      (one) => qdiscRecord(one, flags, named),
      (one) => qdiscText(one, flags, named),
    );
  };
}

function trafficClass(words: Words, flags: Flags): Command {
  const usual = { add: true, change: true, replace: true, delete: true };
  return verbOf(
    words,
    flags,
    {
      ...Object.fromEntries(
        Object.keys(usual).map((verb) => [verb, (rest: Words) => makeClass(rest, verb)]),
      ),
      show: listClasses,
      list: listClasses,
      lst: listClasses,
    },
    "show",
    "tc class",
  );
}

function makeClass(words: Words, verb: string): Command {
  const place: Place = {};
  let made: WithKind | undefined;
  const discipline = (rest: Words): boolean => {
    const { next } = rest;
    if (next === undefined || made !== undefined) return false;
    if (["dev", "parent", "classid", "root"].some((word) => word.startsWith(next))) return false;
    made = readClass(rest, rest.take("a discipline"));
    return true;
  };
  const what = `word of tc class ${verb}`;
  words.parameters(placeWords(place, "classid"), what, discipline, CLASS_NAMES);
  const target = needed(place.device, "dev");
  const own = needed(place.handle, "classid");
  if (verb === "delete") return ({ network }) => network.trafficClass.delete(target, own);
  if (made === undefined) throw new WordError("classes of which discipline? e.g. htb, or hfsc");
  // A class of the root is one of its discipline.
  const above =
    place.parent === "root" || place.parent === undefined ? `${own.split(":")[0]}:` : place.parent;
  const spec = { ...made, handle: own, parent: above } as ClassSpec;
  return ({ network }) =>
    verb === "add"
      ? network.trafficClass.add(target, spec)
      : network.trafficClass.replace(target, spec);
}

function listClasses(words: Words, flags: Flags): Command {
  const place = readPlace(words, "word of tc class show", "classid");
  const target = needed(place.device, "dev");
  return async (context) => {
    const all = await context.network.trafficClass.list(target);
    const wanted = all.filter(
      (one) => same(place.parent, one.parent) && same(place.handle, one.handle),
    );
    await show(
      context,
      flags,
      wanted,
      (one) => classRecord(one, flags),
      (one) => classText(one, flags),
    );
  };
}
