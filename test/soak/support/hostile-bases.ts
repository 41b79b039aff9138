// Small images of every file system, to be damaged: made by the native tools, and filled by them
// or, where they cannot, by a kernel.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { AT_FDCWD, O_CREAT, O_WRONLY } from "../../../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../../../src/disk/index.ts";
import { attachDisk } from "../../../src/fs/index.ts";
import { Kernel, VirtualClock } from "../../../src/index.ts";
import { emptyHfsPlus } from "../../images/hfsplus.ts";
import { emptyImage, run } from "../../images/native.ts";

/** What files are full of: sectors of it are not worth damaging. */
export const CONTENT = 0xd5;
const SIZES = { tiny: 60, small: 5000, large: 200_000 };
const ENTRIES = 40;

export interface Base {
  /** Of the image. */
  readonly name: string;
  /** Of the file system, for mount(2). */
  readonly type: string;
  readonly writable: boolean;
  /** Mount options of the file system. */
  readonly options?: string;
  make(folder: string): Promise<Uint8Array<ArrayBuffer>>;
}

function fillNatively(folder: string): string {
  const root = join(folder, "root");
  mkdirSync(join(root, "directory/deeper"), { recursive: true });
  for (const [name, size] of Object.entries(SIZES))
    writeFileSync(join(root, name), new Uint8Array(size).fill(CONTENT));
  for (let i = 0; i < ENTRIES; i++) writeFileSync(join(root, `directory/entry ${i}`), "");
  symlinkSync("directory/entry 1", join(root, "link"));
  return root;
}

async function fillByKernel(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<void> {
  const clock = new VirtualClock({ epochMs: Date.UTC(2026, 0, 1) });
  const kernel = await Kernel.boot({ image: "full", memoryMiB: 128, clock, random: 1 });
  await clock.drive(fill(kernel, new MemoryDisk(bytes), type));
  await clock.drive(kernel.halt());
}

async function fill(kernel: Kernel, disk: MemoryDisk, type: string): Promise<void> {
  const { init } = kernel;
  await using device = await attachDisk(kernel, disk);
  await init.mkdirat(AT_FDCWD, "/mnt", 0o755);
  await init.mount(device.path, "/mnt", type, 0, null);
  await init.mkdirat(AT_FDCWD, "/mnt/directory", 0o755);
  await init.mkdirat(AT_FDCWD, "/mnt/directory/deeper", 0o755);
  const write = async (name: string, size: number) => {
    const fd = await init.openat(AT_FDCWD, `/mnt/${name}`, O_CREAT | O_WRONLY, 0o644);
    await init.pwrite64(fd, new Uint8Array(size).fill(CONTENT), size, 0);
    await init.close(fd);
  };
  for (const [name, size] of Object.entries(SIZES)) await write(name, size);
  for (let i = 0; i < ENTRIES; i++) await write(`directory/entry ${i}`, 0);
  // FAT has none.
  await init.symlinkat("directory/entry 1", AT_FDCWD, "/mnt/link").catch(() => {});
  await init.umount2("/mnt", 0);
}

const byKernel = (
  name: string,
  type: string,
  mib: number,
  command: string,
  ...args: string[]
): Base => ({
  name,
  type,
  writable: true,
  async make(folder) {
    const path = emptyImage(join(folder, "base.img"), mib);
    run(command, ...args, path);
    const bytes = new Uint8Array(readFileSync(path));
    await fillByKernel(bytes, type);
    return bytes;
  },
});

const natively = (
  name: string,
  type: string,
  make: (root: string, image: string) => unknown,
): Base => ({
  name,
  type,
  writable: false,
  async make(folder) {
    const image = join(folder, "base.img");
    make(fillNatively(folder), image);
    const bytes = readFileSync(image);
    const whole = new Uint8Array(Math.ceil(bytes.length / 4096) * 4096);
    whole.set(bytes);
    return whole;
  },
});

/** So that a seed means the same image again, as far as the tools let it. */
const UUID = "4c696e75-7820-6173-2061-206c69627279";
const EXT4 = ["-q", "-F", "-U", UUID, "-t", "ext4"];
const UNCOMPRESSED = ["-noI", "-noD", "-noF", "-noX"];

export const BASES: readonly Base[] = [
  byKernel("ext4", "ext4", 4, "mke2fs", ...EXT4, "-O", "inline_data"),
  byKernel("ext4 unsealed", "ext4", 4, "mke2fs", ...EXT4, "-O", "^metadata_csum"),
  byKernel("ext3", "ext4", 4, "mke2fs", ...EXT4.slice(0, -1), "ext3"),
  byKernel("xfs", "xfs", 24, "mkfs.xfs", "--unsupported", "-q", "-m", `uuid=${UUID}`),
  byKernel("btrfs", "btrfs", 112, "mkfs.btrfs", "-q", "-U", UUID, "-m", "single"),
  byKernel("f2fs", "f2fs", 64, "mkfs.f2fs", "-q", "-U", UUID),
  byKernel("vfat", "vfat", 4, "mkfs.vfat", "--invariant"),
  byKernel("exfat", "exfat", 4, "mkfs.exfat"),
  byKernel("ntfs3", "ntfs3", 4, "mkfs.ntfs", "-q", "-F", "-f"),
  byKernel("udf", "udf", 4, "mkudffs"),
  byKernel("minix", "minix", 2, "mkfs.minix", "-3"),
  {
    name: "hfsplus",
    type: "hfsplus",
    writable: true,
    async make() {
      const bytes = emptyHfsPlus();
      await fillByKernel(bytes, "hfsplus");
      return bytes;
    },
  },
  natively("squashfs", "squashfs", (root, image) => run("mksquashfs", root, image, "-quiet")),
  natively("squashfs raw", "squashfs", (root, image) =>
    run("mksquashfs", root, image, "-quiet", ...UNCOMPRESSED),
  ),
  natively("erofs", "erofs", (root, image) => run("mkfs.erofs", image, root)),
  natively("iso9660", "iso9660", (root, image) =>
    run("genisoimage", "-quiet", "-R", "-J", "-o", image, root),
  ),
];

/** One whose kernel crashes of damage, since it is told to. */
export const PANICKING: Base = {
  ...byKernel("ext4 errors=panic", "ext4", 4, "mke2fs", ...EXT4, "-O", "^metadata_csum"),
  options: "errors=panic",
};
