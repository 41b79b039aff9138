// File systems that the root of a Debian is put into: by native tools, or by a kernel of ours.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import type { Keeps } from "../facts.ts";
import { readNativeTree } from "../host.ts";
import type { Format } from "../matrix.ts";
import { run } from "../native.ts";

const mib = 700;
const SECONDS: Partial<Keeps> = { timeGrainNs: 1_000_000_000n };

/** What is left of it when a tool without rights to make more of it has copied it. */
const COPIED: Partial<Keeps> = {
  ...SECONDS,
  modes: 0o777,
  hardLinks: false,
  holes: false,
  symlinkStatus: false,
  xattrs: [],
};

export const DEBIAN_FORMATS: readonly Format[] = [
  {
    name: "ext4",
    type: "ext4",
    mib,
    make: ([image = ""]) => run("mke2fs", "-q", "-F", "-t", "ext4", image),
    writers: [
      {
        name: "mke2fs -d",
        keeps: SECONDS,
        write: ([image = ""], root) => run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, image),
      },
    ],
    checker: { name: "e2fsck", check: ([image = ""]) => run("e2fsck", "-fn", image) },
    readers: [
      {
        name: "debugfs rdump",
        keeps: COPIED,
        read([image = ""], scratch) {
          const out = join(scratch, "out");
          mkdirSync(out);
          run("debugfs", "-R", `rdump / ${out}`, image);
          return readNativeTree(out);
        },
      },
    ],
  },
  {
    name: "xfs",
    type: "xfs",
    mib,
    make: ([image = ""]) => run("mkfs.xfs", "-q", "-f", image),
    checker: { name: "xfs_repair", check: ([image = ""]) => run("xfs_repair", "-n", "-f", image) },
  },
  {
    name: "btrfs",
    type: "btrfs",
    mib,
    make: ([image = ""]) => run("mkfs.btrfs", "-q", "-f", image),
    writers: [
      {
        name: "mkfs.btrfs --rootdir",
        keeps: { ...SECONDS, holes: false },
        write: ([image = ""], root) => run("mkfs.btrfs", "-q", "-f", "--rootdir", root, image),
      },
    ],
    checker: {
      name: "btrfs check",
      check: ([image = ""]) => run("btrfs", "check", "--check-data-csum", image),
    },
    readers: [
      {
        name: "btrfs restore",
        keeps: { hardLinks: false, xattrs: [] },
        // It leaves the last directory as it made it.
        omits: (path) => path === "var/tmp",
        read([image = ""], scratch) {
          const out = join(scratch, "out");
          mkdirSync(out);
          run("btrfs", "restore", "-S", "-x", "-m", image, out);
          return readNativeTree(out);
        },
      },
    ],
  },
  {
    name: "f2fs",
    type: "f2fs",
    mib,
    make: ([image = ""]) => run("mkfs.f2fs", "-q", image),
    checker: {
      name: "fsck.f2fs",
      check: ([image = ""]) => run("fsck.f2fs", "-f", "--dry-run", image),
    },
  },
  {
    name: "squashfs",
    type: "squashfs",
    mib,
    writers: [
      {
        name: "mksquashfs",
        keeps: { ...SECONDS, xattrs: ["user.", "trusted.", "security."] },
        write([image = ""], root) {
          rmSync(image);
          run("mksquashfs", root, image, "-quiet", "-no-progress", "-comp", "zstd");
        },
      },
    ],
  },
  {
    name: "erofs",
    type: "erofs",
    mib,
    writers: [
      {
        name: "mkfs.erofs",
        keeps: { holes: false },
        write: ([image = ""], root) => run("mkfs.erofs", "--quiet", "-zlz4", image, root),
      },
    ],
  },
];
