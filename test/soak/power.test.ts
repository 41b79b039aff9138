// Much of everything: files, bytes, entries, links, attributes, depth; and the places where 32 bits
// would not be enough. The full counts run under `npm run soak`, smaller ones elsewhere.

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { after, before, suite, test } from "node:test";
import type { TestContext } from "node:test";

import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
} from "../../src/abi/constants/fcntl.ts";
import { SEEK_DATA, SEEK_HOLE } from "../../src/abi/constants/ioctl.ts";
import { KernelTimespec } from "../../src/abi/structs/time.ts";
import { MemoryDisk } from "../../src/disk/index.ts";
import { openDirectory } from "../../src/fs/directory.ts";
import { attachDisk, readDirectory, stat } from "../../src/fs/index.ts";
import { Kernel } from "../../src/index.ts";
import type { Process } from "../../src/index.ts";
import { withMounted } from "../images/matrix.ts";
import { emptyImage, noise, run, temporaryFolder } from "../images/native.ts";
import { repeats, until, viewOf } from "../kernel.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;

interface System {
  readonly type: string;
  readonly make: (image: string) => void;
  readonly check: (image: string) => void;
}

const EXT4: System = {
  type: "ext4",
  make: (image) => run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", image),
  check: (image) => run("e2fsck", "-fn", image),
};
const XFS: System = {
  type: "xfs",
  make: (image) => run("mkfs.xfs", "-q", "-f", "-l", "size=64m", image),
  check: (image) => run("xfs_repair", "-n", "-f", image),
};
const BTRFS: System = {
  type: "btrfs",
  make: (image) => run("mkfs.btrfs", "-q", "-f", image),
  check: (image) => run("btrfs", "check", image),
};
const SYSTEMS = [EXT4, XFS, BTRFS];

/** Names as long as can be; the bytes are everything but a slash and 0. */
const LONG_NAMES: readonly Buffer[] = [
  // Every byte that there can be.
  Buffer.from(Array.from({ length: 255 }, (_, byte) => (byte + 1 === 0x2f ? 1 : byte + 1))),
  // UTF-8: of letters of two, three and four bytes.
  Buffer.from(`${"é".repeat(127)}x`),
  Buffer.from("語".repeat(85)),
  Buffer.from(`${"🐧".repeat(63)}abc`),
  // Letters of Latin-1, KOI8-R, Shift JIS (with a backslash in it) and EUC-JP.
  Buffer.alloc(255, "e9", "hex"),
  Buffer.alloc(255, "d1", "hex"),
  Buffer.alloc(255, "835c", "hex"),
  Buffer.alloc(255, "b8ec", "hex"),
  // What is no character in any: half of one, one that is too long, a surrogate, 0xff.
  Buffer.alloc(255, "c0af", "hex"),
  Buffer.alloc(255, "eda080", "hex"),
  Buffer.alloc(255, "ff", "hex"),
];

