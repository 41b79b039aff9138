// The other ways to the files of an image: this machine's own kernel, fuse2fs, and node-ext2fs.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rmdir,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { EXT2FS, FUSE, LOOP } from "./beside.ts";
import type { OpenFile, Place, PlaceFs } from "./place.ts";

const MOUNT_TIMEOUT_MS = 10_000;

const machine: PlaceFs = {
  open,
  readFile: (path) => readFile(path),
  writeFile,
  mkdir,
  rmdir,
  readdir,
  stat,
  lstat,
  readlink,
  unlink,
};

/** Mounts an image on a directory, and gives what unmounts it. */
export type Mounter = (image: string, target: string) => Promise<() => Promise<void>>;

async function mountLoop(image: string, target: string): Promise<() => Promise<void>> {
  execFileSync("mount", ["-t", "ext4", "-o", "loop", image, target], { stdio: "pipe" });
  return async () => {
    execFileSync("umount", [target]);
  };
}

async function mountFuse(image: string, target: string): Promise<() => Promise<void>> {
  const before = statSync(target).dev;
  // In the foreground, so that its end tells that all is written.
  const server = spawn("fuse2fs", ["-f", image, target], { stdio: "ignore" });
  const ended = once(server, "close");
  const deadline = performance.now() + MOUNT_TIMEOUT_MS;
  while (statSync(target).dev === before) {
    if (server.exitCode !== null || performance.now() > deadline) {
      server.kill();
      throw new Error(`fuse2fs did not mount ${image}`);
    }
    await sleep(5);
  }
  return async () => {
    execFileSync("umount", [target]);
    await ended;
  };
}

async function openMount(
  name: string,
  mount: Mounter,
  image: string,
  folder: string,
): Promise<Place> {
  const root = mkdtempSync(join(folder, "mount-"));
  let unmount = await mount(image, root);
  return {
    name,
    fs: machine,
    root,
    forget: async () => {
      await unmount();
      unmount = await mount(image, root);
    },
    [Symbol.asyncDispose]: async () => {
      await unmount();
      rmSync(root, { recursive: true });
    },
  };
}

/** Whether this process may mount an image by the machine's kernel. */
function canLoop(image: string, folder: string): boolean {
  const target = mkdtempSync(join(folder, "try-"));
  try {
    execFileSync("mount", ["-t", "ext4", "-o", "loop,ro", image, target], { stdio: "pipe" });
    execFileSync("umount", [target]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(target, { recursive: true });
  }
}

/** Whether a program is installed. */
export function has(program: string): boolean {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, program)));
}

const canFuse = () => existsSync("/dev/fuse") && process.getuid?.() === 0 && has("fuse2fs");

/** The ways to mount this image that this machine and this process have, by name. */
export function mountersOf(image: string, folder: string): Map<string, Mounter> {
  const ways = new Map<string, Mounter>();
  if (canLoop(image, folder)) ways.set(LOOP, mountLoop);
  if (canFuse()) ways.set(FUSE, mountFuse);
  return ways;
}

/** This machine's kernel, with the image; null where this process may not mount it. */
export async function openNative(image: string, folder: string): Promise<Place | null> {
  return canLoop(image, folder) ? openMount(LOOP, mountLoop, image, folder) : null;
}

/** fuse2fs, or null where there is no FUSE. */
export async function openFuse(image: string, folder: string): Promise<Place | null> {
  return canFuse() ? openMount(FUSE, mountFuse, image, folder) : null;
}

/** What node-ext2fs reads at once: its memory does not grow. */
const EXT2FS_BYTES = 1 << 20;
const NO_TIMES = { atimeMs: 0, mtimeMs: 0 };

/** What is used of the npm package ext2fs, which has no types. */
interface Ext2fs {
  mount(disk: object, offset?: number): Promise<{ readonly promises: Ext2fsPromises }>;
  umount(fs: object): Promise<void>;
}
interface Ext2fsPromises extends Omit<PlaceFs, "open" | "readFile"> {
  open(path: string, flags: string | number): Promise<Ext2fsFile>;
}

interface Ext2fsFile extends Omit<OpenFile, "sync"> {
  stat(): Promise<{ readonly size: number }>;
}

/** The package, or null if it is not installed. */
export function loadExt2fs(): Ext2fs | null {
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const before = new Set(events.flatMap((event) => process.rawListeners(event)));
  try {
    return createRequire(import.meta.url)("ext2fs") as Ext2fs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") return null;
    throw error;
  } finally {
    // It throws again whatever it hears of, with all of its source.
    for (const event of events)
      for (const listener of process.rawListeners(event))
        if (!before.has(listener)) process.off(event, listener);
  }
}

/** The disk that ext2fs asks, over a descriptor. */
function ext2fsDisk(fd: number): object {
  return {
    async read(into: Uint8Array, offset: number, length: number, position: number) {
      return { bytesRead: readSync(fd, into, offset, length, position), buffer: into };
    },
    async write(from: Uint8Array, offset: number, length: number, position: number) {
      return { bytesWritten: writeSync(fd, from, offset, length, position), buffer: from };
    },
    async flush() {
      fdatasyncSync(fd);
    },
    async discard() {},
  };
}

/** node-ext2fs, the library of e2fsprogs as WebAssembly; null if it is not installed. */
export async function openExt2fs(image: string): Promise<Place | null> {
  const library = loadExt2fs();
  if (!library) return null;
  const fd = openSync(image, "r+");
  const disk = ext2fsDisk(fd);
  let mounted = await library.mount(disk);
  const forget = async () => {
    await library.umount(mounted);
    mounted = await library.mount(disk);
  };
  const current = () => mounted.promises;
  return {
    name: EXT2FS,
    fs: {
      open: async (path, flags) => openExt2fsFile(await current().open(path, flags), forget),
      readFile: async (path) => readExt2fs(await current().open(path, "r")),
      writeFile: (path, data) => current().writeFile(path, data),
      mkdir: (path) => current().mkdir(path),
      rmdir: (path) => current().rmdir(path),
      readdir: async (path) =>
        (await current().readdir(path)).filter((name) => name !== "." && name !== ".."),
      stat: (path) => current().stat(path),
      lstat: async (path) => {
        const status = await current().lstat(path);
        // With the Stats of newer Nodes it makes no numbers of times.
        return Number.isNaN(status.atimeMs + status.mtimeMs)
          ? Object.assign(status, NO_TIMES)
          : status;
      },
      readlink: (path) => current().readlink(path),
      unlink: (path) => current().unlink(path),
    },
    root: "",
    forget,
    [Symbol.asyncDispose]: async () => {
      await library.umount(mounted);
      closeSync(fd);
    },
  };
}

/** Its own readFile() makes text of a file, and loses the end of some. */
async function readExt2fs(file: Ext2fsFile): Promise<Uint8Array> {
  const { size } = await file.stat();
  const bytes = Buffer.alloc(size);
  for (let done = 0; done < size;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(EXT2FS_BYTES, size - done), done);
    if (!bytesRead) break;
    done += bytesRead;
  }
  await file.close();
  return bytes;
}

/** A file of node-ext2fs: its fsync() does nothing, so that only unmounting makes it last. */
function openExt2fsFile(file: Ext2fsFile, remount: () => Promise<void>): OpenFile {
  let closed = false;
  return {
    read: (...args) => file.read(...args),
    // It takes all buffers from their start.
    write: (from, offset, length, position) =>
      file.write(from.subarray(offset, offset + length), 0, length, position),
    sync: async () => {
      closed = true;
      await file.close();
      await remount();
    },
    close: async () => {
      if (!closed) await file.close();
    },
  };
}
