// What stat() and statfs() tell, with the fields of Node's Stats, BigIntStats and StatFs.

import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from "../../abi/constants/stat.ts";
import { Statx } from "../../abi/structs/fs.ts";
import type { Statfs64 } from "../../abi/structs/fs.ts";
import { toInstant } from "./runtime.ts";
import type { Instant } from "./runtime.ts";

const AT = Statx.offsets;
const HIGH = 2 ** 32;
const NS_PER_MS = 1_000_000;
const NS_PER_MS_BIG = BigInt(NS_PER_MS);

/** What Stats and BigIntStats share. Dates and instants are made when they are asked for. */
abstract class AnyStats<N extends number | bigint> {
  abstract readonly mode: N;
  abstract readonly atimeMs: N;
  abstract readonly mtimeMs: N;
  abstract readonly ctimeMs: N;
  abstract readonly birthtimeMs: N;
  #dates: [Date?, Date?, Date?, Date?] | undefined;

  #date(which: 0 | 1 | 2 | 3, ms: N): Date {
    return ((this.#dates ??= [])[which] ??= new Date(Math.round(Number(ms))));
  }

  /** When it was read last. */
  get atime(): Date {
    return this.#date(0, this.atimeMs);
  }

  /** When its contents changed last. */
  get mtime(): Date {
    return this.#date(1, this.mtimeMs);
  }

  /** When it, or what is known of it, changed last. */
  get ctime(): Date {
    return this.#date(2, this.ctimeMs);
  }

  /** When it was made; 1970 where the file system does not keep it. */
  get birthtime(): Date {
    return this.#date(3, this.birthtimeMs);
  }

  /** A time to the nanosecond. */
  protected abstract nanoseconds(which: 0 | 1 | 2 | 3): bigint;

  /** Of Temporal, where the runtime has it; else undefined. */
  get atimeInstant(): Instant {
    return toInstant(this.nanoseconds(0));
  }

  get mtimeInstant(): Instant {
    return toInstant(this.nanoseconds(1));
  }

  get ctimeInstant(): Instant {
    return toInstant(this.nanoseconds(2));
  }

  get birthtimeInstant(): Instant {
    return toInstant(this.nanoseconds(3));
  }

  #is(type: number): boolean {
    return (Number(this.mode) & S_IFMT) === type;
  }

  isDirectory(): boolean {
    return this.#is(S_IFDIR);
  }
  isFile(): boolean {
    return this.#is(S_IFREG);
  }
  isBlockDevice(): boolean {
    return this.#is(S_IFBLK);
  }
  isCharacterDevice(): boolean {
    return this.#is(S_IFCHR);
  }
  isSymbolicLink(): boolean {
    return this.#is(S_IFLNK);
  }
  isFIFO(): boolean {
    return this.#is(S_IFIFO);
  }
  isSocket(): boolean {
    return this.#is(S_IFSOCK);
  }
}

const u64 = (view: DataView, at: number) =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * HIGH;

/** Seconds may be before 1970. */
const msAt = (view: DataView, at: number) =>
  (view.getUint32(at, true) + view.getInt32(at + 4, true) * HIGH) * 1000 +
  view.getUint32(at + 8, true) / NS_PER_MS;

const nsAt = (view: DataView, at: number) =>
  view.getBigInt64(at, true) * 1_000_000_000n + BigInt(view.getUint32(at + 8, true));

/** A device number as the C library packs it (makedev(3)): 12 + 20 bits spread over 64. */
const deviceAt = (view: DataView, at: number) => {
  const major = view.getUint32(at, true);
  const minor = view.getUint32(at + 4, true);
  // The kernel's majors have 12 bits, its minors 20.
  return (minor & 0xff) + (major & 0xfff) * 0x100 + (minor >>> 8) * 0x100000;
};

/** Where the times are, in the order in which they are counted here. */
const TIMES = [AT.stx_atime, AT.stx_mtime, AT.stx_ctime, AT.stx_btime] as const;

/** Numbers of the status of a file. */
export class Stats extends AnyStats<number> {
  readonly dev: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly blksize: number;
  readonly ino: number;
  readonly size: number;
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;
  /** What is lost of the times in milliseconds: their nanoseconds of a second. */
  readonly #fractions: readonly [number, number, number, number];

