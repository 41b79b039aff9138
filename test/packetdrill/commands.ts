// The programs that scripts call: sysctl(8), tc(8), ip(8), ethtool(8) and small ones, done by the
// library's own netlink and sysctl API on the kernel that is tested.

import { AT_FDCWD, O_RDONLY } from "../../src/abi/constants/fcntl.ts";
import { NETLINK_GENERIC } from "../../src/abi/constants/netlink.ts";
import { Genlmsghdr } from "../../src/abi/structs/netlink.ts";
import { InvalidOptionError } from "../../src/machine/errors.ts";
import type { QdiscSpec, Route } from "../../src/net/index.ts";
import { GenericFamily } from "../../src/net/netlink/generic.ts";
import { compose } from "../../src/net/netlink/message.ts";
import { NetlinkSocket } from "../../src/net/netlink/socket.ts";
import { readText, writeText } from "../../src/net/text-file.ts";
import { SystemError } from "../../src/syscall/errors.ts";
import { conntrack, iptables } from "./filter-commands.ts";
import type { Invocation, Outcome } from "./invocation.ts";
import { UsageError, Words, done, failed, program } from "./program.ts";
import type { Command } from "./program.ts";

/** include/uapi/linux/tcp_metrics.h */
const TCP_METRICS_CMD_DEL = 2;

// --- Parameters ----------------------------------------------------------------------------------

async function sysctl({ args, network }: Invocation): Promise<Outcome> {
  const flags = new Set(args.filter((arg) => arg.startsWith("-")));
  const quiet = flags.has("-q");
  const lenient = flags.has("-e");
  let output = "";
  let errors = "";
  for (const arg of args.filter((one) => !one.startsWith("-"))) {
    const equals = arg.indexOf("=");
    const name = (equals < 0 ? arg : arg.slice(0, equals)).trim();
    try {
      if (equals >= 0) await network.sysctl.set(name, arg.slice(equals + 1).trim());
      const value = quiet && equals >= 0 ? undefined : await network.sysctl.get(name);
      if (value !== undefined) output += flags.has("-n") ? `${value}\n` : `${name} = ${value}\n`;
    } catch (error) {
      if (!(error instanceof SystemError || error instanceof InvalidOptionError)) throw error;
      if (!lenient) errors += `sysctl: ${name}: ${error.message}\n`;
    }
  }
  return { status: errors ? 1 : 0, output, errors };
}

/** What the tree's set_sysctls.py does: sets files, and writes a script that sets them back. */
async function setSysctls({ args, process, variables }: Invocation): Promise<string> {
  let restore = "#!/bin/bash\n";
  for (const arg of args) {
    const equals = arg.indexOf("=");
    if (equals < 0) throw new UsageError(`"${arg}": it is like /proc/sys/net/ipv4/tcp_sack=1`);
    const path = arg.slice(0, equals);
    restore += `echo "${(await readText(process, path)).trim()}" > ${path}\n`;
    await writeText(process, path, `${arg.slice(equals + 1)}\n`);
  }
  await writeText(process, `/tmp/sysctl_restore_${variables.get("PPID")}.sh`, restore);
  return "";
}

// --- Network -------------------------------------------------------------------------------------

/** tc qdisc add|replace|change|del dev DEVICE root [handle H] KIND [limit N | OPTION VALUE…] */
async function tc({ args, network }: Invocation): Promise<string> {
  const words = new Words(args.filter((arg) => !arg.startsWith("-")));
  if (!words.accept("qdisc")) throw new UsageError(`'${words.next}': only qdisc is known`);
  const action = words.take("add, replace, change or del");
  let device: string | undefined;
  let parent = "root";
  let handle: string | undefined;
  for (;;) {
    if (words.accept("dev")) device = words.take("a device");
    else if (words.accept("root")) parent = "root";
    else if (words.accept("parent")) parent = words.take("a parent");
    else if (words.accept("handle")) handle = words.take("a handle");
    else break;
  }
  if (device === undefined) throw new UsageError("dev is missing");
  if (action === "del" || action === "delete") {
    await network.qdisc.delete(device, { parent, ...(handle !== undefined && { handle }) });
    return "";
  }
  const kind = words.take("a kind of qdisc");
  const spec: QdiscSpec = { kind, parent, ...(handle !== undefined && { handle }) };
  if (words.accept("limit")) {
    const limit = Number(words.take("a limit"));
    if (kind === "pfifo") spec.pfifo = { limit };
    else if (kind === "fq") spec.fq = { limitPackets: limit };
    else throw new UsageError(`limit of ${kind} is not known`);
  }
  if (words.next !== undefined) throw new UsageError(`${kind}: '${words.next}' is not known`);
  if (action !== "add" && action !== "replace" && action !== "change")
    throw new UsageError(`'${action}': it is add, replace, change or del`);
  await network.qdisc[action](device, spec);
  return "";
}

