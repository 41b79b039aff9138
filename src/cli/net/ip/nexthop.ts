// ip nexthop: where routes lead to, made once for many.

import type { NextHopMember, NextHopSpec } from "../../../net/index.ts";
import { show } from "../command.ts";
import type { Command, Flags } from "../command.ts";
import { nextHopRecord, nextHopText } from "../show/route.ts";
import { address, number } from "../values.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { protocol } from "./route.ts";
import { device, needed, verbOf } from "./verbs.ts";

export const nexthop = (words: Words, flags: Flags): Command =>
  verbOf(
    words,
    flags,
    {
      add: (rest, own) => change(rest, own, "add"),
      replace: (rest, own) => change(rest, own, "replace"),
      delete: remove,
      list,
      show: list,
      lst: list,
      flush,
    },
    "list",
    "ip nexthop",
  );

/** `1,5/2`: numbers with weights. */
function group(words: Words): NextHopMember[] {
  const given = words.take("numbers of next hops");
  return given.split("/").map((one) => {
    const [, id, weight] = /^(\d+)(?:,(\d+))?$/.exec(one) ?? [];
    if (id === undefined)
      throw new WordError(`group "${given}": it is like 1/2, or with weights 1,5/2`);
    return { id: Number(id), weight: Number(weight ?? 1) };
  });
}

function change(words: Words, flags: Flags, verb: "add" | "replace"): Command {
  const spec: { -readonly [K in keyof NextHopSpec]: NextHopSpec[K] } = {};
  const resilient: NonNullable<NextHopSpec["resilient"]> = {};
  words.parameters(
    {
      id: (rest) => void (spec.id = number(rest, 1)),
      via: (rest) => void (spec.gateway = address(rest)),
      dev: (rest) => void (spec.device = device(rest)),
      group: (rest) => void (spec.group = group(rest)),
      type: (rest) => {
        const type = rest.oneOf(["mpath", "resilient"] as const, "type of groups");
        spec.groupType = type === "mpath" ? "multipath" : type;
      },
      buckets: (rest) => void (resilient.buckets = number(rest, 1, 0xffff)),
      idle_timer: (rest) => void (resilient.idleSeconds = number(rest)),
      unbalanced_timer: (rest) => void (resilient.unbalancedSeconds = number(rest)),
      blackhole: () => void (spec.blackhole = true),
      fdb: () => void (spec.forwarding = true),
      onlink: () => void (spec.flags = ["onlink"]),
      protocol: (rest) => void (spec.protocol = protocol(rest)),
      proto: (rest) => void (spec.protocol = protocol(rest)),
    },
    `word of ip nexthop ${verb}`,
  );
  const made: NextHopSpec = {
    protocol: "unspecified",
    ...(flags.family !== undefined && { family: flags.family }),
    ...spec,
    ...(Object.keys(resilient).length && { resilient }),
  };
  if (verb === "replace") needed(spec.id, "id");
  return ({ network }) => network.nextHop[verb](made);
}

function remove(words: Words): Command {
  words.accept("id");
  const id = number(words, 1);
  words.end();
  return ({ network }) => network.nextHop.delete(id);
}

function list(words: Words, flags: Flags): Command {
  let id: number | undefined;
  let name: string | undefined;
  let groups = false;
  words.parameters(
    {
      id: (rest) => void (id = number(rest, 1)),
      dev: (rest) => void (name = device(rest)),
      groups: () => void (groups = true),
    },
    "word of ip nexthop show",
  );
  return async (context) => {
    const all = await context.network.nextHop.list();
    const wanted = all.filter(
      (one) =>
        (id === undefined || one.id === id) &&
        (name === undefined || one.device === name) &&
        (!groups || one.group !== undefined),
    );
    await show(context, flags, wanted, nextHopRecord, nextHopText);
  };
}

/** Groups first: what is in one goes with it otherwise. */
function flush(words: Words): Command {
  words.end();
  return async ({ network }) => {
    const all = await network.nextHop.list();
    const order = all.toSorted(
      (a, b) => Number(b.group !== undefined) - Number(a.group !== undefined),
    );
    for (const { id } of order) await network.nextHop.delete(id);
  };
}
