// How a server is set up, checked.

import * as hostNet from "node:net";

import type { ProcessOptions } from "../kernel.ts";
import { InvalidOptionError } from "../machine/errors.ts";
import type { Process } from "../syscall/process.ts";
import type { FtpNet } from "./net.ts";

/** What serving needs of a kernel. A Kernel is one. */
export interface FtpHost {
  /** A process with all rights. */
  readonly init: Process;
  /** Settles when the kernel has stopped. */
  readonly stopped: Promise<Error>;
  process(options?: ProcessOptions): Promise<Process>;
}

/** What somebody who logs in is to the kernel. */
export interface FtpIdentity {
  /** Default 0, all rights inside the root; of the anonymous user 65534, nobody. */
  uid?: number;
  /** Default: the same number as the user's. */
  gid?: number;
  /** Supplementary groups. Default none. */
  groups?: readonly number[];
  /** A directory inside the server's root that is this user's root. Default: the server's. */
  root?: string;
  /** The directory to start in, inside the root. Default "/". */
  home?: string;
  /** Default: as the server. A server that is read-only is so for everybody. */
  readOnly?: boolean;
}

/** Somebody with a password. */
export interface FtpUser extends FtpIdentity {
  name: string;
  password: string;
}

/** A certificate, and what it is for. */
export interface FtpTls {
  /** In PEM, with the chain behind it. */
  cert: string | Uint8Array;
  /** In PEM. */
  key: string | Uint8Array;
  passphrase?: string;
  /** Refuse whoever logs in, or transfers, without TLS. Default false. */
  required?: boolean;
  /** TLS from the first byte on, instead of by AUTH TLS. Default false. */
  implicit?: boolean;
}

export interface FtpOptions {
  kernel: FtpHost;
  /** A directory in the kernel, e.g. where a volume is mounted: the root of all that is served. */
  root: string;
  /**
   * Whose sockets it has. Default: `node:net`, those of this machine. `createSockets(process).net` of
   * "liblinux/node" are those of a kernel, this one or another: then all addresses are of its network.
   */
  net?: FtpNet;
  /** The address to listen at. Default 127.0.0.1, which only this machine (or kernel) reaches. */
  host?: string;
  /** Default 0: any that is free. */
  port?: number;
  users?: readonly FtpUser[];
  /** Let in whoever calls themselves "anonymous" or "ftp". Default false. */
  anonymous?: boolean | FtpIdentity;
  /** Default true: nobody changes anything. */
  readOnly?: boolean;
  tls?: FtpTls;
  /** The ports for passive data connections, both included. Default: any. */
  passivePorts?: readonly [first: number, last: number];
  /** The IPv4 address that PASV tells, where clients see another one than this machine does. */
  publicAddress?: string;
  /** Permissions that new files do not get. Default 0o022. */
  umask?: number;
  /**
   * Tell that an upload is done only when the disk has it. Without that the kernel writes it in its
   * own time, and a disk that fails then is no longer told of. Default false.
   */
  durable?: boolean;
  /** Connections at once; more are told to come later. Default 100. */
  maxSessions?: number;
  /** Wrong passwords in one session before it is ended. Default 3. */
  maxLoginAttempts?: number;
  /** How long a wrong password makes wait. Default 1000. */
  loginDelayMs?: number;
  /** How long logging in may take. Default 60 000. */
  loginTimeoutMs?: number;
  /** How long nothing may be asked for. Default 300 000. */
  idleTimeoutMs?: number;
  /** How long nothing may move on a data connection. Default 60 000. */
  dataTimeoutMs?: number;
  /** How long a data connection may take to come about. Default 15 000. */
  connectTimeoutMs?: number;
  /** Told of what should not have happened; the client gets a general reply. */
  onError?: (error: unknown) => void;
}

/** Options of which none is missing but those that have no default. */
export type Settings = Required<Omit<FtpOptions, "tls" | "passivePorts" | "publicAddress">> & {
  readonly tls: FtpTls | undefined;
  readonly passivePorts: FtpOptions["passivePorts"] | undefined;
  readonly publicAddress: string | undefined;
};

/** Each option, with its default. */
const DEFAULTS = {
  kernel: undefined,
  root: undefined,
  tls: undefined,
  passivePorts: undefined,
  publicAddress: undefined,
  net: hostNet,
  host: "127.0.0.1",
  port: 0,
  users: [],
  anonymous: false,
  readOnly: true,
  umask: 0o022,
  durable: false,
  maxSessions: 100,
  maxLoginAttempts: 3,
  loginDelayMs: 1000,
  loginTimeoutMs: 60_000,
  idleTimeoutMs: 300_000,
  dataTimeoutMs: 60_000,
  connectTimeoutMs: 15_000,
  onError: () => {},
} as const satisfies Record<keyof FtpOptions, unknown>;

const MAX_PORT = 65535;
/** The longest time that a timer can be set to. */
const MAX_MS = 2 ** 31 - 1;

/** Each number, with the least and the greatest that it can be. */
const RANGES = {
  port: [0, MAX_PORT],
  umask: [0, 0o777],
  maxSessions: [1, 10_000],
  maxLoginAttempts: [1, 1000],
  loginDelayMs: [0, MAX_MS],
  loginTimeoutMs: [1, MAX_MS],
  idleTimeoutMs: [1, MAX_MS],
  dataTimeoutMs: [1, MAX_MS],
  connectTimeoutMs: [1, MAX_MS],
} as const satisfies Partial<Record<keyof FtpOptions, readonly [number, number]>>;

function checkNumber(option: string, value: number, least: number, most: number): void {
  if (!(Number.isInteger(value) && value >= least && value <= most))
    throw new InvalidOptionError(option, `${value}: it is a whole number from ${least} to ${most}`);
}

/** @throws {InvalidOptionError} */
export function checkOptions(options: FtpOptions): Settings {
  for (const name of Object.keys(options))
    if (!(name in DEFAULTS))
      throw new InvalidOptionError(
        name,
        `unknown: it is one of ${Object.keys(DEFAULTS).join(", ")}`,
      );
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  );
  const settings: Settings = { ...DEFAULTS, ...(given as unknown as FtpOptions) };
  for (const [name, [least, most]] of Object.entries(RANGES))
    checkNumber(name, settings[name as keyof typeof RANGES], least, most);
  checkUsers(settings);
  for (const name of ["createServer", "connect"] as const)
    if (typeof settings.net?.[name] !== "function")
      throw new InvalidOptionError("net", `it has no ${name}(): it is as node:net`);
  const { passivePorts, publicAddress } = settings;
  if (passivePorts) {
    const [first, last] = passivePorts;
    checkNumber("passivePorts", first, 1, MAX_PORT);
    checkNumber("passivePorts", last, first, MAX_PORT);
  }
  if (publicAddress !== undefined && !hostNet.isIPv4(publicAddress))
    throw new InvalidOptionError("publicAddress", `${publicAddress}: it is an IPv4 address`);
  return settings;
}

function checkUsers({ users, anonymous }: Settings): void {
  if (!users.length && !anonymous)
    throw new InvalidOptionError("users", "nobody could log in: give users, or anonymous");
  const names = new Set<string>();
  for (const { name, password } of users) {
    if (!name || /[\0\r\n]/.test(name + password))
      throw new InvalidOptionError(
        "users",
        `${JSON.stringify(name)}: a name has a character or more, and neither it nor a password has line breaks`,
      );
    if (names.has(name))
      throw new InvalidOptionError("users", `${JSON.stringify(name)} is there twice`);
    names.add(name);
  }
}
