// Trees of files in a kernel of ours: written from a description, and read.

import { createHash } from "node:crypto";

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
} from "../../src/abi/constants/fcntl.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK } from "../../src/abi/constants/stat.ts";
import { viewOf } from "../../src/abi/struct.ts";
import { KernelTimespec } from "../../src/abi/structs/time.ts";
import { openDirectory } from "../../src/fs/directory.ts";
import { readChunks, readLink, walk } from "../../src/fs/index.ts";
import { SystemError } from "../../src/syscall/errors.ts";
import type { Process } from "../../src/syscall/process.ts";
import { isSparse, linkFinder } from "./facts.ts";
import type { Fact, Facts, Keeps } from "./facts.ts";
import { heldItems } from "./sample.ts";
import type { Item } from "./sample.ts";

const MAX_LIST_BYTES = 65536;
const MAX_VALUE_BYTES = 65536;

/** The bytes of a path below a directory, of its parts in Latin-1. */
export const pathOf = (root: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);

const TYPES = {
  "character device": S_IFCHR,
  "block device": S_IFBLK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
};

/** A device number as mknod(2) takes it (include/linux/kdev_t.h: new_decode_dev()). */
const deviceNumber = (major: number, minor: number) =>
  (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);

/** Write all that a file system can hold of a tree. */
export async function writeTree(
  process: Process,
  root: string,
  items: readonly Item[],
  keeps: Keeps,
): Promise<void> {
  const held = heldItems(items, keeps);
  for (const one of held) await create(process, root, one);
  // What is made in a directory changes its time.
  for (const one of held.toReversed()) await adorn(process, pathOf(root, one.path), one, keeps);
}

async function create(process: Process, root: string, one: Item): Promise<void> {
  const path = pathOf(root, one.path);
  if (one.sameAs !== undefined) {
    await process.linkat(AT_FDCWD, pathOf(root, one.sameAs), AT_FDCWD, path, 0);
    return;
  }
  if (one.kind === "file") await writeFile(process, path, one);
  else if (one.kind === "directory") await process.mkdirat(AT_FDCWD, path, 0o700);
  else if (one.kind === "symlink")
    await process.symlinkat(Buffer.from(one.target, "latin1"), AT_FDCWD, path);
  else
    await process.mknodat(
      AT_FDCWD,
      path,
      TYPES[one.kind] | 0o600,
      deviceNumber(one.major, one.minor),
    );
}

async function writeFile(process: Process, path: Buffer, one: Item): Promise<void> {
  const fd = await process.openat(AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY, 0o600);
  for (const { at, bytes } of one.parts) await process.pwrite64(fd, bytes, bytes.length, at);
  if (one.size) await process.ftruncate64(fd, one.size);
  await process.close(fd);
}

/** Owner, mode, extended attributes and time. */
async function adorn(process: Process, path: Buffer, one: Item, keeps: Keeps): Promise<void> {
  if (one.sameAs !== undefined) return;
  const isLink = one.kind === "symlink";
  const known = (id: number) => (id <= keeps.owners ? id : 0);
  if (keeps.owners)
    await process.fchownat(AT_FDCWD, path, known(one.uid), known(one.gid), AT_SYMLINK_NOFOLLOW);
  if (keeps.modes && !isLink) await process.fchmodat(AT_FDCWD, path, one.mode);
  for (const [name, value] of Object.entries(one.xattrs))
    if (keeps.xattrs.some((start) => name.startsWith(start)) && value.length <= keeps.xattrBytes)
      await process.lsetxattr(path, name, value, value.length, 0);
  const times = new Uint8Array(2 * KernelTimespec.size);
  for (const at of [0, KernelTimespec.size]) {
    const time = new KernelTimespec(viewOf(times), at);
    const ns = ((one.mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    time.tv_sec = (one.mtimeNs - ns) / 1_000_000_000n;
    time.tv_nsec = ns;
  }
  if (keeps.timeGrainNs) await process.utimensat_time64(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

/** What mkfs puts into an empty file system. */
const OF_MKFS = new Set(["lost+found"]);

/** All that a process can see below a directory. */
export async function readTree(process: Process, root: string): Promise<Facts> {
  const facts = new Map<string, Fact>();
  const firstOf = linkFinder();
  const fd = await openDirectory(process, root);
  try {
    await walk(process, fd, {
      entry: async ({ path: parts, parentFd, rawName, status }) => {
        const path = parts.map((part) => Buffer.from(part).toString("latin1")).join("/");
        if (OF_MKFS.has(path)) return false;
        const isLink = status.type === "symlink";
        const sameAs =
          status.type !== "directory" && status.links > 1 ? firstOf(status.inode, path) : undefined;
        const target = isLink ? Buffer.from(await readLink(process, rawName, parentFd)) : null;
        facts.set(path, {
          kind: status.type,
          mode: status.mode,
          uid: status.uid,
          gid: status.gid,
          size: status.type === "file" || isLink ? status.sizeBytes : 0,
          mtimeNs: status.modifiedNs,
          xattrs: await readXattrs(process, pathOf(root, path)),
          ...(target && { target: target.toString("latin1") }),
          ...(status.type.endsWith("device") && {
            device: `${status.device.major}:${status.device.minor}`,
          }),
          ...(status.type === "file" && {
            hash: await hashFile(process, rawName, parentFd),
            sparse: isSparse(status.sizeBytes, status.allocatedBytes),
          }),
          ...(sameAs !== undefined && { sameAs }),
        });
        return true;
      },
      failed: (error, path) => {
        throw new Error(`reading ${Buffer.concat(path).toString("latin1")}: ${String(error)}`, {
          cause: error,
        });
      },
    });
  } finally {
    await process.close(fd);
  }
  return facts;
}

async function hashFile(process: Process, path: Uint8Array, at: number): Promise<string> {
  const hash = createHash("sha1");
  for await (const chunk of readChunks(process, path, { at })) hash.update(chunk);
  return hash.digest("hex");
}

async function readXattrs(process: Process, path: Buffer): Promise<Record<string, string>> {
  const list = new Uint8Array(MAX_LIST_BYTES);
  let length: number;
  try {
    length = await process.llistxattr(path, list, list.length);
  } catch (error) {
    // HFS+ says that there are no data where there are no attributes.
    if (error instanceof SystemError && /^(EOPNOTSUPP|ENODATA)$/.test(error.code)) return {};
    throw error;
  }
  const names = Buffer.from(list.subarray(0, length)).toString("latin1").split("\0").slice(0, -1);
  const found: Record<string, string> = {};
  const value = new Uint8Array(MAX_VALUE_BYTES);
  for (const name of names) {
    // HFS+ (6.12) lists such names without their last letter.
    if (name.startsWith("osx.")) continue;
    const size = await process.lgetxattr(path, name, value, value.length);
    found[name] = Buffer.from(value.subarray(0, size)).toString("hex");
  }
  return found;
}
