// F2FS with its features, in both directions.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { stat } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { testFormat, withMounted } from "./images/matrix.ts";
import type { Format, Writer } from "./images/matrix.ts";
import { emptyImage, noise, run, runWith, temporaryFolder } from "./images/native.ts";

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
    check: ([image = ""]) => {
      assert.doesNotMatch(run("fsck.f2fs", "-f", "--dry-run", image), /\[FAIL\]|\[ASSERT\]/);
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

const FORMATS: Format[] = [
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

suite("f2fs", () => {
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 256 });
  });
  after(() => kernel.halt());
  for (const format of FORMATS) testFormat(format, () => kernel);

  test("f2fs: dump.f2fs finds in an image what was written", async () => {
    using folder = temporaryFolder();
    const image = emptyImage(join(folder.path, "image"), 64);
    run("mkfs.f2fs", "-q", image);
    const inodes: bigint[] = [];
    const contents = [noise(3000, 1), noise(300_000, 2), noise(5_000_000, 3)];
    await withMounted(kernel, f2fs(""), [image], false, async ({ target }) => {
      for (const [index, bytes] of contents.entries()) {
        const path = `${target}/${index}`;
        const fd = await kernel.init.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
        await kernel.init.write(fd, bytes, bytes.length);
        await kernel.init.close(fd);
        inodes.push((await stat(kernel.init, path)).inode);
      }
    });
    for (const [index, inode] of inodes.entries()) {
      const args = ["-C", folder.path, "dump.f2fs", "-i", `0x${inode.toString(16)}`, image];
      runWith("Y\n", "env", ...args);
      assert.ok(readFileSync(join(folder.path, "lost_found", `${index}`)).equals(contents[index]));
    }
  });
});