  /** @param view a struct statx */
  constructor(view: DataView) {
    super();
    this.dev = deviceAt(view, AT.stx_dev_major);
    this.mode = view.getUint16(AT.stx_mode, true);
    this.nlink = view.getUint32(AT.stx_nlink, true);
    this.uid = view.getUint32(AT.stx_uid, true);
    this.gid = view.getUint32(AT.stx_gid, true);
    this.rdev = deviceAt(view, AT.stx_rdev_major);
    this.blksize = view.getUint32(AT.stx_blksize, true);
    this.ino = u64(view, AT.stx_ino);
    this.size = u64(view, AT.stx_size);
    this.blocks = u64(view, AT.stx_blocks);
    this.atimeMs = msAt(view, AT.stx_atime);
    this.mtimeMs = msAt(view, AT.stx_mtime);
    this.ctimeMs = msAt(view, AT.stx_ctime);
    this.birthtimeMs = msAt(view, AT.stx_btime);
    this.#fractions = [
      view.getUint32(AT.stx_atime + 8, true),
      view.getUint32(AT.stx_mtime + 8, true),
      view.getUint32(AT.stx_ctime + 8, true),
      view.getUint32(AT.stx_btime + 8, true),
    ];
  }

  protected override nanoseconds(which: 0 | 1 | 2 | 3): bigint {
    const ms = [this.atimeMs, this.mtimeMs, this.ctimeMs, this.birthtimeMs][which];
    const fraction = this.#fractions[which];
    // Rounding tells the seconds: the fraction that was added is known.
    const seconds = Math.round((ms - fraction / NS_PER_MS) / 1000);
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction);
  }
}

/** As {@link Stats}, exact to the nanosecond. */
export class BigIntStats extends AnyStats<bigint> {
  readonly dev: bigint;
  readonly mode: bigint;
  readonly nlink: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly rdev: bigint;
  readonly blksize: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly blocks: bigint;
  readonly atimeMs: bigint;
  readonly mtimeMs: bigint;
  readonly ctimeMs: bigint;
  readonly birthtimeMs: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;

  /** @param view a struct statx */
  constructor(view: DataView) {
    super();
    const [atime, mtime, ctime, birthtime] = TIMES.map((at) => nsAt(view, at)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    this.dev = BigInt(deviceAt(view, AT.stx_dev_major));
    this.mode = BigInt(view.getUint16(AT.stx_mode, true));
    this.nlink = BigInt(view.getUint32(AT.stx_nlink, true));
    this.uid = BigInt(view.getUint32(AT.stx_uid, true));
    this.gid = BigInt(view.getUint32(AT.stx_gid, true));
    this.rdev = BigInt(deviceAt(view, AT.stx_rdev_major));
    this.blksize = BigInt(view.getUint32(AT.stx_blksize, true));
    this.ino = view.getBigUint64(AT.stx_ino, true);
    this.size = view.getBigUint64(AT.stx_size, true);
    this.blocks = view.getBigUint64(AT.stx_blocks, true);
    this.atimeMs = atime / NS_PER_MS_BIG;
    this.mtimeMs = mtime / NS_PER_MS_BIG;
    this.ctimeMs = ctime / NS_PER_MS_BIG;
    this.birthtimeMs = birthtime / NS_PER_MS_BIG;
    this.atimeNs = atime;
    this.mtimeNs = mtime;
    this.ctimeNs = ctime;
    this.birthtimeNs = birthtime;
  }

  protected override nanoseconds(which: 0 | 1 | 2 | 3): bigint {
    return [this.atimeNs, this.mtimeNs, this.ctimeNs, this.birthtimeNs][which];
  }
}

/** The size of a file, of a struct statx, if it is a regular one. */
export function regularSize(view: DataView): number | undefined {
  return (view.getUint16(AT.stx_mode, true) & S_IFMT) === S_IFREG
    ? u64(view, AT.stx_size)
    : undefined;
}

/** How full a file system is. */
export class StatFs<N extends number | bigint = number> {
  readonly type: N;
  readonly bsize: N;
  readonly frsize: N;
  readonly blocks: N;
  readonly bfree: N;
  readonly bavail: N;
  readonly files: N;
  readonly ffree: N;

  constructor(raw: Statfs64, number: (value: number | bigint) => N) {
    this.type = number(raw.f_type);
    this.bsize = number(raw.f_bsize);
    this.frsize = number(raw.f_frsize || raw.f_bsize);
    this.blocks = number(raw.f_blocks);
    this.bfree = number(raw.f_bfree);
    this.bavail = number(raw.f_bavail);
    this.files = number(raw.f_files);
    this.ffree = number(raw.f_ffree);
  }
}
