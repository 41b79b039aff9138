// ip monitor: what changes, as it does, until it is interrupted or a time is over.

import type { MonitorEvent, MonitorTopic, Network } from "../../../net/index.ts";
import type { Command, Flags } from "../command.ts";
import { addressRecord, addressText } from "../show/address.ts";
import { linkRecord, linkText } from "../show/link.ts";
import { routeRecord, routeText } from "../show/route.ts";
import { neighbourRecord, neighbourText, ruleRecord, ruleText } from "../show/rule.ts";
import { number } from "../values.ts";
import type { Words } from "../words.ts";

const TOPICS: Readonly<Record<string, MonitorTopic>> = {
  link: "link",
  address: "address",
  route: "route",
  rule: "rule",
  neigh: "neighbour",
};

/** `ip monitor [all | link | address | route | rule | neigh]... [count N] [seconds N]` */
export function monitor(words: Words, flags: Flags): Command {
  const topics = new Set<MonitorTopic>();
  const bounds: { count?: number; seconds?: number } = {};
  words.parameters(
    {
      all: () => {
        for (const topic of Object.values(TOPICS)) topics.add(topic);
      },
      ...Object.fromEntries(
        Object.entries(TOPICS).map(([word, topic]) => [word, () => void topics.add(topic)]),
      ),
      count: (rest) => void (bounds.count = number(rest, 1)),
      seconds: (rest) => void (bounds.seconds = number(rest, 0, 86_400)),
    },
    "word of ip monitor",
  );
  const wanted = topics.size ? [...topics] : Object.values(TOPICS);
  return async (context) => {
    const { network, signal } = context;
    await using events = await network.monitor(wanted);
    const stop = () => void events[Symbol.asyncDispose]();
    signal.addEventListener("abort", stop, { once: true });
    const timer =
      bounds.seconds === undefined ? undefined : setTimeout(stop, bounds.seconds * 1000);
    let seen = 0;
    try {
      for await (const event of events) {
        if (event.type === "overrun") await context.write("overrun: something was missed\n");
        else if (flags.json || context.json)
          await context.write(`${JSON.stringify(recordOf(event, flags))}\n`);
        else await context.write(await textOf(event, flags, network));
        if (++seen === bounds.count) break;
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  };
}

function recordOf(event: MonitorEvent, flags: Flags): Record<string, unknown> {
  return { ...(event.action === "delete" && { deleted: true }), ...thing(event, flags) };
}

function thing(event: MonitorEvent, flags: Flags): Record<string, unknown> {
  if (event.type === "link") return linkRecord(event.link, [], flags);
  if (event.type === "address")
    return { ifname: event.address.device, ...addressRecord(event.address) };
  if (event.type === "route") return routeRecord(event.route, { flags, table: "all" });
  return event.type === "rule" ? ruleRecord(event.rule) : neighbourRecord(event.neighbour);
}

async function textOf(event: MonitorEvent, flags: Flags, network: Network): Promise<string> {
  const deleted = event.action === "delete" ? "Deleted " : "";
  if (event.type === "link") return deleted + linkText(event.link, [], flags, false);
  if (event.type === "route") return deleted + routeText(event.route, { flags, table: "all" });
  if (event.type === "rule") return deleted + ruleText(event.rule);
  if (event.type === "neighbour") return deleted + neighbourText(event.neighbour);
  const { device } = event.address;
  const index = await network.link.get(device).then(
    (link) => `${link.index}: `,
    () => "",
  );
  return `${deleted}${index}${device}${addressText(event.address)}`;
}
