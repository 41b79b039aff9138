// The file systems of the full kernel: images of the native tools, written, cut off, mounted again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { attachDisk, mount, readDirectory, readText } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";

type Maker = readonly [mib: number, command: string, ...args: string[]];

const WRITABLE: Readonly<Record<string, Maker>> = {
  ext2: [16, "mke2fs", "-q", "-F", "-t", "ext2"],
  ext3: [16, "mke2fs", "-q", "-F", "-t", "ext3"],
  ext4: [16, "mke2fs", "-q", "-F", "-t", "ext4"],
  xfs: [320, "mkfs.xfs", "-q"],
  btrfs: [128, "mkfs.btrfs", "-q"],
  f2fs: [64, "mkfs.f2fs", "-q"],
  vfat: [64, "mkfs.vfat"],
  exfat: [16, "mkfs.exfat"],
};
/** Those with a journal, or a log, that has what was fsynced. */
const JOURNALLED = ["ext4", "xfs", "btrfs", "f2fs"];
const NAME = "ünï 名前";

suite("the full kernel", () => {
  const folder = temporaryFolder();
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: 256 });
  });
  after(async () => {
    await kernel.halt();
    folder[Symbol.dispose]();
  });

  function make(type: string): Uint8Array {
    const [mib, command, ...args] = WRITABLE[type];
    const path = emptyImage(join(folder.path, `${type}.img`), mib);
    run(command, ...args, path);
    return new Uint8Array(readFileSync(path));
  }

  async function writeText(path: string, text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    const fd = await kernel.init.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
    await kernel.init.write(fd, bytes, bytes.length);
    await kernel.init.fsync(fd);
    await kernel.init.close(fd);
  }

  for (const type of Object.keys(WRITABLE)) {
    test(`${type}: what was written is there again`, async () => {
      await using device = await attachDisk(kernel, new MemoryDisk(make(type)));
      {
        await using mounted = await mount(kernel, { source: device.path });
        assert.equal(mounted.type, type);
        await writeText(`${mounted.target}/${NAME}`, "kept\n");
      }
      await using mounted = await mount(kernel, { source: device.path, readOnly: true });
      assert.equal(await readText(kernel.init, `${mounted.target}/${NAME}`), "kept\n");
      const names = (await readDirectory(kernel.init, mounted.target)).map(({ name }) => name);
      assert.ok(names.includes(NAME));
      assert.ok((await mounted.usage()).totalBytes > 0);
    });
  }

  for (const type of JOURNALLED) {
    test(`${type}: a journal is replayed, or left alone on a disk that cannot be written`, async () => {
      const bytes = make(type);
      let cut: Uint8Array;
      {
        await using device = await attachDisk(kernel, new MemoryDisk(bytes));
        await using mounted = await mount(kernel, { source: device.path });
        // F2FS makes a checkpoint of new files; what old ones get can be recovered.
        for (let i = 0; i < 20; i++) await writeText(`${mounted.target}/${i}`, "te");
        await kernel.init.sync();
        for (let i = 0; i < 20; i++) await writeText(`${mounted.target}/${i}`, "text");
        cut = bytes.slice();
      }
      {
        const disk = new MemoryDisk(cut.slice(), { readOnly: true });
        await using device = await attachDisk(kernel, disk);
        const options = { source: device.path, readOnly: true };
        await assert.rejects(
          mount(kernel, options),
          /^MountError: E(ROFS|IO): .*the kernel says: /,
        );
        await using mounted = await mount(kernel, { ...options, skipJournal: true });
        assert.equal(mounted.journalSkipped, true);
      }
      await using device = await attachDisk(kernel, new MemoryDisk(cut));
      await using mounted = await mount(kernel, { source: device.path });
      assert.equal(mounted.journalSkipped, false);
      for (let i = 0; i < 20; i++)
        assert.equal(await readText(kernel.init, `${mounted.target}/${i}`), "text");
    });
  }
});
