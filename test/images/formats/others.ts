// Discs, and the file systems of other times and systems.

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { AT_FDCWD } from "../../../src/abi/constants/fcntl.ts";
import { isAstral } from "../facts.ts";
import type { Keeps } from "../facts.ts";
import { emptyHfsPlus } from "../hfsplus.ts";
import { readNativeTree } from "../host.ts";
import type { Format, Reader, Writer } from "../matrix.ts";
import { noise, run } from "../native.ts";

const SECOND = 1_000_000_000n;

/** Years of one byte, from 1900. */
const ISO_TIMES: Partial<Keeps> = {
  timeGrainNs: SECOND,
  lastSecond: 5_800_000_000,
  clampsTimes: false,
};
const NO_UNIX: Partial<Keeps> = {
  owners: 0,
  modes: 0,
  hardLinks: false,
  symlinks: false,
  devices: false,
  sockets: false,
  rawNames: false,
  xattrs: [],
  holes: false,
};
const ROCK_RIDGE: Partial<Keeps> = {
  nameLength: 250,
  ...ISO_TIMES,
  hardLinks: false,
  xattrs: [],
  holes: false,
};

function iso(
  name: string,
  keeps: Partial<Keeps>,
  args: readonly string[],
  more: Partial<Writer & Format> = {},
): Format {
  const { omits, ...rest } = more;
  const writer: Writer = {
    name: "genisoimage",
    // It never ends where a symbolic link is very long.
    omits: (path) => path === "very long link" || (omits?.(path) ?? false),
    write([image = ""], folder) {
      rmSync(image);
      run("genisoimage", "-quiet", "-input-charset", "utf-8", "-D", ...args, "-o", image, folder);
    },
  };
  return { name, type: "iso9660", mib: 0, keeps, writers: [writer], ...rest };
}

const xorriso = (...args: string[]): Writer => ({
  name: "xorriso",
  write([image = ""], folder) {
    rmSync(image);
    run("xorriso", "-abort_on", "FATAL", "-outdev", image, "-map", folder, "/", ...args, "-commit");
  },
});

/** It does not open an image at all that has something else than files and directories. */
const FILES_ONLY: Partial<Keeps> = { symlinks: false, devices: false, sockets: false };
const sevenZip: Reader = {
  name: "7z",
  keeps: { ...NO_UNIX, timeGrainNs: SECOND, directoryTimes: false },
  read([image = ""], scratch) {
    run("env", "LC_ALL=C.UTF-8", "TZ=UTC", "7z", "x", "-bd", `-o${scratch}/out`, image);
    return readNativeTree(join(scratch, "out"));
  },
};

const HFSPLUS: Partial<Keeps> = {
  // The kernel (6.12) keeps them, and lists them wrongly.
  xattrs: [],
  rawNames: false,
  holes: false,
  timeGrainNs: SECOND,
  firstSecond: 0,
  lastSecond: 2 ** 31,
  clampsTimes: false,
};
const ATTRIBUTES = { "user.one": noise(10, 1), "user.two": noise(1000, 2) };

