// XFS with its features, in both directions.

import { lstatSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Format, Writer } from "../matrix.ts";
import { run } from "../native.ts";

/** Until 2038; with bigtime until 2486. */
const OLD_TIMES = { lastSecond: 2 ** 31 - 1 };
const BIG_TIMES = { lastSecond: 16_299_260_424 };

/** The log is on the second disk, where there is one. */
const logOf = (images: readonly string[]) => (images[1] === undefined ? [] : ["-l", images[1]]);

/**
 * A protofile (mkfs.xfs(8)): no times, links or attributes, no names with spaces;
 * directories inherit the group of their parent.
 */
const populate: Writer = {
  name: "mkfs.xfs -p",
  keeps: { modes: 0o5777, hardLinks: false, timeGrainNs: 0n, xattrs: [], holes: false },
  omits: (path) => /[^\x21-\x7e]|sticky/.test(path),
  write([image = ""], folder) {
    const list = (path: string): string[] => {
      const lines: string[] = [];
      for (const name of readdirSync(path)) {
        const inner = join(path, name);
        const status = lstatSync(inner);
        const mode = status.mode & 0o7777;
        const [user, group] = [mode & 0o4000 ? "u" : "-", mode & 0o2000 ? "g" : "-"];
        const octal = (mode & 0o777).toString(8).padStart(3, "0");
        const line = (kind: string, what: string) =>
          lines.push(`${name} ${kind}${user}${group}${octal} ${status.uid} ${status.gid} ${what}`);
        const device = `${status.rdev >>> 8} ${status.rdev & 0xff}`;
        if (status.isFile()) line("-", inner);
        else if (status.isSymbolicLink()) line("l", readlinkSync(inner));
        else if (status.isFIFO()) line("p", "");
        else if (status.isCharacterDevice()) line("c", device);
        else if (status.isBlockDevice()) line("b", device);
        else
          lines.push(
            `${name} d${user}${group}${octal} ${status.uid} ${status.gid}`,
            ...list(inner),
          );
      }
      return [...lines, "$"];
    };
    const proto = `${folder}.proto`;
    writeFileSync(proto, ["boot", "0 0", "d--755 0 0", ...list(folder), ""].join("\n"));
    run("mkfs.xfs", "-q", "-f", "-p", proto, image);
  },
};

function xfs(name: string, args: readonly string[], format: Partial<Format> = {}): Format {
  return {
    name,
    type: "xfs",
    mib: 320,
    keeps: BIG_TIMES,
    make: ([image = ""]) => run("mkfs.xfs", "-q", "-f", ...args, image),
    checker: {
      name: "xfs_repair",
      check: (images) => run("xfs_repair", "-n", "-f", ...logOf(images), images[0] ?? ""),
    },
    ...format,
  };
}

export const XFS_FORMATS: readonly Format[] = [
  xfs("xfs", [], { writers: [populate] }),
  xfs("xfs: without reflink", ["-m", "reflink=0"]),
  xfs("xfs: rmapbt", ["-m", "rmapbt=1"]),
  xfs("xfs: without bigtime", ["-m", "bigtime=0"], { keeps: OLD_TIMES }),
  xfs("xfs: version 4", ["-m", "crc=0"], { keeps: OLD_TIMES }),
  xfs("xfs: version 4 without ftype", ["-m", "crc=0", "-n", "ftype=0"], { keeps: OLD_TIMES }),
  xfs("xfs: version 4, blocks of 512 bytes", ["-m", "crc=0", "-b", "size=512"], {
    keeps: OLD_TIMES,
  }),
  xfs("xfs: blocks of 1 KiB", ["-b", "size=1024"]),
  xfs("xfs: sectors of 4 KiB", ["-s", "size=4096"], { blockSizeBytes: 4096 }),
  xfs("xfs: log on another disk", [], {
    disks: [320, 64],
    make: ([image = "", log = ""]) => run("mkfs.xfs", "-q", "-f", "-l", `logdev=${log}`, image),
    options: ([, log]) => `logdev=${log}`,
    native: false,
  }),
  xfs("xfs: nrext64", ["-i", "nrext64=1"]),
  xfs("xfs: without finobt and inobtcount", ["-m", "finobt=0,inobtcount=0"]),
  xfs("xfs: without sparse inodes", ["-i", "sparse=0"]),
  xfs("xfs: inodes of 2 KiB", ["-i", "size=2048"]),
  xfs("xfs: directory blocks of 16 KiB", ["-n", "size=16384"]),
  xfs("xfs: rmapbt, inodes of 1 KiB, blocks of 2 KiB, nrext64", [
    "-mrmapbt=1",
    "-bsize=2048",
    "-isize=1024,nrext64=1",
  ]),
  xfs("xfs: quotas", ["-b", "size=4096"], {
    options: "uquota,gquota,pquota",
    native: false,
  }),
];
