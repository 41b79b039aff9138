// XFS with its features, in both directions.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { stat } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { XFS_FORMATS } from "./images/formats/xfs.ts";
import { testFormats, withMounted } from "./images/matrix.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";

testFormats("xfs", XFS_FORMATS);

for (const damage of ["core.nextents 5", "core.forkoff 200"])
  test(`xfs: ${damage}, behind a checksum that is right, is noticed`, async () => {
    await using kernel = await Kernel.boot({ image: "full", memoryMiB: 128 });
    const { init } = kernel;
    using folder = temporaryFolder();
    const image = emptyImage(join(folder.path, "image"), 320);
    run("mkfs.xfs", "-q", image);
    const [format] = XFS_FORMATS;
    const inode = await withMounted(kernel, format, [image], false, async ({ target }) => {
      await init.close(await init.openat(AT_FDCWD, `${target}/file`, O_CREAT | O_WRONLY, 0o644));
      return (await stat(init, `${target}/file`)).inode;
    });
    run("xfs_db", "-x", "-c", `inode ${inode}`, "-c", `write -d ${damage}`, image);
    await withMounted(kernel, format, [image], true, async ({ target }) => {
      await assert.rejects(stat(init, `${target}/file`), { code: "EUCLEAN" });
    });
  });
