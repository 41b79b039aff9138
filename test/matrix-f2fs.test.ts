// F2FS with its features, in both directions.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { stat } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { F2FS_FORMATS } from "./images/formats/f2fs.ts";
import { testFormats, withMounted } from "./images/matrix.ts";
import { emptyImage, noise, run, runWith, temporaryFolder } from "./images/native.ts";

testFormats("f2fs", F2FS_FORMATS);

test("f2fs: dump.f2fs finds in an image what was written", async () => {
  await using kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
  using folder = temporaryFolder();
  const image = emptyImage(join(folder.path, "image"), 64);
  run("mkfs.f2fs", "-q", image);
  const inodes: bigint[] = [];
  const contents = [noise(3000, 1), noise(300_000, 2), noise(5_000_000, 3)];
  await withMounted(kernel, F2FS_FORMATS[0], [image], false, async ({ target }) => {
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
