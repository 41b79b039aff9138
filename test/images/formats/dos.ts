// The file systems of DOS and Windows, in both directions.

import { readdirSync } from "node:fs";
import { join } from "node:path";

import { isAstral } from "../facts.ts";
import type { Keeps } from "../facts.ts";
import { readNativeTree } from "../host.ts";
import type { Checker, Format, Reader, Writer } from "../matrix.ts";
import { run } from "../native.ts";

/** Names in Unicode, and not much more. */
const DOS: Partial<Keeps> = {
  owners: 0,
  modes: 0,
  hardLinks: false,
  symlinks: false,
  devices: false,
  sockets: false,
  rawNames: false,
  xattrs: [],
  holes: false,
  directoryTimes: false,
};
/** Two seconds, from 1980 on; the clocks of DOS are local ones, here of UTC. */
const FAT: Partial<Keeps> = {
  ...DOS,
  timeGrainNs: 2_000_000_000n,
  firstSecond: 315_532_800,
  lastSecond: 4_354_819_198,
};
const EXFAT: Partial<Keeps> = { ...FAT, timeGrainNs: 10_000_000n };

const settings = ["MTOOLS_SKIP_CHECK=1", "TZ=UTC", "LC_ALL=C.UTF-8"];

const mcopy: Writer = {
  name: "mcopy",
  keeps: { clampsTimes: false },
  omits: isAstral,
  write([image = ""], folder) {
    const names = readdirSync(folder).map((name) => join(folder, name));
    run("env", ...settings, "mcopy", "-s", "-m", "-i", image, ...names, "::");
  },
};

const mtools: Reader = {
  name: "mcopy",
  omits: (path) => isAstral(path) || path.endsWith(" __"),
  read([image = ""], scratch) {
    run("env", ...settings, "mcopy", "-s", "-m", "-n", "-i", image, "::*", scratch);
    return readNativeTree(scratch);
  },
};

const sevenZip: Reader = {
  name: "7z",
  keeps: { timeGrainNs: 0n },
  omits: (path) => path.startsWith("[SYSTEM]"),
  read([image = ""], scratch) {
    run("env", "LC_ALL=C.UTF-8", "7z", "x", "-bd", `-o${scratch}/out`, image);
    return readNativeTree(join(scratch, "out"));
  },
};

function fat(
  name: string,
  mib: number,
  args: readonly string[],
  format: Partial<Format> = {},
): Format {
  const make = ([image = ""]: readonly string[]) => run("mkfs.vfat", ...args, image);
  return {
    name,
    type: "vfat",
    mib,
    keeps: FAT,
    make,
    writers: [{ ...mcopy, write: (images, folder) => (make(images), mcopy.write(images, folder)) }],
    readers: [mtools],
    checker: { name: "fsck.vfat", check: ([image = ""]) => run("fsck.vfat", "-n", image) },
    options: "tz=UTC",
    ...format,
  };
}

const FSCK_EXFAT: Checker = {
  name: "fsck.exfat",
  check: ([image = ""]) => run("fsck.exfat", "-n", image),
};

export const DOS_FORMATS: readonly Format[] = [
  fat("vfat", 40, []),
  fat("vfat: 12 bits", 15, ["-F", "12", "-s", "8"]),
  fat("vfat: 16 bits", 40, ["-F", "16"]),
  fat("vfat: 32 bits", 64, ["-F", "32"]),
  fat("vfat: clusters of 512 bytes", 40, ["-F", "32", "-s", "1"]),
  fat("vfat: clusters of 32 KiB", 200, ["-F", "16", "-s", "64"]),
  fat("vfat: sectors of 4 KiB", 300, ["-F", "32", "-S", "4096"], { blockSizeBytes: 4096 }),
  {
    name: "exfat",
    type: "exfat",
    mib: 40,
    keeps: EXFAT,
    make: ([image = ""]) => run("mkfs.exfat", image),
    checker: FSCK_EXFAT,
  },
  {
    name: "exfat: clusters of 1024 bytes",
    type: "exfat",
    mib: 40,
    keeps: EXFAT,
    make: ([image = ""]) => run("mkfs.exfat", "-c", "1024", image),
    checker: FSCK_EXFAT,
  },
  {
    name: "exfat: clusters of 128 KiB",
    type: "exfat",
    mib: 300,
    keeps: EXFAT,
    make: ([image = ""]) => run("mkfs.exfat", "-c", "128K", image),
    checker: FSCK_EXFAT,
  },
  ...["4096", "512", "65536"].map((cluster): Format => ({
    name: cluster === "4096" ? "ntfs3" : `ntfs3: clusters of ${cluster}`,
    type: "ntfs3",
    mib: 64,
    keeps: { ...DOS, timeGrainNs: 100n },
    make: ([image = ""]) => run("mkntfs", "-F", "-q", "-Q", "-c", cluster, image),
    readers: [sevenZip],
    checker: { name: "ntfsfix", check: ([image = ""]) => run("ntfsfix", "-n", image) },
    native: false,
  })),
];
