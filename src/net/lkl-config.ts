// The configuration that LKL's hijack library reads: JSON whose values are text.

import { InvalidOptionError } from "../machine/errors.ts";
import { parseIp, parseMac } from "./address.ts";
import { whole } from "./netlink/codec.ts";
import type { Network } from "./network.ts";
import type { Device } from "./session.ts";

/** An interface of such a configuration. */
export interface LklInterface {
  /** The back end: "tap", "raw", "macvtap", "pipe"… Whoever makes the device reads it. */
  readonly type?: string;
  readonly param?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** With its prefix length: "10.0.0.1/24". */
  readonly ip?: string;
  readonly ipv6?: string;
  readonly gateway?: string;
  readonly gateway6?: string;
  readonly neighbours: readonly { readonly address: string; readonly hardwareAddress: string }[];
  readonly qdiscs: readonly { readonly parent: string; readonly kind: string }[];
  /** Bits of the features of virtio-net. */
  readonly offload?: number;
}

/** Such a configuration, with what it says in numbers and lists. */
export interface LklConfig {
  readonly interfaces: readonly LklInterface[];
  readonly gateway?: string;
  readonly gateway6?: string;
  readonly debug?: number;
  /** File systems to be mounted, by their types. */
  readonly mount: readonly string[];
  readonly sysctl: readonly { readonly name: string; readonly value: string }[];
  readonly bootCommandLine?: string;
  readonly dump?: string;
}

/** The last two say how LKL's host runs its threads: there is nothing to choose here. */
const TOP = [
  "interfaces",
  "gateway",
  "gateway6",
  "debug",
  "mount",
  "sysctl",
  "boot_cmdline",
  "dump",
  "singlecpu",
  "delay_main",
];
const INTERFACE = [
  "type",
  "param",
  "mac",
  "mtu",
  "ip",
  "masklen",
  "ifgateway",
  "ipv6",
  "masklen6",
  "ifgateway6",
  "neigh",
  "qdisc",
  "offload",
];

const MAX_MTU = 65535;

type Json = Readonly<Record<string, unknown>>;

function objectOf(value: unknown, option: string, known: readonly string[]): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new InvalidOptionError(option, "it is an object");
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new InvalidOptionError(
      option === "configuration" ? unknown : `${option}.${unknown}`,
      `unknown: it is one of ${known.join(", ")}`,
    );
  return value as Json;
}

function textOf(json: Json, name: string, option = name): string | undefined {
  const value = json[name];
  if (value === undefined || value === "") return undefined;
  if (typeof value !== "string" && typeof value !== "number")
    throw new InvalidOptionError(option, "it is text");
  return String(value);
}

/** A number as text, also in hexadecimal. */
function numberOf(json: Json, name: string, most: number, option = name): number | undefined {
  const text = textOf(json, name, option);
  return text === undefined ? undefined : whole(Number(text), 0, most, option);
}

