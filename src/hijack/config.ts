// What is to be hijacked, and how: LKL's JSON, and more. A file, JSON in the environment, and single
// variables of the environment, which come last.

import { readFileSync } from "node:fs";
import { dirname, isAbsolute, normalize, resolve } from "node:path";

import { InvalidOptionError } from "../machine/errors.ts";
import { parseLklConfig } from "../net/lkl-config.ts";
import type { LklConfig } from "../net/lkl-config.ts";
import { Bypass } from "./bypass.ts";
import { parseForward } from "./forward.ts";
import type { PortForward } from "./forward.ts";

/** A configuration that cannot be: `option` of its cause names what is wrong. */
export class HijackConfigError extends Error {
  override readonly name = "HijackConfigError";
  readonly code = "ERR_HIJACK_CONFIG";

  constructor(where: string, problem: string, cause?: unknown) {
    super(`liblinux/hijack: ${where}: ${problem}`, cause === undefined ? undefined : { cause });
  }
}

/** What is at the other end of an interface; of "none", nothing: it has no carrier. */
const TYPES = ["nat", "tap", "stream", "udp", "websocket", "none"] as const;
export type InterfaceType = (typeof TYPES)[number];

/** Which of Node's modules are the kernel's. */
const MODULES = ["net", "dgram", "dns"] as const;
export type HijackedModule = (typeof MODULES)[number];

/** What threads and child processes that load the hijack as well do. */
const CHILDREN = ["refuse", "own", "host"] as const;
export type Children = (typeof CHILDREN)[number];

/** How much of the kernel's log is shown: records of this severity and worse. */
const LOG_LEVELS = ["silent", "error", "warning", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** An image whose files are those below a prefix. */
export interface FsMount {
  /** An absolute path, without a slash at its end. */
  readonly prefix: string;
  /** The path of an image, or its URL. */
  readonly image: string;
  readonly volume?: number | string;
  /** As in /proc/filesystems; default: what is found. */
  readonly type?: string;
  /** The file system's own, as mount(8) takes them after -o: "sync" writes at once. */
  readonly options?: string;
  readonly readOnly: boolean;
  /** What is written is kept in memory, and the image stays as it is. */
  readonly overlay: boolean;
}

export interface HijackInterface {
  readonly type: InterfaceType;
  readonly param: string | undefined;
  readonly dhcp: boolean;
  readonly forwards: readonly PortForward[];
}

export interface HijackConfig {
  /** {@link PACKAGED}, or the path of another one. */
  readonly kernel: string;
  readonly memoryMiB: number;
  readonly modules: ReadonlySet<HijackedModule>;
  /** In the order of `lkl.interfaces`. */
  readonly interfaces: readonly HijackInterface[];
  readonly nameservers: readonly string[] | undefined;
  readonly search: readonly string[];
  readonly bypass: Bypass;
  readonly capture: string | undefined;
  readonly fs: readonly FsMount[];
  readonly children: Children;
  readonly log: LogLevel;
  /** The rest, as LKL has it. */
  readonly lkl: LklConfig;
}

type Json = Record<string, unknown>;

/** What a configuration has besides LKL's. */
const OWN = [
  "kernel",
  "memoryMiB",
  "modules",
  "nameservers",
  "search",
  "bypass",
  "capture",
  "fs",
  "children",
  "log",
] as const;
const OWN_OF_INTERFACE = ["dhcp", "forward"] as const;
const OF_FS = ["prefix", "image", "volume", "type", "options", "readOnly", "overlay"];

const VARIABLE = "LIBLINUX_HIJACK";

/** Variables, and what they stand for: LKL's, and ours. Those with "interfaces.0" are of the first interface. */
const VARIABLES: Readonly<Record<string, string>> = {
  KERNEL: "kernel",
  MEMORY_MIB: "memoryMiB",
  MODULES: "modules",
  NAMESERVERS: "nameservers",
  SEARCH: "search",
  BYPASS: "bypass",
  CAPTURE: "capture",
  FS: "fs",
  CHILDREN: "children",
  LOG: "log",
  FORWARD: "interfaces.0.forward",
  DHCP: "interfaces.0.dhcp",
  NET_IFTYPE: "interfaces.0.type",
  NET_IFPARAMS: "interfaces.0.param",
  NET_MTU: "interfaces.0.mtu",
  NET_IP: "interfaces.0.ip",
  NET_NETMASK_LEN: "interfaces.0.masklen",
  NET_IFGATEWAY: "interfaces.0.ifgateway",
  NET_IPV6: "interfaces.0.ipv6",
  NET_NETMASK6_LEN: "interfaces.0.masklen6",
  NET_IFGATEWAY6: "interfaces.0.ifgateway6",
  NET_MAC: "interfaces.0.mac",
  NET_NEIGHBOR: "interfaces.0.neigh",
  NET_QDISC: "interfaces.0.qdisc",
  OFFLOAD: "interfaces.0.offload",
  NET_GATEWAY: "gateway",
  NET_GATEWAY6: "gateway6",
  DEBUG: "debug",
  MOUNT: "mount",
  SYSCTL: "sysctl",
  BOOT_CMDLINE: "boot_cmdline",
  DUMP: "dump",
  SINGLE_CPU: "singlecpu",
};

/** The kernel of the package that has a network. */
export const PACKAGED = "full";

/** Set for those that a program starts, so that they know of it; no configuration. */
export const PARENT_VARIABLE = `${VARIABLE}_PARENT`;

const MIN_MEMORY_MIB = 16;
const MAX_MEMORY_MIB = 3584;
const DEFAULT_MEMORY_MIB = 128;

function objectOf(value: unknown, option: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new InvalidOptionError(option, "it is an object");
  return value as Json;
}

function textOf(value: unknown, option: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new InvalidOptionError(option, "it is a text that is not empty");
}

/** A list, or a text with commas in it. */
function listOf(value: unknown, option: string): string[] {
  if (value === undefined) return [];
  if (typeof value === "string")
    return value
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean);
  if (!Array.isArray(value)) throw new InvalidOptionError(option, "it is a list of texts");
  return value.map((one, index) => textOf(one, `${option}.${index}`));
}

