// The commands, by their names: how each is understood.

import { bridge } from "./bridge/index.ts";
import type { Command } from "./command.ts";
import { ip, objectNamed, OBJECT_NAMES } from "./ip/index.ts";
import type { Line } from "./lines.ts";
import { nft } from "./nft/index.ts";
import { tc } from "./tc/index.ts";
import { conntrack } from "./tools/conntrack.ts";
import { dhcp } from "./tools/dhcp.ts";
import { ethtool } from "./tools/ethtool.ts";
import { ping } from "./tools/ping.ts";
import { echo, nameserver, resolve, sleep } from "./tools/resolve.ts";
import { ss } from "./tools/ss.ts";
import { sysctl } from "./tools/sysctl.ts";
import { wg } from "./tools/wg.ts";
import { unknownWord, WordError, Words } from "./words.ts";

type Parse = (words: Words) => Command;

interface Known {
  readonly parse: Parse;
  readonly usage: string;
  readonly about: string;
}

const COMMANDS: Readonly<Record<string, Known>> = {
  ip: {
    parse: (words) => ip(words, parseWords),
    usage: "ip [-j] [-d] [-s] [-4|-6] [-br] [-n NAME] OBJECT [VERB...]",
    about: `${OBJECT_NAMES.filter((name) => name !== "neighbor").join(", ")}; "ip" can be left out`,
  },
  tc: {
    parse: tc,
    usage: "tc [-j] [-s] [-n NAME] qdisc|class|filter [VERB...]",
    about: "traffic control: queueing disciplines, their classes, filters",
  },
  bridge: {
    parse: bridge,
    usage: "bridge [-j] [-d] link|fdb|vlan [VERB...]",
    about: "ports of bridges, their VLANs, where stations are",
  },
  ss: {
    parse: ss,
    usage: "ss [-tuwxlaimesH46j] [FILTER]",
    about: "sockets; -i: what TCP knows of them",
  },
  nft: {
    parse: nft,
    usage: "nft [-a] [-j] list|add|insert|delete|flush ..., or -f FILE",
    about: "the packet filter: tables, chains, rules, sets, NAT",
  },
  ethtool: {
    parse: ethtool,
    usage: "ethtool [-k|-K|-i|-S|-l] DEVICE",
    about: "features, driver, statistics and queues of a device",
  },
  sysctl: {
    parse: sysctl,
    usage: "sysctl [-n] NAME[=VALUE]...",
    about: "parameters of the kernel",
  },
  wg: {
    parse: wg,
    usage: "wg show|set|showconf [DEVICE...]",
    about: "WireGuard's interfaces",
  },
  conntrack: {
    parse: conntrack,
    usage: "conntrack [-L|-F]",
    about: "the connections that pass",
  },
  dhcp: {
    parse: dhcp,
    usage: "dhcp [release] [DEVICE] [timeout SECONDS]",
    about: "an address, a route and name servers (default: for eth0)",
  },
  ping: {
    parse: ping,
    usage: "ping [-c COUNT] [-i SECONDS] [-W SECONDS] [-s BYTES] [-q] HOST",
    about: "whether somebody answers, and how fast (4 times by default)",
  },
  resolve: { parse: resolve, usage: "resolve [-4|-6] NAME...", about: "addresses of names" },
  nameserver: {
    parse: nameserver,
    usage: "nameserver [ADDRESS...]",
    about: "who is asked for names",
  },
  nslookup: { parse: resolve, usage: "nslookup NAME...", about: "the same as resolve" },
  echo: { parse: echo, usage: "echo TEXT...", about: "print it" },
  sleep: { parse: sleep, usage: "sleep SECONDS", about: "wait" },
};

/** Names of commands, and what may stand in their place. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

const USAGE_WIDTH = 40;

/** The commands, each on a line. */
export function helpText(): string {
  const lines = Object.values(COMMANDS).map(({ usage, about }) => {
    const own = usage.length > USAGE_WIDTH ? `\n${" ".repeat(USAGE_WIDTH + 2)}` : "";
    return `  ${usage.padEnd(USAGE_WIDTH)}${own} ${about}\n`;
  });
  return `${lines.join("")}  ${"exit".padEnd(USAGE_WIDTH)} leave; so does the end of the input\n`;
}

/** Understand a command. Objects of ip stand for themselves, as in `ip -batch`. @throws {WordError} */
export function parseWords(words: Words): Command {
  const given = words.next ?? "";
  if (Object.hasOwn(COMMANDS, given)) {
    words.take("a command");
    return COMMANDS[given].parse(words);
  }
  if (given.startsWith("-") || objectNamed(given) !== undefined) return ip(words, parseWords);
  throw unknownWord(given, "command", [...COMMAND_NAMES, ...OBJECT_NAMES]);
}

/** @throws {WordError} that says where */
export function parseLine({ words, text, place }: Line): Command {
  try {
    return parseWords(new Words(words, text));
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    throw new WordError(`${text.split("\n")[0]}: ${error.problem}`, { place, known: error.known });
  }
}
