// The file systems that only tools write: images of theirs, read.

import { rmSync } from "node:fs";

import type { Format, Writer } from "../matrix.ts";
import { run } from "../native.ts";

const seconds = { timeGrainNs: 1_000_000_000n };
/** Seconds of 32 bits without sign. */
const unsigned = { ...seconds, firstSecond: 0, lastSecond: 2 ** 32 - 1, clampsTimes: false };

function squashfs(name: string, ...args: string[]): Format {
  const writer: Writer = {
    name: "mksquashfs",
    // It has no lists: they are kept as other attributes of the system, which it leaves out.
    keeps: { ...unsigned, lastSecond: 2 ** 31 - 1, xattrs: ["user.", "trusted.", "security."] },
    write: ([image = ""], folder) => {
      rmSync(image);
      run("mksquashfs", folder, image, "-quiet", "-no-progress", ...args);
    },
  };
  return { name, type: "squashfs", mib: 1, writers: [writer] };
}

function erofs(name: string, ...args: string[]): Format {
  const writer: Writer = {
    name: "mkfs.erofs",
    keeps: { nameLength: 250, holes: false },
    write: ([image = ""], folder) => run("mkfs.erofs", "--preserve-mtime", ...args, image, folder),
  };
  return { name, type: "erofs", mib: 0, writers: [writer] };
}

export const READ_ONLY_FORMATS: readonly Format[] = [
  squashfs("squashfs"),
  ...["gzip", "lzo", "lz4", "xz", "zstd"].flatMap((how) =>
    ["4096", "131072", "1048576"].map((size) =>
      squashfs(`squashfs: ${how}, blocks of ${size}`, "-comp", how, "-b", size),
    ),
  ),
  squashfs("squashfs: nothing compressed", "-noI", "-noD", "-noF", "-noX"),
  squashfs("squashfs: no fragments", "-no-fragments"),
  squashfs("squashfs: always fragments", "-always-use-fragments"),
  squashfs("squashfs: no duplicates looked for, no export", "-no-duplicates", "-no-exports"),
  squashfs("squashfs: xz with a filter", "-comp", "xz", "-Xbcj", "x86,arm"),
  erofs("erofs"),
  erofs("erofs: lz4", "-zlz4"),
  erofs("erofs: lz4hc, clusters of 64 KiB", "-zlz4hc,12", "-C65536"),
  erofs("erofs: legacy compression", "-zlz4", "-Elegacy-compress"),
  erofs("erofs: large inodes", "-Eforce-inode-extended"),
  erofs("erofs: fragments", "-zlz4hc", "-Efragments"),
  erofs("erofs: fragments of whole files, dedupe", "-zlz4hc", "-Eall-fragments,dedupe"),
  erofs("erofs: ztailpacking", "-zlz4hc", "-Eztailpacking"),
  erofs("erofs: chunks", "--chunksize=4096"),
];
