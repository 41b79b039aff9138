// One cell of the matrix of image formats: a native tool writes a tree and our kernel reads it; our
// kernel writes a tree and native tools check and read it.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { TestContext } from "node:test";

import { BTRFS_IOC_SCAN_DEV } from "../../src/abi/constants/btrfs.ts";
import { AT_FDCWD, O_RDWR } from "../../src/abi/constants/fcntl.ts";
import { BtrfsIoctlVolArgs } from "../../src/abi/structs/btrfs.ts";
import { attachDisk, mount } from "../../src/fs/index.ts";
import type { BlockDevice, Mount } from "../../src/fs/index.ts";
import { Kernel } from "../../src/index.ts";
import { FileDisk } from "../../src/platform/node/file-disk.ts";
import { repeats, soaking } from "../kernel.ts";
import { asKept, both, differences, EVERYTHING } from "./facts.ts";
import type { Facts, Keeps } from "./facts.ts";
import { readTree, writeTree } from "./guest.ts";
import { HOST, mountsNatively, readNativeTree, withNativeMount, writeNativeTree } from "./host.ts";
import { emptyImage, temporaryFolder } from "./native.ts";
import { factsOf, sample } from "./sample.ts";

/** A native tool, or the native kernel, that puts a folder's files into images. */
export interface Writer {
  readonly name: string;
  /** What it keeps of what the format could. */
  readonly keeps?: Partial<Keeps>;
  /** Files that it gets wrong. */
  readonly omits?: (path: string) => boolean;
  /** Makes the file system, with the files. */
  write(images: readonly string[], folder: string): void;
}

/** A native tool, or the native kernel, that gets the files out of images. */
export interface Reader {
  readonly name: string;
  readonly keeps?: Partial<Keeps>;
  /** Files that it gets wrong, or adds. */
  readonly omits?: (path: string) => boolean;
  /** @param scratch an empty folder to use */
  read(images: readonly string[], scratch: string): Facts;
}

/** A native tool that looks at images. */
export interface Checker {
  readonly name: string;
  /** Throws unless all is clean. */
  check(images: readonly string[]): void;
}

/** A file system, with some set of features. */
export interface Format {
  readonly name: string;
  /** As the kernel calls it. */
  readonly type: string;
  /** Of each disk. */
  readonly mib: number;
  /** How many disks, or what size each of them has in MiB. Default 1. */
  readonly disks?: number | readonly number[];
  readonly blockSizeBytes?: number;
  /** For mounting it. */
  readonly options?: string | ((devices: readonly string[]) => string);
  /** What the kernel keeps in it. Default: everything. */
  readonly keeps?: Partial<Keeps>;
  /** Files that there cannot be. */
  readonly omits?: (path: string) => boolean;
  /** Makes it empty; without, it is made with files only. */
  readonly make?: (images: readonly string[]) => void;
  readonly writers?: readonly Writer[];
  readonly readers?: readonly Reader[];
  readonly checker?: Checker;
  /** Options for this machine's kernel, which mounts it where it can; false: it is not asked. */
  readonly native?: string | false;
  /** More to do where it was just mounted, before files are written. */
  readonly prepare?: (kernel: Kernel, mounted: Mount) => Promise<void>;
  /** What of that is left: it is not compared. Paths in UTF-8. */
  readonly extra?: readonly string[];
  /** More to look at when it is mounted again. */
  readonly inspect?: (kernel: Kernel, mounted: Mount) => Promise<void>;
}

/** Some disks in files, attached to a kernel. */
async function attachAll(
  kernel: Kernel,
  format: Format,
  images: readonly string[],
): Promise<BlockDevice[]> {
  const devices: BlockDevice[] = [];
  for (const image of images) {
    const options = format.blockSizeBytes ? { blockSizeBytes: format.blockSizeBytes } : {};
    devices.push(await attachDisk(kernel, new FileDisk(image, options)));
  }
  if (format.type === "btrfs" && devices.length > 1) await scanAll(kernel, devices);
  return devices;
}

/** Tell btrfs of its disks: nobody else does. */
async function scanAll(kernel: Kernel, devices: readonly BlockDevice[]): Promise<void> {
  const fd = await kernel.init.openat(AT_FDCWD, "/dev/btrfs-control", O_RDWR, 0);
  for (const { path } of devices) {
    const args = BtrfsIoctlVolArgs.alloc();
    args.name = new TextEncoder().encode(path);
    await kernel.init.ioctl(fd, BTRFS_IOC_SCAN_DEV, args.bytes);
  }
  await kernel.init.close(fd);
}

/** Mount images, do something, unmount them. */
export async function withMounted<T>(
  kernel: Kernel,
  format: Format,
  images: readonly string[],
  readOnly: boolean,
  use: (mounted: Mount) => Promise<T>,
): Promise<T> {
  const devices = await attachAll(kernel, format, images);
  try {
    const { options } = format;
    const text = typeof options === "function" ? options(devices.map(({ path }) => path)) : options;
    await using mounted = await mount(kernel, {
      source: devices[0].path,
      type: format.type,
      readOnly,
      trusted: true,
      ...(text !== undefined && { options: text }),
    });
    return await use(mounted);
  } finally {
    for (const device of devices) {
      await device.detach();
      await device.disk.close();
    }
  }
}

