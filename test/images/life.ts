// What happens to a file system that was just made: the kernel mounts it, fills it with files, mounts
// it again and finds them, and it may grow meanwhile.

import assert from "node:assert/strict";

import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
} from "../../src/abi/constants/fcntl.ts";
import type { Disk } from "../../src/disk/index.ts";
import { attachDisk, mount, readFile } from "../../src/fs/index.ts";
import type { Mount, Usage } from "../../src/fs/index.ts";
import type { Kernel } from "../../src/index.ts";
import { until } from "../kernel.ts";
import { noise } from "./native.ts";

const DIRECTORIES = 6;
const FILES = 12;

/** Paths and contents: empty files, some within an inode, some of many blocks. */
function files(): Map<string, Uint8Array> {
  const all = new Map<string, Uint8Array>();
  for (let d = 0; d < DIRECTORIES; d++)
    for (let f = 0; f < FILES; f++)
      all.set(`d${d}/ünï 名前 ${f}`, noise(f * f * 137, d * FILES + f + 1));
  return all;
}

async function writeFile(kernel: Kernel, path: string, bytes: Uint8Array): Promise<void> {
  const fd = await kernel.init.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644);
  try {
    assert.equal(await kernel.init.write(fd, bytes, bytes.length), bytes.length);
  } finally {
    await kernel.init.close(fd);
  }
}

/** An operation on what is mounted, by a descriptor of its root. */
export type OnRoot = (kernel: Kernel, fd: number) => Promise<unknown>;

async function onRoot(kernel: Kernel, mounted: Mount, operation: OnRoot): Promise<void> {
  const fd = await kernel.init.openat(AT_FDCWD, mounted.target, O_RDONLY | O_DIRECTORY, 0);
  try {
    await operation(kernel, fd);
  } finally {
    await kernel.init.close(fd);
  }
}

export interface Life {
  readonly type: string;
  /** Mount options. */
  readonly options?: string;
  /** The kernel has something to warn of. Default: false. */
  readonly warns?: boolean;
  /** Make the disk larger while it is mounted, and tell the file system. */
  readonly grow?: { readonly resize: () => void; readonly tell: OnRoot };
}

/** KERN_WARNING of the kernel's include/linux/kern_levels.h. */
const WARNING = 4;
/** Of many messages of one level the first were printed, and looked at (lib/ratelimit.c). */
const SUPPRESSED = / callbacks suppressed$/;

/**
 * Fails if something is lost, or if the kernel warns unexpectedly.
 *
 * @returns how much room there was at first, and at last
 */
export async function live(
  kernel: Kernel,
  disk: Disk,
  life: Life,
): Promise<{ before: Usage; after: Usage }> {
  const start = Array.from(kernel.log).at(-1)?.sequence ?? 0;
  const usage = await liveOn(kernel, disk, life);
  const warnings = Array.from(kernel.log).filter(
    ({ sequence, level, text }) =>
      sequence > start && level <= WARNING && !SUPPRESSED.test(text.trimEnd()),
  );
  assert.equal(warnings.length > 0, life.warns ?? false, warnings.map(({ text }) => text).join());
  return usage;
}

async function liveOn(
  kernel: Kernel,
  disk: Disk,
  life: Life,
): Promise<{ before: Usage; after: Usage }> {
  const { init } = kernel;
  const { options } = life;
  await using device = await attachDisk(kernel, disk);
  const source = {
    source: device.path,
    // What warns is damaged, and need not be recognised.
    ...(life.warns ? { type: life.type } : {}),
    ...(options === undefined ? {} : { options }),
  };
  let before: Usage;
  {
    await using mounted = await mount(kernel, source);
    assert.equal(mounted.type, life.type);
    before = await mounted.usage();
    for (let d = 0; d < DIRECTORIES; d++)
      await init.mkdirat(AT_FDCWD, `${mounted.target}/d${d}`, 0o755);
    for (const [path, bytes] of files())
      await writeFile(kernel, `${mounted.target}/${path}`, bytes);
    if (life.grow) {
      life.grow.resize();
      const size = `/sys/class/block/${device.path.slice("/dev/".length)}/size`;
      await until(
        async () =>
          Number(new TextDecoder().decode(await readFile(init, size))) * 512 === disk.sizeBytes,
      );
      await onRoot(kernel, mounted, life.grow.tell);
    }
  }
  await using mounted = await mount(kernel, source);
  for (const [path, bytes] of files())
    assert.deepEqual(Buffer.from(await readFile(init, `${mounted.target}/${path}`)), bytes, path);
  for (const path of files().keys())
    if (path.startsWith("d0/")) await init.unlinkat(AT_FDCWD, `${mounted.target}/${path}`, 0);
  await init.unlinkat(AT_FDCWD, `${mounted.target}/d0`, AT_REMOVEDIR);
  return { before, after: await mounted.usage() };
}
