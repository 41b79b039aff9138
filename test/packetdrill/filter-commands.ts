// iptables(8) and conntrack(8), done by nf_tables and the kernel's own list of connections.

import { NFT_REG_1 } from "../../src/abi/constants/netfilter.ts";
import { expr } from "../../src/net/index.ts";
import type { Network, NftExpression, NftMatch } from "../../src/net/index.ts";
import type { Invocation } from "./invocation.ts";
import { TCP_FLAG_NAMES } from "./packet.ts";
import { UsageError, Words } from "./program.ts";

const TABLE = "filter";
const CHAINS = { INPUT: "input", FORWARD: "forward", OUTPUT: "output" } as const;
const VERDICTS = { ACCEPT: "accept", DROP: "drop" } as const;
const STATES = {
  INVALID: "invalid",
  NEW: "new",
  ESTABLISHED: "established",
  RELATED: "related",
  UNTRACKED: "untracked",
} as const;
/** Where a TCP header has the flags (RFC 9293). */
const FLAGS_OFFSET = 13;

function among<T extends object>(names: T, name: string, what: string): T[keyof T] {
  if (Object.hasOwn(names, name)) return names[name as keyof T];
  throw new UsageError(`${what} '${name}' is not known`);
}

/** A rule, and the words that it was told with: they are its comment. */
interface Rule {
  readonly words: string;
  readonly match: NftMatch;
  readonly expressions: readonly NftExpression[];
  readonly action: (typeof VERDICTS)[keyof typeof VERDICTS] | undefined;
}

function flagBits(names: string): number {
  if (names === "NONE") return 0;
  return names.split(",").reduce((bits, name) => bits | among(TCP_FLAG_NAMES, name, "flag"), 0);
}

/** TCP's flags among some are these, and no others. */
function flagsAre(mask: number, flags: number): NftExpression[] {
  return [
    expr("payload", { target: NFT_REG_1, base: "transport", offset: FLAGS_OFFSET, length: 1 }),
    expr("bitwise", {
      source: NFT_REG_1,
      target: NFT_REG_1,
      length: 1,
      mask: { value: Uint8Array.of(mask) },
      xor: { value: Uint8Array.of(0) },
    }),
    expr("cmp", { source: NFT_REG_1, operator: "==", data: { value: Uint8Array.of(flags) } }),
  ];
}

/** [-p tcp] [-m conntrack --ctstate STATE,…] [--syn] [--tcp-flags MASK FLAGS] [-j DROP|ACCEPT] */
function readRule(args: readonly string[]): Rule {
  const words = new Words(args);
  const match: { -readonly [K in "protocol" | "state"]?: NftMatch[K] } = {};
  let action: Rule["action"];
  const expressions: NftExpression[] = [];
  while (words.next !== undefined) {
    const word = words.take("a word");
    if (word === "-p") {
      const protocol = words.take("a protocol");
      if (protocol !== "tcp" && protocol !== "udp")
        throw new UsageError(`protocol '${protocol}' is not known`);
      match.protocol = protocol;
    } else if (word === "-m") words.take("a match");
    else if (word === "--ctstate") {
      const states = words.take("a state").split(",");
      match.state = states.map((name) => among(STATES, name, "state"));
    } else if (word === "--syn")
      expressions.push(...flagsAre(flagBits("FIN,SYN,RST,ACK"), flagBits("SYN")));
    else if (word === "--tcp-flags")
      expressions.push(...flagsAre(flagBits(words.take("a mask")), flagBits(words.take("flags"))));
    else if (word === "-j") action = among(VERDICTS, words.take("a target"), "target");
    else throw new UsageError(`'${word}' is not known`);
  }
  return { words: args.join(" "), match, expressions, action };
}

async function ensureChain(network: Network, family: "ip" | "ip6", chain: keyof typeof CHAINS) {
  const batch = network.nft.batch().addTable(family, TABLE);
  batch.addChain({ family, table: TABLE, name: chain, hook: CHAINS[chain], policy: "accept" });
  await batch.commit();
}