/** The metrics that ip-route(8) has words for, with a number. */
const ROUTE_NUMBERS: ReadonlyMap<string, string> = new Map([
  ["mtu", "mtu"],
  ["advmss", "advertisedMss"],
  ["window", "window"],
  ["cwnd", "congestionWindow"],
  ["initcwnd", "initialCongestionWindow"],
  ["initrwnd", "initialReceiveWindow"],
  ["ssthresh", "slowStartThreshold"],
  ["reordering", "reordering"],
  ["hoplimit", "hopLimit"],
  ["quickack", "quickAck"],
]);
/** RTAX_FEATURE_…, include/uapi/linux/rtnetlink.h */
const ROUTE_FEATURES: ReadonlyMap<string, number> = new Map([
  ["ecn", 1],
  ["tcp_usec_ts", 16],
]);
const MTU_LOCKED = 1 << 2;

/** ip route add|change|replace|append|del PREFIX [via GATEWAY] [dev DEVICE] [METRIC VALUE]… */
async function ipRoute(words: Words, { network }: Invocation): Promise<string> {
  const action = words.take("add, change, replace, append or del");
  const route: Record<string, unknown> = { destination: words.take("a destination") };
  const metrics: Record<string, unknown> = {};
  while (words.next !== undefined) {
    const word = words.take("a word");
    const metric = ROUTE_NUMBERS.get(word);
    if (word === "via") route["gateway"] = words.take("a gateway");
    else if (word === "dev") route["device"] = words.take("a device");
    else if (word === "src") route["preferredSource"] = words.take("an address");
    else if (word === "proto") route["protocol"] = words.take("a protocol");
    else if (word === "scope") route["scope"] = words.take("a scope");
    else if (word === "table") route["table"] = words.take("a table");
    else if (word === "metric") route["metric"] = Number(words.take("a metric"));
    else if (word === "onlink") route["flags"] = ["onlink"];
    else if (word === "congctl") metrics["congestionControl"] = words.take("a name");
    else if (word === "rto_min") metrics["minRetransmitMs"] = parseInt(words.take("a time"), 10);
    else if (word === "features") {
      const name = words.take("a feature");
      const feature = ROUTE_FEATURES.get(name);
      if (feature === undefined) throw new UsageError(`feature '${name}' is not known`);
      metrics["features"] = Number(metrics["features"] ?? 0) | feature;
    } else if (metric !== undefined) {
      if (words.accept("lock")) metrics["locked"] = MTU_LOCKED;
      metrics[metric] = Number(words.take("a number"));
    } else throw new UsageError(`'${word}' is not known`);
  }
  // The library checks every field by its name, and says which one is wrong.
  const spec = { ...route, ...(Object.keys(metrics).length && { metrics }) } as unknown as Route;
  if (action === "add") await network.route.add(spec);
  else if (action === "append") await network.route.append(spec);
  else if (action === "change" || action === "replace") await network.route.replace(spec);
  else if (action === "del" || action === "delete") await network.route.delete(spec);
  else throw new UsageError(`'${action}': it is add, change, replace, append or del`);
  return "";
}

