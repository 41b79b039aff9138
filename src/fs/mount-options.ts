// The options of file systems by name, with values of the right type. The names of the kernel, and
// what they mean, are in Documentation/filesystems and mount(8).

import { InvalidOptionError } from "../machine/errors.ts";
import { choice, compression, count, flag, name, path, paths, permissions } from "./mount-rules.ts";
import type { Rule, ValueOf } from "./mount-rules.ts";

/** What becomes of a file system in which something is found damaged. */
const ERRORS = ["continue", "panic", "remount-ro"] as const;
const ON_OFF = ["on", "off"] as const;
const MAX_ID = 2 ** 32 - 2;

const EXT = {
  /** What is written before the journal says that it is there. */
  dataMode: choice("data", ["ordered", "journal", "writeback"]),
  /** Give back at once what becomes free. */
  discard: flag("discard", "nodiscard"),
  errors: choice("errors", ERRORS),
  /** How often the journal is committed. */
  commitSeconds: count("commit"),
  barrier: flag("barrier", "nobarrier"),
  /** Leave the journal alone. */
  noload: flag("noload"),
  journalChecksum: flag("journal_checksum", "nojournal_checksum"),
  journalAsyncCommit: flag("journal_async_commit"),
  /** Choose places when it is written back, not before. */
  delayedAllocation: flag("delalloc", "nodelalloc"),
  usrquota: flag("usrquota"),
  grpquota: flag("grpquota"),
  prjquota: flag("prjquota"),
  noquota: flag("noquota"),
  acl: flag("acl"),
  /** New files have their directory's group. */
  grpid: flag("grpid", "nogrpid"),
  /** Who may use what is reserved. */
  reservedUid: count("resuid", 0, MAX_ID),
  reservedGid: count("resgid", 0, MAX_ID),
  /** Where a copy of the superblock is, in blocks of 1 KiB. */
  superblock: count("sb"),
  minixDf: flag("minixdf", "bsddf"),
  initInodeTables: flag("init_itable", "noinit_itable"),
  stripeBlocks: count("stripe"),
  maxDirectoryKiB: count("max_dir_size_kb"),
};

const XFS = {
  discard: flag("discard", "nodiscard"),
  /** Mount it beside one of the same identifier. */
  nouuid: flag("nouuid"),
  /** Leave the log alone. Read-only. */
  norecovery: flag("norecovery"),
  usrquota: flag("usrquota"),
  grpquota: flag("grpquota"),
  prjquota: flag("prjquota"),
  /** Count, and let pass what is over its limit. */
  uqnoenforce: flag("uqnoenforce"),
  gqnoenforce: flag("gqnoenforce"),
  pqnoenforce: flag("pqnoenforce"),
  noquota: flag("noquota"),
  /** How much is taken behind the end of a file that grows: a power of two from 4 KiB. */
  allocationBytes: count("allocsize", 4096, 2 ** 30),
  logBuffers: count("logbufs", 2, 8),
  logBufferBytes: count("logbsize", 0, 262144),
  inode64: flag("inode64", "inode32"),
  largeIo: flag("largeio", "nolargeio"),
  filestreams: flag("filestreams"),
  /** Make lasting each change of a directory before the call returns. */
  wsync: flag("wsync"),
  grpid: flag("grpid", "nogrpid"),
  logDevice: name("logdev"),
  realtimeDevice: name("rtdev"),
};

const BTRFS_LEVELS = { zlib: 9, lzo: 0, zstd: 15, no: 0 };
const BTRFS = {
  /** Compress what seems worth it. */
  compress: compression("compress", BTRFS_LEVELS),
  /** Compress everything. */
  compressForce: compression("compress-force", BTRFS_LEVELS),
  /** Which subvolume is seen as the root, by its path from the top. */
  subvol: name("subvol"),
  subvolid: count("subvolid", 0, Number.MAX_SAFE_INTEGER),
  /** Although devices are missing. */
  degraded: flag("degraded"),
  /** Where else a part of it is. */
  device: name("device"),
  spaceCache: choice("space_cache", ["v1", "v2"]),
  noSpaceCache: flag("nospace_cache"),
  clearCache: flag("clear_cache"),
  discard: choice("discard", ["sync", "async"]),
  noDiscard: flag("nodiscard"),
  ssd: flag("ssd", "nossd"),
  ssdSpread: flag("ssd_spread", "nossd_spread"),
  autodefrag: flag("autodefrag", "noautodefrag"),
  /** Write over data in place. */
  datacow: flag("datacow", "nodatacow"),
  datasum: flag("datasum", "nodatasum"),
  treelog: flag("treelog", "notreelog"),
  barrier: flag("barrier", "nobarrier"),
  acl: flag("acl", "noacl"),
  commitSeconds: count("commit"),
  flushOnCommit: flag("flushoncommit", "noflushoncommit"),
  maxInlineBytes: count("max_inline"),
  metadataRatio: count("metadata_ratio"),
  threadPool: count("thread_pool", 1),
  skipBalance: flag("skip_balance"),
  userSubvolRmAllowed: flag("user_subvol_rm_allowed"),
  rescue: choice("rescue", [
    "usebackuproot",
    "nologreplay",
    "ignorebadroots",
    "ignoredatacsums",
    "ignoremetacsums",
    "ignoresuperflags",
    "all",
  ]),
};

