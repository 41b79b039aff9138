// Files below /disk and others. Argument: a folder of the host's.

import fs, { open } from "node:fs";
import {
  copyFile,
  glob,
  mkdir,
  readFile,
  readdir,
  realpath,
  rename,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

const [, , folder = "", how] = process.argv;
const reason = (error: unknown) => (error as Error).message;
const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

await mkdir("/disk/a/b", { recursive: true });
await writeFile("/disk/a/b/hello.txt", "hello");
console.log(await readFile(new URL("file:///disk/a/b/hello.txt"), "utf8"));
console.log(await readdir("/disk/a", { recursive: true }), await realpath("/disk/a/../a/b"));
for await (const name of glob("/disk/**/*.txt")) console.log("glob", name);
console.log(await readFile("/disk/none").catch(reason));
console.log(await rename("/disk/a", join(folder, "a")).catch(codeOf));

await copyFile("/disk/a/b/hello.txt", join(folder, "hello.txt"));
console.log("host", fs.readFileSync(join(folder, "hello.txt"), "utf8"));
await promisify(fs.copyFile)(join(folder, "hello.txt"), "/disk/copy.txt");
await pipeline(fs.createReadStream("/disk/copy.txt"), fs.createWriteStream("/disk/again.txt"));

const fd = await promisify(open)("/disk/again.txt", "r+");
const { bytesRead, buffer } = await promisify(fs.read)(fd, Buffer.alloc(9), 0, 9, 0);
console.log("read", String(buffer.subarray(0, bytesRead)), (await promisify(fs.fstat)(fd)).size);
await promisify(fs.close)(fd);
console.log(await promisify(fs.exists)("/disk/copy.txt"), await promisify(fs.exists)("/disk/no"));
try {
  fs.readFileSync("/disk/copy.txt");
} catch (error) {
  console.log(codeOf(error), reason(error));
}
// What is left open is closed, and written back.
const stream = fs.createWriteStream("/disk/last.txt");
await new Promise((resolve) => stream.write("last words", resolve));
if (how === "exit") process.exit();
if (how === "wait") {
  console.log("waiting");
  setInterval(() => {}, 1000);
}
