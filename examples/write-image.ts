// Write a file into a disk image, in memory, and save the image: node examples/write-image.ts in.img out.img

import { readFile, writeFile } from "node:fs/promises";

import { openImage } from "../src/index.ts";

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) throw new Error("which image, and where to?");

// These bytes are used in place: what the kernel writes is in them.
const bytes = new Uint8Array(await readFile(from));
{
  await using image = await openImage(bytes);
  await using mounted = await image.volume().mount();
  await mounted.fs.promises.writeFile("/note.txt", "written by Linux, without Linux\n");
  // Unmounted here: everything is in the image, and its journal is empty.
}
await writeFile(to, bytes);
console.log(`${to} has a new file, note.txt`);