/** As iptables -S has it, with -c and the counters before the target. */
function showRule(
  chain: string,
  words: string,
  counter?: { packets: number; bytes: number },
): string {
  const [rule, target] = words.split(" -j ");
  const counted = counter ? [`-c ${counter.packets} ${counter.bytes}`] : [];
  return [`-A ${chain}`, rule, ...counted, ...(target === undefined ? [] : [`-j ${target}`])].join(
    " ",
  );
}

/** iptables [-v] -A|-D|-S CHAIN [RULE] */
export async function iptables(
  { args, network }: Invocation,
  family: "ip" | "ip6",
): Promise<string> {
  const verbose = args[0] === "-v";
  const words = new Words(verbose ? args.slice(1) : args);
  const action = words.take("-A, -D or -S");
  const chain = words.take("a chain");
  among(CHAINS, chain, "chain");
  const place = { family, table: TABLE, chain } as const;
  const told = args.slice(args.indexOf(chain) + 1);
  if (action === "-A") {
    await ensureChain(network, family, chain as keyof typeof CHAINS);
    const { words: comment, match, expressions, action: verdict } = readRule(told);
    const batch = network.nft.batch();
    batch.addRule({
      ...place,
      match,
      expressions,
      counter: true,
      comment,
      ...(verdict && { action: verdict }),
    });
    await batch.commit();
    return "";
  }
  const rules = await network.nft.rules(place);
  if (action === "-S")
    return rules
      .map(
        ({ comment = "", counter }) =>
          `${showRule(chain, comment, verbose ? counter : undefined)}\n`,
      )
      .join("");
  if (action !== "-D") throw new UsageError(`'${action}': it is -A, -D or -S`);
  const wanted = readRule(told).words;
  const rule = rules.find(({ comment }) => comment === wanted);
  if (!rule) throw new UsageError("there is no such rule");
  const batch = network.nft.batch();
  batch.deleteRule({ family, table: TABLE }, chain, rule.handle);
  await batch.commit();
  return "";
}

/** As conntrack(8) calls the states of TCP's connections. */
const TCP_STATE_NAMES: ReadonlyMap<unknown, string> = new Map([
  ["syn-sent", "SYN_SENT"],
  ["syn-sent2", "SYN_SENT2"],
  ["syn-received", "SYN_RECV"],
  ["established", "ESTABLISHED"],
  ["fin-wait", "FIN_WAIT"],
  ["close-wait", "CLOSE_WAIT"],
  ["last-ack", "LAST_ACK"],
  ["time-wait", "TIME_WAIT"],
  ["close", "CLOSE"],
]);

/** conntrack [-f ipv4|ipv6] -L [-p PROTOCOL] [--dport PORT] */
export async function conntrack({ args, network }: Invocation): Promise<string> {
  const words = new Words(args);
  let family: "ipv4" | "ipv6" = "ipv4";
  let protocol: string | undefined;
  let port: number | undefined;
  while (words.next !== undefined) {
    if (words.accept("-f")) family = words.take("a family") === "ipv6" ? "ipv6" : "ipv4";
    else if (words.accept("-p")) protocol = words.take("a protocol");
    else if (words.accept("--dport")) port = Number(words.take("a port"));
    else if (!words.accept("-L")) throw new UsageError(`'${words.next}' is not known`);
  }
  let output = "";
  for (const { original, reply, status, tcpState, timeoutSeconds } of await network.connection.list(
    family,
  )) {
    if (protocol !== undefined && original.protocol !== protocol) continue;
    if (port !== undefined && original.destinationPort !== port) continue;
    const tuple = ({ source, destination, sourcePort, destinationPort }: typeof original) =>
      `src=${source} dst=${destination} sport=${sourcePort} dport=${destinationPort}`;
    const parts = [
      `${original.protocol} ${timeoutSeconds ?? 0}`,
      TCP_STATE_NAMES.get(tcpState) ?? "",
      tuple(original),
      status.includes("seen-reply") ? "" : "[UNREPLIED]",
      tuple(reply),
      status.includes("assured") ? "[ASSURED]" : "",
    ];
    output += `${parts.filter(Boolean).join(" ")}\n`;
  }
  return output;
}