function booleanOf(value: unknown, option: string): boolean {
  if (value === undefined || value === false || value === "0" || value === "false") return false;
  if (value === true || value === "1" || value === "true") return true;
  throw new InvalidOptionError(option, "it is true or false");
}

function choiceOf<T extends string>(value: unknown, choices: readonly T[], option: string): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new InvalidOptionError(
    option,
    `${JSON.stringify(value)}: it is one of ${choices.join(", ")}`,
  );
}

function memoryOf(value: unknown): number {
  if (value === undefined) return DEFAULT_MEMORY_MIB;
  const number = typeof value === "string" ? Number(value) : value;
  if (
    typeof number === "number" &&
    Number.isInteger(number) &&
    number >= MIN_MEMORY_MIB &&
    number <= MAX_MEMORY_MIB
  )
    return number;
  throw new InvalidOptionError(
    "memoryMiB",
    `it is a whole number from ${MIN_MEMORY_MIB} to ${MAX_MEMORY_MIB}`,
  );
}

/** `/disk=disk.img` or `/disk=disk.img:ro` or `:overlay`. */
function fsOfText(text: string, option: string): Json {
  const [, prefix, image, how] = /^([^=]+)=(.+?)(?::(ro|overlay))?$/.exec(text) ?? [];
  if (prefix === undefined)
    throw new InvalidOptionError(
      option,
      `"${text}": it is prefix=image, with :ro or :overlay behind`,
    );
  return { prefix, image, readOnly: how === "ro", overlay: how === "overlay" };
}

