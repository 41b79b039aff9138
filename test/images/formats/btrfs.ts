// Btrfs with its features and profiles, in both directions.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import {
  BTRFS_IOC_SNAP_CREATE,
  BTRFS_IOC_SUBVOL_CREATE,
} from "../../../src/abi/constants/btrfs.ts";
import { AT_FDCWD, O_CREAT, O_WRONLY } from "../../../src/abi/constants/fcntl.ts";
import { BtrfsIoctlVolArgs } from "../../../src/abi/structs/btrfs.ts";
import { openDirectory } from "../../../src/fs/directory.ts";
import { readText } from "../../../src/fs/index.ts";
import type { Process } from "../../../src/index.ts";
import { text } from "../../kernel.ts";
import { hasLoops, readNativeTree, withLoops } from "../host.ts";
import type { Format, Reader, Writer } from "../matrix.ts";
import { run } from "../native.ts";

/** All 64 bits of seconds. */
const TIMES = { firstSecond: -(2 ** 40), lastSecond: 2 ** 40 };

const rootdir = (...args: string[]): Writer => ({
  name: "mkfs.btrfs --rootdir",
  // It writes holes as zeroes, and drops the numbers of devices.
  keeps: { timeGrainNs: 1_000_000_000n, holes: false, deviceNumbers: -1 },
  write: ([image = ""], folder) =>
    run("mkfs.btrfs", "-q", "-f", ...args, "--rootdir", folder, image),
});

const restore: Reader = {
  name: "btrfs restore",
  keeps: { hardLinks: false, devices: false, sockets: false, xattrs: [] },
  read([image = ""], scratch) {
    const out = join(scratch, "out");
    mkdirSync(out);
    run("btrfs", "restore", "-S", "-x", "-m", image, out);
    return readNativeTree(out);
  },
};

const check = ([image = ""]: readonly string[]) => {
  run("btrfs", "check", "--check-data-csum", image);
};

function btrfs(name: string, args: readonly string[], format: Partial<Format> = {}): Format {
  return {
    name,
    type: "btrfs",
    mib: 128,
    keeps: TIMES,
    make: (images) => run("mkfs.btrfs", "-q", "-f", ...args, ...images),
    writers: format.disks === undefined ? [rootdir(...args)] : [],
    readers: format.disks === undefined ? [restore] : [],
    checker: {
      name: "btrfs check",
      check: (images) => {
        // Others than the first are only found among the block devices.
        if (images.length === 1) check(images);
        else if (hasLoops()) withLoops(images, check);
      },
    },
    ...format,
  };
}

async function writeText(process: Process, path: string, content: string): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
  await process.write(fd, text.encode(content), content.length);
  await process.close(fd);
}

const compress = (how: string) =>
  btrfs(`btrfs: compressed by ${how}`, [], {
    options: `compress-force=${how}`,
    native: `compress-force=${how}`,
    writers: [],
  });
const raid = (profile: string, disks: number) =>
  btrfs(`btrfs: ${profile} on ${disks} disks`, ["-d", profile, "-m", profile], { disks });

export const BTRFS_FORMATS: readonly Format[] = [
  btrfs("btrfs", []),
  btrfs("btrfs: single on one disk", ["-d", "single", "-m", "single"]),
  btrfs("btrfs: dup", ["-d", "dup", "-m", "dup"], { mib: 256 }),
  raid("raid0", 2),
  raid("raid1", 2),
  raid("raid10", 4),
  raid("raid1c3", 3),
  raid("raid1c4", 4),
  raid("raid5", 3),
  raid("raid6", 4),
  ...["zlib", "lzo", "zstd"].map(compress),
  btrfs("btrfs: mixed block groups", ["--mixed"]),
  btrfs("btrfs: without no-holes", ["-O", "^no-holes"]),
  btrfs("btrfs: without free-space-tree", ["-R", "^free-space-tree"]),
  btrfs("btrfs: without extref and skinny-metadata", ["-O", "^extref,^skinny-metadata"]),
  btrfs("btrfs: quotas", ["-R", "quota"]),
  ...["xxhash", "sha256", "blake2"].map((sum) => btrfs(`btrfs: ${sum}`, ["--csum", sum])),
  btrfs("btrfs: a subvolume and its snapshot", [], {
    writers: [],
    prepare: async ({ init }, { target }) => {
      const root = await openDirectory(init, target);
      const args = BtrfsIoctlVolArgs.alloc();
      args.name = text.encode("volume");
      await init.ioctl(root, BTRFS_IOC_SUBVOL_CREATE, args.bytes);
      await writeText(init, `${target}/volume/file`, "before\n");
      args.fd = BigInt(await openDirectory(init, `${target}/volume`));
      args.name = text.encode("snapshot");
      await init.ioctl(root, BTRFS_IOC_SNAP_CREATE, args.bytes);
      await writeText(init, `${target}/volume/file`, "after!\n");
      await init.close(Number(args.fd));
      await init.close(root);
    },
    extra: ["volume", "volume/file", "snapshot", "snapshot/file"],
    inspect: async ({ init }, { target }) => {
      assert.equal(await readText(init, `${target}/volume/file`), "after!\n");
      assert.equal(await readText(init, `${target}/snapshot/file`), "before\n");
    },
  }),
  ...["4096", "16384", "65536"].map((size) => btrfs(`btrfs: nodes of ${size}`, ["-n", size])),
];
