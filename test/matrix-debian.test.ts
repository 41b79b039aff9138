// The root of a Debian, in both directions: every file, mode, owner, time, link and content.

import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";

import { Kernel } from "../src/index.ts";
import { debianRoot } from "./images/debian.ts";
import { asKept, both, differences, EVERYTHING } from "./images/facts.ts";
import type { Facts, Keeps } from "./images/facts.ts";
import { readTree, writeTree } from "./images/guest.ts";
import { itemsIn, mountsNatively, readNativeTree, withNativeMount } from "./images/host.ts";
import { withMounted } from "./images/matrix.ts";
import type { Format } from "./images/matrix.ts";
import { emptyImage, run, temporaryFolder } from "./images/native.ts";
import { soaking } from "./kernel.ts";

const MIB = 700;
const SECONDS: Partial<Keeps> = { timeGrainNs: 1_000_000_000n };

/** Who makes an image of a folder. */
const MAKERS: readonly (readonly [
  type: string,
  keeps: Partial<Keeps>,
  make: (image: string, root: string) => void,
])[] = [
  ["ext4", SECONDS, (image, root) => run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, image)],
  [
    "btrfs",
    { ...SECONDS, holes: false },
    (image, root) => run("mkfs.btrfs", "-q", "-f", "--rootdir", root, image),
  ],
  [
    "squashfs",
    SECONDS,
    (image, root) => {
      rmSync(image);
      run("mksquashfs", root, image, "-quiet", "-no-progress", "-comp", "zstd");
    },
  ],
  ["erofs", { holes: false }, (image, root) => run("mkfs.erofs", "--quiet", "-zlz4", image, root)],
];

interface Writable {
  readonly type: string;
  readonly make: (image: string) => void;
  readonly check: (image: string) => void;
  readonly extract?: (image: string, folder: string) => void;
}

const WRITABLE: readonly Writable[] = [
  {
    type: "ext4",
    make: (image) => run("mke2fs", "-q", "-F", "-t", "ext4", image),
    check: (image) => run("e2fsck", "-fn", image),
    extract: (image, folder) => run("debugfs", "-R", `rdump / ${folder}`, image),
  },
  {
    type: "xfs",
    make: (image) => run("mkfs.xfs", "-q", "-f", image),
    check: (image) => run("xfs_repair", "-n", "-f", image),
  },
  {
    type: "btrfs",
    make: (image) => run("mkfs.btrfs", "-q", "-f", image),
    check: (image) => run("btrfs", "check", "--check-data-csum", image),
  },
];

/** What is left of it when a tool without rights to make more of it has copied it. */
const COPIED: Partial<Keeps> = {
  ...SECONDS,
  modes: 0o777,
  hardLinks: false,
  holes: false,
  symlinkStatus: false,
};

suite("the root of a Debian", () => {
  let kernel: Kernel;
  let root: string;
  let expected: Facts;
  before(async () => {
    root = debianRoot(soaking);
    expected = readNativeTree(root);
    assert.ok(expected.size > 500);
    kernel = await Kernel.boot({ image: "full", memoryMiB: 512 });
  });
  after(() => kernel.halt());

  const format = (type: string): Format => ({ name: type, type, mib: MIB });
  const same = (actual: Facts, keeps: Partial<Keeps>) => {
    const kept = both(EVERYTHING, keeps);
    assert.deepEqual(differences(asKept(actual, kept), asKept(expected, kept)), []);
  };

  for (const [type, keeps, make] of MAKERS)
    test(`${type}: reads what was packed`, async () => {
      using folder = temporaryFolder();
      const image = emptyImage(join(folder.path, "image"), MIB);
      make(image, root);
      await withMounted(kernel, format(type), [image], true, async ({ target }) => {
        same(await readTree(kernel.init, target), keeps);
      });
    });

  for (const { type, make, check, extract } of WRITABLE)
    test(`${type}: what it wrote is clean, and the same elsewhere`, async (t) => {
      using folder = temporaryFolder();
      const image = emptyImage(join(folder.path, "image"), MIB);
      make(image);
      const native = mountsNatively([image], type, "ro");
      await withMounted(kernel, format(type), [image], false, ({ target }) =>
        writeTree(kernel.init, target, itemsIn(root), EVERYTHING),
      );
      check(image);
      await withMounted(kernel, format(type), [image], true, async ({ target }) => {
        same(await readTree(kernel.init, target), {});
      });
      if (extract) {
        const out = join(folder.path, "out");
        mkdirSync(out);
        extract(image, out);
        same(readNativeTree(out), COPIED);
      }
      if (!native) return;
      t.diagnostic("also compared with this machine's own kernel");
      same(withNativeMount([image], type, "ro", readNativeTree), {});
    });
});
