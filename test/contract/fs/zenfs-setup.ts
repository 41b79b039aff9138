// What the tests of @zenfs/core run on: an ext4 file system of the kernel with their data in it.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { MemoryDisk } from "../../../src/disk/index.ts";
import { createFs } from "../../../src/fs/facade/index.ts";
import { attachDisk, mount } from "../../../src/fs/index.ts";
import { Kernel } from "../../../src/index.ts";

const { ZENFS_DATA = "", ZENFS_IMAGE = "" } = process.env;

const kernel = await Kernel.boot({ image: "fs", memoryMiB: 128 });
const disk = new MemoryDisk(new Uint8Array(readFileSync(ZENFS_IMAGE)));
const device = await attachDisk(kernel, disk);
const { target } = await mount(kernel, { source: device.path });

/** The tests take modes as they are. */
export const fs = createFs(await kernel.process({ root: target, umask: 0 }));
export const { Stats } = fs;
export const flags = { sync: false, lchmod: false, xattr: false, "promises.exists": false };

async function copy(from: string, to: string): Promise<void> {
  for (const name of readdirSync(from)) {
    const path = join(from, name);
    if (!statSync(path).isDirectory())
      await fs.promises.writeFile(`${to}${name}`, readFileSync(path));
    else {
      await fs.promises.mkdir(`${to}${name}`);
      await copy(path, `${to}${name}/`);
    }
  }
}

await fs.promises.rmdir("/lost+found");
await copy(ZENFS_DATA, "/");