function makeImages(folder: string, format: Format): string[] {
  const { disks = 1, mib } = format;
  const sizes = typeof disks === "number" ? new Array<number>(disks).fill(mib) : disks;
  return sizes.map((size, index) => emptyImage(join(folder, `disk${index}.img`), size));
}

const without = (facts: Facts, paths: readonly string[] = []): Facts => {
  const left = new Map(facts);
  for (const path of paths) left.delete(Buffer.from(path).toString("latin1"));
  return left;
};
const keepsOf = (format: Format): Keeps => both(EVERYTHING, format.keeps ?? {});
const options = (...some: string[]): string => some.filter(Boolean).join(",");

function assertSame(actual: Facts, expected: Facts, keeps: Keeps, what: string): void {
  const found = differences(asKept(actual, keeps, expected), asKept(expected, keeps));
  assert.deepEqual(found, [], what);
}

/** How many small files the tree has. */
const FILES = repeats(1000, 60);

/** The tests of formats, with a kernel for all of them. */
export function testFormats(name: string, formats: readonly Format[]): void {
  suite(name, () => {
    let kernel: Kernel;
    before(async () => {
      kernel = await Kernel.boot({ image: "full", memoryMiB: 256 });
    });
    after(() => kernel.halt());
    for (const format of formats) testFormat(format, () => kernel);
  });
}

/** The tests of a format, in both directions. */
function testFormat(format: Format, kernel: () => Kernel): void {
  const { make } = format;
  for (const writer of format.writers ?? [])
    test(`${format.name}: reads what ${writer.name} wrote`, () =>
      readsNative(kernel(), format, writer));
  if (make)
    test(`${format.name}: what it wrote is there, clean, and the same elsewhere`, (t) =>
      writesForNative(t, kernel(), format, make));
}

async function readsNative(kernel: Kernel, format: Format, writer: Writer): Promise<void> {
  using folder = temporaryFolder();
  const source = join(folder.path, "source");
  mkdirSync(source);
  const keeps = both(both(keepsOf(format), HOST), writer.keeps ?? {});
  const items = sample(FILES).filter(({ path }) => !writer.omits?.(path));
  writeNativeTree(source, items, keeps);
  const images = makeImages(folder.path, format);
  writer.write(images, source);
  const expected = readNativeTree(source);
  await withMounted(kernel, format, images, true, async (mounted) => {
    const read = await readTree(kernel.init, mounted.target);
    assertSame(read, expected, keeps, `what ${writer.name} wrote`);
    await format.inspect?.(kernel, mounted);
  });
}

async function writesForNative(
  t: TestContext,
  kernel: Kernel,
  format: Format,
  make: (images: readonly string[]) => void,
): Promise<void> {
  using folder = temporaryFolder();
  const images = makeImages(folder.path, format);
  make(images);
  const { type, native = "" } = format;
  // Mounting takes its time: elsewhere than in the soak one of each type has to do.
  const asked = native !== false && (soaking || format.name === type);
  const mountsHere = asked && mountsNatively(images, type, options("ro", native));
  const keeps = keepsOf(format);
  const items = sample(FILES).filter(({ path }) => !format.omits?.(path));
  const facts = factsOf(items);
  await withMounted(kernel, format, images, false, async (mounted) => {
    await format.prepare?.(kernel, mounted);
    await writeTree(kernel.init, mounted.target, items, keeps);
  });
  format.checker?.check(images);
  await withMounted(kernel, format, images, true, async (mounted) => {
    const read = without(await readTree(kernel.init, mounted.target), format.extra);
    assertSame(read, facts, keeps, "mounted again");
    await format.inspect?.(kernel, mounted);
  });
  for (const reader of format.readers ?? []) {
    using scratch = temporaryFolder();
    const left = (some: Facts) => new Map([...some].filter(([path]) => !reader.omits?.(path)));
    const read = left(without(reader.read(images, scratch.path), format.extra));
    assertSame(read, left(facts), both(keeps, reader.keeps ?? {}), `as ${reader.name} reads it`);
  }
  if (!mountsHere) return;
  t.diagnostic("also compared with this machine's own kernel");
  const all = withNativeMount(images, type, options("ro", native), readNativeTree);
  const read = without(all, format.extra);
  assertSame(read, facts, both(keeps, { xattrs: HOST.xattrs }), "as the native kernel reads it");
  make(images);
  // One that can only read it has said so by now.
  if (!mountsNatively(images, type, options("rw", native))) return;
  const written = both(both(keeps, HOST), {});
  const theirs = withNativeMount(images, type, native, (root) => {
    writeNativeTree(root, items, written);
    return readNativeTree(root);
  });
  await withMounted(kernel, format, images, true, async (mounted) => {
    const again = await readTree(kernel.init, mounted.target);
    assertSame(again, theirs, written, "what the native kernel wrote");
  });
}
