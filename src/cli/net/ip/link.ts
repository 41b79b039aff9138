// ip link: links made, changed, removed and shown.

import type { Link, LinkChanges, LinkSpec } from "../../../net/index.ts";
import { show } from "../command.ts";
import type { Command, Context, Flags } from "../command.ts";
import { briefRecord, briefText, flagNames, linkRecord, linkText } from "../show/link.ts";
import { mac, number, onOff } from "../values.ts";
import { WordError } from "../words.ts";
import type { Words } from "../words.ts";
import { bondPort, bridgePort, readKind } from "./link-kinds.ts";
import type { Later } from "./link-kinds.ts";
import { device, needed, verbOf } from "./verbs.ts";

type Options = Record<string, unknown>;

export const link = (words: Words, flags: Flags): Command =>
  verbOf(
    words,
    flags,
    {
      add,
      set: change,
      change,
      delete: remove,
      show: list,
      list,
      lst: list,
      help: list,
      property,
    },
    "show",
    "ip link",
  );

/** What links are told in general, when they are made or changed. */
function general(spec: Options, namespace: (name: string) => void) {
  const put = (name: string, read: (words: Words) => unknown) => (words: Words) => {
    spec[name] = read(words);
  };
  return {
    up: put("up", () => true),
    down: put("up", () => false),
    mtu: put("mtu", (words) => number(words, 0, 0x7fffffff)),
    address: put("address", mac),
    broadcast: put("broadcast", mac),
    txqueuelen: put("txQueueLength", (words) => number(words)),
    qlen: put("txQueueLength", (words) => number(words)),
    arp: put("arp", onOff),
    multicast: put("multicast", onOff),
    allmulticast: put("allMulticast", onOff),
    promisc: put("promiscuous", onOff),
    carrier: put("carrier", onOff),
    group: put("group", (words) => (words.accept("default") ? 0 : number(words))),
    alias: put("alias", (words) => words.take("a text")),
    master: put("master", device),
    nomaster: put("master", () => null),
    gso_max_size: put("gsoMaxBytes", (words) => number(words)),
    gso_ipv4_max_size: put("gsoIpv4MaxBytes", (words) => number(words)),
    gso_max_segs: put("gsoMaxSegments", (words) => number(words)),
    netns: (words: Words) => namespace(words.take("a namespace's name")),
    addrgenmode: put("inet6", (words) => ({
      addressGeneration: words
        .oneOf(["eui64", "none", "stable_secret", "random"], "way to make addresses")
        .replace("stable_secret", "stable-privacy"),
    })),
  };
}

/** What was read is what the typed calls take: their checks are by the names of options. */
const asSpec = (spec: Options): LinkSpec => spec as unknown as LinkSpec;

function add(words: Words): Command {
  const spec: Options = {};
  const later: Later = { indexes: [] };
  let namespace: string | undefined;
  words.parameters(
    {
      link: (rest) => void (spec.link = device(rest)),
      dev: (rest) => void (spec.name = device(rest)),
      name: (rest) => void (spec.name = device(rest)),
      index: (rest) => void (spec.index = number(rest, 1)),
      numtxqueues: (rest) => void (spec.txQueues = number(rest, 1)),
      numrxqueues: (rest) => void (spec.rxQueues = number(rest, 1)),
      type: (rest) => void (spec.kind = readKind(rest, spec, later)),
      ...general(spec, (name) => (namespace = name)),
    },
    "word of ip link add",
    (rest) => {
      if (spec.name !== undefined || rest.next === undefined) return false;
      spec.name = device(rest);
      return true;
    },
  );
  const kind = needed(spec.kind as string | undefined, "type");
  if (kind === "vlan" && later.options?.id === undefined)
    throw new WordError('"id" is missing: a VLAN has a number');
  if (spec.name === undefined) throw new WordError('"name" is missing: how the link is called');
  const name = spec.name as string;
  return async (context) => {
    await resolve(context, spec, later);
    // The kernel makes it down and without a master; the rest is told to what is there then.
    const { up, master, ...own } = asSpec(spec);
    await context.network.link.add({ ...(await inNamespace(context, own, namespace)), kind });
    const rest: LinkChanges = {
      ...(master !== undefined && { master }),
      ...(up !== undefined && { up }),
    };
    const target =
      namespace === undefined ? context.network : context.world.space(namespace).network;
    if (Object.keys(rest).length) await target.link.set(name, rest);
  };
}

/** Numbers in the place of names, where the kernel takes nothing else. */
async function resolve(context: Context, spec: Options, later: Later): Promise<void> {
  for (const { option, device: name } of later.indexes) {
    const { index } = await context.network.link.get(name);
    if (later.options) later.options[option] = index;
  }
  if (later.peerNamespace === undefined) return;
  const { veth } = spec as { veth?: { peer?: Options } };
  if (veth?.peer) veth.peer.namespacePid = context.world.space(later.peerNamespace).process.pid;
}

