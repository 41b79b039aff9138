// What is true of a tree of files, in a form that does not depend on who says it: the description
// that it was made from, a native tool, or a kernel.
//
// Paths are bytes; as keys they are written in Latin-1, one character a byte.

import { createHash } from "node:crypto";

export type Kind =
  | "file"
  | "directory"
  | "symlink"
  | "character device"
  | "block device"
  | "fifo"
  | "socket";

/** What there is to know of one file. */
export interface Fact {
  readonly kind: string;
  /** 12 bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of files, and the length of what a symbolic link points to. */
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Of a symbolic link, in Latin-1. */
  readonly target?: string;
  /** Of a device: "major:minor". */
  readonly device?: string;
  /** Of a file's content. */
  readonly hash?: string;
  /** Whether a file takes much less than its size. */
  readonly sparse?: boolean;
  /** The first of all names of the same file. */
  readonly sameAs?: string;
  /** Names and values, these in hexadecimal. */
  readonly xattrs: Readonly<Record<string, string>>;
}

export type Facts = ReadonlyMap<string, Fact>;

/** What a file system keeps, or a tool can tell. */
export interface Keeps {
  /** Greatest user and group; 0: they are not kept. */
  readonly owners: number;
  /** These bits of the mode. */
  readonly modes: number;
  readonly hardLinks: boolean;
  readonly symlinks: boolean;
  /** Devices, and pipes. */
  readonly devices: boolean;
  /** Greatest minor and major number of a device. */
  readonly deviceNumbers: number;
  readonly sockets: boolean;
  /** Whether a name is any bytes. Elsewhere it is Unicode without what DOS does not allow. */
  readonly rawNames: boolean;
  /** Longest name, in bytes or in UTF-16 units where it is Unicode. */
  readonly nameLength: number;
  /** Of these kinds of extended attributes: what their names start with. */
  readonly xattrs: readonly string[];
  /** Greatest size of one. */
  readonly xattrBytes: number;
  readonly holes: boolean;
  /** What times are rounded down to; 0: they are not kept. */
  readonly timeGrainNs: bigint;
  readonly firstSecond: number;
  readonly lastSecond: number;
  /** What is out of this range becomes the nearest that is in it; elsewhere, it is anything. */
  readonly clampsTimes: boolean;
  readonly directoryTimes: boolean;
  /** Owner and time of a symbolic link. */
  readonly symlinkStatus: boolean;
}

const SECOND = 1_000_000_000n;

/** A file system of Linux with all that a modern one has. */
export const EVERYTHING: Keeps = {
  owners: 0xfffffffe,
  modes: 0o7777,
  hardLinks: true,
  symlinks: true,
  devices: true,
  deviceNumbers: 0xfff,
  sockets: true,
  rawNames: true,
  nameLength: 255,
  xattrs: ["user.", "trusted.", "security.", "system.posix_acl_"],
  xattrBytes: 65536,
  holes: true,
  timeGrainNs: 1n,
  firstSecond: -(2 ** 31),
  lastSecond: 2 ** 34 - 2 ** 31 - 1,
  clampsTimes: true,
  directoryTimes: true,
  symlinkStatus: true,
};

