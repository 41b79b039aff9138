// The same on the kernel's file systems, in images that the native tools make.

import { readFileSync } from "node:fs";
import type nodeFs from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";

import { MemoryDisk } from "../../../src/disk/index.ts";
import { createFs } from "../../../src/fs/facade/index.ts";
import { attachDisk, mount } from "../../../src/fs/index.ts";
import { Kernel } from "../../../src/index.ts";
import { emptyImage, run, temporaryFolder } from "../../images/native.ts";
import { EVERYTHING, fsContract } from "./contract.ts";
import type { Capabilities } from "./contract.ts";

type Maker = readonly [mib: number, command: string, ...args: string[]];

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
  ext4: { make: [32, "mke2fs", "-q", "-F", "-t", "ext4", "-I", "256"], can: EVERYTHING },
  xfs: { make: [300, "mkfs.xfs", "-q"], can: { ...EVERYTHING, notEmpty: "EEXIST" } },
  btrfs: { make: [128, "mkfs.btrfs", "-q"], can: EVERYTHING },
  f2fs: { make: [64, "mkfs.f2fs", "-q"], can: EVERYTHING },
  // Of a change, two seconds are told apart.
  vfat: { make: [40, "mkfs.vfat", "-F", "32"], can: { ...FAT, timesMs: 2000, longNames: false } },
  exfat: { make: [32, "mkfs.exfat"], can: { ...FAT, timesMs: 10 } },
  ntfs3: {
    make: [32, "mkfs.ntfs", "-q", "-F", "-f"],
    // Names are UTF-16, times in units of 100 ns, and what is not written is allocated.
    can: { ...EVERYTHING, byteNames: false, timesMs: 0.0001, holes: false },
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

for (const [type, { make, options = "", can }] of Object.entries(VOLUMES))
  fsContract(type, async () => {
    const [mib, command, ...args] = make;
    const path = emptyImage(join(folder.path, `${type}.img`), mib);
    run(command, ...args, path);
    const device = await attachDisk(kernel, new MemoryDisk(new Uint8Array(readFileSync(path))));
    const mounted = await mount(kernel, { source: device.path, type, options });
    const subject = await subjectAt(mounted.target, can);
    return {
      ...subject,
      done: async () => {
        await subject.done();
        await mounted[Symbol.asyncDispose]();
        await device[Symbol.asyncDispose]();
      },
    };
  });

fsContract("tmpfs", async () => {
  await kernel.init.mkdirat(-100, "/tmp/contract", 0o755);
  return subjectAt("/tmp/contract", { ...EVERYTHING, holes: false, usage: false });
});
