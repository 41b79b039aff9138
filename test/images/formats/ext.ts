// ext2, ext3 and ext4 with their features, in both directions.

import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

import { AT_FDCWD, O_CREAT, O_EXCL, O_RDONLY, O_WRONLY } from "../../../src/abi/constants/fcntl.ts";
import { FS_CASEFOLD_FL, FS_IOC_SETFLAGS } from "../../../src/abi/constants/ioctl.ts";
import { readNativeTree } from "../host.ts";
import type { Format, Reader, Writer } from "../matrix.ts";
import { debugfs, run } from "../native.ts";

/** mke2fs -d keeps whole seconds only. */
const populate = (...args: string[]): Writer => ({
  name: "mke2fs -d",
  keeps: { timeGrainNs: 1_000_000_000n, lastSecond: 2 ** 31 - 1, clampsTimes: false },
  write: ([image = ""], folder) => run("mke2fs", "-q", "-F", ...args, "-d", folder, image),
});

const rdump: Reader = {
  name: "debugfs rdump",
  // It sets the owner after the mode, which takes the upper bits away.
  keeps: {
    modes: 0o777,
    symlinkStatus: false,
    timeGrainNs: 1_000_000_000n,
    firstSecond: 0,
    lastSecond: 2 ** 31 - 1,
    clampsTimes: false,
    xattrs: [],
    devices: false,
    sockets: false,
    holes: false,
    hardLinks: false,
  },
  read([image = ""], scratch) {
    mkdirSync(join(scratch, "out"));
    run("debugfs", "-R", `rdump / ${scratch}/out`, image);
    return readNativeTree(join(scratch, "out"));
  },
};

function ext(name: string, args: string[], format: Partial<Format> = {}): Format {
  return {
    name,
    type: "ext4",
    mib: 48,
    make: ([image = ""]) => run("mke2fs", "-q", "-F", ...args, image),
    writers: [populate(...args)],
    readers: [rdump],
    checker: { name: "e2fsck", check: ([image = ""]) => clean(image) },
    ...format,
  };
}

/** With blocks that have room for the larger attribute. */
const ext4 = (features: string) => ["-t", "ext4", "-O", features, "-b", "4096"];

/** e2fsck says nothing of what it would mend. */
function clean(...args: string[]): void {
  assert.doesNotMatch(run("e2fsck", "-fn", ...args), /QUOTA|Fix|Clear/);
}

const JOURNAL_SUPERBLOCK = 4096;

/** Where there are no block devices, mke2fs does not join the two: debugfs does. */
function makeWithJournal([image = "", journal = ""]: readonly string[]): void {
  const [own, other] = [
    "30e8a1ca-4e72-4fd8-9a3c-0123456789ab",
    "57a3c4de-1111-4fd8-9a3c-ba9876543210",
  ];
  run("mke2fs", "-q", "-F", "-b", "4096", "-U", other, "-O", "journal_dev", journal);
  run("mke2fs", "-q", "-F", ...ext4("^has_journal"), "-U", own, image);
  debugfs(image, "feature has_journal", `set_super_value journal_uuid ${other}`);
  // Its users: how many, and their UUIDs (include/linux/jbd2.h, struct journal_superblock_s).
  const fd = openSync(journal, "r+");
  writeSync(fd, Uint8Array.of(0, 0, 0, 1), 0, 4, JOURNAL_SUPERBLOCK + 0x40);
  writeSync(fd, Buffer.from(own.replaceAll("-", ""), "hex"), 0, 16, JOURNAL_SUPERBLOCK + 0x100);
  closeSync(fd);
}

/** Inodes of 128 bytes: whole seconds, of 32 bits with a sign. */
const OLD_INODES = { timeGrainNs: 1_000_000_000n, lastSecond: 2 ** 31 - 1 };
/** Attributes share one block. */
const SMALL_BLOCKS = { xattrBytes: 700 };

const INLINE = [
  "inline_data",
  "inline_data,bigalloc,casefold,encrypt,verity,quota,project,large_dir,meta_bg,^resize_inode,ea_inode,orphan_file,fast_commit",
];
const FEATURES = [
  "bigalloc",
  "encrypt",
  "verity",
  "quota",
  "quota,project",
  "large_dir",
  "^has_journal",
  "^extent,^64bit",
  "^64bit",
  "^metadata_csum",
  "^metadata_csum,uninit_bg",
  "meta_bg,^resize_inode",
  "sparse_super2",
  "ea_inode",
  "orphan_file",
  "fast_commit",
  "stable_inodes",
  "^dir_index",
  "^flex_bg",
  "^huge_file,^dir_nlink,^extra_isize",
  "mmp",
  "metadata_csum_seed",
];

export const EXT_FORMATS: readonly Format[] = [
  ext("ext2", ["-t", "ext2"], { type: "ext2", keeps: SMALL_BLOCKS }),
  // The kernel does not know that such inodes have no years after 2038; mke2fs -d drops attributes.
  ext("ext2: revision 0", ["-t", "ext2", "-r", "0"], {
    type: "ext2",
    keeps: { ...OLD_INODES, ...SMALL_BLOCKS, clampsTimes: false },
    writers: [],
  }),
  ext("ext3", ["-t", "ext3"], { type: "ext3", keeps: SMALL_BLOCKS }),
  ext("ext3: inodes of 128 bytes", ["-t", "ext3", "-I", "128"], {
    type: "ext3",
    keeps: { ...OLD_INODES, ...SMALL_BLOCKS },
  }),
  ext("ext4: blocks of 1 KiB", ["-t", "ext4", "-b", "1024"], { keeps: SMALL_BLOCKS }),
  ext("ext4: blocks of 2 KiB", ["-t", "ext4", "-b", "2048"], { keeps: SMALL_BLOCKS }),
  ext("ext4: blocks of 4 KiB", ["-t", "ext4", "-b", "4096"]),
  ...INLINE.map((features) =>
    ext(`ext4: ${features}`, ext4(features), {
      // e2fsprogs 1.47 drops holes at the end of files, and takes all inline data for 60 bytes.
      writers: [{ ...populate(...ext4(features)), omits: (path) => path.includes("hole") }],
      readers: [],
    }),
  ),
  ...FEATURES.map((features) => ext(`ext4: ${features}`, ext4(features))),
  ext("ext4: casefold", ext4("casefold"), {
    prepare: async ({ init }, { target }) => {
      const folded = `${target}/folded`;
      await init.mkdirat(AT_FDCWD, folded, 0o755);
      const fd = await init.openat(AT_FDCWD, folded, O_RDONLY, 0);
      await init.ioctl(fd, FS_IOC_SETFLAGS, Uint8Array.of(0, 0, 0, FS_CASEFOLD_FL >>> 24));
      await init.close(fd);
      await init.close(await init.openat(AT_FDCWD, `${folded}/Straße`, O_CREAT | O_WRONLY, 0o644));
      const again = init.openat(AT_FDCWD, `${folded}/STRASSE`, O_CREAT | O_EXCL | O_WRONLY, 0o644);
      await assert.rejects(again, { code: "EEXIST" });
      await init.close(await init.openat(AT_FDCWD, `${folded}/sTRASSE`, O_RDONLY, 0));
    },
    extra: ["folded", "folded/Straße"],
  }),
  ext("ext4: journal on another disk", [], {
    disks: 2,
    make: makeWithJournal,
    writers: [],
    options: ([, journal]) => `journal_path=${journal}`,
    native: false,
    checker: {
      name: "e2fsck",
      check: ([image = "", journal = ""]) => clean("-j", journal, image),
    },
  }),
];