/** What both keep. */
export function both(a: Keeps, b: Partial<Keeps>): Keeps {
  const other = { ...a, ...b };
  return {
    ...other,
    owners: Math.min(a.owners, other.owners),
    modes: a.modes & other.modes,
    clampsTimes: a.clampsTimes && other.clampsTimes,
    hardLinks: a.hardLinks && other.hardLinks,
    symlinks: a.symlinks && other.symlinks,
    devices: a.devices && other.devices,
    deviceNumbers: Math.min(a.deviceNumbers, other.deviceNumbers),
    sockets: a.sockets && other.sockets,
    rawNames: a.rawNames && other.rawNames,
    nameLength: Math.min(a.nameLength, other.nameLength),
    xattrs: a.xattrs.filter((start) => other.xattrs.includes(start)),
    xattrBytes: Math.min(a.xattrBytes, other.xattrBytes),
    holes: a.holes && other.holes,
    timeGrainNs:
      a.timeGrainNs && other.timeGrainNs
        ? a.timeGrainNs > other.timeGrainNs
          ? a.timeGrainNs
          : other.timeGrainNs
        : 0n,
    firstSecond: Math.max(a.firstSecond, other.firstSecond),
    lastSecond: Math.min(a.lastSecond, other.lastSecond),
    directoryTimes: a.directoryTimes && other.directoryTimes,
    symlinkStatus: a.symlinkStatus && other.symlinkStatus,
  };
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Text of bytes in UTF-8; null if they are not. */
function unicode(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

function nameFits(name: string, keeps: Keeps): boolean {
  if (keeps.rawNames) return name.length <= keeps.nameLength;
  const text = unicode(Buffer.from(name, "latin1"));
  // oxlint-disable-next-line no-control-regex
  return text !== null && text.length <= keeps.nameLength && !/[\0-\x1f"*/:<>?\\|]/.test(text);
}

/** Whether a path has letters that do not fit in 16 bits: some tools do not know of such. */
export const isAstral = (path: string): boolean =>
  Buffer.from(path, "latin1").some((byte) => byte >= 0xf0);

/** Whether there can be such a file at all. */
export function canHold(keeps: Keeps, path: string, fact: Pick<Fact, "kind" | "device">): boolean {
  if (!path.split("/").every((name) => nameFits(name, keeps))) return false;
  if (fact.kind === "symlink") return keeps.symlinks;
  if (fact.kind === "socket") return keeps.sockets;
  if (fact.kind === "fifo") return keeps.devices;
  if (!fact.kind.endsWith("device")) return true;
  const numbers = (fact.device ?? "").split(":").map(Number);
  return keeps.devices && numbers.every((number) => number <= keeps.deviceNumbers);
}

function timeAsKept(fact: Fact, keeps: Keeps, meant: bigint): bigint {
  if (fact.kind === "directory" && !keeps.directoryTimes) return 0n;
  if (fact.kind === "symlink" && !keeps.symlinkStatus) return 0n;
  if (!keeps.timeGrainNs) return 0n;
  const first = BigInt(keeps.firstSecond) * SECOND;
  const last = (BigInt(keeps.lastSecond) + 1n) * SECOND - 1n;
  const { mtimeNs } = fact;
  if (!keeps.clampsTimes && (meant < first || meant > last)) return 0n;
  // What is out of range becomes the nearest that is in it, without nanoseconds (vfs: timestamp_truncate).
  if (mtimeNs < first) return first;
  if (mtimeNs > last) return BigInt(keeps.lastSecond) * SECOND;
  return mtimeNs - (((mtimeNs % keeps.timeGrainNs) + keeps.timeGrainNs) % keeps.timeGrainNs);
}

/** XFS shows its access control lists twice. */
const TWINS = /^trusted\.SGI_ACL_/;

/** The facts that are left where not all is kept, and what was meant, if that is something else. */
export function asKept(facts: Facts, keeps: Keeps, meant?: Facts): Facts {
  const kept = new Map<string, Fact>();
  for (const [path, fact] of facts) {
    if (!canHold(keeps, path, fact)) continue;
    const { sameAs, sparse, ...rest } = fact;
    const owners = fact.kind === "symlink" && !keeps.symlinkStatus ? 0 : keeps.owners;
    const wanted = Object.entries(fact.xattrs).filter(
      ([name, value]) =>
        keeps.xattrs.some((start) => name.startsWith(start)) &&
        !TWINS.test(name) &&
        value.length / 2 <= keeps.xattrBytes,
    );
    kept.set(path, {
      ...rest,
      mode: fact.kind === "symlink" ? 0 : fact.mode & keeps.modes,
      uid: fact.uid <= owners ? fact.uid : 0,
      gid: fact.gid <= owners ? fact.gid : 0,
      mtimeNs: timeAsKept(fact, keeps, meant?.get(path)?.mtimeNs ?? fact.mtimeNs),
      xattrs: Object.fromEntries(wanted.toSorted(([a], [b]) => (a < b ? -1 : 1))),
      ...(keeps.holes && sparse ? { sparse } : {}),
      ...(keeps.hardLinks && sameAs !== undefined ? { sameAs } : {}),
    });
  }
  return kept;
}

const MAX_SHOWN = 6;

const textOf = (value: unknown) =>
  JSON.stringify(value, (_, one: unknown) => (typeof one === "bigint" ? `${one}` : one)) ?? "none";
const shown = (text: string) => (text.length > 120 ? `${text.slice(0, 120)}…` : text);

/** Where two trees differ: a line each, and not more than a few. */
export function differences(actual: Facts, expected: Facts): string[] {
  const found: string[] = [];
  for (const path of new Set([...expected.keys(), ...actual.keys()])) {
    const [a, b] = [actual.get(path), expected.get(path)];
    const name = JSON.stringify(path.length > 60 ? `${path.slice(0, 60)}…` : path);
    if (!a) found.push(`${name} is missing`);
    else if (!b) found.push(`${name} should not be there`);
    else
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof Fact>) {
        const [is, should] = [textOf(a[key]), textOf(b[key])];
        if (is !== should) found.push(`${name}: ${key} is ${shown(is)}, not ${shown(should)}`);
      }
  }
  const more = found.length - MAX_SHOWN;
  return more > 0 ? [...found.slice(0, MAX_SHOWN), `and ${more} more`] : found;
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

/** A file that takes so much less than its size has holes. */
export function isSparse(sizeBytes: number, allocatedBytes: number): boolean {
  return sizeBytes > 1 << 20 && allocatedBytes < sizeBytes / 2;
}

/** Tells names of the same file: by its number, in the order in which they are asked for. */
export function linkFinder(): (inode: bigint, path: string) => string | undefined {
  const first = new Map<bigint, string>();
  return (inode, path) => {
    const found = first.get(inode);
    if (found === undefined) first.set(inode, path);
    return found;
  };
}