function fsOf(value: unknown, option: string, folder: string): FsMount {
  const json = typeof value === "string" ? fsOfText(value, option) : objectOf(value, option);
  const unknown = Object.keys(json).find((name) => !OF_FS.includes(name));
  if (unknown !== undefined)
    throw new InvalidOptionError(
      `${option}.${unknown}`,
      `unknown: it is one of ${OF_FS.join(", ")}`,
    );
  const given = textOf(json.prefix, `${option}.prefix`);
  const prefix = normalize(given).replace(/\/+$/, "");
  if (!isAbsolute(given) || prefix === "")
    throw new InvalidOptionError(`${option}.prefix`, `"${given}": it is an absolute path below /`);
  const image = textOf(json.image, `${option}.image`);
  const { volume } = json;
  if (volume !== undefined && typeof volume !== "number" && typeof volume !== "string")
    throw new InvalidOptionError(`${option}.volume`, "it is a number, a label or a UUID");
  return {
    prefix,
    image: /^https?:/i.test(image) ? image : resolve(folder, image),
    readOnly: booleanOf(json.readOnly, `${option}.readOnly`),
    overlay: booleanOf(json.overlay, `${option}.overlay`),
    ...(volume !== undefined && { volume }),
    ...(json.type !== undefined && { type: textOf(json.type, `${option}.type`) }),
    ...(json.options !== undefined && { options: textOf(json.options, `${option}.options`) }),
  };
}

function fsListOf(value: unknown, folder: string): FsMount[] {
  const list = typeof value === "string" ? listOf(value, "fs") : (value ?? []);
  if (!Array.isArray(list)) throw new InvalidOptionError("fs", "it is a list");
  const mounts = list.map((one, index) => fsOf(one, `fs.${index}`, folder));
  for (const [index, { prefix }] of mounts.entries())
    if (mounts.some((other, at) => at < index && other.prefix === prefix))
      throw new InvalidOptionError(`fs.${index}.prefix`, `"${prefix}" has an image already`);
  return mounts;
}

function interfaceOf(json: Json, option: string): HijackInterface {
  const type = choiceOf(json.type ?? "nat", TYPES, `${option}.type`);
  const needsParam = ["tap", "stream", "udp", "websocket"].includes(type);
  const param =
    needsParam || json.param !== undefined ? textOf(json.param, `${option}.param`) : undefined;
  const forwards = listOf(json.forward, `${option}.forward`).map((text, index) =>
    parseForward(text, `${option}.forward.${index}`),
  );
  if (forwards.length && type !== "nat")
    throw new InvalidOptionError(
      `${option}.forward`,
      `only a "nat" forwards ports, this is "${type}"`,
    );
  return {
    type,
    param,
    dhcp: booleanOf(json.dhcp, `${option}.dhcp`),
    forwards,
  };
}

/** The parts of an object whose names are in the list, and the rest. */
function split(json: Json, names: readonly string[]): [own: Json, rest: Json] {
  const entries = Object.entries(json);
  const own = entries.filter(([name]) => names.includes(name));
  const rest = entries.filter(([name]) => !names.includes(name));
  return [Object.fromEntries(own), Object.fromEntries(rest)];
}

/**
 * Read a configuration.
 *
 * @param folder where paths in it start from
 * @throws {InvalidOptionError} that names what is wrong
 */
