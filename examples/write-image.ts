// Write a file into a disk image, in memory, and save the image: node examples/write-image.ts in.img out.img

import { readFile, writeFile } from "node:fs/promises";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import { attachDisk, mount } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) throw new Error("which image, and where to?");

// The disk uses these bytes in place: what the kernel writes is in them.
const bytes = new Uint8Array(await readFile(from));
await using kernel = await Kernel.boot({ image: "fs" });
await using device = await attachDisk(kernel, new MemoryDisk(bytes));
{
  await using mounted = await mount(kernel, { source: device.path });
  const text = new TextEncoder().encode("written by Linux, without Linux\n");
  const path = `${mounted.target}/note.txt`;
  const fd = await kernel.init.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
  await kernel.init.write(fd, text, text.length);
  await kernel.init.close(fd);
  // Unmounted here: everything is in the image, and its journal is empty.
}
await writeFile(to, bytes);
console.log(`${to} has a new file, note.txt`);
