// liblinux demo: what `npm start` runs.

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

import { attachDisk } from "../fs/block-device.ts";
import { readDirectory } from "../fs/directory.ts";
import { readText } from "../fs/files.ts";
import { mount } from "../fs/mount.ts";
import { stat } from "../fs/stat.ts";
import { Kernel } from "../kernel.ts";
import { FileDisk } from "../platform/node/file-disk.ts";
import { PlaceError, UsageError } from "./errors.ts";
import { formatMode } from "./ls.ts";
import { formatBytes, styled, table, write } from "./output.ts";

const IMAGE_BYTES = 16 << 20;
const GREETING = `Hello from ext4. This text was read by Linux's own code:
the kernel, compiled to WebAssembly, inside this process.
`;
const title = (text: string) => write(`${styled("bold", text)}\n`);

export async function demo(args: string[]): Promise<number> {
  if (args.length) throw new UsageError("demo", `${args[0]}: it takes no arguments`);
  await using kernel = await Kernel.boot({ image: "fs" });
  const banner = [...kernel.log].find(({ text }) => text.startsWith("Linux version "));
  await title(`Booted in ${kernel.bootMs.toFixed(0)} ms`);
  await write(`  ${banner?.text ?? "(the log has no banner)"}\n\n`);

  const folder = await mkdtemp(join(tmpdir(), "liblinux-demo-"));
  try {
    const path = join(folder, "sample.img");
    await makeImage(folder, path);
    await show(kernel, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await title("Next");
  await write(`  liblinux info disk.img          what is on a disk image
  liblinux ls -l disk.img:/etc    list it; cat and cp read it
  liblinux help                   the rest; in this clone: npx liblinux, or node src/cli/main.ts
  examples/                       the library, in ten lines each
`);
  return 0;
}

/** An ext4 image with a few files, made by the native tool. */
async function makeImage(folder: string, path: string): Promise<void> {
  const root = join(folder, "root");
  await mkdir(join(root, "etc"), { recursive: true });
  await writeFile(join(root, "hello.txt"), GREETING);
  await writeFile(join(root, "etc/os-release"), 'NAME="liblinux sample"\n');
  await symlink("hello.txt", join(root, "link"));
  await writeFile(path, "");
  await truncate(path, IMAGE_BYTES);
  const env = { ...process.env, PATH: [process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter) };
  try {
    const options = ["-q", "-F", "-t", "ext4", "-L", "sample", "-d", root];
    await promisify(execFile)("mke2fs", [...options, path], { env });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new PlaceError(
      "mke2fs",
      "is missing, which makes the sample image: install e2fsprogs",
      error,
    );
  }
}

async function show(kernel: Kernel, path: string): Promise<void> {
  using disk = new FileDisk(path, { readOnly: true });
  await using device = await attachDisk(kernel, disk);
  await using sample = await mount(kernel, { source: device.path, readOnly: true });
  const { usedBytes, totalBytes } = await sample.usage();
  const used = `${formatBytes(usedBytes)} of ${formatBytes(totalBytes)} used`;
  await title(`A fresh ${sample.type} image, mounted by that kernel (${used})`);
  const rows: string[][] = [];
  const entries = await readDirectory(kernel.init, sample.target);
  for (const { name } of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const status = await stat(kernel.init, `${sample.target}/${name}`, { follow: false });
    rows.push([`  ${formatMode(status.type, status.mode)}`, String(status.sizeBytes), name]);
  }
  await write(table(rows, [1]));
  const text = await readText(kernel.init, `${sample.target}/hello.txt`);
  await write(`\n${styled("bold", "hello.txt")}\n${text.replaceAll(/^/gm, "  ").trimEnd()}\n\n`);
}
