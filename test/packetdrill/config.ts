// How a script is run: packetdrill's options, and those of the kernel's own runner.

import { ipOf } from "../../src/net/address.ts";
import { ScriptError } from "./errors.ts";
import type { Place } from "./errors.ts";
import type { ScriptOption } from "./lexer.ts";

export const IP_VERSIONS = ["ipv4", "ipv6", "ipv4-mapped-ipv6"] as const;
export type IpVersion = (typeof IP_VERSIONS)[number];

const US = 1000;
/** Where the options of the command line are. */
const COMMAND_LINE: Place = { file: "packetdrill", line: 0 };

export interface Config {
  ipVersion: IpVersion;
  /** The kernel's. */
  localIp: string;
  prefixLength: number;
  /** The script's, maybe with a prefix length. */
  remoteIp: string;
  gatewayIp: string;
  bindPort: number;
  connectPort: number;
  mtu: number;
  /** Of packets that come in with several segments; 0: they have one. */
  mss: number;
  toleranceNs: number;
  /** Of the time since the event before: timers of the kernel may be so late. */
  tolerancePercent: number;
  /** What a tick of TCP's timestamps is; 0: they are not looked at. */
  timestampTickNs: number;
  /** Echoes of timestamps that were not sent are reckoned. */
  scaleEchoes: boolean;
  /** A packet is one packet, not several that come to the same. */
  strictSegments: boolean;
  readonly nonFatal: Set<string>;
  readonly defines: Map<string, string>;
}

function base(ipVersion: IpVersion): Config {
  const common = {
    ipVersion,
    bindPort: 8080,
    connectPort: 8080,
    mtu: 1500,
    mss: 0,
    toleranceNs: 4000 * US,
    tolerancePercent: 12.5,
    timestampTickNs: 0,
    scaleEchoes: false,
    strictSegments: false,
    nonFatal: new Set<string>(),
    defines: new Map<string, string>(),
  };
  if (ipVersion === "ipv6")
    return {
      ...common,
      localIp: "fd3d:0a0b:17d6::1",
      prefixLength: 48,
      remoteIp: "fd3d:fa7b:d17d::1",
      gatewayIp: "fd3d:0a0b:17d6:8888::1",
    };
  return {
    ...common,
    localIp: "192.168.0.1",
    prefixLength: 16,
    remoteIp: "192.0.2.1",
    gatewayIp: "192.168.0.1",
  };
}

/**
 * What tools/testing/selftests/net/packetdrill/ksft_runner.sh runs scripts with; it does not know
 * ipv4-mapped-ipv6, which upstream's runner has. A socket of IPv6 tells errors as such.
 */
function configFor(ipVersion: IpVersion): Config {
  const config = base(ipVersion);
  const level = ipVersion === "ipv4" ? "IP" : "IPV6";
  config.defines.set("CMSG_LEVEL_IP", `SOL_${level}`);
  config.defines.set("CMSG_TYPE_RECVERR", `${level}_RECVERR`);
  if (ipVersion === "ipv6") config.mtu = 1520;
  return config;
}

/** The prefix length of a mask such as 255.255.0.0. */
function prefixOf(mask: string): number | undefined {
  const bits = ipOf(mask)?.bytes;
  if (bits?.length !== 4) return undefined;
  const text = Array.from(bits, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return /^1*0*$/.test(text) ? text.lastIndexOf("1") + 1 : undefined;
}

type Setter = (config: Config, value: string) => boolean;

const address =
  (name: "localIp" | "gatewayIp" | "remoteIp"): Setter =>
  (config, value) => {
    config[name] = value;
    return ipOf(value.replace(/\/\d+$/, "")) !== undefined;
  };

const number =
  (set: (config: Config, value: number) => void): Setter =>
  (config, value) => {
    set(config, Number(value));
    return /^\d+(\.\d+)?$/.test(value);
  };

const SETTERS: ReadonlyMap<string, Setter> = new Map<string, Setter>([
  // It says what all else is by default: see configure().
  ["ip_version", (_, value) => IP_VERSIONS.some((known) => known === value)],
  ["local_ip", address("localIp")],
  ["gateway_ip", address("gatewayIp")],
  ["remote_ip", address("remoteIp")],
  [
    "netmask_ip",
    (config, value) => {
      const length = prefixOf(value);
      if (length !== undefined) config.prefixLength = length;
      return length !== undefined;
    },
  ],
  ["bind_port", number((config, value) => (config.bindPort = value))],
  ["connect_port", number((config, value) => (config.connectPort = value))],
  ["mtu", number((config, value) => (config.mtu = value))],
  ["mss", number((config, value) => (config.mss = value))],
  ["tolerance_usecs", number((config, value) => (config.toleranceNs = value * US))],
  ["tolerance_percent", number((config, value) => (config.tolerancePercent = value))],
  ["tcp_ts_tick_usecs", number((config, value) => (config.timestampTickNs = value * US))],
  [
    "non_fatal",
    (config, value) => {
      for (const kind of value.split(/[, ]+/)) config.nonFatal.add(kind);
      return true;
    },
  ],
  [
    "define",
    (config, value) => {
      const equals = value.indexOf("=");
      config.defines.set(value.slice(0, equals), value.slice(equals + 1));
      return equals > 0;
    },
  ],
]);

const FLAGS = new Map<string, (config: Config) => void>([
  ["tcp_ts_ecr_scaled", (config) => void (config.scaleEchoes = true)],
  ["strict_segments", (config) => void (config.strictSegments = true)],
  // Buffers that were sent are never used again here.
  ["send_omit_free", () => {}],
]);

/** Do what an option says. @throws {ScriptError} if it is none, or has no such value */
function apply(config: Config, { name, value }: ScriptOption, place: Place): void {
  const flag = FLAGS.get(name);
  if (flag && value === undefined) return flag(config);
  const setter = SETTERS.get(name);
  if (!setter) throw new ScriptError(place, "semantic error", `unknown option --${name}`);
  const plain = name === "define" ? (value ?? "") : (value ?? "").replace(/^"(.*)"$/, "$1");
  if (!setter(config, plain))
    throw new ScriptError(place, "semantic error", `bad --${name}: ${value ?? "(nothing)"}`);
}

/**
 * How a script is run.
 *
 * @param own the script's options, which are those of the file
 * @param given those of the command line, which go before them
 * @throws {ScriptError} if there is no such option, or it has no such value
 */
export function configure(
  file: string,
  own: readonly ScriptOption[],
  given: readonly ScriptOption[],
): Config {
  const all = [
    ...own.map((option) => ({ option, place: { file, line: option.line } })),
    ...given.map((option) => ({ option, place: COMMAND_LINE })),
  ];
  const wanted = all.findLast(({ option }) => option.name === "ip_version")?.option.value;
  const config = configFor(IP_VERSIONS.find((known) => known === wanted) ?? "ipv4");
  for (const { option, place } of all) apply(config, option, place);
  return config;
}