const hfsplus: Format = {
  name: "hfsplus",
  type: "hfsplus",
  mib: 64,
  keeps: HFSPLUS,
  // The kernel knows letters of 16 bits only; 7z makes names of one letter and its accent of each.
  omits: (path) => isAstral(path) || path.length === 254,
  make: ([image = ""]) => writeFileSync(image, emptyHfsPlus(64 << 20)),
  readers: [
    {
      ...sevenZip,
      keeps: { ...sevenZip.keeps, symlinks: true, symlinkStatus: false },
      // Files with two names are empty, devices are files, and links from the root lead elsewhere.
      omits: (path) => /^(\[|dangling|hello|disk|null|pipe|socket)|hard$/.test(path),
      read(images, scratch) {
        sevenZip.read(images, scratch);
        const composed = (path: string) =>
          Buffer.from(Buffer.from(path, "latin1").toString().normalize("NFC")).toString("latin1");
        const facts = [...readNativeTree(join(scratch, "out", "liblinux"))];
        return new Map(facts.map(([path, fact]) => [composed(path), fact]));
      },
    },
  ],
  prepare: async ({ init }, { target }) => {
    await init.mkdirat(AT_FDCWD, `${target}/with attributes`, 0o755);
    for (const [name, value] of Object.entries(ATTRIBUTES))
      await init.setxattr(`${target}/with attributes`, name, value, value.length, 0);
  },
  extra: ["with attributes"],
  inspect: async ({ init }, { target }) => {
    for (const [name, value] of Object.entries(ATTRIBUTES)) {
      const found = new Uint8Array(4096);
      const length = await init.getxattr(`${target}/with attributes`, name, found, found.length);
      assert.ok(value.equals(found.subarray(0, length)), name);
    }
  },
};

/** xorriso makes a disc with a partition that is HFS+, which is what is kept of it. */
const hfsplusOfXorriso: Format = {
  name: "hfsplus: of xorriso",
  type: "hfsplus",
  mib: 0,
  keeps: HFSPLUS,
  writers: [
    {
      name: "xorriso",
      keeps: { owners: 0xffff, hardLinks: false, devices: false, sockets: false },
      omits: isAstral,
      write([image = ""], folder) {
        rmSync(image);
        const options = ["-as", "mkisofs", "-quiet", "-R", "-hfsplus", "-input-charset", "utf-8"];
        run("xorriso", ...options, "-o", image, folder);
        const disc = readFileSync(image);
        // The entries of Apple's partition map are blocks (struct mac_partition).
        for (let at = 512; disc.toString("latin1", at, at + 2) === "PM"; at += 512) {
          if (!disc.toString("latin1", at + 48, at + 80).startsWith("Apple_HFS\0")) continue;
          const start = disc.readUInt32BE(at + 8) * 512;
          writeFileSync(image, disc.subarray(start, start + disc.readUInt32BE(at + 12) * 512));
          return;
        }
        throw new Error("no partition for Apple");
      },
    },
  ],
};

const minix = (version: string, keeps: Partial<Keeps>): Format => ({
  name: `minix: version ${version}`,
  type: "minix",
  mib: 40,
  keeps: {
    timeGrainNs: SECOND,
    firstSecond: 0,
    lastSecond: 2 ** 32 - 1,
    owners: 0xffff,
    deviceNumbers: 255,
    xattrs: [],
    // It counts what there could be.
    holes: false,
    ...keeps,
  },
  make: ([image = ""]) => run("mkfs.minix", `-${version}`, image),
  checker: { name: "fsck.minix", check: ([image = ""]) => run("fsck.minix", "-f", image) },
});

const UDF: Partial<Keeps> = {
  timeGrainNs: 1000n,
  xattrs: [],
  rawNames: false,
  nameLength: 126,
};

const udf = (revision: string, format: Partial<Format> = {}): Format => ({
  name: `udf: revision ${revision}`,
  type: "udf",
  blockSizeBytes: 2048,
  mib: 40,
  // What it points to has to fit into one block.
  omits: (path) => path === "very long link",
  keeps: UDF,
  make: ([image = ""]) => run("mkudffs", "-b", "2048", "-m", "hd", "-r", revision, image),
  checker: {
    name: "udfinfo",
    check: ([image = ""]) => assert.match(run("udfinfo", image), /integrity=closed/),
  },
  ...format,
});

export const OTHER_FORMATS: readonly Format[] = [
  iso("iso9660: plain", { ...NO_UNIX, ...ISO_TIMES }, ["-iso-level", "3"], {
    omits: (path) => !/^[a-z/]{1,30}$/.test(path) || path.endsWith("hard"),
  }),
  iso("iso9660: Joliet", { ...NO_UNIX, ...ISO_TIMES, nameLength: 64 }, ["-J", "-joliet-long"], {
    omits: isAstral,
  }),
  iso("iso9660: Rock Ridge", ROCK_RIDGE, ["-R"]),
  iso("iso9660: Rock Ridge and Joliet", { ...ROCK_RIDGE, rawNames: false, nameLength: 120 }, [
    "-R",
    "-J",
    "-joliet-long",
  ]),
  iso(
    "udf: bridge",
    { ...NO_UNIX, ...ISO_TIMES, lastSecond: 4_000_000_000, nameLength: 100 },
    ["-udf"],
    {
      type: "udf",
      blockSizeBytes: 2048,
      omits: isAstral,
    },
  ),
  { ...iso("iso9660: of xorriso", ROCK_RIDGE, []), writers: [xorriso()] },
  {
    ...iso("iso9660: zisofs", ROCK_RIDGE, []),
    writers: [xorriso("-zisofs", "level=9", "-set_filter_r", "--zisofs", "/", "--")],
  },
  ...["1.02", "1.50", "2.00", "2.01"].map((revision) => udf(revision)),
  ...["1.02", "2.01"].map((revision) =>
    udf(revision, {
      name: `udf: revision ${revision}, files and directories`,
      keeps: { ...UDF, ...FILES_ONLY },
      omits: (path) => path.includes("hole"),
      readers: [sevenZip],
    }),
  ),
  hfsplus,
  hfsplusOfXorriso,
  minix("1", { nameLength: 30, owners: 255 }),
  minix("2", { nameLength: 30 }),
  minix("3", { nameLength: 60 }),
];