async function inNamespace<T extends LinkChanges>(
  { world }: Context,
  spec: T,
  namespace: string | undefined,
): Promise<T> {
  if (namespace === undefined) return spec;
  const { pid } = world.space(namespace).process;
  return { ...spec, namespace: { pid } };
}

function change(words: Words): Command {
  const spec: Options = {};
  const later: Later = { indexes: [] };
  let name: string | undefined;
  let namespace: string | undefined;
  words.parameters(
    {
      dev: (rest) => void (name = device(rest)),
      name: (rest) => void (spec.name = device(rest)),
      type: (rest) => readChanged(rest, spec, later),
      ...general(spec, (given) => (namespace = given)),
    },
    "word of ip link set",
    (rest) => {
      if (name !== undefined || rest.next === undefined) return false;
      name = device(rest);
      return true;
    },
  );
  const target = needed(name, "dev");
  return async (context) => {
    await resolve(context, spec, later);
    await context.network.link.set(target, await inNamespace(context, asSpec(spec), namespace));
  };
}

/** `type bridge_slave`, `type bond_slave`, or a kind. */
function readChanged(words: Words, spec: Options, later: Later): void {
  const port: Options = {};
  if (words.accept("bridge_slave")) {
    words.parameters(bridgePort(port), "parameter of a bridge's port");
    spec.bridgePort = port;
  } else if (words.accept("bond_slave")) {
    words.parameters(bondPort(port), "parameter of a bond's part");
    spec.bondPort = port;
  } else readKind(words, spec, later);
}

function remove(words: Words): Command {
  words.accept("dev");
  const name = device(words);
  if (words.accept("type")) words.take("a kind of links");
  words.end();
  return ({ network }) => network.link.delete(name);
}

/** `ip link property add dev eth0 altname long`: names besides the first. */
function property(words: Words): Command {
  const verb = words.oneOf(["add", "delete"], "verb of ip link property");
  let name: string | undefined;
  const names: string[] = [];
  words.parameters(
    {
      dev: (rest) => void (name = device(rest)),
      altname: (rest) => void names.push(rest.take("a name")),
    },
    "word of ip link property",
  );
  const target = needed(name, "dev");
  if (!names.length) throw new WordError('"altname" is missing');
  return ({ network }) =>
    verb === "add" ? network.link.addNames(target, names) : network.link.deleteNames(target, names);
}

/** Which links are shown. */
export interface LinkFilter {
  device?: string;
  master?: string;
  kind?: string;
  group?: number;
  up?: boolean;
}

/** Words that say which links, of `ip link show` and `ip addr show`. */
export const filterWords = (filter: LinkFilter) => ({
  dev: (words: Words) => void (filter.device = device(words)),
  up: () => void (filter.up = true),
  master: (words: Words) => void (filter.master = device(words)),
  type: (words: Words) => void (filter.kind = words.take("a kind of links")),
  group: (words: Words) => void (filter.group = words.accept("default") ? 0 : number(words)),
});

export function fits(link: Link, { device: name, master, kind, group, up }: LinkFilter): boolean {
  return (
    (name === undefined || link.name === name || (link.otherNames?.includes(name) ?? false)) &&
    (master === undefined || link.master === master) &&
    (kind === undefined || link.kind === kind || `${link.portKind}_slave` === kind) &&
    (group === undefined || link.group === group) &&
    (up === undefined || link.up)
  );
}

/** All links, and those that are meant. @throws {UnknownDeviceError} if the one that is named is not there */
export async function linksOf(
  { network }: Context,
  filter: LinkFilter,
): Promise<{ all: Link[]; wanted: Link[] }> {
  for (const name of [filter.device, filter.master])
    if (name !== undefined) await network.link.get(name);
  const all = await network.link.list();
  return { all, wanted: all.filter((one) => fits(one, filter)) };
}

function list(words: Words, flags: Flags): Command {
  const filter: LinkFilter = {};
  words.parameters(filterWords(filter), "word of ip link show", (rest) => {
    if (filter.device !== undefined || rest.next === undefined) return false;
    filter.device = device(rest);
    return true;
  });
  return async (context) => {
    const { all, wanted } = await linksOf(context, filter);
    const names = (one: Link) => [`<${flagNames(one, all).join(",")}>`];
    const hardware = ({ address }: Link) => (address === undefined ? [] : [address]);
    await show(
      context,
      flags,
      wanted,
      (one) =>
        flags.brief
          ? { ...briefRecord(one), address: one.address, flags: flagNames(one, all) }
          : linkRecord(one, all, flags),
      (one) =>
        flags.brief ? briefText(one, [...hardware(one), ...names(one)]) : linkText(one, all, flags),
    );
  };
}
