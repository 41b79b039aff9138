// What goes wrong below an fs object: full and failing disks, read-only and damaged file systems,
// kernels that end. Every caller is told, by an error that Node's callers know.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, suite, test } from "node:test";

import { FaultDisk, MemoryDisk, OverlayDisk } from "../src/disk/index.ts";
import type { Disk } from "../src/disk/index.ts";
import { attachDisk, createFs, mount } from "../src/fs/index.ts";
import type { LinuxFs, MountOptions } from "../src/fs/index.ts";
import { Kernel } from "../src/index.ts";
import { emptyImage, ext4Image, run, temporaryFolder } from "./images/native.ts";

const MIB = 1 << 20;
const BIG_BYTES = 2 * MIB;

interface Opened extends AsyncDisposable {
  readonly fs: LinuxFs;
  readonly kernel: Kernel;
}

/** The files of an image of ext4 that has `/big`. */
async function open(disk: Disk, options: Partial<MountOptions> = {}): Promise<Opened> {
  await using stack = new AsyncDisposableStack();
  const kernel = stack.use(await Kernel.boot({ image: "fs" }));
  const device = stack.use(await attachDisk(kernel, disk));
  const mounted = stack.use(await mount(kernel, { source: device.path, ...options }));
  const process = await kernel.process({ root: mounted.target });
  const fs = stack.use(createFs(process, { ownsProcess: true }));
  const all = stack.move();
  return { fs, kernel, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function image(folder: string): Uint8Array<ArrayBuffer> {
  const path = emptyImage(join(folder, "disk.img"), 8);
  run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", path);
  return new Uint8Array(readFileSync(path));
}

suite("what goes wrong", () => {
  const folder = temporaryFolder();
  after(() => folder[Symbol.dispose]());
  const bytes = image(folder.path);
  /** A disk of its own, with the same on it. */
  const fresh = () => new OverlayDisk(new MemoryDisk(bytes, { readOnly: true }));

  test("a full disk says so, and keeps no half of a copy", async () => {
    await using opened = await open(fresh());
    const { promises, createWriteStream } = opened.fs;
    const full = { code: "ENOSPC", errno: -28 };
    await promises.writeFile("/big", Buffer.alloc(BIG_BYTES, 1));
    await using handle = await promises.open("/fill", "w");
    const piece = Buffer.alloc(MIB, 2);
    let total = 0;
    for (let count = MIB; count === MIB; total += count)
      count = (await handle.write(piece)).bytesWritten;
    assert.equal((await handle.stat()).size, total);
    await assert.rejects(handle.write(piece), {
      ...full,
      message: "ENOSPC: no space left on device, write",
    });
    await assert.rejects(handle.writeFile(piece), full);
    await assert.rejects(promises.writeFile("/other", piece), full);
    await assert.rejects(promises.copyFile("/big", "/copy"), {
      ...full,
      syscall: "copyfile",
      path: "/big",
      dest: "/copy",
    });
    assert.deepEqual((await promises.readdir("/")).toSorted(), [
      "big",
      "fill",
      "lost+found",
      "other",
    ]);
    const stream = createWriteStream("/stream") as unknown as Writable;
    await assert.rejects(pipeline(Readable.from([piece]), stream), full);
    // What is removed is room.
    await promises.unlink("/big");
    await promises.writeFile("/other", piece);
  });

  test("a disk that cannot be read fails what asks for it, and nothing else", async () => {
    const disk = new FaultDisk(fresh());
    await using opened = await open(disk);
    const { fs } = opened;
    await fs.promises.writeFile("/big", Buffer.alloc(BIG_BYTES, 1), { flush: true });
    await fs.promises.writeFile("/small", "kept", { flush: true });
    const sys = createFs(opened.kernel.init);
    await fs.linux.syncFilesystem("/");
    await sys.promises.writeFile("/proc/sys/vm/drop_caches", "1");
    const failed = { code: "EIO", errno: -5 };
    const effect = { kind: "error", code: "EIO" } as const;
    const [{ physicalBytes: offsetBytes, lengthBytes }] = await fs.linux.fileExtents("/big");
    const range = { offsetBytes, lengthBytes };
    const fault = disk.inject({ effect, on: ["read"], range });
    await assert.rejects(fs.promises.readFile("/big"), {
      ...failed,
      syscall: "read",
      path: "/big",
    });
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    await assert.rejects(
      pipeline(fs.createReadStream("/big") as AsyncIterable<Buffer>, sink),
      failed,
    );
    await using handle = await fs.promises.open("/big");
    await assert.rejects(handle.read(Buffer.alloc(100), 0, 100, 0), {
      message: "EIO: i/o error, read",
    });
    await assert.rejects(Array.fromAsync(handle.readLines()), failed);
    assert.equal((await fs.promises.stat("/big")).size, BIG_BYTES);
    assert.equal(await fs.promises.readFile("/small", "utf8"), "kept");
    fault.lift();
    assert.equal((await fs.promises.readFile("/big")).length, BIG_BYTES);
  });

  test("what could not be written is told when it is asked for", async () => {
    const disk = new FaultDisk(fresh());
    await using opened = await open(disk, { options: "errors=continue" });
    const { promises } = opened.fs;
    await using handle = await promises.open("/file", "w");
    await handle.write(Buffer.alloc(MIB, 1));
    const effect = { kind: "error", code: "EIO" } as const;
    const fault = disk.inject({ effect, on: ["write"], times: 1 });
    await assert.rejects(handle.sync(), { message: "EIO: i/o error, fsync" });
    fault.lift();
    // It is told once, and written again when it is changed again.
    await handle.write(Buffer.alloc(MIB, 2), 0, MIB, 0);
    await handle.sync();
  });

  test("a read-only file system refuses what would change it", async () => {
    await using opened = await open(fresh(), { readOnly: true });
    const { promises, linux } = opened.fs;
    const refused = (syscall: string, path: string) => ({ code: "EROFS", syscall, path });
    await assert.rejects(promises.writeFile("/new", ""), refused("open", "/new"));
    await assert.rejects(promises.mkdir("/new"), refused("mkdir", "/new"));
    await assert.rejects(promises.chmod("/lost+found", 0), refused("chmod", "/lost+found"));
    await assert.rejects(promises.access("/lost+found", 2), refused("access", "/lost+found"));
    await assert.rejects(linux.setXattr("/", "user.x", ""), refused("setxattr", "/"));
  });

  /** An image one of whose directories is damaged. */
  function damagedImage(): Uint8Array<ArrayBuffer> {
    const tree = join(folder.path, "tree");
    for (const name of ["whole", "damaged"]) {
      mkdirSync(join(tree, name), { recursive: true });
      writeFileSync(join(tree, name, "file"), "text");
    }
    const path = join(folder.path, "damaged.img");
    ext4Image(path, tree);
    const block = Number(run("debugfs", "-R", "blocks /damaged", path));
    const size = Number(/^Block size: +(\d+)/m.exec(run("dumpe2fs", "-h", path))?.[1]);
    const damaged = new Uint8Array(readFileSync(path));
    damaged.fill(0xff, block * size + 24, block * size + 40);
    return damaged;
  }

  test("a damaged directory is an error, and the rest is there", async () => {
    await using opened = await open(new MemoryDisk(damagedImage()));
    const { promises } = opened.fs;
    const wrong = { code: /^(EUCLEAN|EBADMSG|EIO)$/, syscall: "scandir", path: "/damaged" };
    await assert.rejects(promises.readdir("/damaged"), wrong);
    assert.deepEqual(await promises.readdir("/whole"), ["file"]);
    assert.equal(await promises.readFile("/whole/file", "utf8"), "text");
  });

  test("a kernel that crashes fails every call, and says why", async () => {
    const { fs } = await open(new MemoryDisk(damagedImage()), { options: "errors=panic" });
    await fs.linux.mkfifo("/pipe");
    const why = { code: "ERR_KERNEL_PANIC", message: /^kernel panic: EXT4-fs/ };
    const waits = assert.rejects(fs.promises.readFile("/pipe"), why);
    const watcher = fs.promises.watch("/whole");
    const changes = assert.rejects(watcher.next(), why);
    await assert.rejects(fs.promises.readdir("/damaged"), why);
    await Promise.all([waits, changes]);
    await assert.rejects(fs.promises.readdir("/"), why);
    await assert.rejects(fs.promises.writeFile("/new", ""), why);
  });
});