/** ip link set [dev] DEVICE [up|down] [mtu N] [gso_max_size N] [gso_max_segs N] */
async function ipLink(words: Words, { network }: Invocation): Promise<string> {
  if (!words.accept("set")) throw new UsageError(`'${words.next}': only set is known`);
  words.accept("dev");
  const device = words.take("a device");
  const changes: Record<string, unknown> = {};
  while (words.next !== undefined) {
    if (words.accept("up")) changes["up"] = true;
    else if (words.accept("down")) changes["up"] = false;
    else if (words.accept("mtu")) changes["mtu"] = Number(words.take("an MTU"));
    else if (words.accept("gso_max_size")) changes["gsoMaxBytes"] = Number(words.take("a size"));
    else if (words.accept("gso_max_segs"))
      changes["gsoMaxSegments"] = Number(words.take("a number"));
    else throw new UsageError(`'${words.next}' is not known`);
  }
  await network.link.set(device, changes);
  return "";
}

async function ipTcpMetrics(words: Words, { process }: Invocation): Promise<string> {
  if (!words.accept("flush", "flus")) throw new UsageError(`'${words.next}': only flush is known`);
  await using socket = new NetlinkSocket(process, NETLINK_GENERIC);
  const family = await GenericFamily.find(socket, "tcp_metrics");
  const header = Genlmsghdr.alloc();
  header.cmd = TCP_METRICS_CMD_DEL;
  header.version = family.version;
  const composed = compose({ type: family.id, header: header.bytes });
  await socket.request(composed, "flush what TCP remembers of destinations");
  return "";
}

async function ip(invocation: Invocation): Promise<string> {
  const words = new Words(invocation.args.filter((arg) => !/^-(4|6|f|family)/.test(arg)));
  const object = words.take("an object");
  if (object === "route" || object === "ro" || object === "r") return ipRoute(words, invocation);
  if (object === "link") return ipLink(words, invocation);
  if (object === "tcp_metrics" || object === "tcp_metric") return ipTcpMetrics(words, invocation);
  throw new UsageError(`'${object}' is not known`);
}

/** The features that ethtool(8) has short names for. */
const FEATURES: ReadonlyMap<string, readonly string[]> = new Map([
  ["tso", ["tx-tcp-segmentation", "tx-tcp6-segmentation"]],
  ["gso", ["tx-generic-segmentation"]],
  ["gro", ["rx-gro"]],
  ["sg", ["tx-scatter-gather"]],
  ["tx", ["tx-checksum-ip-generic"]],
]);

/** ethtool -K DEVICE FEATURE on|off… */
async function ethtool({ args, network }: Invocation): Promise<string> {
  const words = new Words(args);
  if (!words.accept("-K", "--features", "--offload"))
    throw new UsageError(`'${words.next}': only -K is known`);
  const device = words.take("a device");
  const changes: Record<string, boolean> = {};
  while (words.next !== undefined) {
    const name = words.take("a feature");
    const on = words.take("on or off") === "on";
    for (const feature of FEATURES.get(name) ?? [name]) changes[feature] = on;
  }
  await network.ethtool.setFeatures(device, changes);
  return "";
}

// --- Text ----------------------------------------------------------------------------------------

async function contents(invocation: Invocation, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [invocation.input];
  return Promise.all(names.map((name) => readText(invocation.process, name)));
}

async function grep(invocation: Invocation): Promise<Outcome> {
  const { args } = invocation;
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const isFlag = (arg: string, index: number) => index < end && /^-[a-z]/i.test(arg);
  const flags = args.filter(isFlag).join("");
  const [pattern, ...names] = args.filter((arg, index) => index !== end && !isFlag(arg, index));
  if (pattern === undefined) return failed("grep: a pattern is missing", 2);
  const form = new RegExp(pattern, flags.includes("i") ? "i" : "");
  let output = "";
  try {
    for (const [index, text] of (await contents(invocation, names)).entries())
      for (const line of text.split("\n"))
        if (line !== "" && form.test(line) !== flags.includes("v"))
          output += `${names.length > 1 ? `${names[index]}:` : ""}${line}\n`;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return failed(`grep: ${error.message}`, 2);
  }
  return { status: output ? 0 : 1, output: flags.includes("q") ? "" : output, errors: "" };
}