export function parseConfig(value: unknown, folder: string): HijackConfig {
  const json = objectOf(value, "configuration");
  const [own, lklPart] = split(json, OWN);
  const { interfaces = [{ type: "nat" }] } = lklPart;
  if (!Array.isArray(interfaces)) throw new InvalidOptionError("interfaces", "it is a list");
  const parts = interfaces.map((one, index) =>
    split(objectOf(one, `interfaces.${index}`), OWN_OF_INTERFACE),
  );
  const lkl = parseLklConfig({ ...lklPart, interfaces: parts.map(([, rest]) => rest) });
  const modules = own.modules === undefined ? [...MODULES] : listOf(own.modules, "modules");
  return {
    kernel: own.kernel === undefined ? PACKAGED : kernelOf(textOf(own.kernel, "kernel"), folder),
    memoryMiB: memoryOf(own.memoryMiB),
    modules: new Set(modules.map((name, index) => choiceOf(name, MODULES, `modules.${index}`))),
    interfaces: parts.map(([extra, rest], index) =>
      interfaceOf({ ...rest, ...extra }, `interfaces.${index}`),
    ),
    nameservers: own.nameservers === undefined ? undefined : listOf(own.nameservers, "nameservers"),
    search: listOf(own.search, "search"),
    bypass: new Bypass(listOf(own.bypass, "bypass")),
    capture:
      own.capture === undefined ? undefined : resolve(folder, textOf(own.capture, "capture")),
    fs: fsListOf(own.fs, folder),
    children: choiceOf(own.children ?? "refuse", CHILDREN, "children"),
    log:
      own.log === undefined
        ? lkl.debug
          ? "debug"
          : "silent"
        : choiceOf(own.log, LOG_LEVELS, "log"),
    lkl,
  };
}

function kernelOf(text: string, folder: string): string {
  return text === PACKAGED ? text : resolve(folder, text);
}

/** A value where a path such as interfaces.0.ip leads. */
function put(json: Json, path: string, value: string): void {
  const [first = "", index, name] = path.split(".");
  if (index === undefined || name === undefined) {
    json[first] = value;
    return;
  }
  const list = Array.isArray(json[first]) ? json[first] : (json[first] = []);
  const one = (list[Number(index)] ??= {});
  if (typeof one === "object" && one !== null) Reflect.set(one, name, value);
}

/** Paths of the environment start from the working directory, those of a file from where that is. */
function fromHere(path: string, value: string): string {
  const full = (text: string) => (text === "" || /^https?:/i.test(text) ? text : resolve(text));
  if (path === "fs")
    return value.replaceAll(/=([^,]+)/g, (_all, image: string) => `=${full(image)}`);
  if (path === "capture") return full(value);
  return path === "kernel" && value !== PACKAGED ? full(value) : value;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the variable names: a file, or itself. */
function readMain(text: string | undefined): { json: Json; where: string; folder: string } {
  const folder = process.cwd();
  if (text === undefined || text.trim() === "") return { json: {}, where: VARIABLE, folder };
  const isText = text.trimStart().startsWith("{");
  const where = isText ? VARIABLE : text;
  let content = text;
  if (!isText)
    try {
      content = readFileSync(text, "utf8");
    } catch (error) {
      throw new HijackConfigError(VARIABLE, (error as Error).message, error);
    }
  try {
    const json = objectOf(JSON.parse(content), "configuration");
    return { json, where, folder: isText ? folder : dirname(resolve(text)) };
  } catch (error) {
    const { message } = error as Error;
    throw new HijackConfigError(
      where,
      error instanceof SyntaxError ? `it is no JSON: ${message}` : message,
      error,
    );
  }
}

/**
 * The configuration that an environment says.
 *
 * @throws {HijackConfigError} that names the file or variable, and what is wrong in it
 */
export function readConfig(environment: Environment): HijackConfig {
  const { json, where, folder } = readMain(environment[VARIABLE]);
  const used: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(`${VARIABLE}_`) || name === PARENT_VARIABLE || value === undefined)
      continue;
    const path = VARIABLES[name.slice(VARIABLE.length + 1)];
    if (path === undefined)
      throw new HijackConfigError(
        name,
        `there is no such variable: it is one of ${Object.keys(VARIABLES)
          .map((key) => `${VARIABLE}_${key}`)
          .join(", ")}`,
      );
    put(json, path, fromHere(path, value));
    used.push(name);
  }
  try {
    return parseConfig(json, folder);
  } catch (error) {
    if (!(error instanceof InvalidOptionError)) throw error;
    const { option } = error;
    const variable = used.find((name) => {
      const path = VARIABLES[name.slice(VARIABLE.length + 1)] ?? "";
      return option === path || option.startsWith(`${path}.`);
    });
    throw new HijackConfigError(variable ?? where, error.message, error);
  }
}
