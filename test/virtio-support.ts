// What the tests of virtio devices share: kernels, image files, disks that misbehave.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from "../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../src/disk/index.ts";
import type { Disk } from "../src/disk/index.ts";
import { readFile } from "../src/fs/files.ts";
import { Kernel } from "../src/index.ts";
import type { BootOptions } from "../src/index.ts";
import type { Process } from "../src/index.ts";

export const MIB = 1048576;

export const boot = (options: BootOptions = {}): Promise<Kernel> =>
  Kernel.boot({ image: "fs", memoryMiB: 32, ...options });

/** Removed after the tests of the file that imports this. */
const folder = mkdtempSync(join(tmpdir(), "liblinux-virtio-"));
after(() => rmSync(folder, { recursive: true }));

let images = 0;

/** A new ext4 image, and its path. */
export function ext4Image(mib: number, ...options: string[]): string {
  const path = join(folder, `${images++}.img`);
  execFileSync("mke2fs", ["-q", "-F", "-t", "ext4", ...options, path, `${mib}M`]);
  return path;
}

/** @throws if e2fsck finds anything wrong */
export function checkExt4(path: string): void {
  execFileSync("e2fsck", ["-fn", path], { stdio: "pipe" });
}

/** A disk in memory whose operations can be hooked; synchronous or not. */
export class TestDisk implements Disk {
  readonly memory: MemoryDisk;
  readonly synchronous: boolean;
  readonly blockSizeBytes: number;
  readonly readOnly = false;
  /** Names of the operations done, in order, reads left out. */
  readonly done: string[] = [];
  /** Called before each operation; may throw, or return what an asynchronous one waits for. */
  before: (operation: string, offset: number, length: number) => void | Promise<void> = () => {};

  constructor(sizeBytes: number, synchronous: boolean, blockSizeBytes = 512) {
    this.memory = new MemoryDisk(sizeBytes, { blockSizeBytes });
    this.synchronous = synchronous;
    this.blockSizeBytes = blockSizeBytes;
  }

  get sizeBytes(): number {
    return this.memory.sizeBytes;
  }

  #do(operation: string, offset: number, length: number, work: () => void): void | Promise<void> {
    const wait = this.before(operation, offset, length);
    if (operation !== "read") this.done.push(operation);
    if (this.synchronous) work();
    else return Promise.resolve(wait).then(work);
  }

  read(into: Uint8Array, offset: number): void | Promise<void> {
    return this.#do("read", offset, into.length, () => this.memory.read(into, offset));
  }

  write(from: Uint8Array, offset: number): void | Promise<void> {
    return this.#do("write", offset, from.length, () => this.memory.write(from, offset));
  }

  flush(): void | Promise<void> {
    return this.#do("flush", 0, 0, () => {});
  }

  discard(offset: number, length: number): void | Promise<void> {
    return this.#do("discard", offset, length, () => this.memory.discard(offset, length));
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean): void | Promise<void> {
    return this.#do(mayUnmap ? "unmap" : "zeroes", offset, length, () =>
      this.memory.writeZeroes(offset, length),
    );
  }

  onResize(listener: () => void): () => void {
    return this.memory.onResize(listener);
  }

  close(): void {}
}

/** Calls of pid 1, as short as tests like them. */
export class Calls {
  readonly process: Process;

  constructor(process: Process) {
    this.process = process;
  }

  async mount(device: string, at: string, type = "ext4", flags = 0): Promise<void> {
    await this.process.mkdirat(AT_FDCWD, at, 0o755).catch(() => {});
    await this.process.mount(device, at, type, flags, null);
  }

  open(path: string, flags = O_RDONLY): Promise<number> {
    return this.process.openat(AT_FDCWD, path, flags, 0o644);
  }

  create(path: string): Promise<number> {
    return this.open(path, O_CREAT | O_RDWR);
  }

  async write(fd: number, bytes: Uint8Array, offset = 0): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + 65536);
      done += await this.process.pwrite64(fd, part, part.length, BigInt(offset + done));
    }
  }

  /** Up to so many bytes: fewer at the end of the file. */
  async read(fd: number, length: number, offset = 0): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const part = bytes.subarray(done, done + 65536);
      const n = await this.process.pread64(fd, part, part.length, BigInt(offset + done));
      done += n;
      if (n < part.length) break;
    }
    return bytes.subarray(0, done);
  }

  /** A small file as text, such as one of sysfs. */
  async text(path: string): Promise<string> {
    return new TextDecoder().decode(await readFile(this.process, path)).trim();
  }

  async put(path: string, text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    const fd = await this.open(path, O_WRONLY);
    try {
      await this.process.write(fd, bytes, bytes.length);
    } finally {
      await this.process.close(fd);
    }
  }
}

/** Wait until something is true; a test that waits too long fails by its timeout. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
