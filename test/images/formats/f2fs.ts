// F2FS with its features, in both directions.

import assert from "node:assert/strict";

import type { Format, Writer } from "../matrix.ts";
import { run } from "../native.ts";

const sload = (features: string, ...args: string[]): Writer => ({
  name: "sload.f2fs",
  keeps: {
    owners: 0xffff,
    timeGrainNs: 1_000_000_000n,
    lastSecond: 2 ** 32,
    clampsTimes: false,
    hardLinks: false,
    holes: false,
    xattrs: [],
    devices: false,
  },
  write([image = ""], folder) {
    run("mkfs.f2fs", "-q", ...withFeatures(features), image);
    run("sload.f2fs", "-P", "-f", folder, ...args, image);
  },
});

const withFeatures = (features: string) => (features ? ["-O", features] : []);

function f2fs(features: string, format: Partial<Format> = {}): Format {
  return {
    name: features ? `f2fs: ${features}` : "f2fs",
    type: "f2fs",
    mib: 200,
    make: ([image = ""]) => run("mkfs.f2fs", "-q", ...withFeatures(features), image),
    writers: [sload(features)],
    checker: {
      name: "fsck.f2fs",
      check: ([image = ""]) => {
        assert.doesNotMatch(run("fsck.f2fs", "-f", "--dry-run", image), /\[FAIL\]|\[ASSERT\]/);
      },
    },
    ...format,
  };
}

/** Debian's sload.f2fs knows no way to compress. */
const compressed = (how: string): Format => ({
  ...f2fs("extra_attr,compression", {
    options: `compress_algorithm=${how},compress_extension=*,compress_mode=fs`,
    writers: [],
  }),
  name: `f2fs: compression by ${how}`,
});

export const F2FS_FORMATS: readonly Format[] = [
  f2fs(""),
  f2fs("extra_attr,inode_checksum,inode_crtime"),
  // What sload.f2fs 1.15 makes of these, its own fsck.f2fs calls damaged.
  f2fs("extra_attr,flexible_inline_xattr", { writers: [] }),
  ...["lzo", "lz4", "zstd"].map((how) => compressed(how)),
  f2fs("casefold", {
    make: ([image = ""]) => run("mkfs.f2fs", "-q", "-O", "casefold", "-C", "utf8", image),
    writers: [],
  }),
  f2fs("encrypt"),
  f2fs("verity"),
  f2fs("extra_attr,quota,project_quota"),
  f2fs("lost_found,sb_checksum"),
];
