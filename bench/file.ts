// How fast are reads and writes of a file in ext4 on a disk image?

import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { Kernel } from "../src/index.ts";
import type { Process } from "../src/index.ts";
import { FileDisk } from "../src/platform/node/file-disk.ts";
import { VirtioBlock } from "../src/virtio/block.ts";
import { median } from "./measure.ts";
import type { Benchmark } from "./measure.ts";

const MIB = 1048576;
const FILE_MIB = 256;
const ROUNDS = 5;

const rate = (start: number) => FILE_MIB / ((performance.now() - start) / 1000);

/** One read from the back end and one copy in memory: what any file system has to do. */
function floor(image: string): number {
  const fd = openSync(image, "r");
  const [from, to] = [new Uint8Array(MIB), new Uint8Array(MIB)];
  const start = performance.now();
  for (let at = 0; at < FILE_MIB; at++) {
    readSync(fd, from, 0, MIB, at * MIB);
    to.set(from);
  }
  closeSync(fd);
  return rate(start);
}

function copyInMemory(): number {
  const [from, to] = [new Uint8Array(MIB).fill(1), new Uint8Array(FILE_MIB * MIB).fill(1)];
  const start = performance.now();
  for (let at = 0; at < FILE_MIB; at++) to.set(from, at * MIB);
  return rate(start);
}

async function readAll(process: Process, path: string): Promise<number> {
  const buffer = await process.buffer(MIB);
  const fd = await process.openat(AT_FDCWD, path, O_RDONLY, 0);
  const start = performance.now();
  let total = 0;
  for (let count; (count = await process.read(fd, buffer, MIB)) > 0;) total += count;
  const result = rate(start);
  if (total !== FILE_MIB * MIB) throw new Error(`${total} bytes were read`);
  await process.close(fd);
  await buffer.dispose();
  return result;
}

/** Forget the page cache (Documentation/admin-guide/sysctl/vm.rst). */
async function dropCaches(process: Process): Promise<void> {
  const fd = await process.openat(AT_FDCWD, "/proc/sys/vm/drop_caches", O_WRONLY, 0);
  await process.write(fd, new TextEncoder().encode("3"), 1);
  await process.close(fd);
}

async function writeAll(process: Process, path: string): Promise<number> {
  const buffer = await process.buffer(MIB);
  const fd = await process.openat(AT_FDCWD, path, O_WRONLY | O_CREAT, 0o644);
  const start = performance.now();
  for (let i = 0; i < FILE_MIB; i++) await process.write(fd, buffer, MIB);
  await process.fsync(fd);
  const result = rate(start);
  await process.close(fd);
  await process.unlinkat(AT_FDCWD, path, 0);
  await buffer.dispose();
  return result;
}

export const file: Benchmark = {
  question: `How fast are reads and writes of ${FILE_MIB} MiB in ext4?`,
  async run() {
    const folder = mkdtempSync(join(tmpdir(), "liblinux-bench-"));
    const image = join(folder, "disk.ext4");
    try {
      const content = join(folder, "big");
      const out = openSync(content, "w");
      const chunk = new Uint8Array(MIB);
      for (let i = 0; i < FILE_MIB; i++) writeSync(out, chunk.fill(i));
      closeSync(out);
      const tree = join(folder, "tree");
      execFileSync("mkdir", [tree]);
      execFileSync("mv", [content, tree]);
      execFileSync("mke2fs", ["-q", "-t", "ext4", "-b", "4096", "-d", tree, image, "800M"]);
      const results = { floor: [], copy: [], cold: [], cached: [], write: [] } as Record<
        "floor" | "copy" | "cold" | "cached" | "write",
        number[]
      >;
      for (let round = 0; round < ROUNDS; round++) {
        results.floor.push(floor(image));
        results.copy.push(copyInMemory());
        const disk = new FileDisk(image);
        await using kernel = await Kernel.boot({
          image: "fs",
          memoryMiB: 1024,
          devices: [new VirtioBlock(disk)],
        });
        const { init } = kernel;
        await init.mkdirat(AT_FDCWD, "/mnt", 0o755);
        await init.mount("/dev/vda", "/mnt", "ext4", 0, null);
        // The host gives memory at its first touch, and slowly: that is not what is asked.
        await readAll(init, "/mnt/big");
        await dropCaches(init);
        results.cold.push(await readAll(init, "/mnt/big"));
        results.cached.push(await readAll(init, "/mnt/big"));
        results.write.push(await writeAll(init, "/mnt/new"));
      }
      const of = (name: keyof typeof results) => median(results[name]);
      return [
        { item: "read the image and copy, no kernel", value: of("floor"), unit: "MiB/s" },
        { item: "copy in memory, no kernel", value: of("copy"), unit: "MiB/s" },
        { item: "cold sequential read", value: of("cold"), unit: "MiB/s", native: of("floor") },
        { item: "cached sequential read", value: of("cached"), unit: "MiB/s", native: of("copy") },
        { item: "sequential write and fsync", value: of("write"), unit: "MiB/s" },
      ];
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