const F2FS = {
  discard: flag("discard", "nodiscard"),
  discardUnit: choice("discard_unit", ["block", "segment", "section"]),
  backgroundGc: choice("background_gc", ["on", "off", "sync"]),
  gcMerge: flag("gc_merge", "nogc_merge"),
  mode: choice("mode", ["adaptive", "lfs"]),
  allocMode: choice("alloc_mode", ["default", "reuse"]),
  fsyncMode: choice("fsync_mode", ["posix", "strict", "nobarrier"]),
  errors: choice("errors", ERRORS),
  barrier: flag("barrier", "nobarrier"),
  norecovery: flag("norecovery"),
  compressAlgorithm: compression("compress_algorithm", { lzo: 0, lz4: 12, zstd: 22, "lzo-rle": 0 }),
  /** How many pages are compressed at once, as a power of two. */
  compressLogSize: count("compress_log_size", 2, 8),
  /** Names that end so are compressed; `*`: all. */
  compressExtension: name("compress_extension"),
  compressChecksum: flag("compress_chksum"),
  compressMode: choice("compress_mode", ["fs", "user"]),
  inlineData: flag("inline_data", "noinline_data"),
  inlineDentry: flag("inline_dentry", "noinline_dentry"),
  inlineXattr: flag("inline_xattr", "noinline_xattr"),
  extentCache: flag("extent_cache", "noextent_cache"),
  flushMerge: flag("flush_merge", "noflush_merge"),
  activeLogs: choice("active_logs", ["2", "4", "6"]),
  usrquota: flag("usrquota"),
  grpquota: flag("grpquota"),
  prjquota: flag("prjquota"),
  noquota: flag("noquota"),
  acl: flag("acl", "noacl"),
  xattrs: flag("user_xattr", "nouser_xattr"),
  reservedBlocks: count("reserve_root"),
  reservedUid: count("resuid", 0, MAX_ID),
  reservedGid: count("resgid", 0, MAX_ID),
  memory: choice("memory", ["normal", "low"]),
};

/** Of file systems that know no owners and permissions: what all of it has. */
const OWNERS = {
  uid: count("uid", 0, MAX_ID),
  gid: count("gid", 0, MAX_ID),
  /** The permissions that nothing has. */
  umask: permissions("umask"),
  /** Of files and of directories. */
  fmask: permissions("fmask"),
  dmask: permissions("dmask"),
};

const VFAT = {
  ...OWNERS,
  /** Who may change times: 0o20 the group, 0o2 everybody. */
  allowUtime: permissions("allow_utime", 0o22),
  /** Of short names: 437, 850… */
  codepage: count("codepage", 1, 65535),
  /** Of long names, instead of UTF-8. */
  iocharset: name("iocharset"),
  utf8: flag("utf8=1", "utf8=0"),
  shortname: choice("shortname", ["lower", "win95", "winnt", "mixed"]),
  check: choice("check", ["relaxed", "normal", "strict"]),
  errors: choice("errors", ERRORS),
  discard: flag("discard"),
  flush: flag("flush"),
  /** Times are in UTC, not in the kernel's time zone. */
  utc: flag("tz=UTC"),
  timeOffsetMinutes: count("time_offset", -1440, 1440),
  /** Take no notice of a change of owner or mode that it cannot have. */
  quiet: flag("quiet"),
  showexec: flag("showexec"),
  sysImmutable: flag("sys_immutable"),
  rodir: flag("rodir"),
  usefree: flag("usefree"),
  dos1xfloppy: flag("dos1xfloppy"),
};

const EXFAT = {
  ...OWNERS,
  allowUtime: permissions("allow_utime", 0o22),
  iocharset: name("iocharset"),
  errors: choice("errors", ERRORS),
  discard: flag("discard"),
  keepLastDots: flag("keep_last_dots"),
  sysTz: flag("sys_tz"),
  timeOffsetMinutes: count("time_offset", -1440, 1440),
};