suite("power", () => {
  let kernel: Kernel;
  before(async () => {
    kernel = await Kernel.boot({ image: "full", memoryMiB: repeats(1024, 256) });
  });
  after(() => kernel.halt());

  /** A file system on a sparse disk, checked by the native tool when it was used. */
  async function on(
    t: TestContext,
    system: System,
    sizeBytes: number,
    use: (root: string) => Promise<void>,
    again?: (root: string) => Promise<void>,
  ): Promise<void> {
    using folder = temporaryFolder();
    const image = emptyImage(join(folder.path, "image"), sizeBytes / MIB);
    system.make(image);
    const format = { name: system.type, type: system.type, mib: sizeBytes / MIB };
    const mounted = <T>(todo: (root: string) => Promise<T>) =>
      withMounted(kernel, format, [image], false, ({ target }) => todo(target));
    const start = performance.now();
    await mounted(use);
    if (again) await mounted(again);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const mib = Math.round(process.memoryUsage.rss() / MIB);
    t.diagnostic(`${system.type}: ${seconds} s, the process has ${mib} MiB`);
    system.check(image);
  }

  const files = repeats(1_000_000, 3000);
  for (const system of SYSTEMS)
    test(`${system.type}: ${files} files on 100 GiB`, async (t) => {
      const { init } = kernel;
      const inEach = 1000;
      await on(t, system, 100 * GIB, async (root) => {
        for (let d = 0; d * inEach < files; d++) {
          await init.mkdirat(AT_FDCWD, `${root}/${d}`, 0o755);
          const fd = await openDirectory(init, `${root}/${d}`);
          for (let i = 0; i < inEach; i++) await writeAt(init, fd, `${i}`, `${d} ${i}`);
          await init.close(fd);
        }
        for (let d = 0; d * inEach < files; d += 7) {
          const names = (await readDirectory(init, `${root}/${d}`)).map(({ name }) => Number(name));
          assert.deepEqual(
            names.toSorted((a, b) => a - b),
            Array.from({ length: inEach }, (_, i) => i),
          );
          const fd = await init.openat(AT_FDCWD, `${root}/${d}/${d % inEach}`, O_RDONLY, 0);
          assert.equal(await readText(init, fd), `${d} ${d % inEach}`);
        }
      });
    });

  for (const system of SYSTEMS)
    test(`${system.type}: a file of 200 GiB, across every power of two`, async (t) => {
      const { init } = kernel;
      const marks = [0, 31, 32, 33, 34, 35, 36, 37].map((bits) => (bits ? 2 ** bits : 0));
      marks.push(200 * GIB - 8 * KIB);
      const block = (at: number) => noise(8 * KIB, (at / KIB) % 9973);
      const verify = async (root: string) => {
        const fd = await init.openat(AT_FDCWD, `${root}/large`, O_RDONLY, 0);
        const bytes = new Uint8Array(8 * KIB);
        for (const at of marks) {
          const from = Math.max(0, at - 4 * KIB);
          assert.equal(await init.pread64(fd, bytes, bytes.length, from), bytes.length);
          assert.ok(block(at).equals(bytes), `at ${from}`);
          assert.equal(await seek(init, fd, from, SEEK_DATA), from);
        }
        // Between them is nothing, before and after a place that would be the same in 32 bits.
        for (const at of [GIB, 2 ** 32 + GIB, 2 ** 33 + 2 ** 32, 150 * GIB]) {
          await init.pread64(fd, bytes, bytes.length, at);
          assert.ok(bytes.every((byte) => byte === 0));
          assert.equal(await seek(init, fd, at, SEEK_HOLE), at);
        }
        await init.close(fd);
        const status = await stat(init, `${root}/large`);
        assert.equal(status.sizeBytes, 200 * GIB - 4 * KIB);
        assert.ok(status.allocatedBytes < 2 * GIB);
      };
      await on(
        t,
        system,
        300 * GIB,
        async (root) => {
          const fd = await init.openat(AT_FDCWD, `${root}/large`, O_CREAT | O_RDWR, 0o644);
          for (const at of marks) {
            const bytes = block(at);
            assert.equal(
              await init.pwrite64(fd, bytes, bytes.length, Math.max(0, at - 4 * KIB)),
              bytes.length,
            );
          }
          // Room beyond 4 GiB is promised, and is there.
          await init.fallocate(fd, 0, 6 * GIB, 64 * MIB);
          await init.close(fd);
          await verify(root);
        },
        verify,
      );
    });

  for (const system of SYSTEMS)
    test(`${system.type}: a file is as large as pages can be told apart, and no larger`, async (t) => {
      const { init } = kernel;
      await on(t, system, 4 * GIB, async (root) => {
        const most = 16 * TIB - 4 * KIB;
        const fd = await init.openat(AT_FDCWD, `${root}/file`, O_CREAT | O_RDWR, 0o644);
        const places = [0, 2 ** 31, 2 ** 40, 2 ** 43, most - 4 * KIB];
        for (const [index, at] of places.entries())
          await init.pwrite64(fd, noise(4 * KIB, index + 1), 4 * KIB, at);
        assert.equal((await stat(init, `${root}/file`)).sizeBytes, most);
        const bytes = new Uint8Array(4 * KIB);
        for (const call of [
          () => init.pwrite64(fd, bytes, bytes.length, most),
          () => init.pwrite64(fd, bytes, bytes.length, 2 ** 44 + 2 ** 31),
          () => init.ftruncate64(fd, 2 ** 44),
          () => init.ftruncate64(fd, 2 ** 50),
          () => init.fallocate(fd, 0, 2 ** 44, 4 * KIB),
        ])
          await assert.rejects(call, { code: "EFBIG" });
        assert.equal(await init.pread64(fd, bytes, bytes.length, 2 ** 44), 0);
        for (const [index, at] of places.entries()) {
          await init.pread64(fd, bytes, bytes.length, at);
          assert.ok(noise(4 * KIB, index + 1).equals(bytes), `at ${at}`);
        }
        await init.ftruncate64(fd, 2 ** 43);
        await init.close(fd);
      });
    });

  const entries = repeats(500_000, 4000);
  for (const system of SYSTEMS)
    test(`${system.type}: a directory of ${entries} entries`, async (t) => {
      const { init } = kernel;
      await on(t, system, 20 * GIB, async (root) => {
        await init.mkdirat(AT_FDCWD, `${root}/wide`, 0o755);
        const fd = await openDirectory(init, `${root}/wide`);
        for (let i = 0; i < entries; i++)
          await init.close(await init.openat(fd, `entry number ${i}`, O_CREAT | O_WRONLY, 0o644));
        const names = new Set((await readDirectory(init, `${root}/wide`)).map(({ name }) => name));
        assert.equal(names.size, entries);
        for (let i = 0; i < entries; i += 2) await init.unlinkat(fd, `entry number ${i}`, 0);
        const left = (await readDirectory(init, `${root}/wide`)).map(({ name }) => name);
        assert.equal(left.length, entries / 2);
        assert.ok(left.every((name) => Number(name.split(" ")[2]) % 2 === 1));
        await init.close(fd);
      });
    });

  // btrfs check takes a minute to look at all the names that there can be.
  for (const [system, most, limit] of [
    [EXT4, 65_000, 65_000],
    [BTRFS, repeats(65_535, 3000), 65_535],
    [XFS, repeats(200_000, 10_000), 2 ** 31],
  ] as const)
    test(`${system.type}: ${most} names of one file`, async (t) => {
      const { init } = kernel;
      await on(t, system, 2 * GIB, async (root) => {
        const fd = await openDirectory(init, root);
        await writeAt(init, fd, "0", "one");
        for (let i = 1; i < most; i++) await init.linkat(fd, "0", fd, `${i}`, 0);
        assert.equal((await stat(init, "0", { at: fd })).links, most);
        if (most === limit)
          await assert.rejects(init.linkat(fd, "0", fd, "more", 0), { code: "EMLINK" });
        await init.close(fd);
      });
    });

  for (const system of SYSTEMS)
    test(`${system.type}: names and paths as long as they can be`, async (t) => {
      const { init } = kernel;
      await on(t, system, 2 * GIB, async (root) => {
        const longest = "ü".repeat(127) + "x";
        const rootFd = await openDirectory(init, root);
        await writeAt(init, rootFd, longest, "long");
        await assert.rejects(writeAt(init, rootFd, `${longest}x`, ""), { code: "ENAMETOOLONG" });
        // A path of PATH_MAX with its NUL is one, with a byte more it is none.
        let path = root;
        for (;;) {
          const name = "p".repeat(Math.min(255, 4095 - path.length - 1));
          if (name.length < 255) {
            await writeAt(init, AT_FDCWD, `${path}/${name}`, "end");
            assert.equal(`${path}/${name}`.length, 4095);
            await assert.rejects(writeAt(init, AT_FDCWD, `${path}/${name}x`, ""), {
              code: "ENAMETOOLONG",
            });
            break;
          }
          path += `/${name}`;
          await init.mkdirat(AT_FDCWD, path, 0o755);
        }
        // Deeper, from directory to directory.
        const depth = repeats(3000, 200);
        let fd = rootFd;
        for (let i = 0; i < depth; i++) {
          await init.mkdirat(fd, "d".repeat(100), 0o755);
          const next = await openDirectory(init, "d".repeat(100), { at: fd });
          await init.close(fd);
          fd = next;
        }
        await writeAt(init, fd, "bottom", "reached");
        for (let i = 0; i < depth; i++) {
          const up = await openDirectory(init, "..", { at: fd });
          await init.close(fd);
          fd = up;
        }
        await assert.rejects(init.unlinkat(fd, "d".repeat(100), AT_REMOVEDIR), {
          code: "ENOTEMPTY",
        });
        await init.close(fd);
      });
    });

  for (const system of SYSTEMS)
    test(`${system.type}: names of 255 bytes, in any encoding`, async (t) => {
      const { init } = kernel;
      const at = (root: string, name: Buffer) => Buffer.concat([Buffer.from(`${root}/`), name]);
      const verify = async (root: string) => {
        const found = (await readDirectory(init, root)).map(({ rawName }) =>
          Buffer.from(rawName).toString("latin1"),
        );
        const names = LONG_NAMES.map((name) => name.toString("latin1"));
        assert.deepEqual(found.filter((name) => name.length === 255).toSorted(), names.toSorted());
        for (const [index, name] of LONG_NAMES.entries()) {
          const fd = await init.openat(AT_FDCWD, at(root, name), O_RDONLY, 0);
          assert.equal(await readText(init, fd), `${index}`);
        }
      };
      await on(
        t,
        system,
        2 * GIB,
        async (root) => {
          for (const [index, name] of LONG_NAMES.entries()) {
            assert.equal(name.length, 255);
            await writeAt(init, AT_FDCWD, at(root, name), `${index}`);
            const longer = writeAt(init, AT_FDCWD, at(root, Buffer.concat([name, name])), "");
            await assert.rejects(longer, { code: "ENAMETOOLONG" });
          }
          await verify(root);
        },
        verify,
      );
    });

  for (const [system, count, bytes] of [
    [EXT4, 30, 100],
    [XFS, repeats(3000, 500), 2000],
    [BTRFS, repeats(3000, 500), 2000],
  ] as const)
    test(`${system.type}: ${count} attributes of ${bytes} bytes`, async (t) => {
      const { init } = kernel;
      await on(t, system, 2 * GIB, async (root) => {
        const path = `${root}/file`;
        await writeAt(init, AT_FDCWD, path, "");
        for (let i = 0; i < count; i++)
          await init.setxattr(path, `user.${i}`, noise(bytes, i + 1), bytes, 0);
        const value = new Uint8Array(bytes);
        for (let i = 0; i < count; i++) {
          assert.equal(await init.getxattr(path, `user.${i}`, value, bytes), bytes);
          assert.ok(noise(bytes, i + 1).equals(value));
        }
        const list = new Uint8Array(65536);
        const length = await init.listxattr(path, list, list.length);
        assert.equal(
          Buffer.from(list.subarray(0, length)).toString().split("\0").length,
          count + 1,
        );
        const large = init.setxattr(path, "user.large", new Uint8Array(65537), 65537, 0);
        await assert.rejects(large, { code: "E2BIG" });
        if (system === EXT4) {
          const full = init.setxattr(path, "user.full", new Uint8Array(4000), 4000, 0);
          await assert.rejects(full, { code: "ENOSPC" });
        }
      });
    });

  // The last seconds that there are: fs/ext4/ext4.h, fs/xfs/libxfs/xfs_format.h.
  for (const [system, first, last] of [
    [EXT4, -(2n ** 31n), 2n ** 34n - 2n ** 31n - 1n],
    [XFS, -(2n ** 31n), 16_299_260_424n],
    [BTRFS, -(2n ** 60n), 2n ** 60n],
  ] as const)
    test(`${system.type}: times beyond 32 bits`, async (t) => {
      const { init } = kernel;
      await on(t, system, 2 * GIB, async (root) => {
        const path = `${root}/file`;
        await writeAt(init, AT_FDCWD, path, "");
        const set = async (seconds: bigint) => {
          const times = new Uint8Array(2 * KernelTimespec.size);
          for (const at of [0, KernelTimespec.size])
            new KernelTimespec(viewOf(times), at).tv_sec = seconds;
          await init.utimensat_time64(AT_FDCWD, path, times, 0);
          return (await stat(init, path)).modifiedNs / 1_000_000_000n;
        };
        for (const seconds of [-1n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 33n, first, last])
          assert.equal(await set(seconds), seconds);
        if (system === BTRFS) return;
        assert.equal(await set(last + 1n), last);
        assert.equal(await set(2n ** 40n), last);
        assert.equal(await set(first - 1n), first);
      });
    });

  test("xfs: inode numbers beyond 32 bits", async (t) => {
    const { init } = kernel;
    const folders = 40;
    using folder = temporaryFolder();
    const image = emptyImage(join(folder.path, "image"), (14 * TIB) / MIB);
    XFS.make(image);
    const format = { name: "xfs", type: "xfs", mib: 0, options: "inode64" };
    const look = async (root: string) => {
      const found = new Map<string, bigint>();
      for (const { name, inode } of await readDirectory(init, root)) {
        const status = await stat(init, `${root}/${name}`);
        assert.equal(status.inode, inode);
        const [inner] = await readDirectory(init, `${root}/${name}`);
        assert.equal((await stat(init, `${root}/${name}/file`)).inode, inner.inode);
        const fd = await init.openat(AT_FDCWD, `${root}/${name}/file`, O_RDONLY, 0);
        assert.equal(await readText(init, fd), name);
        found.set(name, inode);
      }
      return found;
    };
    const before = await withMounted(kernel, format, [image], false, async ({ target }) => {
      for (let i = 0; i < folders; i++) {
        await init.mkdirat(AT_FDCWD, `${target}/${i}`, 0o755);
        await writeAt(init, AT_FDCWD, `${target}/${i}/file`, `${i}`);
      }
      return look(target);
    });
    assert.equal(new Set(before.values()).size, folders);
    const large = [...before.values()].filter((inode) => inode >= 2n ** 32n).length;
    t.diagnostic(`${large} of ${folders} inode numbers are beyond 32 bits`);
    assert.ok(large > 0);
    await withMounted(kernel, format, [image], false, async ({ target }) => {
      assert.deepEqual(await look(target), before);
    });
  });

  // The kernel numbers the pages of a disk with 32 bits: 16 TiB further is the same page.
  test("a disk is as large as pages can be told apart, and no larger", async () => {
    const { init } = kernel;
    const most = 16 * TIB - 4 * KIB;
    await assert.rejects(attachDisk(kernel, new MemoryDisk(16 * TIB)), {
      code: "ERR_INVALID_OPTION",
      message: /16 TiB/,
    });
    const disk = new MemoryDisk(most);
    await using device = await attachDisk(kernel, disk);
    const fd = await init.openat(AT_FDCWD, device.path, O_RDWR, 0);
    const places = [0, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 43, most - 4 * KIB];
    for (const [index, at] of places.entries())
      await init.pwrite64(fd, noise(4 * KIB, index + 1), 4 * KIB, at);
    await init.fsync(fd);
    const bytes = new Uint8Array(4 * KIB);
    for (const [index, at] of places.entries()) {
      disk.read(bytes, at);
      assert.ok(noise(4 * KIB, index + 1).equals(bytes), `at ${at}`);
      await init.pread64(fd, bytes, bytes.length, at);
      assert.ok(noise(4 * KIB, index + 1).equals(bytes), `at ${at}`);
    }
    await assert.rejects(init.pwrite64(fd, bytes, bytes.length, most), { code: "ENOSPC" });
    await init.close(fd);
    // One that grows beyond that shows what can be told apart.
    disk.resize(20 * TIB);
    await until(async () => {
      const path = `/sys/block/${device.name}/size`;
      const size = await init.openat(AT_FDCWD, path, O_RDONLY, 0);
      return Number(await readText(init, size)) * 512 === most;
    });
  });
});

async function writeAt(
  process: Process,
  at: number,
  path: string | Buffer,
  content: string,
): Promise<void> {
  const fd = await process.openat(at, path, O_CREAT | O_WRONLY, 0o644);
  const bytes = Buffer.from(content);
  if (bytes.length) await process.write(fd, bytes, bytes.length);
  await process.close(fd);
}

/** What is left of an open file, which it closes. */
async function readText(process: Process, fd: number): Promise<string> {
  const bytes = new Uint8Array(4096);
  const length = await process.read(fd, bytes, bytes.length);
  await process.close(fd);
  return Buffer.from(bytes.subarray(0, length)).toString();
}

async function seek(process: Process, fd: number, from: number, whence: number): Promise<number> {
  const result = new Uint8Array(8);
  await process.llseek(fd, Math.floor(from / 2 ** 32), from >>> 0, result, whence);
  return Number(viewOf(result).getBigInt64(0, true));
}