function listOf(text: string | undefined, separator: string): string[] {
  return (text ?? "")
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function pairOf(text: string, separator: string, option: string): [string, string] {
  const at = text.indexOf(separator);
  if (at <= 0) throw new InvalidOptionError(option, `"${text}": it has a ${separator} in it`);
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

function addressOf(json: Json, name: string, option: string): string | undefined {
  const text = textOf(json, name, option);
  if (text !== undefined) parseIp(text, option);
  return text;
}

function prefixOf(json: Json, name: string, mask: string, most: number, option: string) {
  const address = addressOf(json, name, `${option}.${name}`);
  const length = numberOf(json, mask, most, `${option}.${mask}`);
  return address === undefined ? undefined : `${address}/${length ?? most}`;
}

function interfaceOf(value: unknown, option: string): LklInterface {
  const json = objectOf(value, option, INTERFACE);
  const mac = textOf(json, "mac", `${option}.mac`);
  if (mac !== undefined) parseMac(mac, `${option}.mac`);
  const neighbours = listOf(textOf(json, "neigh", `${option}.neigh`), ";").map((text) => {
    const [address, hardwareAddress] = pairOf(text, "|", `${option}.neigh`);
    parseIp(address, `${option}.neigh`);
    parseMac(hardwareAddress, `${option}.neigh`);
    return { address, hardwareAddress };
  });
  const qdiscs = listOf(textOf(json, "qdisc", `${option}.qdisc`), ";").map((text) => {
    const [parent, kind] = pairOf(text, "|", `${option}.qdisc`);
    return { parent, kind };
  });
  const values = {
    type: textOf(json, "type", `${option}.type`),
    param: textOf(json, "param", `${option}.param`),
    mac,
    mtu: numberOf(json, "mtu", MAX_MTU, `${option}.mtu`),
    ip: prefixOf(json, "ip", "masklen", 32, option),
    ipv6: prefixOf(json, "ipv6", "masklen6", 128, option),
    gateway: addressOf(json, "ifgateway", `${option}.ifgateway`),
    gateway6: addressOf(json, "ifgateway6", `${option}.ifgateway6`),
    offload: numberOf(json, "offload", 0xffffffff, `${option}.offload`),
  };
  return { ...given(values), neighbours, qdiscs };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** What is said of it. */
function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Given<T>;
}

/**
 * Read a configuration: its text, or the object that it is.
 *
 * @throws {InvalidOptionError} that names what is wrong
 */
export function parseLklConfig(configuration: unknown): LklConfig {
  let value = configuration;
  if (typeof configuration === "string")
    try {
      value = JSON.parse(configuration);
    } catch (error) {
      throw new InvalidOptionError("configuration", `it is no JSON: ${(error as Error).message}`);
    }
  const json = objectOf(value, "configuration", TOP);
  const { interfaces = [] } = json;
  if (!Array.isArray(interfaces)) throw new InvalidOptionError("interfaces", "it is a list");
  const values = {
    gateway: addressOf(json, "gateway", "gateway"),
    gateway6: addressOf(json, "gateway6", "gateway6"),
    debug: numberOf(json, "debug", 0xffffffff),
    bootCommandLine: textOf(json, "boot_cmdline"),
    dump: textOf(json, "dump"),
  };
  return {
    ...given(values),
    interfaces: interfaces.map((one, index) => interfaceOf(one, `interfaces.${index}`)),
    mount: listOf(textOf(json, "mount"), ","),
    sysctl: listOf(textOf(json, "sysctl"), ";").map((text) => {
      const [name, setting] = pairOf(text, "=", "sysctl");
      return { name, value: setting };
    }),
  };
}

/**
 * Do what a configuration says of the network. Devices are those of `devices`, or eth0, eth1… in
 * the order of the interfaces; they are there already.
 *
 * @throws {InvalidOptionError} @throws {UnknownDeviceError} @throws {NetlinkError} @throws {SystemError}
 */
export async function applyLklConfig(
  network: Network,
  { interfaces, gateway, gateway6, sysctl }: LklConfig,
  devices?: readonly Device[],
): Promise<void> {
  for (const { name, value } of sysctl) await network.sysctl.set(name, value);
  for (const [number, one] of interfaces.entries())
    await applyInterface(network, one, devices?.[number] ?? `eth${number}`);
  if (gateway !== undefined) await network.route.replace({ destination: "default", gateway });
  if (gateway6 !== undefined)
    await network.route.replace({ destination: "default", gateway: gateway6 });
}

async function applyInterface(network: Network, one: LklInterface, device: Device): Promise<void> {
  const { mac, mtu, ip, ipv6, neighbours, qdiscs, gateway, gateway6 } = one;
  // Its hardware address it changes while it is down.
  if (mac !== undefined) await network.link.set(device, { up: false });
  await network.link.set(device, {
    ...(mac !== undefined && { address: mac }),
    ...(mtu !== undefined && { mtu }),
  });
  await network.up(device, ...[ip, ipv6].filter((address) => address !== undefined));
  for (const neighbour of neighbours) await network.neighbour.replace({ device, ...neighbour });
  for (const qdisc of qdiscs) await network.qdisc.replace(device, qdisc);
  for (const way of [gateway, gateway6])
    if (way !== undefined)
      await network.route.replace({ destination: "default", gateway: way, device });
}
