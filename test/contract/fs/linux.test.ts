// The same on the kernel's file systems, in images that the native tools make.

import { readFileSync } from "node:fs";
import type nodeFs from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";

import { AT_FDCWD } from "../../../src/abi/constants/fcntl.ts";
import { MemoryDisk } from "../../../src/disk/index.ts";
import { attachDisk, createFs, mount, mountOverlay } from "../../../src/fs/index.ts";
import { Kernel } from "../../../src/index.ts";
import { emptyHfsPlus } from "../../images/hfsplus.ts";
import { emptyImage, run, temporaryFolder } from "../../images/native.ts";
import { EVERYTHING, fsContract } from "./contract.ts";
import type { Capabilities } from "./contract.ts";

/** How an image is made: by a native tool in a file of so many MiB, or by ourselves where there is none. */
type Maker = readonly [mib: number, command: string, ...args: string[]] | (() => Uint8Array);

interface Volume {
  readonly make: Maker;
  readonly options?: string;
  readonly can: Capabilities;
}

/** FAT has names and times, and little else. */
const FAT: Capabilities = {
  ...EVERYTHING,
  symlinks: false,
  hardLinks: false,
  modes: false,
  owners: false,
  caseSensitive: false,
  byteNames: false,
  fifos: false,
  oldTimes: false,
  linkCounts: true,
  holes: false,
};

const VOLUMES: Readonly<Record<string, Volume>> = {
  ext2: { make: [32, "mke2fs", "-q", "-F", "-t", "ext2"], can: EVERYTHING },
  ext3: { make: [32, "mke2fs", "-q", "-F", "-t", "ext3"], can: EVERYTHING },
  ext4: { make: [32, "mke2fs", "-q", "-F", "-t", "ext4", "-I", "256"], can: EVERYTHING },
  xfs: {
    make: [300, "mkfs.xfs", "-q"],
    can: { ...EVERYTHING, notEmpty: "EEXIST", reflinks: true },
  },
  btrfs: { make: [128, "mkfs.btrfs", "-q"], can: { ...EVERYTHING, reflinks: true } },
  f2fs: { make: [64, "mkfs.f2fs", "-q"], can: EVERYTHING },
  // Of a change, two seconds are told apart.
  vfat: { make: [40, "mkfs.vfat", "-F", "32"], can: { ...FAT, timesMs: 2000, longNames: false } },
  exfat: { make: [32, "mkfs.exfat"], can: { ...FAT, timesMs: 10 } },
  ntfs3: {
    make: [32, "mkfs.ntfs", "-q", "-F", "-f"],
    // Names are UTF-16, times in units of 100 ns, and what is not written is allocated.
    can: { ...EVERYTHING, byteNames: false, timesMs: 0.0001, holes: false },
  },
  hfsplus: {
    make: () => emptyHfsPlus(32 << 20),
    // Names are UTF-16, and what is no text becomes "?".
    can: { ...EVERYTHING, byteNames: false, caseSensitive: false, timesMs: 1000, holes: false },
  },
  minix: {
    make: [32, "mkfs.minix", "-3"],
    // It has holes, and counts them; seconds since 1970 are without a sign.
    can: { ...EVERYTHING, timesMs: 1000, oldTimes: false, holes: false },
  },
};

let kernel: Kernel;
const folder = temporaryFolder();
before(async () => {
  kernel = await Kernel.boot({ image: "full", memoryMiB: 384 });
});
after(async () => {
  await kernel.halt();
  folder[Symbol.dispose]();
});

/** An fs object of a process whose root is a directory of the kernel's. */
async function subjectAt(root: string, can: Capabilities) {
  const process = await kernel.process({ root });
  const fs = createFs(process, { ownsProcess: true });
  return {
    // test/contract/fs/types.ts says how far the types agree.
    fs: fs as unknown as typeof nodeFs,
    root: "/",
    can,
    mkfifo: (path: string) => fs.linux.mkfifo(path),
    done: () => fs[Symbol.asyncDispose](),
  };
}

async function imageOf(type: string, make: Maker): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof make === "function") return new Uint8Array(make());
  const [mib, command, ...args] = make;
  const path = emptyImage(join(folder.path, `${type}.img`), mib);
  run(command, ...args, path);
  return new Uint8Array(readFileSync(path));
}

/** Mount a new volume. Ending it takes it away again. */
async function mountNew(type: string) {
  const { make, options = "", can } = VOLUMES[type];
  const device = await attachDisk(kernel, new MemoryDisk(await imageOf(type, make)));
  const mounted = await mount(kernel, { source: device.path, type, options });
  const end = async () => {
    await mounted[Symbol.asyncDispose]();
    await device[Symbol.asyncDispose]();
  };
  return { target: mounted.target, can, end };
}

for (const type of Object.keys(VOLUMES))
  fsContract(type, async () => {
    const { target, can, end } = await mountNew(type);
    const subject = await subjectAt(target, can);
    return {
      ...subject,
      done: async () => {
        await subject.done();
        await end();
      },
    };
  });

fsContract("overlay", async () => {
  const [below, above] = [await mountNew("ext4"), await mountNew("ext4")];
  const { init } = kernel;
  for (const name of ["upper", "work"])
    await init.mkdirat(AT_FDCWD, `${above.target}/${name}`, 0o755);
  const mounted = await mountOverlay(kernel, {
    lower: [below.target],
    upper: `${above.target}/upper`,
    work: `${above.target}/work`,
  });
  const subject = await subjectAt(mounted.target, EVERYTHING);
  return {
    ...subject,
    done: async () => {
      await subject.done();
      await mounted[Symbol.asyncDispose]();
      await above.end();
      await below.end();
    },
  };
});

fsContract("tmpfs", async () => {
  await kernel.init.mkdirat(AT_FDCWD, "/tmp/contract", 0o755);
  return subjectAt("/tmp/contract", { ...EVERYTHING, holes: false, usage: false });
});