/** Counters by name: "TcpExtBeyondWindow", as nstat(8) puts it together. */
async function counters({ process }: Invocation): Promise<Map<string, number>> {
  const values = new Map<string, number>();
  for (const path of ["/proc/net/snmp", "/proc/net/netstat"]) {
    const lines = (await readText(process, path)).trimEnd().split("\n");
    for (let at = 0; at + 1 < lines.length; at += 2) {
      const [group, ...names] = lines[at].split(" ");
      const numbers = lines[at + 1].split(" ").slice(1);
      for (const [index, name] of names.entries())
        values.set(group.replace(":", name), Number(numbers[index]));
    }
  }
  for (const line of (await readText(process, "/proc/net/snmp6")).trimEnd().split("\n")) {
    const [name, value] = line.split(/\s+/);
    values.set(name, Number(value));
  }
  return values;
}

const NSTAT_HISTORY = "/tmp/.nstat.u0";

/** What counters have grown by since the last time: nstat [-n] [-s] [-z] [-a] */
async function nstat(invocation: Invocation): Promise<string> {
  const { args, process } = invocation;
  const has = (flag: string) => args.some((arg) => /^-[a-z]+$/.test(arg) && arg.includes(flag));
  const now = await counters(invocation);
  const history = await readText(process, NSTAT_HISTORY).catch((error: unknown) => {
    if (error instanceof SystemError) return "[]";
    throw error;
  });
  const before = new Map(JSON.parse(history) as [string, number][]);
  if (!has("s")) await writeText(process, NSTAT_HISTORY, JSON.stringify([...now]));
  if (has("n")) return "";
  let output = "#kernel\n";
  for (const [name, value] of now) {
    const grown = value - (has("a") ? 0 : (before.get(name) ?? 0));
    if (grown || has("z")) output += `${name.padEnd(32)}${String(grown).padEnd(16)}0.0\n`;
  }
  return output;
}

/** rm [-f] FILE… */
async function rm({ args, process }: Invocation): Promise<string> {
  for (const path of args.filter((arg) => !arg.startsWith("-")))
    try {
      await process.unlinkat(AT_FDCWD, path, 0);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ENOENT" && args.includes("-f")))
        throw error;
    }
  return "";
}

/** dd if=FILE of=FILE bs=BYTES count=BLOCKS, of a file of zeroes or a short one */
async function dd({ args, process }: Invocation): Promise<string> {
  const options = new Map(args.map((arg) => arg.split("=", 2) as [string, string]));
  const length = Number(options.get("bs") ?? 512) * Number(options.get("count") ?? 0);
  const from = await process.openat(AT_FDCWD, options.get("if") ?? "/dev/null", O_RDONLY, 0);
  const bytes = new Uint8Array(length);
  const count = await process.read(from, bytes, length);
  await process.close(from);
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, count));
  await writeText(process, options.get("of") ?? "/dev/null", text);
  return "";
}

/** The programs, by their names. */
export const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ["sysctl", sysctl],
  ["set_sysctls.py", program("set_sysctls.py", setSysctls)],
  ["tc", program("tc", tc)],
  ["ip", program("ip", ip)],
  ["ethtool", program("ethtool", ethtool)],
  ["iptables", program("iptables", (given) => iptables(given, "ip"))],
  ["ip6tables", program("ip6tables", (given) => iptables(given, "ip6"))],
  ["conntrack", program("conntrack", conntrack)],
  // All that there could be is in the kernel.
  ["modprobe", async () => done()],
  ["nstat", program("nstat", nstat)],
  ["grep", grep],
  ["rm", program("rm", rm)],
  ["dd", program("dd", dd)],
  ["cat", program("cat", async (given) => (await contents(given, given.args)).join(""))],
  ["echo", async ({ args }) => done(`${args.join(" ")}\n`)],
  ["true", async () => done()],
  [":", async () => done()],
  ["false", async () => failed("")],
]);