const NTFS3 = {
  ...OWNERS,
  iocharset: name("iocharset"),
  discard: flag("discard"),
  /** Although it was not unmounted clean. */
  force: flag("force"),
  sparse: flag("sparse"),
  nohidden: flag("nohidden"),
  hideDotFiles: flag("hide_dot_files"),
  windowsNames: flag("windows_names"),
  showmeta: flag("showmeta"),
  sysImmutable: flag("sys_immutable"),
  acl: flag("acl"),
  prealloc: flag("prealloc"),
  nocase: flag("nocase"),
};

const OVERLAY = {
  /** Directories that are seen, the uppermost first, and never written to. */
  lower: paths("lowerdir"),
  /** The directory that takes the changes. */
  upper: path("upperdir"),
  /** An empty directory on the same file system as the upper one. */
  work: path("workdir"),
  /** Rename directories of lower ones. */
  redirectDir: choice("redirect_dir", ["on", "off", "follow", "nofollow"]),
  /** Keep hard links of lower files together. */
  index: choice("index", ON_OFF),
  /** Copy up only what is known of a file when its data does not change. */
  metacopy: choice("metacopy", ON_OFF),
  nfsExport: choice("nfs_export", ON_OFF),
  xino: choice("xino", ["on", "off", "auto"]),
  uuid: choice("uuid", ["on", "off", "null", "auto"]),
  /** Keep its marks in attributes `user.overlay.` instead of `trusted.overlay.`. */
  userxattr: flag("userxattr"),
  /** Make nothing lasting: fast, and after a crash the upper directory is of no use. */
  volatile: flag("volatile"),
  defaultPermissions: flag("default_permissions"),
};

const TMPFS = {
  /** How much it may hold; 0: as much as there is memory. */
  sizeBytes: count("size", 0, Number.MAX_SAFE_INTEGER),
  maxFiles: count("nr_inodes", 0, Number.MAX_SAFE_INTEGER),
  /** Of its root. */
  mode: permissions("mode", 0o1777),
  uid: count("uid", 0, MAX_ID),
  gid: count("gid", 0, MAX_ID),
};

const ISO9660 = {
  norock: flag("norock"),
  nojoliet: flag("nojoliet"),
  hide: flag("hide"),
  unhide: flag("unhide"),
  iocharset: name("iocharset"),
  check: choice("check", ["relaxed", "strict"]),
  map: choice("map", ["off", "normal", "acorn"]),
  session: count("session", 0, 99),
  superblock: count("sbsector"),
  uid: count("uid", 0, MAX_ID),
  gid: count("gid", 0, MAX_ID),
};

const TABLES = {
  ext2: EXT,
  ext3: EXT,
  ext4: EXT,
  xfs: XFS,
  btrfs: BTRFS,
  f2fs: F2FS,
  vfat: VFAT,
  exfat: EXFAT,
  ntfs3: NTFS3,
  iso9660: ISO9660,
  overlay: OVERLAY,
  tmpfs: TMPFS,
};

/** File systems whose options have names here; of the others they are text. */
export type OptionsType = keyof typeof TABLES;

/** The options of a file system. */
export type OptionsOf<Type extends OptionsType> = {
  readonly [Name in keyof (typeof TABLES)[Type]]?: ValueOf<(typeof TABLES)[Type][Name]> | undefined;
};

/** The options of a file system, and which it is: `{ type: "ext4", dataMode: "journal" }`. */
export type FilesystemOptions = {
  [Type in OptionsType]: { readonly type: Type } & OptionsOf<Type>;
}[OptionsType];

/**
 * Options as mount(2) and mount(8) take them. What is undefined is left out.
 *
 * @throws {InvalidOptionError} for a name that the file system does not have, saying which it has;
 *   for a value that it cannot have, such as text with a comma
 */
export function formatMountOptions<Type extends OptionsType>(
  type: Type,
  options: OptionsOf<Type>,
): string {
  if (!Object.hasOwn(TABLES, type))
    throw new InvalidOptionError(
      "type",
      `options of ${type} have no names here, but of ${Object.keys(TABLES).join(", ")}: give text`,
    );
  const table: Readonly<Record<string, Rule<never>>> = TABLES[type];
  const texts: string[] = [];
  for (const [option, value] of Object.entries<unknown>(options)) {
    if (!Object.hasOwn(table, option))
      throw new InvalidOptionError(
        option,
        `${type} has no such option; it has ${Object.keys(table).join(", ")}`,
      );
    if (value === undefined) continue;
    const { text, expects } = table[option];
    const said = text(value as never);
    if (said === undefined) {
      const shown = ["string", "number", "boolean"].includes(typeof value);
      const given = shown ? `${JSON.stringify(value)}: ` : "";
      throw new InvalidOptionError(option, `${given}${expects}`);
    }
    if (said) texts.push(said);
  }
  return texts.join(",");
}
